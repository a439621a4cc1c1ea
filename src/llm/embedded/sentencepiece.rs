//! SentencePiece's byte pair encoding: neighbours are joined in the order of the scores of what they give.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

/// The mark that stands for a space.
const SPACE: char = '\u{2581}';

/// A vocabulary of scored pieces.
pub(super) struct Pieces {
    ids: FxHashMap<String, u32>,
    scores: Vec<f32>,
    bytes: Vec<Option<u32>>,
    unknown: u32,
    space: bool,
}

/// Two neighbours that may be joined; the best score comes first, then the leftmost.
struct Join {
    score: f32,
    left: usize,
    right: usize,
    len: usize,
}

impl PartialEq for Join {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Join {}
impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Join {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

/// A stretch of the text, linked to its neighbours.
struct Link {
    start: usize,
    len: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl Pieces {
    /// Takes a vocabulary; pieces that are not `usable` (control tokens) are never found in a text.
    pub(super) fn new(tokens: &[String], scores: Vec<f32>, usable: &[bool], space: bool) -> Self {
        let mut ids = FxHashMap::default();
        let mut bytes = vec![None; 256];
        for ((at, token), usable) in tokens.iter().enumerate().zip(usable) {
            if let Some(byte) = byte(token) {
                bytes[usize::from(byte)] = Some(at as u32);
            } else if *usable {
                ids.entry(token.clone()).or_insert(at as u32);
            }
        }
        let unknown = tokens.iter().position(|token| token == "<unk>").unwrap_or(0) as u32;
        Self { ids, scores, bytes, unknown, space }
    }

    /// What a piece adds to a text.
    pub(super) fn bytes(token: &str) -> Vec<u8> {
        byte(token).map_or_else(|| token.replace(SPACE, " ").into_bytes(), |byte| vec![byte])
    }

    /// Tokens of a text.
    pub(super) fn encode(&self, text: &str, start: bool) -> Vec<u32> {
        let prefix = if self.space && start { " " } else { "" };
        let text = format!("{prefix}{text}").replace(' ', "\u{2581}");
        let mut links: Vec<Link> = Vec::new();
        for (start, char) in text.char_indices() {
            let at = links.len();
            links.push(Link { start, len: char.len_utf8(), before: at.checked_sub(1), after: Some(at + 1) });
        }
        if let Some(last) = links.last_mut() {
            last.after = None;
        }
        let mut heap = BinaryHeap::new();
        for at in 1..links.len() {
            self.offer(&text, &links, at - 1, at, &mut heap);
        }
        while let Some(join) = heap.pop() {
            // Either side may have been joined to something else since.
            if links[join.left].len == 0 || links[join.left].len + links[join.right].len != join.len {
                continue;
            }
            if links[join.right].len == 0 {
                continue;
            }
            links[join.left].len = join.len;
            links[join.right].len = 0;
            let after = links[join.right].after;
            links[join.left].after = after;
            if let Some(after) = after {
                links[after].before = Some(join.left);
                self.offer(&text, &links, join.left, after, &mut heap);
            }
            if let Some(before) = links[join.left].before {
                self.offer(&text, &links, before, join.left, &mut heap);
            }
        }
        let mut tokens = Vec::new();
        for link in links.iter().filter(|link| link.len > 0) {
            let piece = &text[link.start..][..link.len];
            match self.ids.get(piece) {
                Some(id) => tokens.push(*id),
                None => tokens.extend(piece.bytes().map(|b| self.bytes[usize::from(b)].unwrap_or(self.unknown))),
            }
        }
        tokens
    }

    fn offer(&self, text: &str, links: &[Link], left: usize, right: usize, heap: &mut BinaryHeap<Join>) {
        let len = links[left].len + links[right].len;
        if let Some(id) = text.get(links[left].start..links[left].start + len).and_then(|piece| self.ids.get(piece)) {
            let score = self.scores.get(*id as usize).copied().unwrap_or(0.0);
            heap.push(Join { score, left, right, len });
        }
    }
}

/// The byte that a piece like `<0x0A>` stands for.
fn byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}
