//! The demo: a project built from `data/`, complete enough to look at every screen.
//!
//! `data/notes.txt` holds the notes as they were written, with the author's label behind each sentence that has one
//! (`{memory}` style tags, see `data/README.md`); silver and bronze, where there are any, are the output of a language
//! model's run that is recorded beside them. Everything is embedded, so the demo needs no file but the program.

use std::path::Path;

use serde::Deserialize;

use super::project::{self, Project};
use super::train::{self, Trained};
use super::{Cancel, WorkflowError, import, new_entry_id, new_run_id, now};
use crate::domain::category::CategoryKey;
use crate::domain::corpus::{NewDocument, Origin, PatientKey, SentenceId};
use crate::domain::label::{
    Annotator, Confidence, ConfidenceKind, Decision, Judgement, Label, NewProposal, Outcome, Run, RunId, RunKind,
    Source,
};
use crate::domain::quality::Verdict;
use crate::domain::segment::segment;
use crate::domain::sight::InSight;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::text::Span;
use crate::formats::read_text;
use crate::formats::replace;
use crate::store::{NewBronze, Store};
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::session::Session;

const NOTES: &str = include_str!("../../data/notes.txt");
const SECOND: &str = include_str!("../../data/second-reader.jsonl");
const SILVER: &str = include_str!("../../data/silver.jsonl");
const BRONZE: &str = include_str!("../../data/bronze.jsonl");

/// The tags of `data/notes.txt` and the categories that they stand for.
const TAGS: [(&str, &str); 9] = [
    ("cog", "cognitive_impairment"),
    ("others", "notice_concern_by_others"),
    ("assist", "requires_assistance"),
    ("physio", "physiological_changes"),
    ("assess", "cognitive_assessment"),
    ("interv", "cognitive_intervention"),
    ("tests", "diagnostic_tests"),
    ("coping", "coping_strategy"),
    ("npsych", "neuropsychiatric_symptoms"),
];

/// A note of the demo with the author's labels.
#[derive(Clone, Debug)]
pub(crate) struct DemoNote {
    /// The note, without tags.
    pub document: NewDocument,
    /// Who labelled it.
    pub annotator: String,
    /// Whether the labels are left out, so that there is something to review.
    pub open: bool,
    /// One label a sentence.
    pub labels: Vec<Label>,
}

/// One line of the second reader's, the silver or the bronze file; a run's first line describes the run.
#[derive(Deserialize)]
#[serde(untagged)]
enum DemoLine {
    Run {
        run: serde_json::Value,
    },
    Second {
        note: String,
        position: usize,
        annotator: String,
        label: Label,
    },
    Silver {
        note: String,
        position: usize,
        label: Label,
        confidence: f64,
        probabilities: Vec<f32>,
        #[serde(default)]
        rationale: String,
        #[serde(default)]
        evidence: Vec<String>,
    },
    Bronze {
        text: String,
        target: CategoryKey,
        #[serde(default)]
        kind: String,
        #[serde(default)]
        brief: String,
        #[serde(default)]
        verdicts: Vec<Verdict>,
    },
}

fn lines(text: &str) -> Result<Vec<DemoLine>, WorkflowError> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str(line).map_err(|cause| {
                let what = "the demo's data".to_owned();
                Refusal::new(RefusalKind::Damaged { what }, format!("the demo's data is damaged: {line}"))
                    .because(cause)
                    .into()
            })
        })
        .collect()
}

/// Reads the notes and their tags.
pub(crate) fn notes() -> Vec<DemoNote> {
    NOTES.split("\n=== ").skip(1).filter_map(note).collect()
}

/// One note: `patient note kind date annotator [open]`, a line with the title, and the text.
fn note(source: &str) -> Option<DemoNote> {
    let (head, rest) = source.split_once('\n')?;
    let (title, tagged) = rest.split_once('\n')?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let [patient, id, kind, date, annotator, flags @ ..] = words.as_slice() else {
        return None;
    };
    let (text, tags) = untag(tagged.trim_matches('\n'));
    let sentences = segment(&text);
    let mut labels = vec![Label::none(); sentences.len()];
    for (at, key) in tags {
        // A tag stands behind the last character of its sentence.
        let holder = sentences.iter().position(|span| span.start < at && at <= span.end)?;
        labels[holder] = Label::of(key);
    }
    let document = NewDocument {
        patient: PatientKey((*patient).to_owned()),
        external_id: (*id).to_owned(),
        title: title.trim().to_owned(),
        kind: (*kind).to_owned(),
        date: (*date).to_owned(),
        source: "demo".into(),
        text,
        sentences,
    };
    Some(DemoNote { document, annotator: (*annotator).to_owned(), open: flags.contains(&"open"), labels })
}

/// Takes the tags out of a text; each with the byte that it stood at.
fn untag(tagged: &str) -> (String, Vec<(usize, CategoryKey)>) {
    let (mut text, mut tags, mut rest) = (String::new(), Vec::new(), tagged);
    while let Some(at) = rest.find('{') {
        let tag = rest[at + 1..].split_once('}').and_then(|(tag, after)| {
            let (_, key) = TAGS.iter().find(|(short, _)| *short == tag)?;
            Some((CategoryKey::new(key).ok()?, after))
        });
        text.push_str(&rest[..at]);
        match tag {
            Some((key, after)) => {
                tags.push((text.len(), key));
                rest = after;
            }
            None => {
                text.push('{');
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    (text, tags)
}

/// Builds the demo project in an empty or new folder and trains the default classifier.
pub fn build(folder: &Path, watch: &mut dyn FnMut(train::TrainRunEvent)) -> Result<(Project, Trained), WorkflowError> {
    let _span = tracing::info_span!("demo").entered();
    let file = project::init(folder, "ad-signs")?;
    // Whoever looks around sees everywhere what machines and the made-up experts say.
    let text = read_text(&file)?.replace("blind = \"test\"", "blind = \"never\"");
    replace(&file, &text.replace("show_others = \"after\"", "show_others = \"before\""))?;
    let project = Project::read(folder, Some("you"))?;
    let mut store = project.store()?;
    fill(&project, &mut store)?;
    import::index(&mut store, &Cancel::default(), &mut |_| {})?;
    let trained = train::train(Session::new(&project, &mut store, &Cancel::default(), watch), &project.file.train)?;
    Ok((project, trained))
}

fn fill(project: &Project, store: &mut Store) -> Result<(), WorkflowError> {
    let notes = notes();
    let documents: Vec<NewDocument> = notes.iter().map(|note| note.document.clone()).collect();
    let inserts = store.insert_documents(&documents, Origin::Real, &project.file.split)?;
    let first = |note: &str| {
        let at = documents.iter().position(|d| d.external_id == note)?;
        Some((inserts[at].first_sentence().0, documents[at].sentences.len()))
    };
    let sentence = |note: &str, position: usize| {
        first(note).filter(|(_, count)| position < *count).map(|(first, _)| SentenceId(first + position as i64))
    };
    let taxonomy = project.taxonomy.hash();
    let decide = |annotator: &str, sentence: SentenceId, label: Label| Decision {
        id: new_entry_id(),
        at: now(),
        annotator: Annotator(annotator.to_owned()),
        sentence,
        judgement: Judgement { label: Some(label), ..Judgement::default() },
        took: None,
        in_sight: Some(InSight::NOTHING),
        proposal: None,
        taxonomy: taxonomy.clone(),
        supersedes: None,
    };
    let mut decisions = Vec::new();
    for (note, insert) in notes.iter().zip(&inserts).filter(|(note, _)| !note.open) {
        for (position, label) in note.labels.iter().enumerate() {
            let id = SentenceId(insert.first_sentence().0 + position as i64);
            decisions.push(decide(&note.annotator, id, label.clone()));
        }
    }
    for line in lines(SECOND)? {
        if let DemoLine::Second { note, position, annotator, label } = line {
            decisions.extend(sentence(&note, position).map(|id| decide(&annotator, id, label)));
        }
    }
    store.append_decisions(&decisions)?;

    let (silver_run, silver) = run_and_lines(SILVER)?;
    let proposals: Vec<NewProposal> = silver
        .into_iter()
        .filter_map(|line| match line {
            DemoLine::Silver { note, position, label, confidence, probabilities, rationale, evidence } => {
                Some(NewProposal {
                    sentence: sentence(&note, position)?,
                    label,
                    confidence: Some(Confidence { value: confidence, kind: ConfidenceKind::TokenProbability }),
                    probabilities,
                    rationale,
                    evidence,
                })
            }
            _ => None,
        })
        .collect();
    if let Some(config) = silver_run {
        let run = put_run(store, &project.taxonomy, RunKind::Label, config)?;
        store.propose(&run, Source::Llm, &proposals)?;
    }
    let (bronze_run, bronze) = run_and_lines(BRONZE)?;
    if let Some(config) = bronze_run {
        let run = put_run(store, &project.taxonomy, RunKind::Generate, config)?;
        fill_bronze(project, store, &run, bronze)?;
    }
    Ok(())
}

fn fill_bronze(project: &Project, store: &mut Store, run: &RunId, lines: Vec<DemoLine>) -> Result<(), WorkflowError> {
    let rows: Vec<NewBronze> = lines
        .into_iter()
        .enumerate()
        .filter_map(|(i, line)| match line {
            DemoLine::Bronze { text, target, kind, brief, verdicts } => Some(NewBronze {
                document: NewDocument {
                    patient: PatientKey(format!("synthetic/demo/{i}")),
                    external_id: format!("{run}/{target}/{i}"),
                    title: project.taxonomy.describe(&Label::of(target.clone())),
                    kind,
                    date: String::new(),
                    source: "demo".into(),
                    sentences: vec![Span::new(0, text.len())],
                    text,
                },
                target: Label::of(target),
                brief,
                verdicts,
            }),
            _ => None,
        })
        .collect();
    Ok(store.add_bronze(run, &rows, &project.file.split)?)
}

fn run_and_lines(text: &str) -> Result<(Option<serde_json::Value>, Vec<DemoLine>), WorkflowError> {
    let mut run = None;
    let mut rest = Vec::new();
    for line in lines(text)? {
        match line {
            DemoLine::Run { run: config } => run = Some(config),
            other => rest.push(other),
        }
    }
    Ok((run, rest))
}

fn put_run(
    store: &mut Store,
    taxonomy: &Taxonomy,
    kind: RunKind,
    config: serde_json::Value,
) -> Result<RunId, WorkflowError> {
    let model = config.get("model").and_then(|m| m.as_str()).unwrap_or("unknown model").to_owned();
    let at = |key: &str| {
        let text = config.get(key).and_then(|v| v.as_str()).unwrap_or_default();
        text.parse::<jiff::Timestamp>().map_or_else(|_| now(), |t| crate::domain::label::Timestamp(t.as_millisecond()))
    };
    let run = Run {
        id: new_run_id(),
        kind,
        model,
        taxonomy: taxonomy.hash(),
        started: at("started_at"),
        finished: Some(at("finished_at")),
        outcome: Outcome::Finished,
        scores: config.get("scores").map_or_else(String::new, ToString::to_string),
        config: config.to_string(),
    };
    store.put_run(&run)?;
    Ok(run.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_of_the_notes_is_read_and_sits_in_a_sentence() {
        let notes = notes();
        assert_eq!(notes.len(), NOTES.matches("\n=== ").count());
        let tags: usize = TAGS.iter().map(|(tag, _)| NOTES.matches(&format!("{{{tag}}}")).count()).sum();
        let labels: usize = notes.iter().flat_map(|n| &n.labels).filter(|l| !l.is_none()).count();
        assert_eq!(labels, tags, "two tags fell into one sentence, or one into none");
        assert!(!notes.iter().any(|note| note.document.text.contains(['{', '}'])), "an unknown tag");
        assert!(notes.iter().all(|note| note.document.covers_losslessly()));
    }
}
