//! Where text may go: the terms of a project's notes, the hosts that are named, and the way from a payload to an egress record.
//!
//! An [`EgressPolicy`] turns a [`Payload`] into a [`Permit`]; recording that gives an [`EgressRecord`], and only with one of these does the
//! HTTP client send. So nothing leaves that was not allowed and written down first.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::corpus::SentenceId;

/// The terms under which a project holds its notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataUse {
    /// Public, or free to be passed on; still only to hosts that are named.
    #[serde(rename = "open")]
    Open,
    /// No host but this machine, whatever else the project file says.
    #[default]
    #[serde(rename = "local-only")]
    LocalOnly,
    /// An agreement covers the hosts that are named.
    #[serde(rename = "agreed hosts")]
    AgreedHosts,
}

impl DataUse {
    /// All, as they are written in the project file.
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("open", Self::Open), ("local-only", Self::LocalOnly), ("agreed hosts", Self::AgreedHosts)];
}

impl fmt::Display for DataUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(_, value)| value == self).map_or("", |(name, _)| name))
    }
}

/// A host as the project file names it: lower case, without scheme and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Host(String);

impl Host {
    /// Takes a host name or an address; brackets of IPv6 and a final dot do not matter.
    pub(crate) fn new(name: &str) -> Self {
        let name = name.trim().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        Self(name.to_ascii_lowercase())
    }

    /// Whether it is this machine: a loopback address, or `localhost`, which the client resolves to nothing else.
    pub(crate) fn is_loopback(&self) -> bool {
        self.0 == "localhost" || self.0.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something may not leave, and what to write where if it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressRefusal {
    /// The terms keep note text on this machine.
    #[error(
        "{0} may not get note text: the project's notes are \"local-only\"; if an agreement covers that host, write data_use = \"agreed hosts\" and allow_hosts = [\"{0}\"] under [privacy] in goldsmith.toml"
    )]
    LocalOnly(Host),
    /// Restricted notes in a project that calls its notes open.
    #[error(
        "{host} may not get note text: the project holds {notes}, whose terms forbid passing it on, and data_use = \"open\" does not cover it; if an agreement covers that host, write data_use = \"agreed hosts\" under [privacy] in goldsmith.toml"
    )]
    Restricted {
        host: Host,
        /// What the project holds.
        notes: String,
    },
    /// The host is not named.
    #[error(
        "{0} is neither this machine nor allowed: write allow_hosts = [\"{0}\"] under [privacy] in goldsmith.toml if text may go there"
    )]
    NotAllowed(Host),
    /// The screen found what looks like a person's data, and the project file says to block.
    #[error(
        "{count} of the text's passages look like a person's data ({kinds}), and phi = \"block\" under [privacy] in goldsmith.toml keeps such sentences here"
    )]
    Phi { count: usize, kinds: String },
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// What it is for, such as `label` or `generate`.
    pub purpose: &'static str,
    /// The sentences of real notes in it; empty when there is no word of a note in it.
    pub sentences: Vec<SentenceId>,
    /// Bytes of the request's text.
    pub bytes: usize,
}

/// The project's rules about where text may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EgressPolicy {
    /// The terms.
    pub data_use: DataUse,
    /// The hosts that are named.
    pub allow_hosts: Vec<Host>,
    /// Restricted notes that the store holds, such as MIMIC; empty when there are none.
    pub restricted: String,
}

impl EgressPolicy {
    /// Whether a host may get text: of notes, or made-up text alone.
    pub(crate) fn check(&self, host: &Host, note_text: bool) -> Result<(), EgressRefusal> {
        if host.is_loopback() {
            return Ok(());
        }
        if note_text && self.data_use == DataUse::LocalOnly {
            return Err(EgressRefusal::LocalOnly(host.clone()));
        }
        if note_text && self.data_use == DataUse::Open && !self.restricted.is_empty() {
            return Err(EgressRefusal::Restricted { host: host.clone(), notes: self.restricted.clone() });
        }
        if !self.allow_hosts.contains(host) {
            return Err(EgressRefusal::NotAllowed(host.clone()));
        }
        Ok(())
    }

    /// Requests written to a file on this machine: what becomes of the file is its owner's business, that it was written is
    /// on record.
    pub(crate) fn permit_file(&self, file: &std::path::Path, payload: Payload) -> Permit {
        Permit { host: Host(format!("file {}", file.display())), payload }
    }

    /// Lets a request pass, or says why not.
    pub(crate) fn permit(&self, host: &Host, payload: Payload) -> Result<Permit, EgressRefusal> {
        self.check(host, !payload.sentences.is_empty())?;
        Ok(Permit { host: host.clone(), payload })
    }
}

/// A request that may leave and is not written down yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    host: Host,
    payload: Payload,
}

impl Permit {
    /// Where to.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// What.
    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Makes the egress record, once the record with this number is on disk. Only the store has such numbers to give.
    pub(crate) fn recorded(self, id: i64) -> EgressRecord {
        EgressRecord { id, host: self.host }
    }
}

/// A request that may leave and is written down: the client sends nothing without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRecord {
    id: i64,
    host: Host,
}

impl EgressRecord {
    /// The record's number.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// Where to, and nowhere else.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(data_use: DataUse, allow: &[&str]) -> EgressPolicy {
        EgressPolicy { data_use, allow_hosts: allow.iter().map(|h| Host::new(h)).collect(), restricted: String::new() }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
        for (name, loopback) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("localhost.example.org", false),
            ("127.0.0.1.example.org", false),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(Host::new(name).is_loopback(), loopback, "{name}");
        }
    }

    #[test]
    fn note_text_goes_to_this_machine_and_to_hosts_that_terms_and_file_both_allow() {
        use DataUse::{AgreedHosts, LocalOnly, Open};
        let there = Host::new("api.example.org");
        let named: &[&str] = &["API.example.org"];
        let notes = |data_use, allow| policy(data_use, allow).check(&there, true);
        assert_eq!(notes(LocalOnly, named), Err(EgressRefusal::LocalOnly(there.clone())));
        assert_eq!(notes(Open, &[]), Err(EgressRefusal::NotAllowed(there.clone())));
        assert_eq!(notes(AgreedHosts, &[]), Err(EgressRefusal::NotAllowed(there.clone())));
        assert_eq!((notes(Open, named), notes(AgreedHosts, named)), (Ok(()), Ok(())));
        for data_use in [LocalOnly, Open, AgreedHosts] {
            assert_eq!(policy(data_use, &[]).check(&Host::new("::1"), true), Ok(()));
        }
        // A prompt without a word of a note is not bound by the notes' terms, but its host must be named.
        assert_eq!(policy(LocalOnly, named).check(&there, false), Ok(()));
        assert!(policy(LocalOnly, &[]).check(&there, false).is_err());
    }

    #[test]
    fn restricted_notes_are_not_open_by_a_word_in_the_file() {
        let there = Host::new("api.example.org");
        let with =
            |data_use| EgressPolicy { restricted: "MIMIC notes".into(), ..policy(data_use, &["api.example.org"]) };
        assert!(matches!(with(DataUse::Open).check(&there, true), Err(EgressRefusal::Restricted { .. })));
        assert_eq!(with(DataUse::AgreedHosts).check(&there, true), Ok(()));
    }

    #[test]
    fn a_refusal_says_what_to_write_where() {
        let said = policy(DataUse::Open, &[]).check(&Host::new("h.org"), true).unwrap_err().to_string();
        assert!(said.contains("allow_hosts = [\"h.org\"] under [privacy] in goldsmith.toml"), "{said}");
    }
}
