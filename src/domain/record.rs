//! An event as every store understands it: nothing in it is a number of one store. What is chained, audited and carried from
//! site to site.

use serde::{Deserialize, Serialize};

use super::corpus::DocumentUid;
use super::label::{Annotator, EventId, Judgement, Label, RunId, Timestamp};
use super::lineage::TaxonomyMigration;
use super::sight::InSight;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// An expert took a stand.
    Decide,
    /// An adjudicator settled a sentence.
    Settle,
    /// One of these was withdrawn.
    Undo,
    /// And restored.
    Redo,
    /// Categories were renamed, merged or split.
    Recast,
}

impl EventKind {
    /// Its word in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Settle => "settle",
            Self::Undo => "undo",
            Self::Redo => "redo",
            Self::Recast => "recast",
        }
    }
}

/// A sentence by its note and its place there, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentenceRef {
    /// The note.
    pub document: DocumentUid,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A proposal by its run; a run proposes once for a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalRef {
    /// The run.
    pub run: RunId,
    /// What it proposed.
    pub label: Label,
}

/// An event. What does not belong to its kind is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Time-ordered unique id.
    pub id: EventId,
    /// What it is.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub annotator: Annotator,
    /// The store that it came from; absent for the store's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// On which sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<SentenceRef>,
    /// What.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand: Option<Judgement>,
    /// Milliseconds on the screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u32>,
    /// Whether a machine's label could be seen. All that versions before `in_sight` recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_visible: Option<bool>,
    /// What had been in sight; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_sight: Option<InSight>,
    /// Which, if it was one that is accepted or corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalRef>,
    /// The taxonomy's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxonomy: Option<String>,
    /// What it takes the place of; see [`super::heads`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Vec<EventId>>,
    /// What it withdraws or restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<EventId>,
    /// How labels are read from here on, at the site that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<TaxonomyMigration>>,
}

/// The last moment of the year 9999.
const LAST_MOMENT: i64 = 253_402_300_799_999;

impl Record {
    /// What had been in sight at a decision or a settlement, as far as it was recorded.
    pub fn sight(&self) -> Option<InSight> {
        InSight::recorded(self.proposal_visible?, self.in_sight)
    }

    /// What no store can have written, in words: an event from elsewhere must not become a row that cannot be read.
    pub fn check(&self) -> Result<(), String> {
        let ids = [&self.id].into_iter().chain(&self.target).chain(self.supersedes.iter().flatten());
        for EventId(id) in ids {
            let well = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if id.is_empty() || id.len() > 64 || !well {
                return Err(format!("`{id}` is no id of an event"));
            }
        }
        let named = |name: &str| !name.trim().is_empty() && name.len() <= 400;
        if !named(&self.annotator.0) || self.site.as_deref().is_some_and(|site| !named(site)) {
            return Err("an event needs the name of who decided, and of the site that it comes from".into());
        }
        if !(0..=LAST_MOMENT).contains(&self.at.0) {
            return Err(format!("{} is no time in milliseconds since 1970", self.at.0));
        }
        if self.sentence.is_some_and(|at| at.start >= at.end || i64::try_from(at.end).is_err()) {
            return Err("its sentence ends before it begins".into());
        }
        let contradicts = |seen: InSight| self.proposal_visible != Some(seen.of_machines());
        if self.in_sight.is_some_and(contradicts) {
            return Err("it says two things of whether a machine's label was in sight".into());
        }
        let of_a_stand = [self.sentence.is_some(), self.stand.is_some(), self.proposal_visible.is_some()];
        let rest = self.took.is_some()
            || self.proposal.is_some()
            || self.in_sight.is_some()
            || self.supersedes.is_some()
            || self.taxonomy.is_some();
        let bare = of_a_stand == [false; 3] && !rest;
        let whole = match self.kind {
            EventKind::Decide | EventKind::Settle => {
                of_a_stand == [true; 3] && self.taxonomy.is_some() && self.target.is_none() && self.detail.is_none()
            }
            EventKind::Undo | EventKind::Redo => bare && self.target.is_some() && self.detail.is_none(),
            EventKind::Recast => bare && self.target.is_none() && self.detail.is_some(),
        };
        if whole { Ok(()) } else { Err(format!("an event of the kind `{}` has other parts", self.kind.word())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::label::Label;
    use crate::domain::lineage::KeyMap;

    fn decided() -> Record {
        let sentence = SentenceRef { document: DocumentUid([7; 16]), start: 0, end: 3 };
        Record {
            id: EventId("0198-a".into()),
            kind: EventKind::Decide,
            at: Timestamp(1),
            annotator: Annotator("ann".into()),
            site: Some("ward".into()),
            sentence: Some(sentence),
            stand: Some(Judgement { label: Some(Label::none()), ..Judgement::default() }),
            took: Some(900),
            proposal_visible: Some(false),
            in_sight: Some(InSight::NOTHING),
            proposal: None,
            taxonomy: Some("t".into()),
            supersedes: Some(vec![EventId("0197-b".into())]),
            target: None,
            detail: None,
        }
    }

    #[test]
    fn only_what_a_store_can_have_written_passes() {
        assert_eq!(decided().check(), Ok(()));
        let undo = Record {
            kind: EventKind::Undo,
            sentence: None,
            stand: None,
            took: None,
            proposal_visible: None,
            in_sight: None,
            taxonomy: None,
            supersedes: None,
            target: Some(EventId("0198-a".into())),
            ..decided()
        };
        assert_eq!(undo.check(), Ok(()));
        let spoil: [fn(&mut Record); 12] = [
            |r| r.proposal_visible = Some(true),
            |r| r.id = EventId("a,b".into()),
            |r| r.id = EventId(String::new()),
            |r| r.supersedes = Some(vec![EventId("x'".into())]),
            |r| r.annotator = Annotator("  ".into()),
            |r| r.site = Some(String::new()),
            |r| r.at = Timestamp(-1),
            |r| r.at = Timestamp(i64::MAX),
            |r| r.stand = None,
            |r| r.sentence = r.sentence.map(|at| SentenceRef { end: 0, ..at }),
            |r| r.taxonomy = None,
            |r| r.target = Some(EventId("z".into())),
        ];
        for (at, spoil) in spoil.iter().enumerate() {
            let mut record = decided();
            spoil(&mut record);
            assert!(record.check().is_err(), "case {at}");
        }
        assert!(Record { took: Some(1), ..undo.clone() }.check().is_err());
        let detail = Box::new(TaxonomyMigration {
            before: "t".into(),
            after: "u".into(),
            lineage: KeyMap::default(),
            undoes: None,
        });
        let recast = Record { kind: EventKind::Recast, target: None, detail: Some(detail), ..undo.clone() };
        assert_eq!(recast.check(), Ok(()));
        assert!(Record { detail: None, ..recast.clone() }.check().is_err());
        assert!(Record { detail: recast.detail.clone(), ..undo }.check().is_err());
        assert!(Record { detail: recast.detail, ..decided() }.check().is_err());
    }
}
