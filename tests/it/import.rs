//! The border inward: what is refused and why, what a label in a file says, and that nothing comes in twice.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rusqlite::Connection;

use super::support::{command, ends, shared, succeeds};

struct Study {
    folder: tempfile::TempDir,
    root: String,
}

impl Study {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study").to_str().unwrap().to_owned();
        succeeds(&["init", &root]);
        Self { folder, root }
    }

    /// A file beside the project.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Imports and expects a code; gives what was said.
    #[track_caller]
    fn import(&self, arguments: &[&str], code: i32) -> String {
        ends(&[&["import"], arguments, &["--project", &self.root]].concat(), code)
    }

    #[track_caller]
    fn sentences(&self, file: &str, more: &[&str], code: i32) -> String {
        self.import(&[&[file, "--unit", "sentence"], more].concat(), code)
    }

    /// The first column of all rows.
    fn rows(&self, sql: &str) -> Vec<String> {
        let store = Connection::open(Path::new(&self.root).join("goldsmith.db")).unwrap();
        let mut read = store.prepare(sql).unwrap();
        read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// `id label` of each current decision; `-` is *None*.
    fn labels(&self) -> Vec<String> {
        self.rows(
            "SELECT d.external_id || ' ' || CASE t.label WHEN '' THEN '-' ELSE t.label END FROM standing t
             JOIN sentences s ON s.id = t.sentence JOIN documents d ON d.id = s.document ORDER BY d.id",
        )
    }

    fn notes(&self) -> usize {
        self.rows("SELECT external_id FROM documents").len()
    }
}

/// What is no notes is named, with what makes notes of it, and nothing of it comes in.
#[test]
fn a_file_that_is_no_notes_is_refused_with_a_way_out() {
    let study = Study::new();
    let utf16: Vec<u8> = "She forgets names.\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes, is, way) in [
        ("a.pdf", &b"%PDF-1.4\nShe forgets."[..], "a PDF document", "pdftotext"),
        ("renamed.txt", b"%PDF-1.4\nShe forgets.", "a PDF document", "pdftotext"),
        ("a.docx", b"PK\x03\x04........word/document.xml", "a Word document", ".txt"),
        ("a.rtf", b"{\\rtf1\\ansi She forgets.}", "rich-text", ".txt"),
        ("page.txt", b"<html><body><p>She forgets.</p></body></html>", "a web page", ".txt"),
        ("a.hl7", b"MSH|^~\\&|EPIC|HOSP\rOBX|1|TX|NOTE||She forgets.\r", "an HL7 message", "OBX"),
        ("a.zip", b"PK\x03\x04........all.jsonl", "a zip archive", "unpack"),
        ("a.parquet", b"PAR1........", "a Parquet file", "read_parquet"),
        ("a.csv", b"SQLite format 3\0........", "an SQLite database", "sqlite3"),
        ("a.json", b"[{\"id\": 1, \"data\": {\"text\": \"a\"}, \"annotations\": []}]", "Label Studio", "jq"),
        ("b.json", b"[\n{\"text\": \"a\"}]", "one JSON document", "jq"),
        ("p.jsonl", b"{\"text\":\"a\",\"label\":\"X\",\"answer\":\"reject\"}\n", "Prodigy", "accept"),
        ("f.ndjson", b"{\"resourceType\": \"DocumentReference\"}\n", "FHIR", "JSON lines"),
        ("scan.txt", b"\x89PNG\r\n\x1a\n....", "an image", "OCR"),
        ("a.txt", b"She\0forgets.", "no text", ".txt"),
        ("b.txt", b"{\"text\": \"a\"}\n", "looks like JSON lines", "--layout jsonl"),
        ("c.txt", b"id,patient,text\n1,2,She forgets.\n", "looks like a table", "--layout csv"),
        ("a.md", b"She forgets names.", "do not end in .md", "--layout text"),
        ("w.txt", &utf16, "perhaps utf-16le", "--encoding utf-16le"),
        (
            "l.csv",
            b"id,text\n1,caf\xe9 au lait\n",
            "l.csv:2:6: this is not utf-8, but perhaps windows-1252",
            "--encoding",
        ),
    ] {
        let file = study.file(name, bytes);
        for more in [&[][..], &["--unit", "sentence", "--annotator", "ann"]] {
            let said = study.import(&[&[&*file], more].concat(), 1);
            let (error, hints) = said.split_once("\n\nhint: ").unwrap_or_else(|| panic!("{name}: {said}"));
            assert!(error.contains(is) && error.contains(name) && hints.contains(way), "{name}: {said}");
        }
    }
    assert_eq!(study.notes(), 0);
    assert!(
        study.sentences(&study.file("l.csv", b"id,text\n1,caf\xe9\n"), &["--encoding", "latin1"], 0).contains("1 new")
    );
    assert_eq!(study.rows("SELECT text FROM documents"), ["caf\u{e9}"]);
}

/// From a folder what is notes comes in, and the rest is told by kind and count.
#[test]
fn a_folder_says_what_it_passed_over() {
    let study = Study::new();
    study.file("notes/a.txt", "She forgets names.");
    study.file("notes/b.pdf", "%PDF-1.4");
    study.file("notes/c.pdf", "%PDF-1.4");
    study.file("notes/d.txt", "%PDF-1.4");
    study.file("notes/e.txt", b"caf\xe9 is a word");
    study.file("notes/README", "about");
    let folder = study.folder.path().join("notes");
    let said = study.import(&[folder.to_str().unwrap()], 0);
    for expected in [
        "1 new notes",
        "2 not read: .pdf (such as",
        "1 not read: a PDF document (such as",
        "1 not read: not utf-8, but perhaps",
        "1 not read: no ending (such as",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    fs::remove_file(folder.join("a.txt")).unwrap();
    let said = study.import(&[folder.to_str().unwrap()], 3);
    assert!(said.contains("0 new notes"), "{said}");
}

/// An empty cell and an empty list are no opinion; the word is.
#[test]
fn an_empty_cell_is_no_label() {
    let study = Study::new();
    let csv =
        study.file("a.csv", "id,text,label\na,One.,coping_strategy\nb,Two.,\nc,Three.,None\nd,,coping_strategy\n,,\n");
    let said = study.sentences(&csv, &["--annotator", "ann"], 0);
    assert!(said.contains("2 labels taken in") && said.contains("a.csv:5: a label without a text"), "{said}");
    assert!(said.contains("1 bad records"), "an empty row is none: {said}");
    assert_eq!(study.labels(), ["a coping_strategy", "c -"]);
    let lines = "{\"id\":\"e\",\"text\":\"Five.\",\"label\":[\"Coping strategy\"],\"Comments\":[]}\n\
                 {\"id\":\"f\",\"text\":\"Six.\",\"label\":[],\"Comments\":[]}\n{\"id\":\"g\",\"text\":\"Seven.\",\"label\":null}\n";
    study.sentences(&study.file("b.jsonl", lines), &["--annotator", "ann"], 0);
    assert_eq!(study.labels(), ["a coping_strategy", "c -", "e coping_strategy"]);
}

#[test]
fn labels_are_taken_for_somebodys_or_left_out_and_never_dropped() {
    let study = Study::new();
    let labelled = study.file("a.csv", "id,text,label\na,One.,\nb,Two.,coping_strategy\n");
    let said = study.sentences(&labelled, &[], 1);
    for expected in ["a.csv:3: here is a label", "--annotator NAME", "--model NAME", "--without-labels"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(study.import(&[&labelled], 1).contains("--unit sentence --annotator NAME"));
    assert_eq!(study.notes(), 0);
    let bare = study.file("b.csv", "id,text,label\na,One.,\nb,Two.,\n");
    for whose in [["--annotator", "ann"], ["--model", "m"]] {
        let said = study.sentences(&bare, &whose, 1);
        assert!(said.contains("no record of") && said.contains("--label-column"), "{said}");
    }
    assert_eq!(study.notes(), 0);
    study.sentences(&labelled, &["--without-labels"], 0);
    assert_eq!((study.notes(), study.labels().len()), (2, 0));
    // Standard input is as good as a file.
    let arguments = ["import", "-", "--unit", "sentence", "--annotator", "ann", "--project", &study.root];
    let input = fs::File::open(&labelled).unwrap();
    assert!(command(&arguments).stdin(Stdio::from(input)).stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(study.labels(), ["b coping_strategy"]);
}

/// Whole before it is cut; by key, name or number; case and space folded and told; never guessed.
#[test]
fn a_label_is_what_the_file_says_or_unknown() {
    let study = Study::new();
    let csv = "id,text,label\n\
        a,One.,Notice/concern by others\n\
        b,Two.,COPING STRATEGY\n\
        c,Three.,\" coping_strategy \"\n\
        d,Four.,1\n\
        e,Five.,copping\n\
        f,Six.,coping_strategy;strange\n\
        g,Seven.,nan\n";
    let said = study.sentences(&study.file("a.csv", csv), &["--annotator", "ann"], 0);
    for expected in [
        "4 labels taken in",
        "2 of them are written otherwise than key or name",
        "1 of them are numbers",
        "1 times `copping` is no label",
        "1 times `coping_strategy;strange` is no label",
        "1 times `nan` is no label",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let first =
        "SELECT label FROM standing t JOIN sentences s ON s.id = t.sentence JOIN documents d ON d.id = s.document
        WHERE d.external_id = 'd'";
    assert_eq!(study.rows(first), ["cognitive_impairment"]);
    // Numbers of other tools begin with 0, and each would be the category before.
    let zero = study.file("b.csv", "id,text,label\nx,One more.,1\ny,Two more.,0\n");
    let said = study.sentences(&zero, &["--annotator", "ann"], 1);
    assert!(said.contains("b.csv:3: labels here are numbers from 0"), "{said}");
    // Two labels of one sentence under one name: neither is lost in silence.
    let two = "{\"id\":\"x\",\"text\":\"He forgets.\",\"label\":\"coping_strategy\"}\n\
               {\"id\":\"x\",\"text\":\"He forgets.\",\"label\":\"none\"}\n";
    let said = study.sentences(&study.file("c.jsonl", two), &["--annotator", "ann"], 1);
    assert!(said.contains("c.jsonl:2: another label than at line 1"), "{said}");
    assert_eq!(study.notes(), 7);
}

/// What we write of *None* we read as *None*, in both forms, and so what was written before.
#[test]
fn gold_comes_back_as_it_was() {
    let study = Study::new();
    let csv = "id,patient,text,label\na,p,One.,coping_strategy\nb,p,Two.,none\n";
    study.sentences(&study.file("a.csv", csv), &["--annotator", "ann"], 0);
    for (name, csv) in [("gold.jsonl", false), ("gold.csv", true)] {
        let arguments = ["export", "gold", "--project", &study.root, "--csv"];
        let out = study.file(name, succeeds(&arguments[..if csv { 5 } else { 4 }]));
        assert!(fs::read_to_string(&out).unwrap().contains(if csv { ",none," } else { "\"labels\":[\"none\"]" }));
        let other = Study::new();
        assert!(other.sentences(&out, &["--annotator", "ann"], 0).contains("2 labels taken in"));
        let labels: Vec<String> = other.labels().iter().map(|l| l.rsplit(' ').next().unwrap().to_owned()).collect();
        assert_eq!(labels, ["coping_strategy", "-"], "{name}");
    }
    let before =
        "{\"id\":\"h:0-4\",\"text\":\"One.\",\"labels\":[],\"by\":[\"ann\"],\"adjudicated\":false,\"blind\":null}\n";
    let other = Study::new();
    other.sentences(&other.file("gold.jsonl", before), &["--annotator", "ann"], 0);
    assert_eq!(other.labels(), ["h:0-4 -"]);
}

/// Ids come from what stands in a row: a row put in at the top, other line ends and another name bring in nothing twice.
#[test]
fn rows_without_an_id_are_known_by_what_stands_in_them() {
    let study = Study::new();
    let one = "text,patient\n\"She forgets\nnames.\",p1\nHe sees people.,\nBP 130/80.,p2\nBP 130/80.,p2\n";
    assert!(study.sentences(&study.file("one.csv", one), &[], 0).contains("4 new notes"));
    let ids = study.rows("SELECT external_id FROM documents ORDER BY id");
    for (name, text) in [
        ("one.csv", format!("text,patient\nA new first row.,p3\n{}", one.split_once('\n').unwrap().1)),
        ("two.csv", one.replace('\n', "\r\n")),
        ("three.csv", "patient,text\np2,BP 130/80.\np2,BP 130/80.\n,He sees people.\n".into()),
    ] {
        let said = study.sentences(&study.file(name, &text), &[], 0);
        let new = usize::from(name == "one.csv");
        assert!(said.contains(&format!("{new} new notes with {new} sentences")), "{name}: {said}");
    }
    assert_eq!(study.notes(), 5);
    assert_eq!(study.rows("SELECT external_id FROM documents ORDER BY id LIMIT 4"), ids);
    // One more of a sentence that is there twice is one more.
    let thrice = study.file("four.csv", "patient,text\np2,BP 130/80.\np2,BP 130/80.\np2,BP 130/80.\n");
    assert!(study.sentences(&thrice, &[], 0).contains("1 new notes"));
}

/// Stores of earlier versions know such rows by the file's name and line, which is their patient, too, where the file names
/// none.
#[test]
fn rows_of_earlier_versions_are_recognised() {
    let study = Study::new();
    let file = study.file("old.csv", "id,patient,text\nold.csv:2,old.csv:2,She forgets names.\nold.csv:3,old.csv:3,She forgets names.\nold.csv:4,p1,He sees people.\n");
    study.sentences(&file, &[], 0);
    let store = Connection::open(Path::new(&study.root).join("goldsmith.db")).unwrap();
    store.execute("UPDATE documents SET source = 'old.csv'", []).unwrap();
    drop(store);
    let grown = "text,patient\nA new first row.,p3\nShe forgets names.,\nShe forgets names.,\nHe sees people.,p1\n";
    let said = study.sentences(&study.file("old.csv", grown), &[], 0);
    assert!(said.contains("1 new notes with 1 sentences; 3 were there already"), "{said}");
}

/// A known id with another text is no note that is here, and the same text under another id is told.
#[test]
fn a_corrected_note_and_a_renamed_one_are_told() {
    let study = Study::new();
    let lines = |of: &[(&str, &str)]| -> String {
        of.iter().map(|(id, text)| format!("{{\"id\":\"{id}\",\"patient\":\"p\",\"text\":\"{text}\"}}\n")).collect()
    };
    let notes = [("n1", "She forgets names."), ("n2", "Knee pain on stairs.")];
    study.import(&[&study.file("a.jsonl", lines(&notes))], 0);
    let fixed = study.file("b.jsonl", lines(&[notes[0], ("n2", "Knee pain on the stairs.")]));
    let said = study.import(&[&fixed], 0);
    assert!(said.contains("0 new notes with 0 sentences; 1 were there already"), "{said}");
    assert!(said.contains("1 note left out: here under the same id with another text (n2); --changed add"), "{said}");
    let said = study.import(&[&fixed, "--changed", "add"], 0);
    assert!(said.contains("1 new notes") && said.contains("1 note came in beside another text"), "{said}");
    let renamed = study.file("c.jsonl", lines(&[("m1", notes[0].1), ("m2", notes[1].1)]));
    let said = study.import(&[&renamed], 0);
    assert!(
        said.contains("2 new notes word for word one of the same patient under another id (m1 is n1, m2 is n2)"),
        "{said}"
    );
}

/// A folder is no patient unless somebody says so.
#[test]
fn whose_note_it_is_is_said_and_never_guessed() {
    let study = Study::new();
    for (name, text) in [("p1/a.txt", "She forgets names."), ("p1/b.txt", "Chest clear."), ("p2/a.txt", "He walks.")] {
        study.file(&format!("notes/{name}"), text);
    }
    let notes = study.folder.path().join("notes").to_str().unwrap().to_owned();
    let patients = |study: &Study| study.rows("SELECT key FROM patients ORDER BY key");
    let said = study.import(&[&notes], 0);
    assert!(said.contains("3 records name no patient") && said.contains("--patient-from folder"), "{said}");
    assert_eq!(patients(&study), ["p1/a", "p1/b", "p2/a"]);
    for (from, expected) in [("folder", &["p1", "p2"][..]), ("file", &["a", "b"]), ("^([ab])", &["a", "b"])] {
        let other = Study::new();
        let said = other.import(&[&notes, "--patient-from", from], 0);
        assert!(!said.contains("name no patient"), "{said}");
        assert_eq!(patients(&other), expected);
        // And by the folder's name they were known to earlier versions, which did not ask.
        if from == "folder" {
            assert!(other.import(&[&notes], 0).contains("0 new notes with 0 sentences; 3 were there already"));
        }
    }
    let said = study.import(&[&notes, "--patient-from", "("], 2);
    assert!(said.contains("no pattern"), "{said}");
}

/// It is MIMIC's by its columns or by what stands in the place of names; it is said by which, and no text leaves.
#[test]
fn mimic_closes_the_gate_by_what_it_is() {
    let restricted = |study: &Study| study.rows("SELECT value FROM meta WHERE key = 'restricted'").len() == 1;
    for (name, text, by) in [
        ("a.csv", "text,hadm_id,SUBJECT_ID,iserror\nWell.,2,1,\nWrong.,2,1,1\n", "the columns SUBJECT_ID and hadm_id"),
        ("b.csv", "note_id,text\n19990001-DS-21,Well.\n", "the id 19990001-DS-21"),
        ("c.txt", "Seen by Dr. [**Last Name (STitle) 12**].", "the mark [**Last Name (STitle) 12**]"),
        ("d.txt", "Name: ___\nUnit No: ___\nAdmitted ___.", "names replaced by ___"),
        ("e.jsonl", "{\"subject_id\":1,\"hadm_id\":2,\"text\":\"Well.\"}\n", "the columns subject_id and hadm_id"),
    ] {
        let study = Study::new();
        let said = study.import(&[&study.file(name, text)], 0);
        assert!(restricted(&study) && said.contains(&format!("known by {by}: PhysioNet")), "{name}: {said}");
        assert_eq!(name == "a.csv", said.contains("1 note left out: the file says that they were written in error"));
    }
    // The public notes are none.
    for path in ["data/mts-dialog/MTS-Dialog-TrainingSet.csv", "data/aci-bench/train.csv"] {
        let Some(file) = shared(path) else { continue };
        let study = Study::new();
        study.import(&[file.to_str().unwrap(), "--without-labels"], 0);
        assert!(!restricted(&study), "{path}");
    }
}

/// What would come in is shown, and not a byte of the store changes.
#[test]
fn a_plan_shows_what_would_come_in_and_writes_nothing() {
    let study = Study::new();
    let csv = "id;patient;text;label;ward\na;p1;One.;coping_strategy;x\nb;p1;Two.;;x\nc;p2;Three.;none;x\nd;p3;Four.;strange;x\ne;;Five.;None;x\nf;p4;Six.;1;x\n";
    let file = study.file("a.csv", csv);
    study.sentences(&study.file("b.csv", "id,patient,text\na,p1,One.\nb,p1,Two of old.\nz,p2,Three.\n"), &[], 0);
    let store = Path::new(&study.root).join("goldsmith.db");
    let before = fs::read(&store).unwrap();
    let arguments = ["import", &file, "--unit", "sentence", "--annotator", "ann", "--plan", "--project", &study.root];
    let said = succeeds(&arguments);
    for expected in [
        "a table, utf-8, cells between ;",
        "id: id, patient: patient, text: text, label: label, ward: -",
        "records  6 (6 sentences, 5 with a label)",
        "line 2: a, p1 [coping_strategy]: One.",
        "line 6: e, no patient [None]: Five.",
        "coping_strategy  =  coping_strategy",
        "strange  =  unknown",
        "1  =  cognitive_impairment",
        "none  =  none",
        "patients: 5; 1 records name none",
        "splits, by patient: train ",
        "here already: 1; twice in these files: 0",
        "here under the same id with another text: 1 (b)",
        "word for word one that is here under another id: 1 (c is z)",
    ] {
        assert!(said.contains(expected), "{expected}:\n{said}");
    }
    assert_eq!(fs::read(&store).unwrap(), before);
    let json: serde_json::Value = serde_json::from_str(&succeeds(&[&arguments[..], &["--json"]].concat())).unwrap();
    assert_eq!(json["files"][0]["records"], 6);
    assert_eq!(json["files"][0]["first"].as_array().unwrap().len(), 5);
    assert_eq!((json["known"].as_u64(), json["patients"].as_u64()), (Some(1), Some(5)));
    assert_eq!(fs::read(&store).unwrap(), before);
    let said = succeeds(&["import", &file, "--plan", "--project", &study.root]);
    assert!(said.contains("as it stands this would be refused"), "{said}");
}

/// The files that other teams have, each with its right outcome.
#[test]
fn files_of_other_teams_come_in_right_or_not_at_all() {
    let ann = ["--annotator", "ann"];
    for (file, more, code, expected) in [
        ("files/blank_cells.csv", &ann[..], 0, "1 times `positive` is no label"),
        ("files/doccano_all.jsonl", &ann, 0, "1 labels taken in"),
        ("files/ls_export.json", &ann, 1, "Label Studio"),
        ("files/ls_min.json", &ann, 1, "Label Studio"),
        ("files/ls.csv", &ann, 1, "Label Studio"),
        ("files/prodigy_choice.jsonl", &ann, 1, "Prodigy"),
        ("files/prodigy_classification.jsonl", &ann, 1, "Prodigy"),
        ("files/NOTEEVENTS_lower.csv", &[], 0, "holds notes of MIMIC"),
        ("files/discharge.csv", &[], 0, "holds notes of MIMIC"),
        ("files/excel_semicolon_utf8bom.csv", &ann, 0, "3 labels taken in"),
        ("files/excel_utf16.csv", &ann, 0, "3 labels taken in"),
        ("files/excel_comma_1252.csv", &ann, 1, "perhaps windows-1252"),
        ("files/excel_comma_1252.csv", &["--annotator", "ann", "--encoding", "windows-1252"], 0, "3 labels taken in"),
        ("files/notes.xlsx", &[], 1, "an Excel workbook"),
        ("files/note.docx", &[], 1, "a Word document"),
        ("files/note.html", &[], 1, "a web page"),
        ("files/note.rtf", &[], 1, "rich-text"),
        ("files/note.pdf", &[], 1, "pdftotext"),
        ("files/note.hl7", &[], 1, "an HL7 message"),
        ("files/DocumentReference.ndjson", &[], 1, "FHIR"),
        ("16-labels-dropped/g1.jsonl", &[], 1, "nobody is named"),
        ("16-labels-dropped/con.jsonl", &ann, 1, "another label than at line 1"),
        ("19-csv-excel-europe/semi.csv", &[], 0, "1 new notes"),
        ("19-csv-excel-europe/pipe.csv", &[], 0, "1 new notes"),
        (
            "19-csv-excel-europe/zh-utf16.csv",
            &["--text-column", "\u{6587}\u{672c}", "--without-labels"],
            0,
            "2 new notes",
        ),
        (
            "19-csv-excel-europe/zh-utf16.tsv",
            &["--text-column", "\u{6587}\u{672c}", "--without-labels"],
            0,
            "2 new notes",
        ),
        ("19-csv-excel-europe/zh-gb18030.csv", &[], 1, "perhaps gb18030"),
        ("19-csv-excel-europe/zh-sjis.csv", &[], 1, "perhaps shift_jis"),
        ("19-csv-excel-europe/de-latin1.csv", &[], 1, "perhaps windows-1252"),
    ] {
        let Some(path) = shared(&format!("cases/{file}")) else { continue };
        let study = Study::new();
        let said = study.sentences(path.to_str().unwrap(), more, code);
        assert!(said.contains(expected), "{file}: {said}");
        assert_eq!(study.notes() == 0, code != 0, "{file}");
    }
    if let (Some(one), Some(two)) = (shared("cases/files/grow_1.csv"), shared("cases/files/grow_2.csv")) {
        let study = Study::new();
        assert!(study.sentences(one.to_str().unwrap(), &ann, 0).contains("2 new notes"));
        assert!(study.sentences(two.to_str().unwrap(), &ann, 0).contains("1 new notes with 1 sentences; 2 were"));
    }
}
