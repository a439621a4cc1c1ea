//! SQL for the projection: the tables `standing`, `settled`, `undone` and `tally`, which are what the log comes to by
//! `domain/projection.rs`. Whatever order the entries of several stores come in, they end the same.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::entries::parse_ids;
use crate::domain::category::CategoryKey;
use crate::domain::corpus::SentenceId;
use crate::domain::entry::{Entry, EntryKind};
use crate::domain::key_map::KeyMap;
use crate::domain::label::{Annotator, EntryId};
use crate::domain::projection::{LoggedDecision, ProjectionChange, current_decision, current_settlement, latest_turn};
use crate::domain::sight::{Blindness, InSight};
use crate::store::key_map::key_map;

/// Brings the projection up to date with an entry that is in the log now.
pub(super) fn project(c: &Connection, entry: &Entry, sentence: Option<SentenceId>) -> rusqlite::Result<()> {
    let projected = match (ProjectionChange::of(&entry.body), sentence) {
        (ProjectionChange::Decision, Some(sentence)) => Some(Projected::Decision(sentence, entry.author.clone())),
        (ProjectionChange::Settlement, Some(sentence)) => Some(Projected::Settlement(sentence)),
        (ProjectionChange::Withdrawal(target), _) => {
            write_withdrawal(c, target, &entry.author)?;
            // What it withdraws may not have arrived; then it is projected when it does.
            c.prepare_cached(&format!("{PROJECTED} WHERE id = ?"))?.query_row([target], projected).optional()?.flatten()
        }
        (ProjectionChange::KeyMap | ProjectionChange::None, _) => None,
        // No row of a decision is written without its sentence.
        (ProjectionChange::Decision | ProjectionChange::Settlement, None) => {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        }
    };
    projected.map_or(Ok(()), |projected| projected.write(c, &key_map(c)?))
}

/// Makes all of it anew.
pub(in crate::store) fn rebuild(c: &Connection) -> rusqlite::Result<()> {
    c.execute_batch("DELETE FROM standing; DELETE FROM settled; DELETE FROM undone; DELETE FROM tally;")?;
    let mut turns = c.prepare("SELECT DISTINCT target, annotator FROM events WHERE kind IN ('undo', 'redo')")?;
    let mut rows = turns.query([])?;
    while let Some(row) = rows.next()? {
        write_withdrawal(c, &row.get(0)?, &row.get(1)?)?;
    }
    let key_map = key_map(c)?;
    let mut all = c.prepare(&format!("{PROJECTED} GROUP BY kind, sentence, annotator"))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(projected) = projected(row)? {
            projected.write(c, &key_map)?;
        }
    }
    Ok(())
}

/// Makes anew whatever was said with a key.
pub(in crate::store) fn rebuild_key(c: &Connection, key: &CategoryKey) -> rusqlite::Result<()> {
    let key_map = key_map(c)?;
    let named = format!("{PROJECTED} WHERE instr(stand, '\"' || ? || '\"') > 0 GROUP BY kind, sentence, annotator");
    let mut read = c.prepare_cached(&named)?;
    let all: Vec<Option<Projected>> = read.query_map([key.as_str()], projected)?.collect::<Result<_, _>>()?;
    all.iter().flatten().try_for_each(|projected| projected.write(c, &key_map))
}

/// The rows that [`projected`] reads.
const PROJECTED: &str = "SELECT kind, sentence, annotator FROM events";

/// A row of the projection.
enum Projected {
    /// An annotator's current decision on a sentence.
    Decision(SentenceId, Annotator),
    Settlement(SentenceId),
}

/// What an entry's row has a part in.
fn projected(row: &Row<'_>) -> rusqlite::Result<Option<Projected>> {
    Ok(match row.get(0)? {
        EntryKind::Decide => Some(Projected::Decision(row.get(1)?, row.get(2)?)),
        EntryKind::Settle => Some(Projected::Settlement(row.get(1)?)),
        EntryKind::Undo | EntryKind::Redo | EntryKind::Migration | EntryKind::Person => None,
    })
}

impl Projected {
    fn write(&self, c: &Connection, key_map: &KeyMap) -> rusqlite::Result<()> {
        match self {
            Self::Decision(sentence, annotator) => write_current_decision(c, *sentence, annotator, key_map),
            Self::Settlement(sentence) => write_settlement(c, *sentence, key_map),
        }
    }
}

/// Writes whether an entry is withdrawn. Only what is one's own can be.
fn write_withdrawal(c: &Connection, target: &EntryId, author: &Annotator) -> rusqlite::Result<()> {
    let turns: Vec<(EntryId, (i64, EntryKind))> = c
        .prepare_cached("SELECT id, seq, kind FROM events WHERE target = ? AND annotator = ?")?
        .query_map(params![target, author], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
        .collect::<Result<_, _>>()?;
    match latest_turn(turns) {
        Some((seq, EntryKind::Undo)) => c
            .prepare_cached("INSERT OR REPLACE INTO undone (target, annotator, seq) VALUES (?, ?, ?)")?
            .execute(params![target, author, seq]),
        _ => {
            c.prepare_cached("DELETE FROM undone WHERE target = ? AND annotator = ?")?.execute(params![target, author])
        }
    }
    .map(drop)
}

/// All decisions or settlements on a sentence, of one annotator or of all, with labels as they are read today.
pub(super) fn decisions_on(
    c: &Connection,
    kind: EntryKind,
    sentence: SentenceId,
    by: Option<&Annotator>,
    key_map: &KeyMap,
) -> rusqlite::Result<Vec<LoggedDecision>> {
    c.prepare_cached(
        "SELECT e.seq, e.id, e.annotator, e.stand, e.proposal_visible, e.in_sight, e.supersedes,
             EXISTS (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator)
         FROM events e WHERE e.sentence = ?1 AND e.kind = ?2 AND (?3 IS NULL OR e.annotator = ?3)",
    )?
    .query_map(params![sentence, kind, by], |row| {
        Ok(LoggedDecision {
            seq: row.get(0)?,
            id: row.get(1)?,
            author: row.get(2)?,
            judgement: key_map.map_judgement(row.get(3)?),
            in_sight: InSight::recorded(row.get(4)?, row.get(5)?),
            supersedes: row.get::<_, Option<String>>(6)?.as_deref().map(parse_ids),
            withdrawn: row.get(7)?,
        })
    })?
    .collect()
}

fn write_current_decision(
    c: &Connection,
    sentence: SentenceId,
    annotator: &Annotator,
    key_map: &KeyMap,
) -> rusqlite::Result<()> {
    let decided =
        "SELECT count(*) FROM standing WHERE sentence = ? AND annotator = ? AND (label IS NOT NULL OR rejected)";
    let before: i64 = c.prepare_cached(decided)?.query_row(params![sentence, annotator], |row| row.get(0))?;
    let all = decisions_on(c, EntryKind::Decide, sentence, Some(annotator), key_map)?;
    let after = match current_decision(&all) {
        Some((LoggedDecision { seq, judgement, in_sight, .. }, forked)) => {
            c.prepare_cached(
                "INSERT OR REPLACE INTO standing
                     (sentence, annotator, seq, label, rejected, skipped, flagged, commented, blind, in_sight, forked)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                sentence,
                annotator,
                seq,
                judgement.label,
                judgement.rejected,
                judgement.skipped,
                judgement.flagged,
                !judgement.comment.is_empty(),
                Blindness::of(*in_sight) == Blindness::Blind,
                in_sight,
                forked
            ])?;
            i64::from(judgement.label.is_some() || judgement.rejected)
        }
        None => {
            c.prepare_cached("DELETE FROM standing WHERE sentence = ? AND annotator = ?")?
                .execute(params![sentence, annotator])?;
            0
        }
    };
    if before != after {
        c.prepare_cached(
            "INSERT INTO tally (annotator, origin, decided)
             SELECT ?1, d.origin, ?3 FROM sentences s JOIN documents d ON d.id = s.document WHERE s.id = ?2
             ON CONFLICT (annotator, origin) DO UPDATE SET decided = decided + excluded.decided",
        )?
        .execute(params![annotator, sentence, after - before])?;
    }
    Ok(())
}

fn write_settlement(c: &Connection, sentence: SentenceId, key_map: &KeyMap) -> rusqlite::Result<()> {
    let all = decisions_on(c, EntryKind::Settle, sentence, None, key_map)?;
    match current_settlement(&all) {
        Some((LoggedDecision { seq, author, in_sight, .. }, label)) => c
            .prepare_cached(
                "INSERT OR REPLACE INTO settled (sentence, seq, annotator, label, blind, in_sight) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                sentence,
                seq,
                author,
                label,
                Blindness::of(*in_sight) == Blindness::Blind,
                in_sight
            ]),
        None => c.prepare_cached("DELETE FROM settled WHERE sentence = ?")?.execute([sentence]),
    }
    .map(drop)
}
