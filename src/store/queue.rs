//! SQL for the queue: the next sentence that passes a filter, whatever the size of the store.
//!
//! There is no list of the queue in memory. Each step seeks from where the reader is, so the first sentence of a million
//! is there as fast as the last.

use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, params, params_from_iter};

use super::{Store, StoreError, doubts, ranking};
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::gold::{AdjudicationScope, GoldRule, Policy};
use crate::domain::guideline::Outdated;
use crate::domain::label::Annotator;
use crate::domain::queue::{
    Among, AssignmentFilter, DecisionState, DoubtFilter, DoubtsAmong, LabelMatch, LabelOwner, SentenceFilter,
};
use crate::domain::visibility::SentenceFacts;

/// Which way to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekDirection {
    /// Towards higher numbers.
    Forward,
    /// Towards lower numbers.
    Back,
}

/// The filter as SQL: tables, conditions, values. Every value is bound; no text of the user stands in the SQL.
struct Clause {
    from: String,
    /// What the sentences are in the order of.
    key: &'static str,
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Clause {
    fn bind(&mut self, value: impl ToSql + 'static) -> String {
        self.values.push(Box::new(value));
        format!("?{}", self.values.len())
    }
}

impl Store {
    /// The nearest sentence beyond `from` that passes the filter for this annotator.
    pub fn seek(
        &self,
        filter: &SentenceFilter,
        annotator: &Annotator,
        from: Option<SentenceId>,
        direction: SeekDirection,
    ) -> Result<Option<SentenceId>, StoreError> {
        Ok(self.page(filter, annotator, from, direction, 1)?.pop())
    }

    /// Up to `limit` sentences beyond `from`, nearest first.
    pub fn page(
        &self,
        filter: &SentenceFilter,
        annotator: &Annotator,
        from: Option<SentenceId>,
        direction: SeekDirection,
        limit: usize,
    ) -> Result<Vec<SentenceId>, StoreError> {
        let Some(mut clause) = clause(filter, annotator) else {
            return Ok(Vec::new());
        };
        let (beyond, order) = match direction {
            SeekDirection::Forward => (">", "ASC"),
            SeekDirection::Back => ("<", "DESC"),
        };
        if let Some(from) = from {
            let at = clause.bind(from);
            // Whoever comes from a sentence that has no rank begins with the first.
            let place = match ranks(filter) {
                Some((table, latest)) => {
                    format!("coalesce((SELECT rank FROM {table} WHERE run = {latest} AND sentence = {at}), 0)")
                }
                None => at,
            };
            clause.conditions.push(format!("{} {beyond} {place}", clause.key));
        }
        let limit = clause.bind(limit as i64);
        let sql = format!(
            "SELECT s.id FROM {} WHERE {} ORDER BY {} {order} LIMIT {limit}",
            clause.from,
            clause.conditions.join(" AND "),
            clause.key
        );
        self.with(|c| {
            c.prepare_cached(&sql)?
                .query_map(params_from_iter(clause.values.iter().map(|v| &**v)), |row| row.get(0))?
                .collect()
        })
    }

    /// What the rule of who sees what must know of a sentence, for this annotator.
    pub(crate) fn facts(&self, sentence: SentenceId, annotator: &Annotator) -> Result<SentenceFacts, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT d.origin, p.split, EXISTS (SELECT 1 FROM standing t
                     WHERE t.sentence = s.id AND t.annotator = ?2 AND (t.label IS NOT NULL OR t.rejected))
                 FROM sentences s JOIN documents d ON d.id = s.document JOIN patients p ON p.id = d.patient WHERE s.id = ?1",
            )?
            .query_row(params![sentence, annotator], |row| {
                Ok(SentenceFacts { sentence, origin: row.get(0)?, split: row.get(1)?, decided: row.get(2)? })
            })
        })
    }

    /// How many current labels of experts a change of the guideline puts in question.
    pub(crate) fn outdated_count(&self, outdated: &[Outdated]) -> Result<u64, StoreError> {
        let in_question = in_question(outdated);
        self.with(|c| {
            let sql = format!(
                "SELECT count(*) FROM standing t JOIN events e ON e.seq = t.seq WHERE t.label IS NOT NULL AND ({in_question})"
            );
            c.query_row(&sql, [], |row| row.get(0))
        })
    }

    /// How many sentences pass the filter, counted up to `limit`.
    pub fn count(&self, filter: &SentenceFilter, annotator: &Annotator, limit: u64) -> Result<u64, StoreError> {
        if filter.is_open() {
            return self.sentence_count(filter.origin);
        }
        let Some(mut clause) = clause(filter, annotator) else {
            return Ok(0);
        };
        let limit = clause.bind(limit as i64);
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {limit})",
            clause.from,
            clause.conditions.join(" AND ")
        );
        self.with(|c| {
            c.prepare_cached(&sql)?
                .query_row(params_from_iter(clause.values.iter().map(|v| &**v)), |row| row.get(0))
                .optional()
                .map(Option::unwrap_or_default)
        })
    }
}

/// Whether a row `t` of `standing` decides.
const DECIDED: &str = "(t.label IS NOT NULL OR t.rejected)";

/// `None` when the search text has no word to look for, or none of what it asks for may be shown, so nothing can match.
fn clause(filter: &SentenceFilter, annotator: &Annotator) -> Option<Clause> {
    let mut clause = Clause { from: "sentences s".into(), key: "s.id", conditions: Vec::new(), values: Vec::new() };
    if !filter.text.trim().is_empty() {
        clause.from = "search CROSS JOIN sentences s ON s.id = search.rowid".into();
        // The full-text index seeks by its own row number.
        clause.key = "search.rowid";
        let at = clause.bind(match_expression(&filter.text)?);
        clause.conditions.push(format!("search MATCH {at}"));
    }
    if let Some((table, latest)) = ranks(filter) {
        clause.from = match clause.key {
            "s.id" => format!("{table} q CROSS JOIN sentences s ON s.id = q.sentence"),
            _ => format!("{} JOIN {table} q ON q.sentence = s.id", clause.from),
        };
        clause.key = "q.rank";
        clause.conditions.push(format!("q.run = {latest}"));
        if let Some(DoubtFilter::Tier(tier)) = filter.doubted {
            let at = clause.bind(tier);
            clause.conditions.push(format!("q.tier = {at}"));
        }
    }
    if let Some(rule) = filter.disputed {
        // Few sentences are decided by several: these are looked through, not all.
        if clause.key == "s.id" {
            clause.from = format!("({}) x CROSS JOIN sentences s ON s.id = x.sentence", disputed(rule));
        } else {
            clause.conditions.push(format!("s.id IN ({})", disputed(rule)));
        }
    }
    // Synthetic sentences are few among many real ones and have an index of their own.
    clause.conditions.push(format!("s.synthetic = {}", i64::from(filter.origin == Origin::Synthetic)));
    let me = clause.bind(annotator.clone());
    if let Some(assigned) = filter.assigned {
        let which = if assigned == AssignmentFilter::Calibration { " AND a.calibration = 1" } else { "" };
        let mine = format!("a.annotator = {me}{which}");
        if clause.from == "sentences s" {
            // What is given to one expert is little beside all there is.
            clause.from = "assignments a CROSS JOIN sentences s ON s.id = a.sentence".into();
            clause.key = "a.sentence";
            clause.conditions.push(mine);
        } else {
            clause.conditions.push(format!("EXISTS (SELECT 1 FROM assignments a WHERE a.sentence = s.id AND {mine})"));
        }
    }
    let mine = |what: &str| {
        format!("EXISTS (SELECT 1 FROM standing t WHERE t.sentence = s.id AND t.annotator = {me} AND {what})")
    };
    match filter.progress {
        DecisionState::All => {}
        DecisionState::Open if filter.doubted.is_some() => clause.conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM standing t JOIN events e ON e.seq = t.seq JOIN runs r ON r.id = q.run
                WHERE t.sentence = s.id AND t.annotator = {me} AND t.label IS NOT NULL AND NOT t.skipped
                  AND e.at >= r.started)"
        )),
        DecisionState::Open => clause.conditions.push(format!("NOT {}", mine(DECIDED))),
        DecisionState::Decided => clause.conditions.push(mine(DECIDED)),
        DecisionState::Skipped => clause.conditions.push(mine("t.skipped")),
        DecisionState::Flagged => clause.conditions.push(mine("t.flagged")),
    }
    if let Some((whose, wanted)) = &filter.category {
        let key = match wanted {
            LabelMatch::Category(key) => clause.bind(key.as_str().to_owned()),
            LabelMatch::None | LabelMatch::Any => String::new(),
        };
        let is = |label: &str| match wanted {
            LabelMatch::None => format!("{label} = ''"),
            LabelMatch::Any => format!("{label} <> ''"),
            // Labels are keys joined by commas.
            LabelMatch::Category(_) => format!("instr(',' || {label} || ',', ',' || {key} || ',') > 0"),
        };
        // Experts' labels are folded as they are read today; what machines proposed stands as it was.
        let (people, machines) = (is("label"), is("reads_as(label)"));
        clause.conditions.push(match whose {
            LabelOwner::Mine => mine(&people),
            LabelOwner::Expert => format!("EXISTS (SELECT 1 FROM standing WHERE sentence = s.id AND {people})"),
            LabelOwner::Llm => {
                format!("EXISTS (SELECT 1 FROM proposals WHERE sentence = s.id AND source = 'llm' AND {machines})")
            }
            LabelOwner::Classifier => format!("{LATEST_CLASSIFIER} AND {machines})"),
        });
    }
    if let Some(by) = &filter.decided_by {
        let at = clause.bind(by.clone());
        clause.conditions.push(format!(
            "EXISTS (SELECT 1 FROM standing WHERE sentence = s.id AND annotator = {at} AND label IS NOT NULL)"
        ));
    }
    if let Some(split) = filter.split {
        let at = clause.bind(split);
        clause.conditions.push(format!(
            "EXISTS (SELECT 1 FROM documents d JOIN patients p ON p.id = d.patient WHERE d.id = s.document AND p.split = {at})"
        ));
    }
    if let Some(run) = &filter.run {
        let at = clause.bind(run.clone());
        clause.conditions.push(format!("EXISTS (SELECT 1 FROM proposals WHERE sentence = s.id AND run = {at})"));
    }
    if !filter.outdated.is_empty() {
        // One that has been looked at again since was decided by the version in use.
        let in_question = in_question(&filter.outdated);
        clause.conditions.push(format!(
            "s.id IN (SELECT t.sentence FROM standing t JOIN events e ON e.seq = t.seq
                 WHERE t.annotator = {me} AND t.label IS NOT NULL AND ({in_question}))"
        ));
    }
    let among = |among: Among| match among {
        Among::All => "1".to_owned(),
        Among::DecidedOrUnscored => format!(
            "({} OR NOT EXISTS (SELECT 1 FROM documents d JOIN patients p ON p.id = d.patient
                WHERE d.id = s.document AND p.split = 'test'))",
            mine(DECIDED)
        ),
        Among::Decided => mine(DECIDED),
        Among::Nothing => "0".to_owned(),
    };
    match filter.among {
        Among::All => {}
        Among::Nothing => return None,
        some => clause.conditions.push(among(some)),
    }
    if filter.doubted.is_some() && filter.doubts != DoubtsAmong::default() {
        let DoubtsAmong { gold, silver } = filter.doubts;
        clause.conditions.push(format!("CASE q.tier WHEN 'gold' THEN {} ELSE {} END", among(gold), among(silver)));
    }
    if filter.disagreement {
        clause.conditions.push(
            "EXISTS (SELECT 1 FROM standing t JOIN proposals p ON p.sentence = t.sentence AND p.source = 'llm'
                     WHERE t.sentence = s.id AND t.label IS NOT NULL AND t.label <> reads_as(p.label))"
                .into(),
        );
    }
    Some(clause)
}

/// Whether a row `t` of `standing` that comes from an event `e` is in question, as `Outdated::concerns` has it. Hashes and keys hold
/// letters, digits and `_` alone.
fn in_question(outdated: &[Outdated]) -> String {
    let word = |text: &str| -> String { text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect() };
    let versions = outdated.iter().map(|o| {
        let mut labels: Vec<String> = o
            .categories
            .iter()
            .map(|key| format!("instr(',' || t.label || ',', ',{},') > 0", word(key.as_str())))
            .collect();
        labels.extend(o.none.then(|| "t.label = ''".to_owned()));
        labels.extend(o.all.then(|| "1".to_owned()));
        format!("(e.taxonomy = '{}' AND ({}))", word(&o.taxonomy), labels.join(" OR "))
    });
    versions.collect::<Vec<_>>().join(" OR ")
}

/// The table that the filter takes its order from, and the run in it that holds.
fn ranks(filter: &SentenceFilter) -> Option<(&'static str, &'static str)> {
    match filter.doubted {
        Some(_) => Some(("doubts", doubts::LATEST)),
        None => filter.planned.then_some(("ranking", ranking::LATEST)),
    }
}

/// The sentences that are disputed under a rule, as [`HumanLabels::settle`](crate::domain::gold::HumanLabels::settle) has it; a test holds
/// both to the same.
fn disputed(rule: GoldRule) -> String {
    let experts = rule.experts;
    let differ = match rule.policy {
        Policy::Any | Policy::Unanimous => "count(DISTINCT label) > 1".to_owned(),
        Policy::Majority => format!(
            "(count(label) >= {experts} AND 2 * (SELECT max(n) FROM (SELECT count(*) AS n FROM standing v
                WHERE v.sentence = standing.sentence AND v.label IS NOT NULL GROUP BY v.label)) <= count(label))"
        ),
    };
    let enough = if rule.policy == Policy::Any { 1 } else { experts };
    let (flagged, agreed) = match rule.adjudicate {
        AdjudicationScope::Disputed => ("0", String::new()),
        AdjudicationScope::Flagged => ("flagged", String::new()),
        AdjudicationScope::All => ("flagged", format!(" OR count(label) >= {enough}")),
    };
    format!(
        "SELECT sentence FROM standing WHERE (label IS NOT NULL OR {flagged})
             AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.sentence = standing.sentence)
         GROUP BY sentence HAVING (count(label) > 1 AND {differ}) OR max(forked) OR max({flagged}){agreed}
         UNION SELECT sentence FROM settled WHERE label IS NULL"
    )
}

/// The classifier's latest run speaks for it; older runs' proposals are history.
const LATEST_CLASSIFIER: &str = "EXISTS (SELECT 1 FROM proposals WHERE sentence = s.id AND source = 'classifier'
    AND run = (SELECT max(run) FROM proposals WHERE sentence = s.id AND source = 'classifier')";

/// Quotes each word, so that nothing in it is FTS5 syntax; the last one may be unfinished.
fn match_expression(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|word| format!("\"{word}\""))
        .collect();
    if words.is_empty() {
        return None;
    }
    let open = text.ends_with(char::is_alphanumeric);
    Some(format!("{}{}", words.join(" "), if open { "*" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::match_expression;

    #[test]
    fn nothing_typed_is_search_syntax() {
        for (typed, expected) in [
            ("memory loss", Some("\"memory\" \"loss\"*")),
            ("NEAR(a b) OR \"x", Some("\"NEAR\" \"a\" \"b\" \"OR\" \"x\"*")),
            ("y/o ", Some("\"y\" \"o\"")),
            ("  *\"-^ ", None),
        ] {
            assert_eq!(match_expression(typed).as_deref(), expected, "{typed}");
        }
    }
}
