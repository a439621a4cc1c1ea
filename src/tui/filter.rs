//! What is typed into the search line, as a filter.

use crate::domain::guideline::Outdated;
use crate::domain::label::{Annotator, RunId};
use crate::domain::queue::{DecisionState, DoubtFilter, LabelMatch, LabelOwner, SentenceFilter};
use crate::domain::split::{Split, Tier};
use crate::domain::taxonomy::Taxonomy;

/// What can be typed besides words, for the search line's help.
pub(crate) const HELP: &[(&str, &str)] = &[
    ("memory loss", "sentences with these words; the last may be unfinished"),
    ("is:open", "open, decided, skipped or flagged by you"),
    ("mine:KEY", "your label: a category, none or any"),
    ("gold:KEY", "any expert's label"),
    ("silver:KEY", "the language model's label"),
    ("model:KEY", "the classifier's label"),
    ("by:NAME", "decided by this person"),
    ("split:test", "train, validation or test"),
    ("run:ID", "proposed or written in this run"),
    ("differs", "silver is not an expert's label"),
    ("outdated", "decided by you before the guideline changed its meaning"),
    ("doubt:any", "labels that may be wrong, worst first: gold, silver or any"),
];

/// What asks for the labels that may be wrong.
pub(crate) const DOUBTED: &str = "doubt:any";

/// Reads a search line, as a filter of what lies on the worklist; what it cannot mean is said.
pub(crate) fn parse(
    line: &str,
    all: SentenceFilter,
    taxonomy: &Taxonomy,
    outdated: &[Outdated],
) -> Result<SentenceFilter, String> {
    let mut filter = all;
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let Some((name, value)) = word.split_once(':') else {
            match word {
                "differs" => filter.disagreement = true,
                "outdated" if outdated.is_empty() => {
                    return Err("no change to the guideline affects your decisions".into());
                }
                "outdated" => filter.outdated = outdated.to_vec(),
                _ => words.push(word),
            }
            continue;
        };
        match name {
            "is" => {
                filter.progress = match value {
                    "open" => DecisionState::Open,
                    "decided" => DecisionState::Decided,
                    "skipped" => DecisionState::Skipped,
                    "flagged" => DecisionState::Flagged,
                    _ => return Err(format!("is: takes open, decided, skipped or flagged, not `{value}`")),
                }
            }
            "mine" | "gold" | "silver" | "model" => {
                let whose = match name {
                    "mine" => LabelOwner::Mine,
                    "gold" => LabelOwner::Expert,
                    "silver" => LabelOwner::Llm,
                    _ => LabelOwner::Classifier,
                };
                let wanted = match value {
                    "none" => LabelMatch::None,
                    "any" => LabelMatch::Any,
                    key => LabelMatch::Category(taxonomy.find(key).map_err(|e| e.to_string())?),
                };
                filter.category = Some((whose, wanted));
            }
            "doubt" => {
                filter.doubted = Some(match value {
                    "any" => DoubtFilter::Any,
                    "gold" => DoubtFilter::Tier(Tier::Gold),
                    "silver" => DoubtFilter::Tier(Tier::Silver),
                    _ => return Err(format!("doubt: takes gold, silver or any, not `{value}`")),
                });
            }
            "by" => filter.decided_by = Some(Annotator(value.to_owned())),
            "run" => filter.run = Some(RunId(value.to_owned())),
            "split" => {
                let split = Split::ALL.into_iter().find(|split| split.to_string() == value);
                filter.split =
                    Some(split.ok_or_else(|| format!("split: takes train, validation or test, not `{value}`"))?);
            }
            _ => words.push(word),
        }
    }
    filter.text = words.join(" ");
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::taxonomy::Selection;
    use crate::domain::taxonomy::tests::small;

    #[test]
    fn words_and_conditions_mix() {
        let taxonomy = small(Selection::Single);
        let filter =
            parse("low mood is:flagged silver:mood split:test differs", SentenceFilter::default(), &taxonomy, &[])
                .unwrap();
        assert_eq!(filter.text, "low mood");
        assert_eq!(filter.progress, DecisionState::Flagged);
        assert_eq!(filter.split, Some(Split::Test));
        assert!(filter.disagreement && filter.category.is_some());
        assert!(parse("", SentenceFilter::default(), &taxonomy, &[]).unwrap().is_open());
        assert_eq!(
            parse("doubt:any low", SentenceFilter::default(), &taxonomy, &[]).unwrap().doubted,
            Some(DoubtFilter::Any)
        );
        let silver = parse("doubt:silver", SentenceFilter::default(), &taxonomy, &[]).unwrap();
        assert_eq!(silver.doubted, Some(DoubtFilter::Tier(Tier::Silver)));
        assert!(
            parse("doubt:bronze", SentenceFilter::default(), &taxonomy, &[])
                .unwrap_err()
                .contains("gold, silver or any")
        );
        assert!(parse("is:lost", SentenceFilter::default(), &taxonomy, &[]).unwrap_err().contains("open, decided"));
        assert!(
            parse("gold:moood", SentenceFilter::default(), &taxonomy, &[]).unwrap_err().contains("did you mean `mood`")
        );
        assert_eq!(parse("BP: 12:30", SentenceFilter::default(), &taxonomy, &[]).unwrap().text, "BP: 12:30");
    }
}
