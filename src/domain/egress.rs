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

/// A host's name or address in the one form that rules, sockets and records share: lower case, without final dot and
/// brackets, an IPv4 address that is written as IPv6 as IPv4.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Host(String);

impl Host {
    /// Takes a host name or an address.
    pub(crate) fn new(name: &str) -> Self {
        let name = name.trim().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        match name.parse::<IpAddr>() {
            Ok(address) => Self(address.to_canonical().to_string()),
            Err(_) => Self(name.to_ascii_lowercase()),
        }
    }

    /// Whether it is this machine: a loopback address, or `localhost`, which the client resolves to nothing else.
    pub(crate) fn is_loopback(&self) -> bool {
        self.0 == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }

    /// The address, where it is one and no name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.0.parse().ok()
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

/// Where a request goes: one port of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub host: Host,
    pub port: u16,
    /// Whether nobody on the way can read it: by TLS, or because the project says of this server that the way is safe.
    pub protected: bool,
}

impl Destination {
    /// Whether it is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }
}

/// As `allow_hosts` names it and egress records keep it: `host:port`, with brackets around an IPv6 address.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.address() {
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A host that the project file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: Host,
    port: u16,
}

impl AllowedHost {
    /// Takes `host` or `host:port`, an IPv6 address with a port in brackets. Without a port it is that of https. `None` where
    /// it is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let by_default = 443;
        let (host, port) = match text.rsplit_once(':') {
            _ if text.parse::<IpAddr>().is_ok() => (text, by_default),
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
            Some(_) if !text.ends_with(']') => return None,
            _ => (text, by_default),
        };
        let bracketed = host.starts_with('[');
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let valid = match inner.parse::<IpAddr>() {
            Ok(address) => address.is_ipv6() || !bracketed,
            Err(_) => !bracketed && !inner.is_empty() && inner.chars().all(named),
        };
        (valid && port > 0).then(|| Self { host: Host::new(inner), port })
    }
}

/// Why something may not leave, and what to write where if it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressRefusal {
    /// The terms keep note text on this machine.
    #[error(
        "{0} may not get note text: the project's notes are \"local-only\"; if an agreement covers that host, write data_use = \"agreed hosts\" and allow_hosts = [\"{0}\"] under [privacy] in goldsmith.toml"
    )]
    LocalOnly(Destination),
    /// Restricted notes in a project that calls its notes open.
    #[error(
        "{host} may not get note text: the project holds {notes}, whose terms forbid passing it on, and data_use = \"open\" does not cover it; if an agreement covers that host, write data_use = \"agreed hosts\" under [privacy] in goldsmith.toml"
    )]
    Restricted {
        host: Destination,
        /// What the project holds.
        notes: String,
    },
    /// The host is not named, or not with this port.
    #[error(
        "{0} is neither this machine nor allowed: write allow_hosts = [\"{0}\"] under [privacy] in goldsmith.toml if text may go there"
    )]
    NotAllowed(Destination),
    /// A named host without TLS.
    #[error(
        "{0} is reached without encryption, and whoever is on the way could read the text: use https://, or write insecure = true under this server in [models] of goldsmith.toml if the way there is safe"
    )]
    Unencrypted(Destination),
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
    pub allow_hosts: Vec<AllowedHost>,
    /// Restricted notes that the store holds, such as MIMIC; empty when there are none.
    pub restricted: String,
}

impl EgressPolicy {
    /// Whether text may go there: of notes, or made-up text alone.
    pub(crate) fn check(&self, to: &Destination, note_text: bool) -> Result<(), EgressRefusal> {
        if to.is_loopback() {
            return Ok(());
        }
        if note_text && self.data_use == DataUse::LocalOnly {
            return Err(EgressRefusal::LocalOnly(to.clone()));
        }
        if note_text && self.data_use == DataUse::Open && !self.restricted.is_empty() {
            return Err(EgressRefusal::Restricted { host: to.clone(), notes: self.restricted.clone() });
        }
        if !self.allow_hosts.iter().any(|allowed| allowed.host == to.host && allowed.port == to.port) {
            return Err(EgressRefusal::NotAllowed(to.clone()));
        }
        if to.protected { Ok(()) } else { Err(EgressRefusal::Unencrypted(to.clone())) }
    }

    /// Requests written to a file on this machine: what becomes of the file is its owner's business, that it was written is
    /// on record.
    pub(crate) fn permit_file(&self, file: &std::path::Path, payload: Payload) -> Permit {
        Permit { to: Place::File(file.display().to_string()), payload }
    }

    /// Lets a request pass, or says why not.
    pub(crate) fn permit(&self, to: &Destination, payload: Payload) -> Result<Permit, EgressRefusal> {
        self.check(to, !payload.sentences.is_empty())?;
        Ok(Permit { to: Place::Server(to.clone()), payload })
    }
}

/// Where text goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server(Destination),
    /// A file's path.
    File(String),
}

impl Place {
    /// Whether what an egress record says is on this machine: a file, or a server by loopback. Records of earlier versions
    /// have no port.
    pub(crate) fn is_here(recorded: &str) -> bool {
        let host = || match recorded.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && Host::new(recorded).address().is_none() => host,
            _ => recorded,
        };
        recorded.starts_with("file ") || Host::new(host()).is_loopback()
    }
}

/// As egress records keep it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(to) => write!(f, "{to}"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

/// A request that may leave and is not written down yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    to: Place,
    payload: Payload,
}

impl Permit {
    /// Where to.
    pub(crate) fn to(&self) -> &Place {
        &self.to
    }

    /// What.
    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Makes the egress record, once the row with this number is on disk. Only the store has such numbers to give.
    pub(crate) fn recorded(self, id: i64) -> EgressRecord {
        EgressRecord { id, to: self.to }
    }
}

/// A request that may leave and is written down: the client sends nothing without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRecord {
    id: i64,
    to: Place,
}

impl EgressRecord {
    /// The record's number.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// Whether it is for this server, and for no other.
    pub(crate) fn is_for(&self, to: &Destination) -> bool {
        matches!(&self.to, Place::Server(recorded) if recorded == to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(data_use: DataUse, allow: &[&str]) -> EgressPolicy {
        let allow_hosts = allow.iter().map(|host| AllowedHost::parse(host).unwrap()).collect();
        EgressPolicy { data_use, allow_hosts, restricted: String::new() }
    }

    fn https(host: &str) -> Destination {
        Destination { host: Host::new(host), port: 443, protected: true }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
        for (name, loopback) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("::ffff:127.0.0.1", true),
            ("localhost.example.org", false),
            ("127.0.0.1.example.org", false),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
            ("::ffff:8.8.8.8", false),
            ("localhost.localdomain", false),
            ("my.localhost", false),
        ] {
            assert_eq!(Host::new(name).is_loopback(), loopback, "{name}");
        }
    }

    #[test]
    fn note_text_goes_to_this_machine_and_to_hosts_that_terms_and_file_both_allow() {
        use DataUse::{AgreedHosts, LocalOnly, Open};
        let there = https("api.example.org");
        let named: &[&str] = &["API.example.org"];
        let notes = |data_use, allow| policy(data_use, allow).check(&there, true);
        assert_eq!(notes(LocalOnly, named), Err(EgressRefusal::LocalOnly(there.clone())));
        assert_eq!(notes(Open, &[]), Err(EgressRefusal::NotAllowed(there.clone())));
        assert_eq!(notes(AgreedHosts, &[]), Err(EgressRefusal::NotAllowed(there.clone())));
        assert_eq!((notes(Open, named), notes(AgreedHosts, named)), (Ok(()), Ok(())));
        for data_use in [LocalOnly, Open, AgreedHosts] {
            let here = Destination { protected: false, ..https("::1") };
            assert_eq!(policy(data_use, &[]).check(&here, true), Ok(()));
        }
        // A prompt without a word of a note is not bound by the notes' terms, but its host must be named.
        assert_eq!(policy(LocalOnly, named).check(&there, false), Ok(()));
        assert!(policy(LocalOnly, &[]).check(&there, false).is_err());
    }

    #[test]
    fn a_port_is_part_of_the_permission_and_so_is_encryption() {
        let to = |port, protected| Destination { host: Host::new("10.0.0.5"), port, protected };
        let named = policy(DataUse::AgreedHosts, &["10.0.0.5:8443"]);
        assert_eq!(named.check(&to(8443, true), true), Ok(()));
        assert_eq!(named.check(&to(443, true), true), Err(EgressRefusal::NotAllowed(to(443, true))));
        // A key travels with every request, so that one without a word of a note needs TLS too.
        for note_text in [true, false] {
            let refused = named.check(&to(8443, false), note_text);
            assert_eq!(refused, Err(EgressRefusal::Unencrypted(to(8443, false))));
        }
    }

    #[test]
    fn a_named_host_is_a_name_or_an_address_and_perhaps_a_port() {
        let parsed = |text| {
            let AllowedHost { host, port } = AllowedHost::parse(text)?;
            Some(Destination { host, port, protected: true }.to_string())
        };
        for (text, expected) in [
            ("api.example.org", Some("api.example.org:443")),
            ("API.example.org.:8443", Some("api.example.org:8443")),
            ("10.0.0.5:1", Some("10.0.0.5:1")),
            ("fd00::5", Some("[fd00::5]:443")),
            ("[fd00::5]", Some("[fd00::5]:443")),
            ("[fd00::5]:8080", Some("[fd00::5]:8080")),
            ("::ffff:10.0.0.5", Some("10.0.0.5:443")),
            ("", None),
            (":80", None),
            ("host:", None),
            ("host:0", None),
            ("host:65536", None),
            ("host:80:80", None),
            ("[host]:80", None),
            ("[10.0.0.5]", None),
            ("https://host", None),
            ("host/v1", None),
            ("me@host", None),
            ("*.example.org", None),
            ("b\u{fc}ro.example", None),
        ] {
            assert_eq!(parsed(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_on_record_says_whether_it_was_this_machine() {
        for (recorded, here) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("localhost:80", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("file /tmp/a:80", true),
            ("10.0.0.5:8080", false),
            ("api.example.org", false),
            ("localhost.example.org:80", false),
        ] {
            assert_eq!(Place::is_here(recorded), here, "{recorded}");
        }
    }

    #[test]
    fn restricted_notes_are_not_open_by_a_word_in_the_file() {
        let there = https("api.example.org");
        let with =
            |data_use| EgressPolicy { restricted: "MIMIC notes".into(), ..policy(data_use, &["api.example.org"]) };
        assert!(matches!(with(DataUse::Open).check(&there, true), Err(EgressRefusal::Restricted { .. })));
        assert_eq!(with(DataUse::AgreedHosts).check(&there, true), Ok(()));
    }

    #[test]
    fn a_refusal_says_what_to_write_where() {
        let said = policy(DataUse::Open, &[]).check(&https("h.org"), true).unwrap_err().to_string();
        assert!(said.contains("allow_hosts = [\"h.org:443\"] under [privacy] in goldsmith.toml"), "{said}");
    }
}
