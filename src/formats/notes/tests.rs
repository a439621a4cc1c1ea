//! Every layout is read as it stands, and what is bad in it is named by its line.

use std::io::{Read, Write};

use super::source::Input;
use super::*;
use crate::plain_file::NotPlain;

fn opened(name: &str, bytes: &[u8], reading: &Reading) -> Result<NoteReader, FormatError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    open(&path, reading)
}

fn read(name: &str, bytes: &[u8], columns: &Columns) -> (NoteReader, Vec<Result<NoteRecord, BadRecord>>) {
    let mut notes = opened(name, bytes, &Reading { columns: columns.clone(), ..Reading::default() }).unwrap();
    let records = notes.by_ref().collect();
    (notes, records)
}

fn texts(name: &str, bytes: &[u8]) -> Vec<String> {
    read(name, bytes, &Columns::default()).1.into_iter().map(|record| record.unwrap().text).collect()
}

#[test]
fn mimic_is_known_in_any_case_and_order_and_errors_are_counted() {
    let rows = "1,22,3,2151-07-16,,,\"Physician \",Attending,,,\"Line one\nline \"\"two\"\", more\n\"\n2,23,,,,,ECG,Report,,1,\"wrong\"\n3,24,,2151-07-17,,,ECG,Report,,,\"Sinus.\"\n";
    let header = "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT";
    for header in [header.to_owned(), header.to_lowercase()] {
        let (notes, records) = read("NOTEEVENTS.csv", format!("{header}\n{rows}").as_bytes(), &Columns::default());
        assert!(notes.mimic.unwrap().to_lowercase().contains("hadm_id"));
        assert_eq!((records.len(), notes.in_error), (2, 1), "an erroneous row is left out");
        let first = records[0].as_ref().unwrap();
        assert_eq!(first.patient.as_deref(), Some("22"));
        assert_eq!((first.kind.as_str(), first.text.as_str()), ("Physician", "Line one\nline \"two\", more\n"));
        assert_eq!(records[1].as_ref().unwrap().line, 6);
    }
    let jsonl = b"{\"subject_id\":1,\"hadm_id\":2,\"text\":\"a\",\"iserror\":1}\n{\"text\":\"b\",\"iserror\":0}\n";
    let (notes, records) = read("a.jsonl", jsonl, &Columns::default());
    assert!(notes.mimic.is_some() && notes.in_error == 1 && records.len() == 1);
}

#[test]
fn bad_records_are_named_by_line_and_the_rest_is_read() {
    let said = |records: Vec<Result<NoteRecord, BadRecord>>| -> Vec<String> {
        let told = |bad: BadRecord| format!("{}: {}", bad.line, bad.message.split(';').next().unwrap_or_default());
        records.into_iter().map(|record| record.map_or_else(told, |record| record.text)).collect()
    };
    let utf8 = Reading { encoding: Some("utf-8".parse().unwrap()), ..Reading::default() };
    let notes = opened("a.csv", b"id,text\n1,fine\n2\n3,caf\xe9\n4,good\n5,\n,\n", &utf8).unwrap();
    assert_eq!(
        said(notes.collect()),
        [
            "fine",
            "3: 1 cells where the header has 2",
            "4: byte 0xe9 at position 4 of the record is not UTF-8",
            "good",
            "6: no text"
        ]
    );
    let (_, records) =
        read("a.jsonl", b"{\"text\": \"a\"}\nnot json\n\n{\"x\": 1}\n{\"text\": 3}\n", &Columns::default());
    let lines: Vec<u64> = records.iter().filter_map(|r| r.as_ref().err().map(|b| b.line)).collect();
    assert_eq!(lines, [2, 4, 5]);
    let (_, records) = read("a.csv", b"text,label\na,yes\n,no\n", &Columns::default());
    assert_eq!(said(records), ["a", "3: a label without a text"]);
}

/// Line breaks within quotes are lines of the file, too, and so is what Excel puts before the header.
#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for (file, expected) in [
        ("id,text\n1,\"a\nb\"\n2,c\n3\n", [2, 4, 5]),
        ("id,text\r\n1,\"a\r\nb\"\r\n2,c\r\n3\r\n", [2, 4, 5]),
        ("sep=,\r\nid,text\r\n1,\"a\r\nb\"\r\n2,c\r\n3\r\n", [3, 5, 6]),
    ] {
        let (_, records) = read("a.csv", file.as_bytes(), &Columns::default());
        let lines: Vec<u64> = records.iter().map(|r| r.as_ref().map_or_else(|bad| bad.line, |r| r.line)).collect();
        assert_eq!(lines, expected, "{file:?}");
    }
}

#[test]
fn labels_come_as_cells_lists_or_nothing() {
    let jsonl = br#"{"text":"a","label":["x","y"]}
{"text":"b","label":"none"}
{"text":"c"}
{"text":"d","label":null,"patient":7}
{"text":"e","label":""}
{"text":"f","label":[],"Comments":[]}
{"text":"g","labels":[],"by":["ann"],"adjudicated":false}
{"text":"h","label":3}
"#;
    let (_, records) = read("a.jsonl", jsonl, &Columns::default());
    let labels: Vec<_> = records.iter().map(|r| r.as_ref().unwrap().labels.clone()).collect();
    let (list, cell) = (
        |words: &[&str]| Some(LabelWords::List(words.iter().map(|w| (*w).to_owned()).collect())),
        |word: &str| Some(LabelWords::Cell(word.into())),
    );
    assert_eq!(labels, [list(&["x", "y"]), cell("none"), None, None, None, None, list(&[]), cell("3")]);
    assert_eq!(records[3].as_ref().unwrap().patient.as_deref(), Some("7"));
    let (_, records) = read("a.csv", b"text,label\na,\nb, \nc,none\n", &Columns::default());
    let labels: Vec<_> = records.iter().map(|r| r.as_ref().unwrap().labels.clone()).collect();
    assert_eq!(labels, [None, None, cell("none")]);
}

#[test]
fn gzip_and_byte_order_marks_are_seen_through() {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all("\u{feff}text\nSchön\n".as_bytes()).unwrap();
    assert_eq!(texts("a.csv.gz", &zip.finish().unwrap()), ["Schön"]);
    let message = opened("b.csv.gz", b"\x1f\x8b\x08\x00broken", &Reading::default()).err().unwrap().to_string();
    assert!(message.starts_with("cannot read "), "{message}");
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

#[test]
fn other_encodings_are_read_where_they_are_marked_or_named() {
    let table = "id\tpatient\ttext\r\na1\tp1\tCafé, 漢字\r\n";
    for big in [false, true] {
        let marked = [utf16("\u{feff}", big), utf16(table, big)].concat();
        assert_eq!(texts("a.tsv", &marked), ["Café, 漢字"]);
        // Without a mark it is not guessed, but said what it may be, and that is taken at its word.
        let error = opened("a.tsv", &utf16(table, big), &Reading::default()).err().unwrap();
        let FormatError::Encoding { likely: Some(likely), .. } = &error else { panic!("{error}") };
        let named = Reading { encoding: Some(likely.parse().unwrap()), ..Reading::default() };
        let records: Vec<_> = opened("a.tsv", &utf16(table, big), &named).unwrap().collect();
        assert_eq!(records[0].as_ref().unwrap().text, "Café, 漢字");
    }
    let latin =
        b"id;patient;text\r\na1;p1;\"Die Patientin ist verwirrt; Tochter besorgt \xfcber Verge\xdflichkeit.\"\r\n";
    let error = opened("a.csv", latin, &Reading::default()).err().unwrap();
    assert!(
        matches!(&error, FormatError::Encoding { line: 2, column: 52, likely: Some(likely), .. } if likely == "windows-1252"),
        "{error}"
    );
    let named = Reading { encoding: Some("windows-1252".parse().unwrap()), ..Reading::default() };
    let records: Vec<_> = opened("a.csv", latin, &named).unwrap().collect();
    assert_eq!(records[0].as_ref().unwrap().text, "Die Patientin ist verwirrt; Tochter besorgt über Vergeßlichkeit.");
    // However late in the file it comes.
    let late = ["text\n".as_bytes(), &b"plain words\n".repeat(50_000), b"caf\xe9\n"].concat();
    let error = opened("a.csv", &late, &Reading::default()).err().unwrap();
    assert!(matches!(&error, FormatError::Encoding { line: 50_002, column: 4, .. }), "{error}");
    assert_eq!(texts("a.csv", &["text\n".as_bytes(), "é漢\n".repeat(40_000).as_bytes()].concat()).len(), 40_000);
}

#[test]
fn separators_are_found_or_named() {
    for file in [
        "id;patient;text\r\na1;p1;One, two\r\n",
        "id|patient|text\na1|p1|One, two\n",
        "id\tpatient\ttext\na1\tp1\tOne, two\n",
        "sep=;\r\nid;patient;text\r\na1;p1;One, two\r\n",
        "\"id\",\"patient\",\"text\"\na1,p1,\"One, two\"\n",
    ] {
        let (_, records) = read("a.csv", file.as_bytes(), &Columns::default());
        let record = records[0].as_ref().unwrap();
        assert_eq!((record.id.as_deref(), record.text.as_str()), (Some("a1"), "One, two"), "{file}");
    }
    let named = Reading { delimiter: Some(b'~'), ..Reading::default() };
    let records: Vec<_> = opened("a.csv", b"id~text\n1~a;b\n", &named).unwrap().collect();
    assert_eq!(records[0].as_ref().unwrap().text, "a;b");
}

#[test]
fn a_missing_column_is_named_with_those_there_are() {
    let error = opened("a.csv", b"a;b\n1;2\n", &Reading::default()).err().unwrap();
    assert!(matches!(&error, FormatError::NoTextColumn { header, .. } if *header == ["a", "b"]), "{error}");
    assert!(opened("a.csv", b"", &Reading::default()).is_err());
}

/// A folder of notes is what is in it, and nothing that a link, a pipe or a circle leads to.
#[cfg(unix)]
#[test]
fn of_a_folder_only_its_plain_files_are_read() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("p1")).unwrap();
    let odd = at("p1").join(OsStr::from_bytes(b"caf\xe9.txt"));
    for path in [at("p1/a.txt"), at("p1/readme.md"), outside.path().join("secret.txt"), odd.clone()] {
        std::fs::write(path, "He forgets names.").unwrap();
    }
    symlink(folder.path(), at("p1/loop")).unwrap();
    symlink(outside.path().join("secret.txt"), at("p1/secret.txt")).unwrap();
    symlink("/etc/hostname", at("p1/hostname")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("p1/pipe.csv")).status().unwrap().success());
    let found = files(folder.path()).unwrap();
    assert_eq!(found.files, [at("p1/a.txt"), odd]);
    let passed: Vec<(&str, u64)> = found.passed_over.iter().map(|(kind, (n, _))| (kind.as_str(), *n)).collect();
    let (links, pipes) =
        ("links; name what they lead to, if that is wanted", "not files, but pipes, sockets or devices");
    assert_eq!(passed, [(".md", 1), (links, 3), (pipes, 1)]);
    // Named by itself a pipe would hold the program until somebody writes, and a device for ever.
    for path in [at("p1/pipe.csv"), "/dev/zero".into()] {
        let Err(error) = open(&path, &Reading { layout: Some(Layout::Csv), ..Reading::default() }) else {
            panic!("{}", path.display())
        };
        let FormatError::Io { cause, .. } = error else { panic!("{error}") };
        assert_eq!(NotPlain::of(&cause), Some(NotPlain::Endless));
    }
}

/// A cell that never ends: `yes` behind an open quote.
#[test]
fn a_record_has_a_limit_in_every_layout() {
    struct Endless(&'static [u8], u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let start = self.0.len().min(buffer.len());
            buffer[..start].copy_from_slice(&self.0[..start]);
            self.0 = &self.0[start..];
            buffer[start..].fill(b'y');
            self.1 += buffer.len() as u64;
            assert!(self.1 < 4 * MAX_RECORD as u64, "it reads on and on");
            Ok(buffer.len())
        }
    }
    let rows = |input: Input| {
        let dialect = Dialect::of(b"id,text\n", b',', None, None);
        DelimitedRows::new(input, dialect, Path::new("a.csv"), &Columns::default())
    };
    let table = BufReader::new(Endless(b"id,text\n1,fine\n2,\"", 0));
    let header = rows(Box::new(BufReader::new(Endless(b"id,text", 0))));
    assert!(header.is_err());
    let mut rows = rows(Box::new(table)).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().text, "fine");
    let bad = rows.next().unwrap().unwrap_err();
    assert!(bad.fatal && bad.message.contains("64 MiB") && bad.message.contains("quote"), "{bad:?}");
    assert!(rows.next().is_none());
    let mut lines = JsonLines::new(Box::new(BufReader::new(Endless(b"{\"text\": \"", 0))), Columns::default());
    assert!(lines.next().unwrap().unwrap_err().fatal && lines.next().is_none());
    let whole = text::read(Box::new(BufReader::new(Endless(b"", 0)))).unwrap_err();
    assert!(whole.message.contains("64 MiB"), "{whole:?}");
}
