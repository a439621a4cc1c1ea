//! Replies that were kept: the same question to the same model is not sent twice.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Answer, Question};
use crate::llm::{ChoiceReply, Reply};
use crate::store::Store;
use crate::workflow::WorkflowError;

/// The kept form of an answer about one sentence.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CachedReply {
    Written(Reply),
    Chosen(ChoiceReply),
}

/// What kept replies are known by, one for each sentence.
pub(super) fn keys(identity: &str, question: &Question) -> Vec<[u8; 32]> {
    let key = |what: serde_json::Value| Sha256::digest(format!("{identity}\n{what}")).into();
    match question {
        Question::Write(request) => vec![key(serde_json::json!(request))],
        Question::Choose(choose) => choose
            .questions
            .iter()
            .map(|sentence| key(serde_json::json!([choose.turns, sentence, choose.options])))
            .collect(),
    }
}

/// The answer from kept replies, if all of it is there. A reply that cannot be read any more is asked for again.
pub(super) fn read(store: &Store, keys: &[[u8; 32]], question: &Question) -> Result<Option<Answer>, WorkflowError> {
    let mut choices = Vec::new();
    for key in keys {
        let Some(text) = store.kept_reply(key)? else {
            return Ok(None);
        };
        match (serde_json::from_str(&text), question) {
            (Ok(CachedReply::Written(reply)), Question::Write(_)) => return Ok(Some(Answer::Written(reply))),
            (Ok(CachedReply::Chosen(choice)), Question::Choose(_)) => choices.push(choice),
            _ => return Ok(None),
        }
    }
    Ok(Some(Answer::Chosen(choices)))
}

/// Rows for the table of kept replies.
pub(super) fn rows(keys: &[[u8; 32]], answer: &Answer) -> Vec<([u8; 32], String)> {
    let kept: Vec<CachedReply> = match answer {
        Answer::Written(reply) => vec![CachedReply::Written(reply.clone())],
        Answer::Chosen(choices) => choices.iter().cloned().map(CachedReply::Chosen).collect(),
    };
    keys.iter().zip(kept).filter_map(|(key, kept)| Some((*key, serde_json::to_string(&kept).ok()?))).collect()
}
