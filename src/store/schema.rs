//! The schema as an append-only list of migrations. A migration that has been released is never changed.

use rusqlite::Connection;

use super::{Store, StoreError};

/// Marks the file as ours (`GLDS`).
const APPLICATION_ID: i64 = 0x474c_4453;

/// Each entry lifts the store by one version.
const MIGRATIONS: &[&str] = &[
    // 1: the first schema.
    //
    // Sentences are spans of their document's text, never copies, so a note can be written back byte for byte. The
    // full-text index is contentless and follows behind (`search_upto` in `meta`), so that an import of millions of rows
    // does not wait for it. Numbers as keys keep a million rows small; uuids name what must be unique across stores. A
    // document's sentences are numbered in a row, so they need no index; its uid is random and comes second in its index,
    // so that notes in the order of their ids fill one page after the other instead of touching all of them.
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE patients (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, split TEXT NOT NULL);
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL, config TEXT NOT NULL, taxonomy TEXT NOT NULL,
        started INTEGER NOT NULL, finished INTEGER, outcome TEXT NOT NULL, scores TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, uid BLOB NOT NULL, patient INTEGER NOT NULL REFERENCES patients, origin TEXT NOT NULL,
        external_id TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, date TEXT NOT NULL, source TEXT NOT NULL,
        first_sentence INTEGER NOT NULL, sentence_count INTEGER NOT NULL, text TEXT NOT NULL,
        UNIQUE (external_id, uid)
    );
    CREATE TABLE sentences (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, position INTEGER NOT NULL,
        start INTEGER NOT NULL, end INTEGER NOT NULL, synthetic INTEGER NOT NULL
    );
    CREATE INDEX synthetic_sentences ON sentences (id) WHERE synthetic = 1;
    CREATE VIEW sentence_text (id, text) AS
        SELECT s.id, CAST(substr(CAST(d.text AS BLOB), s.start + 1, s.end - s.start) AS TEXT)
        FROM sentences s JOIN documents d ON d.id = s.document;
    CREATE VIRTUAL TABLE search USING fts5 (text, content = '', tokenize = 'unicode61 remove_diacritics 2', detail = 'full');

    CREATE TABLE proposals (
        id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES runs, source TEXT NOT NULL,
        sentence INTEGER NOT NULL REFERENCES sentences, label TEXT NOT NULL, confidence REAL, confidence_kind TEXT,
        probabilities BLOB NOT NULL, rationale TEXT NOT NULL, evidence TEXT NOT NULL
    );
    CREATE UNIQUE INDEX proposals_of_sentence ON proposals (sentence, source, run);
    CREATE INDEX proposals_of_run ON proposals (run, sentence);

    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, at INTEGER NOT NULL,
        annotator TEXT NOT NULL, sentence INTEGER REFERENCES sentences, stand TEXT, took INTEGER,
        proposal_visible INTEGER, proposal INTEGER REFERENCES proposals, taxonomy TEXT, target TEXT
    );
    CREATE INDEX events_of_annotator ON events (annotator, kind, seq);
    CREATE INDEX events_of_sentence ON events (sentence, annotator, seq);
    CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
    CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

    CREATE TABLE standing (
        sentence INTEGER NOT NULL, annotator TEXT NOT NULL, seq INTEGER NOT NULL, label TEXT, rejected INTEGER NOT NULL,
        skipped INTEGER NOT NULL, flagged INTEGER NOT NULL, commented INTEGER NOT NULL, blind INTEGER NOT NULL,
        PRIMARY KEY (sentence, annotator)
    ) WITHOUT ROWID;
    CREATE INDEX standing_of_annotator ON standing (annotator, sentence, label);
    CREATE INDEX standing_by_seq ON standing (seq);
    CREATE TABLE undone (target TEXT PRIMARY KEY, annotator TEXT NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX undone_of_annotator ON undone (annotator, seq);
    CREATE TABLE tally (annotator TEXT NOT NULL, origin TEXT NOT NULL, decided INTEGER NOT NULL,
        PRIMARY KEY (annotator, origin)) WITHOUT ROWID;
    CREATE TABLE totals (origin TEXT PRIMARY KEY, sentences INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO totals VALUES ('real', 0), ('synthetic', 0);
    CREATE TABLE scored_runs (run TEXT PRIMARY KEY REFERENCES runs, model_path TEXT NOT NULL) WITHOUT ROWID;
    ",
    // 2: language models.
    //
    // `egress` is written before a request leaves and told afterwards how it ended; it holds no text. `replies` lets an
    // identical request be answered without asking again. What could not be used is a row of `failures`, never nothing.
    // `spending` is what a run has cost so far, for whoever looks on. `verdicts` are what the quality gate said of a
    // synthetic sentence.
    "
    CREATE TABLE egress (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, run TEXT, host TEXT NOT NULL, purpose TEXT NOT NULL,
        sentences TEXT NOT NULL, bytes INTEGER NOT NULL, outcome TEXT NOT NULL
    );
    CREATE INDEX egress_of_run ON egress (run);
    CREATE TABLE replies (key BLOB PRIMARY KEY, at INTEGER NOT NULL, reply TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE failures (
        run TEXT NOT NULL REFERENCES runs, sentence INTEGER NOT NULL REFERENCES sentences, at INTEGER NOT NULL,
        fault TEXT NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (run, sentence)
    ) WITHOUT ROWID;
    CREATE TABLE spending (
        run TEXT PRIMARY KEY REFERENCES runs, requests INTEGER NOT NULL, retries INTEGER NOT NULL, cached INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
        estimated INTEGER NOT NULL, micros INTEGER NOT NULL, milliseconds INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE verdicts (
        sentence INTEGER NOT NULL REFERENCES sentences, item TEXT NOT NULL, passed INTEGER NOT NULL, reason TEXT NOT NULL,
        value REAL, PRIMARY KEY (sentence, item)
    ) WITHOUT ROWID;
    ",
    // 3: experiments and encoders.
    //
    // `predictions` are what the cells of an experiment say of test sentences: no proposals, so Review and the metrics never
    // meet them. `embeddings` are an encoder's vectors by the SHA-256 of the text.
    "
    CREATE TABLE predictions (
        run TEXT NOT NULL REFERENCES runs, sentence INTEGER NOT NULL REFERENCES sentences, label TEXT NOT NULL,
        PRIMARY KEY (run, sentence)
    ) WITHOUT ROWID;
    CREATE TABLE embeddings (
        encoder TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (encoder, text)
    ) WITHOUT ROWID;
    ",
    // 4: labels in doubt.
    //
    // What a search for label errors found, the worst with rank 1. It names the label as it was given then, which may have
    // been decided anew since; a sentence is doubted once by a search.
    "
    CREATE TABLE doubts (
        run TEXT NOT NULL REFERENCES runs, rank INTEGER NOT NULL, sentence INTEGER NOT NULL REFERENCES sentences,
        tier TEXT NOT NULL, given TEXT NOT NULL, suggested TEXT NOT NULL, confidence REAL NOT NULL,
        self_confidence REAL NOT NULL, margin REAL NOT NULL, PRIMARY KEY (run, rank)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX doubts_of_sentence ON doubts (sentence, run);
    ",
    // 5: many experts.
    //
    // `supersedes` names what an event was made in the knowledge of (NULL: not known, all before it); `site` is the store that
    // it came from (NULL: this one). `chain` links every event to all before it; see `audit`. `settled` is what adjudicators'
    // events come to, with a NULL label where they contradict each other. `ranking` is the order that the newest plan of the
    // queue gives sentences, and why. `taxonomies` keeps every version of the guideline by its hash.
    "
    ALTER TABLE events ADD COLUMN supersedes TEXT;
    ALTER TABLE events ADD COLUMN site TEXT;
    ALTER TABLE events ADD COLUMN detail TEXT;
    CREATE INDEX events_of_target ON events (target) WHERE target IS NOT NULL;
    ALTER TABLE standing ADD COLUMN forked INTEGER NOT NULL DEFAULT 0;
    DROP TABLE undone;
    CREATE TABLE undone (target TEXT NOT NULL, annotator TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (target, annotator)) WITHOUT ROWID;
    CREATE INDEX undone_of_annotator ON undone (annotator, seq);
    CREATE TABLE settled (
        sentence INTEGER PRIMARY KEY, seq INTEGER NOT NULL, annotator TEXT NOT NULL, label TEXT, blind INTEGER NOT NULL
    );
    CREATE TABLE chain (position INTEGER PRIMARY KEY, event TEXT NOT NULL UNIQUE, hash BLOB NOT NULL);
    CREATE TRIGGER chain_is_never_changed BEFORE UPDATE ON chain
        BEGIN SELECT RAISE(ABORT, 'the chain is append-only'); END;
    CREATE TRIGGER chain_is_never_deleted BEFORE DELETE ON chain
        BEGIN SELECT RAISE(ABORT, 'the chain is append-only'); END;
    CREATE TABLE assignments (
        sentence INTEGER NOT NULL REFERENCES sentences, annotator TEXT NOT NULL, run TEXT NOT NULL REFERENCES runs,
        calibration INTEGER NOT NULL, PRIMARY KEY (sentence, annotator)
    ) WITHOUT ROWID;
    CREATE INDEX assignments_of_annotator ON assignments (annotator, sentence);
    CREATE INDEX calibration_of_annotator ON assignments (annotator, sentence) WHERE calibration = 1;
    CREATE TABLE ranking (
        run TEXT NOT NULL REFERENCES runs, rank INTEGER NOT NULL, sentence INTEGER NOT NULL, why TEXT NOT NULL,
        PRIMARY KEY (run, rank)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX ranking_of_sentence ON ranking (sentence, run);
    CREATE TABLE taxonomies (hash TEXT PRIMARY KEY, at INTEGER NOT NULL, content TEXT NOT NULL) WITHOUT ROWID;
    ",
    // 6: categories renamed, merged and split.
    //
    // Events of the kind `recast` say in `detail` how labels are read from there on.
    "
    CREATE INDEX recasts ON events (site) WHERE kind = 'recast';
    ",
    // 7: what had been in sight.
    //
    // `in_sight` says it cue by cue, joined by commas: '' is nothing, NULL is not known. Until now an event said only whether a
    // machine's label could be seen, so `blind` in `standing` and `settled` becomes 1 only where it is known. `veiled` is what a
    // reason says where what machines say is hidden; reasons are veiled when they are read.
    "
    ALTER TABLE events ADD COLUMN in_sight TEXT;
    ALTER TABLE standing ADD COLUMN in_sight TEXT;
    ALTER TABLE settled ADD COLUMN in_sight TEXT;
    ALTER TABLE ranking ADD COLUMN veiled TEXT NOT NULL DEFAULT '';
    ",
    // 8: where titles come from.
    //
    // A row for each note whose title was read from a column that the project names. A guessed column may be the label's.
    "
    CREATE TABLE title_columns (document INTEGER PRIMARY KEY REFERENCES documents, name TEXT NOT NULL) WITHOUT ROWID;
    ",
    // 9: what was changed is found, and who said it.
    //
    // `seals` is what a commit changed beside the log, row by row, linked to the seal before and to the log as it then was.
    // `signature` is the author's over the event; NULL for those of before. Events of the kind `person` say in `detail` which key
    // and which roles somebody has. `access` is who read which notes, and how.
    "
    ALTER TABLE events ADD COLUMN signature TEXT;
    CREATE INDEX persons ON events (seq) WHERE kind = 'person';
    CREATE TABLE access (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, person TEXT NOT NULL, how TEXT NOT NULL,
        documents TEXT NOT NULL
    );
    CREATE INDEX access_of_person ON access (person, id);
    CREATE TABLE seals (
        position INTEGER PRIMARY KEY AUTOINCREMENT, events INTEGER NOT NULL, link BLOB NOT NULL, rows BLOB NOT NULL,
        hash BLOB NOT NULL
    );
    CREATE TRIGGER seals_are_never_changed BEFORE UPDATE ON seals
        BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
    CREATE TRIGGER seals_are_never_deleted BEFORE DELETE ON seals
        BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
    ",
];

/// The version that chained the events and folds them anew; those of earlier stores are chained when they are met.
const CHAINED: i64 = 5;

/// The version whose folds say what had been in sight.
const IN_SIGHT: i64 = 7;

/// The version that seals what stands beside the log; what earlier stores have is sealed as it is found.
const SEALED: i64 = 9;

/// The version that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// The version that a store is of. One that is newer is refused, and so is another program's database.
pub(super) fn version(store: &Store) -> Result<i64, StoreError> {
    let path = store.path.clone();
    let version = store.with(|c| c.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)))?;
    let application = store.with(|c| c.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0)))?;
    if version > VERSION {
        return Err(StoreError::Newer { path, found: version, known: VERSION });
    }
    let tables = store.with(|c| c.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)))?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(StoreError::Corrupt(path, "it is another program's database".into()));
    }
    Ok(version)
}

/// Brings the store up to [`VERSION`], or says that it is newer.
pub(super) fn migrate(store: &mut Store) -> Result<(), StoreError> {
    let version = version(store)?;
    if version == VERSION {
        return Ok(());
    }
    let _span = tracing::info_span!("migrate_store", from = version, to = VERSION).entered();
    // The tables are not there yet that are watched later.
    store.write_unwatched(|c| {
        // Another process may have migrated while this one waited for the lock.
        let version: i64 = c.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for (number, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
            c.execute_batch(migration)?;
            c.pragma_update(None, "user_version", number as i64 + 1)?;
        }
        if version < CHAINED {
            super::log::link_all(c)?;
        }
        if version < IN_SIGHT {
            super::log::rebuild(c)?;
        }
        if version < SEALED {
            super::seals::seal_all(c)?;
        }
        c.pragma_update(None, "application_id", APPLICATION_ID)
    })
}

/// Tables, indexes, views and triggers by name, with the words that made them. What the full-text index keeps for itself is left
/// out: it depends on SQLite's version.
type Schema = std::collections::BTreeMap<String, Option<String>>;

fn schema_of(c: &Connection) -> rusqlite::Result<Schema> {
    let of_index = "type = 'table' AND name IN ('search_data', 'search_idx', 'search_docsize', 'search_config')";
    c.prepare(&format!("SELECT name, sql FROM main.sqlite_schema WHERE NOT ({of_index})"))?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// The names of what is not as the migrations made it: changed, removed, or put in (a trigger can change what is written).
pub(super) fn differing(c: &Connection) -> rusqlite::Result<Vec<String>> {
    let made = Connection::open_in_memory()?;
    MIGRATIONS.iter().try_for_each(|migration| made.execute_batch(migration))?;
    let (found, made) = (schema_of(c)?, schema_of(&made)?);
    let names = found.keys().chain(made.keys().filter(|name| !found.contains_key(*name)));
    Ok(names.filter(|name| found.get(*name) != made.get(*name)).cloned().collect())
}

/// Makes a store as an earlier version left it.
#[cfg(test)]
pub(super) fn earlier_version(c: &Connection, version: usize) -> rusqlite::Result<()> {
    MIGRATIONS[..version].iter().try_for_each(|migration| c.execute_batch(migration))?;
    c.pragma_update(None, "user_version", version as i64)?;
    c.pragma_update(None, "application_id", APPLICATION_ID)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::MIGRATIONS;

    /// A migration is released once it is on users' disks. Its checksum is never edited: a new migration adds one.
    const RELEASED: [&str; 9] = [
        "1834a53f7a8327cf5ee4786560f12465e8dd79fffbca22b357b9c8acaf90f561",
        "21d5e1138a4e19f231ff8dbbacdcdac798e7ef34f1242b12e8dda9fa6bdb8c88",
        "8c660c6d516f2b0ad43d5f61a9bbe482123ba2ae85c7477fcea5808ba3126aab",
        "49d268f2a07df306b04f6ae55f00c30cba98d11cae6016b16a129379710d3081",
        "68a9818e87b03d096f68eb6c95c1653c8c8436bbd10d0f598881ef57d4cc5617",
        "b435c31462f2ec43f5b772969f48d015c35d9f38838270a29b0c52cd14c1c3cf",
        "b38c583004f578beb7f9af3c0cc07e53f6488202a48820cb0d4fcd7c7385535b",
        "81b9bd8609aaafe6991f9f5c1e2560adf04ffc17caaaf54eca89b57bc6abe52f",
        "0ec05ae3a7ea482492ff570392b349081a1d2951e63465f4e99c4990f100a71f",
    ];

    #[test]
    fn a_released_migration_is_never_changed() {
        let sums: Vec<String> = MIGRATIONS.iter().map(|text| hex::encode(Sha256::digest(text))).collect();
        assert_eq!(sums, RELEASED, "a released migration was changed, or a new one has no checksum yet");
    }
}
