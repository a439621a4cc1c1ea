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
