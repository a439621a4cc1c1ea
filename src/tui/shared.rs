//! What every screen may look at.

use super::keymap::Keymap;
use super::theme::Theme;
use crate::domain::guideline::Outdated;
use crate::domain::label::Annotator;
use crate::domain::queue::SentenceFilter;
use crate::domain::taxonomy::Taxonomy;
use crate::formats::project::training::TrainSettings;

/// See the module.
pub(crate) struct SharedState {
    /// Categories and guideline.
    pub taxonomy: Taxonomy,
    /// Who decides.
    pub annotator: Annotator,
    /// The project's name.
    pub project: String,
    /// Whether all proposals are hidden until decided.
    pub blind: bool,
    /// What each worklist holds, in the order of [`crate::workflow::review::Worklist::ALL`].
    pub worklists: [SentenceFilter; 3],
    /// What changes of the guideline put in question.
    pub outdated: Vec<Outdated>,
    /// The names of the project's language models.
    pub models: Vec<String>,
    /// What the project file says of training.
    pub train: TrainSettings,
    /// Live keys.
    pub keymap: Keymap,
    /// Live looks.
    pub theme: Theme,
}
