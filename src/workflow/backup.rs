//! Copies of a project that can take its place: made while others work, looked through before they count, and put back.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::identity;
use super::project::{Project, make_private_folder};
use super::store_key::StoreKey;
use super::unfinished;
use super::{Cancel, Progress, Watch, WorkflowError, now};
use crate::domain::key_map::KeyMap;
use crate::domain::person::Role;
use crate::domain::secret::Secret;
use crate::formats::project::{self, FILE_NAME};
use crate::formats::{FormatError, read_text, replace, taxonomy, write_whole};
use crate::plain_file;
use crate::store::{ChainAudit, Store, StoreError};
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::session::Session;

/// What the files of a backup are called, whatever they are called in the project.
const STORE: &str = "goldsmith.db";
const TAXONOMY: &str = "taxonomy.toml";
/// Bytes that are copied at once.
const AT_ONCE: usize = 1 << 20;

/// A backup that was made, or put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackedUp {
    /// The folder with it.
    pub folder: PathBuf,
    /// Events of its log.
    pub events: u64,
    /// Whether the audit found nothing that was changed behind the program's back.
    pub intact: bool,
    /// The last link of the log, in hexadecimal; empty where there is no event.
    pub last_link: String,
    /// Earlier backups that made room; or, put back, what was there before, under its new name.
    pub moved: Vec<PathBuf>,
}

fn write_error(path: &Path) -> impl Fn(std::io::Error) -> WorkflowError + '_ {
    |cause| FormatError::Io { doing: "write", path: path.into(), cause }.into()
}

fn read_error(path: &Path) -> impl Fn(std::io::Error) -> WorkflowError + '_ {
    |cause| FormatError::Io { doing: "read", path: path.into(), cause }.into()
}

/// The moment as a folder's name, such as `2026-11-28T15-32-29Z`; later ones sort behind.
fn stamp() -> String {
    let moment = jiff::Timestamp::from_millisecond(now().0).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
}

/// Whether a folder is named as [`stamp`] names them, with a number behind it where there were several in a second.
fn is_stamp(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let shape: String = name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape
        .strip_prefix("0000-00-00T00-00-00Z")
        .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(digits))
}

/// A folder for its owner alone, which goes when the value does.
fn staging(prefix: &str, folder: &Path) -> Result<tempfile::TempDir, WorkflowError> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    builder.prefix(prefix).tempdir_in(folder).map_err(write_error(folder))
}

/// A name in a folder that nothing has yet: the one given, or with a number behind it.
fn free_name(folder: &Path, name: &str) -> PathBuf {
    let numbered = (2u32..).map(|n| folder.join(format!("{name}-{n}")));
    std::iter::once(folder.join(name)).chain(numbered).find(|path| !path.exists()).unwrap_or_else(|| folder.join(name))
}

/// Looks through a store: its pages, and its log.
fn sound(store: &mut Store, what: &Path) -> Result<ChainAudit, WorkflowError> {
    let damaged = |said: String| {
        let what = what.display().to_string();
        Refusal::new(RefusalKind::Damaged { what }, said)
    };
    let pages = store.integrity_check()?;
    if pages != ["ok"] {
        let said = format!("{} is damaged: {}", what.display(), pages.join("; "));
        return Err(damaged(said).hint("take another copy").into());
    }
    Ok(store.audit(None)?)
}

/// Refuses a store that was changed behind the program's back.
fn ensure_intact(audited: &ChainAudit, what: &Path) -> Result<(), WorkflowError> {
    if audited.tampering.is_empty() {
        return Ok(());
    }
    let said = format!("the store in {} is not as it was written", what.display());
    let what = what.display().to_string();
    Err(Refusal::new(RefusalKind::Damaged { what }, said).hint("`goldsmith audit` names what was changed").into())
}

/// Copies store, taxonomy and project file into a folder of their own, below `to` or the project's `backups`. It gets its name
/// when all of it is on the disk and was looked through. Of the backups there, the newest `keep` stay.
pub(crate) fn backup(session: Session<'_>, to: Option<&Path>, keep: Option<usize>) -> Result<BackedUp, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("backup").entered();
    identity::require(project, store, &[Role::Steward, Role::Lead], "take the whole store out")?;
    if keep == Some(0) {
        return Err(Refusal::invalid("--keep", "none would be kept, not even the one that is made")
            .hint("pass --keep 1 or more")
            .into());
    }
    let folder = to.map_or_else(|| project.folder.join("backups"), Path::to_path_buf);
    make_private_folder(&folder)?;
    let staged = staging(".backup-", &folder)?;
    let copy = staged.path().join(STORE);
    watch(Progress::Started {
        what: "copying the store".into(),
        total: Some(fs::metadata(store.path()).map_or(0, |file| file.len())),
        unit: "bytes",
    });
    let whole = store.copy_to(&copy, &mut |done, _| {
        watch(Progress::Advanced(done));
        !cancel.is_cancelled()
    })?;
    watch(Progress::Finished);
    if !whole {
        return Err(WorkflowError::Stopped);
    }
    watch(Progress::Started { what: "looking through the copy".into(), total: None, unit: "steps" });
    let mut copied = Store::open_to_read(&copy, project.store_key()?)?;
    let audited = sound(&mut copied, &copy)?;
    watch(Progress::Finished);
    if KeyMap::of(&project.taxonomy) != *copied.key_map() {
        return Err(StoreError::TaxonomyChanged.into());
    }
    drop(copied);
    replace(&staged.path().join(TAXONOMY), &project.guideline)?;
    replace(&staged.path().join(FILE_NAME), &read_text(&project.folder.join(FILE_NAME))?)?;
    File::open(&copy).and_then(|file| file.sync_all()).map_err(write_error(&copy))?;
    if cancel.is_cancelled() {
        return Err(WorkflowError::Stopped);
    }
    let made = free_name(&folder, &stamp());
    fs::rename(staged.path(), &made).map_err(write_error(&made))?;
    // It has another name now, under which nothing takes it away.
    let _ = staged.keep();
    sync(&folder)?;
    // What was changed is copied all the same, and takes no sound copy's place.
    let intact = audited.tampering.is_empty();
    let moved = keep.filter(|_| intact).map_or_else(|| Ok(Vec::new()), |keep| thin_out(&folder, &made, keep))?;
    Ok(BackedUp { folder: made, events: audited.events, last_link: audited.last_link, moved, intact })
}

/// Waits until the names in a folder are on the disk.
fn sync(folder: &Path) -> Result<(), WorkflowError> {
    // Elsewhere a folder cannot be opened, and the file system sees to its names.
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(write_error(folder))?;
    let _ = folder;
    Ok(())
}

/// Takes away the oldest backups of a folder, so that `keep` stay with the one just made. What is named otherwise, or has no store
/// in it, is not ours.
fn thin_out(folder: &Path, made: &Path, keep: usize) -> Result<Vec<PathBuf>, WorkflowError> {
    let mut others = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let path = entry.map_err(read_error(folder))?.path();
        let named = path.file_name().is_some_and(|name| is_stamp(&name.to_string_lossy()));
        if named && path != made && path.join(STORE).is_file() && !path.is_symlink() {
            others.push(path);
        }
    }
    others.sort();
    others.truncate(others.len().saturating_sub(keep - 1));
    for path in &others {
        fs::remove_dir_all(path).map_err(write_error(path))?;
    }
    Ok(others)
}

/// Puts a backup in the place of a project's store and taxonomy, once it was looked through. What is there is refused, or with
/// `instead` kept beside under another name. A project file that is there stays; one that is missing comes back.
pub(crate) fn restore(
    folder: &Path,
    from: &Path,
    instead: bool,
    key: &StoreKey,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<BackedUp, WorkflowError> {
    let _span = tracing::info_span!("restore").entered();
    for name in [STORE, TAXONOMY, FILE_NAME] {
        if !from.join(name).is_file() {
            let said = format!("{} is no backup: there is no {name} in it", from.display());
            return Err(Refusal::not_found("backup", from.display().to_string(), said)
                .hint("`goldsmith backup` makes a folder for each")
                .into());
        }
    }
    make_private_folder(folder)?;
    let settings = folder.join(FILE_NAME);
    let text = read_text(&if settings.is_file() { settings.clone() } else { from.join(FILE_NAME) })?;
    let file = project::parse(&settings, &text)?;
    let guideline = read_text(&from.join(TAXONOMY))?;
    let categories = taxonomy::parse_own(&from.join(TAXONOMY), &guideline)?;
    // What was broken off there ends before it is looked at; a store that cannot be opened is what this is for.
    let _ = unfinished::settle(&file.taxonomy, &file.store, &|| key.find(&file, folder));
    let other_taxonomy = file.taxonomy.exists() && read_text(&file.taxonomy).ok().as_deref() != Some(&guideline);
    let there = [file.store.exists().then_some(&file.store), other_taxonomy.then_some(&file.taxonomy)];
    if let Some(path) = there.into_iter().flatten().next().filter(|_| !instead) {
        let said = format!("{} is there already; nothing was changed", path.display());
        return Err(Refusal::exists(path.display().to_string(), said)
            .hint("--replace puts the backup in its place and keeps it beside under another name")
            .into());
    }
    let beside = file.store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let staged = staging(".restore-", beside)?;
    let copy = staged.path().join(STORE);
    copy_file(&from.join(STORE), &copy, cancel, watch)?;
    watch(Progress::Started { what: "looking through the copy".into(), total: None, unit: "steps" });
    // A copy of an earlier version is brought up to date here, and not in the backup.
    let key = key.find_for(&file, folder, &copy)?;
    let mut copied = Store::open_with(&copy, key)?;
    let audited = sound(&mut copied, &from.join(STORE))?;
    ensure_intact(&audited, &from.join(STORE))?;
    watch(Progress::Finished);
    if KeyMap::of(&categories) != *copied.key_map() {
        let what = from.display().to_string();
        let said = format!("the taxonomy in {what} is not that of its store");
        return Err(Refusal::new(RefusalKind::Damaged { what }, said).hint("take another copy").into());
    }
    if !copied.fold_up()? {
        return Err(StoreError::Busy(copy, 0).into());
    }
    File::open(&copy).and_then(|file| file.sync_all()).map_err(write_error(&copy))?;
    if cancel.is_cancelled() {
        return Err(WorkflowError::Stopped);
    }
    let moved = put_back(&file, &copy, key, other_taxonomy, &guideline)?;
    sync(beside)?;
    if !settings.is_file() {
        replace(&settings, &text)?;
    }
    Ok(BackedUp { folder: folder.into(), events: audited.events, last_link: audited.last_link, moved, intact: true })
}

/// Who may put a backup in a project's place: whoever takes others' work in. A store that cannot be opened has nobody to ask.
pub(crate) fn may_replace(project: &Project) -> Result<(), WorkflowError> {
    match project.store() {
        Ok(store) => identity::require(project, &store, &[Role::Steward, Role::Lead], "put a backup in its place"),
        Err(WorkflowError::Refused(refusal)) if matches!(refusal.kind, RefusalKind::NotAllowed { .. }) => {
            Err(WorkflowError::Refused(refusal))
        }
        Err(_) => Ok(()),
    }
}

/// Moves what is there aside, and the copy into its place; if that fails, what was there is back.
fn put_back(
    file: &project::ProjectFile,
    copy: &Path,
    key: Option<&Secret>,
    other_taxonomy: bool,
    guideline: &str,
) -> Result<Vec<PathBuf>, WorkflowError> {
    let mut aside: Vec<(PathBuf, PathBuf)> = Vec::new();
    let name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let folder = |path: &Path| path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let before = format!("before-{}", stamp());
    if file.store.exists() {
        match Store::open_with(&file.store, key).and_then(Store::fold_up) {
            Ok(true) => {}
            Ok(false) | Err(StoreError::Busy(..)) => {
                let what = file.store.display();
                let said = format!("somebody has {what} open; nothing was changed");
                return Err(Refusal::new(RefusalKind::Unavailable { what: "store" }, said)
                    .hint("quit every workbench and command that uses it, then run the same command again")
                    .into());
            }
            // A store that cannot be opened any more is moved as it is, with what stands beside it.
            Err(_) => tracing::warn!("the store to be replaced cannot be opened"),
        }
        let kept = free_name(&folder(&file.store), &format!("{}.{before}", name(&file.store)));
        // What belongs to the old store goes first: it would be taken for the new one's.
        for end in ["-wal", "-shm", ""] {
            let of = |path: &Path| folder(path).join(format!("{}{end}", name(path)));
            if of(&file.store).exists() {
                aside.push((of(&file.store), of(&kept)));
            }
        }
    }
    if other_taxonomy {
        let kept = free_name(&folder(&file.taxonomy), &format!("{}.{before}", name(&file.taxonomy)));
        aside.push((file.taxonomy.clone(), kept));
    }
    let mut done = 0;
    let mut exchange = || -> Result<(), WorkflowError> {
        for (from, to) in &aside {
            set_aside(from, to).map_err(write_error(from))?;
            done += 1;
        }
        if other_taxonomy || !file.taxonomy.exists() {
            replace(&file.taxonomy, guideline)?;
        }
        fs::rename(copy, &file.store).map_err(write_error(&file.store))
    };
    let exchanged = exchange();
    if exchanged.is_err() {
        for (from, to) in aside[..done].iter().rev() {
            // Of two names of one file this takes none away. Where even that fails, its new name says what it is.
            let _ = fs::rename(to, from).and_then(|()| fs::remove_file(to));
        }
    }
    exchanged.map(|()| aside.into_iter().map(|(_, to)| to).collect())
}

/// Gives a file a second name where it can have one: the first is there until what takes its place is, however this ends. What
/// stands beside a store only has another name from here on.
fn set_aside(from: &Path, to: &Path) -> std::io::Result<()> {
    let name = from.to_string_lossy();
    if name.ends_with("-wal") || name.ends_with("-shm") {
        return fs::rename(from, to);
    }
    fs::hard_link(from, to).or_else(|_| fs::rename(from, to))
}

fn copy_file(from: &Path, to: &Path, cancel: &Cancel, watch: &mut Watch<'_>) -> Result<(), WorkflowError> {
    let mut source = plain_file::open(from).map_err(read_error(from))?;
    let total = source.metadata().map_err(read_error(from))?.len();
    watch(Progress::Started { what: "copying the store".into(), total: Some(total), unit: "bytes" });
    write_whole::<_, WorkflowError>(to, |file| {
        let (mut buffer, mut done) = (vec![0; AT_ONCE], 0);
        loop {
            if cancel.is_cancelled() {
                return Err(WorkflowError::Stopped);
            }
            let n = source.read(&mut buffer).map_err(read_error(from))?;
            if n == 0 {
                return Ok(());
            }
            file.write_all(&buffer[..n]).map_err(write_error(to))?;
            done += n as u64;
            watch(Progress::Advanced(done));
        }
    })?;
    watch(Progress::Finished);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_known_by_their_names() {
        assert!(is_stamp(&stamp()), "{}", stamp());
        assert!(is_stamp("2026-11-28T15-32-29Z-2"));
        for name in ["2026-11-28T15-32-29", "2026-11-28T15-32-29Z-", "2026-11-28T15-32-29Z-old", "notes", ""] {
            assert!(!is_stamp(name), "{name}");
        }
    }
}
