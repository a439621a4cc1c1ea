//! An entry of the log as every store understands it: nothing in it is a number of one store. What is chained, audited and
//! carried from site to site.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::corpus::DocumentUid;
use super::key_map::TaxonomyMigration;
use super::label::{Annotator, EntryId, Judgement, Label, RunId, Timestamp};
use super::person::PersonChange;
use super::sight::InSight;
use super::signature::{EntrySignature, SecretKey};

/// A sentence by its note and its place there, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentenceRef {
    pub document: DocumentUid,
    /// Where it begins.
    pub start: usize,
    pub end: usize,
}

/// A proposal by its run; a run proposes once for a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalRef {
    pub run: RunId,
    /// What it proposed.
    pub label: Label,
}

/// One entry of the log. What is read from JSON is one that a store can have written: all else is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Time-ordered unique id.
    pub id: EntryId,
    pub at: Timestamp,
    pub author: Annotator,
    /// The store that it came from; `None` for the store's own.
    pub site: Option<String>,
    pub body: Body,
    /// The author's, or that of whoever wrote it down for them; `None` for what was written before there were keys.
    pub signature: Option<EntrySignature>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// An expert decided on a sentence.
    Decide(Judged),
    /// An adjudicator settled a sentence, which overrides the experts' decisions and leaves them as they are. The comment is
    /// the reason.
    Settle(Judged),
    /// One of these was withdrawn.
    Undo { target: EntryId },
    /// And restored.
    Redo { target: EntryId },
    /// Categories were renamed, merged or split: how labels are read from here on, at the site that it comes from.
    Migration(TaxonomyMigration),
    /// Somebody has a key or roles from here on.
    Person(PersonChange),
}

/// A judgement of a sentence, with what it was made in the knowledge of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub sentence: SentenceRef,
    /// What was said of it.
    pub judgement: Judgement,
    /// Milliseconds that the sentence was on the screen; `None` when not known (imported).
    pub took: Option<u32>,
    /// What is recorded of what had been in sight.
    pub sight: RecordedSight,
    /// The proposal that it accepts or corrects.
    pub proposal: Option<ProposalRef>,
    /// The taxonomy's hash at the time.
    pub taxonomy: String,
    /// What it takes the place of; see [`super::projection`]. `None` where that is not known.
    pub supersedes: Option<Vec<EntryId>>,
}

/// What an entry says of what had been in sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedSight {
    /// Whether a machine's label could be seen, and no more: what versions before `in_sight` recorded. `false` stands where
    /// nothing is known, as with imported labels.
    Machine(bool),
    All(InSight),
}

impl RecordedSight {
    /// What is recorded of what somebody knows, or does not.
    pub(crate) fn of(in_sight: Option<InSight>) -> Self {
        in_sight.map_or(Self::Machine(false), Self::All)
    }

    /// Whether a machine's label could be seen, as far as that was recorded.
    pub(crate) fn machine(self) -> bool {
        match self {
            Self::Machine(seen) => seen,
            Self::All(seen) => seen.of_machines(),
        }
    }

    /// All that was recorded one by one, if it was.
    pub(crate) fn cues(self) -> Option<InSight> {
        match self {
            Self::Machine(_) => None,
            Self::All(seen) => Some(seen),
        }
    }

    /// What had been in sight; `None` where that is not known.
    pub(crate) fn in_sight(self) -> Option<InSight> {
        InSight::recorded(self.machine(), self.cues())
    }
}

impl Body {
    /// Its kind.
    pub(crate) fn kind(&self) -> EntryKind {
        match self {
            Self::Decide(_) => EntryKind::Decide,
            Self::Settle(_) => EntryKind::Settle,
            Self::Undo { .. } => EntryKind::Undo,
            Self::Redo { .. } => EntryKind::Redo,
            Self::Migration(_) => EntryKind::Migration,
            Self::Person(_) => EntryKind::Person,
        }
    }

    /// The judgement of a decision or a settlement.
    pub(crate) fn judged(&self) -> Option<&Judged> {
        match self {
            Self::Decide(judged) | Self::Settle(judged) => Some(judged),
            Self::Undo { .. } | Self::Redo { .. } | Self::Migration(_) | Self::Person(_) => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn judged_mut(&mut self) -> Option<&mut Judged> {
        match self {
            Self::Decide(judged) | Self::Settle(judged) => Some(judged),
            Self::Undo { .. } | Self::Redo { .. } | Self::Migration(_) | Self::Person(_) => None,
        }
    }
}

/// The word for what an entry does: a column of the store, and a key in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EntryKind {
    /// [`Body::Decide`].
    Decide,
    /// [`Body::Settle`].
    Settle,
    /// [`Body::Undo`].
    Undo,
    /// [`Body::Redo`].
    Redo,
    /// [`Body::Migration`].
    #[serde(rename = "recast")]
    Migration,
    /// [`Body::Person`].
    Person,
}

impl EntryKind {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Decide, Self::Settle, Self::Undo, Self::Redo, Self::Migration, Self::Person];

    /// Its word on disk.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Settle => "settle",
            Self::Undo => "undo",
            Self::Redo => "redo",
            Self::Migration => "recast",
            Self::Person => "person",
        }
    }
}

/// An entry taken apart, a part for each key in JSON and each column of the store. What does not belong to its kind is absent.
///
/// Its JSON is hashed into the chain and written to bundles: names and order are never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryParts<'a> {
    /// See [`Entry::id`].
    pub id: Cow<'a, EntryId>,
    /// Which parts there are.
    pub kind: EntryKind,
    /// See [`Entry::at`].
    pub at: Timestamp,
    /// See [`Entry::author`].
    #[serde(rename = "annotator")]
    pub author: Cow<'a, Annotator>,
    /// See [`Entry::site`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Cow<'a, str>>,
    /// See [`Judged::sentence`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<SentenceRef>,
    /// See [`Judged::judgement`].
    #[serde(default, rename = "stand", skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Cow<'a, Judgement>>,
    /// See [`Judged::took`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u32>,
    /// See [`RecordedSight::machine`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_visible: Option<bool>,
    /// See [`RecordedSight::cues`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_sight: Option<InSight>,
    /// See [`Judged::proposal`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Cow<'a, ProposalRef>>,
    /// See [`Judged::taxonomy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxonomy: Option<Cow<'a, str>>,
    /// See [`Judged::supersedes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Cow<'a, [EntryId]>>,
    /// What is withdrawn or restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Cow<'a, EntryId>>,
    /// See [`Body::Migration`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'a, TaxonomyMigration>>,
    /// See [`Body::Person`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Cow<'a, PersonChange>>,
    /// See [`Entry::signature`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<EntrySignature>,
}

impl EntryParts<'_> {
    /// Puts it together; refused where parts contradict each other, are missing, or belong to another kind.
    pub(crate) fn entry(self) -> Result<Entry, String> {
        let other_parts = || format!("an event of the kind `{}` has other parts", self.kind.word());
        let rest = self.took.is_some()
            || self.proposal.is_some()
            || self.in_sight.is_some()
            || self.supersedes.is_some()
            || self.taxonomy.is_some();
        let bare = self.sentence.is_none() && self.judgement.is_none() && self.proposal_visible.is_none() && !rest;
        let body = match (self.kind, self.target, self.detail, self.person) {
            (EntryKind::Decide | EntryKind::Settle, None, None, None) => {
                let (Some(sentence), Some(judgement), Some(machine), Some(taxonomy)) =
                    (self.sentence, self.judgement, self.proposal_visible, self.taxonomy)
                else {
                    return Err(other_parts());
                };
                let sight = self.in_sight.map_or(RecordedSight::Machine(machine), RecordedSight::All);
                if sight.machine() != machine {
                    return Err("it says two things of whether a machine's label was in sight".into());
                }
                let judged = Judged {
                    sentence,
                    judgement: judgement.into_owned(),
                    took: self.took,
                    sight,
                    proposal: self.proposal.map(Cow::into_owned),
                    taxonomy: taxonomy.into_owned(),
                    supersedes: self.supersedes.map(Cow::into_owned),
                };
                if self.kind == EntryKind::Decide { Body::Decide(judged) } else { Body::Settle(judged) }
            }
            (EntryKind::Undo, Some(target), None, None) if bare => Body::Undo { target: target.into_owned() },
            (EntryKind::Redo, Some(target), None, None) if bare => Body::Redo { target: target.into_owned() },
            (EntryKind::Migration, None, Some(detail), None) if bare => Body::Migration(detail.into_owned()),
            (EntryKind::Person, None, None, Some(person)) if bare => Body::Person(person.into_owned()),
            _ => return Err(other_parts()),
        };
        let (id, author) = (self.id.into_owned(), self.author.into_owned());
        let (site, signature) = (self.site.map(Cow::into_owned), self.signature);
        Ok(Entry { id, at: self.at, author, site, body, signature })
    }
}

/// The last moment of the year 9999.
const LAST_MOMENT: i64 = 253_402_300_799_999;

impl Entry {
    /// Takes it apart.
    pub(crate) fn parts(&self) -> EntryParts<'_> {
        let judged = self.body.judged();
        let (target, detail, person) = match &self.body {
            Body::Decide(_) | Body::Settle(_) => (None, None, None),
            Body::Undo { target } | Body::Redo { target } => (Some(target), None, None),
            Body::Migration(detail) => (None, Some(detail), None),
            Body::Person(person) => (None, None, Some(person)),
        };
        EntryParts {
            id: Cow::Borrowed(&self.id),
            kind: self.body.kind(),
            at: self.at,
            author: Cow::Borrowed(&self.author),
            site: self.site.as_deref().map(Cow::Borrowed),
            sentence: judged.map(|judged| judged.sentence),
            judgement: judged.map(|judged| Cow::Borrowed(&judged.judgement)),
            took: judged.and_then(|judged| judged.took),
            proposal_visible: judged.map(|judged| judged.sight.machine()),
            in_sight: judged.and_then(|judged| judged.sight.cues()),
            proposal: judged.and_then(|judged| judged.proposal.as_ref()).map(Cow::Borrowed),
            taxonomy: judged.map(|judged| Cow::Borrowed(judged.taxonomy.as_str())),
            supersedes: judged.and_then(|judged| judged.supersedes.as_deref()).map(Cow::Borrowed),
            target: target.map(Cow::Borrowed),
            detail: detail.map(Cow::Borrowed),
            person: person.map(Cow::Borrowed),
            signature: self.signature,
        }
    }

    /// The comment of a judgement, if there is one.
    pub(crate) fn comment(&self) -> Option<&str> {
        self.body.judged().map(|judged| judged.judgement.comment.as_str()).filter(|comment| !comment.is_empty())
    }

    /// Takes the comment out, and the signature that is over it; tells whether there was one.
    pub(crate) fn withhold_comment(&mut self) -> bool {
        let taken = self.body.judged_mut().map(|judged| std::mem::take(&mut judged.judgement.comment));
        self.signature = self.signature.map(EntrySignature::without_comment);
        taken.is_some_and(|comment| !comment.is_empty())
    }

    /// Signs it as one that is made at a site.
    pub(crate) fn sign(&mut self, site: &str, key: &SecretKey) {
        let whole = self.comment().map(|_| self.signed_bytes(site, true));
        self.signature = Some(EntrySignature::over(&self.signed_bytes(site, false), whole.as_deref(), key));
    }

    /// Whether it has a signature that fits, as one that was made at a site.
    pub(crate) fn signature_fits(&self, site: &str) -> bool {
        let whole = self.comment().map(|_| self.signed_bytes(site, true));
        self.signature.is_some_and(|signature| signature.fits(&self.signed_bytes(site, false), whole.as_deref()))
    }

    /// What is signed: the entry as JSON, made at a site, without its signature, and without its comment unless that is asked
    /// for.
    fn signed_bytes(&self, site: &str, with_comment: bool) -> Vec<u8> {
        let mut parts = EntryParts { site: Some(Cow::Borrowed(site)), signature: None, ..self.parts() };
        if !with_comment && self.comment().is_some() {
            parts.judgement = parts
                .judgement
                .map(|judgement| Cow::Owned(Judgement { comment: String::new(), ..judgement.into_owned() }));
        }
        // Strings, numbers and maps with keys that are strings: JSON has a form for all of them.
        serde_json::to_vec(&parts).unwrap_or_default()
    }

    /// Whether another entry says the same, whichever store numbers it and whether or not its comment was kept back.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let whole = self.comment() == other.comment() || self.comment().is_none() || other.comment().is_none();
        let named = |entry: &Self| entry.body.judged().is_some_and(|judged| judged.proposal.is_some());
        // A store that does not have the machine's label does not name it.
        let unnamed = |entry: &Self| {
            let mut entry = entry.clone();
            entry.body.judged_mut().map(|judged| judged.proposal.take());
            entry.signed_bytes("", false)
        };
        whole
            && if named(self) == named(other) {
                self.signed_bytes("", false) == other.signed_bytes("", false)
            } else {
                unnamed(self) == unnamed(other)
            }
    }

    /// What no store can have written, in words: an entry from elsewhere must not become a row that cannot be read.
    fn check(&self) -> Result<(), String> {
        let (judged, target) = (self.body.judged(), self.parts().target);
        let supersedes = judged.and_then(|judged| judged.supersedes.as_deref()).unwrap_or_default();
        for EntryId(id) in [&self.id].into_iter().chain(target.as_deref()).chain(supersedes) {
            let well = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if id.is_empty() || id.len() > 64 || !well {
                return Err(format!("`{id}` is no id of an event"));
            }
        }
        let named = |name: &str| !name.trim().is_empty() && name.len() <= 400;
        if !named(&self.author.0) || self.site.as_deref().is_some_and(|site| !named(site)) {
            return Err("an event needs the name of who decided, and of the site that it comes from".into());
        }
        if !(0..=LAST_MOMENT).contains(&self.at.0) {
            return Err(format!("{} is no time in milliseconds since 1970", self.at.0));
        }
        if judged.map(|judged| judged.sentence).is_some_and(|at| at.start >= at.end || i64::try_from(at.end).is_err()) {
            return Err("its sentence ends before it begins".into());
        }
        if let Body::Person(change) = &self.body
            && !named(&change.name.0)
        {
            return Err("it does not say of whom it speaks".into());
        }
        Ok(())
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.parts().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = EntryParts::deserialize(deserializer)?.entry().map_err(de::Error::custom)?;
        entry.check().map_err(de::Error::custom)?;
        Ok(entry)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::key_map::KeyMap;

    /// A blind decision of one site, for tests.
    pub(crate) fn decided() -> Entry {
        let sentence = SentenceRef { document: DocumentUid([7; 16]), start: 0, end: 3 };
        Entry {
            id: EntryId("0198-a".into()),
            at: Timestamp(1),
            author: Annotator("ann".into()),
            site: Some("ward".into()),
            body: Body::Decide(Judged {
                sentence,
                judgement: Judgement { label: Some(Label::none()), ..Judgement::default() },
                took: Some(900),
                sight: RecordedSight::All(InSight::NOTHING),
                proposal: None,
                taxonomy: "t".into(),
                supersedes: Some(vec![EntryId("0197-b".into())]),
            }),
            signature: None,
        }
    }

    fn read(parts: &EntryParts<'_>) -> Result<Entry, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(parts).unwrap())
    }

    #[test]
    fn only_what_a_store_can_have_written_is_read() {
        let decided = decided();
        assert_eq!(read(&decided.parts()).unwrap(), decided);
        let undo = Entry { body: Body::Undo { target: EntryId("0198-a".into()) }, ..decided.clone() };
        assert_eq!(read(&undo.parts()).unwrap(), undo);
        type Spoil = fn(&mut EntryParts<'_>);
        let spoil: [(Spoil, &str); 13] = [
            (|r| r.proposal_visible = Some(true), "says two things"),
            (|r| r.id = Cow::Owned(EntryId("a,b".into())), "`a,b` is no id"),
            (|r| r.id = Cow::Owned(EntryId(String::new())), "`` is no id"),
            (|r| r.supersedes = Some(vec![EntryId("x'".into())].into()), "`x'` is no id"),
            (|r| r.author = Cow::Owned(Annotator("  ".into())), "needs the name"),
            (|r| r.site = Some("".into()), "needs the name"),
            (|r| r.at = Timestamp(-1), "-1 is no time"),
            (|r| r.at = Timestamp(i64::MAX), "is no time"),
            (|r| r.judgement = None, "`decide` has other parts"),
            (|r| r.sentence = r.sentence.map(|at| SentenceRef { end: 0, ..at }), "ends before it begins"),
            (|r| r.taxonomy = None, "has other parts"),
            (|r| r.target = Some(Cow::Owned(EntryId("z".into()))), "has other parts"),
            (|r| r.kind = EntryKind::Redo, "`redo` has other parts"),
        ];
        for (spoil, expected) in spoil {
            let mut parts = decided.parts();
            spoil(&mut parts);
            let error = read(&parts).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(read(&EntryParts { took: Some(1), ..undo.parts() }).is_err());
        let detail =
            TaxonomyMigration { before: "t".into(), after: "u".into(), key_map: KeyMap::default(), undoes: None };
        let migration = Entry { body: Body::Migration(detail.clone()), ..undo.clone() };
        assert_eq!(read(&migration.parts()).unwrap(), migration);
        assert!(read(&EntryParts { detail: None, ..migration.parts() }).is_err());
        for entry in [&undo, &decided] {
            assert!(read(&EntryParts { detail: Some(Cow::Borrowed(&detail)), ..entry.parts() }).is_err());
        }
    }

    #[test]
    fn kinds_have_the_words_that_are_on_disk() {
        for kind in EntryKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
