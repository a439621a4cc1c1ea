//! The protocol: who decides on which sentences, how many on each, and who sees what a machine proposes.
//!
//! Sharing out is a pure function of the sentences, the people and a seed; what is given out already stays, so that a project can
//! grow by notes and by people.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::corpus::{PatientKey, SentenceId};
use super::gold::AdjudicationScope;
use super::label::Annotator;
use super::split::Split;

/// How sentences are shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssignmentMode {
    /// In turn, so that all have equally many.
    #[default]
    RoundRobin,
    /// All sentences of a patient to the same people.
    Patient,
    /// In proportion to each one's share.
    Share,
}

/// Whose proposals are hidden until the decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blind {
    /// None are.
    Never,
    /// On patients of the test split, whose gold machines are scored against.
    Test,
    Always,
}

/// When colleagues' labels are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShowOthers {
    /// From the start, except where the protocol asks for a blind decision.
    Before,
    /// Once one has decided oneself.
    #[default]
    After,
    Never,
}

/// What a project asks of its people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Protocol {
    /// Who decides; empty: anyone, on all sentences.
    pub annotators: Vec<Annotator>,
    /// Who settles what is disputed; empty: anyone.
    pub adjudicators: Vec<Annotator>,
    /// What they settle.
    pub adjudicate: AdjudicationScope,
    /// How many experts a sentence needs.
    pub overlap: usize,
    /// How sentences are shared out.
    pub sharing: AssignmentMode,
    /// Under [`AssignmentMode::Share`]: how much each takes; one who is not named takes 1.
    pub shares: BTreeMap<Annotator, f64>,
    /// So many sentences, drawn by the seed, are for everyone, before all others.
    pub calibration: usize,
    /// Where what machines say is hidden until decided.
    pub blind: Blind,
    /// When colleagues' labels are shown.
    pub show_others: ShowOthers,
    /// And besides, on this share of all other sentences, drawn for each expert: so the machine's pull can be measured.
    pub blind_share: f64,
    /// Seed of all that is drawn.
    pub seed: u64,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            annotators: Vec::new(),
            adjudicators: Vec::new(),
            adjudicate: AdjudicationScope::default(),
            overlap: 1,
            sharing: AssignmentMode::default(),
            shares: BTreeMap::new(),
            calibration: 0,
            blind: Blind::Test,
            show_others: ShowOthers::default(),
            blind_share: 0.0,
            seed: 1,
        }
    }
}

/// A sentence given to an expert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Assignment {
    pub sentence: SentenceId,
    /// Who decides on it.
    pub annotator: Annotator,
    /// Whether everyone does, before all others.
    pub calibration: bool,
}

impl Protocol {
    /// Whether sentences are shared out at all.
    pub(crate) fn is_shared(&self) -> bool {
        !self.annotators.is_empty()
    }

    /// Whether this person decides on real sentences.
    pub(crate) fn decides(&self, annotator: &Annotator) -> bool {
        !self.is_shared() || self.annotators.contains(annotator)
    }

    /// Whether this person settles what is disputed.
    pub(crate) fn adjudicates(&self, annotator: &Annotator) -> bool {
        self.adjudicators.is_empty() || self.adjudicators.contains(annotator)
    }

    /// Whether this expert decides on a sentence without knowing what machines say of it. Who may see what follows from it in
    /// [`super::visibility`].
    pub(crate) fn is_blind(&self, annotator: &Annotator, sentence: SentenceId, split: Split) -> bool {
        match self.blind {
            Blind::Always => true,
            Blind::Test if split == Split::Test => true,
            Blind::Never | Blind::Test => {
                let drawn = self.draw("blind", &[&annotator.0, &sentence.0.to_string()]);
                // 53 bits: every value is a double of its own.
                (drawn >> 11) as f64 / (1u64 << 53) as f64 <= self.blind_share && self.blind_share > 0.0
            }
        }
    }

    /// Gives out what is not given out yet. `sentences` in order, with their patients; `given` is what is given out already.
    /// Whoever has least so far, measured by their share, is next; where two have the same, the seed decides.
    pub(crate) fn assign(&self, sentences: &[(SentenceId, PatientKey)], given: &[Assignment]) -> Vec<Assignment> {
        let people: Vec<&Annotator> = self.annotators.iter().collect();
        if people.is_empty() {
            return Vec::new();
        }
        let place: FxHashMap<&Annotator, usize> = people.iter().enumerate().map(|(at, who)| (*who, at)).collect();
        let mut load = vec![0usize; people.len()];
        let mut seated: FxHashMap<SentenceId, FxHashSet<usize>> = FxHashMap::default();
        for seat in given {
            if let Some(at) = place.get(&seat.annotator) {
                load[*at] += usize::from(!seat.calibration);
                seated.entry(seat.sentence).or_default().insert(*at);
            }
        }
        let calibration = self.calibration_set(sentences, given);
        let needed = self.overlap.clamp(1, people.len());
        let share = |at: usize| match self.sharing {
            AssignmentMode::Share => self.shares.get(people[at]).copied().unwrap_or(1.0).max(1e-9),
            AssignmentMode::RoundRobin | AssignmentMode::Patient => 1.0,
        };
        // Those who have someone of the patient already go on with them.
        let mut of_patient: FxHashMap<&PatientKey, Vec<usize>> = FxHashMap::default();
        let none = FxHashSet::default();
        if self.sharing == AssignmentMode::Patient {
            for (sentence, patient) in sentences.iter().filter(|(id, _)| !calibration.contains(id)) {
                let known = of_patient.entry(patient).or_default();
                let mut new: Vec<usize> = seated.get(sentence).unwrap_or(&none).iter().copied().collect();
                new.sort_unstable();
                new.retain(|at| !known.contains(at));
                known.extend(new);
            }
        }
        let mut seats = Vec::new();
        for (sentence, patient) in sentences {
            let taken = seated.get(sentence).unwrap_or(&none);
            if calibration.contains(sentence) {
                let open = (0..people.len()).filter(|at| !taken.contains(at));
                seats.extend(open.map(|at| Assignment {
                    sentence: *sentence,
                    annotator: people[at].clone(),
                    calibration: true,
                }));
                continue;
            }
            let missing = needed.saturating_sub(taken.len());
            let mut order: Vec<usize> = (0..people.len()).filter(|at| !taken.contains(at)).collect();
            let key = match self.sharing {
                AssignmentMode::Patient => patient.0.clone(),
                AssignmentMode::RoundRobin | AssignmentMode::Share => sentence.0.to_string(),
            };
            let known = of_patient.get(patient).map_or(&[][..], Vec::as_slice);
            order.sort_by(|a, b| {
                let rank = |at: &usize| known.iter().position(|k| k == at).unwrap_or(usize::MAX);
                let weight = |at: &usize| (load[*at] as f64 + 1.0) / share(*at);
                let drawn = |at: &usize| self.draw("seat", &[&people[*at].0, &key]);
                rank(a).cmp(&rank(b)).then(weight(a).total_cmp(&weight(b))).then_with(|| drawn(a).cmp(&drawn(b)))
            });
            for at in order.into_iter().take(missing) {
                load[at] += 1;
                if self.sharing == AssignmentMode::Patient {
                    let known = of_patient.entry(patient).or_default();
                    if !known.contains(&at) {
                        known.push(at);
                    }
                }
                seats.push(Assignment { sentence: *sentence, annotator: people[at].clone(), calibration: false });
            }
        }
        seats
    }

    /// The sentences of the calibration set: those that are in it already, then those that the seed draws.
    fn calibration_set(&self, sentences: &[(SentenceId, PatientKey)], given: &[Assignment]) -> FxHashSet<SentenceId> {
        let mut set: FxHashSet<SentenceId> =
            given.iter().filter(|seat| seat.calibration).map(|seat| seat.sentence).collect();
        let taken: FxHashSet<SentenceId> = given.iter().map(|seat| seat.sentence).collect();
        let mut drawn: Vec<(u64, SentenceId)> = sentences
            .iter()
            .filter(|(id, _)| !taken.contains(id))
            .map(|(id, _)| (self.draw("calibration", &[&id.0.to_string()]), *id))
            .collect();
        let missing = self.calibration.saturating_sub(set.len()).min(drawn.len());
        if missing > 0 {
            drawn.select_nth_unstable(missing - 1);
        }
        set.extend(drawn.into_iter().take(missing).map(|(_, id)| id));
        set
    }

    fn draw(&self, purpose: &str, of: &[&str]) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_le_bytes());
        for part in std::iter::once(&purpose).chain(of) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize()[..8]);
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(names: &[&str]) -> Vec<Annotator> {
        names.iter().map(|name| Annotator((*name).into())).collect()
    }

    fn sentences(n: i64) -> Vec<(SentenceId, PatientKey)> {
        (0..n).map(|i| (SentenceId(i), PatientKey(format!("p{}", i / 7)))).collect()
    }

    fn counts(seats: &[Assignment]) -> BTreeMap<String, usize> {
        seats.iter().fold(BTreeMap::new(), |mut counts, seat| {
            *counts.entry(seat.annotator.0.clone()).or_default() += 1;
            counts
        })
    }

    #[test]
    fn each_sentence_gets_its_experts_and_all_have_equally_many() {
        let protocol = Protocol { annotators: people(&["a", "b", "c"]), overlap: 2, ..Protocol::default() };
        let seats = protocol.assign(&sentences(300), &[]);
        assert_eq!(counts(&seats), BTreeMap::from([("a".into(), 200), ("b".into(), 200), ("c".into(), 200)]));
        let mut pairs: FxHashSet<(SentenceId, &Annotator)> = FxHashSet::default();
        assert!(seats.iter().all(|seat| pairs.insert((seat.sentence, &seat.annotator))), "nobody twice");
        // All pairs of people meet, so that agreement is known between any two.
        let mut met: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        for sentence in 0..300 {
            let who: Vec<&str> =
                seats.iter().filter(|s| s.sentence == SentenceId(sentence)).map(|s| s.annotator.0.as_str()).collect();
            let mut who = who;
            who.sort_unstable();
            *met.entry(who).or_default() += 1;
        }
        assert!(met.len() == 3 && met.values().all(|n| *n > 60), "{met:?}");
    }

    #[test]
    fn what_is_given_out_stays_and_the_new_ones_catch_up() {
        let mut protocol = Protocol { annotators: people(&["a", "b"]), ..Protocol::default() };
        let first = protocol.assign(&sentences(100), &[]);
        assert_eq!(protocol.assign(&sentences(100), &first), [], "nothing is missing");
        protocol.annotators = people(&["a", "b", "c"]);
        let more = protocol.assign(&sentences(140), &first);
        assert_eq!(counts(&more), BTreeMap::from([("c".into(), 40)]), "c has least");
    }

    #[test]
    fn patients_stay_together_and_shares_are_kept() {
        let by_patient =
            Protocol { annotators: people(&["a", "b", "c"]), sharing: AssignmentMode::Patient, ..Protocol::default() };
        let all = sentences(210);
        let seats = by_patient.assign(&all, &[]);
        for chunk in seats.chunks(7) {
            assert!(chunk.iter().all(|seat| seat.annotator == chunk[0].annotator), "{chunk:?}");
        }
        // A note that comes later goes to whoever has its patient.
        let later = by_patient.assign(&all, &seats[..3]);
        assert!(later[..4].iter().all(|seat| seat.annotator == seats[0].annotator));
        let shares = BTreeMap::from([(Annotator("a".into()), 3.0)]);
        let by_share = Protocol { sharing: AssignmentMode::Share, shares, ..by_patient };
        let counts = counts(&by_share.assign(&sentences(500), &[]));
        assert_eq!(counts, BTreeMap::from([("a".into(), 300), ("b".into(), 100), ("c".into(), 100)]));
    }

    #[test]
    fn calibration_is_for_everyone_and_fixed() {
        let protocol = Protocol { annotators: people(&["a", "b", "c"]), calibration: 10, ..Protocol::default() };
        let seats = protocol.assign(&sentences(100), &[]);
        let round: Vec<&Assignment> = seats.iter().filter(|seat| seat.calibration).collect();
        assert_eq!(round.len(), 30);
        assert_eq!(seats.len(), 30 + 90);
        assert_eq!(protocol.assign(&sentences(200), &seats).iter().filter(|seat| seat.calibration).count(), 0);
    }

    #[test]
    fn blind_where_machines_are_scored_and_on_a_share_of_the_rest() {
        let protocol = Protocol { blind_share: 0.3, ..Protocol::default() };
        let (ann, ben) = (Annotator("ann".into()), Annotator("ben".into()));
        let blind = |who: &Annotator| -> Vec<bool> {
            (0..2_000).map(|id| protocol.is_blind(who, SentenceId(id), Split::Train)).collect()
        };
        let share = blind(&ann).iter().filter(|b| **b).count();
        assert!((500..700).contains(&share), "{share}");
        assert_ne!(blind(&ann), blind(&ben), "drawn for each");
        assert!((0..100).all(|id| protocol.is_blind(&ann, SentenceId(id), Split::Test)));
        let never = Protocol { blind: Blind::Never, ..Protocol::default() };
        assert!((0..100).all(|id| !never.is_blind(&ann, SentenceId(id), Split::Test)));
    }

    /// Who decides on what, and blind or not, is drawn anew from the seed at every start: another draw would change running
    /// studies. These values are never edited.
    #[test]
    fn what_a_seed_draws_it_draws_for_ever() {
        let protocol = Protocol {
            annotators: people(&["ann", "ben", "cay"]),
            overlap: 2,
            calibration: 6,
            blind_share: 0.3,
            ..Protocol::default()
        };
        let all: Vec<(SentenceId, PatientKey)> = sentences(41).split_off(1);
        let blind = |who: &str| -> Vec<i64> {
            let who = Annotator(who.into());
            (1..=40).filter(|id| protocol.is_blind(&who, SentenceId(*id), Split::Train)).collect()
        };
        assert_eq!(blind("ann"), [3, 5, 6, 7, 9, 13, 16, 18, 22, 27, 29, 34, 39]);
        assert_eq!(blind("ben"), [1, 8, 19, 26, 30, 32, 36, 39]);
        // A letter for each who decides on a sentence, in order; `*` is the calibration set.
        let drawn = |protocol: &Protocol| -> String {
            let seats = protocol.assign(&all, &[]);
            let word = |(id, _): &(SentenceId, PatientKey)| {
                let of: Vec<&Assignment> = seats.iter().filter(|seat| seat.sentence == *id).collect();
                if of.iter().all(|seat| seat.calibration) {
                    return "*".to_owned();
                }
                let mut letters: Vec<&str> = of.iter().map(|seat| &seat.annotator.0[..1]).collect();
                letters.sort_unstable();
                letters.concat()
            };
            all.iter().map(word).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            drawn(&protocol),
            "bc ab * ac ac ab bc ac * * ab bc ac ab bc bc ab ac ab ac bc ab ac bc * ab bc ac ac bc * ab bc * ab ac bc ab ac ab"
        );
        let by_patient = Protocol { sharing: AssignmentMode::Patient, calibration: 0, seed: 7, ..protocol.clone() };
        assert_eq!(
            drawn(&by_patient),
            "ab ab ab ab ab ab ac ac ac ac ac ac ac bc bc bc bc bc bc bc ab ab ab ab ab ab ab bc bc bc bc bc bc bc ac ac ac ac ac ac"
        );
        let shares = BTreeMap::from([(Annotator("ann".into()), 3.0)]);
        let by_share = Protocol { sharing: AssignmentMode::Share, shares, overlap: 1, ..protocol.clone() };
        assert_eq!(drawn(&by_share), "a a * b a c a a * * b c a a a c b a a a a b c a * a c a b a * a c * a b a a a b");
    }
}
