//! Who sees what, as a table and over random protocols.

use proptest::prelude::*;

use super::*;
use crate::domain::queue::LabelMatch;

fn people(names: &[&str]) -> Vec<Annotator> {
    names.iter().map(|name| Annotator((*name).into())).collect()
}

fn shown(protocol: &Protocol, who: &str, face: Face, origin: Origin, split: Split, decided: bool) -> (bool, bool) {
    let person = Annotator(who.into());
    let facts = SentenceFacts { sentence: SentenceId(7), origin, split, decided };
    let shown = Viewer { protocol, person: &person, face }.shown(facts);
    (shown.machines, shown.colleagues)
}

/// Each row: who looks where, at a sentence of which patients, having decided or not; what of machines and of colleagues is shown.
#[test]
fn who_sees_what() {
    use Face::{Adjudicate, List, Report, Review};
    use Split::{Test, Train};
    let named = Protocol {
        annotators: people(&["ann", "ben", "both"]),
        adjudicators: people(&["eve", "both"]),
        overlap: 2,
        ..Protocol::default()
    };
    let free = Protocol::default();
    let with = |show_others, blind| Protocol { show_others, blind, ..named.clone() };
    let cases = [
        ("undecided, not blind: silver, no colleague", &named, "ben", Review, Train, false, (true, false)),
        ("undecided, blind: nothing", &named, "ben", Review, Test, false, (false, false)),
        ("decided: all", &named, "ben", Review, Test, true, (true, true)),
        ("no list by a hidden label", &named, "ben", List, Test, false, (false, false)),
        ("no report of one either", &named, "ben", Report, Test, false, (false, false)),
        ("an annotator has no business in Adjudicate", &named, "ben", Adjudicate, Train, true, (false, false)),
        ("an adjudicator sees the experts", &named, "eve", Adjudicate, Train, false, (true, true)),
        ("but no machine where it is blind", &named, "eve", Adjudicate, Test, false, (false, true)),
        ("who is both decides first", &named, "both", Adjudicate, Train, false, (true, false)),
        ("and settles then", &named, "both", Adjudicate, Train, true, (true, true)),
        ("who decides nothing sees all", &named, "lead", Review, Test, false, (true, true)),
        ("nobody is named: everyone decides", &free, "ann", Review, Test, false, (false, false)),
        ("nobody is named: what one reports is no secret", &free, "ann", Report, Train, false, (true, true)),
        ("nobody is named: machines still are", &free, "ann", Report, Test, false, (false, true)),
    ];
    for (what, protocol, who, face, split, decided, expected) in cases {
        assert_eq!(shown(protocol, who, face, Origin::Real, split, decided), expected, "{what}");
    }
    let unnamed = Protocol { adjudicators: Vec::new(), ..named.clone() };
    assert_eq!(shown(&unnamed, "ben", Adjudicate, Origin::Real, Train, false), (true, false), "nobody is named");
    assert_eq!(shown(&free, "ann", Adjudicate, Origin::Real, Train, false), (true, false), "nor here");
    let free_with_eve = Protocol { adjudicators: people(&["eve"]), ..Protocol::default() };
    assert_eq!(shown(&free_with_eve, "eve", Adjudicate, Origin::Real, Train, false), (true, true));
    let before = with(ShowOthers::Before, Blind::Test);
    assert_eq!(shown(&before, "ben", Review, Origin::Real, Train, false), (true, true));
    assert_eq!(shown(&before, "ben", Review, Origin::Real, Test, false), (false, false), "blind is blind");
    let never = with(ShowOthers::Never, Blind::Never);
    assert_eq!(shown(&never, "ben", Review, Origin::Real, Train, true), (true, false));
    let always = with(ShowOthers::After, Blind::Always);
    assert_eq!(shown(&always, "ben", Review, Origin::Synthetic, Train, false), (true, false), "a target is no secret");
}

#[test]
fn a_search_lists_nothing_by_a_label_that_is_hidden() {
    let by = |whose| SentenceFilter { category: Some((whose, LabelMatch::Any)), ..SentenceFilter::default() };
    let differs = SentenceFilter { disagreement: true, ..SentenceFilter::default() };
    let ann = Annotator("ann".into());
    let among = |blind, show_others, blind_share, filter: &SentenceFilter| {
        let protocol = Protocol { blind, show_others, blind_share, ..Protocol::default() };
        Viewer { protocol: &protocol, person: &ann, face: Face::List }.held_to_what_is_shown(filter).among
    };
    use Among::{All, Decided, DecidedOrUnscored, Nothing};
    use ShowOthers::{After, Before, Never};
    for (blind, show_others, share, filter, expected) in [
        (Blind::Always, After, 0.0, by(LabelOwner::Mine), All),
        (Blind::Always, After, 0.0, by(LabelOwner::Llm), Decided),
        (Blind::Test, After, 0.0, by(LabelOwner::Classifier), DecidedOrUnscored),
        (Blind::Test, After, 0.5, by(LabelOwner::Llm), Decided),
        (Blind::Never, After, 0.0, by(LabelOwner::Llm), All),
        (Blind::Never, After, 0.0, by(LabelOwner::Expert), Decided),
        (Blind::Never, Never, 0.0, by(LabelOwner::Expert), Nothing),
        (Blind::Never, After, 0.0, differs.clone(), Decided),
        (Blind::Test, Before, 0.0, differs, DecidedOrUnscored),
    ] {
        assert_eq!(among(blind, show_others, share, &filter), expected, "{blind:?} {show_others:?} {filter:?}");
    }
}

prop_compose! {
    fn protocols()(named in any::<bool>(), eve in any::<bool>(), blind in 0..3, others in 0..3, share in 0..2) -> Protocol {
        Protocol {
            annotators: if named { people(&["ann", "ben"]) } else { Vec::new() },
            adjudicators: if eve { people(&["eve", "ben"]) } else { Vec::new() },
            blind: [Blind::Never, Blind::Test, Blind::Always][blind as usize],
            show_others: [ShowOthers::Before, ShowOthers::After, ShowOthers::Never][others as usize],
            blind_share: f64::from(share) * 0.5,
            ..Protocol::default()
        }
    }
}

proptest! {
    /// A list by a label never has a sentence on which that label is hidden.
    #[test]
    fn a_list_shows_no_more_than_the_sentence(
        protocol in protocols(), who in 0..4usize, id in 0i64..500, split in 0..3usize, decided in any::<bool>(), machine in any::<bool>(),
    ) {
        let person = Annotator(["ann", "ben", "eve", "lead"][who].into());
        let viewer = Viewer { protocol: &protocol, person: &person, face: Face::List };
        let (whose, kind) = if machine { (LabelOwner::Llm, OthersLabel::Machine) } else { (LabelOwner::Expert, OthersLabel::Colleague) };
        let facts = SentenceFacts { sentence: SentenceId(id), origin: Origin::Real, split: Split::ALL[split], decided };
        let filter = SentenceFilter { category: Some((whose, LabelMatch::Any)), ..SentenceFilter::default() };
        let listed = match viewer.held_to_what_is_shown(&filter).among {
            Among::All => true,
            Among::DecidedOrUnscored => decided || facts.split != Split::Test,
            Among::Decided => decided,
            Among::Nothing => false,
        };
        prop_assert!(!listed || viewer.sees(facts, kind));
    }

    /// Nor does a list of labels in doubt: that one of silver is doubted tells what machines say, that one of gold is, what
    /// colleagues say as well. One's own, where nobody else decides, is no secret.
    #[test]
    fn a_list_of_doubts_shows_no_more_than_the_sentence(
        protocol in protocols(), who in 0..4usize, id in 0i64..500, split in 0..3usize, decided in any::<bool>(), any_tier in any::<bool>(),
    ) {
        let person = Annotator(["ann", "ben", "eve", "lead"][who].into());
        let viewer = Viewer { protocol: &protocol, person: &person, face: Face::List };
        let facts = SentenceFacts { sentence: SentenceId(id), origin: Origin::Real, split: Split::ALL[split], decided };
        for tier in [Tier::Gold, Tier::Silver] {
            let doubted = Some(if any_tier { DoubtFilter::Any } else { DoubtFilter::Tier(tier) });
            let held = viewer.held_to_what_is_shown(&SentenceFilter { doubted, ..SentenceFilter::default() });
            let listed = match if tier == Tier::Gold { held.doubts.gold } else { held.doubts.silver } {
                Among::All => true,
                Among::DecidedOrUnscored => decided || facts.split != Split::Test,
                Among::Decided => decided,
                Among::Nothing => false,
            };
            let own = !protocol.is_shared() && decided;
            let colleagues = tier == Tier::Silver || own || viewer.sees(facts, OthersLabel::Colleague);
            prop_assert!(!listed || (viewer.sees(facts, OthersLabel::Machine) && colleagues));
        }
    }

    /// To decide never hides anything.
    #[test]
    fn deciding_reveals(protocol in protocols(), who in 0..4usize, id in 0i64..500, split in 0..3usize, face in 0..4usize) {
        let person = Annotator(["ann", "ben", "eve", "lead"][who].into());
        let face = [Face::Review, Face::Adjudicate, Face::List, Face::Report][face];
        let viewer = Viewer { protocol: &protocol, person: &person, face };
        let facts = |decided| SentenceFacts { sentence: SentenceId(id), origin: Origin::Real, split: Split::ALL[split], decided };
        for kind in [OthersLabel::Machine, OthersLabel::Colleague] {
            prop_assert!(!viewer.sees(facts(false), kind) || viewer.sees(facts(true), kind));
        }
    }
}
