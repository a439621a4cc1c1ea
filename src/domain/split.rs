//! Which patients train and which test, the doors to training and scoring, and the report of leaks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::corpus::{PatientKey, SentenceId};
use super::gold::{Bronze, Gold, Silver};
use super::label::Label;
use super::metrics::TestSentence;

/// Where all sentences of a patient fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    /// Early stopping and calibration.
    Validation,
    /// Scored on.
    Test,
}

impl Split {
    /// All three.
    pub(crate) const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// How patients are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitPlan {
    /// Another seed shares them out anew.
    pub seed: u64,
    /// Share of patients in validation, 0 to 1.
    pub validation: f64,
    /// Share of patients in test, 0 to 1.
    pub test: f64,
}

impl Default for SplitPlan {
    fn default() -> Self {
        Self { seed: 1, validation: 0.15, test: 0.2 }
    }
}

impl SplitPlan {
    /// The split of a patient: a pure function of key and seed, so a patient who comes in later never moves another.
    pub fn split(&self, patient: &PatientKey) -> Split {
        // 53 bits: the most that a float holds exactly.
        let share = (number(b"", self.seed, patient) >> 11) as f64 / (1u64 << 53) as f64;
        if share < self.test {
            Split::Test
        } else if share < self.test + self.validation {
            Split::Validation
        } else {
            Split::Train
        }
    }
}

/// The part, of so many, that a patient falls in when each is predicted by a model of the others. A pure function of key
/// and seed, and no function of the split.
pub(crate) fn fold(patient: &PatientKey, folds: usize, seed: u64) -> usize {
    (number(b"fold", seed, patient) % folds.max(1) as u64) as usize
}

/// A patient's number for a purpose, by which patients are shared out.
fn number(purpose: &[u8], seed: u64, patient: &PatientKey) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    hasher.update(seed.to_le_bytes());
    hasher.update(patient.0.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize()[..8]);
    u64::from_le_bytes(first)
}

/// The gold that scores are made on. [`TestSet::from_gold`] is the only door.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestSet {
    gold: Vec<Gold>,
    patients: BTreeSet<PatientKey>,
}

impl TestSet {
    /// Takes the gold of the patients whose split is `part` (test, or validation for early stopping).
    pub(crate) fn from_gold(gold: impl IntoIterator<Item = Gold>, plan: &SplitPlan, part: Split) -> Self {
        let gold: Vec<Gold> =
            gold.into_iter().filter(|g| part != Split::Train && plan.split(g.patient()) == part).collect();
        let patients = gold.iter().map(|g| g.patient().clone()).collect();
        Self { gold, patients }
    }

    /// The gold in it.
    pub(crate) fn gold(&self) -> &[Gold] {
        &self.gold
    }

    /// How many patients it has.
    pub(crate) fn patient_count(&self) -> usize {
        self.patients.len()
    }

    /// Its sentences in order, as they are scored on; patients are numbered as they are met.
    pub(crate) fn sentences(&self) -> Vec<TestSentence> {
        let mut numbers: BTreeMap<&PatientKey, u32> = BTreeMap::new();
        let gold = self.gold.iter().map(|gold| {
            let next = numbers.len() as u32;
            gold.tested(*numbers.entry(gold.patient()).or_insert(next))
        });
        gold.collect()
    }
}

/// What a training row is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Expert label on a real sentence.
    Gold,
    /// Language model's label on a real sentence.
    Silver,
    /// Language model's sentence for a label.
    Bronze,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gold => "gold",
            Self::Silver => "silver",
            Self::Bronze => "bronze",
        })
    }
}

/// One row to train on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrainRow {
    pub sentence: SentenceId,
    pub label: Label,
    /// Where the label comes from.
    pub tier: Tier,
}

/// What may be trained on: rows of patients whose split is *train*, and synthetic sentences.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrainSet {
    rows: Vec<TrainRow>,
}

impl TrainSet {
    /// Mixes tiers. Gold and silver enter only if the plan puts their patient in *train*, so no sentence of a test or
    /// validation patient has a way in; where a sentence has gold, its silver stays out.
    pub(crate) fn mix(
        plan: &SplitPlan,
        gold: impl IntoIterator<Item = Gold>,
        silver: impl IntoIterator<Item = Silver>,
        bronze: impl IntoIterator<Item = Bronze>,
    ) -> Self {
        let mut rows = BTreeMap::new();
        for gold in gold {
            if plan.split(gold.patient()) == Split::Train {
                rows.insert(
                    gold.sentence(),
                    TrainRow { sentence: gold.sentence(), label: gold.label().clone(), tier: Tier::Gold },
                );
            }
        }
        for silver in silver {
            if plan.split(silver.patient()) == Split::Train {
                rows.entry(silver.sentence()).or_insert_with(|| TrainRow {
                    sentence: silver.sentence(),
                    label: silver.label().clone(),
                    tier: Tier::Silver,
                });
            }
        }
        for bronze in bronze {
            rows.insert(
                bronze.sentence(),
                TrainRow { sentence: bronze.sentence(), label: bronze.label().clone(), tier: Tier::Bronze },
            );
        }
        Self { rows: rows.into_values().collect() }
    }

    /// The rows, by sentence.
    pub(crate) fn rows(&self) -> &[TrainRow] {
        &self.rows
    }

    /// How many rows of a tier.
    pub(crate) fn count(&self, tier: Tier) -> usize {
        self.rows.iter().filter(|row| row.tier == tier).count()
    }
}

/// A test sentence that stands nearly word for word in the training set too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    pub test: SentenceId,
    pub train: SentenceId,
    /// Where the training sentence comes from.
    pub tier: Tier,
}

/// Finds test sentences whose normalised text (letters and digits of each word, lower case, order kept) of at least
/// `min_words` words stands in the training set. Shorter ones ("No acute distress.") repeat in every note and say nothing.
pub(crate) fn leaks<'a>(
    train: impl IntoIterator<Item = (SentenceId, Tier, &'a str)>,
    test: impl IntoIterator<Item = (SentenceId, &'a str)>,
    min_words: usize,
) -> Vec<Leak> {
    let mut seen: FxHashMap<u64, (SentenceId, Tier)> = FxHashMap::default();
    for (id, tier, text) in train {
        if let Some(sketch) = sketch(text, min_words) {
            seen.entry(sketch).or_insert((id, tier));
        }
    }
    test.into_iter()
        .filter_map(|(id, text)| {
            let (train, tier) = *seen.get(&sketch(text, min_words)?)?;
            Some(Leak { test: id, train, tier })
        })
        .collect()
}

/// 64 bits of SHA-256 over the normalised words; numbers are kept apart as `0`, so that two visits' blood pressures are
/// near-duplicates.
fn sketch(text: &str, min_words: usize) -> Option<u64> {
    let mut hasher = Sha256::new();
    let mut words = 0;
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        words += 1;
        if word.bytes().all(|b| b.is_ascii_digit()) {
            hasher.update(b"0 ");
        } else {
            hasher.update(word.to_lowercase().as_bytes());
            hasher.update(b" ");
        }
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize()[..8]);
    (words >= min_words).then(|| u64::from_le_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::corpus::Origin;
    use crate::domain::gold::{GoldRule, HumanLabels, Vote};
    use crate::domain::label::Annotator;
    use crate::domain::taxonomy::Selection;
    use crate::domain::taxonomy::tests::small;

    fn gold(id: i64, patient: &str) -> Gold {
        let vote = Vote { annotator: Annotator("a".into()), label: Label::none(), in_sight: None, forked: false };
        let case = HumanLabels { votes: vec![vote], ..HumanLabels::default() };
        let about = (SentenceId(id), &PatientKey(patient.into()), Origin::Real);
        Gold::settle(about, &case, GoldRule::default(), &small(Selection::Single)).unwrap()
    }

    #[test]
    fn no_patient_both_trains_and_tests() {
        let plan = SplitPlan::default();
        let all: Vec<Gold> = (0..500).map(|i| gold(i, &format!("p{}", i % 50))).collect();
        let test = TestSet::from_gold(all.clone(), &plan, Split::Test);
        let validation = TestSet::from_gold(all.clone(), &plan, Split::Validation);
        let silver =
            all.iter().filter_map(|g| Silver::propose(g.sentence(), g.patient().clone(), Origin::Real, Label::none()));
        let train = TrainSet::mix(&plan, all.clone(), silver, []);
        assert!(test.patient_count() > 3 && validation.patient_count() > 3);
        assert_eq!(train.rows().len() + test.gold().len() + validation.gold().len(), 500);
        let tested: BTreeSet<SentenceId> = test.gold().iter().chain(validation.gold()).map(Gold::sentence).collect();
        assert!(train.rows().iter().all(|row| !tested.contains(&row.sentence)));
        assert!(train.rows().iter().all(|row| row.tier == Tier::Gold));
    }

    #[test]
    fn a_split_is_a_pure_function_of_patient_and_seed() {
        let plan = SplitPlan { seed: 7, ..SplitPlan::default() };
        let key = PatientKey("patient-17".into());
        assert_eq!(plan.split(&key), plan.split(&key));
        let moved = (0..200).filter(|i| {
            let key = PatientKey(format!("p{i}"));
            plan.split(&key) != SplitPlan { seed: 8, ..plan }.split(&key)
        });
        assert!(moved.count() > 40);
    }

    #[test]
    fn folds_are_about_even_and_know_nothing_of_splits() {
        let plan = SplitPlan { seed: 3, ..SplitPlan::default() };
        let keys = (0..1_000).map(|i| PatientKey(format!("p{i}")));
        let mut counts = [[0; 2]; 5];
        for key in keys {
            assert_eq!(fold(&key, 5, 3), fold(&key, 5, 3));
            counts[fold(&key, 5, 3)][usize::from(plan.split(&key) == Split::Test)] += 1;
        }
        for [rest, test] in counts {
            assert!((120..200).contains(&rest) && (20..60).contains(&test), "{counts:?}");
        }
        assert_eq!(fold(&PatientKey("p".into()), 0, 1), 0);
    }

    #[test]
    fn train_is_no_test_set() {
        let plan = SplitPlan { test: 0.0, validation: 0.0, seed: 1 };
        assert!(TestSet::from_gold([gold(1, "p")], &plan, Split::Train).gold().is_empty());
    }

    #[test]
    fn near_duplicates_are_found_and_stock_phrases_are_not() {
        let train = [
            (SentenceId(1), Tier::Bronze, "She forgets appointments and repeats the same questions, 3 times."),
            (SentenceId(2), Tier::Gold, "No acute distress."),
        ];
        let test = [
            (SentenceId(3), "she forgets appointments and repeats the same questions - 5 times"),
            (SentenceId(4), "No acute distress."),
        ];
        let found = leaks(train, test, 5);
        assert_eq!(found, [Leak { test: SentenceId(3), train: SentenceId(1), tier: Tier::Bronze }]);
    }

    /// The splits of patients are on users' disks, and every score was made by them: these values are never edited.
    #[test]
    fn twenty_patients_fall_where_they_always_fell() {
        let keys: Vec<PatientKey> = (1..=20).map(|i| PatientKey(format!("patient-{i}"))).collect();
        let splits = |plan: SplitPlan| -> String {
            keys.iter()
                .map(|key| match plan.split(key) {
                    Split::Train => '.',
                    Split::Validation => 'V',
                    Split::Test => 'T',
                })
                .collect()
        };
        assert_eq!(splits(SplitPlan::default()), "....V.TVV.....T.V.V.");
        assert_eq!(splits(SplitPlan { seed: 7, ..SplitPlan::default() }), "..V...V.VT.VV.....V.");
        assert_eq!(splits(SplitPlan { seed: 1, validation: 0.3, test: 0.3 }), "...VTVTVTV...VT.TVT.");
        let folds = |seed| keys.iter().map(|key| fold(key, 5, seed).to_string()).collect::<String>();
        assert_eq!((folds(1).as_str(), folds(7).as_str()), ("13220314110423323134", "21142214221110211221"));
    }
}
