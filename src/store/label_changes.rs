//! What the label index reads: all current labels, settlements and proposals at once, and then only what changed.

use rusqlite::params;

use super::{Store, StoreError};
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::gold::Settlement;
use crate::domain::label::{Annotator, Label, RunId, Source};
use crate::domain::sight::InSight;

/// An expert's current label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentLabelRow {
    pub sentence: SentenceId,
    /// Number of the patient in this store.
    pub patient: u32,
    /// Real or synthetic.
    pub origin: Origin,
    pub annotator: Annotator,
    /// The label; `None` where the annotator undid it or only skipped or flagged.
    pub label: Option<Label>,
    /// What had been in sight; `None` where that is not known.
    pub in_sight: Option<InSight>,
    /// The annotator decided otherwise at another site, neither knowing of the other.
    pub forked: bool,
    /// The annotator asks for another look.
    pub flagged: bool,
}

/// What adjudicators say of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementRow {
    pub sentence: SentenceId,
    /// Number of the patient in this store.
    pub patient: u32,
    /// Real or synthetic.
    pub origin: Origin,
    /// Their word; `None` where it was undone.
    pub settlement: Option<Settlement>,
}

/// A machine's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRow {
    pub sentence: SentenceId,
    /// Number of the patient in this store.
    pub patient: u32,
    /// Real or synthetic.
    pub origin: Origin,
    /// The run that proposed it.
    pub run: RunId,
    /// Language model or classifier.
    pub source: Source,
    /// What was proposed.
    pub label: Label,
}

/// How far a reader has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadMark {
    /// The last event seen.
    pub event: i64,
    /// The last proposal seen.
    pub proposal: i64,
}

impl Store {
    /// Calls `take` with every current label of the sentences that events after `since` touched, and returns the new mark. A
    /// sentence whose decision was undone comes with `label: None`.
    pub(crate) fn current_labels_since(
        &self,
        since: i64,
        mut take: impl FnMut(CurrentLabelRow),
    ) -> Result<i64, StoreError> {
        let upto: i64 = self.with(|c| c.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0)))?;
        if upto == since {
            return Ok(since);
        }
        let columns = "d.patient, d.origin, t.annotator, t.label, t.in_sight, t.forked, t.flagged";
        // From the start, the projection is shorter than the log; later, the log tells what changed.
        let sql = if since == 0 {
            format!(
                "SELECT t.sentence, {columns} FROM standing t
                 CROSS JOIN sentences s ON s.id = t.sentence CROSS JOIN documents d ON d.id = s.document WHERE ?1 <= ?2"
            )
        } else {
            "SELECT s.id, d.patient, d.origin, e.annotator, t.label, t.in_sight, coalesce(t.forked, 0),
                 coalesce(t.flagged, 0) FROM
                     (SELECT DISTINCT coalesce(e.sentence, o.sentence) AS sentence, e.annotator FROM events e
                      LEFT JOIN events o ON o.id = e.target
                      WHERE e.seq > ?1 AND e.seq <= ?2 AND coalesce(o.kind, e.kind) = 'decide') e
                 CROSS JOIN sentences s ON s.id = e.sentence CROSS JOIN documents d ON d.id = s.document
                 LEFT JOIN standing t ON t.sentence = s.id AND t.annotator = e.annotator"
                .to_owned()
        };
        self.with(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = statement.query(params![since, upto])?;
            while let Some(row) = rows.next()? {
                take(CurrentLabelRow {
                    sentence: row.get(0)?,
                    patient: row.get(1)?,
                    origin: row.get(2)?,
                    annotator: row.get(3)?,
                    label: row.get(4)?,
                    in_sight: row.get(5)?,
                    forked: row.get(6)?,
                    flagged: row.get(7)?,
                });
            }
            Ok(upto)
        })
    }

    /// Calls `take` with what adjudicators say of the sentences that events after `since` touched.
    pub(crate) fn settlements_since(&self, since: i64, mut take: impl FnMut(SettlementRow)) -> Result<(), StoreError> {
        let touched = if since == 0 {
            "SELECT sentence FROM settled WHERE ?1 = 0"
        } else {
            "SELECT DISTINCT coalesce(e.sentence, o.sentence) AS sentence FROM events e
             LEFT JOIN events o ON o.id = e.target WHERE e.seq > ?1 AND coalesce(o.kind, e.kind) = 'settle'"
        };
        self.with(|c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT s.id, d.patient, d.origin, t.seq, t.label, t.in_sight FROM ({touched}) e
                 CROSS JOIN sentences s ON s.id = e.sentence CROSS JOIN documents d ON d.id = s.document
                 LEFT JOIN settled t ON t.sentence = s.id"
            ))?;
            let mut rows = statement.query([since])?;
            while let Some(row) = rows.next()? {
                let settled: Option<i64> = row.get(3)?;
                let settlement = match settled {
                    Some(_) => Some(Settlement { label: row.get(4)?, in_sight: row.get(5)? }),
                    None => None,
                };
                take(SettlementRow { sentence: row.get(0)?, patient: row.get(1)?, origin: row.get(2)?, settlement });
            }
            Ok(())
        })
    }

    /// Calls `take` with every proposal numbered above `since`, as it is read today, and returns the new mark.
    pub(crate) fn proposals_since(&self, since: i64, mut take: impl FnMut(ProposalRow)) -> Result<i64, StoreError> {
        self.with(|c| {
            let mut statement = c.prepare_cached(
                "SELECT p.id, p.sentence, d.patient, d.origin, p.run, p.source, p.label FROM proposals p
                 CROSS JOIN sentences s ON s.id = p.sentence CROSS JOIN documents d ON d.id = s.document
                 WHERE p.id > ? ORDER BY p.id",
            )?;
            let mut rows = statement.query([since])?;
            let mut upto = since;
            while let Some(row) = rows.next()? {
                upto = row.get(0)?;
                let Some(label) = self.key_map.map_label(&row.get(6)?) else {
                    continue;
                };
                take(ProposalRow {
                    sentence: row.get(1)?,
                    patient: row.get(2)?,
                    origin: row.get(3)?,
                    run: row.get(4)?,
                    source: row.get(5)?,
                    label,
                });
            }
            Ok(upto)
        })
    }

    /// The patient key behind a patient's number.
    pub(crate) fn patient_keys(&self) -> Result<Vec<(u32, crate::domain::corpus::PatientKey)>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT id, key FROM patients")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }
}
