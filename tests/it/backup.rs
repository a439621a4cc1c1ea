//! Backups while others work, what they hold, how many are kept, and how one is put back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::support::{Screen, ends, fails, goldsmith, succeeds};
use super::terminal::{numbered, project};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn decisions(store: &Path) -> i64 {
    let store = rusqlite::Connection::open(store).unwrap();
    store.query_row("SELECT count(*) FROM events WHERE kind = 'decide'", [], |row| row.get(0)).unwrap()
}

fn backup(root: &str, more: &[&str]) -> PathBuf {
    let made = succeeds(&[&["backup", "--project", root], more].concat());
    PathBuf::from(made.trim())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_made_while_somebody_decides_and_is_put_back() {
    let (_folder, root) = project(&numbered(5).iter().map(String::as_str).collect::<Vec<_>>());
    let root = Path::new(&root);
    let mut screen = Screen::open(&["--project", text(root), "--as", "ann"], 80, 24);
    screen.shows("Sentence number 0");
    screen.type_keys("1");
    screen.shows("1 of 5 decided");
    let made = backup(text(root), &[]);
    assert_eq!(made.parent().unwrap(), root.join("backups"));
    assert_eq!(names(&made), ["goldsmith.db", "goldsmith.toml", "taxonomy.toml"]);
    assert_eq!(fs::read(made.join("taxonomy.toml")).unwrap(), fs::read(root.join("taxonomy.toml")).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&made), mode(&made.join("goldsmith.db"))), (0o700, 0o600));
    screen.type_keys("1");
    screen.shows("2 of 5 decided");
    // Somebody has the store open; with what is there, nothing is put back unasked.
    let restore = ["restore", text(&made), "--project", text(root)];
    assert!(fails(&restore).contains("is there already; nothing was changed"));
    let replace = [&restore[..], &["--replace"]].concat();
    assert!(fails(&replace).contains("somebody has"), "{}", fails(&replace));
    screen.type_keys("q");
    assert_eq!(screen.wait().0, 0);
    assert_eq!((decisions(&root.join("goldsmith.db")), decisions(&made.join("goldsmith.db"))), (2, 1));
    // At no moment is there none.
    let (store, ended) = (root.join("goldsmith.db"), AtomicBool::new(false));
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                assert!(store.exists(), "the store is away while another takes its place");
            }
        });
        let output = goldsmith(&replace);
        ended.store(true, Ordering::Relaxed);
        output
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("what was there is"), "{said}");
    let kept: Vec<String> = names(root).into_iter().filter(|name| name.contains(".before-")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((decisions(&root.join("goldsmith.db")), decisions(&root.join(&kept[0]))), (1, 2));
    assert!(succeeds(&["audit", "--project", text(root)]).contains("intact"));
    // And onto a new disk, where nothing is left of the project.
    let elsewhere = root.parent().unwrap().join("elsewhere");
    succeeds(&["restore", text(&made), "--project", text(&elsewhere)]);
    assert_eq!(names(&elsewhere), ["goldsmith.db", "goldsmith.toml", "taxonomy.toml"]);
    assert!(succeeds(&["audit", "--project", text(&elsewhere)]).contains("intact: 2 events"));
    assert_eq!(fs::read(elsewhere.join("goldsmith.toml")).unwrap(), fs::read(root.join("goldsmith.toml")).unwrap());
}

#[test]
fn the_newest_backups_are_kept_and_nothing_else_is_removed() {
    let (_folder, root) = project(&["She forgets names."]);
    let folder = Path::new(&root).parent().unwrap().join("safe");
    let old = |name: &str| folder.join(name);
    for name in ["2020-01-01T00-00-00Z", "2021-01-01T00-00-00Z", "2022-01-01T00-00-00Z", "before the move"] {
        fs::create_dir_all(old(name)).unwrap();
        fs::write(old(name).join("goldsmith.db"), "").unwrap();
    }
    // Named so by somebody else: there is no store in it.
    fs::create_dir_all(old("2019-01-01T00-00-00Z")).unwrap();
    let to = ["--to", text(&folder), "--keep", "2"];
    let made = backup(&root, &to);
    let made = made.file_name().unwrap().to_str().unwrap();
    assert_eq!(names(&folder), ["2019-01-01T00-00-00Z", "2022-01-01T00-00-00Z", made, "before the move"]);
    // A clock that went back takes away older ones all the same, and never the one that was just made.
    fs::create_dir(old("2999-01-01T00-00-00Z")).unwrap();
    fs::write(old("2999-01-01T00-00-00Z").join("goldsmith.db"), "").unwrap();
    let again = backup(&root, &["--to", text(&folder), "--keep", "1"]);
    assert_eq!(
        names(&folder),
        ["2019-01-01T00-00-00Z", again.file_name().unwrap().to_str().unwrap(), "before the move"]
    );
    assert!(ends(&["backup", "--keep", "0", "--project", &root], 2).contains("--keep"));
}

#[test]
fn what_is_no_sound_copy_is_not_put_back_and_takes_no_place() {
    let (_folder, root) = project(&["She forgets names.", "Walks with a stick."]);
    let root = Path::new(&root);
    let decide = "id,patient,text,label\n0,p0,She forgets names.,requires_assistance\n";
    let file = root.join("gold.csv");
    fs::write(&file, decide).unwrap();
    let import = ["import", text(&file), "--unit", "sentence", "--annotator", "ann", "--project", text(root)];
    assert!(goldsmith(&import).status.success());
    let made = backup(text(root), &[]);
    let good = fs::read(made.join("goldsmith.db")).unwrap();
    let before = fs::read(root.join("goldsmith.db")).unwrap();
    let restore = ["restore", text(&made), "--replace", "--project", text(root)];
    let refused = |wanted: &str| {
        let said = fails(&restore);
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert_eq!(fs::read(root.join("goldsmith.db")).unwrap(), before);
        assert!(
            names(root).iter().all(|name| !name.contains(".before-") && !name.starts_with('.')),
            "{:?}",
            names(root)
        );
    };
    let mut bytes = good.clone();
    let half = bytes.len() / 2;
    bytes.truncate(half);
    fs::write(made.join("goldsmith.db"), &bytes).unwrap();
    refused("damaged");
    fs::write(made.join("goldsmith.db"), &good).unwrap();
    let changed = rusqlite::Connection::open(made.join("goldsmith.db")).unwrap();
    changed.execute_batch("DROP TRIGGER events_are_never_changed; UPDATE events SET annotator = 'eve'").unwrap();
    drop(changed);
    refused("is not as it was written");
    fs::write(made.join("goldsmith.db"), &good).unwrap();
    fs::remove_file(made.join("taxonomy.toml")).unwrap();
    refused("is no backup");
    // What was changed is copied as it is, for whoever looks into it, and said.
    let changed = rusqlite::Connection::open(root.join("goldsmith.db")).unwrap();
    changed.execute_batch("DROP TRIGGER events_are_never_changed; UPDATE events SET annotator = 'eve'").unwrap();
    drop(changed);
    let count = names(&root.join("backups")).len();
    let said = fails(&["backup", "--keep", "1", "--project", text(root)]);
    assert!(said.contains("is not as it was written") && said.contains("no earlier backup was removed"), "{said}");
    assert_eq!(names(&root.join("backups")).len(), count + 1);
}

/// A store that was damaged is what a backup is for.
#[test]
fn a_damaged_store_is_kept_beside_and_replaced() {
    let (_folder, root) = project(&["She forgets names."]);
    let root = Path::new(&root);
    let made = backup(text(root), &[]);
    fs::write(root.join("goldsmith.db"), vec![b'x'; 50_000]).unwrap();
    assert!(fails(&["status", "--project", text(root)]).contains("damaged"));
    succeeds(&["restore", text(&made), "--replace", "--project", text(root)]);
    assert!(succeeds(&["check", "--project", text(root)]).starts_with("ok"));
    assert!(names(root).iter().all(|name| !name.starts_with('.')), "{:?}", names(root));
}
