//! An encrypted store: opening it by its key, and making it from a plain one, or the other way round.
//!
//! The cipher is SQLCipher's, as its version 4 has it by default (AES-256 and an HMAC for each page), on pages of 16 KiB.
//! The write-ahead log is encrypted page by page as well, and what SQLite sorts lies in memory.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY, Store, StoreError, beside, explain, make_private, present};
use crate::domain::secret::Secret;

/// Whether this program can encrypt.
const SUPPORTED: bool = cfg!(feature = "encrypted-store");

/// Bytes of a page. SQLCipher cannot read it from a header that it cannot read.
const PAGE: u64 = 16_384;

/// What SQLCipher is told before a file is opened. It would write on standard error, where a screen may stand.
const SETTINGS: &str = "PRAGMA cipher_log_level = NONE; PRAGMA cipher_default_page_size = 16384";

/// Digits of a key that is taken as it is, without deriving one from a passphrase.
const RAW: usize = 64;

/// How long the store's other users have to leave it.
const OTHERS: Duration = Duration::from_secs(2);

/// Opens a connection, unlocked: whether the key fits has been tried.
pub(super) fn open(path: &Path, key: Option<&Secret>) -> Result<Connection, StoreError> {
    unlock(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?, path, key)
}

/// Opens a file in which nothing is yet, to be encrypted with a key if there is one.
pub(super) fn open_new(path: &Path, key: Option<&Secret>) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    if let Some(key) = key {
        connection.execute_batch(SETTINGS).map_err(|e| explain(path, e))?;
        let wrong = || StoreError::WrongKey { path: path.into(), from: key.source().clone() };
        connection.pragma_update(None, "key", word(key)).map_err(|_| wrong())?;
    }
    Ok(connection)
}

/// Unlocks a connection from which nothing has been read.
pub(super) fn unlock(connection: Connection, path: &Path, key: Option<&Secret>) -> Result<Connection, StoreError> {
    let Some(key) = key else {
        return match read(&connection) {
            Err(e) if foreign(&e) && whole_pages(path) => Err(StoreError::Locked(path.into())),
            Err(e) => Err(explain(path, e)),
            Ok(()) => Ok(connection),
        };
    };
    if !SUPPORTED {
        return Err(StoreError::NoEncryption(path.into()));
    }
    connection.execute_batch(SETTINGS).map_err(|e| explain(path, e))?;
    let wrong = || StoreError::WrongKey { path: path.into(), from: key.source().clone() };
    // What SQLite says of a statement may quote it, so that nothing of it is passed on.
    connection.pragma_update(None, "key", word(key)).map_err(|_| wrong())?;
    match read(&connection) {
        Err(e) if foreign(&e) && is_plain(path)? => Err(StoreError::NotEncrypted(path.into())),
        Err(e) if foreign(&e) => Err(wrong()),
        Err(e) => Err(explain(path, e)),
        Ok(()) => Ok(connection),
    }
}

/// Whether a store can be read without a key.
fn is_plain(path: &Path) -> Result<bool, StoreError> {
    // Only SQLite may open the file: whoever else closes it takes away the locks that this process has on it.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags)?;
    match read(&connection) {
        Ok(()) => Ok(true),
        Err(e) if foreign(&e) => Ok(false),
        Err(e) => Err(explain(path, e)),
    }
}

/// Waits for others from the first reading on.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    });
    opened.map_err(|e| explain(path, e))
}

fn read(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn foreign(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
}

fn whole_pages(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0 && file.len().is_multiple_of(PAGE))
}

/// The key as SQLCipher takes it.
fn word(key: &Secret) -> String {
    let value = key.value();
    let raw = value.len() == RAW && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if raw { format!("x'{value}'") } else { value.to_owned() }
}

impl Store {
    /// Refused unless there is a store that a key would open: nobody is asked for a key that has no use.
    pub(crate) fn ensure_encrypted(path: &Path) -> Result<(), StoreError> {
        present(path)?;
        if !SUPPORTED {
            return Err(StoreError::NoEncryption(path.into()));
        }
        if is_plain(path)? { Err(StoreError::NotEncrypted(path.into())) } else { Ok(()) }
    }

    /// Puts a copy under another key, or under none, in the place of the store: written beside it, compared row by row,
    /// on the disk before it takes the name. The file that was there is overwritten with zeros, so that its pages are not
    /// left behind, and so that nobody who waits for it writes where nobody will look.
    ///
    /// SQLCipher could change a key in place, but a machine that dies at it would leave both keys in one file.
    pub(crate) fn recode(path: &Path, before: Option<&Secret>, after: Option<&Secret>) -> Result<(), StoreError> {
        if !SUPPORTED {
            return Err(StoreError::NoEncryption(path.into()));
        }
        // A link stays a link; what it leads to is replaced.
        let file = path.canonicalize().map_err(|_| StoreError::Missing(path.into()))?;
        let path = file.as_path();
        let unwritable = |path: &Path, e: std::io::Error| StoreError::Unwritable(path.into(), e.into());
        // A store of an earlier version is brought up to date first.
        drop(Self::open_with(path, before)?);
        let connection = alone(path, before)?;
        // It stays open until the connection is closed, for the sake of the lock.
        let mut old = OpenOptions::new().write(true).open(path).map_err(|e| unwritable(path, e))?;
        let copy = beside(path, ".new");
        // One that is there was left by a process that died at this; it had the store for itself, and so have we.
        remove(&copy)?;
        make_private(&copy).map_err(|e| unwritable(&copy, e))?;
        let made = write_copy(&connection, &copy, after).and_then(|()| {
            let fresh = Self::open_with(&copy, after)?;
            match fresh.integrity_check()?.as_slice() {
                [ok] if ok == "ok" => Ok(()),
                _ => Err(StoreError::Corrupt(copy.clone(), "the copy is not sound".into())),
            }?;
            // Without a log beside it, the file is all of it.
            fresh.with(|c| c.pragma_update(None, "journal_mode", "DELETE"))
        });
        let made = made.and_then(|()| {
            File::open(&copy).and_then(|file| file.sync_all()).map_err(|e| unwritable(&copy, e))?;
            let connection = (!cfg!(windows)).then_some(connection);
            std::fs::rename(&copy, path).map_err(|e| unwritable(path, e))?;
            Ok(connection)
        });
        let connection = match made {
            Ok(connection) => connection,
            Err(e) => {
                // The error that led here says more than one of the removal.
                let _ = remove(&copy);
                return Err(e);
            }
        };
        // From here on the new store is the store. What is left is to make the old one unreadable.
        sync_folder(path).and_then(|()| wipe(&mut old)).map_err(|e| StoreError::NotWiped(path.into(), e.into()))?;
        drop(connection);
        drop(old);
        // In the log again, as every store is.
        Self::open_with(path, after).map(drop)
    }
}

/// Removes a copy with all that SQLite keeps beside a file: a log that was left would be read into the next one.
fn remove(copy: &Path) -> Result<(), StoreError> {
    for ending in ["-wal", "-shm", "-journal", ""] {
        let file = beside(copy, ending);
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Unwritable(file, e.into()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A connection that has the store for itself until it is closed, with all of it in the one file.
fn alone(path: &Path, key: Option<&Secret>) -> Result<Connection, StoreError> {
    let connection = open(path, key)?;
    let take = || {
        connection.busy_timeout(OTHERS)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        // The lock is taken with a transaction, and stays.
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")
    };
    match take() {
        Ok(()) => Ok(connection),
        Err(e) if matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {
            Err(StoreError::InUse(path.into()))
        }
        Err(e) => Err(explain(path, e)),
    }
}

/// Writes everything into an empty file under another key, and compares every row.
fn write_copy(connection: &Connection, copy: &Path, key: Option<&Secret>) -> Result<(), StoreError> {
    let name = copy.to_str();
    let name = name.ok_or_else(|| StoreError::Unwritable(copy.into(), "its name is no UTF-8".into()))?;
    let attach = || {
        connection.execute_batch(SETTINGS)?;
        connection.execute("ATTACH ?1 AS copy KEY ?2", (name, key.map_or_else(String::new, word)))
    };
    attach().map_err(|e| explain(copy, e))?;
    let write = || {
        // A file that is thrown away if anything goes wrong needs no journal.
        connection.execute_batch(&format!(
            "PRAGMA copy.page_size = {PAGE}; PRAGMA copy.journal_mode = OFF; PRAGMA copy.synchronous = OFF; BEGIN"
        ))?;
        connection.query_row("SELECT sqlcipher_export('copy')", [], |_| Ok(()))?;
        for mark in ["user_version", "application_id"] {
            let value: i64 = connection.pragma_query_value(Some("main"), mark, |row| row.get(0))?;
            connection.pragma_update(Some("copy"), mark, value)?;
        }
        connection.execute_batch("COMMIT")?;
        let same = same(connection)?;
        connection.execute_batch("DETACH copy")?;
        Ok(same)
    };
    match write().map_err(|e| explain(copy, e))? {
        true => Ok(()),
        false => Err(StoreError::Corrupt(copy.into(), "the copy is not what was copied".into())),
    }
}

/// Whether the attached copy has the same schema and the same rows in the same order.
fn same(connection: &Connection) -> rusqlite::Result<bool> {
    const SCHEMA: &str = "sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name";
    if !same_rows(connection, "type, name, tbl_name, sql", SCHEMA)? {
        return Ok(false);
    }
    let tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'";
    let mut tables = connection.prepare(tables)?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in tables {
        if !same_rows(connection, "*", &format!("\"{table}\""))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_rows(connection: &Connection, columns: &str, table: &str) -> rusqlite::Result<bool> {
    let mut ours = connection.prepare(&format!("SELECT {columns} FROM main.{table}"))?;
    let mut theirs = connection.prepare(&format!("SELECT {columns} FROM copy.{table}"))?;
    let width = ours.column_count();
    let (mut ours, mut theirs) = (ours.query([])?, theirs.query([])?);
    loop {
        match (ours.next()?, theirs.next()?) {
            (None, None) => return Ok(true),
            (Some(a), Some(b)) => {
                for column in 0..width {
                    if a.get_ref(column)? != b.get_ref(column)? {
                        return Ok(false);
                    }
                }
            }
            _ => return Ok(false),
        }
    }
}

/// Zeros in the place of every byte, on the disk.
fn wipe(file: &mut File) -> std::io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut left = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    while left > 0 {
        let n = left.min(zeros.len() as u64);
        file.write_all(&zeros[..n as usize])?;
        left -= n;
    }
    file.sync_all()
}

/// Waits until the disk knows the file by its new name.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    // Windows cannot open a folder, and has no need to.
    if cfg!(windows) {
        return Ok(());
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
