//! An encoder from the hub, by its name.

use std::path::{Path, PathBuf};

use super::{cached, hub_cache, hub_home, is_name, variable};
use crate::llm::hub::{Hub, HubError};
use crate::plain_file;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::{Progress, Watch, WorkflowError};

/// What an encoder's folder must have; of the weights one of two.
const NEEDED: [&str; 2] = ["config.json", "tokenizer.json"];
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// What an export passes on, where it is there.
const WELCOME: [&str; 4] = ["tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "README.md"];

/// Fetches an encoder by its name on the hub into the cache that the hub's other tools use, and gives its folder. Nothing but
/// the name is sent. A file that is there already is not fetched again. The variables of the hub's tools hold: `HF_ENDPOINT`
/// for another hub, `HF_HOME` and `HF_HUB_CACHE` for the cache, `HF_HUB_OFFLINE`.
pub(crate) fn fetch(name: &str, watch: &mut Watch<'_>) -> Result<PathBuf, WorkflowError> {
    let _span = tracing::info_span!("fetch_encoder").entered();
    if std::env::var_os("HF_HUB_OFFLINE").is_some_and(|value| value == "1") {
        let said = format!("HF_HUB_OFFLINE is set, so `{name}` is not fetched");
        return Err(Refusal::new(RefusalKind::Unsupported { with: "HF_HUB_OFFLINE" }, said).into());
    }
    let address = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
    // Where `huggingface-cli login` leaves it.
    let token = plain_file::read_text(&hub_home().join("token"), plain_file::SMALL).ok();
    let token = token.as_deref().map(str::trim).filter(|token| !token.is_empty());
    fetch_from(&address.to_string_lossy(), token, &hub_cache(), name, watch)
}

fn fetch_from(
    address: &str,
    token: Option<&str>,
    cache: &Path,
    name: &str,
    watch: &mut Watch<'_>,
) -> Result<PathBuf, WorkflowError> {
    if !is_name(name) {
        let said = format!("`{name}` is no name on the hub");
        return Err(Refusal::invalid("name", said).hint("write it as owner/model").into());
    }
    let fail = |error: HubError| {
        Refusal::new(RefusalKind::Failed, format!("`{name}` cannot be fetched"))
            .hint("check the name (owner/model) and the network, or copy the folder here and name it")
            .because(error)
    };
    let hub = Hub::new(address, token, cache).map_err(fail)?;
    let mut get = |file: &str| match cached(cache, name) {
        Some(snapshot) if snapshot.join(file).exists() => Ok(()),
        _ => fetch_file(&hub, name, file, watch),
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

/// One file, with the hub's progress as ours.
fn fetch_file(hub: &Hub, name: &str, file: &str, watch: &mut Watch<'_>) -> Result<(), HubError> {
    let mut started = false;
    hub.fetch(name, file, &mut |here, whole| {
        if !started {
            watch(Progress::Started { what: format!("fetching {file}"), total: Some(whole), unit: "bytes" });
            started = true;
        }
        watch(Progress::Advanced(here));
    })?;
    if started {
        watch(Progress::Finished);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    /// What a server was asked for: a file, from which byte on, and the key that came with it.
    type Asked = mpsc::Receiver<(String, usize, Option<String>)>;

    /// A hub on loopback with one repository, whose files are those of a folder. A hub with a storage sends there for weights.
    fn hub(folder: PathBuf, storage: Option<String>) -> (String, Asked) {
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
                let header = |name: &str| lines.iter().find_map(|l| Some(l.strip_prefix(name)?.trim().to_owned()));
                let range = header("range: bytes=").unwrap_or_else(|| "0-".into());
                let (from, to) = range.split_once('-').unwrap();
                let from: usize = from.parse().unwrap();
                let file = path.strip_prefix("/org/tiny/resolve/main/").unwrap_or("none").to_owned();
                let mut answer = |head: &str, body: &[u8]| {
                    let head =
                        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                    let stream = reader.get_mut();
                    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
                };
                let Ok(bytes) = std::fs::read(folder.join(&file)) else {
                    answer("404 Not Found", b"");
                    continue;
                };
                let to = to.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1);
                let tags = format!("ETag: \"{file}\"\r\nX-Repo-Commit: abc");
                if let Some(storage) = storage.as_ref().filter(|_| WEIGHTS.contains(&file.as_str())) {
                    answer(
                        &format!("302 Found\r\nLocation: {storage}{path}\r\nX-Linked-ETag: \"hash\"\r\n{tags}"),
                        b"",
                    );
                } else if from >= bytes.len() {
                    answer("416 Range Not Satisfiable", b"");
                } else {
                    let range = format!("Content-Range: bytes {from}-{to}/{}", bytes.len());
                    answer(&format!("206 Partial Content\r\n{range}\r\n{tags}"), &bytes[from..=to]);
                }
                let _ = send.send((file, from, header("authorization:")));
            }
        });
        (url, asked)
    }

    fn data() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/encoders")
    }

    #[cfg(feature = "encoders")]
    #[test]
    fn a_name_is_fetched_once_into_the_cache_and_opens() {
        for (folder, weights) in [("bert", "model.safetensors"), ("bert-bin", "pytorch_model.bin")] {
            let (url, asked) = hub(data().join(folder), None);
            let cache = tempfile::tempdir().unwrap();
            let mut said = Vec::new();
            let found = fetch_from(&url, None, cache.path(), "org/tiny", &mut |p| said.push(p)).unwrap();
            assert_eq!(cached(cache.path(), "org/tiny").as_ref(), Some(&found));
            let started =
                |p: &Progress| matches!(p, Progress::Started { what, .. } if *what == format!("fetching {weights}"));
            assert!(said.iter().any(started), "{said:?}");
            assert!(
                crate::classifier::Encoder::open(&found, 64, 1).unwrap().embed(&["she forgot"]).unwrap()[0].len() == 32
            );
            let before: Vec<String> = asked.try_iter().map(|(file, ..)| file).collect();
            assert!(before.iter().any(|file| file == weights), "{before:?}");
            fetch_from(&url, None, cache.path(), "org/tiny", &mut |_| {}).unwrap();
            let again: Vec<String> = asked.try_iter().map(|(file, ..)| file).collect();
            assert!(!again.iter().any(|file| NEEDED.contains(&file.as_str()) || file == weights), "{again:?}");
            let error = fetch_from(&url, None, cache.path(), "org/other", &mut |_| {}).unwrap_err().words();
            assert!(error.contains("`org/other` cannot be fetched: http://127.0.0.1"), "{error}");
            let error = fetch_from(&url, None, cache.path(), "org/../tiny", &mut |_| {}).unwrap_err().words();
            assert!(error.contains("is no name on the hub"), "{error}");
        }
    }

    #[test]
    fn weights_come_from_the_hubs_storage_which_does_not_see_the_key() {
        let (storage, stored) = hub(data().join("bert"), None);
        let (url, asked) = hub(data().join("bert"), Some(storage));
        let cache = tempfile::tempdir().unwrap();
        let found = fetch_from(&url, Some("hf_secret"), cache.path(), "org/tiny", &mut |_| {}).unwrap();
        assert!(asked.try_iter().all(|(_, _, key)| key.as_deref() == Some("bearer hf_secret")));
        let stored: Vec<_> = stored.try_iter().collect();
        assert!(!stored.is_empty() && stored.iter().all(|(_, _, key)| key.is_none()), "{stored:?}");
        let blob = found.join("model.safetensors").canonicalize().unwrap();
        assert_eq!(blob, cache.path().canonicalize().unwrap().join("models--org--tiny/blobs/hash"));
    }

    #[test]
    fn what_a_broken_connection_left_is_gone_on_from() {
        let whole = std::fs::read(data().join("bert/model.safetensors")).unwrap();
        for (left, from) in [(&whole[..100], 100), (&whole[..], 0), (&[whole.clone(), vec![0; 9]].concat(), 0)] {
            let (url, asked) = hub(data().join("bert"), None);
            let cache = tempfile::tempdir().unwrap();
            let blobs = cache.path().join("models--org--tiny/blobs");
            std::fs::create_dir_all(&blobs).unwrap();
            std::fs::write(blobs.join("model.safetensors.part"), left).unwrap();
            let found = fetch_from(&url, None, cache.path(), "org/tiny", &mut |_| {}).unwrap();
            assert_eq!(std::fs::read(found.join("model.safetensors")).unwrap(), whole);
            let last = asked.try_iter().filter(|(file, ..)| file == "model.safetensors").last().unwrap();
            assert_eq!(last.1, from);
        }
    }
}
