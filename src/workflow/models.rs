//! The project's language models: settings to a model that can be asked, and the gate before every one.

use std::sync::Arc;
use std::time::Duration;

use super::dispatch::RateLimits;
use super::project::Project;
use super::{WorkflowError, now};
use crate::domain::egress::{EgressPolicy, Payload};
use crate::domain::spending::Prices;
use crate::domain::text::with_causes;
use crate::formats::project::language::{ModelSettings, Provider};
use crate::llm::chat::Chat;
use crate::llm::egress::Endpoint;
use crate::llm::embedded::{self, Embedded};
use crate::llm::{LanguageModel, LlmError};
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// The wait before a second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A server that is busy when it is looked at is looked at so often, and waited for no longer than this each time: whoever
/// typed the command is waiting too.
const PROBES: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The project's rules about where text may go, with what the store holds.
pub fn gate(project: &Project, store: &Store) -> Result<EgressPolicy, WorkflowError> {
    let privacy = &project.file.privacy;
    Ok(EgressPolicy {
        data_use: privacy.data_use,
        allow_hosts: privacy.allow_hosts.clone(),
        restricted: store.restricted()?,
    })
}

/// The settings of a model by name; without a name, those of the only one.
pub fn settings<'a>(project: &'a Project, name: &str) -> Result<(&'a str, &'a ModelSettings), WorkflowError> {
    let models = &project.file.models;
    let known = || models.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if !name.is_empty() {
        let found = models.get_key_value(name).map(|(name, model)| (name.as_str(), model));
        return found.ok_or_else(|| {
            let known = if models.is_empty() { "none".into() } else { known() };
            Refusal::not_found("language model", name, format!("[models] in goldsmith.toml has no `{name}`"))
                .hint(format!("it has {known}; or pass --gguf FILE or --url URL"))
                .into()
        });
    }
    let mut all = models.iter();
    match (all.next(), all.next()) {
        (Some((name, model)), None) => Ok((name, model)),
        (None, _) => Err(Refusal::unset("models", "no language model is named")
            .hint("pass --gguf FILE or --url URL, or write one under [models] in goldsmith.toml")
            .into()),
        _ => Err(Refusal::ambiguous("language model", "", "several language models are there, and none is named")
            .hint(format!("pass --model with one of {}", known()))
            .into()),
    }
}

/// The server's address, for a model that has one.
pub fn endpoint(settings: &ModelSettings) -> Option<Endpoint> {
    match &settings.provider {
        Provider::Embedded { .. } => None,
        Provider::Chat { url, model, key_env, key_header, query, timeout } => Some(Endpoint {
            url: url.clone(),
            model: model.clone(),
            key_env: key_env.clone(),
            key_header: key_header.clone(),
            query: query.clone(),
            timeout: *timeout,
        }),
    }
}

/// Opens a model: loads the file, or finds out what the server can do. The gate is asked first, whether `note_text` may go
/// there; a refusal is written down. What is sent to find out carries no word of a note.
pub fn open(
    project: &Project,
    store: &mut Store,
    settings: &ModelSettings,
    note_text: bool,
) -> Result<Arc<dyn LanguageModel>, WorkflowError> {
    let _span = tracing::info_span!("open_model").entered();
    let Some(endpoint) = endpoint(settings) else {
        let Provider::Embedded { file, threads, context } = &settings.provider else {
            return Err(Refusal::unset("models", "a model is neither a file nor a server").into());
        };
        let settings = embedded::Settings { threads: *threads, context: *context, ..embedded::Settings::default() };
        return Ok(Arc::new(Embedded::load(file, settings)?));
    };
    let gate = gate(project, store)?;
    let host = endpoint.host()?;
    if let Err(refusal) = gate.check(&host, note_text) {
        store.record_refusal(None, now(), &host, "label", &[], &refusal)?;
        return Err(LlmError::Refused(refusal).into());
    }
    let cargo = Payload { purpose: "probe", sentences: Vec::new(), bytes: 0 };
    let cleared = gate.clear(&host, cargo).map_err(LlmError::Refused)?;
    let departure = store.record_departures(None, now(), vec![cleared])?.pop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Refusal::new(RefusalKind::Unavailable { what: "threads" }, "no thread for requests can be had").because(cause)
    })?;
    let Some(departure) = departure else {
        return Err(LlmError::Fatal("the store gave no number to a request".into()).into());
    };
    let (mut capabilities, mut wait) = (runtime.block_on(Chat::probe(&endpoint, &departure)), FIRST_WAIT);
    for _ in 1..settings.attempts.min(PROBES) {
        let Err(LlmError::Later { after, .. }) = &capabilities else {
            break;
        };
        std::thread::sleep(after.unwrap_or(wait).min(LONGEST_WAIT));
        wait *= 2;
        capabilities = runtime.block_on(Chat::probe(&endpoint, &departure));
    }
    let outcome =
        capabilities.as_ref().map_or_else(|error| format!("failed: {}", with_causes(error)), |_| "answered".to_owned());
    store.end_departure(&departure, &outcome)?;
    Ok(Arc::new(Chat::new(&endpoint, capabilities?)?))
}

/// How hard a model may be asked.
pub fn limits(settings: &ModelSettings) -> RateLimits {
    // A model in this process answers one after the other: one at work, one ready.
    let concurrency = if matches!(settings.provider, Provider::Embedded { .. }) { 1 } else { settings.concurrency };
    RateLimits {
        concurrency,
        requests_per_minute: settings.requests_per_minute,
        tokens_per_minute: settings.tokens_per_minute,
        attempts: settings.attempts,
        first_wait: FIRST_WAIT,
    }
}

/// What tokens cost.
pub fn prices(settings: &ModelSettings) -> Prices {
    Prices { input: settings.price_in, output: settings.price_out }
}
