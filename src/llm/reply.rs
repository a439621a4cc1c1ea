//! What a model wrote, read leniently and checked strictly: JSON wherever it stands in the text, but no key, word, number
//! or quotation that was not asked for. Nothing is coerced: what does not fit is a [`ReplyFault`] that can be told to the model.

use serde_json::{Map, Value, json};

use super::{AnswerFormat, Field, FieldKind, Reply};
use crate::domain::category::CategoryKey;
use crate::domain::label::Label;
use crate::domain::taxonomy::Taxonomy;

/// What is wrong with a reply, in words that a model can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyFault {
    /// No JSON object in it.
    #[error("there is no JSON object in it")]
    NoObject,
    /// It ends in the middle.
    #[error("it breaks off before its end")]
    CutOff,
    /// A field is missing.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A value of the wrong kind.
    #[error("`{0}` must be {1}")]
    Kind(String, String),
    /// A category that there is not.
    #[error("`{0}` is no category; the categories are {1}")]
    Category(String, String),
    /// More categories than the taxonomy allows.
    #[error("{0} categories, but at most one is allowed")]
    TooMany(usize),
    /// A quotation that does not stand in the sentence.
    #[error("the evidence \"{0}\" does not stand word for word in the sentence")]
    Quotation(String),
    /// A category without evidence.
    #[error("a category was given, but no evidence is quoted for it")]
    NoEvidence,
    /// The wrong number of answers, or out of order.
    #[error("{0} answers to {1} sentences, or not in their order")]
    Answers(usize, usize),
    /// An empty text where one was asked for.
    #[error("the sentence is empty")]
    Empty,
}

/// The first JSON object in a text: after thinking aloud, code fences or a preamble.
pub(crate) fn object(text: &str) -> Result<Value, ReplyFault> {
    let text = text.rfind("</think>").map_or(text, |at| &text[at + "</think>".len()..]);
    let mut cut = false;
    for (at, _) in text.match_indices('{') {
        match serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>().next() {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) => cut |= error.is_eof(),
            None => {}
        }
    }
    Err(if cut { ReplyFault::CutOff } else { ReplyFault::NoObject })
}

/// The objects that a shape asks for: one, or one for each thing asked about, all fields checked.
pub(crate) fn objects(reply: &Reply, shape: &AnswerFormat) -> Result<Vec<Map<String, Value>>, ReplyFault> {
    each(reply, shape)?.into_iter().collect()
}

/// One of several answers, or what is wrong with it.
pub(crate) type CheckedReply = Result<Map<String, Value>, ReplyFault>;

/// As [`objects`], but what is wrong with one of them does not touch the others.
pub(crate) fn each(reply: &Reply, shape: &AnswerFormat) -> Result<Vec<CheckedReply>, ReplyFault> {
    let (count, fields) = match shape {
        AnswerFormat::Text => return Ok(Vec::new()),
        AnswerFormat::Object(fields) => (None, fields),
        AnswerFormat::Objects(count, fields) => (Some(*count), fields),
    };
    let value = object(&reply.text).map_err(|fault| if reply.complete { fault } else { ReplyFault::CutOff })?;
    let found = match count {
        None => vec![value],
        Some(count) => match value.get("answers") {
            Some(Value::Array(answers)) if answers.len() == count => answers.clone(),
            Some(Value::Array(answers)) => return Err(ReplyFault::Answers(answers.len(), count)),
            _ => return Err(ReplyFault::Missing("answers".into())),
        },
    };
    let checked = found.into_iter().map(|value| match value {
        Value::Object(map) => fields.iter().try_for_each(|field| fits(&map, field)).map(|()| map),
        _ => Err(ReplyFault::NoObject),
    });
    Ok(checked.collect())
}

fn fits(map: &Map<String, Value>, field: &Field) -> Result<(), ReplyFault> {
    let value = map.get(&field.name).ok_or_else(|| ReplyFault::Missing(field.name.clone()))?;
    let wrong = |what: String| Err(ReplyFault::Kind(field.name.clone(), what));
    match &field.kind {
        FieldKind::Word(words) => match value.as_str() {
            Some(word) if words.iter().any(|w| w == word) => Ok(()),
            Some(word) => Err(ReplyFault::Category(word.to_owned(), words.join(", "))),
            None => wrong(format!("one of {}", words.join(", "))),
        },
        FieldKind::Words(words) => {
            let Some(given) = value.as_array() else {
                return wrong("a list".into());
            };
            for word in given {
                match word.as_str() {
                    Some(word) if words.iter().any(|w| w == word) => {}
                    Some(word) => return Err(ReplyFault::Category(word.to_owned(), words.join(", "))),
                    None => return wrong("a list of words".into()),
                }
            }
            Ok(())
        }
        FieldKind::Text(_) if value.is_string() => Ok(()),
        FieldKind::Text(_) => wrong("a text".into()),
        FieldKind::Texts(..) => match value.as_array() {
            Some(texts) if texts.iter().all(Value::is_string) => Ok(()),
            _ => wrong("a list of texts".into()),
        },
        FieldKind::Share => match value.as_f64() {
            Some(share) if (0.0..=1.0).contains(&share) => Ok(()),
            _ => wrong("a number from 0 to 1".into()),
        },
    }
}

/// A shape as a JSON schema in the strict form of OpenAI's `response_format`.
pub(crate) fn schema(shape: &AnswerFormat) -> Value {
    match shape {
        AnswerFormat::Text => json!({}),
        AnswerFormat::Object(fields) => object_schema(fields),
        AnswerFormat::Objects(count, fields) => {
            let answers = json!({
                "type": "array", "items": object_schema(fields), "minItems": count, "maxItems": count
            });
            json!({
                "type": "object", "properties": { "answers": answers }, "required": ["answers"],
                "additionalProperties": false
            })
        }
    }
}

fn object_schema(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let schema = match &field.kind {
                FieldKind::Word(words) => json!({ "type": "string", "enum": words }),
                FieldKind::Words(words) => {
                    json!({ "type": "array", "items": { "type": "string", "enum": words }, "maxItems": words.len() })
                }
                FieldKind::Text(chars) => json!({ "type": "string", "maxLength": chars }),
                FieldKind::Texts(most, chars) => {
                    json!({ "type": "array", "items": { "type": "string", "maxLength": chars }, "maxItems": most })
                }
                FieldKind::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
            };
            (field.name.clone(), schema)
        })
        .collect();
    let required: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A shape in words, for a server that cannot be held to a schema.
pub(crate) fn describe(shape: &AnswerFormat) -> Option<String> {
    let (fields, lead, end) = match shape {
        AnswerFormat::Text => return None,
        AnswerFormat::Object(fields) => (fields, "Answer with one JSON object and nothing else: ".to_owned(), ""),
        AnswerFormat::Objects(count, fields) => (
            fields,
            format!("Answer with one JSON object and nothing else: {{\"answers\": [ {count} objects, in order, each "),
            " ]}",
        ),
    };
    let fields: Vec<String> = fields
        .iter()
        .map(|field| {
            let what = match &field.kind {
                FieldKind::Word(words) => format!("one of {}", quoted(words)),
                FieldKind::Words(words) => format!("a list of any of {}", quoted(words)),
                FieldKind::Text(chars) => format!("a text of at most {chars} characters"),
                FieldKind::Texts(most, _) => format!("a list of at most {most} texts"),
                FieldKind::Share => "a number from 0 to 1".to_owned(),
            };
            format!("\"{}\": {what}", field.name)
        })
        .collect();
    Some(format!("{lead}{{{}}}{end}", fields.join(", ")))
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// A label as the model gave it, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CheckedLabel {
    pub label: Label,
    /// How sure the model says it is.
    pub stated: Option<f64>,
    /// Verbatim quotations of the sentence.
    pub evidence: Vec<String>,
    /// Why.
    pub rationale: String,
}

/// The word that stands for the empty label.
pub(crate) const NONE: &str = "none";

/// Reads one answer about one sentence: `label`, `labels` or the binary `sign`, and whatever of confidence, evidence and
/// rationale it has.
pub(crate) fn labelled(
    answer: &Map<String, Value>,
    taxonomy: &Taxonomy,
    sentence: &str,
) -> Result<CheckedLabel, ReplyFault> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    if let Some(sign) = answer.get("sign") {
        let label = Label::binary(text(sign) == "yes");
        return finish(answer, label, sentence);
    }
    let words: Vec<String> = match (answer.get("label"), answer.get("labels")) {
        (Some(word), _) => Some(text(word)).filter(|word| word != NONE).into_iter().collect(),
        (None, Some(words)) => words.as_array().into_iter().flatten().map(text).collect(),
        (None, None) => return Err(ReplyFault::Missing("label".into())),
    };
    let keys = || taxonomy.categories().iter().map(|c| c.key.as_str()).collect::<Vec<_>>().join(", ");
    let label = words
        .iter()
        .map(|word| CategoryKey::new(word).ok().filter(|key| taxonomy.index_of(key).is_some()).ok_or(word))
        .collect::<Result<Label, _>>()
        .map_err(|word| ReplyFault::Category(word.clone(), keys()))?;
    taxonomy.check(&label).map_err(|_| ReplyFault::TooMany(label.keys().len()))?;
    finish(answer, label, sentence)
}

fn finish(answer: &Map<String, Value>, label: Label, sentence: &str) -> Result<CheckedLabel, ReplyFault> {
    let (evidence, rationale) = explained(answer, sentence)?;
    if answer.contains_key("evidence") && evidence.is_empty() && !label.is_none() {
        return Err(ReplyFault::NoEvidence);
    }
    // Evidence for no category is evidence of nothing; it is not kept.
    let evidence = if label.is_none() { Vec::new() } else { evidence };
    Ok(CheckedLabel { label, stated: answer.get("confidence").and_then(Value::as_f64), evidence, rationale })
}

/// Reads evidence, each quotation found in the sentence, and rationale.
pub(crate) fn explained(answer: &Map<String, Value>, sentence: &str) -> Result<(Vec<String>, String), ReplyFault> {
    let mut evidence = Vec::new();
    for quotation in answer.get("evidence").and_then(Value::as_array).into_iter().flatten() {
        let quotation = quotation.as_str().unwrap_or_default().trim();
        if quotation.is_empty() {
            continue;
        }
        match passage(sentence, quotation) {
            Some(passage) => evidence.push(passage.to_owned()),
            None => return Err(ReplyFault::Quotation(quotation.chars().take(200).collect())),
        }
    }
    let rationale = answer.get("rationale").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    Ok((evidence, rationale))
}

/// The words of a sentence that a quotation repeats. The model is shown a sentence on one line, so white space matches any
/// white space.
fn passage<'t>(sentence: &'t str, quotation: &str) -> Option<&'t str> {
    if let Some(at) = sentence.find(quotation) {
        return sentence.get(at..at + quotation.len());
    }
    let words: Vec<&str> = quotation.split_whitespace().collect();
    let first = words.first()?;
    sentence.match_indices(first).find_map(|(at, _)| {
        let mut end = at + first.len();
        for word in &words[1..] {
            let rest = &sentence[end..];
            let next = rest.trim_start();
            if next.len() == rest.len() || !next.starts_with(word) {
                return None;
            }
            end = sentence.len() - next.len() + word.len();
        }
        sentence.get(at..end)
    })
}

/// The probability that the model gave to the value of the `n`th field of that name, from its tokens: the product over
/// the tokens that the value's text touches. `None` where the tokens are not those of the text.
pub(crate) fn probability(reply: &Reply, field: &str, n: usize) -> Option<f64> {
    let key = format!("\"{field}\"");
    let (at, _) = reply.text.match_indices(&key).nth(n)?;
    let after = at + key.len();
    let colon = after + reply.text[after..].find(':')? + 1;
    let start = colon + (reply.text[colon..].len() - reply.text[colon..].trim_start().len());
    let mut value = serde_json::Deserializer::from_str(&reply.text[start..]).into_iter::<Value>();
    value.next()?.ok()?;
    let end = start + value.byte_offset();
    // The closing quote says only that the word is over; what may follow it shares a token with it often.
    let end = if reply.text[..end].ends_with('"') { end - 1 } else { end };
    let (mut offset, mut sum, mut touched) = (0, 0.0, false);
    for token in &reply.tokens {
        let next = offset + token.text.len();
        if reply.text.get(offset..next) != Some(token.text.as_str()) {
            return None;
        }
        if offset < end && next > start {
            sum += f64::from(token.logprob);
            touched = true;
        }
        offset = next;
    }
    touched.then(|| sum.exp().min(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::taxonomy::Selection;
    use crate::domain::taxonomy::tests::small;
    use crate::llm::{Usage, WrittenToken};

    fn reply(text: &str) -> Reply {
        Reply { text: text.into(), complete: true, tokens: Vec::new(), usage: Usage::default() }
    }

    fn field(name: &str, kind: FieldKind) -> Field {
        Field { name: name.into(), kind }
    }

    fn shape() -> AnswerFormat {
        let words = ["none", "memory", "mood", "care"].map(str::to_owned).to_vec();
        AnswerFormat::Object(vec![field("label", FieldKind::Word(words)), field("evidence", FieldKind::Texts(3, 80))])
    }

    fn read(text: &str, selection: Selection, sentence: &str) -> Result<CheckedLabel, ReplyFault> {
        labelled(&objects(&reply(text), &shape())?[0], &small(selection), sentence)
    }

    #[test]
    fn json_is_found_in_whatever_stands_around_it() {
        for text in [
            r#"{"label":"memory"}"#,
            "```json\n{\"label\":\"memory\"}\n```",
            "<think>maybe {\"label\":\"mood\"}</think> {\"label\":\"memory\"} is it",
            "The answer {as JSON}: {\"label\":\"memory\"}",
        ] {
            assert_eq!(object(text).unwrap(), json!({"label": "memory"}), "{text}");
        }
        assert_eq!(object("memory"), Err(ReplyFault::NoObject));
        assert_eq!(object("{\"label\": \"mem"), Err(ReplyFault::CutOff));
    }

    #[test]
    fn a_quotation_may_cross_the_end_of_a_line_and_is_kept_as_the_sentence_has_it() {
        let sentence = "She forgets,\n  forgets\tthe names.";
        assert_eq!(passage(sentence, "She forgets, forgets"), Some("She forgets,\n  forgets"));
        assert_eq!(passage(sentence, "forgets the names"), Some("forgets\tthe names"));
        assert_eq!(passage(sentence, "the names."), Some("the names."));
        for absent in ["forgetsthe", "for gets", "forgets names", "the names. Then"] {
            assert_eq!(passage(sentence, absent), None, "{absent}");
        }
    }

    #[test]
    fn each_fault_is_named() {
        let sentence = "She forgets names.";
        let cases = [
            (r#"{"label":"none","evidence":[]}"#, Ok("")),
            (r#"{"label":"memory","evidence":["forgets names"]}"#, Ok("memory")),
            (
                r#"{"label":"Memory","evidence":[]}"#,
                Err("`Memory` is no category; the categories are none, memory, mood, care"),
            ),
            (
                r#"{"label":"memory","evidence":["forgets dates"]}"#,
                Err("the evidence \"forgets dates\" does not stand word for word in the sentence"),
            ),
            (r#"{"label":"memory","evidence":[]}"#, Err("a category was given, but no evidence is quoted for it")),
            (r#"{"label":7,"evidence":[]}"#, Err("`label` must be one of none, memory, mood, care")),
            (r#"{"label":"memory"}"#, Err("`evidence` is missing")),
            (r#"{"label":"memory","evidence":"forgets"}"#, Err("`evidence` must be a list of texts")),
            ("[]", Err("there is no JSON object in it")),
        ];
        for (text, expected) in cases {
            let got = read(text, Selection::Single, sentence);
            match expected {
                Ok(label) => assert_eq!(got.unwrap().label.join(), label),
                Err(said) => assert_eq!(got.unwrap_err().to_string(), said, "{text}"),
            }
        }
    }

    #[test]
    fn two_categories_need_a_taxonomy_that_allows_them() {
        let answer = json!({"labels": ["memory", "care"]});
        let read = |selection| labelled(answer.as_object().unwrap(), &small(selection), "s");
        assert_eq!(read(Selection::Single), Err(ReplyFault::TooMany(2)));
        assert_eq!(read(Selection::Multiple).unwrap().label.join(), "care,memory");
    }

    #[test]
    fn answers_come_one_for_each_sentence() {
        let shape = AnswerFormat::Objects(2, vec![field("label", FieldKind::Word(vec!["none".into()]))]);
        let two = r#"{"answers":[{"label":"none"},{"label":"none"}]}"#;
        assert_eq!(objects(&reply(two), &shape).unwrap().len(), 2);
        assert_eq!(objects(&reply(r#"{"answers":[{"label":"none"}]}"#), &shape), Err(ReplyFault::Answers(1, 2)));
    }

    #[test]
    fn the_probability_of_a_label_is_that_of_its_tokens() {
        let tokens =
            [("{\"", -0.1), ("label", -0.2), ("\":", -0.3), (" \"", -0.4), ("mem", -0.5), ("ory", -0.6), ("\"}", -9.0)];
        let text: String = tokens.iter().map(|(t, _)| *t).collect();
        let tokens = tokens.map(|(text, logprob)| WrittenToken { text: text.into(), logprob }).to_vec();
        let reply = Reply { text, complete: true, tokens, usage: Usage::default() };
        assert!((probability(&reply, "label", 0).unwrap() - f64::exp(-1.5)).abs() < 1e-6);
        assert_eq!(probability(&reply, "label", 1), None);
        assert_eq!(probability(&Reply { tokens: vec![], ..reply }, "label", 0), None);
    }

    proptest! {
        #[test]
        fn no_reply_brings_it_down(text in ".*", cut in 0usize..60) {
            let _ = read(&text, Selection::Single, "s");
            let whole = r#"{"label":"memory","evidence":["forgets ☕ names"],"rationale":"x"}"#;
            let cut = whole.char_indices().map(|(i, _)| i).take_while(|i| *i <= cut).last().unwrap_or(0);
            let _ = read(&whole[..cut], Selection::Single, "forgets ☕ names");
        }

        #[test]
        fn evidence_kept_always_stands_in_the_sentence(sentence in "[a-z ]{0,30}", quote in "[a-z ]{0,6}") {
            let text = json!({"label": "memory", "evidence": [quote]}).to_string();
            if let Ok(read) = read(&text, Selection::Single, &sentence) {
                prop_assert!(read.evidence.iter().all(|e| sentence.contains(e.as_str())));
            }
        }
    }
}
