//! A screen for protected health information: what in a text might tell who a patient is.
//!
//! It follows the identifiers of the HIPAA safe harbour (45 CFR 164.514(b)(2)) as far as their form, the words before
//! them and lists of names give them away: a net with holes of a known size, not a de-identifier. `recall` measures it.
//! What stands in a surrogate (`[**2101-3-4**]`, `[NAME]`, `___`) has been removed already and is not found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::segment::deidentified;
use super::text::Span;

use scan::Scan;

mod addresses;
mod ages;
mod codes;
mod dates;
mod facilities;
mod lists;
mod names;
mod network;
mod numbers;
mod people;
mod scan;
mod towns;
mod vocabulary;

/// Which identifier it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PhiKind {
    /// A person's name.
    Name,
    /// A date with more than its year.
    Date,
    /// A telephone, fax or pager number.
    Phone,
    /// A number of a medical record, an account, a health plan, a case; a social security number.
    RecordNumber,
    /// A street with its number, a box, a ZIP code or a postcode.
    Address,
    /// An email address.
    Email,
    /// A web address.
    Url,
    /// An age over 89.
    AgeOver89,
    /// A town.
    Town,
    /// A hospital, a clinic, a nursing home.
    Facility,
    /// A licence, a certificate, a passport.
    Licence,
    /// A plate or a vehicle's own number.
    Vehicle,
    /// A serial number of a device.
    Device,
    /// An address of a machine in a network.
    IpAddress,
    /// A name of an account on the web.
    Handle,
}

impl fmt::Display for PhiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Date => "date",
            Self::Phone => "phone number",
            Self::RecordNumber => "record number",
            Self::Address => "address",
            Self::Email => "email address",
            Self::Url => "web address",
            Self::AgeOver89 => "age over 89",
            Self::Town => "town",
            Self::Facility => "hospital or clinic",
            Self::Licence => "licence number",
            Self::Vehicle => "vehicle number",
            Self::Device => "device number",
            Self::IpAddress => "network address",
            Self::Handle => "user name",
        })
    }
}

/// One identifier in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Where it stands: the name without its title, the number without the words that announce it.
    pub span: Span,
    pub kind: PhiKind,
}

/// A rule looks at a bounded stretch of text from a word's start on, and gives the span of what it found there.
type Rule = fn(Scan<'_>, usize) -> Option<Span>;

/// What a rule's finding may begin with, so that most rules are not asked at most words.
#[derive(Clone, Copy)]
enum Begins {
    Letter,
    Capital,
    /// A digit, or what stands before a telephone number.
    Figure,
    /// A letter, or what stands before an account's name.
    Name,
    Any,
}

impl Begins {
    fn with(self, c: char) -> bool {
        match self {
            Self::Letter => c.is_alphabetic(),
            Self::Capital => c.is_uppercase(),
            Self::Figure => c.is_numeric() || matches!(c, '+' | '('),
            Self::Name => c.is_alphabetic() || c == '@',
            Self::Any => true,
        }
    }
}

/// The first that finds something is right: an announced number is no telephone number, whatever its form.
const RULES: [(PhiKind, Begins, Rule); 22] = [
    (PhiKind::Email, Begins::Any, network::email),
    (PhiKind::Url, Begins::Any, network::url),
    (PhiKind::IpAddress, Begins::Any, network::ip),
    (PhiKind::Device, Begins::Any, network::hardware_address),
    (PhiKind::Handle, Begins::Name, network::handle),
    (PhiKind::RecordNumber, Begins::Letter, codes::record),
    (PhiKind::Licence, Begins::Letter, codes::licence),
    (PhiKind::Vehicle, Begins::Any, codes::vehicle),
    (PhiKind::Device, Begins::Letter, codes::device),
    (PhiKind::RecordNumber, Begins::Figure, numbers::social_security),
    (PhiKind::Date, Begins::Figure, dates::numeric),
    (PhiKind::Date, Begins::Any, dates::named_month),
    (PhiKind::Phone, Begins::Figure, numbers::phone),
    (PhiKind::AgeOver89, Begins::Any, ages::age_over_89),
    (PhiKind::Address, Begins::Any, addresses::address),
    (PhiKind::RecordNumber, Begins::Any, codes::bare),
    (PhiKind::Facility, Begins::Capital, facilities::facility),
    (PhiKind::Name, Begins::Letter, names::announced),
    (PhiKind::Name, Begins::Capital, names::introduced),
    (PhiKind::Town, Begins::Capital, towns::town),
    (PhiKind::Name, Begins::Capital, people::bare),
    (PhiKind::Facility, Begins::Capital, facilities::short),
];

/// The identifiers in `text`, in order and without overlap.
#[must_use]
pub(crate) fn screen(text: &str) -> Vec<Finding> {
    let scan = Scan::new(text);
    let mut sealed = deidentified(text).into_iter().peekable();
    let mut findings = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if let Some(span) = sealed.next_if(|span| span.start <= at) {
            at = at.max(span.end);
        } else if let Some((kind, span)) = found(scan, at) {
            findings.push(Finding { span, kind });
            at = span.end;
        } else {
            at = scan.after(at);
        }
    }
    findings
}

fn found(scan: Scan<'_>, at: usize) -> Option<(PhiKind, Span)> {
    if !scan.starts_word(at) {
        return None;
    }
    let first = scan.char(at)?;
    let rules = RULES.iter().filter(|(_, begins, _)| begins.with(first));
    rules.map(|(kind, _, rule)| (*kind, rule(scan, at))).find_map(|(kind, span)| Some((kind, span?)))
}

#[cfg(test)]
mod recall;
#[cfg(test)]
mod tests;
