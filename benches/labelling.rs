//! Labelling against a server of our own on this machine.
//!
//! Without more: how near the program comes to what 64 slots and 50 ms for each answer allow, over 20,000 sentences
//! (`GOLDSMITH_BENCH_SENTENCES` makes it smaller). With `GOLDSMITH_REQUESTS=100000`: the memory that the program holds while it
//! makes so many requests to a server that answers at once, in each quarter of them.

#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/it/model_server.rs"]
mod model_server;

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use model_server::Server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_goldsmith");
/// Where the program keeps its log meanwhile.
const STATE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/state");
const SLOTS: u32 = 64;
const LATENCY: Duration = Duration::from_millis(50);
/// How often the program's memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn goldsmith(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("XDG_STATE_HOME", STATE)
        .env_remove("GOLDSMITH_PROJECT")
        .stderr(Stdio::piped());
    command
}

fn expect(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A project with so many made-up sentences.
fn project(folder: &Path, sentences: u64) -> String {
    let root = folder.join("study").to_str().unwrap().to_owned();
    expect(&mut goldsmith(&["init", &root]));
    let path = format!("{root}/notes.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for n in 0..sentences {
        let (patient, words) = (n % 997, "came by bus with her daughter and reads the paper every morning");
        writeln!(file, r#"{{"id": "{n}", "patient": "p{patient}", "text": "Person {n} {words}."}}"#).unwrap();
    }
    drop(file);
    expect(&mut goldsmith(&["import", &path, "--unit", "sentence", "--project", &root]));
    root
}

fn label(root: &str, server: &Server) -> Child {
    let slots = SLOTS.to_string();
    let url = server.url();
    goldsmith(&["label", "--project", root, "--url", &url, "--concurrency", &slots]).spawn().unwrap()
}

/// What a process holds: bytes of its own, and bytes of mapped files (the store), which are the system's to take back.
type Held = (u64, u64);

fn held(pid: u32) -> Option<Held> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()? * 1024)
    };
    Some((bytes("RssAnon:")?, bytes("RssFile:")?))
}

/// Waits for the end while looking at it; gives requests answered and what is held at each look.
fn watch(mut child: Child, server: &Server) -> Vec<(u64, Held)> {
    let mut seen = Vec::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(held(child.id()).map(|held| (server.served(), held)));
        thread::sleep(LOOK);
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    seen
}

fn throughput(sentences: u64) {
    let folder = tempfile::tempdir().unwrap();
    let root = project(folder.path(), sentences);
    let server = Server::light(LATENCY);
    let began = Instant::now();
    let child = label(&root, &server);
    while server.served() == 0 {
        thread::yield_now();
    }
    let first = Instant::now();
    while server.served() < sentences {
        thread::sleep(Duration::from_millis(1));
    }
    let answered = first.elapsed();
    watch(child, &server);
    let whole = began.elapsed();
    let possible = f64::from(SLOTS) / LATENCY.as_secs_f64();
    for (what, time) in [("from first to last answer", answered), ("with start, probe and end", whole)] {
        let rate = sentences as f64 / time.as_secs_f64();
        println!(
            "{sentences} requests {what}: {:.2} s, {rate:.0} a second, {:.1} % of {possible:.0}",
            time.as_secs_f64(),
            100.0 * rate / possible
        );
    }
}

fn memory(requests: u64) {
    let folder = tempfile::tempdir().unwrap();
    let root = project(folder.path(), requests);
    let server = Server::light(Duration::ZERO);
    let began = Instant::now();
    let seen = watch(label(&root, &server), &server);
    let seconds = began.elapsed().as_secs_f64();
    println!("{requests} requests in {seconds:.1} s: {:.0} a second", requests as f64 / seconds);
    for quarter in 0..4 {
        let of = requests * quarter / 4..requests * (quarter + 1) / 4;
        let looks: Vec<Held> = seen.iter().filter(|(served, _)| of.contains(served)).map(|(_, held)| *held).collect();
        let mean = |bytes: fn(&Held) -> u64| {
            looks.iter().map(|held| bytes(held) as f64).sum::<f64>() / looks.len().max(1) as f64 / f64::from(1 << 20)
        };
        let (own, mapped) = (mean(|held| held.0), mean(|held| held.1));
        println!("quarter {}: {own:.1} MiB of its own, {mapped:.1} MiB of mapped files", quarter + 1);
    }
}

fn main() {
    match number("GOLDSMITH_REQUESTS") {
        Some(requests) => memory(requests),
        None => throughput(number("GOLDSMITH_BENCH_SENTENCES").unwrap_or(20_000)),
    }
}
