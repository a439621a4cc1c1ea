//! Encoders of a project: where a folder or a hub's name leads, and embeddings that are computed once.

#[cfg(feature = "servers")]
mod fetch;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::project::Project;
use super::{Cancel, Progress, Watch, WorkflowError};
use crate::classifier::{Encoder, Threads, Trainer};
use crate::formats::project::training::TrainSettings;
use crate::plain_file;
use crate::store::Store;
use crate::workflow::refusal::Refusal;
#[cfg(feature = "servers")]
pub(crate) use fetch::fetch;

/// The encoder that was opened last. Reading one takes as long as training a head on it, so a head that is trained again
/// while an expert annotates must not pay for it.
static OPENED: Mutex<Option<Opened>> = Mutex::new(None);

struct Opened {
    folder: PathBuf,
    most: usize,
    /// Size and time of the weights, by which a changed folder is seen.
    mark: (u64, Option<std::time::SystemTime>),
    encoder: Arc<Encoder>,
}

/// Opens the encoder that the settings name.
pub(crate) fn open(project: &Project, settings: &TrainSettings) -> Result<Arc<Encoder>, WorkflowError> {
    let folder = folder(project, &settings.encoder)?;
    let mark = ["model.safetensors", "pytorch_model.bin"]
        .into_iter()
        .find_map(|name| std::fs::metadata(folder.join(name)).ok())
        .map_or((0, None), |file| (file.len(), file.modified().ok()));
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(opened) = opened.as_ref()
        && (&opened.folder, opened.most, opened.mark) == (&folder, settings.max_tokens, mark)
    {
        return Ok(Arc::clone(&opened.encoder));
    }
    let encoder = Arc::new(Encoder::open(&folder, settings.max_tokens, Threads::available())?);
    *opened = Some(Opened { folder, most: settings.max_tokens, mark, encoder: Arc::clone(&encoder) });
    Ok(encoder)
}

/// The folder that a setting names: a folder, from the project's on; or what the hub's cache holds under a name.
fn folder(project: &Project, named: &str) -> Result<PathBuf, WorkflowError> {
    if named.is_empty() {
        return Err(Refusal::unset("encoder", "this method needs an encoder")
            .hint("name its folder with --encoder DIR, or as `encoder` under [train] in goldsmith.toml")
            .into());
    }
    let folder = project.folder.join(named);
    if folder.is_dir() {
        return Ok(folder);
    }
    if let Some(cached) = cached(&hub_cache(), named) {
        return Ok(cached);
    }
    let said = format!(
        "there is no folder {}, and nothing named `{named}` in the hub's cache ({})",
        folder.display(),
        hub_cache().display()
    );
    Err(Refusal::not_found("encoder", named, said)
        .hint(format!("where there is a network, `goldsmith encoder fetch {named}` puts it there"))
        .into())
}

/// A variable of the hub's tools; an empty one is none.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder of the hub's tools.
fn hub_home() -> PathBuf {
    let home = variable("HF_HOME").or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface")));
    home.unwrap_or_else(|| variable("HOME").unwrap_or_default().join(".cache/huggingface"))
}

/// Where the hub's tools keep what they have fetched.
fn hub_cache() -> PathBuf {
    variable("HF_HUB_CACHE").unwrap_or_else(|| hub_home().join("hub"))
}

/// Whether a name can be one on the hub: `model` or `owner/model`.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let parts = || name.split('/');
    name.chars().all(plain) && !name.contains("..") && parts().count() <= 2 && parts().all(|part| !part.is_empty())
}

/// The snapshot that `main` of a repository points to.
fn cached(cache: &Path, name: &str) -> Option<PathBuf> {
    if !is_name(name) {
        return None;
    }
    let repository = cache.join(format!("models--{}", name.replace('/', "--")));
    let revision = plain_file::read_text(&repository.join("refs/main"), plain_file::SMALL).ok()?;
    let snapshot = repository.join("snapshots").join(revision.trim());
    snapshot.join("config.json").is_file().then_some(snapshot)
}

/// Without HTTP nothing comes from the hub.
#[cfg(not(feature = "servers"))]
pub(crate) fn fetch(_: &str, _: &mut Watch<'_>) -> Result<PathBuf, WorkflowError> {
    Err(Refusal::left_out("servers", "HTTP").into())
}

/// Sees to it that a frozen encoder knows the embeddings of these texts: from the store, or computed now and kept there. Where
/// a person stops it, what is computed is kept.
pub(crate) fn embed(
    store: &mut Store,
    learner: &Trainer,
    texts: &[&str],
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<(), WorkflowError> {
    let _span = tracing::info_span!("embed").entered();
    let Some(encoder) = learner.frozen_encoder() else {
        return Ok(());
    };
    let unknown = encoder.unknown(texts);
    let hashes: Vec<_> = unknown.iter().map(|text| Encoder::hash(text)).collect();
    let kept = store.embeddings(encoder.fingerprint(), &hashes)?;
    let mut missing = Vec::new();
    let mut found = Vec::new();
    for ((text, hash), vector) in unknown.iter().zip(&hashes).zip(kept) {
        match vector {
            Some(vector) => found.push((*hash, vector)),
            None => missing.push(*text),
        }
    }
    encoder.remember(found);
    if missing.is_empty() {
        return Ok(());
    }
    watch(Progress::Started {
        what: "reading texts with the encoder".into(),
        total: Some(missing.len() as u64),
        unit: "texts",
    });
    let mut done = 0;
    for part in missing.chunks(512) {
        let vectors = encoder.embed(part)?;
        let rows: Vec<_> = part.iter().map(|text| Encoder::hash(text)).zip(vectors).collect();
        store.keep_embeddings(encoder.fingerprint(), &rows)?;
        encoder.remember(rows);
        done += part.len() as u64;
        watch(Progress::Advanced(done));
        if cancel.is_cancelled() {
            return Err(WorkflowError::Stopped);
        }
    }
    watch(Progress::Finished);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_snapshot_and_no_further() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--org--tiny");
        let snapshot = repository.join("snapshots/abc");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::write(repository.join("refs/main"), "abc\n").unwrap();
        assert_eq!(cached(cache.path(), "org/tiny"), None, "a snapshot that was broken off is none");
        std::fs::write(snapshot.join("config.json"), "{}").unwrap();
        assert_eq!(cached(cache.path(), "org/tiny"), Some(snapshot));
        for wrong in ["org/other", "../org/tiny", "org/tiny/../../x", "or g/tiny", "a/b/c"] {
            assert_eq!(cached(cache.path(), wrong), None, "{wrong}");
        }
    }
}
