//! The state of Metrics: whose numbers, and what is under the cursor.

use super::keymap::Action;
use super::message::Effect;
use crate::domain::experiment::Task;
use crate::domain::label::Source;
use crate::domain::taxonomy::Taxonomy;
use crate::workflow::metrics::MetricsSnapshot;
use crate::workflow::scores::Scored;

/// Whose numbers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// Silver against gold.
    #[default]
    Silver,
    /// The newest binary run against gold, where there is one.
    Binary,
    /// The classifier against held-out gold.
    Classifier,
    /// Experts beside each other.
    Experts,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetricsState {
    /// Whose numbers are shown.
    pub view: View,
    /// Cell under the cursor: gold, proposed; 0 is *None*.
    pub cell: (usize, usize),
    /// What experts confuse, by its place.
    pub confused: usize,
}

impl MetricsState {
    /// The scores to show.
    pub(crate) fn scored<'a>(&self, numbers: &'a MetricsSnapshot) -> Option<&'a (Scored, String)> {
        match self.view {
            View::Silver => numbers.silver.as_ref(),
            View::Binary => numbers.binary.as_ref(),
            View::Classifier => numbers.classifier.as_ref(),
            View::Experts => None,
        }
    }

    /// What an action does here.
    pub(crate) fn act(&mut self, action: Action, numbers: &MetricsSnapshot, taxonomy: &Taxonomy) -> Option<Effect> {
        match (action, self.view) {
            (Action::Toggle, view) => {
                self.view = match view {
                    View::Silver if numbers.binary.is_some() => View::Binary,
                    View::Silver | View::Binary => View::Classifier,
                    View::Classifier => View::Experts,
                    View::Experts => View::Silver,
                };
                None
            }
            (_, View::Experts) => self.act_on_experts(action, numbers, taxonomy),
            _ => self.act_on_cell(action, numbers, taxonomy),
        }
    }

    fn act_on_cell(&mut self, action: Action, numbers: &MetricsSnapshot, taxonomy: &Taxonomy) -> Option<Effect> {
        let last = self.scored(numbers).map_or(taxonomy.categories().len(), |(scored, _)| scored.confusion.size - 1);
        self.cell = self.cell_within(last);
        match action {
            Action::Next => self.cell.0 = (self.cell.0 + 1).min(last),
            Action::Previous => self.cell.0 = self.cell.0.saturating_sub(1),
            Action::Right => self.cell.1 = (self.cell.1 + 1).min(last),
            Action::Left => self.cell.1 = self.cell.1.saturating_sub(1),
            Action::Accept => {
                let (scored, _) = self.scored(numbers)?;
                let whose = match (scored.task, scored.source) {
                    (Task::Binary, _) => "binary run",
                    (Task::MultiClass, Source::Llm) => "silver",
                    (Task::MultiClass, _) => "classifier",
                };
                let [gold, proposed] = [self.cell.0, self.cell.1].map(|class| class_name(scored.task, taxonomy, class));
                let title = format!("gold {gold}, {whose} {proposed}");
                let ids = scored.cell(self.cell.0, self.cell.1);
                let withheld = (scored.confusion.get(self.cell.0, self.cell.1) as usize).saturating_sub(ids.len());
                return Some(list(title, ids, withheld));
            }
            _ => {}
        }
        None
    }

    /// The cell under the cursor in a matrix whose last class is `last`: another view may have had more.
    pub(crate) fn cell_within(&self, last: usize) -> (usize, usize) {
        (self.cell.0.min(last), self.cell.1.min(last))
    }

    fn act_on_experts(&mut self, action: Action, numbers: &MetricsSnapshot, taxonomy: &Taxonomy) -> Option<Effect> {
        let report = numbers.experts.as_ref()?;
        let last = report.confused.len().saturating_sub(1);
        match action {
            Action::Next => self.confused = (self.confused + 1).min(last),
            Action::Previous => self.confused = self.confused.min(last).saturating_sub(1),
            Action::Accept => {
                let pair = report.confused.get(self.confused.min(last))?;
                let [one, other] = [pair.one, pair.other].map(|class| name(taxonomy, class));
                return Some(list(format!("experts say {one} or {other}"), pair.sentences.clone(), pair.withheld));
            }
            _ => {}
        }
        None
    }
}

/// The name of a category by number; 0 is *None*.
pub(crate) fn name(taxonomy: &Taxonomy, class: usize) -> &str {
    let category = class.checked_sub(1).and_then(|at| taxonomy.categories().get(at));
    category.map_or("None", |category| category.name.as_str())
}

/// The name of a class of a task by number; 0 is *None*.
pub(crate) fn class_name(task: Task, taxonomy: &Taxonomy, class: usize) -> &str {
    match (task, class) {
        (Task::Binary, 1..) => "any category",
        _ => name(taxonomy, class),
    }
}

fn list(mut title: String, mut ids: Vec<crate::domain::corpus::SentenceId>, withheld: usize) -> Effect {
    if withheld > 0 {
        title += &format!("; {withheld} not shown");
    }
    ids.truncate(500);
    Effect::List { title, ids }
}
