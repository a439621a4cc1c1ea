//! What to try next after an error of the rooms below, which know of no verbs and no options.

use super::WorkflowError;
use crate::classifier::ClassifierError;
use crate::formats::notes::{Foreign, Layout};
use crate::formats::{FormatError, Needs};
use crate::plain_file::NotPlain;
use crate::store::StoreError;

/// The hints of an error, the likeliest first.
pub(super) fn of(error: &WorkflowError) -> Vec<String> {
    let hints: &[&str] = match error {
        WorkflowError::Refused(refusal) => return refusal.hints.clone(),
        WorkflowError::NoProject(_) => &["`goldsmith init` makes a project, `goldsmith demo` shows one"],
        WorkflowError::Record { .. } => {
            &["fix the line and run the same command again", "pass --on-error skip to leave it out"]
        }
        WorkflowError::Stopped => &["run the same command again to resume"],
        WorkflowError::Format(error) => return of_format(error),
        WorkflowError::Store(error) => of_store(error),
        WorkflowError::Classifier(error) => of_classifier(error),
        // These say themselves what setting they go by.
        WorkflowError::Llm(_) | WorkflowError::Taxonomy(_) => &[],
        WorkflowError::AlreadyProject(_) | WorkflowError::Folder { .. } => &[],
    };
    hints.iter().map(|hint| (*hint).to_owned()).collect()
}

fn of_format(error: &FormatError) -> Vec<String> {
    let hint = match error {
        FormatError::Foreign { path, kind } => return vec![way_out(*kind, &path.display().to_string())],
        FormatError::UnknownEnding { .. } => {
            "if it is one note, pass --layout text; for other notes --layout jsonl, csv or tsv".into()
        }
        FormatError::OtherLayout { seems, .. } => {
            let layout = match seems {
                Layout::Text => "text",
                Layout::JsonLines => "jsonl",
                Layout::Csv => "csv",
                Layout::Tsv => "tsv",
            };
            format!("rename it, or pass --layout {layout}")
        }
        FormatError::Encoding { path, likely, .. } => {
            let likely = likely.as_deref().unwrap_or("NAME");
            return vec![
                format!(
                    "if that is what it is in, pass --encoding {likely}; --plan shows how {} then reads",
                    path.display()
                ),
                "--encoding utf-8 leaves out and names each record that is not UTF-8".into(),
            ];
        }
        FormatError::NoTextColumn { header, .. } => format!("name it with --text-column, one of {}", header.join(", ")),
        FormatError::NoBundle(_) => "`goldsmith bundle FILE` writes one".into(),
        FormatError::NewerBundle { .. } => "install a newer goldsmith".into(),
        FormatError::Key { needs, .. } => match needs {
            Needs::Nothing => return Vec::new(),
            Needs::Variable(name) => {
                format!("set it with `export {name}=...`; passwords are never kept in files or on the command line")
            }
            Needs::Private(path) => format!("`chmod 600 {}` keeps it from them", path.display()),
            Needs::PublicKey => "make another with `age-keygen`; --to takes the public key, age1...".into(),
            Needs::OneOfBoth => "leave out --to or --passphrase-env".into(),
            Needs::IdentityOrPassphrase => "pass --identity FILE, or --passphrase-env VARIABLE".into(),
            Needs::Identity => "pass --identity FILE".into(),
            Needs::Passphrase => "pass --passphrase-env VARIABLE".into(),
            Needs::SignPassword => "if it has a password, pass --sign-password-env VARIABLE".into(),
            Needs::Signature => "ask the sender for it".into(),
            Needs::Feature(name) => format!("build it again with `--features {name}`"),
        },
        FormatError::Io { doing: "read", cause, .. } => match NotPlain::of(cause) {
            Some(NotPlain::Folder) => "name a file in it".into(),
            Some(NotPlain::Endless) => "write what it holds to a file, and name that: `cat PIPE > FILE`".into(),
            Some(NotPlain::TooLong(_)) => "look whether it is the file that was meant".into(),
            None => return Vec::new(),
        },
        FormatError::Io { .. }
        | FormatError::Faulty { .. }
        | FormatError::Unfit { .. }
        | FormatError::Header { .. }
        | FormatError::Taxonomy { .. }
        | FormatError::Template(_) => return Vec::new(),
    };
    vec![hint]
}

/// What makes notes of a file that is none.
fn way_out(kind: Foreign, file: &str) -> String {
    match kind {
        Foreign::Pdf => {
            format!("take the text out, for example with `pdftotext -layout {file}`, and import the .txt file")
        }
        Foreign::Word | Foreign::OldOffice | Foreign::OpenDocument | Foreign::Rtf => {
            "save it as plain text (.txt), or a table of notes as CSV".into()
        }
        Foreign::Excel => "save the sheet as CSV (UTF-8) and import that".into(),
        Foreign::Html => "save the page as plain text (.txt), for example with `w3m -dump`".into(),
        Foreign::Xml => {
            "take the text of each note out into a .txt file, or into JSON lines with `id`, `patient`, `text`".into()
        }
        Foreign::Zip | Foreign::Archive => "unpack it and import the folder".into(),
        Foreign::Compressed => "uncompress it, or pipe it: `zstdcat FILE | goldsmith import -`".into(),
        Foreign::Parquet | Foreign::Arrow => {
            format!(
                "write it as JSON lines, for example with pandas: `pd.read_parquet('{file}').to_json('notes.jsonl', orient='records', lines=True)`"
            )
        }
        Foreign::Sqlite => {
            format!("write its table as CSV: `sqlite3 -header -csv {file} 'SELECT * FROM notes' > notes.csv`")
        }
        Foreign::Image | Foreign::Dicom => "it has to be read first (OCR); import the text".into(),
        Foreign::Hl7 => "take the text out of its OBX segments into JSON lines with `id`, `patient`, `text`".into(),
        Foreign::Fhir => "write JSON lines with `id`, `patient` and the decoded attachment as `text`".into(),
        Foreign::LabelStudio => {
            format!(
                "write a file for each person, such as `jq -c '.[] | {{id, text: .data.text, label: [.annotations[] | select(.completed_by == 1 and (.was_cancelled | not)) | .result[].value.choices[]]}}' {file} > one.jsonl`"
            )
        }
        Foreign::LabelStudioTable => {
            "write a file for each `annotator` with the columns id, text and label, and import it with --annotator NAME"
                .into()
        }
        Foreign::Prodigy => {
            let accepted = "select(.answer == \"accept\") | {text, label: (if .accept == [] then \"none\" elif .accept then \
                            [.accept[] as $a | .options[] | select(.id == $a) | .text] else .label end)}";
            format!(
                "take what was accepted, for each `_annotator_id` by itself: `jq -c '{accepted}' {file} > accepted.jsonl`; a \
                 rejected task says nothing of other categories"
            )
        }
        Foreign::Json => format!("write one object a line: `jq -c '.[]' {file} > notes.jsonl`"),
        Foreign::Encrypted => "decrypt it first".into(),
        Foreign::Model => "models are named where they are used, for example by `goldsmith label --gguf FILE`".into(),
        Foreign::Binary => {
            format!("if it is text with stray zero bytes, take them out: `tr -d '\\000' < {file} > clean.txt`")
        }
    }
}

fn of_store(error: &StoreError) -> &'static [&'static str] {
    match error {
        StoreError::TaxonomyChanged => &["quit and start again to use the new ones"],
        StoreError::Missing(_) => &["`goldsmith init` makes one"],
        StoreError::Newer { .. } => &["install a newer goldsmith"],
        StoreError::Locked(_) if cfg!(feature = "encrypted-store") => &[
            "if it is encrypted, say under [encryption] in goldsmith.toml where its key comes from",
            "if not, restore a copy, or try `sqlite3 FILE .recover`",
        ],
        StoreError::Locked(_) => &[
            "if it is encrypted, build goldsmith with `--features encrypted-store`, and say under [encryption] in \
             goldsmith.toml where the key comes from",
            "if not, restore a copy, or try `sqlite3 FILE .recover`",
        ],
        StoreError::NotEncrypted(_) => &[
            "`goldsmith store encrypt` encrypts it",
            "take `key` out of [encryption] in goldsmith.toml to use it as it is",
        ],
        StoreError::WrongKey { .. } => {
            &["find the key that this store was encrypted with; without it, nobody can open it"]
        }
        StoreError::NoEncryption(_) => &["build it again with `--features encrypted-store`"],
        StoreError::InUse(_) => {
            &["close every workbench and every job of this project, then run the same command again"]
        }
        StoreError::NotWiped(..) => &["keep the disk as safe as the notes: it may hold the old file"],
        StoreError::Corrupt(..) => &["restore a copy, or try `sqlite3 FILE .recover`"],
        StoreError::Unwritable(..) => &["make room or allow writing, then try again"],
        StoreError::Busy(..) => &["try again when it is done"],
        StoreError::UnknownEntry { .. } => &["install a newer goldsmith, or see what `goldsmith audit` says"],
        StoreError::NoLocks(_) | StoreError::NoSharedMemory(_) => &[],
        StoreError::NotFound { .. } | StoreError::Unreadable { .. } | StoreError::Sqlite(..) => &[],
    }
}

fn of_classifier(error: &ClassifierError) -> &'static [&'static str] {
    match error {
        ClassifierError::Unreadable { .. } => &["train it again with `goldsmith train`"],
        ClassifierError::Encoder { .. } => &[
            "it must be a Hugging Face folder of a BERT, DistilBERT or ModernBERT with config.json, tokenizer.json and \
             model.safetensors (or pytorch_model.bin)",
        ],
        #[cfg(not(feature = "encoders"))]
        ClassifierError::LeftOut => &["build it again with `--features encoders`"],
        #[cfg(feature = "encoders")]
        ClassifierError::Tensor(_) => &[],
        ClassifierError::NoNumbers => &["a smaller --learning-rate, or another encoder, may train"],
        ClassifierError::TooLittle(_) | ClassifierError::Unwritable { .. } => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_an_error_and_what_to_try_next_stand_apart() {
        let folder = tempfile::tempdir().unwrap();
        let error = WorkflowError::from(crate::classifier::load(folder.path()).err().unwrap());
        let said = format!("the model in {} cannot be read: model.json: No such file", folder.path().display());
        assert!(error.words().starts_with(&said), "{}", error.words());
        assert_eq!(error.hints(), ["train it again with `goldsmith train`"]);
        assert!(error.line().ends_with("(os error 2); train it again with `goldsmith train`"), "{}", error.line());
        let missing = WorkflowError::from(crate::store::Store::open(&folder.path().join("none")).err().unwrap());
        assert!(!missing.words().contains("goldsmith init"), "{}", missing.words());
        assert_eq!(missing.hints(), ["`goldsmith init` makes one"]);
    }
}
