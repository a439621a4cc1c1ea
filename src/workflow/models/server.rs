//! Finding out what a server can do, as the policy allows, and on record like every request.

use std::sync::Arc;
use std::time::Duration;

use super::{FIRST_WAIT, policy};
use crate::domain::egress::{Payload, Place};
use crate::domain::text::with_causes;
use crate::llm::chat::Chat;
use crate::llm::egress::Endpoint;
use crate::llm::{LanguageModel, LlmError};
use crate::store::Store;
use crate::workflow::project::Project;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::{WorkflowError, now};

/// A server that is busy when it is looked at is looked at so often, and waited for no longer than this each time: whoever
/// typed the command is waiting too.
const PROBES: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// See [`super::open`].
pub(super) fn open(
    project: &Project,
    store: &mut Store,
    endpoint: &Endpoint,
    attempts: u32,
    note_text: bool,
) -> Result<Arc<dyn LanguageModel>, WorkflowError> {
    let policy = policy(project, store)?;
    let to = endpoint.destination()?;
    if let Err(refusal) = policy.check(&to, note_text) {
        store.record_refusal(None, now(), &Place::Server(to), "label", &[], &refusal)?;
        return Err(LlmError::Refused(refusal).into());
    }
    let payload = Payload { purpose: "probe", sentences: Vec::new(), bytes: 0 };
    let permit = policy.permit(&to, payload).map_err(LlmError::Refused)?;
    let record = store.record_egress(None, now(), vec![permit])?.pop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Refusal::new(RefusalKind::Unavailable { what: "threads" }, "no thread for requests can be had").because(cause)
    })?;
    let Some(record) = record else {
        return Err(LlmError::Fatal("the store gave no number to a request".into()).into());
    };
    let (mut capabilities, mut wait) = (runtime.block_on(Chat::probe(endpoint, &record)), FIRST_WAIT);
    for _ in 1..attempts.min(PROBES) {
        let Err(LlmError::Later { after, .. }) = &capabilities else {
            break;
        };
        std::thread::sleep(after.unwrap_or(wait).min(LONGEST_WAIT));
        wait *= 2;
        capabilities = runtime.block_on(Chat::probe(endpoint, &record));
    }
    let outcome =
        capabilities.as_ref().map_or_else(|error| format!("failed: {}", with_causes(error)), |_| "answered".to_owned());
    store.end_egress(&record, &outcome)?;
    Ok(Arc::new(Chat::new(endpoint, capabilities?)?))
}
