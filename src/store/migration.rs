//! SQL for renaming, merging and splitting categories.

use rusqlite::{Connection, TransactionBehavior};

use super::guideline::use_taxonomy;
use super::key_map::key_map;
use super::log::{append_own, rebuild_key};
use super::seals::seal;
use super::{Store, StoreError, explain};
use crate::domain::entry::{Body, Entry};
use crate::domain::key_map::TaxonomyMigration;
use crate::domain::label::{Annotator, EntryId, Timestamp};

impl Store {
    /// Changes how labels are read, from this entry on, brings the projection up to date, and keeps the texts of versions of the
    /// guideline, by their hashes; the last of them is in use from now on. No label is written anew. `publish` is called while
    /// the store is held and before any of this is final: if it fails, nothing has happened.
    pub(crate) fn migrate_taxonomy<E: From<StoreError>>(
        &mut self,
        (id, at, annotator): (&EntryId, Timestamp, &Annotator),
        migration: &TaxonomyMigration,
        versions: &[(&str, &str)],
        publish: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let touched = self.watch()?;
        let path = self.path.clone();
        let (id, author, body) = (id.clone(), annotator.clone(), Body::Migration(migration.clone()));
        let entry = Entry { id, at, author, site: None, body, signature: None };
        let signer = self.signer.clone();
        let fail = |error| E::from(explain(&path, error));
        let write = |c: &Connection| {
            let before = key_map(c)?;
            append_own(c, signer.as_deref(), entry.clone(), None, None)?;
            before.earlier_keys().chain(migration.key_map.earlier_keys()).try_for_each(|key| rebuild_key(c, key))?;
            versions.iter().try_for_each(|(hash, text)| use_taxonomy(c, hash, at, text, true))?;
            seal(c, &touched)
        };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        write(&transaction).map_err(fail)?;
        publish()?;
        transaction.commit().map_err(fail)?;
        Ok(self.read_key_map()?)
    }
}
