//! The word lists of `data/`: one entry a line, `#` begins a comment.

use std::sync::LazyLock;

/// A list, read when it is first asked for.
pub(super) type WordList = LazyLock<Vec<&'static str>>;

/// The entries of a list, in their order.
pub(super) fn entries(file: &'static str) -> Vec<&'static str> {
    file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_list_is_its_lines_without_comments() {
        assert_eq!(super::entries("# Titles.\nDr\n\nnext of kin \r\n# None.\n"), ["Dr", "next of kin"]);
    }
}
