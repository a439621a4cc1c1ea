//! The embedded model: asks a minute by prefix reuse, batch and options, beside llama.cpp's server on the same file.
//!
//! `GOLDSMITH_GGUF` names the model file; without it there is nothing to measure. `GOLDSMITH_LLAMA_URL`
//! (`http://127.0.0.1:8123`) names a running server that is measured in turn. `GOLDSMITH_QUICK` measures the best setting
//! only. The quantised products run on as many threads as `CANDLE_NUM_THREADS` says, so that a comparison on fewer threads
//! than cores sets it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use goldsmith::formats::taxonomy;
use goldsmith::llm::embedded::{Embedded, Settings};
use goldsmith::llm::{ChatMessage, ChooseRequest, LanguageModel, Role};

/// Made-up sentences with their category's number, 0 for none.
const SENTENCES: &str = include_str!("embedded.txt");

fn choose_one(model: &Embedded, runtime: &tokio::runtime::Runtime, request: &ChooseRequest) -> Vec<Vec<f32>> {
    let choices = runtime.block_on(model.choose(request, None)).expect("an answer");
    choices.into_iter().map(|c| c.logprobs.into_iter().map(|p| p.unwrap_or(f32::NEG_INFINITY)).collect()).collect()
}

fn best(logprobs: &[f32]) -> usize {
    (0..logprobs.len()).max_by(|a, b| logprobs[*a].total_cmp(&logprobs[*b])).unwrap_or(0)
}

fn post(url: &str, body: &serde_json::Value) -> serde_json::Value {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).expect("the server is there");
    let head = "POST /v1/chat/completions HTTP/1.1";
    write!(
        stream,
        "{head}\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let start = answer.find('{').expect("a body");
    let end = answer.rfind('}').expect("a body");
    serde_json::from_str(&answer[start..=end]).expect("JSON")
}

/// One letter from the server, as its users would ask for it: its likeliest first token.
fn ask_server(url: &str, turns: &[ChatMessage], ask: &str, options: &[String]) -> usize {
    let mut messages = serde_json::to_value(turns).expect("turns");
    messages.as_array_mut().expect("a list").push(serde_json::json!({ "role": "user", "content": ask }));
    let body = serde_json::json!({
        "messages": messages, "max_tokens": 1, "temperature": 0, "logprobs": true, "top_logprobs": 20,
        "cache_prompt": true,
    });
    let answer = post(url, &body);
    let top = &answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"];
    let score = |option: &String| {
        let found = top.as_array().and_then(|top| top.iter().find(|t| t["token"].as_str() == Some(option)));
        found.and_then(|t| t["logprob"].as_f64()).unwrap_or(-99.0) as f32
    };
    best(&options.iter().map(score).collect::<Vec<_>>())
}

fn main() {
    let Some(path) = std::env::var_os("GOLDSMITH_GGUF").map(PathBuf::from) else {
        println!("skipped: GOLDSMITH_GGUF names no model file");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("taxonomy/ad-signs.toml");
    let source = std::fs::read_to_string(&root).expect("the taxonomy is there");
    let taxonomy = taxonomy::parse(&root, &source).expect("the taxonomy is valid");
    let mut guideline = "You label single sentences of clinical notes by a guideline. Choose exactly one letter.\n\n\
                         A: none of the categories\n"
        .to_owned();
    let letters: Vec<String> = ('A'..='J').map(String::from).collect();
    let mut keys = vec!["none".to_owned()];
    for (letter, category) in letters[1..].iter().zip(taxonomy.categories()) {
        guideline.push_str(&format!("{letter}: {} ({}). {}\n", category.name, category.key, category.definition));
        let lines = category.includes.iter().map(|line| ("included", line));
        for (kind, line) in lines.chain(category.excludes.iter().map(|line| ("not included", line))) {
            guideline.push_str(&format!("- {kind}: {line}\n"));
        }
        keys.push(category.key.to_string());
    }
    let mut turns = vec![ChatMessage::new(Role::System, guideline)];
    let shots = taxonomy.categories().iter().zip(&letters[1..]).map(|(c, l)| (c.examples.first(), l));
    for (text, letter) in shots.chain([(taxonomy.none().examples.first(), &letters[0])]) {
        turns.push(ChatMessage::new(Role::User, format!("Sentence: {}", text.map_or("", String::as_str))));
        turns.push(ChatMessage::new(Role::Assistant, letter.as_str()));
    }
    let questions: Vec<(usize, String)> = SENTENCES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(n, text)| (n.parse().unwrap_or(0), format!("Sentence: {text}")))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let quick = std::env::var_os("GOLDSMITH_QUICK").is_some();
    let url = std::env::var("GOLDSMITH_LLAMA_URL").ok();
    let report = |name: &str, seconds: f64, right: usize, n: usize| {
        println!("{name:<44} {:>6.1} asks a minute, {right} of {n} right", n as f64 * 60.0 / seconds);
    };
    let variants: &[(bool, usize)] =
        if quick { &[(true, 4)] } else { &[(true, 1), (true, 2), (true, 4), (true, 8), (false, 1)] };
    for (reuse_prefix, batch) in variants {
        let settings = Settings { reuse_prefix: *reuse_prefix, batch: *batch, ..Settings::default() };
        let start = Instant::now();
        let model = Embedded::load(&path, settings).expect("the model loads");
        println!("loaded in {:.1} s: {}", start.elapsed().as_secs_f64(), model.card().details["threads"]);
        for (name, options) in [("letters", &letters), ("keys", &keys)] {
            if name == "keys" && !reuse_prefix {
                continue;
            }
            let mut turns = turns.clone();
            if name == "keys" {
                for turn in turns.iter_mut().filter(|turn| turn.role == Role::Assistant) {
                    let at = letters.iter().position(|l| *l == turn.content).unwrap_or(0);
                    turn.content = keys[at].clone();
                }
                turns[0].content = turns[0].content.replace("exactly one letter", "exactly one key");
            }
            let request = |questions: &[(usize, String)]| ChooseRequest {
                turns: turns.clone(),
                questions: questions.iter().map(|(_, text)| text.clone()).collect(),
                options: options.clone(),
            };
            // The beginning is read before the clock starts, on either side.
            choose_one(&model, &runtime, &request(&questions[..*batch]));
            let asked = if *reuse_prefix { &questions[..] } else { &questions[..2] };
            let start = Instant::now();
            let mut right = 0;
            for group in asked.chunks(*batch) {
                let found = choose_one(&model, &runtime, &request(group));
                right += group.iter().zip(found).filter(|((truth, _), found)| best(found) == *truth).count();
            }
            let label = format!("embedded, {name}, reuse {reuse_prefix}, batch {batch}");
            report(&label, start.elapsed().as_secs_f64(), right, asked.len());
        }
        if let Some(url) = url.as_deref().filter(|_| *reuse_prefix) {
            ask_server(url, &turns, &questions[0].1, &letters);
            let start = Instant::now();
            let right = questions.iter().filter(|(n, text)| ask_server(url, &turns, text, &letters) == *n).count();
            report("llama.cpp's server, letters", start.elapsed().as_secs_f64(), right, questions.len());
        }
    }
}
