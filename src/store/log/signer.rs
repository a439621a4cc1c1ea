//! The signature on everything that is said here.

use rusqlite::Connection;

use super::append;
use super::entries::is_known;
use crate::domain::corpus::SentenceId;
use crate::domain::entry::Entry;
use crate::domain::label::ProposalId;
use crate::domain::signature::SecretKey;

/// Whoever writes into the log here.
#[derive(Debug)]
pub(crate) struct Signer {
    pub key: SecretKey,
    /// What this store is called elsewhere: part of what is signed.
    pub site: String,
    /// What tells the log of the key, where it does not know it yet; it goes before the first entry.
    pub first: Option<Entry>,
}

/// Appends what is said here, signed by whoever sits here.
pub(in crate::store) fn append_own(
    c: &Connection,
    signer: Option<&Signer>,
    mut entry: Entry,
    sentence: Option<SentenceId>,
    proposal: Option<ProposalId>,
) -> rusqlite::Result<()> {
    if let Some(Signer { key, site, first }) = signer {
        if let Some(first) = first
            && !is_known(c, &first.id)?
        {
            append(c, first, None, None)?;
        }
        entry.sign(site, key);
    }
    append(c, &entry, sentence, proposal)
}
