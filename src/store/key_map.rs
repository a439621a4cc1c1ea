//! SQL for how labels are read after categories were renamed, merged or split, and what was said with which keys.

use rusqlite::functions::FunctionFlags;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError};
use crate::domain::corpus::SentenceId;
use crate::domain::key_map::{KeyMap, TaxonomyMigration};
use crate::domain::label::{Annotator, EntryId, Judgement, Label, Source};

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelGiver {
    Expert,
    Adjudicator,
    /// A machine, of a sentence of a note.
    Machine,
    /// A language model that wrote the sentence for the label.
    Generator,
}

/// The change that holds here: the latest that was made here. What other sites did to their categories does not count.
const IN_FORCE: &str = "SELECT id, detail FROM events WHERE kind = 'recast' AND site IS NULL ORDER BY seq DESC LIMIT 1";

/// How labels are read in this store.
pub(super) fn key_map(c: &Connection) -> rusqlite::Result<KeyMap> {
    Ok(latest(c)?.map(|migration| migration.key_map).unwrap_or_default())
}

/// None also where it cannot be read: then it was changed behind the program's back. The audit names it, and whoever holds the
/// guideline to what is read here finds that they differ.
fn latest(c: &Connection) -> rusqlite::Result<Option<TaxonomyMigration>> {
    let detail: Option<Option<String>> = c.prepare_cached(IN_FORCE)?.query_row([], |row| row.get(1)).optional()?;
    Ok(detail.flatten().and_then(|detail| serde_json::from_str(&detail).ok()))
}

/// The event that says how labels are read.
pub(super) fn current_migration(c: &Connection) -> rusqlite::Result<Option<EntryId>> {
    c.prepare_cached(IN_FORCE)?.query_row([], |row| row.get(0)).optional()
}

impl Store {
    /// How labels are read in this store, as it was when it was opened.
    pub(crate) fn key_map(&self) -> &KeyMap {
        &self.key_map
    }

    /// Learns how labels are read, and teaches SQLite: `reads_as(label)` is [`KeyMap::map_label`].
    pub(super) fn read_key_map(&mut self) -> Result<(), StoreError> {
        (self.migration, self.key_map) = self.with(|c| Ok((current_migration(c)?, key_map(c)?)))?;
        let known = self.key_map.clone();
        self.with(|c| {
            let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
            c.create_scalar_function("reads_as", 1, flags, move |context| {
                Ok(context.get::<Option<Label>>(0)?.and_then(|label| known.map_label(&label)))
            })
        })
    }

    /// The latest change of categories that was made here.
    pub(crate) fn latest_migration(&self) -> Result<Option<TaxonomyMigration>, StoreError> {
        self.with(latest)
    }

    /// The latest change of categories that was made here and has not been undone.
    pub(crate) fn migration_to_undo(&self) -> Result<Option<(EntryId, TaxonomyMigration)>, StoreError> {
        let all: Vec<(EntryId, TaxonomyMigration)> = self.with(|c| {
            c.prepare("SELECT id, detail FROM events WHERE kind = 'recast' AND site IS NULL ORDER BY seq")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let mut in_force: Vec<(EntryId, TaxonomyMigration)> = Vec::new();
        for (id, migration) in all {
            match &migration.undoes {
                Some(undone) => in_force.retain(|(id, _)| id != undone),
                None => in_force.push((id, migration)),
            }
        }
        Ok(in_force.pop())
    }

    /// What an annotator said of a sentence, where that is open again because a category was split.
    pub(crate) fn label_before_split(
        &self,
        sentence: SentenceId,
        annotator: &Annotator,
    ) -> Result<Option<Label>, StoreError> {
        let said: Option<Judgement> = self.with(|c| {
            c.prepare_cached(
                "SELECT e.stand FROM standing t JOIN events e ON e.seq = t.seq WHERE t.sentence = ? AND t.annotator = ?",
            )?
            .query_row(params![sentence, annotator], |row| row.get(0))
            .optional()
        })?;
        Ok(said.and_then(|judgement| judgement.label).filter(|label| self.key_map.map_label(label).is_none()))
    }

    /// Every label that stands, as it was given.
    pub(crate) fn original_labels(&self) -> Result<Vec<(LabelGiver, Label, u64)>, StoreError> {
        let mut all = Vec::new();
        // A settlement whose category was split is no row of the fold.
        let settled = "(SELECT max(seq) AS seq FROM events e WHERE kind = 'settle' AND NOT EXISTS
            (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator) GROUP BY sentence)";
        for (latest, speaker) in [("standing", LabelGiver::Expert), (settled, LabelGiver::Adjudicator)] {
            self.with(|c| {
                let given = "json_extract(e.stand, '$.label')";
                let sql = format!(
                    "SELECT {given}, count(*) FROM {latest} t JOIN events e ON e.seq = t.seq WHERE {given} IS NOT NULL GROUP BY 1"
                );
                let mut read = c.prepare(&sql)?;
                let mut rows = read.query_map([], |row| Ok((speaker, original_label(row)?, row.get(1)?)))?;
                rows.try_for_each(|row| row.map(|row| all.push(row)))
            })?;
        }
        self.with(|c| {
            let sql =
                "SELECT p.label, count(*), p.source, s.synthetic FROM proposals p JOIN sentences s ON s.id = p.sentence
                GROUP BY p.label, p.source, s.synthetic";
            let mut read = c.prepare(sql)?;
            let mut rows = read.query_map([], |row| {
                let written = row.get::<_, Source>(2)? == Source::Llm && row.get(3)?;
                Ok((if written { LabelGiver::Generator } else { LabelGiver::Machine }, row.get(0)?, row.get(1)?))
            })?;
            rows.try_for_each(|row| row.map(|row| all.push(row)))
        })?;
        Ok(all)
    }
}

fn original_label(row: &Row<'_>) -> rusqlite::Result<Label> {
    let keys = row.get_ref(0)?.as_str()?;
    serde_json::from_str(keys).map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, e.into()))
}
