//! Which of several stands hold, whatever order they came in.
//!
//! Each event names those that it was made in the knowledge of and takes the place of. What nothing in force takes the place
//! of holds: a *head*. One person at one worklist leaves one head. Two worklists that did not know of each other leave two, and where
//! these differ no clock decides between them: that is a matter for adjudication. The model is the operation log of
//! [Jujutsu](https://github.com/jj-vcs/jj/blob/main/docs/technical/concurrency.md).

use rustc_hash::{FxHashMap, FxHashSet};

use super::label::EventId;

/// An event as far as its place among others goes.
#[derive(Clone, Copy, Debug)]
pub struct Revision<'a> {
    /// Its id.
    pub id: &'a EventId,
    /// What it takes the place of; `None` where that is not known: all with smaller ids.
    pub supersedes: Option<&'a [EventId]>,
    /// Whether it was withdrawn. A withdrawn event takes no one's place, but what was made in its knowledge was made in the
    /// knowledge of all that it knew.
    pub withdrawn: bool,
}

/// Positions of the heads, in order of id.
pub fn heads(claims: &[Revision<'_>]) -> Vec<usize> {
    let place: FxHashMap<&EventId, usize> = claims.iter().enumerate().map(|(at, claim)| (claim.id, at)).collect();
    let mut known: FxHashSet<usize> = FxHashSet::default();
    for at in (0..claims.len()).filter(|at| !claims[*at].withdrawn) {
        // A stand may be known through others that it knew of.
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
        let ids: Vec<EventId> = rows.iter().map(|row| EventId(row.0.into())).collect();
        let known: Vec<Option<Vec<EventId>>> =
            rows.iter().map(|row| row.1.map(|ids| ids.iter().map(|id| EventId((*id).into())).collect())).collect();
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
            // One worklist: each knows the one before.
            (vec![("1", none, false), ("2", Some(&["1"][..]), false)], vec!["2"]),
            // Withdrawn, the one before holds again.
            (vec![("1", none, false), ("2", Some(&["1"][..]), true)], vec!["1"]),
            // Knowledge goes through what was withdrawn.
            (vec![("1", none, false), ("2", Some(&["1"][..]), true), ("3", Some(&["2"][..]), false)], vec!["3"]),
            // Two worklists that did not know of each other.
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

    proptest! {
        /// Whatever order they are met in, and however they know of each other.
        #[test]
        fn order_of_arrival_changes_nothing(
            knows in proptest::collection::vec((proptest::option::of(0u32..64), any::<bool>()), 1..7),
            turn in 0usize..7,
        ) {
            let ids: Vec<EventId> = (0..knows.len()).map(|n| EventId(format!("{n:02}"))).collect();
            let lists: Vec<Option<Vec<EventId>>> = knows
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
