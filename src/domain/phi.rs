//! A screen for protected health information: what in a text might tell who a patient is.
//!
//! It follows the identifiers of the HIPAA safe harbour (45 CFR 164.514(b)(2)) as far as their form gives them away. It
//! knows no list of names, so a bare first name passes: it is a screen, not a de-identifier. What stands in a
//! surrogate (`[**2101-3-4**]`, `[NAME]`, `___`) has been removed already and is not found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::segment::deidentified;
use super::text::Span;

use scan::Scan;

mod dates;
mod names;
mod numbers;
mod places;
mod scan;

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
    /// A medical record, account or social security number.
    RecordNumber,
    /// A street with its number, a box, a ZIP code or a postcode.
    Address,
    /// An email address.
    Email,
    /// A web address.
    Url,
    /// An age over 89.
    AgeOver89,
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

/// The first that finds something is right: an announced number is no telephone number, whatever its form.
const RULES: [(PhiKind, Rule); 11] = [
    (PhiKind::Url, places::url),
    (PhiKind::Email, places::email),
    (PhiKind::RecordNumber, numbers::announced),
    (PhiKind::RecordNumber, numbers::social_security),
    (PhiKind::Date, dates::numeric),
    (PhiKind::Date, dates::named_month),
    (PhiKind::Phone, numbers::phone),
    (PhiKind::AgeOver89, numbers::age_over_89),
    (PhiKind::Address, places::address),
    (PhiKind::Name, names::announced),
    (PhiKind::Name, names::introduced),
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
    RULES.iter().find_map(|(kind, rule)| Some((*kind, rule(scan, at)?)))
}

#[cfg(test)]
mod recall;
#[cfg(test)]
mod tests;
