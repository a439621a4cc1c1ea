//! Who is who: which key is whose, and who may do what, as the log's entries about people say it.
//!
//! A name that has a key is spoken for by that key alone. A key is given to a name once, by its owner or by a lead; from then on
//! the owner (with the old key) or a lead replaces it. Roles are given by leads; as long as a project has none, everyone may do
//! everything, and whoever is there first names the leads. Roles are given at a site for that site.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Body, Entry};
use super::label::Annotator;
use super::person::Role;
use super::signature::PublicKey;
use super::text::look;

/// Somebody, as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    pub key: Option<PublicKey>,
    /// Keys that were replaced: what they signed stays signed.
    pub earlier: Vec<PublicKey>,
    pub roles: BTreeSet<Role>,
}

/// Everyone whom the log speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct People(BTreeMap<Annotator, Person>);

/// Why an entry cannot be what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forgery {
    #[error("its signature does not fit")]
    Unfit,
    #[error("it is not signed, and its author has a key")]
    Unsigned,
    #[error("it is signed by a key that is not its author's")]
    OtherKey,
    #[error("its author is no adjudicator here")]
    NoAdjudicator,
    #[error("it gives a key to somebody who has another one here")]
    KeyTaken,
}

/// How far an entry's author is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Signed by their key.
    Signed,
    /// They have no key; signed by the key of somebody who wrote it down for them.
    WrittenDown,
    /// Signed by a key that it does not know.
    NewKey,
    Unsigned,
}

impl Person {
    /// Whether a key is theirs, or was; one who has none is spoken for by any.
    pub(crate) fn speaks(&self, key: &PublicKey) -> bool {
        self.key.is_none_or(|now| now == *key) || self.earlier.contains(key)
    }
}

impl People {
    /// Whoever goes by a name.
    pub(crate) fn get(&self, name: &Annotator) -> Option<&Person> {
        self.0.get(name)
    }

    /// Everyone, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Annotator, &Person)> {
        self.0.iter()
    }

    /// Somebody else whose name reads the same: other letters or case, and no difference to the eye.
    pub(crate) fn double(&self, name: &Annotator) -> Option<&Annotator> {
        let read = look(&name.0);
        self.0.keys().find(|other| *other != name && look(&other.0) == read)
    }

    /// The key that speaks for a name.
    pub(crate) fn key(&self, name: &Annotator) -> Option<PublicKey> {
        self.0.get(name)?.key
    }

    /// Whether a project that gives roles gave somebody one.
    pub(crate) fn has_role(&self, name: &Annotator) -> bool {
        !self.has_lead() || self.0.get(name).is_some_and(|person| !person.roles.is_empty())
    }

    /// Whose a key is.
    pub(crate) fn owner(&self, key: &PublicKey) -> Option<&Annotator> {
        self.0.iter().find(|(_, person)| person.key == Some(*key)).map(|(name, _)| name)
    }

    /// How many lead.
    pub(crate) fn leads(&self) -> usize {
        self.0.values().filter(|person| person.roles.contains(&Role::Lead)).count()
    }

    /// Whether somebody leads beside a person, with a key to do it with.
    pub(crate) fn has_lead_beside(&self, name: &Annotator) -> bool {
        let leads = |person: &Person| person.key.is_some() && person.roles.contains(&Role::Lead);
        self.0.iter().any(|(other, person)| other != name && leads(person))
    }

    /// Whether roles are given at all.
    pub(crate) fn has_lead(&self) -> bool {
        self.leads() > 0
    }

    /// Whether somebody may do what a role may.
    pub(crate) fn may(&self, name: &Annotator, role: Role) -> bool {
        !self.has_lead() || self.0.get(name).is_some_and(|person| person.roles.contains(&role))
    }

    /// Takes what an entry says of somebody, if its author may say so; `true` where it now holds. Its signature fits already.
    pub(crate) fn take(&mut self, entry: &Entry) -> bool {
        let (Body::Person(change), Some(signature)) = (&entry.body, &entry.signature) else {
            return false;
        };
        let has_lead = self.has_lead();
        let of_author = self.key(&entry.author);
        // What a lead says at another site may be of another project, or of another day.
        let here = entry.site.is_none();
        let is_lead = here && has_lead && self.may(&entry.author, Role::Lead) && of_author == Some(signature.key);
        if let Some(key) = change.key {
            // One's own for the first time, or with the one so far; or a lead says so.
            let now = self.key(&change.name);
            let own = entry.author == change.name
                && now.map_or(key == signature.key && !self.knows(&key), |now| now == signature.key);
            if !own && !is_lead {
                return false;
            }
            let person = self.0.entry(change.name.clone()).or_default();
            if let Some(now) = person.key.replace(key).filter(|now| *now != key) {
                person.earlier.push(now);
            }
        }
        if let Some(roles) = &change.roles {
            // Where nobody leads, only this store's own people say who does.
            let first = !has_lead && here && roles.contains(&Role::Lead);
            let by_owner = of_author.is_none_or(|key| key == signature.key);
            if !(is_lead || first && by_owner) {
                return change.key.is_some();
            }
            // Somebody leads from the first on.
            if has_lead && !self.has_lead_beside(&change.name) && !roles.contains(&Role::Lead) {
                return change.key.is_some();
            }
            self.0.entry(change.name.clone()).or_default().roles.clone_from(roles);
        }
        true
    }

    /// Whether an entry can be what it says, and how far its author is known. `site` is where it was made.
    pub(crate) fn check(&self, entry: &Entry, site: &str) -> Result<Known, Forgery> {
        if entry.signature.is_some() && !entry.signature_fits(site) {
            return Err(Forgery::Unfit);
        }
        let known = self.known(entry)?;
        if let Body::Person(change) = &entry.body
            && entry.author == change.name
            && let Some(new) = change.key
            && !self.may_take(&change.name, &new, entry.signature.map(|signature| signature.key))
        {
            return Err(Forgery::KeyTaken);
        }
        if matches!(entry.body, Body::Settle(_)) && !self.may(&entry.author, Role::Adjudicator) {
            return Err(Forgery::NoAdjudicator);
        }
        Ok(known)
    }

    /// How far an entry's author is known, by a signature that fits.
    pub(crate) fn known(&self, entry: &Entry) -> Result<Known, Forgery> {
        let person = self.0.get(&entry.author).filter(|person| person.key.is_some());
        match (&entry.signature, person) {
            (None, Some(_)) => Err(Forgery::Unsigned),
            (None, None) => Ok(Known::Unsigned),
            (Some(signature), Some(person)) if person.speaks(&signature.key) => Ok(Known::Signed),
            (Some(_), Some(_)) => Err(Forgery::OtherKey),
            (Some(signature), None) if self.knows(&signature.key) => Ok(Known::WrittenDown),
            (Some(_), None) => Ok(Known::NewKey),
        }
    }

    /// Whether somebody may say that a key is theirs, signing with a key: for the first time one that is nobody's, later with the
    /// one that they have; one that they had is theirs already.
    fn may_take(&self, name: &Annotator, new: &PublicKey, signer: Option<PublicKey>) -> bool {
        match self.0.get(name).filter(|person| person.key.is_some()) {
            Some(person) => person.speaks(new) || signer.is_some() && signer == person.key,
            None => !self.knows(new),
        }
    }

    /// Whether a key is somebody's.
    pub(crate) fn knows(&self, key: &PublicKey) -> bool {
        self.0.values().any(|person| person.key == Some(*key))
    }
}

#[cfg(test)]
mod tests;
