//! What is shown is safe, and spans stay where their words are.

use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    visible(text).text
}

#[test]
fn things_are_listed_as_people_say_them() {
    assert_eq!([listed(&["a", "b", "c"]), listed(&["a"])], ["a, b and c", "a"]);
}

#[test]
fn a_line_cannot_drive_the_terminal_or_turn_its_numbers_round() {
    assert_eq!(shown("stable\r\nat \u{1b}[31mhome"), "stable at ␛[31mhome");
    assert_eq!(shown("\u{202e}0.5 mg"), "⟨U+202E⟩0.5 mg");
}

#[test]
fn controls_are_shown_and_never_sent() {
    assert_eq!(shown("a\u{1b}]0;x\u{7}b"), "a␛]0;x␇b");
    assert_eq!(shown("\u{7f}\u{9b}31m"), "␡⟨U+009B⟩31m");
    assert_eq!(shown("a\rb"), "a␍b");
}

#[test]
fn a_hard_wrap_is_one_space() {
    assert_eq!(shown("gave\r\nmost\nof\tit"), "gave most of it");
}

#[test]
fn what_reorders_or_hides_text_has_a_number() {
    for c in
        "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{200b}\u{2060}\u{feff}\u{2028}\u{2029}\u{ad}\u{e0041}\u{e0001}"
            .chars()
    {
        assert_eq!(shown(&format!("a{c}b")), format!("a⟨U+{:04X}⟩b", u32::from(c)));
    }
}

#[test]
fn joiners_and_selectors_stay_only_where_they_act() {
    for kept in ["👩\u{200d}⚕\u{fe0f}", "می\u{200c}روم", "❤\u{fe0f}\u{200d}🔥", "1\u{fe0f}\u{20e3}"] {
        assert_eq!(shown(kept), kept);
    }
    assert_eq!(shown("\u{200d}a"), "⟨U+200D⟩a");
    assert_eq!(shown("a\u{200c} b"), "a⟨U+200C⟩ b");
    assert_eq!(shown("a \u{fe0f}"), "a ⟨U+FE0F⟩");
    assert_eq!(shown("a\u{fe0f}\u{fe0f}"), "a\u{fe0f}⟨U+FE0F⟩");
}

#[test]
fn marks_do_not_climb_out_of_their_line() {
    let accent = "\u{301}";
    assert_eq!(shown("e\u{301}"), "e\u{301}");
    assert_eq!(shown(&format!("e{}x", accent.repeat(9))), format!("e{}⟨+5 marks⟩x", accent.repeat(4)));
    assert_eq!(shown(accent), "\u{25cc}\u{301}");
}

#[test]
fn evidence_keeps_its_place() {
    let note = "He was\r\n\u{202e}found wandering";
    let start = note.find("found").unwrap();
    let shown = visible(note);
    assert_eq!(shown.display_span(Span::new(start, start + 5)).of(&shown.text), "found");
    assert_eq!(shown.display_span(Span::new(0, 999)).of(&shown.text), shown.text);
}

#[test]
fn a_span_that_does_not_fit_covers_nothing() {
    assert_eq!(Span::new(1, 9).of("é"), "");
    assert!(Span::new(3, 3).is_empty());
    assert!(Span::new(3, 5).contains(4) && !Span::new(3, 5).contains(5));
}

/// Text in which the characters that matter here are frequent.
fn hostile() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(
        "\r\n\t\0\u{1b}\u{7f}\u{85}\u{9b}\u{200d}\u{200c}\u{200b}\u{202e}\u{2069}\u{2028}\u{fe0f}\u{301}\u{302}\u{e0041}\u{e0100}\u{1160}é한👩 a."
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![odd, any::<char>()], 0..60).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn shown_text_is_safe(text in hostile()) {
        let line = shown(&text);
        prop_assert!(!line.chars().any(char::is_control));
        let misleads = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}');
        prop_assert!(!line.contains(misleads));
    }

    #[test]
    fn the_map_is_monotone_and_on_boundaries(text in hostile()) {
        let shown = visible(&text);
        let mut last = 0;
        for offset in 0..=text.len() + 2 {
            let span = shown.display_span(Span::new(offset, text.len()));
            prop_assert!(span.start >= last && span.end == shown.text.len());
            prop_assert!(shown.text.is_char_boundary(span.start));
            last = span.start;
        }
    }

    #[test]
    fn safe_json_reads_back_the_same(text in hostile()) {
        let json = serde_json::json!({ "text": text });
        let safe = json_safe(&format!("{json:#}"));
        prop_assert!(!safe.contains(|c: char| c != '\n' && is_unsafe(c)));
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), json);
    }

    #[test]
    fn showing_twice_changes_nothing(text in hostile()) {
        let once = shown(&text);
        prop_assert_eq!(shown(&once), once);
    }
}
