//! The project's language models: settings to a model that can be asked, and the rules of the project before every one.

#[cfg(feature = "embedded")]
pub(crate) mod examine;
#[cfg(feature = "servers")]
mod server;

use std::sync::Arc;
use std::time::Duration;

use super::WorkflowError;
use super::dispatch::RateLimits;
use super::project::Project;
use crate::domain::egress::EgressPolicy;
use crate::domain::spending::Prices;
#[cfg(feature = "servers")]
use crate::formats::project::language::PhiPolicy;
use crate::formats::project::language::{ModelSettings, Provider};
use crate::llm::LanguageModel;
#[cfg(feature = "servers")]
use crate::llm::egress::Endpoint;
#[cfg(feature = "embedded")]
use crate::llm::embedded::{self, Embedded};
use crate::store::Store;
use crate::workflow::refusal::Refusal;

/// The wait before a second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The project's rules about where text may go, with what the store holds.
pub(crate) fn policy(project: &Project, store: &Store) -> Result<EgressPolicy, WorkflowError> {
    let privacy = &project.file.privacy;
    Ok(EgressPolicy {
        data_use: privacy.data_use,
        allow_hosts: privacy.allow_hosts.clone(),
        restricted: store.restricted()?,
    })
}

/// The settings of a model by name; without a name, those of the only one.
pub(crate) fn settings<'a>(project: &'a Project, name: &str) -> Result<(&'a str, &'a ModelSettings), WorkflowError> {
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

/// Opens a model: loads the file, or finds out what the server can do. Of a server the policy is asked first, whether
/// `note_text` may go there; a refusal is written down. What is sent to find out carries no word of a note.
#[cfg_attr(not(feature = "servers"), expect(unused_variables, reason = "the policy is asked for servers alone"))]
pub(crate) fn open(
    project: &Project,
    store: &mut Store,
    settings: &ModelSettings,
    note_text: bool,
) -> Result<Arc<dyn LanguageModel>, WorkflowError> {
    let _span = tracing::info_span!("open_model").entered();
    match &settings.provider {
        #[cfg(feature = "embedded")]
        Provider::Embedded { file, threads, context } => {
            let settings = embedded::Settings { threads: *threads, context: *context, ..embedded::Settings::default() };
            examine::examine(file)?;
            Ok(Arc::new(Embedded::load(file, settings)?))
        }
        #[cfg(not(feature = "embedded"))]
        Provider::Embedded { .. } => Err(Refusal::left_out("embedded", "language models in its own process").into()),
        #[cfg(feature = "servers")]
        Provider::Chat { .. } => match endpoint(&settings.provider) {
            Some(endpoint) => server::open(project, store, &endpoint, settings.attempts, note_text),
            None => Err(Refusal::unset("models", "no server is named").into()),
        },
        #[cfg(not(feature = "servers"))]
        Provider::Chat { .. } => Err(Refusal::left_out("servers", "language models behind HTTP").into()),
    }
}

#[cfg(feature = "servers")]
fn endpoint(provider: &Provider) -> Option<Endpoint> {
    let Provider::Chat { url, model, key_env, key_header, query, timeout, ca_file, insecure } = provider else {
        return None;
    };
    Some(Endpoint {
        url: url.clone(),
        model: model.clone(),
        key_env: key_env.clone(),
        key_header: key_header.clone(),
        query: query.clone(),
        timeout: *timeout,
        ca_file: ca_file.clone(),
        insecure: *insecure,
    })
}

/// Whether sentences that look like a person's data are kept out of what goes to this model: examples, and requests in a file.
/// An address that cannot be used is refused here, before it is written down anywhere.
pub(crate) fn keeps_back(project: &Project, settings: &ModelSettings) -> Result<bool, WorkflowError> {
    #[cfg(feature = "servers")]
    if let Some(endpoint) = endpoint(&settings.provider) {
        let leaves = !endpoint.destination()?.is_loopback();
        return Ok(leaves && project.file.privacy.phi == PhiPolicy::Block);
    }
    #[cfg(not(feature = "servers"))]
    let _ = (project, settings);
    Ok(false)
}

/// How hard a model may be asked.
pub(crate) fn limits(settings: &ModelSettings) -> RateLimits {
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
pub(crate) fn prices(settings: &ModelSettings) -> Prices {
    Prices { input: settings.price_in, output: settings.price_out }
}
