//! Bundles: a site's events as a file that another site takes in whole or not at all.
//!
//! A bundle is lines of JSON: a [`BundleHeader`], [`BundleLine`]s of one kind each, and a last line with the number of lines before it and
//! their SHA-256, so that a torn file is known. It may be gzipped, and the whole may be an age file ([`seal`]); a signature
//! stands beside it ([`signature`]). What is read is read as it streams by and is checked line by line; nothing is passed over.
//!
//! Without note text no word of a note is in it: sentences are named by their note's hash and their place in bytes, proposals
//! come without rationale and evidence, and runs without their configuration, whose prompt may show sentences. Comments and
//! reworded sentences may quote a note too. Unless they are asked for, a comment is taken out and its event says that it was
//! (`withheld`), and an event that rewords a sentence stays at its site: without the words it would say something else. The
//! receiver's row then simply has no comment, and keeps having none: an event that is known is passed over, so the same event
//! with its comment, merged later, changes nothing and contradicts nothing.

#[cfg(feature = "sealed-bundles")]
pub(crate) mod seal;
#[cfg(feature = "sealed-bundles")]
pub(crate) mod signature;
#[cfg(not(feature = "sealed-bundles"))]
mod without_seals;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FileFault, FormatError};
use crate::domain::corpus::{Document, NewDocument, Origin, PatientKey, Sentence, SentenceId};
use crate::domain::entry::{Entry, SentenceRef};
use crate::domain::label::{Annotator, Confidence, Label, NewProposal, Run, RunId, RunKind, Source, Timestamp};
use crate::domain::text::Span;
use crate::plain_file;
use seal::{Keys, Seal, Sealed};
#[cfg(not(feature = "sealed-bundles"))]
pub(crate) use without_seals::{seal, signature};

/// The version that this program writes, and the newest that it reads.
const VERSION: u64 = 1;
/// A line may be this long; a longer one is a broken file.
const LONGEST_LINE: usize = 64 << 20;
/// Of as many categories as a taxonomy may have, and of *None*.
const MOST_PROBABILITIES: usize = 64;
/// What gzip begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// What the first line says of the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleHeader {
    /// The store that wrote it.
    pub site: String,
    pub made: Timestamp,
    /// The project's name there.
    pub project: String,
    /// The last link of its chain: kept here, it shows if that log is ever made anew.
    pub head: String,
    /// How many events are in it.
    pub events: u64,
    /// Whether the notes are in it.
    pub with_text: bool,
    /// Whether comments and reworded sentences are.
    pub with_comments: bool,
    /// Whose events alone, where it is one annotator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotator: Option<Annotator>,
    /// The hash of the taxonomy in use there.
    pub taxonomy: String,
    /// Notes in it whose terms forbid passing them on; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub restricted: String,
}

/// A whole note with its sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleNote {
    origin: Origin,
    patient: PatientKey,
    id: String,
    title: String,
    kind: String,
    date: String,
    source: String,
    text: String,
    sentences: Vec<(usize, usize)>,
}

impl BundleNote {
    /// A stored document with its sentences.
    pub(crate) fn new(document: Document, sentences: &[Sentence]) -> Self {
        let Document { patient, external_id, title, kind, date, source, origin, text, .. } = document;
        let sentences = sentences.iter().map(|s| (s.span.start, s.span.end)).collect();
        Self { origin, patient, id: external_id, title, kind, date, source, text, sentences }
    }

    /// The document, and whether a person's note or a language model is behind it.
    pub(crate) fn document(self) -> (NewDocument, Origin) {
        let document = NewDocument {
            patient: self.patient,
            external_id: self.id,
            title: self.title,
            kind: self.kind,
            date: self.date,
            source: self.source.into(),
            text: self.text,
            sentences: self.sentences.into_iter().map(|(start, end)| Span { start, end }).collect(),
        };
        (document, self.origin)
    }
}

/// What a machine proposed, as it was seen; without words of the note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleProposal {
    /// The run that proposed it.
    pub run: RunId,
    pub sentence: SentenceRef,
    source: Source,
    label: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<Confidence>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    probabilities: Vec<f32>,
}

impl BundleProposal {
    /// A stored proposal. A probability that is none (a broken model's) is left out.
    pub(crate) fn new(run: &RunId, sentence: SentenceRef, source: Source, content: NewProposal) -> Self {
        let NewProposal { label, confidence, probabilities, .. } = content;
        let confidence = confidence.filter(|confidence| (0.0..=1.0).contains(&confidence.value));
        let probabilities =
            if probabilities.iter().all(|p| (0.0..=1.0).contains(p)) { probabilities } else { Vec::new() };
        Self { run: run.clone(), sentence, source, label, confidence, probabilities }
    }

    /// As the store takes it; the sentence's number is found there.
    pub(crate) fn content(self) -> (SentenceRef, Source, NewProposal) {
        let bare = NewProposal::bare(SentenceId(0), self.label);
        let content = NewProposal { confidence: self.confidence, probabilities: self.probabilities, ..bare };
        (self.sentence, self.source, content)
    }
}

/// A run without its configuration, by whose hash it can still be told from others.
pub(crate) fn without_words(run: Run) -> Run {
    let config = serde_json::json!({ "kept_at_its_site": hex::encode(Sha256::digest(&run.config)) }).to_string();
    Run { config, scores: String::new(), ..run }
}

/// A line between the first and the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum BundleLine {
    /// A version of the guideline.
    Taxonomy {
        /// By what decisions name it.
        hash: String,
        /// When it was first met.
        at: Timestamp,
        /// The text of its file.
        content: String,
    },
    /// A note; only in a bundle with text.
    Note(BundleNote),
    /// A run whose proposals follow.
    Run(Run),
    /// A proposal that an event names.
    Proposal(BundleProposal),
    /// An event.
    Event {
        /// As every store understands it.
        #[serde(rename = "record")]
        entry: Box<Entry>,
        /// Whether its comment was taken out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    end: Sum,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    lines: u64,
    sha256: String,
}

/// Where the lines go: as they are, or gzipped.
enum Pressed<W: Write> {
    No(BufWriter<Sealed<W>>),
    Gzip(Box<GzEncoder<BufWriter<Sealed<W>>>>),
}

/// Writes a bundle line by line.
pub(crate) struct BundleWriter<W: Write> {
    out: Pressed<W>,
    path: PathBuf,
    line: Vec<u8>,
    hash: Sha256,
    lines: u64,
}

impl<W: Write> BundleWriter<W> {
    /// Begins a bundle; `path` is what it will be called, and where that ends in `.gz` or `.gz.age` it is gzipped.
    pub(crate) fn new(out: W, path: &Path, seal: &Seal, header: &BundleHeader) -> Result<Self, FormatError> {
        #[derive(Serialize)]
        struct First<'a> {
            goldsmith: &'a str,
            version: u64,
            #[serde(flatten)]
            header: &'a BundleHeader,
        }
        let sealed = BufWriter::with_capacity(1 << 16, seal.around(out).map_err(|e| unwritable(path, e))?);
        let name = path.to_string_lossy();
        let out = if name.strip_suffix(".age").unwrap_or(&name).ends_with(".gz") {
            Pressed::Gzip(Box::new(GzEncoder::new(sealed, Compression::default())))
        } else {
            Pressed::No(sealed)
        };
        let mut writer = Self { out, path: path.into(), line: Vec::new(), hash: Sha256::new(), lines: 0 };
        writer.line(&First { goldsmith: "bundle", version: VERSION, header })?;
        Ok(writer)
    }

    /// Writes a line.
    pub(crate) fn put(&mut self, item: &BundleLine) -> Result<(), FormatError> {
        self.line(item)
    }

    /// Writes the last line and everything that is still on its way.
    pub(crate) fn finish(mut self) -> Result<W, FormatError> {
        let end = Sum { lines: self.lines, sha256: hex::encode(self.hash.clone().finalize()) };
        self.line(&Last { end })?;
        let sealed = match self.out {
            Pressed::No(out) => Ok(out),
            Pressed::Gzip(out) => out.finish(),
        };
        sealed
            .and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error))
            .and_then(Sealed::finish)
            .map_err(|e| unwritable(&self.path, e))
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), FormatError> {
        self.line.clear();
        let wrote = serde_json::to_writer(&mut self.line, value).map_err(io::Error::from);
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.lines += 1;
        let out: &mut dyn Write = match &mut self.out {
            Pressed::No(out) => out,
            Pressed::Gzip(out) => out,
        };
        wrote.and_then(|()| out.write_all(&self.line)).map_err(|e| unwritable(&self.path, e))
    }
}

fn unwritable(path: &Path, cause: io::Error) -> FormatError {
    FormatError::Io { doing: "write", path: path.into(), cause }
}

/// Where the signature of a file stands.
pub(crate) fn signature_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".minisig");
    name.into()
}

/// A bundle's file, held open: what is checked is what is then read, whatever comes to stand under its name or in it.
pub(crate) struct Bundle {
    file: Arc<File>,
    path: PathBuf,
    pieces: Arc<[Digest256]>,
    digest: String,
}

impl Bundle {
    /// Opens the file and takes the sums that all that is read later is held to. It is not copied: its notes would then lie in
    /// one more place.
    pub(crate) fn open(path: &Path) -> Result<Self, FormatError> {
        let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
        let mut file = plain_file::open(path).map_err(fail)?;
        let (mut whole, mut pieces, mut piece) = (Sha256::new(), Vec::new(), Vec::new());
        while read_piece(&mut file, &mut piece).map_err(fail)? {
            whole.update(&piece);
            pieces.push(Sha256::digest(&piece).into());
        }
        let digest = hex::encode(whole.finalize());
        Ok(Self { file: Arc::new(file), path: path.into(), pieces: pieces.into(), digest })
    }

    /// Its name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file as it is, in hexadecimal.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Reads it from its beginning.
    pub(crate) fn read(&self, keys: &Keys) -> Result<BundleReader, FormatError> {
        let plain = keys.open(self.start()?, &self.path)?;
        let mut plain = BufReader::with_capacity(1 << 16, plain);
        let start = plain.fill_buf().map_err(|error| broken(&self.path, 1, &error))?;
        let input: Box<dyn BufRead> = if start.starts_with(GZIP) {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        BundleReader::begin(input, &self.path)
    }

    /// The file again, from its first byte on.
    fn start(&self) -> Result<HeldFile, FormatError> {
        let mut held =
            HeldFile { file: self.file.clone(), pieces: self.pieces.clone(), next: 0, piece: Cursor::default() };
        held.rewind().map_err(|cause| FormatError::Io { doing: "read", path: self.path.clone(), cause })?;
        Ok(held)
    }
}

/// SHA-256 of a piece of a file.
type Digest256 = [u8; 32];

/// A file is held to its sums in pieces of so many bytes: each is in memory while it is checked and read.
const PIECE: u64 = 1 << 20;

/// Reads the next piece; `false` at the end.
fn read_piece(mut file: impl Read, piece: &mut Vec<u8>) -> io::Result<bool> {
    piece.clear();
    Ok(file.by_ref().take(PIECE).read_to_end(piece)? > 0)
}

/// The bytes that a bundle's file had when it was opened; an error where it has others by now.
struct HeldFile {
    file: Arc<File>,
    pieces: Arc<[Digest256]>,
    next: usize,
    piece: Cursor<Vec<u8>>,
}

impl Read for HeldFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.piece.read(buffer)?;
        let Some(sum) = self.pieces.get(self.next).filter(|_| got == 0 && !buffer.is_empty()) else {
            return Ok(got);
        };
        let mut piece = std::mem::take(self.piece.get_mut());
        read_piece(&*self.file, &mut piece)?;
        if Digest256::from(Sha256::digest(&piece)) != *sum {
            return Err(io::Error::other("somebody has written to this file since it was opened"));
        }
        self.next += 1;
        self.piece = Cursor::new(piece);
        self.piece.read(buffer)
    }
}

/// Back to the beginning alone; the check of a signature asks for a file that could do that.
impl Seek for HeldFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to != SeekFrom::Start(0) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        (self.next, self.piece) = (0, Cursor::default());
        (&*self.file).rewind().map(|()| 0)
    }
}

fn fault(path: &Path, line: usize, column: usize, message: impl Into<String>) -> FormatError {
    let faults = vec![FileFault { line, column, message: message.into() }];
    FormatError::Faulty { path: path.into(), faults }
}

fn broken(path: &Path, line: usize, error: &io::Error) -> FormatError {
    fault(path, line, 1, format!("reading stops here ({error}): the file is torn or was changed; fetch it again"))
}

/// Reads a bundle line by line. Only when it has come to its end is all of it known to be there.
pub(crate) struct BundleReader {
    input: Box<dyn BufRead>,
    path: PathBuf,
    header: BundleHeader,
    line: Vec<u8>,
    hash: Sha256,
    lines: usize,
    events: u64,
    runs: FxHashSet<RunId>,
}

impl BundleReader {
    fn begin(input: Box<dyn BufRead>, path: &Path) -> Result<Self, FormatError> {
        let header = BundleHeader {
            site: String::new(),
            made: Timestamp(0),
            project: String::new(),
            head: String::new(),
            events: 0,
            with_text: false,
            with_comments: false,
            annotator: None,
            taxonomy: String::new(),
            restricted: String::new(),
        };
        let (line, hash, runs) = (Vec::new(), Sha256::new(), FxHashSet::default());
        let mut reader = Self { input, path: path.into(), header, line, hash, lines: 0, events: 0, runs };
        let no_bundle = || FormatError::NoBundle(path.into());
        if !reader.fill()? {
            return Err(no_bundle());
        }
        let mut first: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&reader.line).map_err(|_| no_bundle())?;
        if first.remove("goldsmith").as_ref().and_then(serde_json::Value::as_str) != Some("bundle") {
            return Err(no_bundle());
        }
        match first.remove("version").and_then(|version| version.as_u64()) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                return Err(FormatError::NewerBundle { path: path.into(), found: newer, known: VERSION });
            }
            _ => return Err(reader.fault("the bundle does not say its `version`")),
        }
        reader.header =
            serde_json::from_value(first.into()).map_err(|e| reader.fault(format!("the first line: {e}")))?;
        if reader.header.site.trim().is_empty() {
            return Err(reader.fault("the bundle does not say its `site`"));
        }
        reader.hash.update(&reader.line);
        Ok(reader)
    }

    /// What the first line says.
    pub(crate) fn header(&self) -> &BundleHeader {
        &self.header
    }

    /// The next line, checked; nothing when the end has come and the sum is right.
    pub(crate) fn next(&mut self) -> Result<Option<BundleLine>, FormatError> {
        if !self.fill()? {
            self.lines += 1;
            return Err(self.fault("the file ends without its last line: it is torn; fetch it again"));
        }
        if self.line.starts_with(b"{\"end\":") {
            return self.end().map(|()| None);
        }
        self.hash.update(&self.line);
        let item: BundleLine = serde_json::from_slice(&self.line).map_err(|e| self.unfit(&e))?;
        self.check(&item).map_err(|message| self.fault(message))?;
        Ok(Some(item))
    }

    /// A fault of the line read last.
    pub(crate) fn fault(&self, message: impl Into<String>) -> FormatError {
        fault(&self.path, self.lines, 1, message)
    }

    fn unfit(&self, error: &serde_json::Error) -> FormatError {
        // The place that serde names is within the line.
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        fault(&self.path, self.lines, error.column().max(1), format!("this is no line of a bundle: {said}"))
    }

    fn check(&mut self, item: &BundleLine) -> Result<(), String> {
        match item {
            BundleLine::Taxonomy { .. } => Ok(()),
            BundleLine::Note(_) if !self.header.with_text => Err("a note in a bundle that says it has no text".into()),
            BundleLine::Note(note) => {
                if !note.clone().document().0.covers_losslessly() {
                    return Err("the note's sentences do not cover its text".into());
                }
                Ok(())
            }
            BundleLine::Run(run) => {
                let proposes = [RunKind::Label, RunKind::Screen, RunKind::Generate, RunKind::Train].contains(&run.kind);
                if !proposes {
                    return Err(format!("a run of the kind `{}` proposes nothing", run.kind));
                }
                self.runs.insert(run.id.clone());
                Ok(())
            }
            BundleLine::Proposal(proposed) => {
                if proposed.source == Source::Human {
                    return Err("a proposal is a machine's".into());
                }
                let stated = proposed.confidence.map(|confidence| confidence.value);
                let mut shares = stated.into_iter().chain(proposed.probabilities.iter().map(|p| f64::from(*p)));
                if proposed.probabilities.len() > MOST_PROBABILITIES || !shares.all(|p| (0.0..=1.0).contains(&p)) {
                    return Err("the proposal's probabilities are none".into());
                }
                if !self.runs.contains(&proposed.run) {
                    return Err(format!("the run {} of this proposal does not stand before it", proposed.run));
                }
                Ok(())
            }
            BundleLine::Event { entry, .. } => {
                self.events += 1;
                if entry.site.is_none() { Err("the event does not say its site".into()) } else { Ok(()) }
            }
        }
    }

    fn end(&mut self) -> Result<(), FormatError> {
        let Last { end } = serde_json::from_slice(&self.line).map_err(|e| self.unfit(&e))?;
        let sum = hex::encode(self.hash.clone().finalize());
        if end.lines + 1 != self.lines as u64 || end.sha256 != sum || self.events != self.header.events {
            return Err(self.fault(
                "the lines before this one are not those that were written: the file was changed; fetch it again",
            ));
        }
        if self.fill()? {
            return Err(self.fault("something stands behind the last line; fetch the file again"));
        }
        Ok(())
    }

    /// Reads the next line with its end; `false` where there is none.
    fn fill(&mut self) -> Result<bool, FormatError> {
        self.line.clear();
        let read = (&mut self.input).take(LONGEST_LINE as u64).read_until(b'\n', &mut self.line);
        let number = self.lines + 1;
        let read = read.map_err(|error| broken(&self.path, number, &error))?;
        if read == 0 {
            return Ok(false);
        }
        self.lines = number;
        if self.line.last() != Some(&b'\n') {
            return Err(self.fault(if read == LONGEST_LINE {
                "this line is too long for a bundle"
            } else {
                "the file ends within this line: it is torn; fetch it again"
            }));
        }
        Ok(true)
    }
}

#[cfg(test)]
#[cfg(feature = "sealed-bundles")]
mod tests;
