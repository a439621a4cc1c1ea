//! What leaves this machine, to whom, and what does not: every way to spell a host, redirects, proxies, certificates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

#[test]
fn text_goes_to_no_host_that_is_not_allowed() {
    let study = Study::of(&made_up(4));
    let refused = |host: &str, words: &[&str]| {
        let said = study.label(&format!("http://{host}:9/v1"), &["--timeout", "2"]).with(1);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        let last = study.texts("SELECT host || ' ' || outcome FROM egress ORDER BY id DESC LIMIT 1").remove(0);
        assert!(last.starts_with(&format!("{host}:9 refused: ")), "{last}");
    };
    for host in ["192.0.2.1", "localhost.example.org", "127.0.0.1.example.org"] {
        refused(host, &["data_use", "allow_hosts"]);
    }
    study.set("data_use = \"local-only\"", "data_use = \"open\"");
    refused("192.0.2.1", &["neither this machine nor allowed", "allow_hosts"]);
    study.set("allow_hosts = []", "allow_hosts = [\"192.0.2.2:9\"]");
    refused("192.0.2.1", &["allow_hosts"]);
    // A port is part of the permission, and so is TLS.
    study.set("\"192.0.2.2:9\"", "\"192.0.2.1\"");
    refused("192.0.2.1", &["allow_hosts = [\"192.0.2.1:9\"]"]);
    study.set("\"192.0.2.1\"", "\"192.0.2.1:9\"");
    refused("192.0.2.1", &["without encryption", "insecure = true"]);
    assert_eq!(study.count("SELECT count(*) FROM egress WHERE outcome NOT LIKE 'refused: %'"), 0);
    assert!(succeeds(&["egress", "--project", &study.root]).contains("refused"));
}

/// An address of this machine that is no loopback; `None` where it has none. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Counts who connects to an address, and never answers.
fn counting(address: IpAddr) -> Option<(u16, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind((address, 0)).ok()?;
    let port = listener.local_addr().unwrap().port();
    let connected = Arc::new(AtomicUsize::new(0));
    let count = connected.clone();
    thread::spawn(move || listener.incoming().flatten().for_each(|_| _ = count.fetch_add(1, Ordering::SeqCst)));
    Some((port, connected))
}

/// The rule, the record and the socket see the same host: no spelling passes for this machine and leads elsewhere, and none
/// of this machine is recorded as another.
#[test]
fn however_a_host_is_spelled_text_goes_where_the_rule_and_the_record_say() {
    let server = Server::willing();
    let here = [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("LocalHost", "localhost"),
        ("localhost.", "localhost"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("%31%32%37.0.0.1", "127.0.0.1"),
        ("\u{ff11}\u{ff12}\u{ff17}.0.0.1", "127.0.0.1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
    ];
    let study = Study::of(&made_up(1));
    for (spelled, host) in here {
        study.label(&format!("http://{spelled}:{}/v1", server.port()), &["--fresh"]).with(0);
        let to = study.texts("SELECT host FROM egress WHERE sentences <> '' ORDER BY id DESC LIMIT 1").remove(0);
        assert_eq!(to, format!("{host}:{}", server.port()), "{spelled}");
    }
    assert_eq!(server.asked().len(), here.len());

    let sent = study.count("SELECT count(*) FROM egress WHERE outcome NOT LIKE 'refused: %'");
    let own = own_address();
    let any = IpAddr::from([0, 0, 0, 0]);
    let (port, connected) = counting(any).unwrap();
    let mut elsewhere: Vec<String> = [
        "0.0.0.0",
        "0",
        "[::]",
        "[::ffff:0.0.0.0]",
        "localhost@0.0.0.0",
        "127.0.0.1:80@0.0.0.0",
        "localhost.localdomain",
        "x.localhost",
        "localhost.example.invalid",
        "127.0.0.1.example.invalid",
        "[::1%25lo]",
        "[fe80::1%25eth0]",
        "loc\u{430}lhost",
        "localhost\u{3002}example.invalid",
    ]
    .map(str::to_owned)
    .into();
    match own {
        Some(IpAddr::V4(own)) => {
            let number = u32::from(own);
            elsewhere.extend([own.to_string(), format!("{own}."), number.to_string(), format!("{number:#x}")]);
            elsewhere.extend([format!("[{}]", own.to_ipv6_mapped()), format!("localhost@{own}")]);
        }
        _ => println!("skipped: this machine has no address beside loopback"),
    }
    for spelled in elsewhere {
        let said = study.label(&format!("http://{spelled}:{port}/v1"), &["--fresh", "--timeout", "2"]).with(1);
        let refused = ["local-only", "is no address of a server"].iter().any(|word| said.contains(word));
        assert!(refused, "{spelled}: {said}");
    }
    assert_eq!(connected.load(Ordering::SeqCst), 0);
    assert_eq!(study.count("SELECT count(*) FROM egress WHERE outcome NOT LIKE 'refused: %'"), sent);
}

/// Not in what is printed, not in the log, not in the store.
#[test]
fn a_key_in_an_address_is_refused_and_shown_nowhere() {
    let study = Study::of(&made_up(1));
    let log = format!("{}/log", study.root);
    for url in [
        "http://me:opensesame@127.0.0.1:9/v1",
        "http://opensesame@127.0.0.1:9/v1",
        "http://127.0.0.1:9/v1?api-key=opensesame",
        "http://127.0.0.1:9/v1#opensesame",
        "http://me:opensesame@[127.0.0.1:9/v1",
    ] {
        let said = study.label(url, &["--log-file", &log, "--timeout", "2"]).with(1);
        assert!(said.contains("is no address of a server") && !said.contains("opensesame"), "{said}");
        let batch = format!("{}/batch.jsonl", study.root);
        for more in [&["--export-batch", &batch][..], &["--plan"]] {
            let said = study.label(url, more).with(1);
            assert!(said.contains("is no address of a server") && !said.contains("opensesame"), "{said}");
        }
    }
    study.set("# [models.server]", "[models.server]\nurl = \"http://127.0.0.1:9/v1\"\nquery = [\"sig=opensesame\"]\n#");
    let said = study.label("http://127.0.0.1:9/v1", &[]).with(1);
    assert!(said.contains("looks like a key") && said.contains("key_env"), "{said}");
    for file in fs::read_dir(&study.root).unwrap().map(|entry| entry.unwrap().path()) {
        let holds = fs::read(&file).unwrap().windows(10).any(|part| part == b"opensesame");
        assert!(!holds || file.ends_with("goldsmith.toml"), "{}", file.display());
    }
}

/// Examples go out as well, and so does what is written into a file for a server elsewhere.
#[test]
fn what_looks_like_a_persons_data_stays_here_as_an_example_too() {
    let text = |id: usize, text: &str, label: &str| {
        json!({ "id": id.to_string(), "patient": format!("p{id}"), "text": text, "labels": [label] }).to_string()
    };
    let study = Study::empty();
    let path = format!("{}/gold.jsonl", study.root);
    let named = "Mr. John Smith forgets names.";
    let lines = [text(1, named, "coping_strategy"), text(2, "She keeps a list by the door.", "coping_strategy")];
    fs::write(&path, lines.join("\n")).unwrap();
    study.set("validation = 0.15", "validation = 0.0");
    study.set("test = 0.2", "test = 0.0");
    study.set("policy = \"majority\"", "policy = \"any\"");
    study.set("data_use = \"local-only\"", "data_use = \"agreed hosts\"");
    let import = ["import", &path, "--unit", "sentence", "--annotator", "ann", "--project", &study.root];
    assert!(goldsmith(&import).status.success());
    let batch = format!("{}/batch.jsonl", study.root);
    let asked = |url: &str, more: &[&str]| {
        let said = study.label(url, &[&["--few-shot", "5"], more].concat()).with(0);
        let file = fs::read_to_string(&batch).unwrap_or_default();
        let _ = fs::remove_file(&batch);
        said + &file
    };
    let there = "https://192.0.2.1/v1";
    let plan = asked(there, &["--plan"]);
    assert!(plan.contains("list by the door.\" -> coping") && !plan.contains("names.\" -> coping"), "{plan}");
    let sent = asked(there, &["--export-batch", &batch, "--fresh"]);
    assert!(sent.contains("keeps a list") && !sent.contains("John Smith"), "{sent}");
    // A file may be sent anywhere, whichever server was named.
    let here = ["--export-batch", &batch, "--fresh"];
    let kept = asked("http://127.0.0.1:9/v1", &here);
    assert!(kept.contains("keeps a list") && !kept.contains("John Smith"), "{kept}");
    study.set("phi = \"block\"", "phi = \"off\"");
    let all = asked("http://127.0.0.1:9/v1", &here);
    assert!(all.contains("keeps a list") && all.contains("John Smith"), "{all}");
}

/// TLS before a plain server, with a certificate that a made-up hospital's own authority signed.
struct Tls {
    port: u16,
    connected: Arc<AtomicUsize>,
}

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

impl Tls {
    fn before(server: &Server) -> Self {
        let certificates = CertificateDer::pem_file_iter(format!("{CERTIFICATES}/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(format!("{CERTIFICATES}/server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates.map(Result::unwrap).collect(), key)
            .unwrap();
        let (config, behind) = (Arc::new(config), server.port());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = Arc::new(AtomicUsize::new(0));
        let count = connected.clone();
        thread::spawn(move || {
            for outer in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let session = rustls::ServerConnection::new(config.clone()).unwrap();
                thread::spawn(move || relay(rustls::StreamOwned::new(session, outer), behind));
            }
        });
        Self { port, connected }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/v1", self.port)
    }
}

/// Passes on one message after the other until somebody hangs up.
fn relay(mut outer: impl Read + Write, behind: u16) -> Option<()> {
    let mut inner = BufReader::new(TcpStream::connect(("127.0.0.1", behind)).ok()?);
    loop {
        let request = message(&mut BufReader::with_capacity(1, &mut outer))?;
        inner.get_mut().write_all(&request).ok()?;
        let answer = message(&mut inner)?;
        outer.write_all(&answer).ok()?;
        outer.flush().ok()?;
    }
}

/// One HTTP message with a body of a given length.
fn message(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let (mut whole, mut length) = (Vec::new(), 0);
    loop {
        let start = whole.len();
        if from.read_until(b'\n', &mut whole).ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&whole[start..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let start = whole.len();
    whole.resize(start + length, 0);
    from.read_exact(&mut whole[start..]).ok()?;
    Some(whole)
}

#[test]
fn a_hospitals_own_authority_is_named_in_the_project_and_in_the_error() {
    let server = Server::willing();
    let tls = Tls::before(&server);
    let study = Study::of(&made_up(4));
    for (n, host) in [(1, "localhost"), (2, "127.0.0.1")] {
        let said = study.label(&tls.url(host), &[]).with(1);
        assert!(said.contains("ca_file") && said.contains("SSL_CERT_FILE") && !said.contains("again"), "{said}");
        assert_eq!(tls.connected.load(Ordering::SeqCst), n, "it is not tried again");
    }
    let at = |url: &str, authority: &str| {
        format!("[models.ward]\nurl = \"{url}\"\nmodel = \"made-up\"\nca_file = \"{authority}\"\n\n[label]")
    };
    let named = |authority: &str| {
        let path = format!("{}/goldsmith.toml", study.root);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("[label]", &at(&tls.url("localhost"), authority), 1)).unwrap();
        let ended = Ended::of(command(&["label", "--project", &study.root]).stderr(Stdio::piped()).spawn().unwrap());
        fs::write(&path, text).unwrap();
        ended
    };
    let said = named("nowhere.pem").with(1);
    assert!(said.contains("ca_file") && said.contains("nowhere.pem"), "{said}");
    let said = named(&format!("{CERTIFICATES}/server.key")).with(1);
    assert!(said.contains("holds no certificates"), "{said}");
    assert!(server.asked().is_empty());
    named(&format!("{CERTIFICATES}/ca.pem")).with(0);
    assert_eq!(study.accounted(), (4, 0));
}

#[test]
fn nobody_is_led_to_another_host() {
    let study = Study::of(&made_up(8));
    let elsewhere = Server::willing();
    let to = format!("{}/chat/completions", elsewhere.url());
    let server = Server::start(move |query| if query.number > 2 { Act::Redirect(to.clone()) } else { Act::Ok });
    let said = study.label(&server.url(), &["--concurrency", "2"]).with(1);
    assert!(said.contains("redirects are not followed"), "{said}");
    assert_eq!((elsewhere.connected(), study.failures().len()), (0, 0));
}

#[test]
fn notes_of_mimic_are_not_open_by_a_word_in_the_file() {
    let study = Study::empty();
    let path = format!("{}/NOTEEVENTS.csv", study.root);
    let header = "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT";
    fs::write(&path, format!("{header}\n1,7,,2100-01-01,,,Nursing,Report,,,\"He forgets names. He needs help.\"\n"))
        .unwrap();
    assert!(goldsmith(&["import", &path, "--project", &study.root]).status.success());
    study.set("data_use = \"local-only\"", "data_use = \"open\"");
    study.set("allow_hosts = []", "allow_hosts = [\"192.0.2.1:9\"]");
    let said = study.label("http://192.0.2.1:9/v1", &["--timeout", "2"]).with(1);
    assert!(said.contains("MIMIC") && said.contains("agreed hosts"), "{said}");
    assert_eq!(study.count("SELECT count(*) FROM egress WHERE outcome NOT LIKE 'refused: %'"), 0);
    let server = Server::willing();
    study.label(&server.url(), &[]).with(0);
    assert_eq!(study.accounted(), (2, 0));
}

#[test]
fn no_proxy_of_the_environment_is_used() {
    let study = Study::of(&made_up(4));
    let (server, proxy) = (Server::willing(), Server::willing());
    let mut command = study.command(&server.url(), &[]);
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, proxy.url());
    }
    Ended::of(command.spawn().unwrap()).with(0);
    assert_eq!((study.accounted(), proxy.connected()), ((4, 0), 0));
}
