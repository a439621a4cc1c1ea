//! Text to tokens and back, by the vocabulary in the model file. Text of a note is never read as a control token.

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use rustc_hash::FxHashMap;
use tokenizers::Tokenizer as Pairs;

use super::super::LlmError;
use super::file::{GgufFile, whole};
use super::sentencepiece::Pieces;

enum TokenizerKind {
    /// Byte pairs, as GPT-2 had them.
    Pairs(Box<Pairs>),
    /// Pieces with scores, as SentencePiece has them.
    Pieces(Pieces),
}

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PromptPart {
    /// Text of the template: control tokens in it are control tokens.
    Template(String),
    /// Anyone's text: nothing in it is a control token.
    Plain(String),
}

/// A model's tokenizer.
pub(super) struct Tokenizer {
    kind: TokenizerKind,
    /// What each token adds to a text; nothing for control tokens.
    bytes: Vec<Vec<u8>>,
    /// Control tokens by their spelling, the longest first.
    controls: Vec<(String, u32)>,
    /// Token that begins every prompt.
    bos: Option<u32>,
    names: [Option<String>; 2],
    /// Tokens that end an answer.
    ends: Vec<u32>,
}

/// The byte that each character of GPT-2's alphabet stands for.
fn alphabet() -> FxHashMap<char, u8> {
    let plain = |b: &u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let mut rest = 256;
    (0..=255_u8)
        .map(|byte| {
            let char = if plain(&byte) {
                char::from(byte)
            } else {
                rest += 1;
                char::from_u32(rest - 1).unwrap_or('?')
            };
            (char, byte)
        })
        .collect()
}

impl Tokenizer {
    /// Reads it from the metadata.
    pub(super) fn read(file: &GgufFile) -> Result<Self, LlmError> {
        let missing = |what: &str| file.wrong(format!("its metadata has no {what}; convert the model again"));
        let list = file.list("tokenizer.ggml.tokens").ok_or_else(|| missing("tokenizer.ggml.tokens"))?;
        let tokens: Vec<String> = list.iter().map(|v| v.to_string().map_or(String::new(), Clone::clone)).collect();
        let types: Vec<usize> = file
            .list("tokenizer.ggml.token_type")
            .map(|list| list.iter().map(|v| whole(v).unwrap_or(1)).collect())
            .unwrap_or_default();
        let id = |key: &str| {
            let id = file.number(&format!("tokenizer.ggml.{key}_token_id")).filter(|id| *id < tokens.len());
            id.map(|id| id as u32)
        };
        let (bos, eos) = (id("bos"), id("eos"));
        let is_control = |at: usize| {
            // Unknown, control, user-defined and unused tokens; bytes (6) belong to texts.
            matches!(types.get(at), Some(2..=5)) || [bos, eos].contains(&Some(at as u32))
        };
        let name = file.text("tokenizer.ggml.model").unwrap_or("").to_owned();
        let (kind, bytes, default_bos): (TokenizerKind, Vec<Vec<u8>>, bool) = match name.as_str() {
            "gpt2" => {
                let mut pairs = Pairs::from_gguf(&file.content).map_err(|error| file.wrong(error))?;
                pairs.set_encode_special_tokens(true);
                let alphabet = alphabet();
                let spell = |token: &str| token.chars().filter_map(|c| alphabet.get(&c).copied()).collect();
                let bytes = tokens.iter().map(|token| spell(token)).collect();
                (TokenizerKind::Pairs(Box::new(pairs)), bytes, false)
            }
            "llama" => {
                let scores = file.list("tokenizer.ggml.scores").ok_or_else(|| missing("tokenizer.ggml.scores"))?;
                let score = |v: &Value| v.to_f32().unwrap_or(0.0);
                let space = file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
                let scores = scores.iter().map(score).collect();
                let usable = (0..tokens.len()).map(|at| !is_control(at)).collect::<Vec<_>>();
                let pieces = Pieces::new(&tokens, scores, &usable, space);
                let bytes = tokens.iter().map(|token| Pieces::bytes(token)).collect();
                (TokenizerKind::Pieces(pieces), bytes, true)
            }
            other => {
                return Err(file.wrong(format!(
                    "a tokenizer of kind {other:?}; those that can be used here are gpt2 (byte pairs) and llama \
                     (SentencePiece)"
                )));
            }
        };
        let mut bytes = bytes;
        let mut controls = Vec::new();
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| is_control(*at)) {
            bytes[at] = Vec::new();
            if !token.is_empty() {
                controls.push((token.clone(), at as u32));
            }
        }
        controls.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        let known = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "</s>", "<eos>"];
        let mut ends: Vec<u32> = [eos, id("eot")].into_iter().flatten().collect();
        ends.extend(controls.iter().filter(|(token, _)| known.contains(&token.as_str())).map(|(_, id)| *id));
        ends.sort_unstable();
        ends.dedup();
        let spelled = |id: Option<u32>| id.and_then(|id| tokens.get(id as usize)).cloned();
        let names = [spelled(bos), spelled(eos)];
        let add_bos = file.flag("tokenizer.ggml.add_bos_token").unwrap_or(default_bos);
        Ok(Self { kind, bytes, controls, bos: bos.filter(|_| add_bos), names, ends })
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Spelling of the tokens that begin and end a text, for templates.
    pub(super) fn names(&self) -> [&str; 2] {
        [0, 1].map(|at| self.names[at].as_deref().unwrap_or(""))
    }

    /// Tokens that end an answer.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Whether a control token is spelled so.
    pub(super) fn control(&self, spelling: &str) -> Option<u32> {
        self.controls.iter().find(|(token, _)| token == spelling).map(|(_, id)| *id)
    }

    /// What a token adds to a text: nothing for control tokens.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Tokens of a text in which nothing is a control token. `start`: it begins a text, before which some vocabularies have
    /// a space.
    pub(super) fn plain(&self, text: &str, start: bool) -> Result<Vec<u32>, LlmError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        match &self.kind {
            TokenizerKind::Pairs(pairs) => pairs
                .encode_fast(text, false)
                .map(|found| found.get_ids().to_vec())
                .map_err(|error| LlmError::Unanswerable(format!("this text has no tokens: {error}"))),
            TokenizerKind::Pieces(pieces) => Ok(pieces.encode(text, start)),
        }
    }

    /// Tokens of a prompt, and its text after the last control token.
    pub(super) fn prompt(&self, parts: &[PromptPart]) -> Result<(Vec<u32>, String), LlmError> {
        let mut tokens: Vec<u32> = self.bos.into_iter().collect();
        let mut run = String::new();
        let mut start = true;
        for part in parts {
            let mut rest = match part {
                PromptPart::Plain(text) => {
                    run.push_str(text);
                    continue;
                }
                PromptPart::Template(text) => text.as_str(),
            };
            while let Some((at, control, id)) = self.next_control(rest) {
                run.push_str(&rest[..at]);
                rest = &rest[at + control..];
                tokens.extend(self.plain(&run, start)?);
                run.clear();
                start = true;
                // Templates that write the first token themselves must not get it twice.
                if tokens.as_slice() != [id] || self.bos != Some(id) {
                    tokens.push(id);
                }
            }
            run.push_str(rest);
        }
        tokens.extend(self.plain(&run, start)?);
        Ok((tokens, run))
    }

    fn next_control(&self, text: &str) -> Option<(usize, usize, u32)> {
        let mut best: Option<(usize, usize, u32)> = None;
        for (token, id) in &self.controls {
            if let Some(at) = text.find(token.as_str())
                && best.is_none_or(|(first, len, _)| at < first || (at == first && token.len() > len))
            {
                best = Some((at, token.len(), *id));
            }
        }
        best
    }

    /// Tokens of an answer that follows a prompt whose last text is `run`.
    pub(super) fn answer(&self, run: &str, answer: &str) -> Result<Vec<u32>, LlmError> {
        let before = self.plain(run, true)?;
        let with = self.plain(&format!("{run}{answer}"), true)?;
        if with.len() > before.len() && with.starts_with(&before) {
            return Ok(with[before.len()..].to_vec());
        }
        self.plain(answer, run.is_empty())
    }
}
