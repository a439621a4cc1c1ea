//! What `[queue]` says.

use serde::Serialize;

use crate::domain::acquisition::{Strategy, StrategyMix};
use crate::formats::toml_source::{TomlSource, TomlTable};

/// In which order sentences come, and how often that is thought over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueSettings {
    /// By what the next sentence is chosen.
    pub order: StrategyMix,
    /// Decisions after which the order is made anew.
    pub retrain_every: usize,
    /// At most so many sentences are put in order.
    pub limit: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { order: StrategyMix::usual(), retrain_every: 10, limit: 2_000, seed: 1 }
    }
}

/// Reads the table.
pub(super) fn read<'t>(s: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>, queue: &mut QueueSettings) {
    let mixed: [(&str, Option<Strategy>); 1] = [("mix", None)];
    let words: Vec<(&str, Option<Strategy>)> =
        mixed.into_iter().chain(Strategy::ALL.map(|strategy| (strategy.word(), Some(strategy)))).collect();
    let order = table.word(s, "order", &words).flatten();
    let span = table.span();
    if let Some(shares) = table.table(s, "mix") {
        let mut weights = Vec::new();
        for (name, share, at) in shares.numbers(s, 0.0..=1e6) {
            match Strategy::ALL.into_iter().find(|strategy| strategy.word() == name) {
                Some(strategy) if share > 0.0 => weights.push((strategy, share)),
                Some(_) => {}
                None => {
                    let known = Strategy::ALL.map(Strategy::word).join(", ");
                    s.fault(at, format!("`{name}` is no order; known are {known}"));
                }
            }
        }
        match StrategyMix::new(weights) {
            Ok(mix) => queue.order = mix,
            Err(error) => s.fault(span, error.to_string()),
        }
    }
    if let Some(strategy) = order {
        queue.order = StrategyMix::of(strategy);
    }
    queue.retrain_every = table.whole(s, "retrain_every", 1..=1_000_000).map_or(queue.retrain_every, |n| n as usize);
    queue.limit = table.whole(s, "limit", 1..=1_000_000).map_or(queue.limit, |n| n as usize);
    queue.seed = table.whole(s, "seed", 0..=1 << 53).unwrap_or(queue.seed);
    table.close(s);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::formats::project::parse;

    #[test]
    fn an_order_is_read_and_its_faults_are_named_by_place() {
        let order = |text: &str| parse(Path::new("goldsmith.toml"), text).unwrap().queue.order.to_string();
        assert_eq!(order(""), StrategyMix::usual().to_string());
        assert_eq!(order("[queue]\norder = \"note\"\n"), "note");
        assert_eq!(order("[queue]\norder = \"mix\"\nmix = { margin = 3, random = 1 }\n"), "margin=0.75+random=0.25");
        let text = "[queue]\norder = \"lot\"\nmix = { margn = 1, random = 1 }\nlimit = 0\n";
        let said = parse(Path::new("goldsmith.toml"), text).unwrap_err().to_string();
        assert!(said.contains("goldsmith.toml:2:9: `order` must be \"mix\" or \"note\""), "{said}");
        assert!(
            said.contains("goldsmith.toml:3:9: `margn` is no order") && said.contains("goldsmith.toml:4:9:"),
            "{said}"
        );
    }
}
