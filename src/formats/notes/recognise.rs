//! What a file is: by the first bytes, by its ending and by its content, which must agree. What is not known to be notes is
//! refused, for text that is not meant to be read would be cut into sentences like any other.

use std::fmt;
use std::path::Path;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::source::{ending, is_piped, layout_of};
use super::{Layout, roles, table};
use crate::formats::FormatError;

/// What a file is that is no file of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    Pdf,
    Word,
    Excel,
    OpenDocument,
    /// Word, Excel or Outlook before 2007.
    OldOffice,
    Rtf,
    Html,
    Xml,
    Zip,
    /// tar, 7z, rar.
    Archive,
    /// By another program than gzip.
    Compressed,
    Parquet,
    Arrow,
    Sqlite,
    Image,
    Dicom,
    Hl7,
    Fhir,
    LabelStudio,
    LabelStudioTable,
    Prodigy,
    /// One JSON document, not one a line.
    Json,
    Encrypted,
    /// Weights of a model.
    Model,
    /// Bytes that are no text.
    Binary,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pdf => "a PDF document",
            Self::Word => "a Word document",
            Self::Excel => "an Excel workbook",
            Self::OpenDocument => "an OpenDocument file",
            Self::OldOffice => "a file of Microsoft Office before 2007",
            Self::Rtf => "a rich-text document (RTF)",
            Self::Html => "a web page (HTML)",
            Self::Xml => "an XML document",
            Self::Zip => "a zip archive",
            Self::Archive => "an archive",
            Self::Compressed => "a file compressed otherwise than by gzip",
            Self::Parquet => "a Parquet file",
            Self::Arrow => "an Arrow file",
            Self::Sqlite => "an SQLite database",
            Self::Image => "an image",
            Self::Dicom => "a DICOM file",
            Self::Hl7 => "an HL7 message",
            Self::Fhir => "FHIR resources",
            Self::LabelStudio => "an export of Label Studio (JSON)",
            Self::LabelStudioTable => "an export of Label Studio (table)",
            Self::Prodigy => "a data set of Prodigy",
            Self::Json => "one JSON document, not one object a line",
            Self::Encrypted => "an encrypted file",
            Self::Model => "a model's weights",
            Self::Binary => "no text",
        })
    }
}

/// First bytes that no text has.
const MAGIC: &[(&[u8], Foreign)] = &[
    (b"%PDF-", Foreign::Pdf),
    (b"%!PS", Foreign::Binary),
    (b"{\\rtf", Foreign::Rtf),
    (b"PK\x05\x06", Foreign::Zip),
    (b"PK\x07\x08", Foreign::Zip),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Foreign::OldOffice),
    (b"7z\xbc\xaf\x27\x1c", Foreign::Archive),
    (b"Rar!\x1a\x07", Foreign::Archive),
    (b"\xfd7zXZ\x00", Foreign::Compressed),
    (b"BZh91AY&SY", Foreign::Compressed),
    (b"\x28\xb5\x2f\xfd", Foreign::Compressed),
    (b"PAR1", Foreign::Parquet),
    (b"ARROW1", Foreign::Arrow),
    (b"SQLite format 3\0", Foreign::Sqlite),
    (b"\x89PNG\r\n\x1a\n", Foreign::Image),
    (b"\xff\xd8\xff", Foreign::Image),
    (b"GIF87a", Foreign::Image),
    (b"GIF89a", Foreign::Image),
    (b"II*\0", Foreign::Image),
    (b"MM\0*", Foreign::Image),
    (b"GGUF", Foreign::Model),
    (b"age-encryption.org/", Foreign::Encrypted),
    (b"-----BEGIN AGE", Foreign::Encrypted),
    (b"-----BEGIN PGP", Foreign::Encrypted),
];

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// What the bytes of a file tell, before they are taken for text in any encoding.
pub(super) fn by_magic(head: &[u8]) -> Option<Foreign> {
    if head.starts_with(b"PK\x03\x04") {
        let zip = [(&b"word/"[..], Foreign::Word), (b"xl/", Foreign::Excel), (b"opendocument", Foreign::OpenDocument)];
        return Some(zip.into_iter().find(|(name, _)| contains(head, name)).map_or(Foreign::Zip, |(_, kind)| kind));
    }
    let at = |at: usize, wanted: &[u8]| head.get(at..at + wanted.len()) == Some(wanted);
    match () {
        () if at(128, b"DICM") => Some(Foreign::Dicom),
        () if at(257, b"ustar") => Some(Foreign::Archive),
        () if at(0, b"RIFF") && at(8, b"WEBP") => Some(Foreign::Image),
        () => MAGIC.iter().find(|(start, _)| head.starts_with(start)).map(|(_, kind)| *kind),
    }
}

/// What the text of a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Foreign(Foreign),
    JsonLines,
    /// A table of notes; comma or tab.
    Table(Layout),
    Text,
    Empty,
}

/// The layout of a file, from its beginning in UTF-8: what somebody says, or else its ending, or for what has no name its
/// content, if its content is nothing else.
pub(super) fn layout(path: &Path, head: &[u8], named: Option<Layout>) -> Result<Layout, FormatError> {
    let content = content(head);
    if let Content::Foreign(kind) = content {
        return Err(FormatError::Foreign { path: path.into(), kind });
    }
    let by_name = layout_of(path);
    match (named, by_name, content) {
        (Some(named), ..) => Ok(named),
        (None, Some(layout), Content::Empty) => Ok(layout),
        (None, Some(Layout::Text), Content::JsonLines) => Err(other(path, "text", Layout::JsonLines)),
        (None, Some(Layout::Text), Content::Table(seems)) if is_surely_a_table(head) => Err(other(path, "text", seems)),
        (None, Some(Layout::Csv | Layout::Tsv), Content::JsonLines) => Err(other(path, "a table", Layout::JsonLines)),
        (None, Some(Layout::JsonLines), Content::Table(seems)) => Err(other(path, "JSON lines", seems)),
        (None, Some(Layout::JsonLines), Content::Text) if !has_json(head) => {
            Err(other(path, "JSON lines", Layout::Text))
        }
        (None, Some(layout), _) => Ok(layout),
        (None, None, _) if !is_piped(path) => {
            Err(FormatError::UnknownEnding { path: path.into(), ending: ending(path) })
        }
        (None, None, Content::JsonLines) => Ok(Layout::JsonLines),
        (None, None, Content::Table(layout)) => Ok(layout),
        (None, None, Content::Foreign(_) | Content::Text | Content::Empty) => Ok(Layout::Text),
    }
}

fn other(path: &Path, ending: &'static str, seems: Layout) -> FormatError {
    FormatError::OtherLayout { path: path.into(), ending, seems }
}

/// A note may begin with a word that is also a column's name; two of them in one line, and nothing else, are a header.
fn is_surely_a_table(head: &[u8]) -> bool {
    roles::is_of_notes(&table::header_of(head), true)
}

/// Whether any line is JSON: the others are reported one by one.
fn has_json(head: &[u8]) -> bool {
    head.split(|b| *b == b'\n').any(|line| line.trim_ascii().starts_with(b"{"))
}

fn content(head: &[u8]) -> Content {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start();
    if text.is_empty() {
        return Content::Empty;
    }
    if let Some(kind) = foreign(text) {
        return Content::Foreign(kind);
    }
    if text.starts_with('{') && text[1..].trim_start().starts_with(['"', '}']) {
        return Content::JsonLines;
    }
    let header = table::header_of(head);
    if roles::is_of_notes(&header, false) {
        let first_line = text.lines().next().unwrap_or_default();
        return Content::Table(if first_line.contains('\t') { Layout::Tsv } else { Layout::Csv });
    }
    Content::Text
}

fn foreign(text: &str) -> Option<Foreign> {
    if text.contains('\0') {
        return Some(Foreign::Binary);
    }
    if ["MSH|", "FHS|", "BHS|"].iter().any(|start| text.starts_with(start)) {
        return Some(Foreign::Hl7);
    }
    let start = text.get(..text.floor_char_boundary(64)).unwrap_or_default().to_ascii_lowercase();
    match () {
        () if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.starts_with(tag)) => {
            Some(Foreign::Html)
        }
        () if start.starts_with("<?xml") || is_markup(text) => Some(Foreign::Xml),
        () if text.starts_with("{\\rtf") => Some(Foreign::Rtf),
        () => json(text).or_else(|| label_studio_table(text)),
    }
}

/// Begins with a tag that is closed later on.
fn is_markup(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('<') else { return false };
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, ':' | '_' | '-')).collect();
    !name.is_empty() && rest[name.len()..].starts_with([' ', '>', '/', '\n']) && rest.contains(&format!("</{name}>"))
}

/// JSON that is not one note a line.
fn json(text: &str) -> Option<Foreign> {
    let inside = text.strip_prefix(['[', '{'])?.trim_start();
    if text.starts_with('[') {
        // `[**2149-2-3**]` begins a note.
        let of_label_studio = ["\"annotations\"", "\"completions\"", "\"annotation_id\"", "\"completed_by\""];
        return match () {
            () if !inside.starts_with(['{', '"', '[']) => None,
            () if of_label_studio.iter().any(|field| text.contains(field)) => Some(Foreign::LabelStudio),
            () if text.contains("\"resourceType\"") => Some(Foreign::Fhir),
            () => Some(Foreign::Json),
        };
    }
    let first_line = text.lines().next().unwrap_or_default();
    if text.contains("\"resourceType\"") && !inside.is_empty() && text.starts_with('{') {
        let object: Option<Value> = serde_json::Deserializer::from_str(text).into_iter().next()?.ok();
        if object.is_some_and(|object| object.get("resourceType").is_some_and(Value::is_string)) {
            return Some(Foreign::Fhir);
        }
    }
    // An object that goes on over the end of its line.
    let goes_on = |error: serde_json::Error| error.is_eof() && text.len() > first_line.len() + 1;
    if serde_json::from_str::<IgnoredAny>(first_line).err().is_some_and(goes_on) {
        let whole = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>().next();
        // Cut off by the end of what is looked at, or whole.
        return whole.is_some_and(|one| one.as_ref().map_or_else(serde_json::Error::is_eof, |_| true)).then_some(
            if text.contains("\"annotations\"") && text.contains("\"data\"") {
                Foreign::LabelStudio
            } else {
                Foreign::Json
            },
        );
    }
    text.lines().take(100).filter_map(|line| serde_json::from_str(line).ok()).find_map(|object| of_a_tool(&object))
}

/// Records whose label does not say what a label of ours would.
fn of_a_tool(object: &Value) -> Option<Foreign> {
    let has = |field: &str| object.get(field).is_some();
    let answer = object.get("answer").and_then(Value::as_str);
    match () {
        () if has("_task_hash") || has("_input_hash") => Some(Foreign::Prodigy),
        () if answer.is_some_and(|answer| matches!(answer, "accept" | "reject" | "ignore")) => Some(Foreign::Prodigy),
        () if has("data") && (has("annotations") || has("predictions") || has("completions")) => {
            Some(Foreign::LabelStudio)
        }
        () if has("annotation_id") && has("lead_time") => Some(Foreign::LabelStudio),
        () => None,
    }
}

/// Its rows are of several people, whose labels would be taken for one person's.
fn label_studio_table(text: &str) -> Option<Foreign> {
    let header = table::header_of(text.as_bytes());
    let has = |name: &str| header.iter().any(|cell| cell == name);
    (has("annotation_id") && has("annotator") && has("lead_time")).then_some(Foreign::LabelStudioTable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_tells_what_a_file_is() {
        use Content::{Empty, Foreign as No, JsonLines, Table, Text};
        for (head, is) in [
            (&b" {\"text\": 1}"[..], JsonLines),
            (b"ID,\"text\"\n1,2", Table(Layout::Csv)),
            (b"id\tTEXT\n", Table(Layout::Tsv)),
            (b"id;patient;text\n", Table(Layout::Csv)),
            (b"sep=;\nid;text\n", Table(Layout::Csv)),
            (b"The text, it goes", Text),
            (b"[**2149-2-3**] Admitted.", Text),
            (b"<5 cigarettes a day.", Text),
            (b"{Patient} seen.", Text),
            (b" \n", Empty),
            (b"MSH|^~\\&|EPIC|", No(Foreign::Hl7)),
            (b"<!DOCTYPE HTML><p>", No(Foreign::Html)),
            (b"<html><body>", No(Foreign::Html)),
            (b"<?xml version=\"1.0\"?>", No(Foreign::Xml)),
            (b"<note>She forgets.</note>", No(Foreign::Xml)),
            (b"{\\rtf1 She forgets.}", No(Foreign::Rtf)),
            (b"[{\"text\": \"a\"}]", No(Foreign::Json)),
            (b"[\n {\"id\": 1, \"data\": {}, \"annotations\": []}]", No(Foreign::LabelStudio)),
            (b"{\n \"text\": \"a\"\n}\n", No(Foreign::Json)),
            (b"{\"text\": \"a\", \"answer\": \"reject\"}\n", No(Foreign::Prodigy)),
            (b"{\"text\": \"a\", \"answer\": \"42\"}\n", JsonLines),
            (b"{\"resourceType\": \"DocumentReference\"}\n", No(Foreign::Fhir)),
            (b"annotation_id,annotator,id,label,lead_time,text\n", No(Foreign::LabelStudioTable)),
            (b"a\0b", No(Foreign::Binary)),
        ] {
            assert_eq!(content(head), is, "{}", String::from_utf8_lossy(head));
        }
        assert_eq!(by_magic(b"PK\x03\x04....word/document.xml"), Some(Foreign::Word));
        assert_eq!(by_magic(b"%PDF-1.7"), Some(Foreign::Pdf));
        assert_eq!(by_magic(b"BMI 23."), None);
    }

    #[test]
    fn ending_and_content_must_agree() {
        let is = |name: &str, head: &[u8]| layout(Path::new(name), head, None);
        assert_eq!(is("a.txt", b"She forgets.").unwrap(), Layout::Text);
        assert_eq!(is("a.txt", b"Note, 3 May").unwrap(), Layout::Text);
        assert_eq!(is("a.txt.gz", b"Text, and more of it").unwrap(), Layout::Text);
        assert_eq!(is("a.json", b"{\"text\": \"a\"}\n{\"text\": \"b\"}\n").unwrap(), Layout::JsonLines);
        assert_eq!(is("-", b"{\"text\": \"a\"}\n").unwrap(), Layout::JsonLines);
        assert_eq!(is("-", b"Any words.").unwrap(), Layout::Text);
        for (name, head) in [
            ("a.txt", &b"{\"text\": \"a\"}\n"[..]),
            ("a.txt", b"id,patient,text\n1,2,3\n"),
            ("a.csv", b"{\"text\": \"a\"}\n"),
            ("a.jsonl", b"id,text\n1,2\n"),
            ("a.jsonl", b"She forgets.\n"),
            ("a.md", b"She forgets."),
            ("a", b"She forgets."),
        ] {
            assert!(is(name, head).is_err(), "{name}");
            assert_eq!(layout(Path::new(name), head, Some(Layout::Text)).unwrap(), Layout::Text);
        }
    }
}
