//! A copy of a store, made while others write it.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};

use super::{BUSY, Store, StoreError, encryption, explain, make_private};

/// Pages that are copied at once: a megabyte.
const AT_ONCE: i32 = 64;

impl Store {
    /// Copies the store into a new file, readable by its owner alone and encrypted with the same key, as it is at this moment; whoever writes meanwhile writes on.
    /// `step` is told how many bytes of how many are copied, and says whether to go on. Gives whether it came to its end; the file
    /// is for the caller to take away where it did not.
    pub(crate) fn copy_to(&self, path: &Path, step: &mut dyn FnMut(u64, u64) -> bool) -> Result<bool, StoreError> {
        make_private(path).map_err(|e| StoreError::Unwritable(path.into(), e.into()))?;
        let mut copy = encryption::open_new(path, self.key.as_ref())?;
        // Without a moment to hold on to, each write of somebody else would begin the copy anew.
        let moment = self.connection.unchecked_transaction().map_err(|e| explain(&self.path, e))?;
        self.with(|c| c.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))?;
        let page: u64 = self.with(|c| c.pragma_query_value(None, "page_size", |row| row.get(0)))?;
        let done = {
            let backup = Backup::new(&self.connection, &mut copy).map_err(|e| explain(path, e))?;
            loop {
                match backup.step(AT_ONCE).map_err(|e| explain(path, e))? {
                    StepResult::Done => break true,
                    StepResult::More => {}
                    // Nobody else knows of the copy, and the moment is held.
                    _ => return Err(StoreError::Busy(self.path.clone(), BUSY.as_secs())),
                }
                let bytes = |pages: i32| u64::from(pages.unsigned_abs()) * page;
                let progress = backup.progress();
                if !step(bytes(progress.pagecount - progress.remaining), bytes(progress.pagecount)) {
                    break false;
                }
            }
        };
        drop(moment);
        Ok(done)
    }

    /// Makes one file of the store, without a write-ahead log beside it, if nobody else has it open; gives whether it did.
    pub(crate) fn fold_up(self) -> Result<bool, StoreError> {
        self.with(|c| {
            c.busy_timeout(std::time::Duration::ZERO)?;
            match c.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0)) {
                Ok(mode) => Ok(mode == "delete"),
                Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }
}
