//! Bytes that nobody meant, for every reader of what comes from elsewhere: seeds, changed by a generator with a seed.
//!
//! `fuzz/` hands the same targets to a fuzzer. Each target runs in a process of its own, so that an end of the process, by a
//! full stack or for want of memory, is seen too.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use goldsmith::fuzzing::{FuzzTarget, targets};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Inputs of a target, unless it is given a time (`GOLDSMITH_FUZZ_SECONDS`).
const INPUTS: usize = 600;
/// No input is longer, in bytes.
const LONGEST: usize = 64 << 10;
/// No input of that length takes the processor so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(10);
/// And none takes so long by the clock, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a target may map, in bytes: whoever wants more believed a number in a file.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 4 << 30;

/// The variables that tell a process of its own what to do.
const TARGET: &str = "GOLDSMITH_FUZZ_TARGET";
const INPUT: &str = "GOLDSMITH_FUZZ_INPUT";
const SECONDS: &str = "GOLDSMITH_FUZZ_SECONDS";
const SEED: &str = "GOLDSMITH_FUZZ_SEED";

/// Pieces that readers look for, and what is at the edge of what they take.
const TOKENS: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\u{",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "]]",
    "(",
    ")",
    ",",
    ":",
    "=",
    ".",
    "\n",
    "\r\n",
    "\t",
    "\0",
    " ",
    "#",
    "'",
    "'''",
    "\"\"\"",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "{\"",
    "\":",
    "\",\"",
    "-",
    "-1",
    "0",
    "1e999",
    "-0.0",
    "nan",
    "inf",
    "NaN",
    "1e-999",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "4294967296",
    "253402300799999",
    "9007199254740993",
    "0x7f",
    "0.0.0.0",
    "::1",
    "é",
    "ß",
    "İ",
    "ﬀ",
    "\u{301}",
    "\u{200b}",
    "\u{202e}",
    "\u{2028}",
    "\u{feff}",
    "\u{a0}",
    "\u{1b}[2J",
    "🧑‍⚕️",
    "\u{10ffff}",
    "text",
    "label",
    "patient",
    "id",
    "{% ",
    " %}",
    "{{ ",
    " }}",
    "{% for m in messages %}",
    "{% endfor %}",
    "{% if 1 %}",
    "{% macro m() %}{{ m() }}{% endmacro %}",
    "{{ m() }}",
    " ~ 'a' * 9999",
    " | upper",
    "|tojson",
    ".strip(",
    "[::-1]",
    "[1:",
    "range(99999)",
    "namespace(x=[])",
    "<think>",
    "</think>",
    "```json",
    "\"label\":",
    "\"labels\":",
    "\"answers\":",
    "\"evidence\":",
    "\"confidence\":",
    "is:",
    "mine:",
    "gold:none",
    "doubt:",
    "split:",
    "ctrl-",
    "f1",
    "f0",
    "f99",
    "shift-",
    "{\"end\":",
    "{\"event\":",
    "\"kind\":\"undo\"",
    "\"target\":",
    "\"start\":",
    "\"supersedes\":[",
    "age-encryption.org/v1",
    "-----BEGIN AGE",
    "\u{1f}\u{8b}",
    "[[category]]",
    "[[expert]]",
    "key =",
    "was = [",
    "shortcut =",
    "[models.x]",
    "hosts = [",
    "#ffffff",
    "#f",
    "#€€",
    "GGUF",
    "__metadata__",
    "\"dtype\":\"F64\"",
    "\"shape\":[",
    "data_offsets",
    "[**",
    "**]",
    "123-45-6789",
    "Dr. ",
    "e.g. ",
    "12/31/1999",
    "a@b.c",
    "...",
    "1. ",
];

/// Numbers at the edges, as binary formats have them.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where a target keeps the input that it is at: after it has failed, the one that it failed on.
fn current_input(target: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target)
}

fn read_below(path: &Path, found: &mut Vec<Vec<u8>>) {
    if !path.is_dir() {
        let mut bytes = std::fs::read(path).unwrap();
        bytes.truncate(LONGEST);
        found.push(bytes);
        return;
    }
    let mut below: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    below.sort();
    below.iter().for_each(|path| read_below(path, found));
}

/// The seeds of a target: its folder in `fuzz/corpus`, and what `fuzz/seeds.txt` names besides.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let own = root().join("fuzz/corpus").join(target);
    if own.exists() {
        read_below(&own, &mut found);
    }
    for line in std::fs::read_to_string(root().join("fuzz/seeds.txt")).unwrap().lines() {
        let mut words = line.split(' ');
        if words.next() == Some(target) {
            words.for_each(|path| read_below(&root().join(path), &mut found));
        }
    }
    found
}

/// A place in bytes and some of what follows it, mostly little.
fn piece(random: &mut ChaCha8Rng, bytes: &[u8]) -> std::ops::Range<usize> {
    let start = random.random_range(0..=bytes.len());
    let most = if random.random_ratio(1, 4) { bytes.len() } else { 32 };
    start..(start + random.random_range(0..=most)).min(bytes.len())
}

/// One change.
fn change(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = random.random_range(0..=bytes.len());
    match random.random_range(0..11) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = random.random(),
        2 => drop(bytes.drain(piece(random, bytes))),
        3 => bytes.truncate(at),
        4 => {
            let copied = bytes[piece(random, bytes)].to_vec();
            let times = [1, 2, 3, 100, 10_000][random.random_range(0..5)];
            let times = times.min(LONGEST / copied.len().max(1));
            bytes.splice(at..at, copied.repeat(times));
        }
        5 => {
            let edge = EDGES.choose(random).unwrap().to_le_bytes();
            let wide = 1 << random.random_range(0..4);
            let end = (at + wide).min(bytes.len());
            bytes.splice(at..end, edge[..wide].iter().copied());
        }
        6 => {
            let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            if let Some(start) = digits.choose(random) {
                let end = (*start..bytes.len()).find(|at| !bytes[*at].is_ascii_digit()).unwrap_or(bytes.len());
                let edge = EDGES.choose(random).unwrap().to_string();
                bytes.splice(start..&end, edge.into_bytes());
            }
        }
        7 => {
            let other = seeds.choose(random).unwrap();
            let taken = other[piece(random, other)].to_vec();
            let over = if random.random() { piece(random, bytes) } else { at..at };
            bytes.splice(over, taken);
        }
        8 => {
            let token = TOKENS.choose(random).unwrap();
            let times = [2, 100, 1_000, LONGEST][random.random_range(0..4)].min(LONGEST / token.len());
            bytes.splice(at..at, token.repeat(times).into_bytes());
        }
        _ => drop(bytes.splice(at..at, TOKENS.choose(random).unwrap().bytes())),
    }
    bytes.truncate(LONGEST);
}

/// The number that a variable gives.
fn number(variable: &str) -> Option<u64> {
    let said = std::env::var(variable).ok()?;
    Some(said.parse().unwrap_or_else(|_| panic!("{variable} is {said}, and no whole number")))
}

/// The processor's time that this process has taken, in all its threads; none where that is not known.
fn processor_time() -> Duration {
    let about = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything; in hundredths of a second.
    let fields = about.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}

/// Hands a target its inputs; gives their number. The process ends where one takes too long.
fn run(name: &str, target: FuzzTarget, inputs: impl Iterator<Item = Vec<u8>>) -> usize {
    let file = current_input(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let now = || Some((Instant::now(), processor_time()));
    let begun = Mutex::new(now());
    let mut count = 0;
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            loop {
                // A copy: who holds the lock while it waits holds up every input.
                let since = *begun.lock().unwrap();
                let Some((since, before)) = since else { break };
                if processor_time() - before > DEADLINE || since.elapsed() > PATIENCE {
                    eprintln!("an input takes more than {} s", DEADLINE.as_secs());
                    std::process::abort();
                }
                thread::park_timeout(Duration::from_millis(200));
            }
        });
        for bytes in inputs {
            std::fs::write(&file, &bytes).unwrap();
            *begun.lock().unwrap() = now();
            let ended = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
            if ended.is_err() {
                // The scope would wait for the watcher.
                eprintln!("an input makes it panic");
                std::process::abort();
            }
            count += 1;
        }
        *begun.lock().unwrap() = None;
        watcher.thread().unpark();
    });
    std::fs::remove_file(&file).unwrap();
    count
}

/// One target in this process: its seeds and what becomes of them, or the one input in `GOLDSMITH_FUZZ_INPUT`.
#[test]
#[ignore = "started by `no_file_makes_the_program_panic_or_hang`, once for each target"]
fn one_target() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) }).unwrap();
        // What is named is the input; a core would only fill the disk.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    }
    let name = std::env::var(TARGET).unwrap_or_else(|_| panic!("{TARGET} names no target"));
    let (name, target) = targets().iter().find(|(target, _)| *target == name).expect("there is no such target");
    if let Some(path) = std::env::var_os(INPUT) {
        run(name, *target, std::iter::once(std::fs::read(path).unwrap()));
        return;
    }
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut random = ChaCha8Rng::seed_from_u64(number(SEED).unwrap_or(0));
    let until = number(SECONDS).map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut made = 0;
    let changed = std::iter::from_fn(|| {
        made += 1;
        if until.map_or(made > INPUTS, |until| Instant::now() > until) {
            return None;
        }
        let mut bytes = seeds.choose(&mut random).unwrap().clone();
        for _ in 0..random.random_range(1..=6) {
            change(&mut random, &mut bytes, &seeds);
        }
        Some(bytes)
    });
    let count = run(name, *target, seeds.iter().cloned().chain(changed));
    println!("{name}: {count} inputs");
}

/// The process of one target, with an input or without.
fn process(target: &str, input: Option<&Path>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "it::fuzz::one_target", "--ignored", "--nocapture"]).env(TARGET, target);
    command.env_remove(INPUT).env_remove("GOLDSMITH_KEY_PASSPHRASE").env("RUST_BACKTRACE", "0");
    if let Some(input) = input {
        command.env(INPUT, input);
    }
    command.output().unwrap()
}

#[test]
fn no_file_makes_the_program_panic_or_hang() {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((name, _)) = targets().get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let output = process(name, None);
                    let said = String::from_utf8_lossy(&output.stdout);
                    let count = said.lines().find(|line| line.ends_with(" inputs"));
                    if let (true, Some(count)) = (output.status.success(), count) {
                        println!("{count} in {:.1} s", begun.elapsed().as_secs_f64());
                        continue;
                    }
                    let errors = String::from_utf8_lossy(&output.stderr);
                    let last: Vec<&str> = errors.lines().rev().take(6).collect();
                    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                    let input = current_input(name);
                    failed.lock().unwrap().push(format!(
                        "{name} fails ({}) on {}:\n{last}\nagain: {TARGET}={name} {INPUT}={} \
                         cargo test --test main it::fuzz::one_target -- --exact --ignored",
                        output.status,
                        input.display(),
                        input.display()
                    ));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn every_target_has_seeds_and_a_fuzzer() {
    let names: BTreeSet<String> = targets().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.len(), targets().len(), "two targets have one name");
    for name in &names {
        assert!(!seeds(name).is_empty(), "{name} has no seeds");
    }
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let fuzzers = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap().to_owned());
    assert_eq!(fuzzers.collect::<BTreeSet<_>>(), names, "fuzz/Cargo.toml has other fuzzers");
    for entry in std::fs::read_dir(root().join("fuzz/corpus")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "fuzz/corpus/{name} is no target's");
    }
}
