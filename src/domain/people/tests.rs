//! What people may say of themselves and others, entry by entry.

use std::collections::BTreeSet;

use super::*;
use crate::domain::entry::tests::decided;
use crate::domain::label::{EntryId, Timestamp};
use crate::domain::person::PersonChange;
use crate::domain::signature::SecretKey;

const SITE: &str = "ward";

fn key(of: u8) -> SecretKey {
    SecretKey::from_seed([of; 32])
}

/// An entry of this site, or of another, signed by a key.
fn signed(author: &str, body: Body, site: Option<&str>, by: &SecretKey) -> Entry {
    let mut entry = Entry {
        id: EntryId("0198-p".into()),
        at: Timestamp(1),
        author: Annotator(author.into()),
        site: site.map(str::to_owned),
        body,
        signature: None,
    };
    entry.sign(site.unwrap_or(SITE), by);
    entry
}

fn change(name: &str, key: Option<PublicKey>, roles: Option<&[Role]>) -> Body {
    let roles = roles.map(|roles| roles.iter().copied().collect::<BTreeSet<_>>());
    Body::Person(PersonChange { name: Annotator(name.into()), key, roles })
}

/// A decision of one of the names, at this site, signed by a key or by none.
fn decision(author: &str, by: Option<&SecretKey>) -> Entry {
    let body = decided().body;
    match by {
        Some(by) => signed(author, body, None, by),
        None => Entry { signature: None, ..signed(author, body, None, &key(1)) },
    }
}

fn ann_has_a_key() -> People {
    let mut people = People::default();
    assert!(people.take(&signed("ann", change("ann", Some(key(1).public()), None), None, &key(1))));
    people
}

#[test]
fn a_name_with_a_key_is_spoken_for_by_that_key_alone() {
    let people = ann_has_a_key();
    let check = |author: &str, by: Option<u8>| people.check(&decision(author, by.map(key).as_ref()), SITE);
    assert_eq!(check("ann", Some(1)), Ok(Known::Signed));
    assert_eq!(check("ann", Some(2)), Err(Forgery::OtherKey));
    assert_eq!(check("ann", None), Err(Forgery::Unsigned));
    assert_eq!(check("ben", Some(2)), Ok(Known::NewKey));
    assert_eq!(check("ben", None), Ok(Known::Unsigned));
    // Ann writes down what a list says of the ward's labels.
    assert_eq!(check("list", Some(1)), Ok(Known::WrittenDown));
}

#[test]
fn a_signature_is_over_all_that_an_entry_says_and_where_it_was_made() {
    let people = ann_has_a_key();
    let entry = decision("ann", Some(&key(1)));
    assert_eq!(people.check(&entry, "another site"), Err(Forgery::Unfit));
    type Spoil = fn(&mut Entry);
    let spoil: [Spoil; 5] = [
        |entry| entry.id = EntryId("0199".into()),
        |entry| entry.at = Timestamp(2),
        |entry| entry.author = Annotator("ben".into()),
        |entry| entry.body.judged_mut().unwrap().judgement.flagged = true,
        |entry| entry.body = Body::Settle(entry.body.judged().unwrap().clone()),
    ];
    for spoil in spoil {
        let mut entry = entry.clone();
        spoil(&mut entry);
        assert_eq!(people.check(&entry, SITE), Err(Forgery::Unfit));
    }
}

#[test]
fn a_comment_can_be_kept_back_and_not_be_changed() {
    let people = ann_has_a_key();
    let mut body = decided().body;
    body.judged_mut().unwrap().judgement.comment = "unsure".into();
    let whole = signed("ann", body, None, &key(1));
    assert_eq!(people.check(&whole, SITE), Ok(Known::Signed));
    let mut without = whole.clone();
    assert!(without.withhold_comment() && !without.clone().withhold_comment());
    assert_eq!(people.check(&without, SITE), Ok(Known::Signed));
    assert!(whole.says_the_same(&without));
    for comment in ["sure", ""] {
        let mut changed = whole.clone();
        changed.body.judged_mut().unwrap().judgement.comment = comment.into();
        assert_eq!(people.check(&changed, SITE), Err(Forgery::Unfit), "{comment}");
    }
}

#[test]
fn a_key_is_replaced_by_its_owner_or_a_lead() {
    let new = Some(key(9).public());
    let by = |author: &str, signer: u8| {
        let mut people = ann_has_a_key();
        let lead = signed("kim", change("kim", Some(key(3).public()), Some(&[Role::Lead])), None, &key(3));
        assert!(people.take(&lead));
        let site = if author == "ann" { Some("elsewhere") } else { None };
        let done = people.take(&signed(author, change("ann", new, None), site, &key(signer)));
        (done, people)
    };
    let (done, people) = by("ann", 1);
    assert!(done && people.key(&Annotator("ann".into())) == new);
    // What the earlier one signed stays signed.
    assert_eq!(people.check(&decision("ann", Some(&key(1))), SITE), Ok(Known::Signed));
    assert_eq!(people.check(&decision("ann", Some(&key(9))), SITE), Ok(Known::Signed));
    assert!(by("kim", 3).0);
    for (author, signer) in [("ann", 9), ("ann", 3), ("kim", 9), ("ben", 2)] {
        assert!(!by(author, signer).0, "{author} {signer}");
    }
    let taken = signed("ann", change("ann", new, None), Some("elsewhere"), &key(9));
    assert_eq!(ann_has_a_key().check(&taken, "elsewhere"), Err(Forgery::OtherKey));
}

#[test]
fn roles_are_given_by_leads_and_the_first_lead_is_named_here() {
    let mut people = ann_has_a_key();
    let may = |people: &People, who: &str, role| people.may(&Annotator(who.into()), role);
    assert!(Role::ALL.into_iter().all(|role| may(&people, "anyone", role)));
    let lead = |name: &str| change(name, None, Some(&[Role::Lead]));
    // Another site names no lead here, and no other role is first.
    assert!(!people.take(&signed("cid", lead("cid"), Some("clinic"), &key(5))));
    assert!(!people.take(&signed("ann", change("ben", None, Some(&[Role::Annotator])), None, &key(1))));
    assert!(people.take(&signed("ann", lead("ann"), None, &key(1))));
    assert!(
        may(&people, "ann", Role::Lead) && !may(&people, "ann", Role::Annotator) && !may(&people, "ben", Role::Lead)
    );
    assert!(!people.take(&signed("ben", lead("ben"), None, &key(2))));
    assert!(!people.take(&signed("ann", lead("ben"), None, &key(2))));
    // What a lead says at another site holds there.
    let eve = || change("eve", None, Some(&[Role::Adjudicator]));
    assert!(!people.take(&signed("ann", eve(), Some("clinic"), &key(1))));
    assert!(people.take(&signed("ann", eve(), None, &key(1))));
    // Somebody leads from the first on.
    assert!(!people.take(&signed("ann", change("ann", None, Some(&[])), None, &key(1))));
    assert!(may(&people, "eve", Role::Adjudicator));
    let settled = |author: &str, by: u8| {
        let body = Body::Settle(decided().body.judged().unwrap().clone());
        people.check(&signed(author, body, None, &key(by)), SITE)
    };
    assert_eq!(settled("eve", 4), Ok(Known::NewKey));
    assert_eq!(settled("ann", 1), Err(Forgery::NoAdjudicator));
}

#[test]
fn an_entry_without_a_signature_makes_nobody_anyone() {
    let mut people = People::default();
    let mut entry = signed("ann", change("ann", Some(key(1).public()), Some(&[Role::Lead])), None, &key(1));
    entry.signature = None;
    assert!(!people.take(&entry));
    assert_eq!(people, People::default());
}

#[test]
fn a_name_that_reads_like_anothers_is_told_apart() {
    let mut people = People::default();
    let ann = key(1);
    assert!(people.take(&signed("ann", change("ann", Some(ann.public()), None), None, &ann)));
    for double in ["\u{430}nn", "Ann", "\u{ff41}nn"] {
        assert_eq!(people.double(&Annotator(double.into())), Some(&Annotator("ann".into())), "{double}");
    }
    for other in ["ann", "anna", "ben"] {
        assert_eq!(people.double(&Annotator(other.into())), None, "{other}");
    }
}
