//! Whoever sits here: their key, made at first use, the proof that a name is theirs, and what they may do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;

use super::project::{Project, make_private_folder};
use super::refusal::{Refusal, RefusalKind};
use super::{WorkflowError, new_entry_id, new_run_id, now};
use crate::domain::entry::{Body, Entry};
use crate::domain::label::Annotator;
use crate::domain::person::{PersonChange, Role};
use crate::domain::signature::{PublicKey, SecretKey};
use crate::formats::{FormatError, Needs, person_key};
use crate::store::{Signer, Store};

/// The environment variable with the folder for keys, where it is not the usual one.
const FOLDER: &str = "GOLDSMITH_KEYS";

/// The folder for keys in the home of whoever runs the program.
fn folder(project: &Project) -> Result<PathBuf, WorkflowError> {
    if cfg!(test) {
        return Ok(project.folder.join("keys"));
    }
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = || variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    variable(FOLDER).or_else(|| Some(config()?.join("goldsmith/keys"))).ok_or_else(|| {
        Refusal::new(RefusalKind::Unavailable { what: "home" }, "there is no place for your key: HOME is not set")
            .hint(format!("set {FOLDER} to a folder that you alone may read"))
            .into()
    })
}

/// The file with the annotator's secret key.
pub(crate) fn key_file(project: &Project) -> Result<PathBuf, WorkflowError> {
    Ok(person_key::file_of(&folder(project)?, &project.annotator))
}

/// Whether the log says whose key the annotator's is; for those as well whom the project does not let in yet.
pub(crate) fn is_known(project: &Project) -> Result<bool, WorkflowError> {
    let mut store = Store::open_with(&project.file.store, project.store_key()?)?;
    prove_key(project, &mut store)?;
    Ok(store.registry()?.key(&project.annotator).is_some())
}

/// Has whoever asks prove that the name is theirs, where it has a key: by having that key. What they write is signed with it.
pub(crate) fn prove(project: &Project, store: &mut Store) -> Result<(), WorkflowError> {
    let who = &project.annotator;
    let people = store.registry()?;
    if !people.has_role(who) {
        return Err(Refusal::not_allowed(who, format!("{who} has no role in this project"))
            .hint(format!("`goldsmith key --as {who}` prints your key; give it to whoever leads the project"))
            .hint(format!("a lead lets you in: goldsmith people set {who} --key KEY --role annotator"))
            .into());
    }
    prove_key(project, store)
}

fn prove_key(project: &Project, store: &mut Store) -> Result<(), WorkflowError> {
    let who = &project.annotator;
    let Some(known) = store.registry()?.key(who) else {
        return Ok(());
    };
    let path = key_file(project)?;
    let refused = |why: String| {
        Refusal::not_allowed(who, format!("{who} has a key in this project, and {why}"))
            .hint("give your own name with --as, or work on the account where that key is")
            .hint(format!("where the key is lost, a lead gives a new one: goldsmith people set {who} --key KEY"))
    };
    match read_own(project, &path)? {
        Some(key) if key.public() == known => sign_with(project, store, key),
        Some(key) => Err(refused(format!("the one in {} is another ({})", path.display(), key.public())).into()),
        None => Err(refused(format!("there is none in {}", path.display())).into()),
    }
}

/// Sees to it that what the annotator writes from here on is signed. The key is made where there is none yet, and the log is told
/// of it with the first entry.
pub(crate) fn sign(project: &Project, store: &mut Store) -> Result<(), WorkflowError> {
    let key = own_key(project)?;
    // It may have been given to somebody else, or anew, since the store was opened.
    if store.registry()?.key(&project.annotator).is_some_and(|known| known != key.public()) {
        let who = &project.annotator;
        return Err(Refusal::not_allowed(who, format!("{who} has another key in this project now; nothing was saved"))
            .hint("ask whoever leads the project whose key that is (`goldsmith people`)")
            .into());
    }
    if store.signs() { Ok(()) } else { sign_with(project, store, key) }
}

/// Sees to it that what is written down in somebody's name is signed, by them or by whoever writes it down; refused where only
/// they can sign for it.
pub(crate) fn speak_for(project: &Project, store: &mut Store, name: &Annotator) -> Result<(), WorkflowError> {
    if name != &project.annotator && store.registry()?.key(name).is_some() {
        return Err(Refusal::not_allowed(
            &project.annotator,
            format!(
                "{name} has a key in this project, so only {name} can say what {name} decided; nothing was taken in"
            ),
        )
        .hint(format!("run it as {name}: --as {name}, on the account where that key is"))
        .into());
    }
    sign(project, store)
}

/// The annotator's key; made where there is none.
pub(crate) fn own_key(project: &Project) -> Result<SecretKey, WorkflowError> {
    let path = key_file(project)?;
    if let Some(key) = read_own(project, &path)? {
        return Ok(key);
    }
    make_private_folder(path.parent().unwrap_or(Path::new(".")))?;
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(|_| {
        Refusal::new(RefusalKind::Unavailable { what: "randomness" }, "the system gives no random bytes for a key")
    })?;
    let key = SecretKey::from_seed(seed);
    if person_key::create(&path, &project.annotator, &key)? {
        return Ok(key);
    }
    // Another program of the same person was quicker; its key is the one that counts.
    read_own(project, &path)?
        .ok_or_else(|| Refusal::new(RefusalKind::Failed, format!("the key in {} came and went", path.display())).into())
}

/// Reads the annotator's key, once for all who share the project; whoever can be asked is asked for its passphrase.
fn read_own(project: &Project, path: &Path) -> Result<Option<SecretKey>, WorkflowError> {
    if let Some((_, key)) = project.own.get().filter(|(name, _)| *name == project.annotator) {
        return Ok(Some(key.clone()));
    }
    let read = match person_key::read(path, None) {
        Err(FormatError::Key { needs: Needs::Variable(_), .. }) if project.key.can_ask() => {
            let asked = project.key.ask(&format!("passphrase of the key of {}: ", project.annotator));
            match asked.transpose() {
                Ok(given) => person_key::read(path, given),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Err(WorkflowError::Stopped),
                Err(_) => person_key::read(path, None),
            }
        }
        read => read,
    }?;
    if let Some(key) = &read {
        // Who was quicker has read the same key.
        let _ = project.own.set((project.annotator.clone(), key.clone()));
    }
    Ok(read)
}

/// Puts the annotator's key under a passphrase, which is asked for twice, or under none.
pub(crate) fn protect(project: &Project, under_passphrase: bool) -> Result<(), WorkflowError> {
    let key = own_key(project)?;
    let path = key_file(project)?;
    if !under_passphrase {
        return Ok(person_key::protect(&path, &project.annotator, &key, None)?);
    }
    let ask = |question: &str| match project.key.ask(question) {
        Some(Ok(secret)) => Ok(secret),
        Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => Err(WorkflowError::Stopped),
        _ => Err(Refusal::new(
            RefusalKind::Unavailable { what: "terminal" },
            "there is no terminal to type a passphrase",
        )
        .hint(format!("put it into {} before the key is made", person_key::PASSPHRASE))
        .into()),
    };
    let (passphrase, again) = (ask("new passphrase: ")?, ask("the same once more: ")?);
    if passphrase.value() != again.value() || passphrase.value().is_empty() {
        return Err(Refusal::invalid("passphrase", "the two are not the same, or empty; nothing was changed").into());
    }
    Ok(person_key::protect(&path, &project.annotator, &key, Some(passphrase))?)
}

fn sign_with(project: &Project, store: &mut Store, key: SecretKey) -> Result<(), WorkflowError> {
    let who = &project.annotator;
    let site = site(project, store)?;
    let told = store.registry()?.key(who).is_some();
    let change = PersonChange { name: who.clone(), key: Some(key.public()), roles: None };
    let first = (!told).then(|| signed(who, Body::Person(change), &site, &key));
    store.sign_with(Arc::new(Signer { key, site, first }));
    Ok(())
}

/// An entry of this moment, signed.
fn signed(author: &Annotator, body: Body, site: &str, key: &SecretKey) -> Entry {
    let mut entry = Entry { id: new_entry_id(), at: now(), author: author.clone(), site: None, body, signature: None };
    entry.sign(site, key);
    entry
}

/// The store's name elsewhere. It gets one when it first needs one: the project's, and letters that no other store has.
pub(crate) fn site(project: &Project, store: &mut Store) -> Result<String, WorkflowError> {
    if let Some(site) = store.site()? {
        return Ok(site);
    }
    let name = project.file.name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let unique = new_run_id().0;
    let unique = unique.rsplit('-').next().unwrap_or_default();
    let name: String = words.join("-").chars().take(60).collect();
    Ok(store.name_site(&format!("{}-{unique}", if name.is_empty() { "site" } else { &name }))?)
}

/// Refuses what none of these roles may do, where the project gives roles.
pub(crate) fn require(project: &Project, store: &Store, roles: &[Role], what: &str) -> Result<(), WorkflowError> {
    let (people, who) = (store.registry()?, &project.annotator);
    if roles.iter().any(|role| people.may(who, *role)) {
        return Ok(());
    }
    let needed: Vec<&str> = roles.iter().map(|role| role.word()).collect();
    let needed = needed.join(" or ");
    Err(Refusal::not_allowed(who, format!("{who} may not {what}: that is for a {needed} of this project"))
        .hint(format!("a lead gives roles: goldsmith people set {who} --role {}", roles[0]))
        .into())
}

/// A public key as it is typed.
pub(crate) fn public_key(typed: &str) -> Result<PublicKey, WorkflowError> {
    PublicKey::parse(typed).ok_or_else(|| {
        Refusal::invalid("--key", format!("`{typed}` is no public key: it has 64 hexadecimal digits"))
            .hint("`goldsmith key` prints the key of whoever runs it")
            .into()
    })
}

/// What is answered where nothing is said of somebody.
pub(crate) fn nothing_to_set(name: &str) -> WorkflowError {
    Refusal::new(RefusalKind::NothingToDo, format!("nothing is said of {name}"))
        .hint(format!("goldsmith people set {name} --role annotator"))
        .hint(format!("goldsmith people set {name} --key KEY"))
        .into()
}

/// Says who somebody is from here on: their key, their roles.
pub(crate) fn set(project: &Project, store: &mut Store, change: PersonChange) -> Result<(), WorkflowError> {
    let people = store.registry()?;
    let (who, name) = (&project.annotator, &change.name);
    let names_a_lead = change.roles.as_ref().is_some_and(|roles| roles.contains(&Role::Lead));
    if name.0.trim().is_empty() || name.0.trim() != name.0 {
        return Err(Refusal::invalid("name", format!("nobody can decide under the name `{name}`"))
            .hint("give the name as it is given to --as")
            .into());
    }
    if name.0.len() > 400 || name.0.chars().any(char::is_control) {
        return Err(Refusal::invalid("name", "a name has at most 400 bytes and no control characters").into());
    }
    if let (None, Some(other)) = (people.get(name), people.double(name)) {
        return Err(Refusal::invalid(
            "name",
            format!("`{name}` reads like `{other}`, who is here; nothing was changed"),
        )
        .hint("give a name that nobody takes for another's")
        .into());
    }
    if let Some(key) = &change.key {
        if let Some(owner) = people.owner(key).filter(|owner| *owner != name) {
            return Err(Refusal::invalid("--key", format!("that is {owner}'s key; nothing was changed")).into());
        }
        if name == who && *key != own_key(project)?.public() {
            let said =
                format!("you have another key on this account; with that one in the log nobody could be {who} here");
            return Err(Refusal::invalid("--key", format!("{said}; nothing was changed"))
                .hint("where your key is lost, another lead gives you a new one")
                .into());
        }
    }
    if names_a_lead && name != who && change.key.is_none() && people.key(name).is_none() {
        return Err(Refusal::too_early(
            "a key",
            format!("{name} has no key yet, and whoever first uses the name would lead"),
        )
        .hint(format!("give it with the role: goldsmith people set {name} --role lead --key KEY"))
        .into());
    }
    if people.has_lead() {
        require(project, store, &[Role::Lead], "say who somebody is")?;
    } else if change.roles.is_some() && !names_a_lead {
        return Err(Refusal::too_early("a lead", "this project has no lead yet, who gives the other roles")
            .hint(format!("name the lead first: goldsmith people set {who} --role lead"))
            .into());
    } else if change.key.is_some() && name != who {
        return Err(Refusal::too_early("a lead", format!("only a lead or {name} says which key is {name}'s"))
            .hint(format!("name the lead first: goldsmith people set {who} --role lead"))
            .into());
    }
    let leads_no_more = change.roles.as_ref().is_some_and(|roles| !roles.contains(&Role::Lead));
    if people.has_lead() && leads_no_more && !people.has_lead_beside(name) {
        return Err(Refusal::new(RefusalKind::Protected, format!("{name} is the only lead; nothing was changed"))
            .hint("name another lead first")
            .into());
    }
    sign(project, store)?;
    Ok(store.append_person(new_entry_id(), now(), who, change)?)
}
