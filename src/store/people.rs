//! SQL for who is who.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::OptionalExtension;

use super::log::{ENTRY, Signer, append_own, entry};
use super::{Store, StoreError};
use crate::domain::entry::{Body, Entry};
use crate::domain::label::{Annotator, EntryId, Timestamp};
use crate::domain::people::People;
use crate::domain::person::PersonChange;

/// Who is who, as of the log's newest entry about people.
pub(super) type KnownPeople = Mutex<Option<(i64, Arc<People>)>>;

impl Store {
    /// What is appended from now on is signed.
    pub(crate) fn sign_with(&mut self, signer: Arc<Signer>) {
        self.signer = Some(signer);
    }

    /// Whether what is appended is signed.
    pub(crate) fn signs(&self) -> bool {
        self.signer.is_some()
    }

    /// Who is who.
    pub(crate) fn registry(&self) -> Result<Arc<People>, StoreError> {
        let newest = "SELECT coalesce(max(seq), 0) FROM events INDEXED BY persons WHERE kind = 'person'";
        let newest: i64 = self.with(|c| c.prepare_cached(newest)?.query_row([], |row| row.get(0)))?;
        let mut known = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, people)) = known.as_ref().filter(|(upto, _)| *upto == newest) {
            return Ok(people.clone());
        }
        let own = self.site()?.unwrap_or_default();
        let people = Arc::new(self.with(|c| {
            let mut people = People::default();
            let mut read = c.prepare_cached(&format!("{ENTRY} WHERE e.kind = 'person' ORDER BY e.seq"))?;
            for entry in read.query_map([], entry)? {
                // One that was changed behind the program's back gives nobody anything; the audit names it.
                let Ok(entry) = entry else { continue };
                let site = entry.site.clone().unwrap_or_else(|| own.clone());
                if entry.signature_fits(&site) {
                    people.take(&entry);
                }
            }
            Ok(people)
        })?);
        *known = Some((newest, people.clone()));
        Ok(people)
    }

    /// Says who somebody is from here on.
    pub(crate) fn append_person(
        &mut self,
        id: EntryId,
        at: Timestamp,
        author: &Annotator,
        change: PersonChange,
    ) -> Result<(), StoreError> {
        let signer = self.signer.clone();
        let body = Body::Person(change);
        let entry = Entry { id, at, author: author.clone(), site: None, body, signature: None };
        self.write(|c| append_own(c, signer.as_deref(), entry, None, None))
    }

    /// An entry of the log by its id.
    pub(crate) fn entry(&self, id: &EntryId) -> Result<Option<Entry>, StoreError> {
        self.with(|c| c.prepare_cached(&format!("{ENTRY} WHERE e.id = ?"))?.query_row([id], entry).optional())
    }
}
