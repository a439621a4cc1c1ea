//! The whole workbench on a buffer: what stands on the screen after which keys.

use ratatui::style::Modifier;

use super::Headless;
use super::keymap::{Action, Keymap};
use crate::domain::corpus::{NewDocument, Origin};
use crate::domain::label::{Label, NewProposal, Run, RunId, RunKind, Source, Timestamp};
use crate::domain::segment::segment;
use crate::factory;
use crate::factory::run;
use crate::workflow::project::{Project, init};

/// A project with one note of three sentences, silver on the first two, and two synthetic sentences.
fn project(selection: &str) -> (tempfile::TempDir, Project) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study");
    init(&root, "ad-signs").unwrap();
    let taxonomy = root.join("taxonomy.toml");
    let text = std::fs::read_to_string(&taxonomy).unwrap();
    std::fs::write(&taxonomy, text.replace("selection = \"single\"", &format!("selection = \"{selection}\""))).unwrap();
    let project = Project::read(&root, Some("ann")).unwrap();
    let mut store = project.store().unwrap();
    let document = |id: &str, text: &str| NewDocument {
        title: "Clinic letter".into(),
        text: text.into(),
        sentences: segment(text),
        ..factory::empty_note(&format!("patient {id}"), id)
    };
    let real = [document("n", "She forgets names and faces. Her son fills the pill box. Knee pain.")];
    let first = store.insert_documents(&real, Origin::Real, &project.file.split).unwrap()[0].first_sentence();
    let synthetic = [document("b1", "He keeps a list by the door."), document("b2", "She is sad.")];
    let bronze = store.insert_documents(&synthetic, Origin::Synthetic, &project.file.split).unwrap();

    store.put_run(&run("silver", RunKind::Label)).unwrap();
    store.put_run(&run("bronze", RunKind::Generate)).unwrap();
    let proposal = |sentence, label: &str, quote: &str| NewProposal {
        sentence,
        label: Label::parse(label).unwrap(),
        confidence: None,
        probabilities: vec![],
        rationale: "because of the words".into(),
        evidence: vec![quote.into()],
    };
    let second = crate::domain::corpus::SentenceId(first.0 + 1);
    let silver =
        [proposal(first, "cognitive_impairment", "forgets names"), proposal(second, "coping_strategy", "pill box")];
    store.propose(&RunId("silver".into()), Source::Llm, &silver).unwrap();
    let targets = [
        proposal(bronze[0].first_sentence(), "coping_strategy", ""),
        proposal(bronze[1].first_sentence(), "neuropsychiatric_symptoms", ""),
    ];
    store.propose(&RunId("bronze".into()), Source::Llm, &targets).unwrap();
    while store.index_more(100).unwrap() > 0 {}
    (folder, project)
}

/// After these keys, these words stand on the screen, and those do not.
fn after(selection: &str, keys: &[&str], shown: &[&str], hidden: &[&str]) {
    let (_folder, project) = project(selection);
    let mut workbench = Headless::open(project, 120, 30).unwrap();
    workbench.press(keys);
    let text = workbench.text();
    shown.iter().for_each(|words| assert!(text.contains(words), "after {keys:?} `{words}` is missing:\n{text}"));
    hidden.iter().for_each(|words| assert!(!text.contains(words), "after {keys:?} `{words}` is there:\n{text}"));
}

#[test]
fn keys_of_review() {
    let first = "\u{258c} She forgets names and faces.";
    let second = "\u{258c} Her son fills the pill box.";
    let third = "\u{258c} Knee pain.";
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (&[], &[first, "because of the words", "some-llm", "0 of 3 decided"], &["saved"]),
        (&["enter"], &["saved: Cognitive impairment", second, "1 of 3 decided"], &[]),
        (&["enter", "3"], &["saved: Requires assistance", third, "no proposal"], &[]),
        (&["enter", "3", "enter"], &["no proposal to accept", "2 of 3 decided"], &[]),
        (&["enter", "3", "0"], &["saved: None", "3 of 3 decided"], &[]),
        (&["enter", "u"], &[first, "0 of 3 decided"], &["saved"]),
        (&["enter", "u", "r"], &[first, "1 of 3 decided", "you         Cognitive"], &[]),
        (&["u"], &["nothing to undo"], &[]),
        (&["enter", "k"], &[first, "\u{25c6} Cognitive impairment"], &[]),
        (&["j"], &[second, "0 of 3 decided"], &[]),
        (&["k"], &[first, "no more sentences"], &[]),
        (&["s"], &[second, "saved: skipped", "0 of 3 decided"], &[]),
        (&["s", "k"], &[first, "you         skipped"], &[]),
        (&["f"], &[first, "you         flagged"], &[]),
        (&["f", "f"], &[first], &["flagged"]),
        (&["X"], &["only synthetic sentences can be rejected"], &[]),
        (&["E"], &["a real note stays as it is"], &[]),
        (&["c", "a", "b", "enter"], &["\u{201c}ab\u{201d}", first], &[]),
        (&["?"], &["undo, without limit"], &[]),
        (&["?", "enter", "j", "j", "j"], &["Cognitive assessment", "Neuropsychiatric symptoms"], &[]),
        (&["?", "esc"], &[first], &["undo, without limit"]),
        (&["g"], &["Forgetting recent events"], &[]),
        (&["/", "k", "n", "e", "enter"], &[third, "filter `kne`: 1"], &[]),
        (&["/", "z", "z", "enter"], &["no sentence matches `zz`"], &[]),
        (&["/", "z", "z", "enter", "esc"], &[first], &[]),
        (&["/", "i", "s", ":", "x", "enter"], &["is: takes open, decided"], &[]),
        (&[":", "t", "r", "a", "i", "n", "enter"], &["this run"], &[]),
        (&["tab", "tab"], &["nothing is disputed"], &[]),
        (&["tab", "tab", "tab"], &["silver, classifier, experts"], &[]),
        (&["tab", "tab", "tab", "v", "v"], &["agreement needs labels from two experts"], &[]),
        (
            &["S"],
            &[
                "what to train with",
                "(x) n-grams",
                "( ) frozen",
                "name it under [train]",
                "[x] gold",
                "[ ] silver",
                "[ ] bronze",
            ],
            &[],
        ),
        (&["S", "j", "j", "j", "j", "j", "j", "enter"], &["[x] gold", "[x] silver", "[ ] bronze"], &[]),
        (&["S", "j", "j", "j", "j", "j", "enter", "S"], &["choose at least one of gold", "[ ] gold"], &[]),
        (&["S", "esc"], &["all runs", "S trains on 0 gold sentences"], &["what to train with"]),
        (&["K"], &["no training is running"], &[]),
        (&["shift-tab", "shift-tab"], &["all runs"], &[]),
    ];
    for (keys, shown, hidden) in cases {
        after("single", keys, shown, hidden);
    }
}

#[test]
fn keys_of_review_with_several_categories() {
    let second = "\u{258c} Her son fills the pill box.";
    after(
        "multiple",
        &["1", "9"],
        &["\u{25c6} Cognitive impairment", "\u{25c6} Neuropsychiatric", "enter commits", "0 of 3"],
        &[],
    );
    after("multiple", &["1", "9", "1", "enter"], &["saved: Neuropsychiatric symptoms", second], &[]);
    after("multiple", &["1", "9", "enter"], &["saved: Cognitive impairment + Neuropsychiatric symptoms"], &[]);
    after("multiple", &["1", "esc"], &["0 of 3"], &["enter commits"]);
    after("multiple", &["enter"], &["saved: Cognitive impairment", second], &[]);
    after("multiple", &["1", "enter", "k", "2"], &["\u{25c6} Cognitive impairment", "\u{25c6} Notice"], &[]);
}

#[test]
fn keys_of_bronze() {
    let first = "\u{258c} He keeps a list by the door.";
    let second = "\u{258c} She is sad.";
    after("single", &["tab"], &[first, "target      Coping strategy", "0 of 2 decided"], &[]);
    after("single", &["tab", "enter"], &["saved: Coping strategy", second, "1 of 2 decided"], &[]);
    after("single", &["tab", "X"], &["saved: rejected", second, "1 of 2 decided"], &[]);
    after("single", &["tab", "X", "k"], &[first, "you         rejected"], &[]);
    after("single", &["tab", "E", "!", "enter", "k"], &["\u{258c} He keeps a list by the door.!", "reworded"], &[]);
    after("single", &["tab", "enter", "tab", "u"], &[first, "0 of 2 decided"], &[]);
}

#[test]
fn metrics_follow_each_decision_and_lead_to_the_sentences() {
    let (_folder, project) = project("single");
    let mut workbench = Headless::open(project, 120, 40).unwrap();
    workbench.press(&["enter", "3", "tab", "tab", "tab"]);
    assert!(
        workbench.wait(|text| text.contains("0 % decided blind; 2 sentences of 1 patient")),
        "{}",
        workbench.text()
    );
    // Gold is Requires assistance (3), silver said Coping strategy (8).
    workbench.press(&["j", "j", "j"]);
    workbench.press(&["right"; 8]);
    workbench.press(&["enter"]);
    let text = workbench.text();
    assert!(text.contains("gold Requires assistance, silver Coping strategy: 1"), "{text}");
    workbench.press(&["enter"]);
    assert!(workbench.text().contains("\u{258c} Her son fills the pill box."), "{}", workbench.text());
}

/// Two experts differ on the second sentence, and a third decision changes what is shown.
#[test]
fn experts_stand_beside_each_other_and_lead_to_what_they_confuse() {
    let (_folder, project) = project("single");
    let bob = Project::read(&project.folder, Some("bob")).unwrap();
    let mut bench = Headless::open(bob, 80, 24).unwrap();
    bench.press(&["1", "8", "0"]);
    let mut bench = Headless::open(project, 80, 24).unwrap();
    bench.press(&["1", "3", "tab", "tab", "tab", "v", "v"]);
    assert!(bench.wait(|text| text.contains("2 sentences of 1 patient")), "{}", bench.text());
    let text = bench.text();
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows =
        ["labelled by two or more, 1 by one", "raw, % 50.0", "Fleiss, 2 each 0.20", "Coping str\u{2026} 1 100 %"];
    for said in rows.iter().chain(&["Requires a\u{2026} / Coping", "Whether silver pulls the experts cannot"]) {
        assert!(words.contains(said), "`{said}` is missing:\n{text}");
    }
    bench.press(&["j", "j", "k", "enter"]);
    assert!(bench.text().contains("experts say Requires assistance or Coping strategy: 1"), "{}", bench.text());
    bench.press(&["enter"]);
    assert!(bench.text().contains("\u{258c} Her son fills the pill box."), "{}", bench.text());
    // They come to agree.
    bench.press(&["8", "tab", "tab", "tab"]);
    assert!(bench.wait(|text| text.contains("no disagreements")), "{}", bench.text());
    let words: String = bench.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("raw, % 100.0"), "{}", bench.text());
    bench.resize(160, 50);
    assert!(bench.text().contains("each category against the rest"), "{}", bench.text());
    bench.press(&["v"]);
    assert!(bench.text().contains("rows: gold, columns: proposed"), "{}", bench.text());
}

#[test]
fn what_others_say_is_listed_only_to_those_who_have_decided() {
    let (_folder, project) = project("single");
    let file = project.folder.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("blind = \"test\"", "blind = \"always\"", 1)).unwrap();
    for (who, key) in [("bob", "3"), ("cat", "8")] {
        let project = Project::read(&project.folder, Some(who)).unwrap();
        Headless::open(project, 80, 24).unwrap().press(&[key]);
    }
    let mut bench = Headless::open(Project::read(&project.folder, Some("ann")).unwrap(), 80, 24).unwrap();
    bench.press(&["tab", "tab", "tab", "v", "v"]);
    assert!(bench.wait(|text| text.contains("1 sentence of 1 patient")), "{}", bench.text());
    bench.press(&["enter"]);
    assert!(bench.text().contains("Requires assistance or Coping strategy; 1 not shown: 0"), "{}", bench.text());
    // Nor does Adjudicate, which she passes, show what she has not decided.
    bench.press(&["esc", "shift-tab"]);
    assert!(bench.text().contains("here is only what you have decided"), "{}", bench.text());
    bench.press(&["shift-tab", "shift-tab", "0", "tab", "tab", "tab"]);
    assert!(bench.wait(|text| text.contains("Fleiss, 3 each")), "{}", bench.text());
    bench.press(&["k", "k", "enter"]);
    assert!(bench.text().contains("She forgets names and faces."), "{}", bench.text());
}

/// A search that doubts silver on the second sentence most, and gold on the first.
fn doubted(project: &Project) {
    use crate::domain::confident::Doubt;
    use crate::domain::corpus::SentenceId;
    use crate::domain::split::Tier;
    let mut store = project.store().unwrap();
    let first = store.sentence_ids(Origin::Real, SentenceId(0), 1).unwrap()[0];
    let run = Run { model: "confident learning".into(), ..run("search", RunKind::Doubt) };
    store.put_run(&run).unwrap();
    let doubt = |sentence, tier, given: &str, suggested: &str, confidence, self_confidence| Doubt {
        sentence,
        tier,
        given: Label::parse(given).unwrap(),
        suggested: Label::parse(suggested).unwrap(),
        confidence,
        self_confidence,
        margin: 0.0,
    };
    let found = [
        doubt(SentenceId(first.0 + 1), Tier::Silver, "coping_strategy", "requires_assistance", 0.93, 0.02),
        doubt(first, Tier::Gold, "", "cognitive_impairment", 0.81, 0.1),
    ];
    store.put_doubts(&run.id, &found).unwrap();
}

#[test]
fn labels_in_doubt_are_a_queue_that_one_key_opens() {
    let (_folder, project) = project("single");
    let mut bench = Headless::open(project, 120, 30).unwrap();
    bench.press(&["D"]);
    assert!(bench.text().contains("`goldsmith doubt` looks for label errors"), "{}", bench.text());
    let (_folder, project) = self::project("single");
    doubted(&project);
    let mut bench = Headless::open(project, 120, 30).unwrap();
    bench.press(&["D"]);
    let text = bench.text();
    assert!(text.contains("\u{258c} Her son fills the pill box.") && text.contains("filter `doubt:any`: 1"), "{text}");
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in
        ["! silver given Coping strategy, the classifier", "Requires assistance with 0.93", "self-confidence 0.02"]
    {
        assert!(words.contains(said), "`{said}` is missing:\n{text}");
    }
    // The other doubt is about a colleague's label: that there is one is told once one has decided.
    bench.press(&["D", "k", "1", "D"]);
    let text = bench.text();
    assert!(text.contains("filter `doubt:any`: 2") && text.contains("\u{258c} Her son"), "the worst first:\n{text}");
    bench.press(&["j"]);
    let text = bench.text();
    assert!(text.contains("\u{258c} She forgets names and faces.") && text.contains("! gold given None"), "{text}");
    bench.press(&["D", "j", "j"]);
    assert!(bench.text().contains("\u{258c} Knee pain.") && !bench.text().contains("filter"), "{}", bench.text());
    assert!(!bench.text().contains("given"), "nobody doubts this one:\n{}", bench.text());
}

#[test]
fn in_a_blind_project_nothing_is_said_of_a_doubt_until_decided() {
    let (_folder, project) = project("single");
    let file = project.folder.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("blind = \"test\"", "blind = \"always\"", 1)).unwrap();
    let project = Project::read(&project.folder, Some("ann")).unwrap();
    doubted(&project);
    let mut bench = Headless::open(project, 120, 30).unwrap();
    bench.press(&["D"]);
    let text = bench.text();
    assert!(text.contains("only what you have decided is listed"), "{text}");
    bench.press(&["esc", "j"]);
    let text = bench.text();
    assert!(text.contains("\u{258c} Her son") && text.contains("blind: shown after"), "{text}");
    for hidden in ["may be wrong", "given", "classifier says", "0.93", "silver"] {
        assert!(!text.contains(hidden), "`{hidden}` is there:\n{text}");
    }
    bench.press(&["0", "D"]);
    let text = bench.text();
    assert!(text.contains("filter `doubt:any`: 1") && text.contains("! silver given Coping strategy"), "{text}");
}

/// It stands between silver and the classifier, with a matrix of its own.
#[test]
fn a_binary_run_is_scored_on_metrics() {
    let (_folder, project) = project("single");
    let mut store = project.store().unwrap();
    store.put_run(&run("whether", RunKind::Screen)).unwrap();
    let ids = store.sentence_ids(Origin::Real, crate::domain::corpus::SentenceId(0), 2).unwrap();
    let labels = ids.iter().zip([Label::any(), Label::none()]);
    let said: Vec<NewProposal> = labels.map(|(id, label)| NewProposal::bare(*id, label)).collect();
    store.propose(&RunId("whether".into()), Source::Llm, &said).unwrap();
    let mut bench = Headless::open(project, 120, 40).unwrap();
    // Both have a category, and the run misses the second.
    bench.press(&["1", "8", "tab", "tab", "tab"]);
    assert!(bench.wait(|text| text.contains("2 sentences of 1 patient")), "{}", bench.text());
    bench.press(&["j", "j", "j", "v"]);
    let text = bench.text();
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in ["whether any category applies: some-llm against gold", "2 100.0 50.0 66.7"] {
        assert!(words.contains(said), "`{said}` is missing:\n{text}");
    }
    bench.press(&["enter"]);
    assert!(bench.text().contains("gold any category, binary run None: 1"), "{}", bench.text());
    bench.press(&["enter"]);
    assert!(bench.text().contains("\u{258c} Her son fills the pill box."), "{}", bench.text());
    bench.press(&["tab", "tab", "tab", "v"]);
    assert!(bench.text().contains("no classifier yet"), "{}", bench.text());
}

#[test]
fn two_marked_runs_stand_side_by_side_and_follow_gold() {
    let (_folder, project) = project("single");
    let mut store = project.store().unwrap();
    let run = Run { id: RunId("second".into()), started: Timestamp(1), ..store.run(&RunId("silver".into())).unwrap() };
    store.put_run(&run).unwrap();
    let first = store.sentence_ids(Origin::Real, crate::domain::corpus::SentenceId(0), 1).unwrap()[0];
    let said = NewProposal::bare(first, Label::parse("requires_assistance").unwrap());
    store.propose(&run.id, Source::Llm, &[said]).unwrap();
    let mut bench = Headless::open(project, 80, 24).unwrap();
    bench.press(&["1", "8", "shift-tab", "shift-tab"]);
    assert!(bench.wait(|text| text.contains(">  second label")), "{}", bench.text());
    bench.press(&["j", "j", "enter"]);
    assert!(bench.text().contains("names no categories of sentences"), "{}", bench.text());
    bench.press(&["k", "k", "enter", "enter"]);
    assert!(bench.text().contains(">  second"), "the mark is taken away again:\n{}", bench.text());
    bench.press(&["enter"]);
    assert!(bench.text().contains(">A second"), "{}", bench.text());
    bench.press(&["j", "enter"]);
    assert!(bench.wait(|text| text.contains("two runs compared")), "{}", bench.text());
    let text = bench.text();
    let row = |text: &str, name: &str| -> String {
        let line = text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name}:\n{text}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(text.contains("A second some-llm: 1 sentence of 1 patient"), "{text}");
    assert!(text.contains("B silver some-llm: 2 sentences of 1 patient"), "{text}");
    assert!(text.contains("scored on different sentences"), "{text}");
    assert_eq!(row(&text, "Cognitive impairment"), "Cognitive impairment 0.0 100.0 +100.0");
    assert_eq!(row(&text, "accuracy"), "accuracy 0.0 100.0 +100.0");
    assert!(text.contains("any category (binary)"), "all rows at 80x24:\n{text}");
    // Gold changes: the first sentence requires assistance after all.
    bench.press(&["tab", "tab", "k", "k", "3", "shift-tab", "shift-tab"]);
    let follows = |text: &str| row(text, "accuracy") == "accuracy 100.0 50.0 -50.0";
    assert!(bench.wait(follows), "{}", bench.text());
    bench.press(&["esc"]);
    assert!(bench.text().contains("all runs") && !bench.text().contains("two runs compared"), "{}", bench.text());
    bench.resize(160, 45);
    bench.press(&["enter", "k", "enter"]);
    assert!(bench.wait(|text| text.contains("two runs compared")), "{}", bench.text());
    let text = bench.text();
    assert!(text.contains("all runs") && text.contains(">B second") && text.contains(" A silver"), "{text}");
}

#[test]
fn training_is_started_watched_and_compared() {
    let (_folder, project) = project("single");
    let mut bench = Headless::open(project, 80, 24).unwrap();
    bench.press(&["S", "S"]);
    assert!(bench.wait(|text| text.contains("nothing to train on")), "{}", bench.text());

    let (_folder, project) = labelled();
    let mut bench = Headless::open(project, 80, 24).unwrap();
    bench.press(&["S", "j", "j", "enter", "S"]);
    assert!(bench.wait(|text| text.contains("this method needs an encoder")), "{}", bench.text());
    bench.press(&["S", "k", "enter", "k", "enter"]);
    assert!(bench.wait(|text| text.contains("epoch ") && text.contains("validation macro-F1")), "{}", bench.text());
    bench.press(&["S"]);
    let text = bench.text();
    assert!(text.contains("training is in progress") || text.contains("trained in"), "{text}");
    assert!(bench.wait(|text| text.contains("trained in")), "{}", bench.text());
    let text = bench.text();
    for words in [" gold; ", "loss 0.", "\u{2581}", "Cognitive impairment", "on held-out gold"] {
        assert!(text.contains(words), "`{words}` is missing:\n{text}");
    }
    assert!(bench.wait(|text| text.contains("train    F1")), "{}", bench.text());
}

/// The same project with thirty patients of one decided sentence each.
fn labelled() -> (tempfile::TempDir, Project) {
    let (folder, project) = project("single");
    let mut store = project.store().unwrap();
    let kinds = [
        ("She forgets names", "cognitive_impairment"),
        ("Her son dresses her", "requires_assistance"),
        ("Knee pain", ""),
    ];
    for patient in 0..30 {
        let (said, label) = kinds[patient % 3];
        let text = format!("{said} at visit {patient}.");
        let note = NewDocument {
            sentences: vec![crate::domain::text::Span::new(0, text.len())],
            text,
            ..factory::empty_note(&format!("p{patient}"), &format!("v{patient}"))
        };
        let added = store.insert_documents(&[note], Origin::Real, &project.file.split).unwrap();
        let item = crate::workflow::review::item(
            &project,
            &store,
            crate::workflow::review::Worklist::Bronze,
            added[0].first_sentence(),
        )
        .unwrap();
        let judgement =
            crate::domain::label::Judgement { label: Some(Label::parse(label).unwrap()), ..Default::default() };
        let taking = crate::workflow::review::Taking { judgement, took: None, besides: Default::default() };
        crate::workflow::review::decide(&project, &mut store, &item, taking).unwrap();
    }
    (folder, project)
}

#[test]
fn a_run_that_tells_its_steps_shows_loss_rate_and_time_left() {
    use super::message::Message;
    use crate::domain::split::Tier;
    use crate::workflow::train::{TrainRunEvent, TrainingEvent};
    let (_folder, project) = project("single");
    let mut bench = Headless::open(project, 80, 24).unwrap();
    bench.press(&["shift-tab", "shift-tab"]);
    bench.app.train.live.running = true;
    let rows = [(Tier::Gold, 2_000), (Tier::Silver, 500), (Tier::Bronze, 0)];
    let mut hear = |event, now| drop(bench.app.update(Message::Training(event), now));
    hear(TrainRunEvent::Prepared { rows, held_out: (300, 400), leaks: 1 }, 0);
    for step in 1..=60u32 {
        let loss = 2.0 / step as f32;
        let heard = TrainingEvent::Step { step: step as usize, steps: 180, loss, learning_rate: 2e-5 };
        hear(TrainRunEvent::Heard(heard), u64::from(step) * 1_000);
    }
    bench.draw();
    let text = bench.text();
    for words in [
        "2000 gold + 500 silver; 300 validation,",
        "1 test sentence nearly word for word in",
        "step 60 of at most 180, at most 2 min left",
        "loss 0.0333  \u{2588}",
        "learning rate 2.00e-5",
    ] {
        assert!(text.contains(words), "`{words}` is missing:\n{text}");
    }
}

#[test]
fn the_experiment_fills_its_table_and_can_be_stopped() {
    let (_folder, project) = labelled();
    let mut bench = Headless::open(project, 80, 24).unwrap();
    bench.press(&["shift-tab", "shift-tab", "v"]);
    assert!(bench.wait(|text| text.contains("S starts or resumes it")), "{}", bench.text());
    assert!(bench.text().contains(" 0 of 40 cells, tested on"), "{}", bench.text());
    bench.press(&["S"]);
    bench.press(&["j"; 8]);
    bench.press(&["enter"]);
    bench.press(&["K"]);
    // So small an experiment may be over before the key is read.
    let stopped = |text: &str| text.contains("stopped with") && text.contains("resume");
    let done = |text: &str| text.contains("40 of 40 cells") && text.contains("the experiment is done");
    assert!(bench.wait(|text| stopped(text) || done(text)), "{}", bench.text());
    // Begun again, it goes on to its end.
    bench.press(&["S"]);
    bench.press(&["j"; 8]);
    bench.press(&["enter"]);
    assert!(bench.wait(|text| done(text) && text.contains("+bronze")), "{}", bench.text());
    assert!(bench.text().contains("ngram, binary: F1, mean"), "{}", bench.text());
    bench.press(&["j", "j", "k", "esc"]);
    assert!(bench.text().contains("all runs"), "{}", bench.text());
}

#[test]
fn evidence_is_marked_where_it_stands() {
    let (_folder, project) = project("single");
    let workbench = Headless::open(project, 120, 30).unwrap();
    let buffer = workbench.buffer();
    let underlined: String = buffer
        .content()
        .iter()
        .filter(|cell| cell.modifier.contains(Modifier::UNDERLINED))
        .map(|cell| cell.symbol())
        .collect();
    assert_eq!(underlined, "forgets names");
}

/// Every action of the help, pressed on every screen at several sizes: nothing fails and something is always drawn.
#[test]
fn every_key_is_safe_everywhere_at_any_size() {
    let (map, _) = Keymap::new(&std::collections::BTreeMap::new());
    let (_folder, project) = project("single");
    let mut workbench = Headless::open(project, 80, 24).unwrap();
    for (width, height) in [(80, 24), (40, 10), (41, 11), (1, 1), (200, 60), (132, 12)] {
        workbench.resize(width, height);
        for _ in 0..6 {
            for (action, _, _) in Action::all().filter(|(action, _, _)| !matches!(action, Action::Quit | Action::Start))
            {
                workbench.press(&[map.key(action)]);
                workbench.press(&["esc", "esc"]);
            }
            workbench.press(&["tab"]);
        }
    }
    workbench.resize(80, 24);
    assert!(workbench.text().contains("goldsmith"));
}

#[cfg(feature = "servers")]
#[test]
fn jobs_starts_what_the_project_names_and_says_why_it_cannot() {
    let (_folder, project) = project("single");
    let file = project.folder.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // A port that nobody listens on: bound and let go again.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let models = format!("[models.server]\nurl = \"http://127.0.0.1:{free}/v1\"\n\n[label]\n");
    std::fs::write(&file, text.replacen("[label]\n", &models, 1)).unwrap();
    let project = Project::read(&project.folder, Some("ann")).unwrap();
    let mut bench = Headless::open(project, 80, 24).unwrap();
    bench.press(&["shift-tab"]);
    assert!(bench.text().contains("> label with server"), "{}", bench.text());
    assert!(bench.text().contains("  write with server"));
    bench.press(&["P"]);
    assert!(bench.text().contains("it is not running"));
    bench.press(&["enter"]);
    assert!(bench.wait(|screen| screen.contains("cannot be reached")), "{}", bench.text());
    assert!(bench.text().contains("failed"));
}

#[test]
fn bronze_shows_what_the_gate_said() {
    use crate::domain::quality::{Check, Verdict};
    use crate::domain::text::Span;
    use crate::store::NewBronze;
    let (_folder, project) = project("single");
    let mut store = project.store().unwrap();
    let text = "She keeps one very long list of all lists.";
    let document = NewDocument {
        title: "Coping strategy".into(),
        kind: "GP note".into(),
        source: "bronze".into(),
        text: text.into(),
        sentences: vec![Span::new(0, text.len())],
        ..factory::empty_note("synthetic/x", "bronze/coping_strategy/9")
    };
    let reason = "has 9 words; nearly all real sentences have 1 to 6".to_owned();
    let verdicts = vec![Verdict { check: Check::Length, passed: false, reason, value: Some(9.0) }];
    let target = Label::parse("coping_strategy").unwrap();
    let row = NewBronze { document, target, brief: "Asked for: about 5 words".into(), verdicts };
    store.add_bronze(&RunId("bronze".into()), &[row], &project.file.split).unwrap();
    let mut bench = Headless::open(project, 100, 30).unwrap();
    bench.press(&["tab", "j", "j"]);
    let shown = bench.text();
    assert!(shown.contains("x length: has 9 words"), "{shown}");
    assert!(shown.contains("Asked for: about 5 words"), "{shown}");
}

/// Two experts differ; what the adjudicator sees, and what their keys do.
#[test]
fn keys_of_adjudicate() {
    let (_folder, project) = project("single");
    let file = project.folder.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replacen("show_others = \"after\"", "show_others = \"before\"", 1).replacen(
            "adjudicators = []",
            "adjudicators = [\"eve\"]",
            1,
        ),
    )
    .unwrap();
    for (who, keys) in [("ann", ["1", "3", "0"]), ("ben", ["1", "8", "7"])] {
        let mut desk = Headless::open(Project::read(&project.folder, Some(who)).unwrap(), 120, 30).unwrap();
        desk.press(&["c", "s", "o", "enter"]);
        desk.press(&keys);
        assert!(desk.text().contains("3 of 3 decided"), "{}", desk.text());
    }
    let eve = || Headless::open(Project::read(&project.folder, Some("eve")).unwrap(), 120, 30).unwrap();
    let mut desk = eve();
    desk.press(&["tab", "tab"]);
    let text = desk.text();
    for words in [
        "Her son fills the pill box",
        "expert 1    Requires",
        "expert 2    Coping",
        "2 disputed, 0 settled",
        "guideline says",
    ] {
        assert!(text.contains(words), "`{words}` is missing:\n{text}");
    }
    assert!(!text.contains("ann         ") && !text.contains("ben         "), "experts have no names here:\n{text}");
    desk.press(&["enter"]);
    assert!(desk.text().contains("no majority"), "{}", desk.text());
    desk.press(&["s"]);
    assert!(desk.text().contains("press a category's key"), "{}", desk.text());
    // Esc leaves it open.
    desk.press(&["3", "x", "esc"]);
    assert!(desk.text().contains("2 disputed, 0 settled"), "{}", desk.text());
    desk.press(&["3", "s", "h", "e", "enter"]);
    let text = desk.text();
    assert!(text.contains("settled: Requires") && text.contains("1 disputed, 1 settled"), "{text}");
    assert!(text.contains("Knee pain") && text.contains("expert 1    None"), "{text}");
    // It becomes an example in the guideline, but not in the words of the note.
    desk.press(&["G", "enter"]);
    assert!(desk.text().contains("say it in"), "{}", desk.text());
    desk.press(&["G"]);
    desk.type_text(" He cannot.");
    desk.press(&["enter"]);
    assert!(desk.text().contains("an example of Requires assistance"), "{}", desk.text());
    let guideline = std::fs::read_to_string(&project.file.taxonomy).unwrap();
    assert!(guideline.contains("\"Her son fills the pill box. He cannot.\""));
    desk.press(&["0", "enter"]);
    assert!(desk.text().contains("nothing is disputed; 2 settled so far"), "{}", desk.text());
    // Undone, it is disputed again; and the experts' labels were never touched.
    desk.press(&["u"]);
    assert!(desk.text().contains("1 disputed, 1 settled") && desk.text().contains("Knee pain"), "{}", desk.text());
    desk.press(&["r", "shift-tab", "shift-tab", "k", "k", "j"]);
    let text = desk.text();
    assert!(text.contains("ann         Requires") && text.contains("ben         Coping"), "{text}");
    assert!(text.contains("settled     Requires") && text.contains("\u{201c}she\u{201d}"), "{text}");
    for (width, height) in [(80, 24), (40, 10), (200, 60)] {
        desk.resize(width, height);
        desk.press(&["tab", "tab", "shift-tab", "shift-tab"]);
    }
}

/// After so many decisions the queue is thought over behind the screen, and each sentence says why it is there.
#[test]
fn the_queue_is_planned_anew_while_an_expert_decides() {
    let (_folder, project) = project("single");
    let file = project.folder.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("retrain_every = 10", "retrain_every = 2")).unwrap();
    let mut bench = Headless::open(Project::read(&project.folder, Some("ann")).unwrap(), 120, 40).unwrap();
    bench.press(&["1"]);
    assert!(!bench.text().contains("here:"), "{}", bench.text());
    bench.press(&["3"]);
    assert!(bench.wait(|text| text.contains("here: next in its note")), "{}", bench.text());
    assert!(
        bench.text().contains("\u{258c} Knee pain.") && bench.text().contains("2 of 3 decided"),
        "{}",
        bench.text()
    );
}
