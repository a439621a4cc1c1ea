//! What `[protocol]` says.

use crate::domain::gold::AdjudicationScope;
use crate::domain::label::Annotator;
use crate::domain::protocol::{AssignmentMode, Blind, Protocol};
use crate::formats::toml_source::{TomlSource, TomlTable};

/// The words of `blind` in `[review]`; `true` and `false` mean always and never.
pub(super) fn blind<'t>(s: &mut TomlSource<'t>, review: &mut TomlTable<'_, 't>) -> Option<Blind> {
    if let Some(always) = review.is_flag("blind").then(|| review.flag(s, "blind")).flatten() {
        return Some(if always { Blind::Always } else { Blind::Never });
    }
    review.word(s, "blind", &[("test", Blind::Test), ("always", Blind::Always), ("never", Blind::Never)])
}

/// Reads the table.
pub(super) fn read<'t>(s: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>, protocol: &mut Protocol) {
    let people = |s: &mut TomlSource<'t>, table: &mut TomlTable<'_, 't>, key| -> Vec<Annotator> {
        let mut names: Vec<Annotator> = Vec::new();
        for (name, at) in table.placed_texts(s, key).unwrap_or_default() {
            let name = Annotator(name.trim().to_owned());
            if name.0.is_empty() {
                s.fault(at, "a name is empty");
            } else if names.contains(&name) {
                s.fault(at, format!("\"{name}\" is named twice"));
            } else {
                names.push(name);
            }
        }
        names
    };
    protocol.annotators = people(s, &mut table, "annotators");
    protocol.adjudicators = people(s, &mut table, "adjudicators");
    let words = [
        ("disputed", AdjudicationScope::Disputed),
        ("flagged", AdjudicationScope::Flagged),
        ("all", AdjudicationScope::All),
    ];
    protocol.adjudicate = table.word(s, "adjudicate", &words).unwrap_or_default();
    protocol.overlap = table.whole(s, "overlap", 1..=50).map_or(protocol.overlap, |n| n as usize);
    if protocol.is_shared() && protocol.overlap > protocol.annotators.len() {
        let message =
            format!("`overlap` is {}, but there are {} annotators", protocol.overlap, protocol.annotators.len());
        s.fault(table.span(), message);
    }
    let words = [
        ("round-robin", AssignmentMode::RoundRobin),
        ("patient", AssignmentMode::Patient),
        ("share", AssignmentMode::Share),
    ];
    protocol.sharing = table.word(s, "assign", &words).unwrap_or(protocol.sharing);
    if let Some(shares) = table.table(s, "shares") {
        for (name, share, at) in shares.numbers(s, 0.0..=1e6) {
            let name = Annotator(name);
            if !protocol.annotators.contains(&name) {
                s.fault(at, format!("\"{name}\" is not among the `annotators`"));
            }
            protocol.shares.insert(name, share);
        }
    }
    protocol.calibration = table.whole(s, "calibration", 0..=100_000).map_or(0, |n| n as usize);
    protocol.blind_share = table.number(s, "blind_share", 0.0..=1.0).unwrap_or(0.0);
    protocol.seed = table.whole(s, "seed", 0..=1 << 53).unwrap_or(protocol.seed);
    table.close(s);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::formats::project::parse;

    #[test]
    fn a_protocol_is_read_and_its_faults_are_named_by_place() {
        let text = "[protocol]\nannotators = [\"ann\", \"ben\"]\noverlap = 2\nassign = \"share\"\nshares = { ben = 2 }\nadjudicate = \"flagged\"\n";
        let protocol = parse(Path::new("goldsmith.toml"), text).unwrap().protocol;
        assert_eq!((protocol.overlap, protocol.sharing), (2, AssignmentMode::Share));
        assert_eq!(protocol.adjudicate, AdjudicationScope::Flagged);
        assert_eq!(protocol.shares[&Annotator("ben".into())], 2.0);
        let text = "[protocol]\nannotators = [\"ann\", \"ann\"]\noverlap = 3\nassign = \"lot\"\nshares = { eve = -1, x = 1 }\n";
        let said = parse(Path::new("goldsmith.toml"), text).unwrap_err().to_string();
        let expected = "goldsmith.toml:1:1: `overlap` is 3, but there are 1 annotators\n\
            goldsmith.toml:2:22: \"ann\" is named twice\n\
            goldsmith.toml:4:10: `assign` must be \"round-robin\" or \"patient\" or \"share\", not \"lot\"\n\
            goldsmith.toml:5:18: `eve` must be between 0 and 1000000\n\
            goldsmith.toml:5:22: \"x\" is not among the `annotators`";
        assert_eq!(said, expected);
    }

    #[test]
    fn blind_has_words_and_the_old_flags() {
        for (text, expected) in [
            ("", Blind::Test),
            ("[review]\nblind = \"always\"", Blind::Always),
            ("[review]\nblind = true", Blind::Always),
            ("[review]\nblind = false", Blind::Never),
        ] {
            assert_eq!(parse(Path::new("goldsmith.toml"), text).unwrap().protocol.blind, expected, "{text}");
        }
    }
}
