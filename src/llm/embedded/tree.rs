//! Several continuations of one text as a tree of tokens, so that what they share is read once.

use super::attention::Feed;

/// A token sequence to be scored: its nodes in a [`Tree`].
pub(super) struct Path {
    /// For each token the node that predicts it (`None`: what stands before the tree) and the token.
    pub(super) steps: Vec<(Option<usize>, u32)>,
    /// The node after which the sequence is at its end; `None` if its last token needed no node.
    pub(super) last: Option<usize>,
}

/// Continuations of one text.
pub(super) struct Tree {
    /// Token and parent of each node; parents come first.
    pub(super) nodes: Vec<(u32, Option<usize>)>,
    pub(super) paths: Vec<Path>,
}

impl Tree {
    /// Of sequences, and for each whether what follows its last token is asked for too.
    pub(super) fn new<'a>(sequences: impl IntoIterator<Item = (&'a [u32], bool)>) -> Self {
        let mut nodes: Vec<(u32, Option<usize>)> = Vec::new();
        let mut paths = Vec::new();
        for (tokens, end) in sequences {
            let mut parent = None;
            let mut path = Path { steps: Vec::new(), last: None };
            for (at, token) in tokens.iter().enumerate() {
                path.steps.push((parent, *token));
                if at + 1 == tokens.len() && !end {
                    break;
                }
                let node = nodes.iter().position(|node| *node == (*token, parent)).unwrap_or_else(|| {
                    nodes.push((*token, parent));
                    nodes.len() - 1
                });
                parent = Some(node);
                if at + 1 == tokens.len() {
                    path.last = parent;
                }
            }
            paths.push(path);
        }
        Self { nodes, paths }
    }

    /// Puts the tree into a feed, after one of its tokens. Gives the first node's place.
    pub(super) fn plant(&self, feed: &mut Feed, root: usize) -> usize {
        let first = feed.tokens.len();
        for (token, parent) in &self.nodes {
            feed.tokens.push(*token);
            feed.parents.push(Some(parent.map_or(root, |at| first + at)));
        }
        first
    }
}
