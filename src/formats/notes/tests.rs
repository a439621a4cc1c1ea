//! Every layout is read as it stands, and what is bad in it is named by its line.

use std::io::Write;

use super::*;

fn read(name: &str, bytes: &[u8], columns: &Columns) -> (String, Vec<Result<NoteRecord, BadRecord>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let notes = open(&path, None, columns).unwrap();
    (notes.recognised.clone(), notes.collect())
}

#[test]
fn mimic_is_known_by_its_header() {
    let header = MIMIC.join(",");
    let csv = format!(
        "{header}\n1,22,3,2151-07-16,,,\"Physician \",Attending,,,\"Line one\nline \"\"two\"\", more\n\"\n2,23,,,,,ECG,Report,,1,\"wrong\"\n3,24,,2151-07-17,,,ECG,Report,,,\"Sinus.\"\n"
    );
    let (said, records) = read("NOTEEVENTS.csv", csv.as_bytes(), &Columns::default());
    assert!(said.starts_with("MIMIC-III"), "{said}");
    assert_eq!(records.len(), 2, "an erroneous row is left out");
    let first = records[0].as_ref().unwrap();
    assert_eq!(first.patient.as_deref(), Some("22"));
    assert_eq!((first.kind.as_str(), first.text.as_str()), ("Physician", "Line one\nline \"two\", more\n"));
    assert_eq!(records[1].as_ref().unwrap().line, 6);
}

#[test]
fn bad_records_are_named_by_line_and_the_rest_is_read() {
    let (_, records) = read("a.csv", b"id,text\n1,fine\n2\n3,caf\xe9\n4,good\n", &Columns::default());
    let said: Vec<String> = records
        .into_iter()
        .map(|r| {
            r.map_or_else(|b| format!("{}: {}", b.line, b.message.split(';').next().unwrap_or_default()), |r| r.text)
        })
        .collect();
    assert_eq!(
        said,
        ["fine", "3: 1 cells where the header has 2", "4: byte 0xe9 at position 4 of the record is not UTF-8", "good"]
    );
    let (_, records) =
        read("a.jsonl", b"{\"text\": \"a\"}\nnot json\n\n{\"x\": 1}\n{\"text\": 3}\n", &Columns::default());
    let lines: Vec<u64> = records.iter().filter_map(|r| r.as_ref().err().map(|b| b.line)).collect();
    assert_eq!(lines, [2, 4, 5]);
}

#[test]
fn labels_come_as_cells_lists_or_nothing() {
    let jsonl = br#"{"text":"a","label":["x","y"]}
{"text":"b","label":"none"}
{"text":"c"}
{"text":"d","label":null,"patient":7}
"#;
    let (_, records) = read("a.jsonl", jsonl, &Columns::default());
    let labels: Vec<_> = records.iter().map(|r| r.as_ref().unwrap().labels.clone()).collect();
    assert_eq!(labels, [Some(vec!["x".into(), "y".into()]), Some(vec![]), None, None]);
    assert_eq!(records[3].as_ref().unwrap().patient.as_deref(), Some("7"));
}

#[test]
fn gzip_and_byte_order_marks_are_seen_through() {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all("\u{feff}text\nSchön\n".as_bytes()).unwrap();
    let (_, records) = read("a.csv.gz", &zip.finish().unwrap(), &Columns::default());
    assert_eq!(records[0].as_ref().unwrap().text, "Schön");
    let folder = tempfile::tempdir().unwrap();
    let torn = folder.path().join("b.csv.gz");
    std::fs::write(&torn, b"\x1f\x8b\x08\x00broken").unwrap();
    let message = open(&torn, None, &Columns::default()).err().unwrap().to_string();
    assert!(message.starts_with("cannot read "), "{message}");
}

#[test]
fn a_missing_column_is_named_with_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "a,b\n1,2\n").unwrap();
    let error = open(&path, None, &Columns::default()).err().unwrap();
    assert!(matches!(&error, FormatError::NoTextColumn { header, .. } if *header == ["a", "b"]), "{error}");
    std::fs::write(&path, "").unwrap();
    assert!(open(&path, None, &Columns::default()).is_err());
}

#[test]
fn layouts_are_sniffed() {
    assert_eq!(sniff(b" {\"text\": 1}"), Layout::JsonLines);
    assert_eq!(sniff(b"ID,\"text\"\n1,2"), Layout::Csv);
    assert_eq!(sniff(b"id\tTEXT\n"), Layout::Tsv);
    assert_eq!(sniff(b"The text, it goes"), Layout::Text);
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
    let passed: Vec<&Path> = found.passed_over.iter().map(|(path, _)| path.as_path()).collect();
    assert_eq!(passed, [at("p1/loop"), at("p1/pipe.csv"), at("p1/secret.txt")]);
    // Named by itself a pipe would hold the program until somebody writes, and a device for ever.
    for path in [at("p1/pipe.csv"), "/dev/zero".into()] {
        let Err(error) = open(&path, Some(Layout::Csv), &Columns::default()) else { panic!("{}", path.display()) };
        assert!(error.to_string().contains("not a file"), "{error}");
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
    let table = BufReader::new(Endless(b"id,text\n1,fine\n2,\"", 0));
    let mut rows = DelimitedRows::new(Box::new(table), b',', Path::new("a.csv"), &Columns::default()).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().text, "fine");
    let bad = rows.next().unwrap().unwrap_err();
    assert!(bad.fatal && bad.message.contains("64 MiB") && bad.message.contains("quote"), "{bad:?}");
    assert!(rows.next().is_none());
    let header = BufReader::new(Endless(b"id,text", 0));
    assert!(DelimitedRows::new(Box::new(header), b',', Path::new("a.csv"), &Columns::default()).is_err());
    let mut lines = JsonLines::new(Box::new(BufReader::new(Endless(b"{\"text\": \"", 0))), Columns::default());
    assert!(lines.next().unwrap().unwrap_err().fatal && lines.next().is_none());
    let whole = whole(Box::new(BufReader::new(Endless(b"", 0)))).unwrap_err();
    assert!(whole.message.contains("64 MiB"), "{whole:?}");
}
