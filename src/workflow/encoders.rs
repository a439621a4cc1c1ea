//! Encoders of a project: where a folder or a hub's name leads, and embeddings that are computed once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hf_hub::Cache;
use hf_hub::api::sync::{ApiBuilder, ApiError};

use super::project::Project;
use super::{Cancel, Progress, Watch, WorkflowError};
use crate::classifier::{Encoder, Learner, Threads};
use crate::formats::project::training::TrainSettings;
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

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
pub fn open(project: &Project, settings: &TrainSettings) -> Result<Arc<Encoder>, WorkflowError> {
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
        return Err(Refusal::unset("encoder", "this way to train needs an encoder")
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

/// Where the hub's tools keep what they have fetched.
fn hub_cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HF_HOME").or_else(|| Some(set("XDG_CACHE_HOME")?.join("huggingface")));
    let by_default = || set("HOME").unwrap_or_default().join(".cache/huggingface");
    set("HF_HUB_CACHE").unwrap_or_else(|| home().unwrap_or_else(by_default).join("hub"))
}

/// The snapshot that `main` of a repository points to.
fn cached(cache: &Path, name: &str) -> Option<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !name.chars().all(plain) || name.contains("..") || name.split('/').count() > 2 {
        return None;
    }
    let repository = cache.join(format!("models--{}", name.replace('/', "--")));
    let revision = std::fs::read_to_string(repository.join("refs/main")).ok()?;
    let snapshot = repository.join("snapshots").join(revision.trim());
    snapshot.join("config.json").is_file().then_some(snapshot)
}

/// What an encoder's folder must have; of the weights one of two.
const NEEDED: [&str; 2] = ["config.json", "tokenizer.json"];
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// What an export passes on, where it is there.
const WELCOME: [&str; 4] = ["tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "README.md"];

/// Fetches an encoder by its name on the hub into the cache that the hub's other tools use, and gives its folder. Nothing but
/// the name is sent. A file that is there already is not fetched again. The variables of the hub's tools hold: `HF_ENDPOINT`
/// for another hub, `HF_HOME` and `HF_HUB_CACHE` for the cache, `HF_HUB_OFFLINE`.
pub fn fetch(name: &str, watch: &mut Watch<'_>) -> Result<PathBuf, WorkflowError> {
    let _span = tracing::info_span!("fetch_encoder").entered();
    if std::env::var_os("HF_HUB_OFFLINE").is_some_and(|value| value == "1") {
        let said = format!("HF_HUB_OFFLINE is set, so `{name}` is not fetched");
        return Err(Refusal::new(RefusalKind::Unsupported { with: "HF_HUB_OFFLINE" }, said).into());
    }
    fetch_from(ApiBuilder::from_env(), &hub_cache(), name, watch)
}

fn fetch_from(builder: ApiBuilder, cache: &Path, name: &str, watch: &mut Watch<'_>) -> Result<PathBuf, WorkflowError> {
    let fail = |error: ApiError| {
        Refusal::new(RefusalKind::Failed, format!("`{name}` cannot be fetched"))
            .hint("check the name (owner/model) and the network, or copy the folder here and name it")
            .because(error)
    };
    let builder = builder.with_cache_dir(cache.into()).with_progress(false).with_retries(2);
    let repository = builder.build().map_err(fail)?.model(name.to_owned());
    let here = Cache::new(cache.into()).model(name.to_owned());
    let mut get = |file: &str| match here.get(file) {
        Some(_) => Ok(()),
        None => repository.download_with_progress(file, Fetching { watch: &mut *watch, done: 0 }).map(|_| ()),
    };
    for file in NEEDED {
        get(file).map_err(fail)?;
    }
    if get(WEIGHTS[0]).is_err() {
        get(WEIGHTS[1]).map_err(fail)?;
    }
    for file in WELCOME {
        // Many repositories lack one or another of them, and none is needed.
        let _ = get(file);
    }
    cached(cache, name).ok_or_else(|| {
        Refusal::new(RefusalKind::Failed, format!("`{name}` was fetched and is not in the cache")).into()
    })
}

/// The hub's progress as ours.
struct Fetching<'a, 'b> {
    watch: &'a mut Watch<'b>,
    done: u64,
}

impl hf_hub::api::Progress for Fetching<'_, '_> {
    fn init(&mut self, size: usize, file: &str) {
        (self.watch)(Progress::Started { what: format!("fetching {file}"), total: Some(size as u64), unit: "bytes" });
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.watch)(Progress::Advanced(self.done));
    }

    fn finish(&mut self) {
        (self.watch)(Progress::Finished);
    }
}

/// Sees to it that a frozen encoder knows the embeddings of these texts: from the store, or computed now and kept there. Where
/// a person stops it, what is computed is kept.
pub fn embed(
    store: &mut Store,
    learner: &Learner,
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
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    /// A hub on loopback with one repository, whose files are those of a folder. Says what it was asked for.
    fn hub(folder: PathBuf) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (send, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut lines = Vec::new();
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    lines.push(std::mem::take(&mut line).to_lowercase());
                }
                let path = lines.first().and_then(|l| l.split_whitespace().nth(1)).unwrap_or_default().to_owned();
                let range =
                    lines.iter().find_map(|l| l.strip_prefix("range: bytes=")).unwrap_or("0-").trim().to_owned();
                let file = path.strip_prefix("/org/tiny/resolve/main/").unwrap_or("none").to_owned();
                let stream = reader.get_mut();
                let Ok(bytes) = std::fs::read(folder.join(&file)) else {
                    let _ =
                        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    continue;
                };
                let (from, to) = range.split_once('-').unwrap();
                let from: usize = from.parse().unwrap();
                let to = to.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1);
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{to}/{}\r\nETag: \"{file}\"\r\nX-Repo-Commit: abc\r\nConnection: close\r\n\r\n",
                    to + 1 - from,
                    bytes.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes[from..=to]));
                let _ = send.send(file);
            }
        });
        (url, asked)
    }

    #[test]
    fn a_name_is_fetched_once_into_the_cache_and_opens() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/encoders");
        for (folder, weights) in [("bert", "model.safetensors"), ("bert-bin", "pytorch_model.bin")] {
            let (url, asked) = hub(data.join(folder));
            let cache = tempfile::tempdir().unwrap();
            let builder = || ApiBuilder::new().with_endpoint(url.clone()).with_token(None);
            let mut said = Vec::new();
            let found = fetch_from(builder(), cache.path(), "org/tiny", &mut |p| said.push(p)).unwrap();
            assert_eq!(cached(cache.path(), "org/tiny").as_ref(), Some(&found));
            let started =
                |p: &Progress| matches!(p, Progress::Started { what, .. } if *what == format!("fetching {weights}"));
            assert!(said.iter().any(started), "{said:?}");
            assert!(Encoder::open(&found, 64, 1).unwrap().embed(&["she forgot"]).unwrap()[0].len() == 32);
            let before: Vec<String> = asked.try_iter().collect();
            assert!(before.iter().any(|file| file == weights), "{before:?}");
            fetch_from(builder(), cache.path(), "org/tiny", &mut |_| {}).unwrap();
            let again: Vec<String> = asked.try_iter().collect();
            assert!(!again.iter().any(|file| NEEDED.contains(&file.as_str()) || file == weights), "{again:?}");
            let error = fetch_from(builder(), cache.path(), "org/other", &mut |_| {}).unwrap_err().to_string();
            assert!(error.contains("`org/other` cannot be fetched"), "{error}");
        }
    }

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
