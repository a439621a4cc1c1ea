//! Whether a store can be opened, and how: to write, or where nothing can be written to read alone; and what a file system must
//! be able to do for it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::{BUSY, Store, StoreError, beside, encryption, explain, present, schema};
use crate::domain::secret::Secret;

/// Refuses a database in which nothing was ever made.
pub(super) fn not_emptied(c: &Connection, path: &Path) -> Result<(), StoreError> {
    let tables: i64 = c
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .or_else(|error| if is_busy(&error) { Ok(1) } else { Err(error) })
        .map_err(|e| explain(path, e))?;
    if tables > 0 {
        return Ok(());
    }
    let said = "there is nothing in it: somebody emptied it, or what it held stood in its -wal file, which is not here";
    Err(StoreError::Corrupt(path.into(), said.into()))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Refuses a file system that cannot lock, at once: a lock that somebody else holds is waited for, and looks the same.
pub(super) fn ensure_locks(path: &Path) -> Result<(), StoreError> {
    // It is only looked at whether the file can be locked; what is in it may be encrypted.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let tried = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(Duration::ZERO)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    });
    let refused = tried.is_err_and(|error| is_busy(&error) || no_locks(&error));
    if refused && !can_lock(path) { Err(StoreError::NoLocks(path.into())) } else { Ok(()) }
}

/// Tries a lock on a file of its own, which nobody else can hold. SQLite gives the same answer to a lock that is held and to one
/// that cannot be had.
fn can_lock(path: &Path) -> bool {
    let trial = beside(path, &format!("-locks-{}", std::process::id()));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let tried = Connection::open_with_flags(&trial, flags).and_then(|c| {
        c.busy_timeout(Duration::ZERO)?;
        c.execute_batch("BEGIN EXCLUSIVE; ROLLBACK")
    });
    // It holds nothing; where it cannot be made, there is nothing to take away.
    let _ = std::fs::remove_file(&trial);
    !tried.is_err_and(|error| is_busy(&error))
}

fn extended(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|failure| failure.extended_code)
}

/// Whether the memory that connections share could not be had.
pub(super) fn no_shared_memory(error: &rusqlite::Error) -> bool {
    extended(error) == Some(ffi::SQLITE_IOERR_SHMMAP)
}

/// Whether the memory that connections share could not grow, as on a full disk.
pub(super) fn no_room_to_share(error: &rusqlite::Error) -> bool {
    extended(error) == Some(ffi::SQLITE_IOERR_SHMSIZE)
}

/// Whether the file system refused a lock, other than because somebody holds it.
pub(super) fn no_locks(error: &rusqlite::Error) -> bool {
    matches!(extended(error), Some(ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_RDLOCK))
}

/// Whether a table or a column is not there that a store of its version has: it is a part of one, or between two versions.
pub(super) fn lacks_a_part(error: &rusqlite::Error) -> bool {
    let said = error.to_string();
    said.contains("no such table: ") || said.contains("no such column: ")
}

impl Store {
    /// Opens an existing store where nothing can be written: a read-only file or folder, a full disk. It makes no file and changes
    /// none, and must be of this program's version. What a process that is killed leaves in the write-ahead log is read too.
    pub(crate) fn open_to_read(path: &Path, key: Option<&Secret>) -> Result<Self, StoreError> {
        present(path)?;
        let unsaved = std::fs::metadata(beside(path, "-wal")).is_ok_and(|file| file.len() > 0);
        let open = |way| {
            let connection = encryption::unlock(read_by(path, way)?, path, key)?;
            Ok(Self { key: key.cloned(), ..Self::look(connection, path)? })
        };
        if beside(path, "-shm").exists() {
            match open(Way::Shared) {
                // Whoever has it open keeps an index there; what SQLite made anew of one that was left behind has no room.
                Err(StoreError::Unwritable(..)) if !unsaved || !has_index(path) => {}
                done => return done,
            }
        }
        open(if unsaved { Way::Alone } else { Way::Immutable })
    }

    fn look(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        not_emptied(&connection, path)?;
        let mut store = Self::of(connection, path, true);
        store.settle_in()?;
        let version = schema::version(&store)?;
        if version < schema::VERSION {
            let said = format!("it is of version {version} and must be brought up to {} first", schema::VERSION);
            return Err(StoreError::Unwritable(path.into(), said.into()));
        }
        store.read_key_map()?;
        Ok(store)
    }
}

/// Whether the -shm file holds the index of a write-ahead log: it grows by 32 KiB at once.
fn has_index(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-shm")).is_ok_and(|file| file.len() >= 32_768)
}

/// How a store is read that cannot be written.
#[derive(Clone, Copy)]
enum Way {
    /// With others who have it open.
    Shared,
    /// With the write-ahead log, whose index is kept in this process's memory: nobody else has the store open.
    Alone,
    /// The file is all that there is.
    Immutable,
}

fn read_by(path: &Path, way: Way) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = match way {
            Way::Shared => Connection::open_with_flags(path, flags)?,
            Way::Alone => {
                // No locks, which need a file that can be written, and so no index that is shared.
                let vfs = if cfg!(unix) { "unix-none" } else { "win32-none" };
                let connection = Connection::open_with_flags_and_vfs(path, flags, vfs)?;
                connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
                connection
            }
            Way::Immutable => {
                let named = format!("file:{}?immutable=1", escaped(path));
                Connection::open_with_flags(named, flags | OpenFlags::SQLITE_OPEN_URI)?
            }
        };
        connection.busy_timeout(BUSY)?;
        // The last one to close a store would write the log into it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    };
    open().map_err(|e| explain(path, e))
}

/// A path as a part of a URI.
fn escaped(path: &Path) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b);
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests;
