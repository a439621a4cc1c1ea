//! A GGUF file run in this process.
use std::path::Path;

use super::{Card, Choice, Choose, LlmError, Model, Pending, Reply, Request};
use crate::domain::egress::{Departure, Host};

/// How.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Threads; 0 for all.
    pub threads: usize,
    /// Tokens.
    pub context: usize,
    /// Keep the prefix.
    pub reuse_prefix: bool,
    /// Asks at once.
    pub batch: usize,
}

/// A model.
pub struct Embedded {
    card: Card,
}

impl Embedded {
    /// Loads.
    pub fn load(path: &Path, _: Settings) -> Result<Self, LlmError> {
        Err(LlmError::File { path: path.into(), what: "not yet".into() })
    }
}

impl Model for Embedded {
    fn card(&self) -> &Card {
        &self.card
    }
    fn host(&self) -> Option<&Host> {
        None
    }
    fn write<'a>(&'a self, _: &'a Request, _: Option<&'a Departure>) -> Pending<'a, Reply> {
        Box::pin(async { Err(LlmError::Stopped) })
    }
    fn choose<'a>(&'a self, _: &'a Choose, _: Option<&'a Departure>) -> Pending<'a, Vec<Choice>> {
        Box::pin(async { Err(LlmError::Stopped) })
    }
}
