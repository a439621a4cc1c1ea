//! The gate: one verdict for each check that needs nothing but the text.

use super::super::label::Label;
use super::super::phi::{PhiKind, screen};
use super::super::taxonomy::Taxonomy;
use super::super::text::listed;
use super::reference::Index;
use super::{Check, Limits, RealSentences, Verdict, percent, words};

/// Judges generated sentences against real ones and against those generated before.
#[derive(Clone, Debug)]
pub(crate) struct QualityGate<'a> {
    reference: &'a RealSentences,
    taxonomy: &'a Taxonomy,
    bronze: Index,
    /// Shortest and longest length that pass.
    length: Option<(usize, usize)>,
}

impl<'a> QualityGate<'a> {
    /// A gate with the limits of `reference`, before the first generated sentence.
    pub(crate) fn new(reference: &'a RealSentences, taxonomy: &'a Taxonomy) -> Self {
        let limits = reference.limits();
        let lengths = reference.lengths();
        let length = lengths.quantile(limits.length_low).zip(lengths.quantile(limits.length_high));
        Self { reference, taxonomy, bronze: Index::new(limits.near_duplicate), length }
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> &Limits {
        self.reference.limits()
    }

    /// Lets later sentences be compared with this one.
    pub(crate) fn accept(&mut self, text: &str) {
        self.bronze.add(&words(text));
    }

    /// One verdict for each check of the text alone, in the order of [`Check::ALL`], without those that the limits skip.
    /// [`Verdict::round_trip`] and [`Verdict::classifier`] make the two that ask a model.
    pub(crate) fn judge(&self, text: &str, target: &Label) -> Vec<Verdict> {
        let words = words(text);
        let real = self.reference.index();
        let skip = &self.limits().skip;
        Check::ALL
            .into_iter()
            .filter(|check| !skip.contains(check))
            .filter_map(|check| match check {
                Check::Duplicate => Some(duplicate(check, "generated", self.bronze.contains(&words))),
                Check::NearDuplicate => Some(self.near(check, "generated", self.bronze.nearest(&words))),
                Check::DuplicateOfReal => Some(duplicate(check, "real", real.contains(&words))),
                Check::NearDuplicateOfReal => Some(self.near(check, "real", real.nearest(&words))),
                Check::Overlap => Some(self.overlap(&words)),
                Check::LabelEcho => Some(self.echo(text, &words, target)),
                Check::Length => Some(self.length(words.len())),
                Check::Phi => Some(phi(text)),
                Check::RoundTrip | Check::Classifier => None,
            })
            .collect()
    }

    fn near(&self, check: Check, whose: &str, similarity: Option<f64>) -> Verdict {
        let limit = percent(self.limits().near_duplicate);
        let reason = match similarity {
            Some(s) => format!(
                "its words and those of another {whose} sentence are {} the same (less than {limit} allowed)",
                percent(s)
            ),
            None => format!("no other {whose} sentence has {limit} of its words or more in common"),
        };
        Verdict { check, passed: similarity.is_none(), reason, value: similarity }
    }

    fn overlap(&self, words: &[String]) -> Verdict {
        let shared = self.reference.longest(words);
        let most = self.limits().shared_words;
        let passed = shared <= most;
        let reason = if passed {
            format!("shares no more than {most} words in a row with a real sentence")
        } else {
            format!("shares {shared} words in a row with real sentences (at most {most} allowed)")
        };
        Verdict { check: Check::Overlap, passed, reason, value: (!passed).then_some(shared as f64) }
    }

    fn length(&self, count: usize) -> Verdict {
        let has = if count == 1 { "has 1 word".to_owned() } else { format!("has {count} words") };
        let (passed, reason) = match self.length {
            _ if count == 0 => (false, "has no words".to_owned()),
            Some((least, most)) => {
                let passed = (least..=most).contains(&count);
                (passed, format!("{has}; nearly all real sentences have {least} to {most}"))
            }
            None => (true, format!("{has}; there are no real sentences to compare with")),
        };
        Verdict { check: Check::Length, passed, reason, value: Some(count as f64) }
    }

    /// Whether the name or key of a wanted category is said. A name of several words counts as the whole phrase, in any
    /// case, with any punctuation, and with plain endings taken off each word: "required assistance" says *Requires
    /// assistance*. Half of a name is plain speech and passes. A name of one word is plain speech as well ("mood"); it
    /// counts only as a heading, "Mood: low". A key counts as it is written in data, with its `_`. Some whole names are
    /// what a note would say too ("diagnostic tests were ordered"): they fail here, and [`Limits::skip`] is for
    /// taxonomies made of such names.
    fn echo(&self, text: &str, said: &[String], target: &Label) -> Verdict {
        let stemmed = stems(said);
        let heading = text.split_once(':').map(|(heading, _)| words(heading)).unwrap_or_default();
        let says = |name: &str| {
            let name = words(name);
            let phrase = stems(&name);
            match phrase.len() {
                0 => false,
                1 => stems(&heading) == phrase,
                n => stemmed.windows(n).any(|window| window == phrase),
            }
        };
        let writes = |key: &str| key.contains('_') && said.iter().any(|word| word == key);
        let echoed = target.keys().iter().find_map(|key| {
            let name = self.taxonomy.get(key).map_or(key.as_str(), |category| category.name.as_str());
            (says(name) || writes(key.as_str())).then_some(name)
        });
        let reason = match echoed {
            Some(name) => format!("gives its label away: it says “{name}”"),
            None => "does not name its label".to_owned(),
        };
        Verdict { check: Check::LabelEcho, passed: echoed.is_none(), reason, value: None }
    }
}

fn duplicate(check: Check, whose: &str, found: bool) -> Verdict {
    let reason = if found {
        format!("another {whose} sentence has the same words")
    } else {
        format!("no other {whose} sentence has the same words")
    };
    Verdict { check, passed: !found, reason, value: None }
}

fn phi(text: &str) -> Verdict {
    let found = screen(text);
    let mut kinds: Vec<PhiKind> = found.iter().map(|finding| finding.kind).collect();
    kinds.sort();
    kinds.dedup();
    let reason = if kinds.is_empty() {
        "nothing in it looks like protected health information".to_owned()
    } else {
        format!("may tell who a patient is: {}", listed(&kinds))
    };
    Verdict { check: Check::Phi, passed: found.is_empty(), reason, value: Some(found.len() as f64) }
}

/// Words without possessive and common endings: enough to see a phrase in another tense or number. Not Porter's stemmer:
/// an ending goes only if three letters stay.
fn stems(words: &[String]) -> Vec<&str> {
    words
        .iter()
        .map(|word| {
            let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
            ["ies", "ing", "ied", "es", "ed", "s", "y", "e"]
                .iter()
                .filter(|ending| **ending != "s" || !word.ends_with("ss"))
                .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.chars().count() >= 3))
                .unwrap_or(word)
        })
        .collect()
}
