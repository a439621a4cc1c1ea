//! Gold out of the tool: each settled sentence with its label and where that comes from, and if asked for every expert's label.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::domain::corpus::{Document, DocumentId, DocumentUid, SentenceId};
use crate::domain::gold::Vote;
use crate::domain::label::Label;
use crate::domain::person::Role;
use crate::domain::sight::{Blindness, InSight};
use crate::domain::split::Split;
use crate::domain::text::json_safe;
use crate::domain::visibility::Face;
use crate::formats::tables;
use crate::store::Store;
use crate::workflow::WorkflowError;
use crate::workflow::access::{self, Access, Unrecorded};
use crate::workflow::identity;
use crate::workflow::label_index::LabelIndex;
use crate::workflow::project::Project;

/// One sentence with a settled label, or with one expert's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GoldLine {
    /// The note's hash and the sentence's place in it: the same in every store that has the note.
    pub id: String,
    pub patient: String,
    /// The note's id in its source.
    pub note: String,
    /// Position among the note's sentences, from 0.
    pub position: u32,
    /// The sentence.
    pub text: String,
    /// The categories; *None* is the word `none`, for an empty list says nothing in the files of other programs.
    #[serde(serialize_with = "words")]
    pub labels: Label,
    /// The part that the patient falls in.
    pub split: Split,
    /// Who stands behind the label: experts, or the adjudicator.
    pub by: Vec<String>,
    /// Whether an adjudicator settled it.
    pub adjudicated: bool,
    /// Whether it was given with nothing in sight; nothing where that is not known.
    pub blind: Option<bool>,
    /// What had been in sight when this expert decided; only of a vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_sight: Option<InSight>,
}

fn words<S: Serializer>(label: &Label, serializer: S) -> Result<S::Ok, S::Error> {
    if label.is_none() { ["none"].serialize(serializer) } else { label.serialize(serializer) }
}

/// What goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// In order of sentences.
    pub lines: Vec<GoldLine>,
    /// Sentences that experts dispute, which are in no line of gold.
    pub disputed: usize,
    /// Labelled sentences left out because whoever asks may not see their labels.
    pub withheld: usize,
    /// Why it is not on record that this was read, if it is not.
    pub(crate) unrecorded: Unrecorded,
}

impl Exported {
    /// A line of JSON for each line.
    pub(crate) fn jsonl(&self) -> String {
        self.lines.iter().map(|line| json_safe(&serde_json::json!(line).to_string()) + "\n").collect()
    }

    /// A table with a header. It has no column for what had been in sight.
    pub(crate) fn csv(&self) -> String {
        let head = ["id", "patient", "note", "position", "text", "label", "split", "by", "adjudicated", "blind"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.lines.iter().map(|line| {
            let label = if line.labels.is_none() { "none".to_owned() } else { line.labels.join() };
            vec![
                line.id.clone(),
                line.patient.clone(),
                line.note.clone(),
                line.position.to_string(),
                line.text.clone(),
                label,
                line.split.to_string(),
                line.by.join(","),
                line.adjudicated.to_string(),
                line.blind.map_or_else(|| "unknown".to_owned(), |blind| blind.to_string()),
            ]
        }));
        tables::csv_rows(&rows)
    }
}

/// All gold; with `votes`, a line for each expert's current label instead, settled or not.
pub fn export(project: &Project, store: &mut Store, votes: bool) -> Result<Exported, WorkflowError> {
    let _span = tracing::info_span!("export_gold").entered();
    identity::require(project, store, &[Role::Steward, Role::Lead], "take sentences out")?;
    let index = LabelIndex::read(project, store)?;
    let mut notes = NotePlaces { project, store, last: None, read: BTreeSet::new() };
    let mut lines = Vec::new();
    let mut withheld = 0;
    let mut shown = |id: SentenceId| {
        let shown = index.shown(project, Face::Report, id).colleagues;
        withheld += usize::from(!shown);
        shown
    };
    if votes {
        for (sentence, _, votes) in index.votes() {
            // One's own are never a secret.
            let own = |vote: &&Vote| vote.annotator == project.annotator;
            let all = votes.iter().all(|vote| own(&vote)) || shown(sentence);
            for vote in votes.iter().filter(|vote| all || own(vote)) {
                let blindness = Blindness::of(vote.in_sight);
                let line = notes.line(sentence, vote.label.clone(), vec![vote.annotator.0.clone()], blindness)?;
                lines.push(GoldLine { in_sight: vote.in_sight, ..line });
            }
        }
    } else {
        for gold in index.gold().into_iter().filter(|gold| shown(gold.sentence())) {
            let case = index.human_labels(gold.sentence());
            let adjudicated = case.is_some_and(|case| case.settlement.is_some());
            let by: Vec<String> = if adjudicated {
                store.settlements(gold.sentence())?.into_iter().map(|decision| decision.annotator.0).collect()
            } else {
                let votes = case.map_or(&[][..], |case| &case.votes);
                votes.iter().filter(|vote| vote.label == *gold.label()).map(|vote| vote.annotator.0.clone()).collect()
            };
            let line = notes.line(gold.sentence(), gold.label().clone(), by, gold.blindness())?;
            lines.push(GoldLine { adjudicated, ..line });
        }
    }
    let disputed = index.gold_counts(&project.taxonomy).disputed;
    let read = notes.read;
    let unrecorded = access::record(project, store, Access::Exported, read)?;
    Ok(Exported { lines, disputed, withheld, unrecorded })
}

/// Where sentences stand. Those of a note come one after the other, so it is read and hashed once.
struct NotePlaces<'a> {
    project: &'a Project,
    store: &'a Store,
    last: Option<(Document, DocumentUid)>,
    read: BTreeSet<DocumentId>,
}

impl NotePlaces<'_> {
    fn line(
        &mut self,
        sentence: SentenceId,
        labels: Label,
        mut by: Vec<String>,
        blindness: Blindness,
    ) -> Result<GoldLine, WorkflowError> {
        let at = self.store.sentence(sentence)?;
        let (document, uid) = match self.last.take().filter(|(document, _)| document.id == at.document) {
            Some(known) => known,
            None => {
                let document = self.store.document(at.document)?;
                self.read.insert(at.document);
                let uid = DocumentUid::of(&document.patient.0, &document.external_id, &document.text);
                (document, uid)
            }
        };
        by.sort_unstable();
        let line = GoldLine {
            id: format!("{}:{}-{}", uid.hex(), at.span.start, at.span.end),
            patient: document.patient.0.clone(),
            note: document.external_id.clone(),
            position: at.position,
            text: at.span.of(&document.text).to_owned(),
            labels,
            split: self.project.file.split.split(&document.patient),
            by,
            adjudicated: false,
            blind: blindness.known(),
            in_sight: None,
        };
        self.last = Some((document, uid));
        Ok(line)
    }
}
