//! `goldsmith key` and `goldsmith people`: whose key is whose, and who may do what.

use super::arguments::{KeyArgs, PeopleArgs, PeopleVerb};
use super::output::{print, print_json};
use super::{Exit, Failure, say};
use crate::domain::label::Annotator;
use crate::domain::person::{PersonChange, Role};
use crate::domain::text::visible;
use crate::workflow::identity;
use crate::workflow::project::Project;

pub(super) fn key(project: &Project, args: &KeyArgs) -> Result<Exit, Failure> {
    if args.protect || args.unprotect {
        identity::protect(project, args.protect)?;
    }
    let (file, key) = (identity::key_file(project)?, identity::own_key(project)?.public());
    let known = identity::is_known(project)?;
    if args.json {
        print_json(&serde_json::json!({
            "name": project.annotator, "key": key, "file": file, "known_to_the_project": known,
        }))?;
        return Ok(Exit::Done);
    }
    print(&format!("{key}\n"))?;
    say(&format!("the public key of {}; the secret one is in {}", project.annotator, file.display()));
    say("on another machine you are the same person if you copy that file there; show it to nobody");
    if args.protect {
        say("it is under a passphrase now: nobody can give it back to you if you lose that");
    }
    if !known {
        say("this project learns it with the first thing that you decide");
    }
    Ok(Exit::Done)
}

pub(super) fn people(project: &Project, args: PeopleArgs) -> Result<Exit, Failure> {
    let mut store = project.store()?;
    if let Some(PeopleVerb::Set { name, key, role, no_role }) = args.verb {
        let roles = (no_role || !role.is_empty()).then(|| role.into_iter().collect());
        if key.is_none() && roles.is_none() {
            return Err(identity::nothing_to_set(&name).into());
        }
        let key = key.as_deref().map(identity::public_key).transpose()?;
        identity::set(project, &mut store, PersonChange { name: Annotator(name), key, roles })?;
    }
    let people = store.registry()?;
    if args.json {
        let all: Vec<_> = people
            .iter()
            .map(|(name, person)| {
                serde_json::json!({
                    "name": name, "key": person.key, "earlier_keys": person.earlier, "roles": person.roles,
                })
            })
            .collect();
        print_json(&serde_json::json!({ "roles_are_given": people.has_lead(), "people": all }))?;
        return Ok(Exit::Done);
    }
    let mut out = format!("{:<24} {:<20} {}\n", "name", "key", "roles");
    for (name, person) in people.iter() {
        let key = person.key.map_or_else(|| "none yet".to_owned(), |key| key.to_string().chars().take(16).collect());
        let roles: Vec<&str> = person.roles.iter().copied().map(Role::word).collect();
        out += &format!("{:<24} {key:<20} {}\n", visible(&name.0).text, roles.join(", "));
    }
    print(&out)?;
    if people.leads() == 1 {
        say("one lead is easily lost with their key: name a second, or keep a copy of the key's file in a safe place");
    }
    if !people.has_lead() {
        say(
            "nobody leads this project yet, so everyone may do everything; `goldsmith people set NAME --role lead` begins",
        );
    }
    Ok(Exit::Done)
}
