//! Writing an answer: token by token, or the values of a JSON frame that is ours.

use candle_core::Result as Computed;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashSet;

use super::super::{
    AnswerFormat, DecodingParams, Field, FieldKind, LlmError, Reply, Usage, WriteRequest, WrittenToken,
};
use super::attention::{Cache, Feed};
use super::engine::{Engine, computing};
use super::product::{exp, log_sum};
use super::tree::Tree;

/// What must follow a candidate for it to be the whole value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Anything,
    /// A closing quote.
    Quote,
    /// Neither digit nor point.
    NoDigit,
}

/// An answer that is being written.
pub(super) struct AnswerWriter<'a> {
    engine: &'a Engine,
    cache: Cache,
    /// Tokens that stand fast and are not yet read.
    pending: Vec<u32>,
    sampling: DecodingParams,
    random: ChaCha8Rng,
    /// Tokens that the answer may still take.
    left: usize,
    completion: u64,
    text: String,
    tokens: Vec<WrittenToken>,
    complete: bool,
    stopped: &'a dyn Fn() -> bool,
    /// Tokens by how they begin: with a quote, with a digit or point.
    quotes: Vec<u32>,
    digits: Vec<u32>,
}

impl Engine {
    /// Writes an answer; see [`WriteRequest`].
    pub(super) fn write(&mut self, request: &WriteRequest, stopped: &dyn Fn() -> bool) -> Result<Reply, LlmError> {
        let (tokens, _) = self.prompt(&request.turns)?;
        let room = self.settings.context.saturating_sub(tokens.len());
        if room == 0 || tokens.is_empty() {
            return Err(LlmError::Unanswerable(format!(
                "a prompt of {} tokens leaves no room in the model's context of {}; shorten guideline or sentence",
                tokens.len(),
                self.settings.context
            )));
        }
        let (cache, known) = self.writing(&tokens, request).map_err(computing)?;
        let pending = tokens[cache.len()..].to_vec();
        let starting = |test: &dyn Fn(u8) -> bool| -> Vec<u32> {
            (0..self.tokenizer.len() as u32)
                .filter(|id| self.tokenizer.bytes(*id).first().is_some_and(|byte| test(*byte)))
                .collect()
        };
        let mut writer = AnswerWriter {
            engine: self,
            cache,
            pending,
            sampling: request.sampling,
            random: ChaCha8Rng::seed_from_u64(request.sampling.seed),
            left: room.min(request.sampling.max_tokens as usize),
            completion: 0,
            text: String::new(),
            tokens: Vec::new(),
            complete: true,
            stopped,
            quotes: starting(&|byte| byte == b'"'),
            digits: starting(&|byte| byte.is_ascii_digit() || byte == b'.'),
        };
        match &request.shape {
            AnswerFormat::Text => writer.free()?,
            AnswerFormat::Object(fields) => writer.object(fields)?,
            AnswerFormat::Objects(count, fields) => {
                writer.say("{\"answers\": [")?;
                for at in 0..*count {
                    writer.say(if at == 0 { "" } else { ", " })?;
                    writer.object(fields)?;
                }
                writer.say("]}")?;
            }
        }
        Ok(Reply {
            text: writer.text,
            complete: writer.complete,
            tokens: if request.logprobs { writer.tokens } else { Vec::new() },
            usage: Usage {
                prompt: tokens.len() as u64,
                cached: known as u64,
                completion: writer.completion,
                estimated: false,
            },
        })
    }

    /// The cache to write after: the turns before the last are kept for the next request, the last turn is not.
    fn writing(&mut self, tokens: &[u32], request: &WriteRequest) -> Computed<(Cache, usize)> {
        let mut other = request.turns.clone();
        if let Some(last) = other.last_mut() {
            last.content = "\u{3b1}".into();
        }
        let shared = self
            .prompt(&other)
            .map_or(0, |(other, _)| other.iter().zip(tokens).take_while(|(a, b)| a == b).count())
            .min(tokens.len() - 1);
        let (mut cache, known) = self.beginning(&tokens[..shared], shared)?;
        // All but the last token, whose logits are wanted.
        let rest = &tokens[shared..tokens.len() - 1];
        self.extend(&mut cache, rest)?;
        Ok((cache, known))
    }
}

/// Picks by weight: the likeliest at temperature 0, else one drawn from the likeliest that hold `top_p`.
fn pick(logits: &[f32], sampling: &DecodingParams, random: &mut ChaCha8Rng) -> Option<usize> {
    let best = (0..logits.len()).filter(|at| logits[*at] > f32::NEG_INFINITY).max_by(|a, b| {
        // The first of equals.
        logits[*a].total_cmp(&logits[*b]).then(b.cmp(a))
    })?;
    if sampling.temperature <= 0.0 {
        return Some(best);
    }
    let most = logits[best];
    let weight = |at: usize| exp((logits[at] - most) / sampling.temperature);
    // What weighs less than a millionth of the best is never drawn, which spares the sorting of whole vocabularies.
    let mut order: Vec<(usize, f32)> = (0..logits.len())
        .filter(|at| (logits[*at] - most) / sampling.temperature > -14.0)
        .map(|at| (at, weight(at)))
        .collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let total: f32 = order.iter().map(|(_, w)| w).sum();
    let mut held = 0.0;
    let enough = order.iter().position(|(_, w)| {
        held += w;
        held >= sampling.top_p * total
    });
    order.truncate(enough.map_or(order.len(), |at| at + 1));
    let total: f32 = order.iter().map(|(_, w)| w).sum();
    let mut drawn = random.random::<f32>() * total;
    for (at, weight) in &order {
        drawn -= weight;
        if drawn <= 0.0 {
            return Some(*at);
        }
    }
    order.last().map(|(at, _)| *at)
}

/// How far a piece goes on inside a JSON text of so many characters at most.
enum Piece {
    /// All of it belongs to the text.
    Within,
    /// The text ends after so many bytes of it: at a quote, or at the most characters.
    Ends(usize),
    /// It cannot stand here.
    Wrong,
}

/// Judges the bytes that would follow `body`, the raw text between the quotes so far.
fn judge(body: &[u8], piece: &[u8], most: usize) -> Piece {
    let mut all = body.to_vec();
    let mut escaped = body.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
    for (at, byte) in piece.iter().enumerate() {
        match (escaped, byte) {
            (true, b'"' | b'\\' | b'/') => escaped = false,
            (true, _) | (false, 0..0x20 | 0x7f) => return Piece::Wrong,
            (false, b'"') => return if std::str::from_utf8(&all).is_ok() { Piece::Ends(at) } else { Piece::Wrong },
            (false, b'\\') => escaped = true,
            (false, _) => {}
        }
        all.push(*byte);
        match std::str::from_utf8(&all) {
            Ok(text) if !escaped && characters(text) >= most => return Piece::Ends(at + 1),
            Err(error) if error.error_len().is_some() => return Piece::Wrong,
            _ => {}
        }
    }
    Piece::Within
}

/// Characters of the text that a JSON body stands for.
fn characters(body: &str) -> usize {
    let mut escaped = false;
    body.chars()
        .filter(|c| {
            escaped = *c == '\\' && !escaped;
            !escaped
        })
        .count()
}

impl AnswerWriter<'_> {
    /// Adds text of the frame.
    fn say(&mut self, text: &str) -> Result<(), LlmError> {
        self.pending.extend(self.engine.tokenizer.plain(text, false)?);
        self.text.push_str(text);
        Ok(())
    }

    /// Reads what stands fast, but for the last token, so that a tree can follow.
    fn logits(&mut self, tree: &Tree) -> Result<Vec<f32>, LlmError> {
        if (self.stopped)() {
            return Err(LlmError::Stopped);
        }
        let engine = self.engine;
        if self.pending.len() > 64 {
            let fast = self.pending.len() - 1;
            engine.extend(&mut self.cache, &self.pending[..fast]).map_err(computing)?;
            self.pending.drain(..fast);
        }
        let mut feed = Feed::chain(&self.pending);
        let root = self.pending.len().saturating_sub(1);
        let first = tree.plant(&mut feed, root);
        let wanted: Vec<usize> = [root].into_iter().chain(first..feed.tokens.len()).collect();
        if self.cache.len() + feed.tokens.len() > self.engine.settings.context {
            return Err(LlmError::Unanswerable("the answer outgrows the model's context; ask for less at once".into()));
        }
        let (segment, logits) = engine.model.read_on(&self.cache, &feed, &wanted).map_err(computing)?;
        let read = self.cache.len() + self.pending.len();
        self.cache.push(segment).and_then(|()| self.cache.truncate(read)).map_err(computing)?;
        // The last token is read again with what follows it: its logits must come from somewhere.
        if let Some(last) = self.pending.last().copied() {
            self.cache.truncate(read - 1).map_err(computing)?;
            self.pending = vec![last];
        }
        Ok(logits)
    }

    /// Picks one of several texts that may stand here, by their probability as a whole.
    fn choose(&mut self, candidates: &[(String, After)]) -> Result<usize, LlmError> {
        let tokens: Vec<Vec<u32>> =
            candidates.iter().map(|(text, _)| self.engine.tokenizer.plain(text, false)).collect::<Result<_, _>>()?;
        let ended = candidates.iter().map(|(_, after)| *after != After::Anything);
        let tree = Tree::new(tokens.iter().map(Vec::as_slice).zip(ended));
        let logits = self.logits(&tree)?;
        let rows: Vec<&[f32]> = logits.chunks_exact(self.engine.model.words()).collect();
        let (quotes, digits) = (&self.quotes, &self.digits);
        let of = |row: &[f32], ids: &[u32]| log_sum(&ids.iter().map(|id| row[*id as usize]).collect::<Vec<_>>());
        let scores = tree.score(&rows, &|row, sum, number| match candidates[number].1 {
            After::Anything => 0.0,
            After::Quote => of(row, quotes) - sum,
            After::NoDigit => (1.0 - exp(of(row, digits) - sum)).max(1e-9).ln(),
        });
        let picked = pick(&scores, &self.sampling, &mut self.random)
            .ok_or_else(|| LlmError::Unanswerable("there is nothing to choose from".into()))?;
        self.add(&candidates[picked].0, &tokens[picked], scores[picked]);
        Ok(picked)
    }

    fn add(&mut self, text: &str, tokens: &[u32], logprob: f32) {
        self.pending.extend(tokens);
        self.text.push_str(text);
        self.left = self.left.saturating_sub(tokens.len());
        self.completion += tokens.len() as u64;
        self.tokens.push(WrittenToken { text: text.to_owned(), logprob });
    }

    /// Any text, to a token that ends it.
    fn free(&mut self) -> Result<(), LlmError> {
        let nothing = Tree { nodes: Vec::new(), paths: Vec::new() };
        let mut bytes = Vec::new();
        self.complete = false;
        while self.left > 0 {
            let mut logits = self.logits(&nothing)?;
            let sum = log_sum(&logits);
            let ends = self.engine.tokenizer.ends();
            let usable = |at: usize| !self.engine.tokenizer.bytes(at as u32).is_empty() || ends.contains(&(at as u32));
            for (at, logit) in logits.iter_mut().enumerate() {
                if !usable(at) {
                    *logit = f32::NEG_INFINITY;
                }
            }
            let Some(at) = pick(&logits, &self.sampling, &mut self.random) else { break };
            if ends.contains(&(at as u32)) {
                self.complete = true;
                break;
            }
            let piece = self.engine.tokenizer.bytes(at as u32).to_vec();
            self.add("", &[at as u32], logits[at] - sum);
            if let Some(last) = self.tokens.last_mut() {
                last.text = String::from_utf8_lossy(&piece).into_owned();
            }
            bytes.extend(piece);
        }
        self.text.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    fn object(&mut self, fields: &[Field]) -> Result<(), LlmError> {
        self.say("{")?;
        for (at, field) in fields.iter().enumerate() {
            let name = serde_json::Value::from(field.name.as_str());
            self.say(&format!("{}{name}: ", if at == 0 { "" } else { ", " }))?;
            match &field.kind {
                FieldKind::Word(words) if words.is_empty() => self.say("null")?,
                FieldKind::Word(words) => {
                    let words: Vec<(String, After)> = words.iter().map(|w| (open(w), After::Quote)).collect();
                    self.choose(&words)?;
                    self.say("\"")?;
                }
                FieldKind::Words(words) => self.words(words)?,
                FieldKind::Text(most) => {
                    self.say("\"")?;
                    self.body(*most)?;
                    self.say("\"")?;
                }
                FieldKind::Texts(count, most) => self.texts(*count, *most)?,
                FieldKind::Share => self.share()?,
            }
        }
        self.say("}")
    }

    fn words(&mut self, words: &[String]) -> Result<(), LlmError> {
        let mut taken = FxHashSet::default();
        loop {
            let (end, lead) = if taken.is_empty() { ("[]", "[") } else { ("\"]", "\", ") };
            let mut candidates = vec![(end.to_owned(), After::Anything)];
            let free: Vec<&String> = words.iter().filter(|word| !taken.contains(*word)).collect();
            if self.left > 0 {
                candidates.extend(free.iter().map(|word| (format!("{lead}{}", open(word)), After::Quote)));
            }
            match self.choose(&candidates)?.checked_sub(1).and_then(|at| free.get(at)) {
                Some(word) => taken.insert((*word).clone()),
                None => return Ok(()),
            };
        }
    }

    fn texts(&mut self, count: usize, most: usize) -> Result<(), LlmError> {
        for at in 0..=count {
            let (end, lead) = if at == 0 { ("[]", "[\"") } else { ("\"]", "\", \"") };
            let mut candidates = vec![(end.to_owned(), After::Anything)];
            if at < count && self.left > 0 {
                candidates.push((lead.to_owned(), After::Anything));
            }
            if self.choose(&candidates)? == 0 {
                break;
            }
            self.body(most)?;
        }
        Ok(())
    }

    fn share(&mut self) -> Result<(), LlmError> {
        let mut candidates = vec![("0".to_owned(), After::NoDigit), ("1".to_owned(), After::NoDigit)];
        candidates.push(("1.0".to_owned(), After::Anything));
        for tenth in 0..10 {
            candidates.push((format!("0.{tenth}"), After::NoDigit));
            candidates.extend((0..10).map(|hundredth| (format!("0.{tenth}{hundredth}"), After::Anything)));
        }
        self.choose(&candidates).map(|_| ())
    }

    /// The inside of a JSON text: without line breaks, of at most so many characters, up to its closing quote.
    fn body(&mut self, most: usize) -> Result<(), LlmError> {
        let nothing = Tree { nodes: Vec::new(), paths: Vec::new() };
        let mut body: Vec<u8> = Vec::new();
        let mut ended = most == 0;
        while !ended {
            if self.left == 0 {
                self.complete = false;
                break;
            }
            let mut logits = self.logits(&nothing)?;
            let sum = log_sum(&logits);
            ended = true;
            while let Some(at) = pick(&logits, &self.sampling, &mut self.random) {
                let (id, engine) = (at as u32, self.engine);
                let bytes = engine.tokenizer.bytes(id);
                let valid = std::str::from_utf8(&body).is_ok() && !open_escape(&body);
                if engine.tokenizer.ends().contains(&id) && valid {
                    break;
                }
                match judge(&body, bytes, most) {
                    Piece::Within if !bytes.is_empty() => {
                        let text = String::from_utf8_lossy(bytes);
                        self.pending.push(id);
                        self.left -= 1;
                        self.completion += 1;
                        self.tokens.push(WrittenToken { text: text.into_owned(), logprob: logits[at] - sum });
                        body.extend_from_slice(bytes);
                        ended = false;
                    }
                    Piece::Ends(len) => {
                        let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
                        self.pending.extend(engine.tokenizer.plain(&text, false)?);
                        self.left -= 1;
                        self.completion += 1;
                        self.tokens.push(WrittenToken { text, logprob: logits[at] - sum });
                        body.extend_from_slice(&bytes[..len]);
                    }
                    _ => {
                        logits[at] = f32::NEG_INFINITY;
                        continue;
                    }
                }
                break;
            }
        }
        // Cut short, a last character or escape may be half there.
        while !body.is_empty() && (std::str::from_utf8(&body).is_err() || open_escape(&body)) {
            body.pop();
        }
        self.text.push_str(&String::from_utf8_lossy(&body));
        Ok(())
    }
}

fn open_escape(body: &[u8]) -> bool {
    body.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

/// A JSON text without its closing quote.
fn open(text: &str) -> String {
    let mut quoted = serde_json::Value::from(text).to_string();
    quoted.pop();
    quoted
}
