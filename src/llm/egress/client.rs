//! The client itself, on reqwest.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::{Answer, Endpoint};
use crate::domain::egress::{EgressRecord, Host};
use crate::llm::LlmError;

/// A reply longer than this is broken or hostile; no answer that is asked for here comes near it.
const LONGEST_REPLY: usize = 4 << 20;

/// A key from the environment: it cannot be printed, written or compared.
#[derive(Clone)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// Reads a key from an environment variable.
    pub(crate) fn from_env(variable: &str) -> Result<Self, LlmError> {
        match std::env::var(variable) {
            Ok(key) if !key.trim().is_empty() => Ok(Self(key.trim().to_owned())),
            _ => Err(LlmError::Fatal(format!(
                "the environment has no {variable}; keys are never kept in files: set it with `export {variable}=...`"
            ))),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

impl Endpoint {
    /// The host that requests go to.
    pub(crate) fn host(&self) -> Result<Host, LlmError> {
        Ok(Host::new(self.parsed()?.host_str().unwrap_or_default()))
    }

    fn parsed(&self) -> Result<Url, LlmError> {
        let bad = |why: &str| {
            LlmError::Fatal(format!(
                "`{}` is no address of a server ({why}); write one like http://127.0.0.1:8080/v1",
                self.url
            ))
        };
        let url = Url::parse(self.url.trim_end_matches('/')).map_err(|e| bad(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("it must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("keys belong in the environment, not in the address"));
        }
        Ok(url)
    }
}

/// What every client begins with.
pub(in crate::llm) fn builder() -> reqwest::ClientBuilder {
    // Another part of the process may have chosen a provider of cryptography already; then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("goldsmith/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
}

/// The client of one endpoint.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    host: Host,
}

impl Client {
    /// Prepares the client; nothing is sent. A key is read from the environment here.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, LlmError> {
        let mut url = endpoint.parsed()?;
        if !endpoint.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&endpoint.query);
        }
        let host = endpoint.host()?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !endpoint.key_env.is_empty() {
            let ApiKey(key) = ApiKey::from_env(&endpoint.key_env)?;
            let bearer = endpoint.key_header.eq_ignore_ascii_case("authorization");
            let name = HeaderName::try_from(endpoint.key_header.to_ascii_lowercase())
                .map_err(|_| LlmError::Fatal(format!("`{}` is no name of a header", endpoint.key_header)))?;
            let mut value =
                HeaderValue::try_from(if bearer { format!("Bearer {key}") } else { key }).map_err(|_| {
                    LlmError::Fatal(format!("the key in {} has characters that no header may have", endpoint.key_env))
                })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let loopback = loopback.map(|address| SocketAddr::new(address, 0));
        let http = builder()
            .default_headers(headers)
            // A proxy or a redirect would be another host.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // `localhost` is this machine, whatever a name server says.
            .resolve_to_addrs("localhost", &loopback)
            .timeout(Duration::from_secs(endpoint.timeout.max(1)))
            .build()
            .map_err(|e| LlmError::Fatal(format!("no HTTP client can be made: {}", chain(&e))))?;
        Ok(Self { http, url, host })
    }

    /// Where it sends to.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Posts JSON to a path below the base address.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        record: Option<&EgressRecord>,
    ) -> Result<Answer, LlmError> {
        match record {
            Some(record) if *record.host() == self.host => {}
            _ => {
                let what = format!("a request to {} was neither allowed nor recorded and was not sent", self.host);
                return Err(LlmError::Fatal(what));
            }
        }
        let start = Instant::now();
        let sent = body.len();
        let answer = self.send(path, body).await;
        let ms = start.elapsed().as_millis();
        // Neither the address nor what was said: the one may hold a key, the other a note.
        match &answer {
            Ok(answer) => {
                let received = answer.body.len();
                tracing::info!(host = self.host.as_str(), status = answer.status, ms, sent, received, "request");
            }
            Err(error) => tracing::warn!(host = self.host.as_str(), failed = error.kind(), ms, sent, "request"),
        }
        answer
    }

    async fn send(&self, path: &str, body: Vec<u8>) -> Result<Answer, LlmError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        let sent = self.http.post(url).body(body).send().await;
        let mut response = sent.map_err(|e| self.transport(&e))?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get("location").and_then(|v| v.to_str().ok()).unwrap_or("nowhere");
            return Err(LlmError::Fatal(format!(
                "{} sends us on to {to}, and redirects are not followed; if that address is right, write it as the url",
                self.url
            )));
        }
        let retry_after = wait_asked(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.transport(&e))? {
            if body.len() + chunk.len() > LONGEST_REPLY {
                return Err(LlmError::Unanswerable(format!(
                    "{} replied with more than {LONGEST_REPLY} bytes",
                    self.host
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: status.as_u16(), retry_after, body })
    }

    fn transport(&self, error: &reqwest::Error) -> LlmError {
        let what = if error.is_timeout() {
            format!("{} did not answer in time", self.host)
        } else if error.is_connect() {
            format!("{} cannot be reached ({})", self.url, chain(error))
        } else {
            format!("the connection to {} broke ({})", self.host, chain(error))
        };
        LlmError::Later { what, after: None }
    }
}

/// The innermost cause: the outer ones repeat the address, which may carry more than is good to show.
fn chain(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// `Retry-After` in seconds or as a date, or OpenAI's `retry-after-ms`.
fn wait_asked(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|t| t.parse::<f64>().ok()) {
        return duration(milliseconds / 1000.0);
    }
    let after = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse::<f64>() {
        return duration(seconds);
    }
    // A date counts from the server's own clock, where it tells it.
    let at = http_date(after)?;
    let now = text("date").and_then(http_date)?;
    duration(at.duration_since(now).as_secs_f64())
}

/// Nobody waits longer than an hour on a server's word.
fn duration(seconds: f64) -> Option<Duration> {
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)))
}

/// A date as HTTP writes it, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7: a form of RFC 2822's). The name of the day
/// says nothing that the date does not, so that a wrong one does no harm.
fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_server_may_ask_to_wait_in_three_ways() {
        let seconds = |pairs: &[(&'static str, &'static str)]| wait_asked(&headers(pairs)).map(|d| d.as_secs_f64());
        assert_eq!(seconds(&[("retry-after", "7")]), Some(7.0));
        assert_eq!(seconds(&[("retry-after-ms", "250"), ("retry-after", "7")]), Some(0.25));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(seconds(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:00 GMT")]), Some(23.0));
        assert_eq!(seconds(&[date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]), Some(0.0));
        assert_eq!(seconds(&[date, ("retry-after", "Mon, 07 Nov 1994 08:00:00 GMT")]), Some(3600.0));
        assert_eq!(seconds(&[("retry-after", "soon")]), None);
        assert_eq!(seconds(&[("retry-after", "1e9")]), Some(3600.0));
        let at = |date: &str| http_date(date).map(Timestamp::as_second);
        assert_eq!(at("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(at("Mon, 29 Feb 2000 12:00:00 GMT"), Some(951_825_600), "a Tuesday, in truth");
        assert_eq!(at("2000-02-29"), None);
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", ApiKey("sk-123".into())), "Secret(not shown)");
    }

    #[test]
    fn an_address_with_a_key_or_without_a_scheme_is_refused() {
        for url in ["http://me:pw@127.0.0.1/v1", "127.0.0.1:80", "ftp://h/v1", "", "http://"] {
            let endpoint = Endpoint::new(url, "m");
            assert!(matches!(endpoint.host(), Err(LlmError::Fatal(_))), "{url}");
        }
        assert_eq!(Endpoint::new("https://Api.Example.org:8443/v1/", "m").host().unwrap().as_str(), "api.example.org");
    }
}
