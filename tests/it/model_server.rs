//! A language model's server of our own: it labels by a word in the sentence, misbehaves on a script, and keeps a log of
//! every request. Nothing but the standard library under it, a thread for each connection.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the server does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Answers as it should.
    Ok,
    /// Answers as it should, after a while.
    Latency(Duration),
    /// Answers with a status, and perhaps `Retry-After`.
    Status(u16, Option<&'static str>),
    /// Says nothing until the client goes.
    Hang,
    /// Promises more bytes than it sends.
    Truncated,
    /// Sends half a JSON document.
    MalformedJson,
    /// Breaks the model's answer off, as at `max_tokens`.
    CutJson,
    /// Gives a category that there is not.
    WrongLabel,
    /// Quotes what does not stand in the sentence.
    BadEvidence,
    /// Answers as it should, but for the sentence at this place of several.
    WrongAt(usize),
    /// Sends a byte every 50 ms.
    SlowDrip,
    /// Closes without a byte.
    Close,
    /// Sends ten megabytes.
    TenMegabytes,
    /// Sends the client elsewhere.
    Redirect(String),
    /// Talks instead of answering.
    Prose,
    /// Turns the request away and quotes what was in it.
    Quote,
}

impl Act {
    /// Whether the client gets an answer that it can use.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Ok | Self::Latency(_))
    }
}

/// What the server makes of `response_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json {
    /// It is held to a schema.
    Schema,
    /// It takes a schema and does not heed it; an object it gives.
    SchemaIgnored,
    /// It refuses a schema and gives an object.
    Object,
    /// It refuses both.
    Nothing,
}

/// Which parameters the server knows.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    pub json: Json,
    pub logprobs: bool,
    /// It wants `max_completion_tokens`.
    pub completion_tokens: bool,
}

/// A server that knows them all.
pub const FLUENT: Dialect = Dialect { json: Json::Schema, logprobs: true, completion_tokens: false };

/// A request about sentences, as a script sees it.
pub struct Query<'a> {
    /// Of all such requests, from 1.
    pub number: usize,
    /// Of those about the same sentences, from 1.
    pub attempt: usize,
    /// The sentences.
    pub sentences: &'a [String],
}

impl Query<'_> {
    /// Whether a word stands in one of the sentences.
    pub fn has(&self, word: &str) -> bool {
        self.sentences.iter().any(|sentence| sentence.contains(word))
    }
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    /// `Authorization`, or nothing.
    pub authorization: String,
    pub body: Value,
    /// Empty for a probe.
    pub sentences: Vec<String>,
    pub act: Act,
    /// Whether all of the answer is on its way.
    pub answered: bool,
    /// The tokens that the answer said it cost.
    pub tokens: u64,
}

impl Seen {
    /// The last turn of the conversation.
    pub fn last_turn(&self) -> &str {
        self.body["messages"].as_array().and_then(|turns| turns.last()?["content"].as_str()).unwrap_or_default()
    }
}

type Script = dyn Fn(&Query<'_>) -> Act + Send + Sync;

struct Shared {
    dialect: Dialect,
    script: Box<Script>,
    log: Mutex<Vec<Seen>>,
    attempts: Mutex<HashMap<Vec<String>, usize>>,
    heard: Condvar,
    connections: Mutex<Vec<TcpStream>>,
    connected: AtomicU64,
    served: AtomicU64,
    stopped: AtomicBool,
    /// Answers everything alike after so long, and keeps no log: for measuring the client.
    light: Option<Duration>,
}

/// A server; dropped, it is gone.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

impl Server {
    /// A server that knows every parameter and follows a script.
    pub fn start(script: impl Fn(&Query<'_>) -> Act + Send + Sync + 'static) -> Self {
        Self::with(FLUENT, 0, script)
    }

    /// A server that never misbehaves.
    pub fn willing() -> Self {
        Self::start(|_| Act::Ok)
    }

    /// A server that costs next to nothing, for the benchmark.
    pub fn light(latency: Duration) -> Self {
        Self::listen(FLUENT, 0, Box::new(|_| Act::Ok), Some(latency))
    }

    /// A server of a dialect at a port; 0 takes a free one.
    pub fn with(dialect: Dialect, port: u16, script: impl Fn(&Query<'_>) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(dialect, port, Box::new(script), None)
    }

    fn listen(dialect: Dialect, port: u16, script: Box<Script>, light: Option<Duration>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            dialect,
            script,
            log: Mutex::default(),
            attempts: Mutex::default(),
            heard: Condvar::new(),
            connections: Mutex::default(),
            connected: AtomicU64::new(0),
            served: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            light,
        });
        let serving = shared.clone();
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                serving.connected.fetch_add(1, Ordering::SeqCst);
                serving.connections.lock().unwrap().extend(stream.try_clone());
                let serving = serving.clone();
                thread::spawn(move || {
                    let _ = serving.serve(&stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// The base address for clients.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything asked so far.
    pub fn log(&self) -> Vec<Seen> {
        self.shared.log.lock().unwrap().clone()
    }

    /// Everything asked so far about sentences.
    pub fn asked(&self) -> Vec<Seen> {
        self.log().into_iter().filter(|seen| !seen.sentences.is_empty()).collect()
    }

    /// How many requests a light server has answered.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::Relaxed)
    }

    /// How often it was connected to.
    pub fn connected(&self) -> u64 {
        self.shared.connected.load(Ordering::SeqCst)
    }

    /// Waits until it has given so many usable answers about sentences.
    pub fn has_answered(&self, enough: usize) {
        let answered = |log: &[Seen]| {
            log.iter().filter(|seen| seen.answered && seen.act.is_usable() && !seen.sentences.is_empty()).count()
        };
        self.until(|log| answered(log) >= enough);
    }

    /// Waits until the log passes a test.
    pub fn until(&self, test: impl Fn(&[Seen]) -> bool) {
        let log = self.shared.log.lock().unwrap();
        let (log, waited) = self.shared.heard.wait_timeout_while(log, DEADLINE, |log| !test(log)).unwrap();
        assert!(!waited.timed_out(), "it never came to that; {} requests were seen", log.len());
    }

    /// Goes away: every connection breaks, and nobody listens at the port when this returns.
    pub fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = accepting.join();
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Words that decide of a sentence, in the order in which they do.
const SIGNS: [(&str, &str, &str); 3] = [
    ("forgets", "cognitive_impairment", "B"),
    ("help", "requires_assistance", "D"),
    ("weight", "physiological_changes", "E"),
];

/// The label of a sentence, by a word in it, and the word.
pub fn label_of(sentence: &str) -> (&'static str, &'static str) {
    let found = SIGNS.iter().find(|(word, ..)| sentence.contains(word));
    found.map_or(("none", ""), |(word, key, _)| (key, word))
}

/// One whole answer about a sentence.
pub fn answer_to(sentence: &str, binary: bool) -> Value {
    let (label, word) = label_of(sentence);
    let evidence: &[&str] = if word.is_empty() { &[] } else { &[word] };
    let rest = (0.9, evidence, if word.is_empty() { "No sign." } else { "The word says so." });
    match binary {
        true => {
            let sign = if word.is_empty() { "no" } else { "yes" };
            json!({ "sign": sign, "confidence": rest.0, "evidence": rest.1, "rationale": rest.2 })
        }
        false => json!({ "label": label, "confidence": rest.0, "evidence": rest.1, "rationale": rest.2 }),
    }
}

/// A chat completion with a text, and what it cost.
pub fn completion(text: &str, prompt: u64, logprobs: Option<Value>, finish: &str) -> (Value, u64) {
    let written = text.len() as u64 / 4 + 1;
    let usage = json!({ "prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written });
    let message = json!({ "role": "assistant", "content": text });
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs });
    (json!({ "id": "c", "object": "chat.completion", "choices": [choice], "usage": usage }), prompt + written)
}

/// A sentence out of the quotation marks that it stands in.
pub fn unquoted(sentence: &str) -> String {
    serde_json::from_str(sentence).expect("a quoted sentence")
}

/// The sentences that a request asks about.
fn sentences(body: &Value) -> Vec<String> {
    let turns = body["messages"].as_array().cloned().unwrap_or_default();
    let questions =
        turns.iter().rev().filter(|turn| turn["role"] == "user").filter_map(|turn| turn["content"].as_str());
    let ask = questions.into_iter().find(|ask| ask.contains("Sentence: ")).unwrap_or_default();
    ask.lines().filter_map(|line| Some(unquoted(line.split_once("Sentence: ")?.1))).collect()
}

struct Request {
    authorization: String,
    body: Vec<u8>,
}

fn read_request(input: &mut impl BufRead) -> io::Result<Option<Request>> {
    let (mut length, mut authorization, mut line) = (0, String::new(), String::new());
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        } else if name.eq_ignore_ascii_case("authorization") {
            authorization = value.trim().to_owned();
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some(Request { authorization, body }))
}

fn head(status: u16, length: usize, more: &str) -> String {
    let kind = "content-type: application/json";
    format!("HTTP/1.1 {status} Status\r\n{kind}\r\ncontent-length: {length}\r\n{more}\r\n")
}

fn send(mut output: &TcpStream, status: u16, body: &str, more: &str) -> io::Result<()> {
    output.write_all((head(status, body.len(), more) + body).as_bytes())
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut input = BufReader::with_capacity(1 << 14, stream);
        while let Some(request) = read_request(&mut input)? {
            let goes_on = match self.light {
                Some(latency) if !find(&request.body, b"Say hello") => {
                    if !latency.is_zero() {
                        thread::sleep(latency);
                    }
                    send(stream, 200, LIGHT, "")?;
                    self.served.fetch_add(1, Ordering::Relaxed);
                    true
                }
                _ => self.answer(&request, stream)?,
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Answers; false when the connection is to be closed.
    fn answer(&self, request: &Request, stream: &TcpStream) -> io::Result<bool> {
        let body: Value = serde_json::from_slice(&request.body)?;
        if let Some(complaint) = self.complaint(&body) {
            self.note(request, &body, Vec::new(), Act::Status(400, None), 0, true);
            send(stream, 400, &json!({ "error": { "message": complaint } }).to_string(), "")?;
            return Ok(true);
        }
        let sentences = sentences(&body);
        let act = match sentences.is_empty() {
            true => Act::Ok,
            false => {
                let attempt = {
                    let mut attempts = self.attempts.lock().unwrap();
                    let attempt = attempts.entry(sentences.clone()).or_insert(0);
                    *attempt += 1;
                    *attempt
                };
                let number = self.attempts.lock().unwrap().values().sum();
                (self.script)(&Query { number, attempt, sentences: &sentences })
            }
        };
        let (text, logprobs) = self.said(&body, &sentences, &act);
        let prompt = request.body.len() as u64 / 4;
        let cut = text.len() / 2;
        let (reply, tokens) = match act {
            Act::CutJson => completion(&text[..cut], prompt, None, "length"),
            Act::Quote => (json!({ "error": { "message": sentences.join(" ") } }), 0),
            _ => completion(&text, prompt, logprobs, "stop"),
        };
        let reply = reply.to_string();
        let says_usage = matches!(
            act,
            Act::Ok
                | Act::Latency(_)
                | Act::CutJson
                | Act::WrongLabel
                | Act::BadEvidence
                | Act::WrongAt(_)
                | Act::Prose
        );
        let at = self.note(request, &body, sentences, act.clone(), if says_usage { tokens } else { 0 }, false);
        let goes_on = perform(&act, &reply, stream)?;
        self.log.lock().unwrap()[at].answered = true;
        self.heard.notify_all();
        Ok(goes_on)
    }

    fn note(
        &self,
        request: &Request,
        body: &Value,
        sentences: Vec<String>,
        act: Act,
        tokens: u64,
        answered: bool,
    ) -> usize {
        let authorization = request.authorization.clone();
        let seen = Seen { at: Instant::now(), authorization, body: body.clone(), sentences, act, answered, tokens };
        let mut log = self.log.lock().unwrap();
        log.push(seen);
        self.heard.notify_all();
        log.len() - 1
    }

    /// What a server of this dialect says of parameters that it does not know.
    fn complaint(&self, body: &Value) -> Option<&'static str> {
        let format = body["response_format"]["type"].as_str();
        match (self.dialect.json, format) {
            (Json::Object, Some("json_schema")) => return Some("response_format json_schema is not supported"),
            (Json::Nothing, Some(_)) => return Some("response_format is not supported"),
            _ => {}
        }
        if !self.dialect.logprobs && body.get("logprobs").is_some() {
            return Some("logprobs is not supported");
        }
        if self.dialect.completion_tokens && body.get("max_tokens").is_some() {
            return Some("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
        }
        None
    }

    /// The model's words, and the probabilities of its tokens where they are asked for.
    fn said(&self, body: &Value, sentences: &[String], act: &Act) -> (String, Option<Value>) {
        let format = body["response_format"]["type"].as_str();
        let system = body["messages"][0]["content"].as_str().unwrap_or_default();
        let binary = system.contains("whether any category");
        let wants_probabilities = body["logprobs"] == true;
        if sentences.is_empty() {
            let text = match (format, self.dialect.json) {
                (Some("json_schema"), Json::Schema) => r#"{"greeting":"xq7"}"#,
                (Some(_), _) => r#"{"hello":"world"}"#,
                _ => "Hello!",
            };
            return (text.to_owned(), wants_probabilities.then(|| tokens(text)));
        }
        let most = body.get("max_tokens").or_else(|| body.get("max_completion_tokens"));
        if wants_probabilities && most == Some(&json!(1)) {
            return letters(&sentences[0], binary);
        }
        if *act == Act::Prose {
            return ("I would rather talk about the weather.".into(), None);
        }
        let answer = |at: usize, sentence: &String| {
            let mut answer = answer_to(sentence, binary);
            if *act == Act::WrongLabel || *act == Act::WrongAt(at) {
                answer[if binary { "sign" } else { "label" }] = "dizziness".into();
            }
            if *act == Act::BadEvidence {
                answer["evidence"] = json!(["words of another sentence"]);
            }
            answer
        };
        let answers: Vec<Value> = sentences.iter().enumerate().map(|(at, sentence)| answer(at, sentence)).collect();
        let mut text = match answers.as_slice() {
            [one] => one.to_string(),
            many => {
                let numbered = many.iter().enumerate().map(|(at, answer)| {
                    let mut numbered = json!({ "number": (at + 1).to_string() });
                    if let (Some(numbered), Some(answer)) = (numbered.as_object_mut(), answer.as_object()) {
                        numbered.extend(answer.clone());
                    }
                    numbered
                });
                json!({ "answers": numbered.collect::<Vec<_>>() }).to_string()
            }
        };
        if format.is_none() {
            text = format!("Gladly. Here it is:\n```json\n{text}\n```");
        }
        let probabilities = wants_probabilities.then(|| tokens(&text));
        (text, probabilities)
    }
}

/// The text as tokens of up to four characters, each with a probability of 0.9.
fn tokens(text: &str) -> Value {
    let all: Vec<char> = text.chars().collect();
    let token = |chars: &[char]| {
        let text: String = chars.iter().collect();
        json!({ "token": text, "logprob": 0.9_f64.ln(), "top_logprobs": [] })
    };
    json!({ "content": all.chunks(4).map(token).collect::<Vec<_>>() })
}

/// The letter of a sentence's label with 0.8 of the probability, and another with 0.15.
fn letters(sentence: &str, binary: bool) -> (String, Option<Value>) {
    let (label, word) = label_of(sentence);
    let (letter, other) = match (binary, word.is_empty()) {
        (true, none) => {
            if none {
                ("N", "Y")
            } else {
                ("Y", "N")
            }
        }
        (false, true) => ("A", "B"),
        (false, false) => (SIGNS.iter().find(|(_, key, _)| *key == label).map_or("A", |sign| sign.2), "A"),
    };
    let top = json!([
        { "token": letter, "logprob": 0.8_f64.ln() }, { "token": other, "logprob": 0.15_f64.ln() },
        { "token": "The", "logprob": 0.02_f64.ln() }
    ]);
    let first = json!({ "token": letter, "logprob": 0.8_f64.ln(), "top_logprobs": top });
    (letter.to_owned(), Some(json!({ "content": [first] })))
}

/// Does what the script says; false when the connection is to be closed.
fn perform(act: &Act, reply: &str, mut stream: &TcpStream) -> io::Result<bool> {
    match act {
        Act::Latency(latency) => {
            thread::sleep(*latency);
            send(stream, 200, reply, "")?;
        }
        Act::Status(status, after) => {
            let more = after.map_or_else(String::new, |after| format!("retry-after: {after}\r\n"));
            send(stream, *status, r#"{"error":{"message":"not now"}}"#, &more)?;
        }
        Act::Quote => send(stream, 422, reply, "")?,
        Act::Hang => {
            io::copy(&mut stream, &mut io::sink())?;
            return Ok(false);
        }
        Act::Truncated => {
            stream.write_all((head(200, reply.len() + 100, "") + reply).as_bytes())?;
            return Ok(false);
        }
        Act::MalformedJson => send(stream, 200, r#"{"choices": [{"message""#, "")?,
        Act::SlowDrip => {
            stream.write_all(head(200, reply.len(), "").as_bytes())?;
            for byte in reply.as_bytes() {
                stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        Act::Close => return Ok(false),
        Act::TenMegabytes => {
            let long = "a".repeat(10 << 20);
            send(stream, 200, &completion(&long, 1, None, "stop").0.to_string(), "")?;
        }
        Act::Redirect(to) => send(stream, 307, "", &format!("location: {to}\r\n"))?,
        Act::Ok | Act::CutJson | Act::WrongLabel | Act::BadEvidence | Act::WrongAt(_) | Act::Prose => {
            send(stream, 200, reply, "")?;
        }
    }
    Ok(true)
}

/// What a light server says to everything.
const LIGHT: &str = r#"{"choices":[{"message":{"content":"{\"label\":\"none\",\"confidence\":0.9,\"evidence\":[],\"rationale\":\"No sign.\"}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1500,"completion_tokens":30}}"#;

fn find(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
