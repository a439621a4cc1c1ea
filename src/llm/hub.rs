//! Fetches a model's files by its name on a hub into the cache that the hub's other tools share.
//!
//! Names are all that is ever sent: a request is a GET without a body. So this client may do what that of [`egress`] may not:
//! follow the hub to where it stores large files, and go through the proxy that the environment names.
//!
//! The cache is huggingface_hub's (<https://huggingface.co/docs/huggingface_hub/guides/manage-cache>): `blobs/ETAG` holds a
//! file, `snapshots/COMMIT/NAME` points to it, `refs/main` says which commit is the latest.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, RANGE};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use thiserror::Error;

use super::egress;

/// How often a file is asked for when the connection breaks; each time from where it broke.
const ATTEMPTS: u32 = 3;

/// What can go wrong between a hub and its cache.
#[derive(Debug, Error)]
pub(crate) enum HubError {
    /// `HF_ENDPOINT` or the key of the hub is unusable.
    #[error("{0} cannot be used")]
    Setting(&'static str),
    /// Nothing, or not all of it, came.
    #[error("{url} cannot be fetched")]
    Transport {
        /// What was asked for.
        url: Url,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The hub says no.
    #[error("{url}: the hub answers {status}")]
    Status {
        /// What was asked for.
        url: Url,
        /// What it says.
        status: StatusCode,
    },
    /// The hub's answer lacks what the cache needs, or it is no name of a file.
    #[error("{url}: the hub's answer has no usable {header}")]
    Header {
        /// What was asked for.
        url: Url,
        /// What is missing.
        header: &'static str,
    },
    /// The connection ended before the file did, or the file goes on after its end.
    #[error("{url}: {came} of {whole} bytes came")]
    Length {
        /// What was asked for.
        url: Url,
        came: u64,
        /// What should have.
        whole: u64,
    },
    /// The cache cannot be written.
    #[error("{}", path.display())]
    Cache {
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// Another program is at it.
    #[error("{} is being fetched by another program", .0.display())]
    Busy(PathBuf),
}

/// A hub and the cache on this machine.
pub(crate) struct Hub {
    runtime: tokio::runtime::Runtime,
    /// Stops where the hub sends it to another host, to read what the hub itself says of a file.
    asking: Client,
    fetching: Client,
    address: Url,
    cache: PathBuf,
}

/// What the hub says of a file.
struct About {
    commit: String,
    etag: String,
}

impl Hub {
    /// A hub by its address, with the key that the hub's tools keep, if any. Nothing is sent yet.
    pub(crate) fn new(address: &str, token: Option<&str>, cache: &Path) -> Result<Self, HubError> {
        let address = Url::parse(address).map_err(|_| HubError::Setting("HF_ENDPOINT"))?;
        if !matches!(address.scheme(), "http" | "https") {
            return Err(HubError::Setting("HF_ENDPOINT"));
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value =
                HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| HubError::Setting("the hub's token"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = |redirects| {
            let builder = egress::builder().default_headers(headers.clone()).redirect(redirects);
            builder.read_timeout(Duration::from_secs(60)).build()
        };
        let within = redirect::Policy::custom(|attempt| {
            let host = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
            let first = attempt.previous().first().map(host);
            if attempt.previous().len() < 10 && first == Some(host(attempt.url())) {
                attempt.follow()
            } else {
                attempt.stop()
            }
        });
        let failed = |source| HubError::Transport { url: address.clone(), source };
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|source| HubError::Cache { path: cache.to_owned(), source })?,
            asking: client(within).map_err(failed)?,
            fetching: client(redirect::Policy::limited(10)).map_err(failed)?,
            address,
            cache: cache.to_owned(),
        })
    }

    /// Fetches a file of a model's repository into the cache, unless it is there; `progress` is told the bytes that are here
    /// and all that there are. What a broken connection left is gone on from.
    pub(crate) fn fetch(&self, model: &str, file: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<(), HubError> {
        let mut url = self.address.clone();
        url.path_segments_mut()
            .map_err(|()| HubError::Setting("HF_ENDPOINT"))?
            .pop_if_empty()
            .extend(model.split('/').chain(["resolve", "main", file]));
        let About { commit, etag } = self.runtime.block_on(self.about(&url))?;
        let repository = self.cache.join(format!("models--{}", model.replace('/', "--")));
        let (blobs, snapshot) = (repository.join("blobs"), repository.join("snapshots").join(&commit));
        for folder in [&blobs, &snapshot, &repository.join("refs")] {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        let blob = blobs.join(&etag);
        let lock = lock(&blobs.join(format!("{etag}.lock")))?;
        if !blob.exists() {
            let part = blobs.join(format!("{etag}.part"));
            self.runtime.block_on(self.download(&url, &part, progress))?;
            fs::rename(&part, &blob).map_err(at(&blob))?;
        }
        drop(lock);
        let pointer = snapshot.join(file);
        if !pointer.exists() {
            point(&pointer, &blob).map_err(at(&pointer))?;
        }
        let reference = repository.join("refs/main");
        fs::write(&reference, commit).map_err(at(&reference))
    }

    /// One byte is asked for: some hubs answer HEAD with other headers.
    async fn about(&self, url: &Url) -> Result<About, HubError> {
        let response = send(&self.asking, url, "bytes=0-0".into()).await?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let usable = |header: &'static str, value: Option<&str>| {
            let value = value.map(|value| value.trim_start_matches("W/").replace('"', ""));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let name = |value: &String| !value.is_empty() && !value.starts_with('.') && value.chars().all(plain);
            value.filter(name).ok_or(HubError::Header { url: url.clone(), header })
        };
        // Of a large file, the storage's tag, which is the hash of what is in it.
        let etag = text("x-linked-etag").or_else(|| text(ETAG.as_str()));
        Ok(About { etag: usable("etag", etag)?, commit: usable("x-repo-commit", text("x-repo-commit"))? })
    }

    async fn download(&self, url: &Url, part: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), HubError> {
        let mut attempt = 1;
        loop {
            match self.download_once(url, part, progress).await {
                Err(HubError::Transport { .. } | HubError::Length { .. }) if attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(300 * u64::from(attempt))).await;
                }
                // What is here is no beginning of it.
                Err(HubError::Status { status: StatusCode::RANGE_NOT_SATISFIABLE, .. }) if attempt < ATTEMPTS => {
                    fs::remove_file(part).map_err(at(part))?;
                }
                done => return done,
            }
            attempt += 1;
        }
    }

    async fn download_once(&self, url: &Url, part: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), HubError> {
        let mut file = OpenOptions::new().append(true).create(true).open(part).map_err(at(part))?;
        let mut here = file.metadata().map_err(at(part))?.len();
        let mut response = send(&self.fetching, url, format!("bytes={here}-")).await?;
        let whole = match response.status() {
            StatusCode::OK => {
                // All of it comes, whatever was asked for.
                file.set_len(0).map_err(at(part))?;
                here = 0;
                response.content_length()
            }
            _ => range_of(&response).filter(|(from, _)| *from == here).map(|(_, whole)| whole),
        };
        let whole = whole.ok_or(HubError::Header { url: url.clone(), header: "content-range" })?;
        progress(here, whole);
        let broken = |source| HubError::Transport { url: url.clone(), source };
        while let Some(bytes) = response.chunk().await.map_err(broken)? {
            file.write_all(&bytes).map_err(at(part))?;
            here += bytes.len() as u64;
            progress(here, whole);
        }
        if here == whole { Ok(()) } else { Err(HubError::Length { url: url.clone(), came: here, whole }) }
    }
}

/// Where a part begins and how long the whole is, from `bytes FROM-TO/WHOLE`.
fn range_of(response: &Response) -> Option<(u64, u64)> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (part, whole) = range.split_once('/')?;
    Some((part.split_once('-')?.0.parse().ok()?, whole.parse().ok()?))
}

async fn send(client: &Client, url: &Url, range: String) -> Result<Response, HubError> {
    let sent = client.get(url.clone()).header(RANGE, range).send().await;
    let response = sent.map_err(|source| HubError::Transport { url: url.clone(), source: source.without_url() })?;
    let status = response.status();
    let answered = status.is_success() || status.is_redirection();
    if answered { Ok(response) } else { Err(HubError::Status { url: url.clone(), status }) }
}

fn at(path: &Path) -> impl Fn(io::Error) -> HubError + '_ {
    move |source| HubError::Cache { path: path.to_owned(), source }
}

/// Two programs may want the same file; the second waits a little, since the first may be about done.
fn lock(path: &Path) -> Result<File, HubError> {
    let file = File::create(path).map_err(at(path))?;
    for _ in 0..5 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_secs(1)),
            Err(TryLockError::Error(error)) => return Err(at(path)(error)),
        }
    }
    Err(HubError::Busy(path.to_owned()))
}

/// A relative link, so that the cache may be moved; a copy where there are no links.
fn point(pointer: &Path, blob: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(Path::new("../../blobs").join(blob.file_name().unwrap_or_default()), pointer);
    #[cfg(not(unix))]
    return fs::copy(blob, pointer).map(|_| ());
}
