//! `goldsmith backup` and `goldsmith restore`.

use std::path::Path;

use super::arguments::{BackupArgs, RestoreArgs};
use super::output::print;
use super::{Bar, Cli, Exit, Failure, cancel_on_signal, say};
use crate::formats::tables::counted;
use crate::workflow::backup::{self, BackedUp};
use crate::workflow::project::{self, Project};
use crate::workflow::refusal::Refusal;
use crate::workflow::session::Session;
use crate::workflow::store_key::StoreKey;

pub(super) fn make(project: &Project, args: &BackupArgs) -> Result<Exit, Failure> {
    let mut store = project.store_to_read(&mut say)?;
    let (cancel, bar) = (cancel_on_signal(), Bar::default());
    let mut watch = |p| bar.show(p);
    let session = Session::new(project, &mut store, &cancel, &mut watch);
    let made = backup::backup(session, args.to.as_deref(), args.keep)?;
    print(&format!("{}\n", made.folder.display()))?;
    if made.intact {
        say(&format!("the copy is sound and its log intact: {}", log(&made)));
    } else {
        say("warning: the store is not as it was written; it was copied as it is, and no earlier backup was removed");
        say("hint: `goldsmith audit` names what was changed");
    }
    made.moved.iter().for_each(|old| say(&format!("removed {}", old.display())));
    let sealed = if project.file.key.is_some() { "encrypted with the key of the store" } else { "unencrypted" };
    say(&format!("it holds notes and labels, {sealed}, readable by you alone; trained models and keys are not in it"));
    if args.to.is_none() {
        say("it lies beside the store: --to names a folder on another disk");
    }
    Ok(if made.intact { Exit::Done } else { Exit::Refused })
}

pub(super) fn put_back(cli: &Cli, key: &StoreKey, args: &RestoreArgs) -> Result<Exit, Failure> {
    // Where project or guideline cannot be read any more, nobody can be asked who may.
    if let Ok(project) = super::here(cli, key) {
        backup::may_replace(&project)?;
    }
    let folder = cli.project.clone().map_or_else(|| project::find(Path::new(".")), Ok).map_err(|_| {
        Refusal::unset("--project", "there is no project here that the backup could be put back into")
            .hint("--project DIR names its folder, or a new one")
    })?;
    let (cancel, bar) = (cancel_on_signal(), Bar::default());
    let done = backup::restore(&folder, &args.backup, args.replace, key, &cancel, &mut |p| bar.show(p))?;
    say(&format!("{} is as it was in {}: {}", done.folder.display(), args.backup.display(), log(&done)));
    done.moved.iter().for_each(|old| say(&format!("what was there is {}", old.display())));
    say("decisions that were made since the backup are not in it; `goldsmith merge` takes in what was bundled");
    Ok(Exit::Done)
}

fn log(of: &BackedUp) -> String {
    match of.last_link.as_str() {
        "" => "no event".into(),
        link => format!("{}, last link {link}", counted(of.events as usize, "event")),
    }
}
