//! What the log comes to: which of several decisions are current, whatever order they came in, what they say together, and
//! whether one is withdrawn. The store reads the few rows that an entry touches, asks here, and writes the answer.
//!
//! Each entry names those that it was made in the knowledge of and takes the place of. What nothing in force takes the place
//! of is current: a *head*. One person at one site leaves one head. Two sites that did not know of each other leave two, and
//! where these differ no clock decides between them: that is a matter for adjudication. The model is the operation log of
//! [Jujutsu](https://github.com/jj-vcs/jj/blob/main/docs/technical/concurrency.md).

use rustc_hash::{FxHashMap, FxHashSet};

use super::entry::Body;
use super::label::{Annotator, EntryId, Judgement, Label};
use super::sight::InSight;

/// What of the projection an entry changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProjectionChange<'a> {
    /// The author's current decision on a sentence.
    Decision,
    /// The settlement of a sentence.
    Settlement,
    /// Whether this entry of the same author is withdrawn, and with it what it is itself.
    Withdrawal(&'a EntryId),
    /// How labels are read. Of all migrations only the latest that was made here holds, so whoever makes one projects anew what
    /// it touches; one of another site changes nothing.
    KeyMap,
    /// Nothing: it says who somebody is.
    None,
}

impl<'a> ProjectionChange<'a> {
    /// What an entry changes.
    pub(crate) fn of(body: &'a Body) -> Self {
        match body {
            Body::Decide(_) => Self::Decision,
            Body::Settle(_) => Self::Settlement,
            Body::Undo { target } | Body::Redo { target } => Self::Withdrawal(target),
            Body::Migration(_) => Self::KeyMap,
            Body::Person(_) => Self::None,
        }
    }
}

/// The one of several undos and redos of an entry by its author that holds: the latest by id, not the latest to arrive.
pub(crate) fn latest_turn<T>(turns: impl IntoIterator<Item = (EntryId, T)>) -> Option<T> {
    turns.into_iter().max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, turn)| turn)
}

/// A decision or a settlement on a sentence, as far as the projection needs it.
#[derive(Clone, Debug)]
pub(crate) struct LoggedDecision {
    /// Its number in the store.
    pub seq: i64,
    pub id: EntryId,
    pub author: Annotator,
    /// What, with its label as it is read today.
    pub judgement: Judgement,
    /// What had been in sight; `None` where that is not known.
    pub in_sight: Option<InSight>,
    /// What it takes the place of; see [`Revision::supersedes`].
    pub supersedes: Option<Vec<EntryId>>,
    /// Whether it was withdrawn.
    pub withdrawn: bool,
}

impl LoggedDecision {
    /// What counts when two are compared.
    fn says(&self) -> (Option<&Label>, bool) {
        (self.judgement.label.as_ref(), self.judgement.rejected)
    }
}

/// Those that are current, the latest last.
pub(crate) fn current(all: &[LoggedDecision]) -> Vec<&LoggedDecision> {
    let revisions: Vec<Revision<'_>> = all
        .iter()
        .map(|d| Revision { id: &d.id, supersedes: d.supersedes.as_deref(), withdrawn: d.withdrawn })
        .collect();
    heads(&revisions).into_iter().map(|at| &all[at]).collect()
}

/// What one annotator's decisions on one sentence come to: the latest that is current, and whether others contradict it.
pub(crate) fn current_decision(all: &[LoggedDecision]) -> Option<(&LoggedDecision, bool)> {
    let current = current(all);
    let latest = *current.last()?;
    Some((latest, current.iter().any(|other| other.says() != latest.says())))
}

/// What all settlements of one sentence come to: the latest that is current, and the label, `None` where adjudicators
/// contradict each other. Where all that they named was split since, they have said nothing.
pub(crate) fn current_settlement(all: &[LoggedDecision]) -> Option<(&LoggedDecision, Option<&Label>)> {
    let current = current(all);
    let latest = *current.last()?;
    if current.iter().all(|settled| settled.judgement.label.is_none()) {
        return None;
    }
    let agreed = current.iter().all(|other| other.judgement.label == latest.judgement.label);
    Some((latest, latest.judgement.label.as_ref().filter(|_| agreed)))
}

/// An event as far as its place among others goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revision<'a> {
    pub id: &'a EntryId,
    /// What it takes the place of; `None` where that is not known: all with smaller ids.
    pub supersedes: Option<&'a [EntryId]>,
    /// Whether it was withdrawn. A withdrawn event takes no one's place, but what was made in its knowledge was made in the
    /// knowledge of all that it knew.
    pub withdrawn: bool,
}

/// Positions of the heads, in order of id.
pub(crate) fn heads(claims: &[Revision<'_>]) -> Vec<usize> {
    let place: FxHashMap<&EntryId, usize> = claims.iter().enumerate().map(|(at, claim)| (claim.id, at)).collect();
    let mut known: FxHashSet<usize> = FxHashSet::default();
    for at in (0..claims.len()).filter(|at| !claims[*at].withdrawn) {
        // A decision may be known through others that it knew of.
        let mut waiting = vec![at];
        while let Some(next) = waiting.pop() {
            match claims[next].supersedes {
                Some(ids) => {
                    waiting.extend(ids.iter().filter_map(|id| place.get(id).copied()).filter(|at| known.insert(*at)));
                }
                None => known.extend((0..claims.len()).filter(|at| claims[*at].id < claims[next].id)),
            }
        }
    }
    let mut in_force: Vec<usize> = (0..claims.len()).filter(|at| !claims[*at].withdrawn).collect();
    in_force.sort_unstable_by_key(|at| claims[*at].id);
    // Only a forged log has a circle, and then nothing in it may silently win.
    if in_force.iter().any(|at| !known.contains(at)) {
        in_force.retain(|at| !known.contains(at));
    }
    in_force
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(rows: &[(&str, Option<&[&str]>, bool)]) -> Vec<String> {
        let ids: Vec<EntryId> = rows.iter().map(|row| EntryId(row.0.into())).collect();
        let known: Vec<Option<Vec<EntryId>>> =
            rows.iter().map(|row| row.1.map(|ids| ids.iter().map(|id| EntryId((*id).into())).collect())).collect();
        let claims: Vec<Revision<'_>> = rows
            .iter()
            .enumerate()
            .map(|(i, row)| Revision { id: &ids[i], supersedes: known[i].as_deref(), withdrawn: row.2 })
            .collect();
        heads(&claims).into_iter().map(|at| rows[at].0.to_owned()).collect()
    }

    #[test]
    fn what_nothing_in_force_takes_the_place_of_holds() {
        let none: Option<&[&str]> = Some(&[]);
        for (rows, expected) in [
            (vec![], vec![]),
            // One site: each knows the one before.
            (vec![("1", none, false), ("2", Some(&["1"][..]), false)], vec!["2"]),
            // Withdrawn, the one before holds again.
            (vec![("1", none, false), ("2", Some(&["1"][..]), true)], vec!["1"]),
            // Knowledge goes through what was withdrawn.
            (vec![("1", none, false), ("2", Some(&["1"][..]), true), ("3", Some(&["2"][..]), false)], vec!["3"]),
            // Two sites that did not know of each other.
            (vec![("1", none, false), ("2", Some(&["1"][..]), false), ("3", Some(&["1"][..]), false)], vec!["2", "3"]),
            // A later one that knew both.
            (vec![("1", none, false), ("2", none, false), ("3", Some(&["1", "2"][..]), false)], vec!["3"]),
            // From a store that did not keep what was known: the last one.
            (vec![("1", None, false), ("2", None, false)], vec!["2"]),
            (vec![("1", None, false), ("2", None, true)], vec!["1"]),
            (vec![("1", None, false), ("2", Some(&["1"][..]), false), ("3", Some(&["1"][..]), false)], vec!["2", "3"]),
        ] {
            assert_eq!(of(&rows), expected, "{rows:?}");
        }
    }

    fn said(id: &str, label: Option<&str>, supersedes: &[&str]) -> LoggedDecision {
        LoggedDecision {
            seq: 1,
            id: EntryId(id.into()),
            author: Annotator("ann".into()),
            judgement: Judgement { label: label.map(|l| Label::parse(l).unwrap()), ..Judgement::default() },
            in_sight: None,
            supersedes: Some(supersedes.iter().map(|id| EntryId((*id).into())).collect()),
            withdrawn: false,
        }
    }

    #[test]
    fn what_contradicts_itself_is_forked_and_settles_nothing() {
        let (one, other, same) =
            (said("1", Some("memory"), &[]), said("2", Some("mood"), &[]), said("3", Some("mood"), &[]));
        let open = said("4", None, &[]);
        for (all, forked, label) in [
            (vec![one.clone()], false, Some("memory")),
            (vec![other.clone(), same], false, Some("mood")),
            (vec![other.clone(), one.clone()], true, None),
            (vec![one, said("5", Some("care"), &["1"])], false, Some("care")),
            (vec![other, open.clone()], true, None),
        ] {
            assert_eq!(current_decision(&all).map(|(_, forked)| forked), Some(forked), "{all:?}");
            let settled = current_settlement(&all).map(|(_, label)| label.map(Label::join));
            assert_eq!(settled, Some(label.map(str::to_owned)), "{all:?}");
        }
        assert!(current_decision(&[]).is_none() && current_settlement(&[]).is_none());
        let open = [open];
        assert!(current_decision(&open).is_some() && current_settlement(&open).is_none());
    }

    #[test]
    fn of_several_turns_the_latest_by_id_holds() {
        let turns = [("2", true), ("3", false), ("1", true)].map(|(id, undo)| (EntryId(id.into()), undo));
        assert_eq!(latest_turn(turns), Some(false));
    }

    proptest! {
        /// Whatever order they are met in, and however they know of each other.
        #[test]
        fn order_of_arrival_changes_nothing(
            knows in proptest::collection::vec((proptest::option::of(0u32..64), any::<bool>()), 1..7),
            turn in 0usize..7,
        ) {
            let ids: Vec<EntryId> = (0..knows.len()).map(|n| EntryId(format!("{n:02}"))).collect();
            let lists: Vec<Option<Vec<EntryId>>> = knows
                .iter()
                .enumerate()
                .map(|(n, (mask, _))| mask.map(|mask| (0..n).filter(|i| mask >> i & 1 == 1).map(|i| ids[i].clone()).collect()))
                .collect();
            let claims: Vec<Revision<'_>> = (0..ids.len())
                .map(|n| Revision { id: &ids[n], supersedes: lists[n].as_deref(), withdrawn: knows[n].1 })
                .collect();
            let mut turned = claims.clone();
            turned.rotate_left(turn % claims.len());
            let names = |claims: &[Revision<'_>]| heads(claims).into_iter().map(|at| claims[at].id.clone()).collect::<Vec<_>>();
            prop_assert_eq!(names(&claims), names(&turned));
            prop_assert_eq!(names(&claims).is_empty(), claims.iter().all(|claim| claim.withdrawn));
        }
    }
}
