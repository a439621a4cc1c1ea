//! The client itself, on reqwest.

use std::fmt;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Url};

use super::{Answer, Endpoint};
use crate::domain::egress::{Destination, EgressRecord, Host};
use crate::llm::LlmError;
use crate::plain_file;

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
    /// Where requests go.
    pub(crate) fn destination(&self) -> Result<Destination, LlmError> {
        Ok(self.address()?.1)
    }

    /// The address with its host in the one form that the rules know ([`Host`]): what is allowed, recorded and resolved is
    /// the same text.
    fn address(&self) -> Result<(Url, Destination), LlmError> {
        let bad = |why: &str| {
            let shown = self.without_secrets();
            LlmError::Fatal(format!(
                "`{shown}` is no address of a server ({why}); write one like http://127.0.0.1:8080/v1"
            ))
        };
        let mut url = Url::parse(self.url.trim_end_matches('/')).map_err(|e| bad(&e.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() || self.url.contains('@') {
            return Err(bad("keys belong in the environment, not in the address"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("what follows a `?` belongs in `query` of the server under [models] in goldsmith.toml"));
        }
        let (true, Some(name), Some(port)) =
            (matches!(url.scheme(), "http" | "https"), url.host_str(), url.port_or_known_default())
        else {
            return Err(bad("it must begin with http:// or https://"));
        };
        let host = Host::new(name);
        let spelled =
            if matches!(host.address(), Some(IpAddr::V6(_))) { format!("[{host}]") } else { host.to_string() };
        url.set_host(Some(&spelled)).map_err(|e| bad(&e.to_string()))?;
        // What the address makes of it is what the socket is opened to.
        let host = Host::new(url.host_str().unwrap_or_default());
        let protected = url.scheme() == "https" || self.insecure;
        Ok((url, Destination { host, port, protected }))
    }

    /// The address for a message: whatever might be a key in it is left out.
    fn without_secrets(&self) -> String {
        // A password may have any character, a `?` or `#` among them.
        if self.url.contains('@') {
            return "...@...".to_owned();
        }
        self.url.split(['?', '#']).next().unwrap_or_default().to_owned()
    }

    /// The certificate authorities of `ca_file`, where the project names one.
    fn authorities(&self) -> Result<Option<Vec<Certificate>>, LlmError> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let bad = |why: &str| LlmError::Fatal(format!("ca_file: {} {why}", path.display()));
        let text = plain_file::read(path, plain_file::SMALL).map_err(|e| bad(&format!("cannot be read ({e})")))?;
        match Certificate::from_pem_bundle(&text) {
            Ok(authorities) if !authorities.is_empty() => Ok(Some(authorities)),
            _ => Err(bad("holds no certificates in PEM (`-----BEGIN CERTIFICATE-----`)")),
        }
    }
}

/// Holds every connection of a client to this machine.
fn pinned(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder.connector_layer(tower::util::AndThenLayer::new(peer_is_here::<_>))
}

/// Lets a connection pass whose other end is this machine. It looks at the socket, after the connection is made and before
/// the request is written: no name server has a say in it.
fn peer_is_here<C: Connection>(connection: C) -> Ready<Result<C, tower::BoxError>> {
    let mut found = http::Extensions::new();
    connection.connected().get_extras(&mut found);
    let peer = found.get::<HttpInfo>().map(HttpInfo::remote_addr);
    ready(match peer {
        Some(address) if address.ip().to_canonical().is_loopback() => Ok(connection),
        Some(address) => Err(format!("the connection leads to {address}, which is not this machine").into()),
        None => Err("the connection does not say where it leads".into()),
    })
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
    to: Destination,
    /// What no answer is to bring into an error or a file.
    key: Option<ApiKey>,
}

impl Client {
    /// Prepares the client; nothing is sent. A key is read from the environment here.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, LlmError> {
        let (mut url, to) = endpoint.address()?;
        if !endpoint.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&endpoint.query);
        }
        let (mut headers, mut own) = (HeaderMap::new(), None);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !endpoint.key_env.is_empty() {
            let ApiKey(key) = ApiKey::from_env(&endpoint.key_env)?;
            own = Some(ApiKey(key.clone()));
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
        let mut http = builder()
            .default_headers(headers)
            // A proxy or a redirect would be another host.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // `localhost` is this machine, whatever a name server says.
            .resolve_to_addrs("localhost", &loopback)
            .timeout(Duration::from_secs(endpoint.timeout.max(1)));
        if to.is_loopback() {
            http = pinned(http);
        }
        if let Some(authorities) = endpoint.authorities()? {
            http = http.tls_certs_only(authorities);
        }
        let http = http.build().map_err(|e| LlmError::Fatal(format!("no HTTP client can be made: {}", chain(&e))))?;
        Ok(Self { http, url, to, key: own })
    }

    /// Where it sends to.
    pub(crate) fn destination(&self) -> &Destination {
        &self.to
    }

    /// Posts JSON to a path below the base address.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        record: Option<&EgressRecord>,
    ) -> Result<Answer, LlmError> {
        match record {
            Some(record) if record.is_for(&self.to) => {}
            _ => {
                let what = format!("a request to {} was neither allowed nor recorded and was not sent", self.to);
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
                tracing::info!(host = self.to.host.as_str(), status = answer.status, ms, sent, received, "request");
            }
            Err(error) => tracing::warn!(host = self.to.host.as_str(), failed = error.kind(), ms, sent, "request"),
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
                "{} sends us on to another address, and redirects are not followed; if {to} is right, write it as the url",
                self.to
            )));
        }
        let retry_after = wait_asked(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.transport(&e))? {
            if body.len() + chunk.len() > LONGEST_REPLY {
                return Err(LlmError::Unanswerable(format!(
                    "{} replied with more than {LONGEST_REPLY} bytes",
                    self.to
                )));
            }
            body.extend_from_slice(&chunk);
        }
        let body = match &self.key {
            Some(ApiKey(key)) => without(body, key.as_bytes()),
            None => body,
        };
        Ok(Answer { status: status.as_u16(), retry_after, body })
    }

    fn transport(&self, error: &reqwest::Error) -> LlmError {
        let (to, cause) = (&self.to, chain(error));
        if cause.contains("invalid peer certificate") {
            return LlmError::Fatal(format!(
                "the certificate of {to} is not trusted ({cause}); if your own authority signed it, name its file as ca_file under this server in [models] of goldsmith.toml, or in the environment as SSL_CERT_FILE"
            ));
        }
        let what = if error.is_timeout() {
            format!("{to} did not answer in time")
        } else if error.is_connect() {
            format!("{to} cannot be reached ({cause})")
        } else {
            format!("the connection to {to} broke ({cause})")
        };
        LlmError::Later { what, after: None }
    }
}

/// A shorter word is in every answer, and no key.
const SHORTEST_KEY: usize = 6;

/// What a server said, without a key that it says back.
fn without(said: Vec<u8>, key: &[u8]) -> Vec<u8> {
    if key.len() < SHORTEST_KEY || !said.windows(key.len()).any(|window| window == key) {
        return said;
    }
    let (mut kept, mut rest) = (Vec::with_capacity(said.len()), said.as_slice());
    while let Some(at) = rest.windows(key.len()).position(|window| window == key) {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(b"(the key)");
        rest = &rest[at + key.len()..];
    }
    kept.extend_from_slice(rest);
    kept
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
    fn a_key_that_a_server_says_back_goes_no_further() {
        let said = |text: &str, key: &str| String::from_utf8(without(text.into(), key.as_bytes())).unwrap();
        assert_eq!(
            said("Incorrect key: Bearer sk-abcdef, sk-abcdef.", "sk-abcdef"),
            "Incorrect key: Bearer (the key), (the key)."
        );
        assert_eq!(said("all is well", "sk-abcdef"), "all is well");
        assert_eq!(said("a", "a"), "a");
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
        let bad = [
            "http://me:sesame@127.0.0.1/v1",
            "http://me:sesame#1@127.0.0.1/v1",
            "http://me:sesame?1@127.0.0.1/v1",
            "http://sesame@127.0.0.1/v1",
            "http://@127.0.0.1/v1",
            "http://127.0.0.1/v1?key=sesame",
            "http://127.0.0.1/v1#sesame",
            "me:sesame@127.0.0.1:80",
            "http://[me:sesame@h/v1",
            "127.0.0.1:80",
            "ftp://h/v1",
            "",
            "http://",
        ];
        for url in bad {
            match Endpoint::new(url, "m").destination() {
                Err(LlmError::Fatal(said)) => assert!(!said.contains("sesame"), "{said}"),
                other => panic!("{url}: {other:?}"),
            }
        }
        let to = Endpoint::new("https://Api.Example.org:8443/v1/", "m").destination().unwrap();
        assert_eq!(to.to_string(), "api.example.org:8443");
    }

    /// What the rules are asked about is what the socket is opened to, however it is spelled.
    #[test]
    fn every_spelling_of_a_host_has_one_form() {
        for (spelled, host) in [
            ("LOCALHOST", "localhost"),
            ("localhost.", "localhost"),
            ("127.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("\u{ff11}\u{ff12}\u{ff17}.0.0.1", "127.0.0.1"),
            ("\u{24db}ocalhost", "localhost"),
            ("[::1]", "::1"),
            ("[0:0:0:0:0:0:0:1]", "::1"),
            ("[::ffff:127.0.0.1]", "127.0.0.1"),
            ("[::ffff:a00:5]", "10.0.0.5"),
            ("0", "0.0.0.0"),
            ("0x7f.1..", "127.0.0.1"),
            ("api.example.org.", "api.example.org"),
        ] {
            let (url, to) = Endpoint::new(&format!("http://{spelled}:81/v1"), "m").address().unwrap();
            assert_eq!((to.host.as_str(), to.port), (host, 81), "{spelled}");
            assert_eq!(url.host_str().unwrap().trim_matches(['[', ']']), host, "{spelled}");
        }
        for spelled in ["[::1%25lo]", "[fe80::1%eth0]", "local host", "a b", "256.0.0.1", "[::1"] {
            assert!(Endpoint::new(&format!("http://{spelled}:81/v1"), "m").address().is_err(), "{spelled}");
        }
    }

    /// A name server, or whoever else leads `localhost` astray, gets a connection and not a byte.
    #[test]
    fn a_connection_to_this_machine_that_leads_elsewhere_carries_nothing() {
        use std::io::Read;
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|address| address.ip());
        let Some(own) = own.ok().filter(|own| !own.is_loopback() && !own.is_unspecified()) else {
            println!("skipped: this machine has no address beside loopback");
            return;
        };
        let post = |at: IpAddr| {
            let listener = std::net::TcpListener::bind((at, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let http = pinned(builder())
                .no_proxy()
                .resolve("localhost", SocketAddr::new(at, port))
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap();
            let heard = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut first = [0; 4];
                let read = stream.read(&mut first).unwrap_or(0);
                first[..read].to_vec()
            });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let sent =
                runtime.block_on(async { http.post(format!("http://localhost:{port}/")).body("a note").send().await });
            drop(http);
            drop(runtime);
            (sent.map_err(|error| chain(&error)), heard.join().unwrap())
        };
        let (sent, heard) = post(own);
        assert!(sent.unwrap_err().contains("which is not this machine"));
        assert!(heard.is_empty());
        // The same way to this machine itself carries the request.
        assert_eq!(post(IpAddr::V4(Ipv4Addr::LOCALHOST)).1, b"POST");
    }
}
