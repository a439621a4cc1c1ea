//! Labels as sets of a taxonomy's categories by position: what is counted, scored and compared by the million.

/// A set of categories by their position in the taxonomy, from 0; the empty set is *None*. It means something beside the
/// taxonomy alone that it was made with ([`super::taxonomy::Taxonomy::set`]).
///
/// Where a table has *None* beside the categories, that is class 0, and the category at position `i` is class `i + 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LabelSet(u64);

impl LabelSet {
    /// The most categories that a set can tell apart.
    pub(crate) const MOST: usize = u64::BITS as usize;

    /// *None*.
    pub(crate) const NONE: Self = Self(0);

    /// The set of one category, whose position is below [`LabelSet::MOST`].
    pub(crate) const fn of(category: usize) -> Self {
        Self(1 << category)
    }

    /// Whether it is *None*.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many categories it has.
    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether it has a category.
    pub(crate) const fn contains(self, category: usize) -> bool {
        category < Self::MOST && self.0 >> category & 1 == 1
    }

    /// Whether it has a class: 0 is *None*.
    pub(crate) fn has_class(self, class: usize) -> bool {
        class.checked_sub(1).map_or(self.is_empty(), |category| self.contains(category))
    }

    /// The categories of either.
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The categories of both.
    pub(crate) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Its categories without those of the other.
    pub(crate) const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Its categories, ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> + Clone {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let category = (left != 0).then(|| left.trailing_zeros() as usize);
            left &= left.wrapping_sub(1);
            category
        })
    }

    /// The set as the binary task sees it, which has one category: that there is any.
    pub(crate) fn binary(self) -> Self {
        if self.is_empty() { Self::NONE } else { Self::of(0) }
    }

    /// From a bit for each category, as the reference data has it.
    #[cfg(test)]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl FromIterator<usize> for LabelSet {
    fn from_iter<I: IntoIterator<Item = usize>>(categories: I) -> Self {
        categories.into_iter().map(Self::of).fold(Self::NONE, Self::union)
    }
}

/// What a machine says of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Assigned {
    /// Exactly these categories.
    Categories(LabelSet),
    /// Some category, which one is not said: the word of a binary run.
    Any,
}

impl Assigned {
    /// The categories; `None` where they are not said.
    pub(crate) fn categories(self) -> Option<LabelSet> {
        match self {
            Self::Categories(set) => Some(set),
            Self::Any => None,
        }
    }

    /// What it says in the binary task; see [`LabelSet::binary`].
    pub(crate) fn binary(self) -> LabelSet {
        match self {
            Self::Categories(set) => set.binary(),
            Self::Any => LabelSet::of(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_is_in_it() {
        let set: LabelSet = [5, 0, 63, 5].into_iter().collect();
        assert_eq!((set.len(), set.iter().collect::<Vec<_>>()), (3, vec![0, 5, 63]));
        assert!(set.contains(63) && !set.contains(1) && !set.contains(64) && !set.contains(usize::MAX));
        assert!(set.has_class(1) && set.has_class(6) && !set.has_class(0) && LabelSet::NONE.has_class(0));
        let other = LabelSet::of(5).union(LabelSet::of(7));
        assert_eq!(set.intersection(other), LabelSet::of(5));
        assert_eq!(set.difference(other).iter().collect::<Vec<_>>(), [0, 63]);
        assert_eq!(LabelSet::NONE.iter().next(), None);
    }

    /// *Any* is not *None*, and no set of categories either; in the binary task they can be compared.
    #[test]
    fn any_is_no_category() {
        let of = |category| Assigned::Categories(LabelSet::of(category));
        assert!((0..LabelSet::MOST).all(|category| of(category) != Assigned::Any));
        assert_eq!(Assigned::Any.categories(), None);
        assert_eq!([Assigned::Any, of(3), of(0)].map(Assigned::binary), [LabelSet::of(0); 3]);
        assert_eq!(Assigned::Categories(LabelSet::NONE).binary(), LabelSet::NONE);
    }
}
