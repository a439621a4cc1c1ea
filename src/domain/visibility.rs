//! Who may see what of a sentence.
//!
//! Every screen, list, search and verb asks [`Viewer`]; none decides by itself. The rule is pure, and it comes in two shapes that
//! cannot differ: [`Viewer::sees`] for one sentence, [`Viewer::reach`] for a list of them.

use super::corpus::{Origin, SentenceId};
use super::label::Annotator;
use super::protocol::{Blind, Protocol, ShowOthers};
use super::queue::{Among, DoubtFilter, DoubtsAmong, LabelOwner, SentenceFilter};
use super::split::{Split, Tier};

/// Where labels are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// The screen on which an expert decides, real sentences or synthetic ones.
    Review,
    /// The screen on which an adjudicator settles.
    Adjudicate,
    /// A list of sentences in the workbench, or a search, that goes by somebody's label.
    List,
    /// A verb of the command line that prints labels of sentences.
    Report,
}

/// Which labels are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OthersLabel {
    /// What language models and classifiers say, and all that is made from it: reasons, probabilities, doubts.
    Machine,
    /// What other experts and adjudicators say.
    Colleague,
}

/// On which sentences a kind of label may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VisibleSentences {
    /// On none.
    Nothing,
    /// On those that the person has decided.
    Decided,
    /// On those that the protocol does not keep blind for the person.
    NotBlind,
    /// On either of these.
    DecidedOrNotBlind,
    All,
}

impl VisibleSentences {
    fn covers(self, decided: bool, blind: bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Decided => decided,
            Self::NotBlind => !blind,
            Self::DecidedOrNotBlind => decided || !blind,
            Self::All => true,
        }
    }
}

/// What the rule must know of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentenceFacts {
    pub sentence: SentenceId,
    /// Real or synthetic.
    pub origin: Origin,
    /// The part that its patient falls in.
    pub split: Split,
    /// Whether the person has a label on it, or has rejected it.
    pub decided: bool,
}

/// What may be shown of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibleLabels {
    /// What machines say, and all that is made from it.
    pub machines: bool,
    /// What colleagues say.
    pub colleagues: bool,
}

/// A person at a face of the program, under the project's protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer<'a> {
    /// What the project asks of its people.
    pub protocol: &'a Protocol,
    /// Who looks.
    pub person: &'a Annotator,
    pub face: Face,
}

impl Viewer<'_> {
    /// Which sentences this person may see a kind of label on.
    ///
    /// - Who does not decide (a protocol that names its annotators, and not them) has nothing to be swayed in, and sees all; an
    ///   adjudicator all that people say.
    /// - What machines say is hidden where the protocol is blind, until one has decided. A synthetic sentence's target is what the
    ///   verdict is about, and is always shown.
    /// - What colleagues say is hidden until one has decided, or as `show_others` says.
    /// - *Adjudicate* belongs to adjudicators. One who decides as well, or whom nobody has named, sees there what they have
    ///   decided. What machines say is kept from them where the protocol is blind: their word is gold too.
    /// - A verb reports to whoever runs the project. Where nobody is named, everyone does, and colleagues' labels are no secret
    ///   there; where somebody is, an annotator sees there what they see in Review.
    pub(crate) fn reach(&self, origin: Origin, kind: OthersLabel) -> VisibleSentences {
        let Self { protocol, person, face } = *self;
        if face == Face::Adjudicate {
            let annotates = protocol.annotators.contains(person);
            let only_adjudicates = protocol.adjudicators.contains(person) && !annotates;
            return match kind {
                _ if !protocol.adjudicates(person) => VisibleSentences::Nothing,
                OthersLabel::Machine => VisibleSentences::NotBlind,
                OthersLabel::Colleague if protocol.decides(person) && !only_adjudicates => VisibleSentences::Decided,
                OthersLabel::Colleague => VisibleSentences::All,
            };
        }
        if !protocol.decides(person) {
            // An adjudicator sees no more of machines elsewhere than where they settle.
            let settles =
                kind == OthersLabel::Machine && origin == Origin::Real && protocol.adjudicators.contains(person);
            return if settles { VisibleSentences::DecidedOrNotBlind } else { VisibleSentences::All };
        }
        match kind {
            OthersLabel::Machine if origin == Origin::Synthetic => VisibleSentences::All,
            OthersLabel::Machine => VisibleSentences::DecidedOrNotBlind,
            OthersLabel::Colleague if face == Face::Report && !protocol.is_shared() => VisibleSentences::All,
            OthersLabel::Colleague => match protocol.show_others {
                ShowOthers::After => VisibleSentences::Decided,
                ShowOthers::Never => VisibleSentences::Nothing,
                ShowOthers::Before if origin == Origin::Synthetic => VisibleSentences::All,
                ShowOthers::Before => VisibleSentences::DecidedOrNotBlind,
            },
        }
    }

    /// Whether this person may see a kind of label on this sentence.
    pub(crate) fn sees(&self, of: SentenceFacts, kind: OthersLabel) -> bool {
        let blind = of.origin == Origin::Real && self.protocol.is_blind(self.person, of.sentence, of.split);
        self.reach(of.origin, kind).covers(of.decided, blind)
    }

    /// All that this person may see of this sentence.
    pub(crate) fn shown(&self, of: SentenceFacts) -> VisibleLabels {
        VisibleLabels {
            machines: self.sees(of, OthersLabel::Machine),
            colleagues: self.sees(of, OthersLabel::Colleague),
        }
    }

    /// What a search may list: the search itself, held to sentences whose labels this person may see where it goes by labels.
    pub(crate) fn held_to_what_is_shown(&self, filter: &SentenceFilter) -> SentenceFilter {
        // That a sentence is disputed is told by colleagues' labels.
        let disputed = (self.face == Face::Adjudicate).then_some(OthersLabel::Colleague);
        let kinds = gives_away(filter).chain(disputed);
        let among = kinds.map(|kind| self.among(self.reach(filter.origin, kind))).max().unwrap_or_default();
        SentenceFilter { among, doubts: self.doubts(filter), ..filter.clone() }
    }

    /// Which labels in doubt a search may list. That a label of silver is doubted tells what machines say; that one of gold is,
    /// what colleagues say too, unless nobody else decides here.
    fn doubts(&self, filter: &SentenceFilter) -> DoubtsAmong {
        if filter.doubted.is_none() {
            return DoubtsAmong::default();
        }
        let among = |kind| self.among(self.reach(filter.origin, kind));
        let silver = among(OthersLabel::Machine);
        let colleagues = match among(OthersLabel::Colleague) {
            Among::Nothing if !self.protocol.is_shared() => Among::Decided,
            among => among,
        };
        DoubtsAmong { gold: silver.max(colleagues), silver }
    }

    /// Why a search lists less than all that passes it; `None` where it lists all.
    pub(crate) fn why_held(&self, filter: &SentenceFilter) -> Option<&'static str> {
        let held = self.held_to_what_is_shown(filter);
        // One's own labels that are in doubt are all listed, so that nothing is held where nobody else decides.
        let of_doubts = match filter.doubted {
            Some(DoubtFilter::Tier(Tier::Gold)) if self.protocol.is_shared() => held.doubts.gold,
            Some(DoubtFilter::Any) if self.protocol.is_shared() => held.doubts.gold.max(held.doubts.silver),
            Some(DoubtFilter::Any | DoubtFilter::Tier(Tier::Silver)) => held.doubts.silver,
            _ => Among::All,
        };
        match (held.among.max(of_doubts), self.face) {
            (Among::All, _) => None,
            (Among::Nothing, Face::Adjudicate) => {
                Some("only the adjudicators that goldsmith.toml names see what is disputed")
            }
            (Among::Nothing, _) => Some("goldsmith.toml says that colleagues' labels are never shown"),
            (_, Face::Adjudicate) => {
                Some("here is only what you have decided; `adjudicators` in goldsmith.toml names who settles more")
            }
            (Among::DecidedOrUnscored, _) => {
                Some("test patients are decided blind: of theirs, only what you have decided is listed by a label")
            }
            (Among::Decided, _) => {
                Some("you decide before you see this label: only what you have decided is listed by it")
            }
        }
    }

    /// A search cannot draw the share that is kept blind besides, so there it lists what is decided.
    fn among(&self, reach: VisibleSentences) -> Among {
        match reach {
            VisibleSentences::All => Among::All,
            VisibleSentences::Nothing => Among::Nothing,
            VisibleSentences::Decided => Among::Decided,
            VisibleSentences::NotBlind | VisibleSentences::DecidedOrNotBlind => match self.protocol.blind {
                Blind::Always => Among::Decided,
                _ if self.protocol.blind_share > 0.0 => Among::Decided,
                Blind::Test => Among::DecidedOrUnscored,
                Blind::Never => Among::All,
            },
        }
    }
}

/// Whose labels a search goes by, one's own apart.
pub(crate) fn gives_away(filter: &SentenceFilter) -> impl Iterator<Item = OthersLabel> {
    let whose = match filter.category {
        Some((LabelOwner::Expert, _)) => Some(OthersLabel::Colleague),
        Some((LabelOwner::Llm | LabelOwner::Classifier, _)) => Some(OthersLabel::Machine),
        Some((LabelOwner::Mine, _)) | None => None,
    };
    let both = if filter.disagreement { &[OthersLabel::Machine, OthersLabel::Colleague][..] } else { &[] };
    whose.into_iter().chain(both.iter().copied())
}

#[cfg(test)]
mod tests;
