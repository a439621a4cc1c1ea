//! Every reader of what comes from elsewhere, as a function of bytes: what is tried with bytes that nobody meant
//! (`tests/it/fuzz.rs`, and `fuzz/` with a fuzzer).

use std::path::Path;
use std::sync::LazyLock;

use crate::domain::egress::AllowedHost;
use crate::domain::entry::Entry;
use crate::domain::sight::InSight;
use crate::domain::signature::PublicKey;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::{phi, queue::SentenceFilter, segment};
use crate::formats::bundle::Bundle;
use crate::formats::bundle::seal::Keys;
use crate::formats::notes::{self, Layout, Reading};
use crate::formats::{person_key, project, simulation, taxonomy, theme};
use crate::llm::{AnswerFormat, Field, FieldKind, Reply, Usage, WrittenToken, chat, reply};
use crate::{classifier, tui};

/// Hands bytes to one reader and drops what comes of it. It returns for any bytes.
pub type FuzzTarget = fn(&[u8]);

/// All of them, by the name under which their seeds stand in `fuzz/corpus`. Those of a room that is left out are left out.
pub fn targets() -> &'static [(&'static str, FuzzTarget)] {
    &[
        ("notes-txt", |bytes| read_notes(bytes, "notes.txt", Some(Layout::Text))),
        ("notes-jsonl", |bytes| read_notes(bytes, "notes.jsonl", Some(Layout::JsonLines))),
        ("notes-csv", |bytes| read_notes(bytes, "notes.csv", Some(Layout::Csv))),
        ("notes-tsv", |bytes| read_notes(bytes, "notes.tsv", Some(Layout::Tsv))),
        ("notes-mimic", |bytes| read_notes(bytes, "NOTEEVENTS.csv", None)),
        ("notes-sniffed", read_standard_input),
        ("text", |bytes| with_text(bytes, look_into_text)),
        ("project", |bytes| with_text(bytes, |text| drop(project::parse(Path::new("p/goldsmith.toml"), text)))),
        ("taxonomy", |bytes| with_text(bytes, read_taxonomy)),
        ("theme", |bytes| with_text(bytes, read_theme)),
        ("simulation", |bytes| with_text(bytes, read_simulation)),
        ("keys", |bytes| with_text(bytes, read_keys)),
        ("search", |bytes| with_text(bytes, read_search)),
        ("host", |bytes| with_text(bytes, |text| drop(AllowedHost::parse(text)))),
        ("reply", |bytes| with_text(bytes, read_reply)),
        ("batch-answer", |bytes| with_text(bytes, |text| drop(chat::batch_reply(text)))),
        ("entry", read_entry),
        ("bundle", |bytes| in_a_folder(&[("ward.jsonl", bytes)], |folder| read_bundle(&folder.join("ward.jsonl")))),
        ("person-key", |bytes| {
            in_a_folder(&[("a.key", bytes)], |folder| drop(person_key::read(&folder.join("a.key"), None)))
        }),
        ("tensors", |bytes| drop(classifier::tensors::read(bytes))),
        ("model", read_model),
        #[cfg(feature = "encoders")]
        ("encoder-config", |bytes| {
            with_text(bytes, |text| drop(classifier::encoder::architecture::Architecture::parse(text)));
        }),
        #[cfg(feature = "embedded")]
        ("template", |bytes| with_text(bytes, |text| drop(crate::llm::embedded::template::written(text)))),
        #[cfg(feature = "embedded")]
        ("gguf", |bytes| in_a_folder(&[("tiny.gguf", bytes)], |folder| load_gguf(&folder.join("tiny.gguf")))),
    ]
}

/// Hands bytes to the target of that name; `false` where there is none.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let found = targets().iter().find(|(target, _)| *target == name);
    found.map(|(_, target)| target(bytes)).is_some()
}

/// What is not UTF-8 is refused before it comes to these.
fn with_text(bytes: &[u8], read: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}

/// Files under their names in a folder that is gone afterwards. A disk that takes no file tries nothing.
fn in_a_folder(files: &[(&str, &[u8])], read: impl FnOnce(&Path)) {
    let Ok(folder) = tempfile::tempdir() else { return };
    if files.iter().all(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).is_ok()) {
        read(folder.path());
    }
}

fn read_notes(bytes: &[u8], name: &str, layout: Option<Layout>) {
    in_a_folder(&[(name, bytes)], |folder| {
        if let Ok(notes) = notes::open(&folder.join(name), &Reading { layout, ..Reading::default() }) {
            notes.for_each(drop);
        }
    });
}

fn read_standard_input(bytes: &[u8]) {
    let reading = Reading { kept: Some(bytes.into()), ..Reading::default() };
    if let Ok(notes) = notes::open(Path::new("-"), &reading) {
        notes.for_each(drop);
    }
}

/// What each imported note goes through.
fn look_into_text(text: &str) {
    drop(segment::segment(text));
    drop(phi::screen(text));
    InSight::parse(text);
    PublicKey::parse(text);
}

fn read_taxonomy(text: &str) {
    let path = Path::new("taxonomy.toml");
    drop(taxonomy::parse(path, text));
    drop(taxonomy::parse_own(path, text));
}

fn read_theme(text: &str) {
    if let Ok(file) = theme::parse(Path::new("theme.toml"), text) {
        tui::theme::Theme::of(&file);
    }
}

/// Each line is a key for one of the actions, and may be an action's name.
fn read_keys(text: &str) {
    let keys: Vec<String> = text.lines().map(str::to_owned).collect();
    let named = keys.iter().map(|name| (name.clone(), vec![name.clone()]));
    tui::keymap::Keymap::new(&named.chain([("undo".to_owned(), keys.clone())]).collect());
}

fn read_simulation(text: &str) {
    let outputs = ["memory", "mood", "none"].map(str::to_owned);
    drop(simulation::parse(Path::new("experts.toml"), text, &outputs));
}

/// A taxonomy that comes with the program.
static TAXONOMY: LazyLock<Option<Taxonomy>> = LazyLock::new(|| {
    let (name, text) = taxonomy::SHIPPED.first()?;
    taxonomy::parse(Path::new(name), text).ok()
});

fn read_search(line: &str) {
    if let Some(taxonomy) = TAXONOMY.as_ref() {
        drop(tui::filter::parse(line, SentenceFilter::default(), taxonomy, &[]));
    }
}

/// The sentence that a reply is about.
const SENTENCE: &str = "She forgets  names\u{a0}of relatives \u{2014} since spring.";

fn read_reply(text: &str) {
    let Some(taxonomy) = TAXONOMY.as_ref() else { return };
    let field = |name: &str, kind| Field { name: name.into(), kind };
    let words: Vec<String> = taxonomy.categories().iter().map(|category| category.key.to_string()).collect();
    let fields = vec![
        field("label", FieldKind::Word(words)),
        field("evidence", FieldKind::Texts(3, 300)),
        field("rationale", FieldKind::Text(300)),
        field("confidence", FieldKind::Share),
    ];
    let tokens = text.split_inclusive(' ').map(|word| WrittenToken { text: word.into(), logprob: -0.5 }).collect();
    let reply = Reply { text: text.into(), complete: true, tokens, usage: Usage::default() };
    for shape in [AnswerFormat::Object(fields.clone()), AnswerFormat::Objects(2, fields)] {
        for answer in reply::each(&reply, &shape).into_iter().flatten().flatten() {
            drop(reply::labelled(&answer, taxonomy, SENTENCE));
        }
    }
    if let Ok(serde_json::Value::Object(answer)) = reply::object(text) {
        drop(reply::labelled(&answer, taxonomy, SENTENCE));
    }
    reply::probability(&reply, "label", 0);
    reply::probability(&reply, "confidence", 1);
}

fn read_entry(bytes: &[u8]) {
    if let Ok(mut entry) = serde_json::from_slice::<Entry>(bytes) {
        entry.signature_fits("ward-2");
        drop(serde_json::to_vec(&entry));
        entry.withhold_comment();
        entry.says_the_same(&entry.clone());
    }
}

fn read_bundle(path: &Path) {
    let (Ok(bundle), Ok(keys)) = (Bundle::open(path), Keys::of(&[], None)) else { return };
    if let Ok(mut lines) = bundle.read(&keys) {
        while let Ok(Some(_)) = lines.next() {}
    }
}

/// `model.json` up to the first zero byte, and the weights after it, which are those that it was described with.
fn read_model(bytes: &[u8]) {
    use sha2::Digest;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (described, weights) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let mut described = described.to_vec();
    if let Ok(serde_json::Value::Object(mut manifest)) = serde_json::from_slice(&described) {
        manifest.insert("weights".into(), hex::encode(sha2::Sha256::digest(weights)).into());
        described = serde_json::Value::Object(manifest).to_string().into_bytes();
    }
    in_a_folder(&[("model.json", &described), ("model.safetensors", weights)], |folder| {
        if let Ok((model, _)) = classifier::load(folder) {
            drop(model.predict(&[SENTENCE, ""]));
        }
    });
}

#[cfg(feature = "embedded")]
fn load_gguf(path: &Path) {
    use crate::llm::embedded::{Embedded, Settings};
    drop(Embedded::load(path, Settings { threads: 1, ..Settings::default() }));
}
