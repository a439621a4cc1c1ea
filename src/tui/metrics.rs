//! The state of Metrics: whose scores, and the cell of the confusion matrix under the cursor.

use super::app::{Effect, Snapshot};
use super::keymap::Action;
use crate::domain::label::Source;
use crate::domain::taxonomy::Taxonomy;
use crate::workflow::metrics::Scored;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricsState {
    /// The classifier's scores instead of silver's.
    pub classifier: bool,
    /// Cell under the cursor: gold, proposed; 0 is *None*.
    pub cell: (usize, usize),
}

impl MetricsState {
    /// The scores to show.
    pub fn scored<'a>(&self, board: &'a Snapshot) -> Option<&'a (Scored, String)> {
        if self.classifier { board.classifier.as_ref() } else { board.silver.as_ref() }
    }

    /// What an action does here.
    pub fn act(&mut self, action: Action, board: &Snapshot, taxonomy: &Taxonomy) -> Option<Effect> {
        let last = taxonomy.categories().len();
        match action {
            Action::Toggle => self.classifier = !self.classifier,
            Action::Next => self.cell.0 = (self.cell.0 + 1).min(last),
            Action::Previous => self.cell.0 = self.cell.0.saturating_sub(1),
            Action::Right => self.cell.1 = (self.cell.1 + 1).min(last),
            Action::Left => self.cell.1 = self.cell.1.saturating_sub(1),
            Action::Accept => {
                let (scored, _) = self.scored(board)?;
                let name = |i: usize| i.checked_sub(1).map_or("None", |i| taxonomy.categories()[i].name.as_str());
                let whose = if scored.source == Source::Llm { "silver" } else { "classifier" };
                let title = format!("gold {}, {whose} {}", name(self.cell.0), name(self.cell.1));
                let mut ids = scored.cell(self.cell.0, self.cell.1);
                ids.truncate(500);
                return Some(Effect::List { title, ids });
            }
            _ => {}
        }
        None
    }
}
