//! Names without a title: by lists of names, and by the words before them.

use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::Words;
use super::names::{DEGREES, name};
use super::scan::Scan;
use super::vocabulary::{
    EPONYM, FIRST, SURNAME, WEAK, WORD, is_eponym, is_kind, is_no_name, listed, starts, title_case,
};

static KIN: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/kin.txt")));
static ROLES: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/roles.txt")));
static ANNOUNCERS: LazyLock<Words> =
    LazyLock::new(|| Words::new(include_str!("../../../data/phi/name-announcers.txt")));
/// What the lists say of one word.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    /// Where it ends, with its possessive.
    end: usize,
    first: bool,
    surname: bool,
    /// A word of its own, or of medicine.
    weak: bool,
    eponym: bool,
    /// No name unless something announces it.
    word: bool,
    shout: bool,
}

impl<'a> Word<'a> {
    /// The capitalised word at `at`.
    fn read(scan: Scan<'a>, at: usize) -> Option<Self> {
        if !scan.char(at)?.is_uppercase() {
            return None;
        }
        let end = scan.run(at, |c| c.is_alphabetic() || matches!(c, '-' | '\'' | '’'))?;
        let text = scan.slice(at, end);
        let text = ["'s", "’s", "'S", "'", "’", "-"].iter().fold(text, |t, tail| t.strip_suffix(tail).unwrap_or(t));
        if text.chars().nth(1).is_none() || !scan.ends_word(end) {
            return None;
        }
        let shout = text.chars().all(|c| c.is_uppercase() || !c.is_alphabetic());
        if !shout && !title_case(text) {
            return None;
        }
        let whole = listed(text);
        let part = text.split_once('-').map_or(whole, |(part, _)| listed(part));
        let is = |what: u8| (whole | part) & what > 0;
        let (first, surname) = (is(FIRST), is(SURNAME));
        Some(Self {
            text,
            end,
            first,
            surname,
            weak: (first || surname) && is(WEAK),
            eponym: whole & EPONYM > 0,
            word: is(WORD),
            shout,
        })
    }

    /// `I'm`, `They've`.
    fn contracted(self) -> bool {
        ["'m", "'ve", "'d", "'ll", "'re", "'t"].iter().any(|tail| self.text.ends_with(tail))
    }

    fn is_word(self) -> bool {
        self.word || is_no_name(self.text, self.shout)
    }

    fn next(self, scan: Scan<'a>) -> Option<Self> {
        let start = scan.skip_spaces(self.end);
        if start == self.end { None } else { Self::read(scan, start) }
    }
}

/// `Michael`, `Grace Kim`, `SMITH, JOHN A.`, `J. Okafor`, `her son Okeke`.
pub(super) fn bare(scan: Scan<'_>, at: usize) -> Option<Span> {
    if !scan.char(at)?.is_uppercase() || scan.before(at) == Some('-') {
        return None;
    }
    if let Some(start) = initials(scan, at) {
        let word = Word::read(scan, start)?;
        let listed = word.surname && !word.weak;
        let told = || announced(scan, at, word) || by_degree(scan, word.end);
        return (listed || !word.is_word() && !word.shout && told()).then(|| Span::new(at, start + word.text.len()));
    }
    let word = Word::read(scan, at)?;
    if word.is_word() {
        return None;
    }
    surname_first(scan, at, word).or_else(|| in_order(scan, at, word))
}

fn in_order(scan: Scan<'_>, at: usize, word: Word<'_>) -> Option<Span> {
    let next = word.next(scan).filter(|next| next.shout == word.shout && !next.is_word());
    let middle = middle(scan, word.end).filter(|next| next.shout == word.shout);
    let second = middle.or(next);
    let strong = word.first && !word.weak;
    let pair = second.is_some_and(|second| {
        word.first && second.surname && !(word.weak && second.weak)
            || strong && (second.surname || second.first || !word.shout)
            || !word.shout && second.surname && !second.weak && (word.surname || !starts(scan, at))
            || !word.shout && word.first && !starts(scan, at) && (second.surname || !is_kind(second.text))
            || !word.shout && second.surname && !second.weak && speaks(scan, second.end)
    });
    let surname = word.surname && !word.weak && !word.eponym && !word.shout && !starts(scan, at);
    // "Ruby says", "Garcia RN"
    let named = word.first || word.surname && !word.weak;
    let acts = named && !word.shout && !KIN.has(word.text) && speaks(scan, word.end);
    let nurse = (word.first || word.surname) && !word.weak && !word.shout && by_degree(scan, word.end);
    let alone = strong && !word.shout || surname || acts || nurse || is_family(scan, at, word);
    // "seen by Wilson", but "mother Parkinson's"
    let in_medicine = word.eponym && (!word.surname || KIN.before(scan, at));
    let told = !word.shout
        && !in_medicine
        && (announced(scan, at, word) || (word.first || word.surname) && is_apposed(scan, word));
    if !(pair || alone || told) {
        return None;
    }
    let end = name(scan, at, 4).map_or(at + word.text.len(), |span| span.end);
    (told || !is_eponym(scan, word.end) && !is_eponym(scan, end)).then(|| Span::new(at, end))
}

/// Whether what follows is what a person does.
fn speaks(scan: Scan<'_>, at: usize) -> bool {
    const DOES: [&str; 30] = [
        "says", "said", "states", "stated", "reports", "reported", "thinks", "believes", "wants", "wanted", "told",
        "asked", "asks", "phoned", "called", "calls", "visits", "visited", "helps", "died", "drives", "drove",
        "brought", "agrees", "agreed", "denies", "denied", "lives", "came", "was the",
    ];
    let start = scan.skip_spaces(at);
    start > at && DOES.iter().any(|does| scan.phrase(start, does).is_some())
}

/// "the Garcia family", "the Garcias".
fn is_family(scan: Scan<'_>, at: usize, word: Word<'_>) -> bool {
    let the = scan.last_word(at).eq_ignore_ascii_case("the");
    let kinsfolk = ["family", "household", "residence", "sisters", "brothers", "twins", "children"];
    let together = scan.any_word(scan.skip_spaces(word.end), &kinsfolk).is_some();
    let several = || word.text.strip_suffix('s').is_some_and(|one| listed(one) & (SURNAME | WEAK) == SURNAME);
    together && word.surname && (the || !word.weak) || the && several() && !word.eponym
}

/// `Smith, John A.`; in capitals the first name must be in the list.
fn surname_first(scan: Scan<'_>, at: usize, word: Word<'_>) -> Option<Span> {
    let comma = scan.skip(at + word.text.len(), ',');
    let start = scan.skip_spaces(comma);
    if comma != word.end + 1 || start > comma + 1 {
        return None;
    }
    let first = Word::read(scan, start).filter(|first| first.first && first.shout == word.shout)?;
    let (strong, listed) = (!first.weak, word.surname && !word.weak);
    if !(strong && (word.surname || word.shout && word.text.len() > 3 || announced(scan, at, word))
        || listed && !first.is_word())
    {
        return None;
    }
    let initial = scan.skip_spaces(first.end);
    let letter =
        scan.letters(initial).filter(|end| end - initial == 1 && scan.char(initial).is_some_and(char::is_uppercase));
    Some(Span::new(at, letter.filter(|_| initial > first.end).unwrap_or(start + first.text.len())))
}

/// The word after a middle initial.
fn middle<'a>(scan: Scan<'a>, at: usize) -> Option<Word<'a>> {
    let start = scan.skip_spaces(at);
    let end = scan.letters(start).filter(|end| end - start == 1 && start > at)?;
    let next = scan.skip_spaces(scan.skip(end, '.'));
    if next == end || !scan.char(start)?.is_uppercase() {
        return None;
    }
    Word::read(scan, next).filter(|word| !word.is_word())
}

/// The start of the word after one or two initials with their stops.
fn initials(scan: Scan<'_>, at: usize) -> Option<usize> {
    let mut start = at;
    for count in 0..3 {
        let Some(end) = scan.letters(start).filter(|end| end - start == 1) else {
            return (count > 0).then_some(start);
        };
        if !scan.char(start)?.is_uppercase() || scan.char(end) != Some('.') {
            return None;
        }
        // Two spaces part sentences.
        let next = scan.skip_spaces(end + 1);
        if next > end + 2 {
            return None;
        }
        start = next;
    }
    Some(start)
}

/// Whether the words before `at` announce a name. A colon and a role announce other things as well: there the word must be
/// in a list of names.
fn announced(scan: Scan<'_>, at: usize, word: Word<'_>) -> bool {
    let listed = word.first || word.surname;
    let colon = scan.slice(scan.gap_before(at), at).contains(':');
    let told = KIN.before(scan, at) || ANNOUNCERS.before(scan, at);
    let sure = listed && !(colon && word.weak);
    // "the surgeon was Long"
    let verb = ["is", "was", "named"].contains(&scan.last_word(at)).then(|| scan.word_before(at - 1));
    let role = |at: usize| ROLES.before(scan, at) || KIN.before(scan, at);
    let beside = || word.first && BESIDE.contains(&scan.last_word(at));
    told && (sure || !colon && !word.contracted()) || sure && (role(at) || verb.is_some_and(role) || beside())
}

/// Before a first name that is a word as well: "with Grace", "asked for Mark".
const BESIDE: [&str; 16] = [
    "with", "w", "ask", "asked", "tell", "told", "calls", "both", "and", "from", "to", "for", "by", "about", "her",
    "him",
];

/// "Ruby, his wife of forty years,".
fn is_apposed(scan: Scan<'_>, word: Word<'_>) -> bool {
    let comma = scan.skip(word.end, ',');
    let own = scan.any_word(scan.skip_spaces(comma), &["his", "her", "their", "the patient's", "my", "a", "the"]);
    let kin = own.map(|end| scan.skip_spaces(end)).filter(|_| comma > word.end);
    kin.is_some_and(|at| {
        scan.run(at, |c| c.is_alphabetic() || c == '-').is_some_and(|end| KIN.has(scan.slice(at, end)))
    })
}

/// `Maria Garcia RN`.
fn by_degree(scan: Scan<'_>, at: usize) -> bool {
    scan.any_word(scan.skip_spaces(scan.skip(at, ',')), &DEGREES).is_some()
}
