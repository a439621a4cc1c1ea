//! The only HTTP client that can carry a text. It goes to one host, sends nothing without an egress record for that host,
//! follows no redirect, uses no proxy, and never shows its key.

#[cfg(feature = "servers")]
mod client;
#[cfg(not(feature = "servers"))]
mod without_client;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

#[cfg(feature = "servers")]
pub(crate) use client::Client;
#[cfg(feature = "servers")]
pub(super) use client::builder;
#[cfg(not(feature = "servers"))]
pub(crate) use without_client::Client;

/// Where a server is and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Endpoint {
    /// Base address, such as `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// The model's name as the server knows it; empty for a server with one model.
    pub model: String,
    /// The environment variable that holds the key; empty for none.
    pub key_env: String,
    /// The header that carries the key: `authorization` (as a bearer token), or another such as Azure's `api-key`.
    pub key_header: String,
    /// Further query parameters, such as Azure's `api-version`.
    pub query: Vec<(String, String)>,
    /// Seconds for one request, from connecting to the last byte.
    pub timeout: u64,
    /// A file with the only certificate authorities that are trusted to vouch for the server, in PEM.
    #[serde(skip)]
    pub ca_file: Option<PathBuf>,
    /// Whether the project lets text go there without TLS.
    #[serde(skip)]
    pub insecure: bool,
}

impl Endpoint {
    /// A server without a key.
    #[cfg(test)]
    pub(crate) fn new(url: &str, model: &str) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            key_env: String::new(),
            key_header: "authorization".into(),
            query: Vec::new(),
            timeout: 120,
            ca_file: None,
            insecure: false,
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}
