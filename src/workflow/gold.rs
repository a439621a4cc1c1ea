//! Gold out of the tool: each settled sentence with its label and where that comes from, and if asked for every expert's label.

use serde::Serialize;

use super::WorkflowError;
use super::metrics::Board;
use super::project::Project;
use crate::domain::corpus::{DocumentUid, SentenceId};
use crate::domain::gold::Settled;
use crate::domain::label::Label;
use crate::domain::split::Split;
use crate::store::Store;

/// One sentence with a settled label, or with one expert's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GoldLine {
    /// The note's hash and the sentence's place in it: the same in every store that has the note.
    pub id: String,
    /// Whose note it is.
    pub patient: String,
    /// The note's id in its source.
    pub note: String,
    /// Position among the note's sentences, from 0.
    pub position: u32,
    /// The sentence.
    pub text: String,
    /// The categories; none of them is *None*.
    pub labels: Label,
    /// The part that the patient falls in.
    pub split: Split,
    /// Who stands behind the label: experts, or the adjudicator.
    pub by: Vec<String>,
    /// Whether an adjudicator settled it.
    pub adjudicated: bool,
    /// Whether no machine's label had been seen.
    pub blind: bool,
}

/// All gold, in order of sentences; with `votes`, a line for each expert's standing label instead, settled or not.
pub fn lines(project: &Project, store: &Store, votes: bool) -> Result<Vec<GoldLine>, WorkflowError> {
    let mut board = Board::default();
    board.refresh(project, store)?;
    let mut lines = Vec::new();
    if votes {
        for (sentence, _, votes) in board.votes() {
            for vote in votes {
                let by = vec![vote.annotator.0.clone()];
                lines.push(line(project, store, sentence, vote.label.clone(), by, false, vote.blind)?);
            }
        }
        return Ok(lines);
    }
    for gold in board.gold(project) {
        let case = board.case(gold.sentence());
        let adjudicated = case.is_some_and(|case| case.ruling.is_some());
        let by: Vec<String> = if adjudicated {
            store.settlements(gold.sentence())?.into_iter().map(|decision| decision.annotator.0).collect()
        } else {
            let votes = case.map_or(&[][..], |case| &case.votes);
            votes.iter().filter(|vote| vote.label == *gold.label()).map(|vote| vote.annotator.0.clone()).collect()
        };
        lines.push(line(project, store, gold.sentence(), gold.label().clone(), by, adjudicated, gold.blind())?);
    }
    Ok(lines)
}

/// How many sentences experts dispute, which are in no line of gold.
pub fn disputed(project: &Project, store: &Store) -> Result<usize, WorkflowError> {
    let mut board = Board::default();
    board.refresh(project, store)?;
    let rule = project.file.rule();
    let cases = board.votes().into_iter().filter_map(|(sentence, ..)| board.case(sentence));
    Ok(cases.filter(|case| case.settle(rule) == Settled::Disputed).count())
}

fn line(
    project: &Project,
    store: &Store,
    sentence: SentenceId,
    labels: Label,
    mut by: Vec<String>,
    adjudicated: bool,
    blind: bool,
) -> Result<GoldLine, WorkflowError> {
    let at = store.sentence(sentence)?;
    let document = store.document(at.document)?;
    let uid = DocumentUid::of(&document.patient.0, &document.external_id, &document.text);
    by.sort_unstable();
    Ok(GoldLine {
        id: format!("{}:{}-{}", uid.hex(), at.span.start, at.span.end),
        patient: document.patient.0.clone(),
        note: document.external_id.clone(),
        position: at.position,
        text: at.span.of(&document.text).to_owned(),
        labels,
        split: project.file.split.split(&document.patient),
        by,
        adjudicated,
        blind,
    })
}
