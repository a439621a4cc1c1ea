//! Sentences are found where people see them, and the cover is lossless whatever the text.

use proptest::prelude::*;

use super::*;

/// `segment` finds the sentences that `‖` marks.
#[track_caller]
fn splits(marked: &str) {
    let text = marked.replace('‖', "");
    let found: Vec<&str> = segment(&text).iter().map(|span| span.of(&text)).collect();
    let wanted: Vec<&str> = marked.split('‖').map(str::trim).filter(|sentence| !sentence.is_empty()).collect();
    assert_eq!(found, wanted);
}

#[test]
fn titles_and_times_of_day_end_no_sentence() {
    let note = "Seen by Dr.\nOsei at 3 p.m. on Friday. Takes donepezil 5 mg q.h.s. Sleeps well.";
    let sentences: Vec<_> = segment(note).iter().map(|span| span.of(note)).collect();
    assert_eq!(sentences, ["Seen by Dr.\nOsei at 3 p.m. on Friday.", "Takes donepezil 5 mg q.h.s.", "Sleeps well."]);
}

#[test]
fn abbreviations_go_on() {
    for text in [
        "Seen by Dr. Smith and Mrs. J. R. Keene of St. Mary's vs. the G.P. practice.",
        "Drugs, e.g. Aricept, i.e. donepezil, were approx. 5 mg.",
        "Takes donepezil 5 mg q.h.s. and lorazepam 0.5 mg p.o. p.r.n. for sleep.",
        "Dose .25 mg, up from .125 mg, on 3.4.2020 at 8.30 a.m. with food.",
        "See Fig. 2 and chart no. 12 at 9 a.m. Monday.",
        "Wt. 61.5 kg, Hx. of AD, pt. well, y/o. unknown.",
        "Write to memory.clinic@trust.example.org or https://trust.example.org/a.B?c=D.e today.",
        "She is on vit. D3; he is not; neither sleeps.",
        "I know it... it will come... to me.",
        "A 74-yr. old man, ?early AD, still driving (!) despite advice.",
        "She asked \"What day is it?\" four times.",
    ] {
        splits(text);
    }
}

#[test]
fn abbreviations_end_where_a_sentence_begins() {
    for text in [
        "She takes it b.i.d.‖ She sleeps well.",
        "Up at 3 a.m.‖ He wandered.‖ Back at 5 p.m.‖ No injury.",
        "Paid the gas, rent etc.‖ Husband helps.",
        "On balance, no.‖ See the form.",
        "Review in 2 wks.‖ Memory clinic to call.",
        "Takes vitamin C.‖ Folate was low.",
    ] {
        splits(text);
    }
}

#[test]
fn stops_end_sentences() {
    for text in [
        "No falls.‖ No fever!‖ Why not?‖ Who knows?!‖ Quite.",
        "She said \"I am well.\"‖ She is not.‖ (Her son agrees.)‖ So do I.",
        "Said it is 1974...‖ He could not be swayed…‖ His son could not either.",
        "She slept well.She ate.‖ Seen by Dr.Osei.".replace("well.She", "well.‖She").as_str(),
        "No tremor.‖no gait change.",
        "MMSE was 21.‖ 3 of the points were for recall.",
        "Worse.‖ ?stroke.‖ #1 priority is sleep.",
    ] {
        splits(text);
    }
}

#[test]
fn wrapped_lines_are_one_sentence() {
    for text in [
        "She repeats questions and, on at least three\noccasions, could not find her way home.‖ She is\nnot worried.",
        "She repeats questions and, on at least three\r\noccasions, could not find her way home.",
        "He was seen by the registrar of the clinic and then by\nDr. Osei, who agreed with the registrar about the\nmemantine.",
        "treated by Mr.\nAdeyemi",
        "She was given approx.\n5 mg of it.",
    ] {
        splits(text);
    }
}

#[test]
fn headings_fields_and_vitals_stand_alone() {
    for text in [
        "ASSESSMENT AND PLAN\n‖Probable AD.‖\nPLAN:‖\nstart donepezil.",
        "History of Present Illness:‖\nForgets names.‖\n\nPlan: start donepezil.‖\nResults:‖\n\nMRI pending.",
        "BP 142/78, HR 72, T 98.6.‖\nWt 71.2 kg‖\nHt 168 cm‖\nSex: F",
        "Medical‖\nHypertension.‖\nEmployed as x-ray technician.",
        "Yours sincerely,‖\n\nProf. A. B. Lindqvist‖\nConsultant",
    ] {
        splits(text);
    }
}

#[test]
fn list_items_run_on_in_one_line() {
    for text in [
        "Imp: 1. hypothermia‖ 2. CAP‖ 3. delirium on probable dementia.",
        "1. Fall.‖ 2. Wrist fracture‖ 3. UTI, treated.",
        "1. Diabetes type 2.‖ Diet controlled.",
        "1. Seen on day 2.‖ Well.",
        "He took 2.‖ She took 3.",
    ] {
        splits(text);
    }
}

#[test]
fn list_items_begin_sentences() {
    for text in [
        "1. Dementia‖\n2. Hypertension, at goal.‖ No change.‖\n   a) recheck‖\n- diet‖\n* sleep‖\n• mood",
        "A/P: 1. MCI vs. early AD.‖ 2. Driving.",
        "- carer strain, in tears, and\n  feels that no one listens‖\n- falls",
        "1.\nDementia.",
        "metformin 500 mg daily‖\nlisinopril 10 mg daily",
    ] {
        splits(text);
    }
}

#[test]
fn turns_and_log_entries_begin_sentences() {
    splits("Doctor: How are you?‖\nPatient: I was about to‖\nDoctor: Go on.‖ Please.");
    splits("08:15 Pt awake.‖ Took meds‖\n08:40 Obs stable.‖ Back 13:55.‖\n0915h asleep");
}

#[test]
fn removed_names_are_never_split() {
    splits("Seen at [**Hospital 3. Inc.\n\nWard No. 4! B**] by [**Name**].‖ [**Name2 (NI) **] agrees.");
}

#[test]
fn nothing_is_no_sentence() {
    splits("");
    splits(" \r\n\t\u{2028}\n ");
}

/// Text in which stops, breaks and markers meet more often than in any note.
fn rough() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        ".",
        "...",
        "…",
        "?",
        "!",
        ". ",
        ".\n",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        " ",
        "\t",
        "\u{2028}",
        "\u{a0}",
        "•",
        "- ",
        "1. ",
        "(a) ",
        "\"",
        "'",
        "(",
        ")",
        "[**",
        "**]",
        "[",
        "Dr",
        "b.i.d",
        "She",
        "no",
        "PLAN",
        "Plan:",
        "Doctor: ",
        "08:15 ",
        "é",
        "한",
        "👩\u{200d}⚕",
        "\u{301}",
        "5",
        ".25",
        "well",
        "and",
        ",",
        "a@b.c",
        "#",
        "A",
    ]);
    prop::collection::vec(
        prop_oneof![8 => piece.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
        0..80,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_character_is_in_one_sentence(text in rough()) {
        let mut at = 0;
        for span in segment(&text) {
            prop_assert!(span.start >= at && !span.is_empty());
            prop_assert!(text[at..span.start].trim().is_empty());
            let sentence = &text[span.start..span.end];
            prop_assert_eq!(sentence.trim(), sentence);
            at = span.end;
        }
        prop_assert!(text[at..].trim().is_empty());
    }

    #[test]
    fn removed_names_stay_whole(text in rough()) {
        for name in deidentified(&text) {
            prop_assert!(segment(&text).iter().any(|span| span.start <= name.start && name.end <= span.end));
        }
    }

    #[test]
    fn a_wrap_between_words_changes_no_sentence(column in 45_usize..90) {
        let words = "the patient was seen in the memory clinic with her daughter and repeats questions, loses the thread of a story \
            and could not find her way home; she is not worried. she sleeps well.";
        let wrapped = words.split(' ').fold(String::new(), |text, word| {
            let width = text.len() - text.rfind('\n').map_or(0, |at| at + 1);
            let gap = if text.is_empty() { "" } else if width + 1 + word.len() > column { "\n" } else { " " };
            text + gap + word
        });
        prop_assert_eq!(segment(&wrapped), segment(words));
    }
}

/// Quadratic reading would take hours on these.
#[test]
fn a_megabyte_on_one_line_is_read_once() {
    for unit in [
        "a",
        "a ",
        ".",
        ". ",
        ".\"",
        "a. ",
        "1. ",
        "[**",
        "(",
        "\n",
        "a\n",
        "\r",
        "Dr. ",
        "w.",
        "?",
        "• ",
        "•",
        ":",
        "She is well. ",
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let covered: usize = segment(&text).iter().map(Span::len).sum();
        assert!(covered <= text.len());
    }
}
