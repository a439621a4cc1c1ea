//! What is hidden is never in the output: over random protocols, people and histories, every screen, search, list and verb is looked
//! through for planted words. What is hidden is worked out here anew from the words of the documentation, not asked of the program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use goldsmith::domain::corpus::PatientKey;
use goldsmith::domain::split::{Split, SplitPlan};
use goldsmith::tui::Headless;
use goldsmith::workflow::project::Project;
use serde_json::Value;
use tempfile::TempDir;

use super::support::{fails, goldsmith, succeeds};

/// Sentences, one a note and a patient.
const SENTENCES: usize = 6;
const EXPERTS: [&str; 2] = ["qxann", "qxben"];

/// A small generator, so that a case is its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// A new project.
fn study() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("p").to_str().unwrap().to_owned();
    succeeds(&["init", &root]);
    (folder, root)
}

/// Every label is a category of its own, so that its key in an output can only be this label.
fn key(who: &str, sentence: usize) -> String {
    format!("zq_{who}_{sentence}")
}

struct Case {
    _folder: TempDir,
    root: String,
    named: bool,
    adjudicators: Vec<&'static str>,
    blind: &'static str,
    show_others: &'static str,
    decided: BTreeSet<(usize, usize)>,
}

impl Case {
    fn new(number: u64) -> Self {
        let mut dice = Dice(number);
        let (folder, root) = study();
        let named = dice.roll(2) == 0;
        let adjudicators = [vec![], vec!["qxeve"], vec!["qxeve", "qxben"]][dice.roll(3) as usize].clone();
        let blind = ["never", "test", "always"][dice.roll(3) as usize];
        let show_others = ["before", "after", "never"][dice.roll(3) as usize];
        let mut taxonomy = String::from("name = \"planted\"\nselection = \"single\"\n");
        let labels = EXPERTS.iter().chain(&["silver"]).flat_map(|who| (0..SENTENCES).map(move |at| key(who, at)));
        // Characters that no action has.
        for (key, shortcut) in labels.zip("123456789abidmopet".chars()) {
            let _ = write!(
                taxonomy,
                "\n[[category]]\nkey = \"{key}\"\nname = \"{key}\"\nshortcut = \"{shortcut}\"\ndefinition = \"planted\"\n"
            );
        }
        fs::write(format!("{root}/taxonomy.toml"), taxonomy).unwrap();
        let file = format!("{root}/goldsmith.toml");
        let list = |names: &[&str]| format!("{names:?}");
        let mut text = fs::read_to_string(&file).unwrap();
        for (before, after) in [
            ("blind = \"test\"", format!("blind = \"{blind}\"")),
            ("show_others = \"after\"", format!("show_others = \"{show_others}\"")),
            ("annotators = []", format!("annotators = {}", list(if named { &EXPERTS } else { &[] }))),
            ("adjudicators = []", format!("adjudicators = {}", list(&adjudicators))),
            ("overlap = 1", format!("overlap = {}", if named { 2 } else { 1 })),
        ] {
            assert!(text.contains(before), "{before}");
            text = text.replacen(before, &after, 1);
        }
        fs::write(&file, text).unwrap();
        let decided = (0..SENTENCES).flat_map(|at| [(at, 0), (at, 1)]).filter(|_| dice.roll(2) == 0).collect();
        let case = Self { _folder: folder, root, named, adjudicators, blind, show_others, decided };
        let lines = |label: &dyn Fn(usize) -> Option<String>| -> String {
            (0..SENTENCES)
                .filter_map(|at| Some((at, label(at)?)))
                .map(|(at, label)| {
                    let labels = match label.as_str() {
                        "" => String::new(),
                        "None" => ",\"labels\":[\"none\"]".to_owned(),
                        label => format!(",\"labels\":[{label:?}]"),
                    };
                    format!("{{\"id\":\"n{at}\",\"patient\":\"p{at}\",\"text\":\"Tok{at} forgets names.\"{labels}}}\n")
                })
                .collect()
        };
        case.import(&lines(&|_| Some(String::new())), &[]);
        case.import(&lines(&|_| Some("None".into())), &["--model", "zqolder"]);
        case.import(&lines(&|at| Some(key("silver", at))), &["--model", "zqmodel"]);
        for (expert, name) in EXPERTS.iter().enumerate() {
            let said = lines(&|at| case.decided.contains(&(at, expert)).then(|| key(name, at)));
            if !said.is_empty() {
                case.import(&said, &["--annotator", name]);
            }
        }
        case
    }

    fn import(&self, lines: &str, options: &[&str]) {
        let file = format!("{}/in.jsonl", self.root);
        fs::write(&file, lines).unwrap();
        let arguments = [&["import", &file, "--unit", "sentence", "--project", &self.root], options].concat();
        succeeds(&arguments);
    }

    /// What the documentation says is hidden from somebody on a sentence: what machines say, and what colleagues say.
    fn hidden(&self, who: &str, at: usize, verb: bool) -> (bool, bool) {
        let decides = !self.named || EXPERTS.contains(&who);
        let test = SplitPlan::default().split(&PatientKey(format!("p{at}"))) == Split::Test;
        let blind = self.blind == "always" || (self.blind == "test" && test);
        let decided = EXPERTS.iter().position(|name| *name == who).is_some_and(|n| self.decided.contains(&(at, n)));
        let colleagues = match self.show_others {
            "never" => true,
            "before" => blind && !decided,
            _ => !decided,
        };
        (decides && blind && !decided, decides && colleagues && (self.named || !verb))
    }

    /// Words that must not be in an output that speaks of this sentence to this person.
    fn secrets(&self, who: &str, at: usize, verb: bool) -> Vec<String> {
        let (machines, colleagues) = self.hidden(who, at, verb);
        let mut words = Vec::new();
        if machines {
            words.extend([key("silver", at), "zqmodel".to_owned()]);
        }
        for (n, name) in EXPERTS.iter().enumerate().filter(|(_, name)| **name != who) {
            if colleagues && self.decided.contains(&(at, n)) {
                words.push(key(name, at));
            }
        }
        words
    }
}

/// A value speaks of a sentence if its text or its note is in it.
fn speaks_of(text: &str, at: usize) -> bool {
    text.contains(&format!("Tok{at} "))
        || text.contains(&format!("\"n{at}\""))
        || text.contains(&format!("note n{at},"))
}

fn verbs_keep_secrets(case: &Case, who: &str) {
    let verbs: [&[&str]; 9] = [
        &["export", "gold"],
        &["export", "gold", "--votes"],
        &["export", "gold", "--csv"],
        &["audit", "--log"],
        &["audit", "--log", "--json", "--with-text"],
        &["audit", "--csv", "-"],
        &["doubt"],
        &["queue", "--json"],
        &["runs", "diff"],
    ];
    for verb in verbs {
        let mut arguments = [verb, &["--project", &case.root, "--as", who]].concat();
        let listed = succeeds(&["runs", "--project", &case.root]);
        let of =
            |model: &str| listed.lines().find(|line| line.contains(model)).and_then(|line| line.split('\t').next());
        if verb == ["runs", "diff"] {
            arguments.splice(2..2, [of("zqolder").unwrap(), of("zqmodel").unwrap()]);
        }
        let output = goldsmith(&arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        for line in said.lines() {
            for at in (0..SENTENCES).filter(|at| speaks_of(line, *at)) {
                for secret in case.secrets(who, at, true) {
                    assert!(!line.contains(&secret), "{arguments:?} as {who} says {secret}:\n{line}");
                }
            }
        }
    }
    let report = succeeds(&["agreement", "--json", "--project", &case.root, "--as", who]);
    let report: Value = serde_json::from_str(&report).unwrap();
    for pair in report["confused"].as_array().into_iter().flatten() {
        for id in pair["sentences"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
            let (_, colleagues) = case.hidden(who, id as usize - 1, true);
            assert!(!colleagues, "agreement lists sentence {id} to {who}: {pair}");
        }
    }
}

fn screens_keep_secrets(case: &Case, who: &str) {
    let project = Project::read(case.root.as_ref(), Some(who)).unwrap();
    let mut bench = Headless::open(project, 200, 60).unwrap();
    // The categories are all named at the side; what is said of the sentence stands above them.
    let of_the_sentence = |text: &str| -> String {
        text.lines().take_while(|line| !line.contains("categories \u{2500}")).collect::<Vec<_>>().join("\n")
    };
    let check = |bench: &mut Headless, what: &str| {
        let text = of_the_sentence(&bench.text());
        for at in (0..SENTENCES).filter(|at| text.contains(&format!("\u{258c} Tok{at} "))) {
            for secret in case.secrets(who, at, false) {
                assert!(!text.contains(&secret), "{what} as {who} shows {secret}:\n{text}");
            }
        }
    };
    for step in 0..SENTENCES {
        check(&mut bench, &format!("Review, step {step}"));
        bench.press(&["j"]);
    }
    // A search by somebody's label finds no sentence on which it is hidden.
    for at in 0..SENTENCES {
        let (machines, colleagues) = case.hidden(who, at, false);
        let mut searches = vec![(format!("silver:{}", key("silver", at)), machines)];
        for name in EXPERTS.iter().filter(|name| **name != who) {
            searches.push((format!("gold:{}", key(name, at)), colleagues));
        }
        for (search, hidden) in searches {
            bench.press(&["/"]);
            bench.type_text(&search);
            bench.press(&["enter"]);
            let text = bench.text();
            let found = text.contains(&format!("\u{258c} Tok{at} ")) && text.contains("filter `");
            assert!(!(found && hidden), "{search} as {who} finds it:\n{text}");
            bench.press(&["esc"]);
        }
        bench.press(&["/"]);
        bench.type_text("differs");
        bench.press(&["enter"]);
        let text = bench.text();
        let found = (0..SENTENCES).find(|at| text.contains(&format!("\u{258c} Tok{at} ")) && text.contains("filter `"));
        let hidden = found.map(|at| case.hidden(who, at, false));
        assert!(hidden.is_none_or(|hidden| hidden == (false, false)), "differs as {who}:\n{text}");
        bench.press(&["esc"]);
    }
    bench.press(&["tab", "tab"]);
    let text = bench.text();
    let may = case.adjudicators.is_empty() || case.adjudicators.contains(&who);
    for at in (0..SENTENCES).filter(|at| text.contains(&format!("\u{258c} Tok{at} "))) {
        let decides = !case.named || EXPERTS.contains(&who);
        let only_adjudicates = case.adjudicators.contains(&who) && !(case.named && EXPERTS.contains(&who));
        let own = EXPERTS.iter().position(|name| *name == who).is_some_and(|n| case.decided.contains(&(at, n)));
        assert!(may && (!decides || only_adjudicates || own), "Adjudicate shows {at} to {who}:\n{text}");
    }
    // The first cell of the matrix that holds something is that of the first gold label; its list is looked through.
    bench.press(&["tab"]);
    bench.wait_for_metrics();
    for _ in 0..3 * SENTENCES {
        bench.press(&["j", "enter"]);
        let text = bench.text();
        for at in (0..SENTENCES).filter(|at| text.contains(&format!("Tok{at} "))) {
            assert_eq!(case.hidden(who, at, false), (false, false), "Metrics lists {at} to {who}:\n{text}");
        }
        bench.press(&["esc"]);
    }
}

#[test]
fn what_is_hidden_is_never_in_the_output() {
    let (mut hidden, mut shown) = (0, 0);
    for number in 0..12 {
        let case = Case::new(number);
        for who in ["qxann", "qxben", "qxeve", "qxlead"] {
            let all = (0..SENTENCES).map(|at| case.secrets(who, at, false).len()).sum::<usize>();
            hidden += all;
            shown += usize::from(all == 0);
            verbs_keep_secrets(&case, who);
            screens_keep_secrets(&case, who);
        }
    }
    assert!(hidden > 100 && shown > 3, "{hidden} secrets, {shown} who see all: the cases say little");
}

/// The finding that this began with: two annotators, default settings; the second one must not see what the first said, the log
/// says what each had in sight, and agreement counts what is independent.
#[test]
fn the_second_expert_does_not_see_the_first() {
    let (_folder, root) = study();
    let file = format!("{root}/goldsmith.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replacen("annotators = []", "annotators = [\"ann\", \"ben\"]", 1).replacen(
        "overlap = 1",
        "overlap = 2",
        1,
    );
    fs::write(&file, &text).unwrap();
    let notes = format!("{root}/in.jsonl");
    fs::write(&notes, "{\"id\":\"n\",\"patient\":\"p\",\"text\":\"She forgets names.\"}\n").unwrap();
    succeeds(&["import", &notes, "--unit", "sentence", "--project", &root]);
    succeeds(&["assign", "--project", &root]);
    let open = |who: &str| Headless::open(Project::read(root.as_ref(), Some(who)).unwrap(), 100, 30).unwrap();
    open("ann").press(&["1"]);
    let mut ben = open("ben");
    assert!(!ben.text().contains("ann  "), "{}", ben.text());
    ben.press(&["3"]);
    let log = succeeds(&["audit", "--log", "--project", &root, "--as", "lead"]);
    assert_eq!(log.matches("; blind").count(), 2, "{log}");
    let agreement = |root: &str| -> Value {
        serde_json::from_str(&succeeds(&["agreement", "--json", "--project", root, "--as", "lead"])).unwrap()
    };
    assert_eq!(agreement(&root)["independence"]["pairs_left_out"], 0);
    // Undone and decided again: what was shown in between was in sight.
    ben.press(&["u", "1"]);
    let log = succeeds(&["audit", "--log", "--project", &root, "--as", "lead"]);
    assert!(log.contains("in sight: colleague"), "{log}");
    let measured = agreement(&root);
    assert_eq!((&measured["independence"]["pairs_left_out"], &measured["agreement"]["items"]), (&1.into(), &0.into()));
}

/// Gold that was given with silver in sight does not become blind by way of a file.
#[test]
fn a_file_does_not_launder_what_had_been_in_sight() {
    let lines = |blind: &str| -> String {
        (0..40)
            .map(|n| {
                let label = "\"labels\":[\"cognitive_impairment\"]";
                format!("{{\"id\":\"n{n}\",\"patient\":\"p{n}\",\"text\":\"She forgets {n}.\",{label}{blind}}}\n")
            })
            .collect()
    };
    for (blind, expected) in [
        (",\"blind\":false", "0 % decided blind"),
        ("", "not known whether it was decided blind"),
        (",\"blind\":true", "100 % decided blind"),
    ] {
        let (_folder, root) = study();
        let file = format!("{root}/in.jsonl");
        fs::write(&file, lines(blind)).unwrap();
        succeeds(&["import", &file, "--unit", "sentence", "--annotator", "ann", "--project", &root]);
        succeeds(&["import", &file, "--unit", "sentence", "--model", "m", "--project", &root]);
        let said = succeeds(&["metrics", "--project", &root]);
        assert!(said.lines().next().is_some_and(|line| line.contains(expected)), "{blind}: {said}");
        let exported = succeeds(&["export", "gold", "--project", &root]);
        let line: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
        let known = [("false", Some(false)), ("true", Some(true))].into_iter().find(|(word, _)| blind.ends_with(word));
        assert_eq!(line["blind"].as_bool(), known.and_then(|(_, blind)| blind), "{line}");
    }
}

/// The column of the label is never the title, so that a blind screen does not show the answer above the sentence.
#[test]
fn a_label_column_is_no_title() {
    let (_folder, root) = study();
    let csv = format!("{root}/in.csv");
    fs::write(&csv, "text,section_header,patient\nShe forgets names.,cognitive_impairment,p1\n").unwrap();
    let import = ["import", &csv, "--unit", "sentence", "--label-column", "section_header", "--project", &root];
    succeeds(&[&import[..], &["--without-labels"]].concat());
    let mut bench = Headless::open(Project::read(root.as_ref(), Some("ann")).unwrap(), 100, 30).unwrap();
    bench.resize(100, 8);
    assert!(!bench.text().contains("cognitive_impairment"), "{}", bench.text());
}

/// A study of ann and ben, two sentences of two patients; ben has labelled the first.
fn with_bens_label(more: &[(&str, &str)]) -> (TempDir, String) {
    let (folder, root) = study();
    let (notes, labels) = (format!("{root}/notes.jsonl"), format!("{root}/labels.jsonl"));
    let line = |n: usize, label: &str| {
        format!("{{\"id\":\"n{n}\",\"patient\":\"p{n}\",\"text\":\"Tok{n} forgets names.\"{label}}}\n")
    };
    fs::write(&notes, line(1, "") + &line(2, "")).unwrap();
    fs::write(&labels, line(1, ",\"labels\":[\"coping_strategy\"]")).unwrap();
    let file = format!("{root}/goldsmith.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    let all = [("annotators = []", "annotators = [\"ann\", \"ben\"]"), ("overlap = 1", "overlap = 2")];
    for (before, after) in all.iter().chain(more) {
        assert!(text.contains(before), "{before}");
        text = text.replacen(before, after, 1);
    }
    fs::write(&file, text).unwrap();
    succeeds(&["import", &notes, "--unit", "sentence", "--project", &root]);
    succeeds(&["import", &labels, "--unit", "sentence", "--annotator", "ben", "--project", &root]);
    succeeds(&["assign", "--project", &root]);
    (folder, root)
}

fn said(arguments: &[&str]) -> (bool, String) {
    let output = goldsmith(arguments);
    let all = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&all).into_owned())
}

/// Prompts and bundles hold labels as well as lists do.
#[test]
fn no_prompt_and_no_bundle_tells_what_a_colleague_says() {
    let only_training = [("validation = 0.15", "validation = 0.0"), ("test = 0.2", "test = 0.0")];
    let (_folder, root) = with_bens_label(
        &[
            &only_training[..],
            &[
                ("policy = \"majority\"", "policy = \"any\""),
                ("real_sentences_in_prompts = false", "real_sentences_in_prompts = true"),
            ],
        ]
        .concat(),
    );
    let asked = |who: &str, verb: &[&str]| said(&[verb, &["--project", &root, "--as", who]].concat());
    let model = ["--url", "http://127.0.0.1:9", "--model", "m"];
    let (batch, bundle) = (format!("{root}/batch.jsonl"), format!("{root}/bundle"));
    let label = [&["label"], &model[..], &["--few-shot", "3"]].concat();
    for plan in [
        [&label[..], &["--plan"]].concat(),
        [&["generate"], &model[..], &["--categories", "coping_strategy", "--plan"]].concat(),
    ] {
        let (fine, all) = asked("ann", &plan);
        assert!(fine && !all.contains("Tok1") && all.contains("1 label of experts that ann may not see"), "{all}");
        assert!(asked("lead", &plan).1.contains("Tok1"));
    }
    for (verb, file) in
        [([&label[..], &["--export-batch", &batch]].concat(), &batch), (vec!["bundle", &bundle], &bundle)]
    {
        let (fine, all) = asked("ann", &verb);
        assert!(!fine && all.contains("ann may not see yet") && fs::metadata(file).is_err(), "{all}");
        assert!(asked("lead", &verb).0);
    }
    assert!(asked("ann", &["bundle", &format!("{root}/own"), "--annotator", "ann"]).1.contains("nothing"));
    // A settlement and what was withdrawn are in the log as well.
    let file = format!("{root}/goldsmith.toml");
    let text = fs::read_to_string(&file).unwrap().replacen("adjudicators = []", "adjudicators = [\"eve\"]", 1);
    fs::write(&file, text.replacen("adjudicate = \"disputed\"", "adjudicate = \"all\"", 1)).unwrap();
    let mut eve = Headless::open(Project::read(root.as_ref(), Some("eve")).unwrap(), 120, 30).unwrap();
    eve.press(&["A", "1", "y", "enter"]);
    drop(eve);
    let settled = asked("lead", &["audit", "--log", "--annotator", "eve"]).1;
    if settled.contains("settles") {
        let (fine, all) = asked("ann", &["bundle", &format!("{root}/eves"), "--annotator", "eve"]);
        assert!(!fine && all.contains("ann may not see yet"), "{all}");
    }
    let mut ben = Headless::open(Project::read(root.as_ref(), Some("ben")).unwrap(), 120, 30).unwrap();
    ben.press(&["u"]);
    drop(ben);
    let (fine, all) = asked("ann", &["bundle", &format!("{root}/bens"), "--annotator", "ben"]);
    assert!(!fine && all.contains("ann may not see yet"), "{all}");
}

/// A guessed title may be the label, whatever the project file says later on.
#[test]
fn a_title_is_shown_blind_only_if_it_was_read_from_the_column_that_is_named() {
    let (_folder, root) = study();
    let csv = format!("{root}/in.csv");
    fs::write(&csv, "id,text,patient,title,kind,section\n1,She forgets names.,p1,zqanswer,zqkind,zqhistory\n").unwrap();
    let file = format!("{root}/goldsmith.toml");
    let set = |before: &str, after: &str| {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(before), "{text}");
        fs::write(&file, text.replacen(before, after, 1)).unwrap();
    };
    let shown = || Headless::open(Project::read(root.as_ref(), Some("ann")).unwrap(), 120, 30).unwrap().text();
    let import = || succeeds(&["import", &csv, "--project", &root]);
    set("blind = \"test\"", "blind = \"always\"");
    import();
    set("title_column = \"\"", "title_column = \"section\"");
    assert!(!shown().contains("zq"), "{}", shown());
    import();
    assert!(
        shown().contains("zqhistory") && !shown().contains("zqanswer") && !shown().contains("zqkind"),
        "{}",
        shown()
    );
    set("title_column = \"section\"", "title_column = \"nowhere\"");
    assert!(!shown().contains("zq"), "{}", shown());
}

/// What was in sight when a sentence was put off still was when it is decided, whatever the settings are by then.
#[test]
fn a_look_before_a_sentence_is_put_off_is_not_forgotten() {
    let (_folder, root) = with_bens_label(&[
        ("show_others = \"after\"", "show_others = \"before\""),
        ("blind = \"test\"", "blind = \"never\""),
    ]);
    let open = || Headless::open(Project::read(root.as_ref(), Some("ann")).unwrap(), 120, 30).unwrap();
    let mut bench = open();
    assert!(bench.text().contains("ben "), "{}", bench.text());
    bench.press(&["s"]);
    drop(bench);
    let file = format!("{root}/goldsmith.toml");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("\"before\"", "\"after\"")
        .replace("blind = \"never\"", "blind = \"always\"");
    fs::write(&file, text).unwrap();
    let mut bench = open();
    bench.press(&["/", "T", "o", "k", "1", "enter", "1"]);
    let log = succeeds(&["audit", "--log", "--annotator", "ann", "--project", &root, "--as", "lead"]);
    assert!(log.lines().last().unwrap_or_default().len() > 1 && !log.contains("; blind"), "{log}");
    assert_eq!(log.matches("in sight: colleague").count(), 2, "{log}");
}

/// A file that contradicts itself, or names a cue that there is not, makes no label blind; one's own labels are no secret.
#[test]
fn a_contradiction_in_a_file_is_no_blindness() {
    for (sight, blind) in [
        ("\"in_sight\":[],\"blind\":false", Some(false)),
        ("\"in_sight\":\"\"", None),
        ("\"in_sight\":[\"tea\"],\"blind\":true", None),
        ("\"in_sight\":[\"machine\"],\"blind\":true", Some(false)),
        ("\"in_sight\":[]", Some(true)),
        ("\"in_sight\":\"\",\"blind\":true", Some(true)),
    ] {
        let (_folder, root) = study();
        let file = format!("{root}/in.jsonl");
        let line = |label: &str, sight: &str| {
            format!("{{\"id\":\"n\",\"patient\":\"p\",\"text\":\"She forgets.\",\"labels\":[\"{label}\"],{sight}}}\n")
        };
        let import = |text: String| {
            fs::write(&file, text).unwrap();
            succeeds(&["import", &file, "--unit", "sentence", "--annotator", "ann", "--project", &root]);
            let votes = succeeds(&["export", "gold", "--votes", "--project", &root, "--as", "ann"]);
            serde_json::from_str::<Value>(&votes).unwrap()["blind"].as_bool()
        };
        assert_eq!(import(line("coping_strategy", sight)), blind, "{sight}");
        if blind.is_none() {
            // What is not known of the earlier label is not known to have been nothing.
            assert_eq!(import(line("diagnostic_tests", "\"blind\":true")), None, "{sight}");
        }
        if blind == Some(false) {
            // Nor does another label that is called blind make the person forget.
            assert_eq!(import(line("diagnostic_tests", "\"blind\":true")), Some(false), "{sight}");
        }
    }
    // Two lines of one file, and the second would launder the first.
    let (_folder, root) = study();
    let file = format!("{root}/in.jsonl");
    let line = |label: &str, sight: &str| {
        format!("{{\"id\":\"n\",\"patient\":\"p\",\"text\":\"She forgets.\",\"labels\":[\"{label}\"],{sight}}}\n")
    };
    fs::write(&file, line("coping_strategy", "\"blind\":false") + &line("diagnostic_tests", "\"blind\":true")).unwrap();
    let refused = fails(&["import", &file, "--unit", "sentence", "--annotator", "ann", "--project", &root]);
    assert!(refused.contains("another label than at line 1"), "{refused}");
    let (_folder, root) = with_bens_label(&[("show_others = \"after\"", "show_others = \"never\"")]);
    let votes = |who: &str| said(&["export", "gold", "--votes", "--project", &root, "--as", who]).1;
    assert!(votes("ben").contains("Tok1") && !votes("ann").contains("Tok1"));
}
