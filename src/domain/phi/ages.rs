//! Ages over 89: a number from 90 on that is said of a person, not of a pulse or a temperature.
//!
//! What stands behind the number may say so (`94 y.o.`, `94F`, `94th birthday`); else the words before it are read
//! backwards, the nearest first: `she will be 94`, `her mother, 94,`, `died at 94`, `a woman of 94`.

use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::Words;
use super::scan::Scan;
use super::vocabulary::is_listed_name;

static PEOPLE: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/people.txt")));
/// "pulse", "sugar": a number near them is theirs.
static MEASURES: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/measures.txt")));
/// "widowed", "looks": what is said of a person "at 94" or "for 94".
static EVENTS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/life-events.txt")));
static UNITS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/units.txt")));

/// `92-year-old`, `94F`, `aged 93`, `she is 94`, `ninety-two years old`, `in her nineties`. "90 or older" is the group that
/// the safe harbour asks for.
pub(super) fn age_over_89(scan: Scan<'_>, at: usize) -> Option<Span> {
    if !scan.char(at)?.is_ascii_digit() && !scan.char(at).is_some_and(|c| "nNcCsSoOaAhH".contains(c)) {
        return None;
    }
    if let Some(end) = scan.any_word(at, &["nonagenarian", "centenarian", "supercentenarian"]) {
        return Some(Span::new(at, end));
    }
    if let Some(end) = decade(scan, at) {
        return Some(Span::new(at, end));
    }
    let sex_first = ["F/", "M/"].iter().any(|sex| scan.slice(0, at).ends_with(sex));
    let end = old_age(scan, at)?;
    // "1.92 years old" and "18-92 years" are no age of one person.
    let goes_before = scan.before(at).is_some_and(|c| matches!(c, '.' | '-' | '/' | '–'));
    if goes_before && !sex_first {
        return None;
    }
    let told = || {
        let years = years(scan, end);
        let whole = scan.ends_word(years) && !measured(scan, years) && !grouped(scan, years);
        years_old(scan, end) || sexed(scan, at, years) || whole && (sex_first || said_of_a_person(scan, at, years))
    };
    (birthday(scan, at, end) || told()).then(|| Span::new(at, end))
}

/// `her 90s`, `mid-nineties`; "sats in the 90s" and "in the 90s" are of nobody.
fn decade(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = scan.any_word(at, &["90s", "90's", "90’s", "nineties"])?;
    let own = scan.follows(at, &["his", "her", "their", "my", "early", "mid", "late", "mid-", "early-", "late-"]);
    own.then_some(end)
}

const ONES: [&str; 9] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// The end of a number from 90 to 119, in figures or words.
fn old_age(scan: Scan<'_>, at: usize) -> Option<usize> {
    if let Some((age, end)) = scan.number(at) {
        return (90..=119).contains(&age).then_some(end);
    }
    let ninety = || scan.word(at, "ninety");
    let hundred = || {
        let hundred = ["one hundred", "a hundred", "hundred", "one-hundred"];
        hundred.iter().find_map(|number| scan.phrase(at, number))
    };
    let end = ninety().or_else(hundred)?;
    let start = |at: usize| scan.char(at).filter(|c| matches!(c, ' ' | '-')).map(|_| at + 1);
    let joined = start(end).and_then(|next| scan.word(next, "and")).unwrap_or(end);
    let Some(next) = start(joined) else { return Some(end) };
    // "one hundred and sixty three"
    let more = scan.letters(next).is_some_and(|end| {
        ["ty", "teen", "ten", "eleven", "twelve"].iter().any(|tail| scan.slice(next, end).ends_with(tail))
    }) || scan.number(next).is_some();
    (!more).then(|| scan.any_word(next, &ONES).unwrap_or(end))
}

/// The end of "years", "yrs", "y" after a number, or the number's end.
fn years(scan: Scan<'_>, at: usize) -> usize {
    let start = hyphen(scan, at);
    let long = scan.any_word(start, &["years", "year", "yrs", "yr", "y"]);
    let past = |end: &usize| {
        let words = ["ago", "of", "later", "prior", "before", "earlier", "in", "after", "since", "apart", "worth"];
        scan.any_word(scan.skip_spaces(*end), &words).is_none()
    };
    long.filter(past).unwrap_or(at)
}

fn hyphen(scan: Scan<'_>, at: usize) -> usize {
    let start = scan.skip_spaces(at);
    let end = ['-', '‑', '–'].iter().map(|&c| scan.skip(start, c)).find(|&end| end > start);
    scan.skip_spaces(end.unwrap_or(start))
}

/// Whether what follows the number makes it an age: `y.o.`, `-year-old`, `years of age`, `years and 3 months old`.
fn years_old(scan: Scan<'_>, at: usize) -> bool {
    let start = hyphen(scan, at);
    if scan
        .any_word(start, &["yo", "y/o", "y.o", "yof", "yom", "yow", "yoa", "yf", "ym", "y.o.f", "y.o.m", "y o", "y. o"])
        .is_some()
    {
        return true;
    }
    if scan.any_word(start, &["birthdays", "summers", "winters"]).is_some() {
        return true;
    }
    let Some(year) = scan.any_word(start, &["years", "year", "yrs", "yr", "y"]) else { return false };
    let mut end = hyphen(scan, scan.skip(year, '.'));
    let months = scan.word(end, "and").and_then(|and| scan.number(scan.skip_spaces(and)));
    if let Some((_, months)) = months {
        end = scan.any_word(scan.skip_spaces(months), &["months", "month"]).map_or(end, |end| scan.skip_spaces(end));
    }
    scan.any_word(end, &["old", "olds", "young", "female", "male"]).is_some()
        || ["of age", "of life"].iter().any(|of| scan.phrase(end, of).is_some())
}

/// `94F`, `94/M`, `94 y M`, `94 female`. A lone letter needs a sentence's start or an article, for `98 F` is a temperature.
fn sexed(scan: Scan<'_>, at: usize, end: usize) -> bool {
    let slash = ['/', ',']
        .iter()
        .map(|&c| scan.skip(scan.skip_spaces(end), c))
        .find(|&next| scan.before(next) == Some('/') || scan.before(next) == Some(','));
    let slash = slash.unwrap_or(end);
    let start = hyphen(scan, slash);
    let words = ["female", "male", "woman", "man", "lady", "gentleman", "widow", "widower", "veteran", "grandmother"];
    if scan.any_word(start, &words).is_some() {
        return true;
    }
    let Some(after) = ["F", "M", "WF", "WM", "BF", "BM", "AAF", "AAM"]
        .iter()
        .find_map(|sex| scan.word(start, sex).filter(|_| scan.rest(start).starts_with(sex)))
    else {
        return false;
    };
    let before = scan.slice(0, at).trim_end();
    let starts = before.is_empty() || before.ends_with(['.', '\n']) && before.len() < at;
    let told = || {
        let phrase = Before::read(scan, at);
        let article = ["a", "an", "this", "pt", "patient", "frail", "elderly", "pleasant", "our", "old", "is", "was"];
        let next = scan.skip_spaces(after);
        let goes_on = ["with", "w", "who", "s/p", "h/o", "p/w", "c/o", "admitted", "presents", "presenting", "found"];
        !phrase.measures() && (start == end || phrase.word_is(0, &article) || scan.any_word(next, &goes_on).is_some())
    };
    let parted = slash > end && scan.before(at) != Some('/') && !Before::read(scan, at).measures();
    parted || starts || told()
}

/// `94th birthday`, `her 95th`, `ninetieth birthday`.
fn birthday(scan: Scan<'_>, at: usize, end: usize) -> bool {
    let Some(end) = scan.any_word(end, &["st", "nd", "rd", "th"]) else { return false };
    let next = scan.skip_spaces(end);
    let own = scan.follows(at, &["his", "her", "their", "my"]) && scan.any_word(next, &["percentile"]).is_none();
    own || scan.any_word(next, &["birthday", "bday", "b-day", "year"]).is_some()
}

/// "90 or older", "90+".
fn grouped(scan: Scan<'_>, at: usize) -> bool {
    let groups = ["or older", "or over", "or above", "or more", "and older", "and over", "and above", "and up"];
    scan.char(at) == Some('+') || groups.iter().any(|group| scan.phrase(scan.skip_spaces(at), group).is_some())
}

/// Whether a unit follows, so that the number is none of years.
fn measured(scan: Scan<'_>, at: usize) -> bool {
    let next = hyphen(scan, at);
    let sign = scan
        .char(scan.skip_spaces(at))
        .is_some_and(|c| matches!(c, '%' | '/' | '°' | ':' | '–' | '+' | '<' | '>' | '×' | '#' | '$'));
    let part = scan.char(at).is_some_and(|c| matches!(c, '.' | ',' | '-'))
        && scan.char(at + 1).is_some_and(|c| c.is_ascii_digit());
    let unit = scan.letters(next).is_some_and(|end| UNITS.has(scan.slice(next, end)));
    // "94 on room air", not "94 on her next birthday"
    let own = |on: usize| scan.any_word(scan.skip_spaces(on), &["his", "her", "their", "my", "the"]).is_some();
    let unit = unit || scan.word(next, "on").is_some_and(|on| !own(on));
    sign || part || unit || scan.number(next).is_some()
}

/// The few words before a number, the nearest first, as far as its sentence goes.
struct Before<'a> {
    /// With the sign that stands behind the word, if any.
    words: Vec<(&'a str, Option<char>)>,
}

impl<'a> Before<'a> {
    fn read(scan: Scan<'a>, at: usize) -> Self {
        let (mut words, mut end) = (Vec::new(), at);
        while words.len() < 7 {
            let stop = scan.gap_before(end);
            let mut sign = scan.slice(stop, end).trim().chars().next();
            let mut word_end = stop;
            if let Some(c @ ('.' | '/' | '~' | '&' | ')' | '-' | '"' | '[' | '>' | '≥' | '–' | '—' | '|' | '\t')) =
                scan.before(stop)
            {
                word_end -= c.len_utf8();
                sign = Some(c);
            }
            let start = scan.word_before(word_end);
            let word = scan.slice(start, word_end).trim();
            // A stop ends a sentence, save behind "Mr." and "d."
            let short =
                ["mr", "mrs", "ms", "dr", "d", "pt", "approx"].iter().any(|short| short.eq_ignore_ascii_case(word));
            if word.is_empty() || sign == Some('.') && !short {
                break;
            }
            words.push((word, sign));
            end = start;
        }
        Self { words }
    }

    fn word(&self, i: usize) -> &'a str {
        self.words.get(i).map_or("", |(word, _)| word)
    }

    fn word_is(&self, i: usize, words: &[&str]) -> bool {
        words.iter().any(|word| word.eq_ignore_ascii_case(self.word(i)))
    }

    /// Whether one of `words` stands among the words from the `i`th to the `i + 3`rd.
    fn near(&self, i: usize, words: &str) -> bool {
        (i..i + 4).any(|i| is_in(self.word(i), words))
    }

    /// Whether a sign parts the `i`th word from what follows it.
    fn parted(&self, i: usize) -> bool {
        self.words.get(i).is_some_and(|(_, sign)| sign.is_some())
    }

    /// Whether the `i`th word is a person: `she`, `patient`, a listed name, what follows `Mr.`.
    fn person(&self, i: usize) -> bool {
        let word = self.word(i);
        let title = || self.word_is(i + 1, &["mr", "mrs", "ms", "miss", "dr", "aunt", "uncle", "sister", "brother"]);
        PEOPLE.has(word) || word.starts_with(char::is_uppercase) && (title() || is_listed_name(word))
    }

    fn measures(&self) -> bool {
        self.words.iter().any(|(word, _)| MEASURES.has(word))
    }
}

/// What may stand between a verb and an age.
const HARDLY: &str = "now already almost nearly about approximately approx only just currently still around roughly today be \
     been have also actually past then soon well presently over above than older more";
/// "turned 94", "being 94".
const BECOMES: &str = "turned turning turns turn reached reaching reaches reach becomes became celebrated celebrates celebrating \
     celebrate nearing approaching pushing attained attaining being becoming become born appears looks seems \
     appeared looked although though passed surpassed despite";
/// "Father died, 94."
const FATES: &str = "died dead deceased alive living d dec well";
const IS: &str = "is was are were am will would he's she's who's i'm they're he’s she’s who’s he'll she'll he'd she'd";
/// "lived to 94", "going on 94", "claims to be 94".
const LIVES: &str = "lived live lives living survived made make makes hopes going gets getting closing coming close closer \
     claims believes says reports thinks wants expects due";
/// "a total of 94" is none of years.
const AMOUNTS: &str = "total max maximum minimum average mean dose series count set sum gain loss supply bottle course distance \
     group sample rate high low peak number amount history cohort bottle box range target goal reading";

fn is_in(word: &str, words: &str) -> bool {
    words.split_whitespace().any(|other| other.eq_ignore_ascii_case(word))
}

/// Whether the words before a number say it of a person: by what the nearest of them is.
fn said_of_a_person(scan: Scan<'_>, at: usize, end: usize) -> bool {
    let before = Before::read(scan, at);
    let years = scan.slice(at, end).contains(|c: char| c.is_ascii_digit()) && scan.slice(at, end).contains('y');
    // "age at visit: 94", but not "ages 65 to 92"
    let age = (0..4).find(|&i| before.word_is(i, &["age", "aged"]));
    if age.is_some_and(|age| (0..age).all(|i| !before.word(i).starts_with(|c: char| c.is_ascii_digit()))) {
        return true;
    }
    if before.measures() {
        return false;
    }
    let mut i = 0;
    while is_in(before.word(i), HARDLY) || before.word(i).ends_with("ly") {
        i += 1;
    }
    // "over 90" is the group of the safe harbour.
    if (0..i).any(|i| is_in(before.word(i), "over above than")) && scan.number(at).is_some_and(|(age, _)| age == 90) {
        return false;
    }
    let next = scan.skip_spaces(scan.skip(end, ','));
    let pronoun = || scan.any_word(next, &["he", "she", "they", "the patient", "patient", "this", "pt"]).is_some();
    let closes = || {
        scan.char(end).is_none_or(|c| matches!(c, ',' | ')' | ']' | '.' | ';' | '!' | '\n'))
            || scan.any_word(scan.skip_spaces(end), &["and", "&", "with", "who"]).is_some()
            // Lists of short phrases have no stops: "Mother 94 Father 91".
            || scan.char(scan.skip_spaces(end)).is_none_or(char::is_uppercase)
    };
    let word = before.word(i);
    let is = |words: &str| is_in(word, words);
    let earlier = |words: &str| before.near(i + 1, words);
    let somebody = || before.words.iter().any(|(word, _)| PEOPLE.has(word));
    let article = |from: usize| (from..from + 4).find(|&i| is_in(before.word(i), "a an"));
    if is("old nonagenarian") || is("sex gender") && earlier("age") || is(BECOMES) || is(FATES) && closes() {
        return true;
    }
    // "94 next month"
    let soon =
        ["today", "tomorrow", "next week", "next month", "next year", "this week", "this month", "this year", "soon"];
    if (somebody() || before.words.is_empty())
        && soon.iter().any(|soon| scan.phrase(scan.skip_spaces(end), soon).is_some())
    {
        return true;
    }
    // "despite her 94 years", "lived 94 years"
    if is("his her their my lived survived") && (years || i > 0 && is("lived"))
        || is("years yrs yo") && before.parted(0)
    {
        return true;
    }
    if is("has had") && years {
        return before.person(i + 1);
    }
    if is("made makes hit passed") {
        return before.person(i + 1) || is_in(before.word(i + 1), "will just has recently finally");
    }
    if is("frail elderly healthy robust spry when") && closes() {
        return true;
    }
    // "is a remarkable 94", "lived to a ripe 94"
    if let Some(article) = article(i + 1)
        && is_in(before.word(article + 1), "is was he's she's i'm to at a")
        && !is("of")
    {
        let own = before.word(article + 1).contains('\'');
        return own || before.person(article + 2) || somebody() || is_in(before.word(article + 2), LIVES);
    }
    if is("of as") {
        let thing = before.word(i + 1);
        let noun = thing.starts_with(char::is_lowercase) && !is_in(thing, AMOUNTS);
        let named = noun && article(i + 2).is_some() && closes();
        return earlier("age aged") || is("of") && (PEOPLE.has(thing) || named);
    }
    if is("to see until till past on toward towards into") {
        // "found to be 94" is a measure, "about to be 94" none
        let will_be = i > 0 && before.word_is(i - 1, &["be"]) && !earlier("found noted measured recorded calculated");
        return earlier(LIVES) || (will_be || is("until till")) && somebody();
    }
    if is(IS) || i > 0 && before.word_is(i - 1, &["be"]) {
        let own = word.contains(['\'', '’']);
        let skip = usize::from(is_in(before.word(i + 1), HARDLY));
        return own
            || before.person(i + 1 + skip)
            || earlier("age oldest eldest youngest")
            || (before.word_is(i + 1, &["and"]) || closes()) && somebody()
            || before.words.len() == i + 1 && begins_text(scan, at, word);
    }
    if is("at for by") {
        // "lives at 93 Mill Lane"
        let street = scan.char(scan.skip_spaces(end)).is_some_and(char::is_uppercase) && earlier("lives living lived");
        return !street
            && (pronoun()
                || (i + 1..i + 5).any(|i| EVENTS.has(before.word(i)))
                || is("at") && somebody()
                || years && earlier("lived"));
    }
    if before.words.get(i).is_none() {
        return i > 0 && (pronoun() || closes()) || years && closes();
    }
    // "her mum's 94"
    if word
        .strip_suffix("'s")
        .or_else(|| word.strip_suffix("’s"))
        .is_some_and(|one| kin(one) || years && PEOPLE.has(one))
    {
        return true;
    }
    // "a retired tailor, 94, was seen", "F, 94"
    let comma = before.parted(0) && scan.char(end) == Some(',');
    let apposed = comma
        && word.starts_with(char::is_lowercase)
        && (i + 1..i + 5).any(|i| is_in(before.word(i), "a an the our this"));
    if apposed || before.parted(0) && closes() && ["F", "M", "WF", "WM", "BF", "BM"].contains(&word) {
        return true;
    }
    // "her mother, 94, is well", "Grandfather (94)", "Father 91, CAD"
    let capital = |i: usize| before.word(i).starts_with(char::is_uppercase) && before.word(i).len() > 2;
    comma && capital(i) || before.person(i) && closes() && (before.parted(0) || kin(word))
}

/// "Is 94 and frail." A line that begins so may go on from the one before: "Haemoglobin / was 104".
fn begins_text(scan: Scan<'_>, at: usize, verb: &str) -> bool {
    let before = scan.slice(0, at).rfind(verb).map_or("", |verb| scan.slice(0, verb));
    verb.starts_with(char::is_uppercase) || !before.ends_with('\n')
}

/// Whether it is a person whom notes name with an age alone: "Father 91".
fn kin(word: &str) -> bool {
    PEOPLE.has(word) && !["he", "she", "patient", "pt", "who", "they", "i"].iter().any(|p| p.eq_ignore_ascii_case(word))
}
