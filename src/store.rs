//! The SQLite store: one file, every SQL statement of the program.
//!
//! The log is append-only (triggers refuse anything else); `standing`, `settled`, `undone` and `tally` are its projection,
//! written in the same transaction, that [`Store::rebuild`] can make anew. Several processes may have the file open: readers never
//! wait (WAL), writers hold the lock for milliseconds, and a busy lock is waited for.

mod access_log;
mod audit;
mod backup;
mod bronze;
mod convert;
mod corpus;
mod doubts;
mod embeddings;
mod encryption;
mod guideline;
mod key_map;
mod label_changes;
mod likeness;
mod log;
mod merge;
mod migration;
mod opening;
mod people;
mod predictions;
mod protocol;
mod queue;
mod ranking;
mod requests;
mod runs;
mod schema;
mod seals;
mod selection;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB};
use rustc_hash::FxHashMap;

use crate::domain::key_map::KeyMap;
use crate::domain::label::EntryId;
use crate::domain::secret::{Secret, SecretSource};
use crate::domain::text::Cause;

use self::seals::Touched;

pub use access_log::AccessRow;
pub use audit::{ChainAudit, ChainEnds, Tampering};
pub use bronze::{BronzeRow, NewBronze};
pub use corpus::{Insert, TextRow};
pub use embeddings::TextHash;
pub use key_map::LabelGiver;
pub use label_changes::{CurrentLabelRow, ProposalRow, ReadMark, SettlementRow};
pub(crate) use likeness::{Known, Likeness, RowsOfBefore};
pub(crate) use log::Signer;
pub use log::{LogFilter, LogRow, PersonTotals, ProgressCount, Said, UndoneDecision, Veiled};
pub use merge::{Merged, Seen};
pub use protocol::AssignedCount;
pub use queue::SeekDirection;
pub(crate) use ranking::RankingRow;
pub(crate) use requests::FailedSentence;
pub use seals::{RowChange, Unsealed};
pub(crate) use selection::EntrySelection;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Categories were renamed, merged or split since this store was opened.
    #[error("the guideline's categories have changed in the meantime; nothing was saved")]
    TaxonomyChanged,
    /// The file is not there.
    #[error("there is no store at {0}")]
    Missing(PathBuf),
    /// A newer program wrote it.
    #[error("{path} is of version {found}, this goldsmith reads up to {known}")]
    Newer {
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Without its key it cannot be told from a damaged one.
    #[error("{0} is damaged or no goldsmith store, or it is encrypted")]
    Locked(PathBuf),
    /// There is a key, and the store is plain.
    #[error("{0} is not encrypted, although the project names a key for it")]
    NotEncrypted(PathBuf),
    /// The key is another one's.
    #[error("the key {from} does not open {path}")]
    WrongKey {
        path: PathBuf,
        /// Where the key came from.
        from: SecretSource,
    },
    /// This program was built without encryption.
    #[error("this goldsmith was built without encrypted stores, and {0} has a key")]
    NoEncryption(PathBuf),
    /// What cannot be done while others have the store open.
    #[error("another goldsmith has {0} open; nothing was changed")]
    InUse(PathBuf),
    /// The store has changed its key; what stood in the file before may still be on the disk.
    #[error("{0} has its new key, but the file that was there before could not be overwritten")]
    NotWiped(PathBuf, #[source] Cause),
    /// Not a database, or damaged.
    #[error("{0} is damaged or no goldsmith store")]
    Corrupt(PathBuf, #[source] Cause),
    /// No room or no right to write.
    #[error("cannot write {0}; this was not saved, what was saved before is there")]
    Unwritable(PathBuf, #[source] Cause),
    /// Its file system has no locks.
    #[error("{0} is on a file system that cannot lock (a network share?): keep the project on a local disk")]
    NoLocks(PathBuf),
    /// Its file system cannot give several processes the same memory, which the write-ahead log needs.
    #[error("{0} is on a file system that cannot share memory (a network share?): keep the project on a local disk")]
    NoSharedMemory(PathBuf),
    /// Another process held the write lock for too long.
    #[error("another process has been writing {0} for more than {1} seconds")]
    Busy(PathBuf, u64),
    /// An id that the store does not have.
    #[error("the store has no {what} `{id}`")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        id: String,
    },
    /// A value in a row that this program cannot have written.
    #[error("the store holds a {what} that cannot be read")]
    Unreadable {
        /// The kind of thing.
        what: &'static str,
        /// Why not.
        #[source]
        cause: Cause,
    },
    /// The log has an entry of a kind that this program does not know.
    #[error("the log in {path} has an entry of the kind `{kind}`: a newer goldsmith wrote it, or the file is damaged")]
    UnknownEntry {
        path: PathBuf,
        /// The kind, as it stands there.
        kind: String,
    },
    /// Anything else that SQLite says.
    #[error("the store {0} failed")]
    Sqlite(PathBuf, #[source] rusqlite::Error),
}

/// A wait for the write lock that the log mentions.
const LONG_WAIT: Duration = Duration::from_millis(100);
/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(20);

/// Waits for the disk at every commit: a decision shown as saved survives a power cut, not only a crash.
const EACH_COMMIT_COUNTS: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 250;
    PRAGMA mmap_size = 1073741824";
/// For rows that can be read in again. Mapped pages would look like memory that grows with the file.
const BULK: &str = "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF; PRAGMA wal_autocheckpoint = 2000;
    PRAGMA mmap_size = 0";

/// An open store. Not shared between threads: each opens its own.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// What opens it, where it is encrypted.
    key: Option<Secret>,
    /// Numbers of patients met lately; a number never changes, so an import need not ask for it with every row.
    patients: FxHashMap<String, i64>,
    /// The change of categories that was in force when the store was opened.
    migration: Option<EntryId>,
    /// How labels are read since.
    key_map: KeyMap,
    /// What the transaction under way has written beside the log.
    touched: Touched,
    /// Whether the connection hands over what it writes.
    watched: bool,
    /// Whoever writes into the log, where what they write is signed.
    signer: Option<Arc<Signer>>,
    people: people::KnownPeople,
    /// Opened where nothing can be written.
    read_only: bool,
}

impl Store {
    /// Makes a new store file, readable by its owner only. Where that fails, no file of it stays.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|e| StoreError::Unwritable(path.into(), e.into()))?;
        Self::connect(path, None).inspect_err(|_| {
            for file in [path.into(), beside(path, "-wal"), beside(path, "-shm")] {
                // What went wrong is said already.
                let _ = std::fs::remove_file(file);
            }
        })
    }

    /// Opens an existing store that is not encrypted; for tests.
    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, None)
    }

    /// Opens an existing store with the key that it is encrypted with, and brings its schema up to date.
    pub(crate) fn open_with(path: &Path, key: Option<&Secret>) -> Result<Self, StoreError> {
        present(path)?;
        opening::ensure_locks(path)?;
        let connection = encryption::open(path, key)?;
        if connection.is_readonly(MAIN_DB).map_err(|e| explain(path, e))? {
            return Err(StoreError::Unwritable(path.into(), "it may only be read".into()));
        }
        opening::not_emptied(&connection, path)?;
        Ok(Self { key: key.cloned(), ..Self::prepare(connection, path)? })
    }

    fn connect(path: &Path, key: Option<&Secret>) -> Result<Self, StoreError> {
        opening::ensure_locks(path)?;
        Ok(Self { key: key.cloned(), ..Self::prepare(encryption::open(path, key)?, path)? })
    }

    /// A store that lives as long as the value; for tests.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        Self::prepare(Connection::open_in_memory().map_err(|e| explain(path, e))?, path)
    }

    fn prepare(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let mut store = Self::of(connection, path, false);
        store.with(|c| {
            c.busy_timeout(BUSY)?;
            // Whole notes fit larger pages better than 4 KiB, and a commit writes fewer of them.
            c.pragma_update(None, "page_size", 16_384)?;
            c.pragma_update(None, "journal_mode", "WAL")?;
            c.execute_batch(EACH_COMMIT_COUNTS)
        })?;
        store.settle_in()?;
        schema::migrate(&mut store)?;
        store.read_key_map()?;
        Ok(store)
    }

    fn of(connection: Connection, path: &Path, read_only: bool) -> Self {
        Self {
            connection,
            path: path.into(),
            key: None,
            patients: FxHashMap::default(),
            migration: None,
            key_map: KeyMap::default(),
            touched: Touched::default(),
            watched: false,
            signer: None,
            people: people::KnownPeople::default(),
            read_only,
        }
    }

    /// What every connection is set to, also one that only reads.
    fn settle_in(&self) -> Result<(), StoreError> {
        self.with(|c| {
            c.pragma_update(None, "cache_size", -65_536)?;
            c.pragma_update(None, "temp_store", "MEMORY")?;
            c.set_prepared_statement_cache_capacity(128);
            Ok(())
        })
    }

    /// Runs `work` with commits that do not wait for the disk, then waits once for all of them: for rows that can be read
    /// in again by the same command if the power fails. Numbers that such rows refer to were given out just before, so
    /// foreign keys are not looked up again.
    pub(crate) fn in_bulk<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, StoreError> {
        self.with(|c| c.execute_batch(BULK))?;
        let done = work(self);
        self.with(|c| c.execute_batch(EACH_COMMIT_COUNTS))?;
        // This commit waits for the disk, and with it all that stand before it in the write-ahead log.
        self.write(|c| c.execute("INSERT OR REPLACE INTO meta VALUES ('bulk_saved', datetime('now'))", []))?;
        Ok(done)
    }

    /// Takes little memory, however long the work: for runs of many small writes, whose pages need not be kept at hand.
    pub(crate) fn lean(&self) -> Result<(), StoreError> {
        self.with(|c| c.execute_batch("PRAGMA mmap_size = 0; PRAGMA cache_size = -8192; PRAGMA shrink_memory"))
    }

    /// The store's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Another connection to the same file, for another thread.
    pub(crate) fn again(&self) -> Result<Self, StoreError> {
        let again = match self.read_only {
            true => Self::open_to_read(&self.path, self.key.as_ref())?,
            false => Self::open_with(&self.path, self.key.as_ref())?,
        };
        Ok(Self { signer: self.signer.clone(), ..again })
    }

    /// Whether it was opened where nothing can be written.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Lets no other process write while `work` looks on.
    pub(crate) fn hold<T, E: From<StoreError>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        self.with(|c| c.execute_batch("BEGIN IMMEDIATE"))?;
        let done = work(self);
        self.with(|c| c.execute_batch("ROLLBACK"))?;
        done
    }

    /// Whether the log has an entry of this id.
    pub(crate) fn has_entry(&self, id: &EntryId) -> Result<bool, StoreError> {
        self.with(|c| log::is_known(c, id))
    }

    /// Leaves it to another connection to move the write-ahead log into the file, unless that grows to 64 MiB: it takes longer
    /// than all else that a decision waits for.
    pub(crate) fn leave_checkpoints(&self) -> Result<(), StoreError> {
        self.with(|c| c.execute_batch("PRAGMA wal_autocheckpoint = 4096"))
    }

    /// Moves into the file what the write-ahead log holds and nobody reads; others go on writing.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        if self.read_only {
            return Ok(());
        }
        self.with(|c| c.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())))
    }

    /// A number that changes when another connection has written.
    pub(crate) fn data_version(&self) -> Result<i64, StoreError> {
        self.with(|c| c.query_row("PRAGMA data_version", [], |row| row.get(0)))
    }

    /// SQLite's own check of the file; the first line is `ok` when all is well.
    pub(crate) fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        self.with(|c| {
            let mut statement = c.prepare("PRAGMA integrity_check")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|e| explain(&self.path, e))
    }

    /// Runs `work` in a transaction that takes the write lock at once, so that it cannot fail half-way for want of it, and seals
    /// what it wrote.
    fn write<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let touched = self.watch()?;
        self.write_unwatched(|c| {
            let value = work(c)?;
            seals::seal(c, &touched)?;
            Ok(value)
        })
    }

    /// The same with a commit that does not wait for the disk. A program that is killed does not lose it; a power cut may take it
    /// back, unless a commit that waits came after it.
    fn write_without_waiting<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(|c| c.execute_batch("PRAGMA synchronous = NORMAL"))?;
        let done = self.write(work);
        self.with(|c| c.execute_batch("PRAGMA synchronous = FULL"))?;
        done
    }

    /// Has the connection hand over what it writes, and forgets what a transaction wrote that came to nothing.
    fn watch(&mut self) -> Result<Touched, StoreError> {
        if !self.watched {
            self.with(|c| seals::watch(c, &self.touched))?;
            self.watched = true;
        }
        self.touched.forget();
        Ok(self.touched.clone())
    }

    fn write_unwatched<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let path = self.path.clone();
        let asked = Instant::now();
        let run = || {
            let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let waited = asked.elapsed();
            if waited >= LONG_WAIT {
                tracing::warn!(ms = waited.as_millis(), "waited for another process's writing");
            }
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|e| explain(&path, e))
    }
}

/// A file beside the store's, of its name with an ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Refuses a file that is not there, and one that somebody emptied: SQLite takes that for a new database.
fn present(path: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() && file.len() == 0 => {
            Err(StoreError::Corrupt(path.into(), "the file is empty".into()))
        }
        Ok(file) if file.is_file() => Ok(()),
        _ => Err(StoreError::Missing(path.into())),
    }
}

/// Creates the file, or leaves an existing one, with access for its owner only.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map(drop)
}

fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    if let Some(failure) = error.sqlite_error() {
        tracing::warn!(code = failure.extended_code, "SQLite failed");
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Corrupt(path.into(), error.into()),
        Some(ErrorCode::DiskFull) => StoreError::Unwritable(path.into(), "the disk is full".into()),
        Some(ErrorCode::SystemIoFailure) if opening::no_room_to_share(&error) => {
            StoreError::Unwritable(path.into(), "there is no room for its -shm file".into())
        }
        Some(ErrorCode::SystemIoFailure) if opening::no_shared_memory(&error) => {
            StoreError::NoSharedMemory(path.into())
        }
        Some(ErrorCode::SystemIoFailure) if opening::no_locks(&error) => StoreError::NoLocks(path.into()),
        Some(ErrorCode::Unknown) if opening::lacks_a_part(&error) => StoreError::Corrupt(path.into(), error.into()),
        Some(
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure,
        ) => StoreError::Unwritable(path.into(), error.into()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(path.into(), BUSY.as_secs()),
        _ => match error {
            rusqlite::Error::FromSqlConversionFailure(_, _, detail) => {
                match detail.downcast_ref::<convert::UnknownKind>() {
                    Some(unknown) => StoreError::UnknownEntry { path: path.into(), kind: unknown.0.clone() },
                    None => StoreError::Unreadable { what: "value", cause: detail },
                }
            }
            other => StoreError::Sqlite(path.into(), other),
        },
    }
}

#[cfg(test)]
mod tests;
