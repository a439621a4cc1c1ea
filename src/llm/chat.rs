//! Any server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama, Azure, the hosted ones.
//!
//! What a server can do is tried out with made-up text before the first sentence ([`Chat::probe`]) and goes into the run's
//! record: a server that takes a parameter and ignores it is found out by what it answers, not believed.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::egress::{Answer, Client, Endpoint};
use super::{
    AnswerFormat, ChatMessage, ChoiceReply, ChooseRequest, DecodingParams, Field, FieldKind, LanguageModel, LlmError,
    ModelInfo, PendingAnswer, Reply, Role, Usage, WriteRequest, WrittenToken,
};
use crate::domain::egress::{Destination, EgressRecord};

/// How a server can be held to a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResponseFormat {
    /// It writes nothing outside a JSON schema.
    JsonSchema,
    /// It writes JSON of any shape; the prompt says which.
    JsonObject,
    /// It writes what it likes; the prompt asks for JSON.
    Text,
}

/// What a server was found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    /// How it is held to a shape.
    pub format: ResponseFormat,
    /// How many likeliest tokens it names with their probabilities; 0 when it has none.
    pub top_logprobs: u8,
    /// It wants `max_completion_tokens` for `max_tokens`, as newer OpenAI models do.
    pub max_completion_tokens: bool,
    /// It takes `temperature` and `top_p`; some reasoning models do not.
    pub temperature: bool,
    /// It takes `seed`.
    pub seed: bool,
}

impl Capabilities {
    /// What is tried first.
    const ALL: Self = Self {
        format: ResponseFormat::JsonSchema,
        top_logprobs: 20,
        max_completion_tokens: false,
        temperature: true,
        seed: true,
    };
}

/// A model behind a server.
pub(crate) struct Chat {
    client: Client,
    model: String,
    capabilities: Capabilities,
    card: ModelInfo,
}

impl Chat {
    /// Takes a server with what it is known to do.
    pub(crate) fn new(endpoint: &Endpoint, capabilities: Capabilities) -> Result<Self, LlmError> {
        let client = Client::new(endpoint)?;
        let card = ModelInfo {
            name: if endpoint.model.is_empty() { endpoint.url.clone() } else { endpoint.model.clone() },
            provider: "chat".into(),
            identity: format!("chat:{} {}", endpoint.url.trim_end_matches('/'), endpoint.model),
            details: json!({ "endpoint": endpoint, "capabilities": capabilities }),
        };
        Ok(Self { client, model: endpoint.model.clone(), capabilities, card })
    }

    /// Finds out what a server can do, with a few requests that carry no word of a note.
    pub(crate) async fn probe(endpoint: &Endpoint, record: &EgressRecord) -> Result<Capabilities, LlmError> {
        let mut capabilities = Capabilities::ALL;
        // No model says this of itself: if it comes back, the schema was enforced.
        let word = "xq7".to_owned();
        let request = WriteRequest {
            turns: vec![ChatMessage::new(Role::User, "Say hello, as JSON.")],
            shape: AnswerFormat::Object(vec![Field {
                name: "greeting".into(),
                kind: FieldKind::Word(vec![word.clone()]),
            }]),
            sampling: DecodingParams::greedy(24),
            logprobs: true,
        };
        for _ in 0..10 {
            let chat = Self::new(endpoint, capabilities)?;
            let answer = chat.post(&chat.body(&request), Some(record)).await?;
            if answer.status == 400 || answer.status == 422 || answer.status == 500 || answer.status == 501 {
                if !capabilities.do_without(&String::from_utf8_lossy(&answer.body)) {
                    return Err(refusal(chat.client.destination(), &answer));
                }
                continue;
            }
            let reply = read(chat.client.destination(), &answer, None)?;
            if reply.tokens.is_empty() {
                capabilities.top_logprobs = 0;
            }
            let said = super::reply::object(&reply.text).ok();
            let kept = match capabilities.format {
                ResponseFormat::JsonSchema => {
                    said.is_some_and(|v| v.get("greeting").and_then(Value::as_str) == Some(&word))
                }
                ResponseFormat::JsonObject => said.is_some(),
                ResponseFormat::Text => true,
            };
            if kept {
                return Ok(capabilities);
            }
            capabilities.format = capabilities.format.weaker();
        }
        Err(LlmError::Fatal(format!("{} refuses every form of request that is known here", endpoint.url)))
    }

    async fn post(&self, body: &Value, record: Option<&EgressRecord>) -> Result<Answer, LlmError> {
        let answer = self.client.post("chat/completions", body.to_string().into_bytes(), record).await?;
        match answer.status {
            200..=299 | 400 | 422 => Ok(answer),
            // Some servers answer a parameter that they do not know with an error of their own.
            500 | 501 if says_parameter(&answer.body) => Ok(answer),
            _ => Err(refusal(self.client.destination(), &answer)),
        }
    }

    fn body(&self, request: &WriteRequest) -> Value {
        body(&self.model, self.capabilities, request)
    }

    async fn choose_one(
        &self,
        request: &ChooseRequest,
        question: &str,
        record: Option<&EgressRecord>,
    ) -> Result<ChoiceReply, LlmError> {
        if self.capabilities.top_logprobs == 0 {
            return Err(LlmError::Fatal(format!(
                "{} gives no token probabilities, so it cannot choose by letter; use answer = \"json\" under [label]",
                self.client.destination()
            )));
        }
        let mut turns = request.turns.clone();
        turns.push(ChatMessage::new(Role::User, question));
        let mut body = common(&self.model, self.capabilities, &turns, DecodingParams::greedy(1));
        body.insert("logprobs".into(), true.into());
        body.insert("top_logprobs".into(), self.capabilities.top_logprobs.into());
        let answer = self.post(&Value::Object(body), record).await?;
        let completion = completion(self.client.destination(), &answer)?;
        let first = completion.choices.into_iter().next().and_then(|c| c.logprobs?.content?.into_iter().next());
        let first = first.ok_or_else(|| garbled(self.client.destination(), "no probabilities in it"))?;
        let mut sums: Vec<Option<f64>> = vec![None; request.options.len()];
        for token in &first.top_logprobs {
            if let Some(at) = request.options.iter().position(|option| option == token.token.trim()) {
                *sums[at].get_or_insert(0.0) += token.logprob.exp();
            }
        }
        let logprobs = sums.into_iter().map(|sum| sum.map(|p| p.ln() as f32)).collect();
        Ok(ChoiceReply { logprobs, usage: usage(&completion.usage, Some(turn_bytes(&turns)), 1) })
    }
}

fn body(model: &str, can: Capabilities, request: &WriteRequest) -> Value {
    let mut turns = request.turns.clone();
    if let (Some(said), false) = (super::reply::describe(&request.shape), can.format == ResponseFormat::JsonSchema)
        && let Some(last) = turns.last_mut()
    {
        last.content.push_str("\n\n");
        last.content.push_str(&said);
    }
    let mut body = common(model, can, &turns, request.sampling);
    match (&request.shape, can.format) {
        (AnswerFormat::Text, _) | (_, ResponseFormat::Text) => {}
        (shape, ResponseFormat::JsonSchema) => {
            let schema = json!({ "name": "answer", "strict": true, "schema": super::reply::schema(shape) });
            body.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": schema }));
        }
        (_, ResponseFormat::JsonObject) => {
            body.insert("response_format".into(), json!({ "type": "json_object" }));
        }
    }
    if request.logprobs && can.top_logprobs > 0 {
        body.insert("logprobs".into(), true.into());
        body.insert("top_logprobs".into(), 1.into());
    }
    Value::Object(body)
}

fn common(model: &str, can: Capabilities, turns: &[ChatMessage], sampling: DecodingParams) -> Map<String, Value> {
    let mut body = Map::new();
    if !model.is_empty() {
        body.insert("model".into(), model.into());
    }
    body.insert("messages".into(), json!(turns));
    let field = if can.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    body.insert(field.into(), sampling.max_tokens.into());
    if can.temperature {
        body.insert("temperature".into(), json!(sampling.temperature));
        if sampling.top_p < 1.0 {
            body.insert("top_p".into(), json!(sampling.top_p));
        }
    }
    if can.seed && sampling.temperature > 0.0 {
        body.insert("seed".into(), sampling.seed.into());
    }
    body
}

/// Reads an answer to `sent` bytes of turns, where that is known.
fn read(from: &dyn Display, answer: &Answer, sent: Option<usize>) -> Result<Reply, LlmError> {
    let completion = completion(from, answer)?;
    let choice = completion.choices.into_iter().next();
    let choice = choice.ok_or_else(|| garbled(from, "no choice in it"))?;
    let text = choice.message.content.unwrap_or_default();
    let tokens = choice.logprobs.and_then(|l| l.content).unwrap_or_default();
    let usage = usage(&completion.usage, sent, text.len());
    Ok(Reply {
        complete: choice.finish_reason.as_deref() != Some("length"),
        tokens: tokens.into_iter().map(|t| WrittenToken { text: t.token, logprob: t.logprob as f32 }).collect(),
        text,
        usage,
    })
}

fn completion(from: &dyn Display, answer: &Answer) -> Result<Completion, LlmError> {
    if !(200..=299).contains(&answer.status) {
        return Err(refusal(from, answer));
    }
    serde_json::from_slice(&answer.body).map_err(|e| garbled(from, &e.to_string()))
}

impl LanguageModel for Chat {
    fn card(&self) -> &ModelInfo {
        &self.card
    }

    fn destination(&self) -> Option<&Destination> {
        Some(self.client.destination())
    }

    fn write<'a>(&'a self, request: &'a WriteRequest, record: Option<&'a EgressRecord>) -> PendingAnswer<'a, Reply> {
        Box::pin(async move {
            let answer = self.post(&self.body(request), record).await?;
            read(self.client.destination(), &answer, Some(turn_bytes(&request.turns)))
        })
    }

    /// Scores the first token: options must be single letters or the like, each a token of its own.
    fn choose<'a>(
        &'a self,
        request: &'a ChooseRequest,
        record: Option<&'a EgressRecord>,
    ) -> PendingAnswer<'a, Vec<ChoiceReply>> {
        Box::pin(async move {
            let mut choices = Vec::with_capacity(request.questions.len());
            for question in &request.questions {
                choices.push(self.choose_one(request, question, record).await?);
            }
            Ok(choices)
        })
    }
}

impl ResponseFormat {
    fn weaker(self) -> Self {
        match self {
            Self::JsonSchema => Self::JsonObject,
            Self::JsonObject | Self::Text => Self::Text,
        }
    }
}

impl Capabilities {
    /// Gives up what the server's complaint names, or else the next stronger form; false when nothing is left to give up.
    fn do_without(&mut self, said: &str) -> bool {
        let said = said.to_ascii_lowercase();
        let before = *self;
        if said.contains("max_completion_tokens") && !self.max_completion_tokens {
            self.max_completion_tokens = true;
        } else if said.contains("logprob") && self.top_logprobs > 0 {
            self.top_logprobs = if self.top_logprobs > 5 { 5 } else { 0 };
        } else if (said.contains("temperature") || said.contains("top_p")) && self.temperature {
            self.temperature = false;
        } else if said.contains("seed") && self.seed {
            self.seed = false;
        } else if self.format != ResponseFormat::Text {
            self.format = self.format.weaker();
        } else if self.top_logprobs > 0 {
            self.top_logprobs = 0;
        }
        *self != before
    }
}

fn says_parameter(body: &[u8]) -> bool {
    let said = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["response_format", "json_schema", "logprobs", "grammar", "not supported", "unsupported"]
        .iter()
        .any(|w| said.contains(w))
}

/// What a status other than success means for this request and the others.
fn refusal(from: &dyn Display, answer: &Answer) -> LlmError {
    let said = message(&answer.body);
    let what = format!("{from} answered {}{said}", answer.status);
    match answer.status {
        408 | 409 | 425 | 429 | 500..=599 if !says_quota(&answer.body) => {
            LlmError::Later { what, after: answer.retry_after }
        }
        401 | 403 => {
            LlmError::Fatal(format!("{what}; is the key right, and does it stand in the variable that key_env names?"))
        }
        404 | 405 => {
            LlmError::Fatal(format!("{what}; are url and model right? the url ends where /chat/completions begins"))
        }
        400 | 413 | 422 => LlmError::Unanswerable(what),
        _ => LlmError::Fatal(what),
    }
}

/// A 429 that no waiting mends: the account is empty.
fn says_quota(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("insufficient_quota")
}

/// What the server says of its refusal, short.
fn message(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = value.pointer("/error/message").or_else(|| value.get("error")).or_else(|| value.get("message"));
    let said = said.and_then(Value::as_str).map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    if said.is_empty() { said } else { format!(" ({said})") }
}

fn garbled(from: &dyn Display, what: &str) -> LlmError {
    LlmError::Later { what: format!("{from} sent a reply that cannot be read: {what}"), after: None }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<ChoiceJson>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct ChoiceJson {
    message: MessageJson,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<LogprobsJson>,
}

#[derive(Deserialize)]
struct MessageJson {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct LogprobsJson {
    #[serde(default)]
    content: Option<Vec<TokenJson>>,
}

#[derive(Deserialize)]
struct TokenJson {
    token: String,
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<TokenJson>,
}

fn turn_bytes(turns: &[ChatMessage]) -> usize {
    turns.iter().map(|turn| turn.content.len() + 16).sum()
}

/// What an answer of `came` bytes cost: as the server says, where that can be. No token is less than half a byte here; beside
/// the text that is seen, a template around the turns is read and reasoning is written. Budgets rest on our own count
/// where the server's is missing or absurd, or an absurd one would end the run, and one of nothing would never end it.
fn usage(told: &Value, sent: Option<usize>, came: usize) -> Usage {
    const AROUND: u64 = 100_000;
    let possible = |count: &Value, bytes: usize| {
        let most = 2 * bytes as u64 + AROUND;
        count.as_u64().filter(|tokens| (1..=most).contains(tokens))
    };
    let own = |bytes: usize| bytes as u64 / 4 + 1;
    let prompt = possible(&told["prompt_tokens"], sent.unwrap_or(1 << 30));
    let completion = possible(&told["completion_tokens"], came);
    let read = prompt.unwrap_or_else(|| sent.map_or(0, own));
    Usage {
        prompt: read,
        cached: told["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0).min(read),
        completion: completion.unwrap_or_else(|| own(came)),
        estimated: prompt.is_none() || completion.is_none(),
    }
}

/// One line of OpenAI's batch input file, as hosted batch APIs and vLLM's batch runner take it.
pub(crate) fn batch_line(id: &str, model: &str, request: &WriteRequest, format: ResponseFormat) -> String {
    let body = body(model, Capabilities { format, ..Capabilities::ALL }, request);
    json!({ "custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body }).to_string()
}

/// Reads one line of a batch output file: its id, and the reply or what went wrong.
pub(crate) fn batch_reply(line: &str) -> Result<(String, Result<Reply, String>), String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("no JSON: {e}"))?;
    let id = value.get("custom_id").and_then(Value::as_str).ok_or("no custom_id")?.to_owned();
    let error = value.get("error").filter(|e| !e.is_null());
    let response = value.get("response").filter(|r| !r.is_null());
    let Some(response) = response.filter(|_| error.is_none()) else {
        return Ok((id, Err(error.map_or_else(|| "no response".to_owned(), ToString::to_string))));
    };
    let status = response.get("status_code").and_then(Value::as_u64).unwrap_or(200);
    let body = response.get("body").cloned().unwrap_or_default().to_string().into_bytes();
    let answer = Answer { status: u16::try_from(status).unwrap_or(0), retry_after: None, body };
    Ok((id, read(&"the batch", &answer, None).map_err(|e| e.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that a server says of its tokens ends a run, lets a budget run on for ever, or overflows.
    #[test]
    fn an_absurd_count_of_tokens_is_not_believed() {
        let read = |usage: &str| {
            let body = format!(r#"{{"choices":[{{"message":{{"content":"twelve bytes"}}}}]{usage}}}"#).into_bytes();
            let usage = read(&"h", &Answer { status: 200, retry_after: None, body }, Some(400)).unwrap().usage;
            (usage.prompt, usage.cached, usage.completion, usage.estimated)
        };
        let own = (101, 0, 4, true);
        let told = |prompt: &str, completion: &str| {
            read(&format!(r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}"#))
        };
        assert_eq!(told("90", "3"), (90, 0, 3, false));
        assert_eq!(told("30000", "60000"), (30_000, 0, 60_000, false), "a long template, and hidden reasoning");
        for absurd in
            ["0", "-1", "18446744073709551615", "18446744073709551616", "1e300", "0.5", "null", "\"90\"", "[]"]
        {
            assert_eq!(told(absurd, absurd), own, "{absurd}");
        }
        assert_eq!((read(""), read(r#","usage":null"#), read(r#","usage":{}"#)), (own, own, own));
        assert_eq!((read(r#","usage":0"#), read(r#","usage":"free""#), read(r#","usage":[1]"#)), (own, own, own));
        let cached =
            r#","usage":{"prompt_tokens":90,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":9999}}"#;
        assert_eq!(read(cached), (90, 90, 3, false));
    }
}
