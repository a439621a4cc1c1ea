//! Looking for what the program cannot have written: the log against its chain, the projection against the log, every other row
//! against its seal, and the tables themselves.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use rustc_hash::{FxHashMap, FxHashSet};

use super::log::{ChainHash, ENTRY, SEQ, entry, next, rebuild};
use super::seals::{self, RowChange, Unsealed, encoded};
use super::{Store, StoreError, explain, schema};
use crate::domain::corpus::{DocumentUid, SentenceId};
use crate::domain::label::{Annotator, EntryId};
use crate::domain::people::{Forgery, Known, People};

/// Something that the program cannot have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// The event is not what it was, or the sentence or the proposal that it names is not.
    Changed {
        /// Its place in the chain, from 1.
        position: u64,
        event: EntryId,
    },
    /// An event is gone.
    Removed {
        /// Its place in the chain, from 1.
        position: u64,
        /// The event, if its link is still there.
        event: Option<EntryId>,
    },
    /// The rows of the log are not in the order in which they were written, from this event or the one before it on.
    Moved {
        /// Its place in the chain, from 1.
        position: u64,
        event: EntryId,
    },
    /// Events were cut off the end.
    CutOff { events: u64 },
    /// An event cannot be what it says: its signature does not fit, is missing, or is somebody else's.
    Forged {
        /// Its place in the chain, from 1.
        position: u64,
        event: EntryId,
        author: Annotator,
        why: Forgery,
    },
    /// An event was put in without a link.
    Unlinked { event: EntryId },
    /// What is shown as an expert's label is not what the events come to.
    CurrentLabel {
        sentence: SentenceId,
        /// Whose label; `None` for the adjudicators'.
        annotator: Option<Annotator>,
    },
    /// What is shown as withdrawn is not what the events come to.
    Withdrawal { event: EntryId },
    /// A count is not that of what is there.
    Count {
        /// Whose decisions are counted; `None` for the sentences.
        annotator: Option<Annotator>,
    },
    /// A note's text is not the one that its id was made from: it was changed before this store had seals.
    Text {
        /// The note's id in its source.
        document: String,
    },
    /// A row beside the log is not as it was sealed, or a seal is not as it was written.
    Unsealed(Unsealed),
    /// A table, an index, a view or a trigger is not as this program makes it.
    Schema { name: String },
}

impl Tampering {
    /// Whether it is about what the log comes to, which can be made anew from it.
    pub(crate) fn is_of_labels(&self) -> bool {
        matches!(self, Self::CurrentLabel { .. } | Self::Withdrawal { .. } | Self::Count { annotator: Some(_) })
    }
}

/// What came of looking through the whole chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainAudit {
    /// Events looked at.
    pub events: u64,
    /// The last link, in hexadecimal; empty where there is no event.
    pub last_link: String,
    /// Events that nobody signed whose key is known: of before their authors had keys, or taken in on trust.
    pub unsigned: u64,
    /// Rows of `seals` looked at.
    pub seals: u64,
    /// The link of the last of them, in hexadecimal; empty where there is none.
    pub last_seal: String,
    /// Whether a link asked for is in the chain, or is a seal's.
    pub found: bool,
    /// Everything that is wrong, in the order of the chain.
    pub tampering: Vec<Tampering>,
}

impl Store {
    /// Looks through the whole store for what this program cannot have written, and changes nothing. `expect` is a link noted
    /// earlier, in hexadecimal: of the log or of the seals.
    pub fn audit(&mut self, expect: Option<&str>) -> Result<ChainAudit, StoreError> {
        let expect = expect.map(str::to_lowercase);
        let path = self.path.clone();
        let mut run = || {
            // All of it is of one moment, whoever writes meanwhile.
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            let mut audited = walk(&transaction, expect.as_deref())?;
            let sealed = seals::check(&transaction, expect.as_deref())?;
            (audited.seals, audited.last_seal) = (sealed.seals, sealed.last_link);
            audited.found |= sealed.found;
            audited.tampering.extend(changed_texts(&transaction, &sealed.wrong)?);
            audited.tampering.extend(sealed.wrong.into_iter().map(Tampering::Unsealed));
            let named = schema::differing(&transaction)?.into_iter().map(|name| Tampering::Schema { name });
            audited.tampering.extend(named);
            if miscounted(&transaction)? {
                audited.tampering.push(Tampering::Count { annotator: None });
            }
            let shown = projected(&transaction)?;
            let meant =
                set_aside(&transaction).and_then(|()| rebuild(&transaction)).and_then(|()| projected(&transaction));
            transaction.rollback()?;
            match meant {
                Ok(meant) => audited.tampering.extend(differing(&shown, &meant)),
                // A log that cannot be read has been named.
                Err(_) if !audited.tampering.is_empty() => {}
                Err(error) => return Err(error),
            }
            Ok(audited)
        };
        run().map_err(|error| explain(&path, error))
    }
}

/// Lays empty tables of this connection over those of the projection: it is made anew in them, for comparison. The store itself
/// is not written, and they go with the transaction.
fn set_aside(c: &Connection) -> rusqlite::Result<()> {
    let made = "SELECT sql FROM main.sqlite_schema WHERE type = 'table'
        AND name IN ('standing', 'settled', 'undone', 'tally')";
    let all: Vec<String> = c.prepare(made)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    all.iter().try_for_each(|sql| c.execute_batch(&sql.replacen("CREATE TABLE", "CREATE TEMP TABLE", 1)))
}

/// How far the log and the seals have come. Its JSON is signed: names and order are never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChainEnds {
    pub events: u64,
    /// The link of the last event, in hexadecimal; empty where there is none.
    pub link: String,
    pub seals: u64,
    /// The link of the last seal.
    pub seal: String,
}

impl Store {
    /// How far log and seals have come.
    pub(crate) fn ends(&self) -> Result<ChainEnds, StoreError> {
        self.with(|c| {
            let last = |table: &str| {
                let sql = format!("SELECT position, lower(hex(hash)) FROM {table} ORDER BY position DESC LIMIT 1");
                c.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            };
            let ((events, link), (seals, seal)) =
                (last("chain")?.unwrap_or_default(), last("seals")?.unwrap_or_default());
            Ok(ChainEnds { events, link, seals, seal })
        })
    }

    /// Notes that there are anchors, once; what is noted is sealed.
    pub(crate) fn note_anchored(&mut self) -> Result<(), StoreError> {
        if self.is_anchored()? {
            return Ok(());
        }
        self.write(|c| c.execute("INSERT OR REPLACE INTO meta VALUES ('anchored', '1')", []).map(drop))
    }

    /// Whether there are anchors of this store somewhere.
    pub(crate) fn is_anchored(&self) -> Result<bool, StoreError> {
        self.with(|c| c.prepare("SELECT 1 FROM meta WHERE key = 'anchored'")?.exists([]))
    }

    /// Whether log and seals had once come to these ends.
    pub(crate) fn has_ends(&self, ends: &ChainEnds) -> Result<bool, StoreError> {
        self.with(|c| {
            let is_there = |table: &str, position: u64, link: &str| {
                let sql = format!("SELECT 1 FROM {table} WHERE position = ? AND lower(hex(hash)) = ?");
                Ok(position == 0 || c.prepare(&sql)?.exists(rusqlite::params![position, link])?)
            };
            let events: rusqlite::Result<bool> = is_there("chain", ends.events, &ends.link);
            Ok(events? && is_there("seals", ends.seals, &ends.seal)?)
        })
    }
}

/// So many events that are gone are named: a number that somebody wrote there can be any.
const MOST_NAMED: usize = 1_000;

fn walk(c: &Connection, expect: Option<&str>) -> rusqlite::Result<ChainAudit> {
    let mut audited = ChainAudit { found: expect.is_none(), ..ChainAudit::default() };
    let mut read = c.prepare(&format!("{ENTRY} WHERE e.id = ?"))?;
    let own = "SELECT value FROM meta WHERE key = 'site'";
    let own: String = c.query_row(own, [], |row| row.get(0)).optional()?.unwrap_or_default();
    let (mut people, mut last) = (People::default(), i64::MIN);
    let mut links = c.prepare("SELECT position, event, hash FROM chain ORDER BY position")?;
    let mut rows = links.query([])?;
    let (mut before, mut expected): (Option<ChainHash>, u64) = (Some([0; 32]), 1);
    while let Some(row) = rows.next()? {
        let link = (|| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)))();
        let link: rusqlite::Result<(i64, EntryId, ChainHash)> = link;
        let Ok((position, event, hash)) = link else {
            audited.tampering.push(Tampering::Removed { position: expected, event: None });
            (before, expected) = (None, expected + 1);
            continue;
        };
        let position = position.unsigned_abs();
        for gone in (expected..position).take(MOST_NAMED) {
            audited.tampering.push(Tampering::Removed { position: gone, event: None });
            before = None;
        }
        // A row that cannot even be read is one that was changed.
        let found = read.query_row([&event], |row| Ok((entry(row).ok(), row.get::<_, i64>(SEQ)?))).optional()?;
        // Who said it last is told by the rows' numbers; they go as the chain does.
        if let Some((_, seq)) = &found {
            if *seq <= last {
                audited.tampering.push(Tampering::Moved { position, event: event.clone() });
            }
            last = *seq;
        }
        let found = found.map(|(entry, _)| entry);
        if let Some(Some(entry)) = &found {
            match people.check(entry, entry.site.as_deref().unwrap_or(&own)) {
                Ok(known) => {
                    audited.unsigned += u64::from(matches!(known, Known::Unsigned | Known::NewKey));
                    people.take(entry);
                }
                Err(why) => {
                    let (event, author) = (event.clone(), entry.author.clone());
                    audited.tampering.push(Tampering::Forged { position, event, author, why });
                }
            }
        }
        match (found, &before) {
            (None, _) => audited.tampering.push(Tampering::Removed { position, event: Some(event) }),
            (Some(None), _) => audited.tampering.push(Tampering::Changed { position, event }),
            (Some(Some(entry)), Some(before)) if next(before, &entry)? != hash => {
                audited.tampering.push(Tampering::Changed { position, event });
            }
            // Behind a gap there is nothing to hold the first event to; the gap is named already.
            _ => {}
        }
        audited.events += 1;
        audited.last_link = hex::encode(hash);
        audited.found |= expect == Some(&audited.last_link);
        (before, expected) = (Some(hash), position + 1);
    }
    let unlinked = "SELECT id FROM events e WHERE NOT EXISTS (SELECT 1 FROM chain WHERE event = e.id) ORDER BY seq";
    for event in c.prepare(unlinked)?.query_map([], |row| row.get(0))? {
        audited.tampering.push(Tampering::Unlinked { event: event? });
    }
    let counted = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
        - coalesce((SELECT max(seq) FROM events), 0)";
    let cut: i64 = c.query_row(counted, [], |row| row.get(0))?;
    let named = audited.tampering.iter().any(|t| matches!(t, Tampering::Removed { .. }));
    if cut > 0 && !named {
        audited.tampering.push(Tampering::CutOff { events: cut.unsigned_abs() });
    }
    Ok(audited)
}

/// Notes whose text is not the one that their ids were made from, beside those that are named already.
fn changed_texts(c: &Connection, named: &[Unsealed]) -> rusqlite::Result<Vec<Tampering>> {
    let named: FxHashSet<&str> = named
        .iter()
        .filter_map(|wrong| match wrong {
            Unsealed::Row { table: seals::NOTES, key, change: RowChange::Changed | RowChange::Added } => {
                key.first().map(String::as_str)
            }
            _ => None,
        })
        .collect();
    let mut read = c.prepare(
        "SELECT d.id, d.uid, p.key, d.external_id, d.text FROM documents d JOIN patients p ON p.id = d.patient
         WHERE d.origin = 'real'",
    )?;
    let mut rows = read.query([])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        // What is no text is none that was imported.
        let texts = (|| Ok((row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?)))();
        let texts: rusqlite::Result<(&str, &str, &str)> = texts;
        let same = texts.is_ok_and(|(patient, id, text)| {
            row.get::<_, [u8; 16]>(1).is_ok_and(|uid| DocumentUid::of(patient, id, text).0 == uid)
        });
        if !same && !named.contains(number.to_string().as_str()) {
            let id = row.get_ref(3)?.as_bytes().unwrap_or_default();
            changed.push(Tampering::Text { document: String::from_utf8_lossy(id).into_owned() });
        }
    }
    Ok(changed)
}

/// Where what is shown is not what the events come to.
fn differing(shown: &Projected, meant: &Projected) -> Vec<Tampering> {
    let mut places: Vec<&Place> =
        shown.keys().chain(meant.keys()).filter(|at| shown.get(at) != meant.get(at)).collect();
    places.sort_unstable();
    places.dedup();
    let name = |place: &Place| match place.clone() {
        Place::Label(sentence, annotator) => Tampering::CurrentLabel { sentence, annotator },
        Place::Withdrawal(event, _) => Tampering::Withdrawal { event },
        Place::Decided(annotator, _) => Tampering::Count { annotator: Some(annotator) },
    };
    places.into_iter().map(name).collect()
}

/// Whether the count of sentences is that of what is there.
fn miscounted(c: &Connection) -> rusqlite::Result<bool> {
    let wrong = "SELECT EXISTS (SELECT 1 FROM totals WHERE sentences <>
            (SELECT count(*) FROM sentences WHERE synthetic = (origin = 'synthetic')))
        OR (SELECT count(*) FROM totals) <> 2";
    c.query_row(wrong, [], |row| row.get(0))
}

/// What a row of the projection is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    /// An expert's current decision on a sentence, or (without a name) the adjudicators'.
    Label(SentenceId, Option<Annotator>),
    /// What somebody withdrew.
    Withdrawal(EntryId, Annotator),
    /// How much somebody decided, by origin.
    Decided(Annotator, String),
}

/// Every row of the projection, its other columns one behind the other.
type Projected = FxHashMap<Place, Vec<u8>>;

fn projected(c: &Connection) -> rusqlite::Result<Projected> {
    let mut all = Projected::default();
    type ReadPlace = fn(&rusqlite::Row<'_>) -> rusqlite::Result<Place>;
    let mut read = |sql: &str, place: ReadPlace| -> rusqlite::Result<()> {
        let mut read = c.prepare(sql)?;
        let columns = read.column_count();
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let values: Vec<ValueRef<'_>> = (2..columns).map(|at| row.get_ref(at)).collect::<Result<_, _>>()?;
            all.insert(place(row)?, encoded(&values));
        }
        Ok(())
    };
    let label: ReadPlace = |row| Ok(Place::Label(row.get(0)?, row.get(1)?));
    read(
        "SELECT sentence, annotator, seq, label, rejected, skipped, flagged, commented, blind, forked, in_sight FROM standing",
        label,
    )?;
    read("SELECT sentence, NULL, annotator, seq, label, blind, in_sight FROM settled", label)?;
    read("SELECT target, annotator, seq FROM undone", |row| Ok(Place::Withdrawal(row.get(0)?, row.get(1)?)))?;
    read("SELECT annotator, origin, decided FROM tally WHERE decided <> 0", |row| {
        Ok(Place::Decided(row.get(0)?, row.get(1)?))
    })?;
    Ok(all)
}
