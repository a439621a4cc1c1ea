//! Disks as they should not be: full at every step, without locks or shared memory, read-only. What is said is true then, both
//! of two places change or none, and whoever only reads still can.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::support::{PROGRAM, command, goldsmith, program, succeeds};

/// A library that makes such a disk of a folder; `None`, with a word, where nothing can build it.
fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("disk.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/disk.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&out).arg(source).arg("-ldl");
        match cc.output() {
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(out)
            }
            Err(error) => {
                eprintln!("skipped: no C compiler ({error})");
                None
            }
        }
    };
    BUILT.get_or_init(build).as_deref().filter(|_| cfg!(target_os = "linux"))
}

/// The program where the disk below `at` has a fault: `DISK_ROOM`, `DISK_LOCKS` or `DISK_MEMORY`.
fn on(library: &Path, at: &Path, fault: (&str, &str), arguments: &[&str]) -> Output {
    command(arguments).env("LD_PRELOAD", library).env("DISK_AT", at).env(fault.0, fault.1).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const KINDS: [(&str, &str); 3] = [
    ("She forgets names and dates", "cognitive_impairment"),
    ("He needs help to dress", "requires_assistance"),
    ("Blood pressure is fine today", "None"),
];

/// A project with gold of many patients, and a model's labels.
fn study(folder: &Path) -> PathBuf {
    let root = folder.join("study");
    succeeds(&["init", text(&root)]);
    let mut table = "id,patient,text,label\n".to_owned();
    for i in 0..90 {
        let (said, label) = KINDS[i % 3];
        table += &format!("{i},p{},{said} number {i}.,{label}\n", i % 30);
    }
    let file = folder.join("gold.csv");
    fs::write(&file, table).unwrap();
    for who in [["--annotator", "ann"], ["--model", "some-llm"]] {
        let import = ["import", text(&file), "--unit", "sentence", "--project", text(&root)];
        assert!(goldsmith(&[&import[..], &who].concat()).status.success());
    }
    root
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => assert!(fs::copy(&path, &target).is_ok()),
        }
    }
}

/// Every file below a folder with its bytes. The index that processes share may be made anew, and says nothing of its own; so
/// does an empty write-ahead log.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.retain(|(path, bytes)| match path.extension().and_then(|end| end.to_str()) {
        Some("db-shm") => false,
        Some("db-wal") => !bytes.is_empty(),
        _ => true,
    });
    all.sort();
    all
}

fn number(root: &Path, sql: &str) -> i64 {
    let store = rusqlite::Connection::open(root.join("goldsmith.db")).unwrap();
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// So many bytes more are there at each try; `GOLDSMITH_DISK_STEP=1` tries every byte, in hours.
fn step() -> usize {
    std::env::var("GOLDSMITH_DISK_STEP").map_or(6_007, |step| step.parse().unwrap())
}

/// Runs a verb on copies of a project while the disk has room for ever more bytes, until it succeeds. After each try `holds` is
/// asked with the folder, and with whether it succeeded; and where it did not, the same command does once there is room.
fn walk(template: &Path, verb: &dyn Fn(&Path) -> Vec<String>, holds: &dyn Fn(&Path, bool)) -> usize {
    let Some(library) = library() else { return 0 };
    let folder = tempfile::tempdir().unwrap();
    let (mut room, mut failed) = (0, 0);
    loop {
        let root = folder.path().join(format!("at-{room}"));
        copy(template, &root);
        let arguments = verb(&root);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = on(library, folder.path(), ("DISK_ROOM", &room.to_string()), &arguments);
        let done = output.status.success();
        let place = format!("with room for {room} bytes: {}", said(&output));
        if !done {
            failed += 1;
            assert_eq!(output.status.code(), Some(1), "{place}");
            assert!(said(&output).contains("cannot write") || said(&output).contains("No space left"), "{place}");
        }
        holds(&root, done);
        if done {
            return failed;
        }
        let again = goldsmith(&arguments);
        assert!(again.status.success(), "{place}, then {}", said(&again));
        holds(&root, true);
        fs::remove_dir_all(&root).unwrap();
        room += step();
    }
}

fn words(verb: &str, root: &Path) -> Vec<String> {
    verb.split(' ').map(str::to_owned).chain(["--project".to_owned(), text(root).to_owned()]).collect()
}

#[test]
fn a_change_of_categories_is_in_the_file_and_in_the_log_or_in_neither_however_full_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    let renamed = folder.path().join("renamed");
    copy(&study, &renamed);
    succeeds(&["taxonomy", "rename", "cognitive_impairment", "memory", "--yes", "--project", text(&renamed)]);
    let by_hand = folder.path().join("by-hand");
    copy(&study, &by_hand);
    let file = by_hand.join("taxonomy.toml");
    let changed = fs::read_to_string(&file)
        .unwrap()
        .replace("key = \"cognitive_impairment\"", "key = \"memory\"\nwas = [\"cognitive_impairment\"]");
    fs::write(&file, changed).unwrap();
    for (template, verb, same_file) in [
        (&study, "taxonomy rename cognitive_impairment memory --yes", false),
        (&study, "taxonomy merge cognitive_impairment requires_assistance --into help --name Help --yes", false),
        (&study, "taxonomy split cognitive_impairment --into memory,orientation --yes", false),
        (&renamed, "taxonomy undo --yes", false),
        (&by_hand, "taxonomy migrate --yes", true),
    ] {
        let count = "SELECT count(*) FROM events WHERE kind = 'recast'";
        let (before, was) = (number(template, count), fs::read(template.join("taxonomy.toml")).unwrap());
        let failed = walk(template, &|root| words(verb, root), &|root, done| {
            assert_eq!(number(root, count), before + i64::from(done), "{verb}");
            let now = fs::read(root.join("taxonomy.toml")).unwrap();
            assert_eq!(now == was, same_file || !done, "{verb}: the file");
            let hidden = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert_eq!(hidden.filter(|name| name.starts_with('.')).collect::<Vec<_>>(), [""; 0], "{verb}");
            // What was changed by hand waits to be taken over; everything else can be worked with.
            if done || !same_file {
                assert!(succeeds(&["audit", "--project", text(root)]).contains("intact"), "{verb}");
                succeeds(&["status", "--project", text(root)]);
            }
        });
        assert!(failed > 5 || library().is_none(), "{verb}: {failed}");
    }
}

/// Killed between the entry and the file, or before the entry: the next command ends it, whichever that is.
#[test]
fn a_change_of_categories_that_was_broken_off_is_ended_by_the_next_command() {
    let folder = tempfile::tempdir().unwrap();
    let root = study(folder.path());
    let file = root.join("taxonomy.toml");
    let before = fs::read(&file).unwrap();
    succeeds(&["taxonomy", "rename", "cognitive_impairment", "memory", "--yes", "--project", text(&root)]);
    let after = fs::read(&file).unwrap();
    let entry: String = rusqlite::Connection::open(root.join("goldsmith.db"))
        .unwrap()
        .query_row("SELECT id FROM events WHERE kind = 'recast'", [], |row| row.get(0))
        .unwrap();
    let waiting = |id: &str| root.join(format!(".taxonomy.toml.{id}.waiting"));
    fs::rename(&file, waiting(&entry)).unwrap();
    fs::write(&file, &before).unwrap();
    fs::write(waiting("0198-of-no-entry"), "name = \"half of").unwrap();
    succeeds(&["status", "--project", text(&root)]);
    assert_eq!(fs::read(&file).unwrap(), after);
    assert!(!waiting(&entry).exists() && !waiting("0198-of-no-entry").exists());
}

#[test]
fn what_is_written_in_two_places_is_in_both_or_in_none_however_full_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    let nothing = folder.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    walk(&nothing, &|root| vec!["init".into(), text(&root.join("new")).into()], &|root, done| {
        assert_eq!(fs::read_dir(root).unwrap().count(), usize::from(done));
    });
    // A bundle, and that it was written: what is in none is in the next.
    let marked = "SELECT count(*) FROM meta WHERE key LIKE 'bundled%'";
    assert_eq!(number(&study, marked), 0);
    walk(&study, &|root| words(&format!("bundle {} --new", text(&root.join("out.gz"))), root), &|root, done| {
        assert_eq!((root.join("out.gz").exists(), number(root, marked)), (done, i64::from(done)));
    });
    let trained = "SELECT count(*) FROM runs WHERE kind = 'train' AND outcome = 'finished'";
    walk(&study, &|root| words("train", root), &|root, done| {
        assert_eq!(number(root, trained), i64::from(done));
        for model in fs::read_dir(root.join("models")).into_iter().flatten() {
            let model = model.unwrap().path();
            // A model that the store was not told of is whole, and can be named.
            succeeds(&["score", "--model", text(&model), "--project", text(root)]);
        }
        assert!(!done || root.join("models").is_dir());
    });
    let requests = |root: &Path| root.join("requests.jsonl");
    let batch = |root: &Path| {
        let server = "--url http://127.0.0.1:9/v1 --model made-up --examples 0 --limit 20";
        words(&format!("label --export-batch {} {server}", text(&requests(root))), root)
    };
    walk(&study, &batch, &|root, done| {
        let lines = fs::read_to_string(requests(root)).map_or(0, |file| file.lines().count());
        assert_eq!(lines, if done { 20 } else { 0 });
        // Its run may be known already: the same requests go out under the same ids.
        let run = number(root, "SELECT count(*) FROM runs WHERE model = 'made-up'");
        assert!(run == 1 || !done && run == 0, "{run}");
    });
    let cells = "experiment --models ngram --tasks multi --sets gold,gold+silver --seeds 1";
    let report = |root: &Path| words(&format!("{cells} --out {}", text(&root.join("report"))), root);
    walk(&study, &report, &|root, done| {
        let written: Vec<_> = fs::read_dir(root.join("report")).into_iter().flatten().map(Result::unwrap).collect();
        assert!(!written.is_empty() || !done);
        for file in written {
            assert_ne!(file.metadata().unwrap().len(), 0, "{:?}", file.path());
            assert!(!file.file_name().to_string_lossy().starts_with('.'), "{:?}", file.path());
        }
        let finished = "SELECT count(*) FROM runs WHERE kind = 'experiment' AND outcome = 'finished'";
        // What was measured stays, also where its report could not be written.
        assert!(number(root, finished) > 0 || !done);
    });
    let more = folder.path().join("more.jsonl");
    let lines = (0..300).map(|i| format!("{{\"id\": \"m{i}\", \"patient\": \"q{i}\", \"text\": \"Number {i}.\"}}\n"));
    fs::write(&more, lines.collect::<String>()).unwrap();
    walk(&study, &|root| words(&format!("import {} --unit sentence", text(&more)), root), &|root, done| {
        let sentences = number(root, "SELECT count(*) FROM sentences");
        // A batch that was saved stays, also where the end of the import could not be written.
        assert!(sentences == 390 || !done && (90..390).contains(&sentences), "{sentences}");
    });
    let table = |root: &Path| root.join("log.csv");
    fs::write(table(&study), "an earlier one").unwrap();
    walk(&study, &|root| words(&format!("audit --csv {}", text(&table(root))), root), &|root, done| {
        assert_eq!(fs::read_to_string(table(root)).unwrap() == "an earlier one", !done);
    });
}

#[test]
fn a_file_system_without_locks_or_shared_memory_is_named_at_once() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = study(folder.path());
    let (new, gold) = (folder.path().join("new"), folder.path().join("gold.csv"));
    for (fault, what) in [(("DISK_LOCKS", "none"), "lock"), (("DISK_MEMORY", "none"), "share memory")] {
        let import = ["import", text(&gold), "--project", text(&root)];
        for arguments in [&["init", text(&new)][..], &["status", "--project", text(&root)], &import] {
            let begun = Instant::now();
            let output = on(library, folder.path(), fault, arguments);
            let wanted =
                format!("is on a file system that cannot {what} (a network share?): keep the project on a local disk");
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            assert!(said(&output).contains(&wanted), "{arguments:?}: {}", said(&output));
            // A lock that somebody holds is waited for, 20 seconds.
            assert!(begun.elapsed() < Duration::from_secs(10), "{arguments:?}");
        }
        assert!(!new.exists());
    }
    succeeds(&["status", "--project", text(&root)]);
}

/// Verbs that only read, with a word that shows that they did.
const READING: [(&str, &str); 14] = [
    ("status", "expert"),
    ("metrics", "some-llm"),
    ("agreement --json", "{"),
    ("export gold", "forgets"),
    ("export gold --csv --votes", "ann"),
    ("audit", "intact"),
    ("audit --log", "ann"),
    ("check", "ok"),
    ("taxonomy versions", "in use"),
    ("runs", "some-llm"),
    ("egress --json", ""),
    ("score", "F1"),
    ("queue --last --json", "ranked"),
    ("bronze --json", "comparison"),
];

/// A project that was closed, and one that was left by a killed process: with its write-ahead log, and the index to that or not.
fn left(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let root = study(folder);
    let (killed, bare) = (folder.join("killed"), folder.join("killed-without-index"));
    // While somebody has it open, nobody takes the log into the file at the end.
    let held = rusqlite::Connection::open(root.join("goldsmith.db")).unwrap();
    held.query_row("SELECT count(*) FROM meta", [], |_| Ok(())).unwrap();
    succeeds(&["train", "--project", text(&root)]);
    copy(&root, &killed);
    copy(&root, &bare);
    assert!(fs::metadata(bare.join("goldsmith.db-wal")).unwrap().len() > 0);
    fs::remove_file(bare.join("goldsmith.db-shm")).unwrap();
    drop(held);
    vec![("closed", root), ("killed", killed), ("killed, without the index", bare)]
}

/// Runs every reading verb on a disk where nothing can be written, and holds it to what it says elsewhere.
fn reads(left: &[(&str, PathBuf)], run: &dyn Fn(&Path, &[&str]) -> Output) {
    for (state, root) in left {
        let before = files(root);
        for (verb, word) in READING {
            let arguments = words(verb, root);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = run(root, &arguments);
            let place = format!("{state}: {verb}: {}", said(&output));
            assert!(matches!(output.status.code(), Some(0 | 3)), "{place}");
            assert!(String::from_utf8_lossy(&output.stdout).contains(word), "{place}");
            assert_eq!(files(root), before, "{place}");
        }
    }
}

#[test]
fn reading_verbs_work_on_a_full_disk_and_change_nothing() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let left = left(folder.path());
    reads(&left, &|_, arguments| on(library, folder.path(), ("DISK_ROOM", "0"), arguments));
    let output = on(library, folder.path(), ("DISK_ROOM", "0"), &["status", "--project", text(&left[0].1)]);
    assert!(said(&output).contains("it is read as it stands, and nothing is changed"), "{}", said(&output));
    let output = on(library, folder.path(), ("DISK_ROOM", "0"), &["train", "--project", text(&left[0].1)]);
    assert!(output.status.code() == Some(1) && said(&output).contains("cannot write"), "{}", said(&output));
}

/// In a mount that is read-only, even for root; skipped where none can be made.
#[test]
fn reading_verbs_work_on_a_read_only_disk() {
    let folder = tempfile::tempdir().unwrap();
    let left = left(folder.path());
    let mounted = |root: &Path, arguments: &[&str]| {
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
        let shell = ["-rm", "sh", "-c", script, text(root), PROGRAM];
        program("unshare", &[&shell[..], arguments].concat()).output()
    };
    match mounted(&left[0].1, &["--version"]) {
        Ok(output) if output.status.success() => {}
        other => return eprintln!("skipped: nothing can be mounted here ({other:?})"),
    }
    reads(&left, &|root, arguments| mounted(root, arguments).unwrap());
    let output = mounted(&left[0].1, &["status", "--project", text(&left[0].1)]).unwrap();
    assert!(said(&output).contains("it is read as it stands, and nothing is changed"), "{}", said(&output));
    let output = mounted(&left[0].1, &["train", "--project", text(&left[0].1)]).unwrap();
    assert!(output.status.code() == Some(1) && said(&output).contains("cannot write"), "{}", said(&output));
}
