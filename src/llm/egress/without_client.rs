//! Stands for the client where the feature `servers` is off: a type without a value, so that nothing can be sent.

use std::future::Ready;

use super::{Answer, Endpoint};
use crate::domain::egress::{Destination, EgressRecord};
use crate::llm::LlmError;

/// There is none.
pub(crate) enum Client {}

impl Client {
    pub(crate) fn new(_: &Endpoint) -> Result<Self, LlmError> {
        Err(LlmError::Fatal("this goldsmith was built without HTTP; build it again with `--features servers`".into()))
    }

    pub(crate) fn destination(&self) -> &Destination {
        match *self {}
    }

    pub(crate) fn post(&self, _: &str, _: Vec<u8>, _: Option<&EgressRecord>) -> Ready<Result<Answer, LlmError>> {
        match *self {}
    }
}
