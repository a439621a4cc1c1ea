//! Test data, made in one place: a note, a decision, a run. What a test is about it says itself and takes the rest from here:
//! `Decision { at: Timestamp(5), ..decision("ann", SentenceId(1)) }`.

use crate::domain::corpus::{NewDocument, PatientKey, SentenceId};
use crate::domain::label::{Annotator, Decision, EntryId, Judgement, Outcome, Run, RunId, RunKind, Timestamp};
use crate::domain::sight::InSight;
use crate::domain::text::Span;

/// A note with these sentences, one a line.
pub(crate) fn note<S: AsRef<str>>(patient: &str, id: &str, sentences: &[S]) -> NewDocument {
    let (mut text, mut spans) = (String::new(), Vec::new());
    for sentence in sentences {
        let start = text.len();
        text.push_str(sentence.as_ref());
        spans.push(Span { start, end: text.len() });
        text.push('\n');
    }
    NewDocument {
        patient: PatientKey(patient.into()),
        external_id: id.into(),
        title: String::new(),
        kind: String::new(),
        date: String::new(),
        source: "test".into(),
        text,
        sentences: spans,
    }
}

/// A note without text.
pub(crate) fn empty_note(patient: &str, id: &str) -> NewDocument {
    note(patient, id, &[""; 0])
}

/// A decision with nothing in sight that says nothing yet.
pub(crate) fn decision(who: &str, sentence: SentenceId) -> Decision {
    Decision {
        id: EntryId(format!("{:08}", sentence.0)),
        at: Timestamp(0),
        annotator: Annotator(who.into()),
        sentence,
        judgement: Judgement::default(),
        took: None,
        in_sight: Some(InSight::NOTHING),
        proposal: None,
        taxonomy: "t".into(),
        supersedes: None,
    }
}

/// A finished run of `some-llm`.
pub(crate) fn run(id: &str, kind: RunKind) -> Run {
    Run {
        id: RunId(id.into()),
        kind,
        model: "some-llm".into(),
        config: "{}".into(),
        taxonomy: String::new(),
        started: Timestamp(0),
        finished: None,
        outcome: Outcome::Finished,
        scores: String::new(),
    }
}
