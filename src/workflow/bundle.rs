//! Sites that cannot share a database: a bundle of one store's events out, and another store's in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;

use super::access;
use super::project::Project;
use super::{Cancel, Progress, Watch, WorkflowError, identity, import, new_run_id, now};
use crate::domain::corpus::{NewDocument, Origin};
use crate::domain::egress::{EgressPolicy, Payload};
use crate::domain::entry::{Body, Entry, SentenceRef};
use crate::domain::key_map::KeyMap;
use crate::domain::label::{Annotator, EntryId, Label, Outcome, Run, RunId, RunKind, Timestamp};
use crate::domain::people::{Forgery, Known, People};
use crate::domain::person::Role;
use crate::domain::protocol::Protocol;
use crate::domain::queue::SentenceFilter;
use crate::domain::secret::Secret;
use crate::domain::signature::PublicKey;
use crate::domain::visibility::{Face, OthersLabel, VisibleSentences};
use crate::formats::bundle::seal::{Keys, Seal};
use crate::formats::bundle::signature::{self, Signer};
use crate::formats::bundle::{
    Bundle, BundleHeader, BundleLine, BundleNote, BundleProposal, BundleReader, BundleWriter, signature_of,
    without_words,
};
use crate::formats::tables::counted;
use crate::formats::{FormatError, taxonomy};
use crate::store::{EntrySelection, Insert, Merged, SeekDirection, Seen, Store};
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::session::Session;

/// So many events are read or taken in at once, and so many bytes of notes: what waits in memory, and how long others wait for
/// the write lock.
const EVENTS_AT_ONCE: usize = 5_000;
const BYTES_AT_ONCE: usize = 2 << 20;
/// A guideline's words are looked for in so many sentences that share them.
const LOOKED_AT: usize = 200;

/// What to write, for whom.
#[derive(Clone, Debug, Default)]
pub struct BundleOptions {
    /// The file; it must not be there yet.
    pub out: PathBuf,
    /// One annotator's events alone.
    pub annotator: Option<Annotator>,
    /// One site's events alone; `here` is this store.
    pub site: Option<String>,
    /// Only what came after the last bundle that was written so.
    pub new: bool,
    /// With the notes that the events are on.
    pub with_text: bool,
    /// With comments and reworded sentences.
    pub comments: bool,
    /// With the notes although anyone can open the file.
    pub plain: bool,
    /// Public keys of age, or files with them; without any, those of the project file.
    pub to: Vec<String>,
    /// The environment variable with a passphrase.
    pub passphrase_env: Option<String>,
    /// A minisign secret key.
    pub sign: Option<PathBuf>,
    /// The environment variable with its password.
    pub sign_password_env: Option<String>,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleSummary {
    /// Events; with none there is no file.
    pub events: u64,
    /// Events that stayed because they reword a sentence.
    pub reworded: u64,
    /// Comments that stayed.
    pub withheld: u64,
    /// Versions of the guideline that stayed because they quote notes.
    pub quoting: u64,
    /// Notes with their text, and sentences in them.
    pub notes: u64,
    pub sentences: u64,
    /// This store's name elsewhere.
    pub site: String,
    /// Notes in it whose terms forbid passing them on; empty for none.
    pub restricted: String,
    /// The last link of the chain.
    pub head: String,
    /// Whether only those it is for can open it.
    pub sealed: bool,
    /// The key that signed it.
    pub signer: Option<String>,
}

fn secret(variable: &Option<String>) -> Result<Option<Secret>, FormatError> {
    variable.as_deref().map(crate::formats::secret::from_variable).transpose()
}

/// On how many sentences a bundle would tell whoever writes it what others say, or ever said, before they may see it.
fn withheld(project: &Project, store: &Store, selection: &EntrySelection) -> Result<usize, WorkflowError> {
    let viewer = project.viewer(Face::Report);
    if viewer.reach(Origin::Real, OthersLabel::Colleague) == VisibleSentences::All {
        return Ok(0);
    }
    let mut withheld = 0;
    for sentence in store.said_by_others(selection, &project.annotator)? {
        let facts = store.facts(sentence, &project.annotator)?;
        withheld += usize::from(!viewer.sees(facts, OthersLabel::Colleague));
    }
    Ok(withheld)
}

/// Writes a bundle.
pub fn write(session: Session<'_>, options: &BundleOptions) -> Result<BundleSummary, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("bundle").entered();
    let out = options.out.as_path();
    let settings = &project.file.bundles;
    // Whoever names a passphrase does not mean the recipients of the project file.
    let by_default = options.to.is_empty() && options.passphrase_env.is_none() && !options.plain;
    let to = if by_default { &settings.recipients } else { &options.to };
    let seal = Seal::of(to, secret(&options.passphrase_env)?)?;
    if options.with_text && seal.is_open() && !options.plain {
        return Err(Refusal::new(
            RefusalKind::Protected,
            "a bundle with text holds whole notes, and this one is not encrypted",
        )
        .hint("encrypt it with --to RECIPIENT or --passphrase-env VARIABLE")
        .hint("pass --plain if whoever gets the file may read them")
        .into());
    }
    if options.with_text {
        identity::require(project, store, &[Role::Steward, Role::Lead], "take notes out")?;
    } else if options.annotator.as_ref() != Some(&project.annotator) {
        identity::require(project, store, &[Role::Steward, Role::Lead], "take others' work out")?;
    }
    let password = secret(&options.sign_password_env)?;
    let signer = options.sign.as_deref().map(|path| Signer::read(path, password.as_ref())).transpose()?;
    for path in [out.to_path_buf(), signature_of(out)] {
        if path.exists() {
            let said = format!("{} already exists; nothing was written", path.display());
            return Err(Refusal::exists(path.display().to_string(), said).into());
        }
    }
    let own = identity::site(project, store)?;
    let words = options.with_text || options.comments;
    let (upto, head) = store.log_end()?;
    // What stayed for its words is still new to a bundle with words.
    let kind = format!(
        "{} {} {}",
        options.annotator.as_ref().map_or("", |annotator| &annotator.0),
        options.site.as_deref().unwrap_or_default(),
        if options.with_text { "text" } else { ["bare", "comments"][usize::from(options.comments)] }
    );
    let all = EntrySelection {
        after: if options.new { store.bundled(&kind)? } else { 0 },
        upto,
        annotator: options.annotator.clone(),
        site: options.site.clone().map(|site| (site != "here" && site != own).then_some(site)),
        without_rewording: false,
    };
    let selection = EntrySelection { without_rewording: !words, ..all.clone() };
    let withheld = withheld(project, store, &selection)?;
    if withheld > 0 {
        let labels = counted(withheld, "sentence");
        let said = format!("the bundle would hold labels of {labels} that {} may not see yet", project.annotator);
        return Err(Refusal::not_allowed(&project.annotator, format!("{said}; nothing was written"))
            .hint(format!("--annotator {} writes your own labels", project.annotator))
            .hint("whoever decides on no sentence may write all: --as NAME")
            .into());
    }
    let events = store.count_selected(&selection)?;
    let mut written = BundleSummary {
        events,
        site: own.clone(),
        head: head.clone(),
        sealed: !seal.is_open(),
        ..BundleSummary::default()
    };
    written.reworded = store.count_selected(&all)? - events;
    if events == 0 {
        return Ok(written);
    }
    written.restricted = if options.with_text { store.restricted()? } else { String::new() };
    let header = BundleHeader {
        site: own.clone(),
        made: now(),
        project: project.file.name.clone(),
        head,
        events,
        with_text: options.with_text,
        with_comments: words,
        annotator: options.annotator.clone(),
        taxonomy: project.taxonomy.hash(),
        restricted: written.restricted.clone(),
    };
    let io = |cause| FormatError::Io { doing: "write", path: out.into(), cause };
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A file for its owner alone, which takes its name when it is whole.
    let staged = tempfile::Builder::new().prefix(".bundle-").tempfile_in(folder).map_err(io)?;
    let writer = BundleWriter::new(staged.as_file().try_clone().map_err(io)?, out, &seal, &header)?;
    let mut outgoing = Outgoing { project, options, selection, writer, written, cancel };
    outgoing.taxonomies(store)?;
    if options.with_text {
        outgoing.notes(store, watch)?;
    }
    outgoing.events(store, watch)?;
    let Outgoing { writer, mut written, .. } = outgoing;
    writer.finish()?.sync_all().map_err(io)?;
    // Where the bundle is, its signature is, and the store knows of it: half of this must not be taken for the whole.
    if let Some(signer) = signer {
        written.signer = Some(signer.sign(File::open(staged.path()).map_err(io)?, out, now())?);
    }
    let signature = || written.signer.as_ref().map(|_| std::fs::remove_file(signature_of(out)));
    staged.persist_noclobber(out).map_err(|error| io(error.error)).inspect_err(|_| drop(signature()))?;
    if options.new {
        store.mark_bundled(&kind, upto).inspect_err(|_| drop((std::fs::remove_file(out), signature())))?;
    }
    Ok(written)
}

/// Lines on their way into a file.
struct Outgoing<'a> {
    project: &'a Project,
    options: &'a BundleOptions,
    selection: EntrySelection,
    writer: BundleWriter<File>,
    written: BundleSummary,
    cancel: &'a Cancel,
}

impl Outgoing<'_> {
    /// Every version of the guideline that is known here. Its examples may be sentences of notes: without text, a version that
    /// quotes one stays.
    fn taxonomies(&mut self, store: &Store) -> Result<(), WorkflowError> {
        for (hash, at) in store.taxonomy_hashes()? {
            let Some((hash, content)) = store.taxonomy(&hash)? else { continue };
            if self.options.with_text || !quotes(store, &content)? {
                self.writer.put(&BundleLine::Taxonomy { hash, at, content })?;
            } else {
                self.written.quoting += 1;
            }
        }
        Ok(())
    }

    /// The notes that the events are on. That they were written to a file is on record before they are.
    fn notes(&mut self, store: &mut Store, watch: &mut Watch<'_>) -> Result<(), WorkflowError> {
        let ids = store.notes_of(&self.selection)?;
        watch(Progress::Started { what: "writing notes".into(), total: Some(ids.len() as u64), unit: "notes" });
        for chunk in ids.chunks(200) {
            let mut payload = Payload { purpose: "bundle", sentences: Vec::new(), bytes: 0 };
            let (mut notes, mut read) = (Vec::new(), BTreeSet::new());
            for id in chunk {
                let (document, sentences) = (store.document(*id)?, store.sentences(*id)?);
                if document.origin == Origin::Real {
                    payload.sentences.extend(sentences.iter().map(|sentence| sentence.id));
                    payload.bytes += document.text.len();
                }
                self.written.notes += 1;
                read.extend((document.origin == Origin::Real).then_some(*id));
                self.written.sentences += sentences.len() as u64;
                notes.push(BundleNote::new(document, &sentences));
            }
            if !payload.sentences.is_empty() {
                store.record_egress(
                    None,
                    now(),
                    vec![EgressPolicy::default().permit_file(&self.options.out, payload)],
                )?;
            }
            access::exported(self.project, store, &read)?;
            notes.into_iter().try_for_each(|note| self.writer.put(&BundleLine::Note(note)))?;
            watch(Progress::Advanced(self.written.notes));
            stop_if(self.cancel)?;
        }
        watch(Progress::Finished);
        Ok(())
    }

    fn events(&mut self, store: &Store, watch: &mut Watch<'_>) -> Result<(), WorkflowError> {
        let (with_text, with_comments) = (self.options.with_text, self.options.with_text || self.options.comments);
        let total = Some(self.written.events);
        watch(Progress::Started { what: "writing events".into(), total, unit: "events" });
        let (mut rest, mut done) = (self.selection.clone(), 0);
        let mut runs: FxHashSet<RunId> = FxHashSet::default();
        loop {
            let (entries, last) = store.selected(&rest, EVENTS_AT_ONCE)?;
            if entries.is_empty() {
                break;
            }
            rest.after = last;
            done += entries.len() as u64;
            for (run, proposals) in store.seen(&entries)? {
                let id = run.id.clone();
                if runs.insert(id.clone()) {
                    self.writer.put(&BundleLine::Run(if with_text { run } else { without_words(run) }))?;
                }
                for (at, source, content) in proposals {
                    self.writer.put(&BundleLine::Proposal(BundleProposal::new(&id, at, source, content)))?;
                }
            }
            for mut entry in entries {
                entry.site.get_or_insert_with(|| self.written.site.clone());
                let withheld = !with_comments && entry.withhold_comment();
                self.written.withheld += u64::from(withheld);
                self.writer.put(&BundleLine::Event { entry: Box::new(entry), withheld })?;
            }
            watch(Progress::Advanced(done));
            stop_if(self.cancel)?;
        }
        watch(Progress::Finished);
        Ok(())
    }
}

/// Whether a guideline's words are those of a note. One that cannot be read may be.
fn quotes(store: &Store, content: &str) -> Result<bool, WorkflowError> {
    let Ok(read) = taxonomy::parse(Path::new("taxonomy.toml"), content) else {
        return Ok(true);
    };
    let lists = read.categories().iter().flat_map(|c| [&c.includes, &c.excludes, &c.examples]);
    let said = lists.flatten().chain(&read.none().examples).chain(read.rules());
    // A phrase of a few words is everyone's, a whole sentence is not.
    for said in said.map(|said| said.trim()).filter(|said| said.split_whitespace().count() > 2) {
        let long = said.split_whitespace().count() > 5;
        let filter = SentenceFilter { text: format!("{said} "), ..SentenceFilter::default() };
        let ids = store.page(&filter, &Annotator(String::new()), None, SeekDirection::Forward, LOOKED_AT)?;
        if store.texts(&ids)?.iter().any(|row| row.text.trim() == said || long && row.text.contains(said)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stop_if(cancel: &Cancel) -> Result<(), WorkflowError> {
    if cancel.is_cancelled() { Err(WorkflowError::Stopped) } else { Ok(()) }
}

/// What to take in, and how it can be opened and trusted.
#[derive(Clone, Debug, Default)]
pub struct MergeOptions {
    /// The bundle.
    pub file: PathBuf,
    /// Identity files of age.
    pub identities: Vec<PathBuf>,
    /// The environment variable with a passphrase.
    pub passphrase_env: Option<String>,
    /// Public keys of minisign, or files with them, of which one must have signed it; without any, those of the project file.
    pub signed_by: Vec<String>,
    /// Also what nobody signed whose key is known here.
    pub trust: bool,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeSummary {
    /// What the bundle says of itself.
    pub header: BundleHeader,
    /// What became of its events.
    pub merged: Merged,
    /// Whose events are in it.
    pub people: BTreeMap<Annotator, u64>,
    /// Notes that were new here, and their sentences.
    pub notes: u64,
    pub sentences: u64,
    /// Events whose comment stayed at their site.
    pub withheld: u64,
    /// Labels that this project's taxonomy does not have, with how often.
    pub unknown_labels: BTreeMap<String, u64>,
    /// Versions of the guideline that are not what they are called; they were left out.
    pub misnamed: u64,
    /// Sentences that are disputed here now.
    pub disputed: u64,
    /// The key that signed it.
    pub signer: Option<String>,
    /// Events that nobody signed whose key is known here.
    pub on_trust: u64,
    /// Settlements that were left out because their authors are no adjudicators here.
    pub not_adjudicators: u64,
    /// Whether it was stopped before its end; the same command goes on.
    pub cancelled: bool,
}

/// Takes a bundle in. It is read twice: once to know that all of it is there and as it was written, and then to take it in.
pub fn take_in(session: Session<'_>, options: &MergeOptions) -> Result<MergeSummary, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("merge").entered();
    identity::require(project, store, &[Role::Steward, Role::Lead], "take others' work in")?;
    let by_default = options.signed_by.is_empty();
    let named = if by_default { &project.file.bundles.require_signature } else { &options.signed_by };
    let trusted = named.iter().map(|word| signature::public_key(word)).collect::<Result<Vec<_>, _>>()?;
    let keys = Keys::of(&options.identities, secret(&options.passphrase_env)?)?;
    let bundle = Bundle::open(&options.file)?;
    let signer = if trusted.is_empty() { None } else { Some(signature::verify(&bundle, &trusted)?) };
    let mut reader = bundle.read(&keys)?;
    let mut taken = MergeSummary {
        header: reader.header().clone(),
        merged: Merged::default(),
        people: BTreeMap::new(),
        notes: 0,
        sentences: 0,
        withheld: 0,
        unknown_labels: BTreeMap::new(),
        misnamed: 0,
        disputed: 0,
        signer,
        on_trust: 0,
        not_adjudicators: 0,
        cancelled: false,
    };
    let (strangers, named, left_out) = survey(&mut reader, project, store, &mut taken, cancel, watch)?;
    taken.on_trust = strangers.events.values().sum();
    if taken.on_trust + strangers.notes > 0 && taken.signer.is_none() && !options.trust {
        return Err(strangers.refusal(&options.file, &*store.registry()?).into());
    }
    let started = now();
    let restricted = &taken.header.restricted;
    if !restricted.is_empty() && strangers.notes > 0 {
        // The terms of the notes come with them.
        let known = store.restricted()?;
        if !known.contains(restricted.as_str()) {
            store.restrict(
                &[known.as_str(), restricted].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", "),
            )?;
        }
    }
    let total = taken.header.events;
    watch(Progress::Started {
        what: format!("merging {}", options.file.display()),
        total: Some(total),
        unit: "events",
    });
    let mut reader = bundle.read(&keys)?;
    store.in_bulk(|store| {
        let mut intake = Intake::new(project, store, &mut taken, (&named, &left_out));
        while let Some(item) = reader.next()? {
            if intake.take(item)? {
                watch(Progress::Advanced(intake.done));
                if cancel.is_cancelled() {
                    intake.taken.cancelled = true;
                    return Ok::<(), WorkflowError>(());
                }
            }
        }
        intake.flush()
    })??;
    watch(Progress::Finished);
    import::index(store, cancel, watch)?;
    let disputed = SentenceFilter { disputed: Some(project.file.gold_rule()), ..SentenceFilter::default() };
    taken.disputed = store.count(&disputed, &project.annotator, i64::MAX as u64)?;
    record_run(project, store, &taken, bundle.digest(), started)?;
    Ok(taken)
}

/// Reads all of it for the first time: faults are found before anything is taken in, and what needs a word is counted.
fn survey(
    reader: &mut BundleReader,
    project: &Project,
    store: &Store,
    taken: &mut MergeSummary,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<(Strangers, NamedProposals, FxHashSet<EntryId>), WorkflowError> {
    let mut named = NamedProposals::default();
    let taxonomy = &project.taxonomy;
    let known = store.registry()?;
    let mut admission = Admission {
        store,
        protocol: &project.file.protocol,
        people: People::clone(&known),
        known: &known,
        own: store.site()?.unwrap_or_default(),
        ids: FxHashSet::default(),
        left_out: FxHashSet::default(),
        strangers: Strangers::default(),
    };
    let mut forged = Vec::new();
    let total = Some(taken.header.events);
    watch(Progress::Started { what: "checking the bundle".into(), total, unit: "events" });
    let key_map = KeyMap::of(taxonomy);
    let mut done = 0_u64;
    while let Some(item) = reader.next()? {
        let BundleLine::Event { entry, withheld } = item else {
            admission.strangers.notes += u64::from(matches!(item, BundleLine::Note(_)));
            continue;
        };
        done += 1;
        if done.is_multiple_of(1 << 12) {
            watch(Progress::Advanced(done));
            stop_if(cancel)?;
        }
        match admission.admit(&entry)? {
            Ok(()) => named.extend(entry.body.judged().and_then(|judged| {
                let proposal = judged.proposal.clone()?;
                Some((proposal.run, judged.sentence, proposal.label))
            })),
            Err(why) => forged.push(why),
        }
        taken.withheld += u64::from(withheld);
        match taken.people.get_mut(&entry.author) {
            _ if matches!(entry.body, Body::Person(_)) => {}
            Some(events) => *events += 1,
            None => drop(taken.people.insert(entry.author.clone(), 1)),
        }
        if let Some(label) = entry.body.judged().and_then(|judged| judged.judgement.label.as_ref())
            && key_map.map_label(label).is_some_and(|label| taxonomy.check(&label).is_err())
        {
            *taken.unknown_labels.entry(label.join()).or_default() += 1;
        }
    }
    watch(Progress::Finished);
    match forged.is_empty() {
        true => {
            taken.not_adjudicators = admission.left_out.len() as u64;
            Ok((admission.strangers, named, admission.left_out))
        }
        false => Err(refused_as_forged(&reader.header().site, &forged).into()),
    }
}

/// So many faults of a bundle are written out.
const FORGERIES_SHOWN: usize = 5;

fn refused_as_forged(site: &str, forged: &[String]) -> Refusal {
    let mut said = format!(
        "{} of this bundle cannot be what {} to be; nothing was taken in",
        counted(forged.len(), "event"),
        if forged.len() == 1 { "it claims" } else { "they claim" }
    );
    for why in forged.iter().take(FORGERIES_SHOWN) {
        said += &format!("\n  {why}");
    }
    if forged.len() > FORGERIES_SHOWN {
        said += &format!("\n  and {} more", forged.len() - FORGERIES_SHOWN);
    }
    Refusal::new(RefusalKind::Damaged { what: "bundle".into() }, said)
        .hint(format!("ask whoever leads {site} for a bundle that their own goldsmith wrote"))
}

/// The machines' labels that events of a bundle name: no other comes in with it.
type NamedProposals = FxHashSet<(RunId, SentenceRef, Label)>;

/// What nobody vouches for whom this project knows.
#[derive(Default)]
struct Strangers {
    /// Whose events, and by which key they are signed.
    events: BTreeMap<(Annotator, Option<PublicKey>), u64>,
    /// Notes with their text; nobody signs these.
    notes: u64,
}

impl Strangers {
    fn refusal(&self, file: &Path, people: &People) -> Refusal {
        let mut said =
            format!("{}: nobody whom this project knows has signed part of it; nothing was taken in", file.display());
        for ((name, key), events) in self.events.iter().take(20) {
            said += &match key {
                Some(key) if people.get(name).is_some_and(|person| person.key.is_some() && person.speaks(key)) => {
                    format!("\n  {events} of {name}, who is no annotator of this project")
                }
                Some(key) => format!("\n  {events} of {name}, signed by the key {key}"),
                None => format!("\n  {events} of {name}, not signed: anyone can have written them"),
            };
            if let Some(other) = people.double(name) {
                said += &format!("\n    BEWARE: that name reads like {other}'s, who is known here");
            }
        }
        if self.notes > 0 {
            said += &format!("\n  {} with their text, which nobody signs", counted(self.notes as usize, "note"));
        }
        Refusal::new(RefusalKind::Protected, said)
            .hint("ask these people whether the keys are theirs (`goldsmith key` tells them); then take it in with --trust")
            .hint("a lead can name them beforehand: goldsmith people set NAME --key KEY --role annotator")
            .hint("or take it in by the signature of the whole file: --signed-by KEY")
    }
}

/// What decides whether the entries of a bundle may be taken in.
struct Admission<'a> {
    store: &'a Store,
    protocol: &'a Protocol,
    /// Who is who with what the bundle said of it so far.
    people: People,
    /// Who is who without it: nobody vouches for themselves.
    known: &'a People,
    /// What this store is called elsewhere.
    own: String,
    ids: FxHashSet<EntryId>,
    /// Settlements of those who are no adjudicators here: they stay out.
    left_out: FxHashSet<EntryId>,
    strangers: Strangers,
}

impl Admission<'_> {
    /// Whether an entry may be taken in, or why it cannot be what it says. What it says of people holds for those behind it.
    fn admit(&mut self, entry: &Entry) -> Result<Result<(), String>, WorkflowError> {
        let EntryId(id) = &entry.id;
        if !self.ids.insert(entry.id.clone()) {
            return Ok(Err(format!("event {id} is in it twice")));
        }
        if let Some(known) = self.store.entry(&entry.id)? {
            let from = known.site.as_deref().unwrap_or(&self.own);
            return Ok(
                if known.says_the_same(entry) && (entry.signature.is_none() || entry.site.as_deref() == Some(from)) {
                    Ok(())
                } else {
                    Err(format!(
                        "event {id} is here already and says something else: here it is {}'s, from {from}",
                        known.author
                    ))
                },
            );
        }
        let site = entry.site.as_deref().unwrap_or_default();
        let settles = matches!(entry.body, Body::Settle(_));
        let checked = self.people.check(entry, site).and_then(|_| {
            if settles && !self.protocol.adjudicates(&entry.author) { Err(Forgery::NoAdjudicator) } else { Ok(()) }
        });
        Ok(match checked {
            Ok(()) => {
                self.people.take(entry);
                // Roles are given here, whoever signed it.
                let may = |role| self.known.may(&entry.author, role);
                let decides = entry.body.judged().is_some();
                let has_role = !decides || may(Role::Annotator) || may(Role::Adjudicator);
                if self.known.known(entry) != Ok(Known::Signed) || !has_role {
                    let key = entry.signature.map(|signature| signature.key);
                    *self.strangers.events.entry((entry.author.clone(), key)).or_default() += 1;
                }
                Ok(())
            }
            Err(Forgery::NoAdjudicator) => {
                self.left_out.insert(entry.id.clone());
                Ok(())
            }
            Err(why) => Err(format!("event {id} by {}: {why}", entry.author)),
        })
    }
}

/// Lines on their way into the store.
struct Intake<'a> {
    project: &'a Project,
    store: &'a mut Store,
    taken: &'a mut MergeSummary,
    named: &'a NamedProposals,
    left_out: &'a FxHashSet<EntryId>,
    notes: Vec<(NewDocument, Origin)>,
    bytes: usize,
    runs: FxHashMap<RunId, Run>,
    seen: FxHashMap<RunId, Seen>,
    proposals: usize,
    entries: Vec<Entry>,
    done: u64,
}

impl<'a> Intake<'a> {
    fn new(
        project: &'a Project,
        store: &'a mut Store,
        taken: &'a mut MergeSummary,
        (named, left_out): (&'a NamedProposals, &'a FxHashSet<EntryId>),
    ) -> Self {
        let (runs, seen) = (FxHashMap::default(), FxHashMap::default());
        Self {
            project,
            store,
            taken,
            named,
            left_out,
            notes: Vec::new(),
            bytes: 0,
            runs,
            seen,
            proposals: 0,
            entries: Vec::new(),
            done: 0,
        }
    }

    /// Takes a line; tells whether something went into the store.
    fn take(&mut self, item: BundleLine) -> Result<bool, WorkflowError> {
        match item {
            BundleLine::Taxonomy { hash, at, content } => {
                // Whoever asks for a version by its hash must get that version.
                let read = taxonomy::parse(Path::new("taxonomy.toml"), &content);
                if read.is_ok_and(|read| read.hash() == hash) {
                    self.store.put_taxonomy(&hash, at, &content)?;
                } else {
                    self.taken.misnamed += 1;
                }
            }
            BundleLine::Note(note) => {
                let (document, origin) = note.document();
                self.bytes += document.text.len();
                self.notes.push((document, origin));
            }
            BundleLine::Run(run) => drop(self.runs.insert(run.id.clone(), run)),
            BundleLine::Proposal(proposed) => {
                if let Some(run) = self.runs.get(&proposed.run) {
                    let content = proposed.content();
                    if self.named.contains(&(run.id.clone(), content.0, content.2.label.clone())) {
                        let of_run = self.seen.entry(run.id.clone()).or_insert_with(|| (run.clone(), Vec::new()));
                        of_run.1.push(content);
                        self.proposals += 1;
                    }
                }
            }
            BundleLine::Event { entry, .. } if self.left_out.contains(&entry.id) => {}
            BundleLine::Event { entry, .. } => self.entries.push(*entry),
        }
        let full =
            self.entries.len() >= EVENTS_AT_ONCE || self.proposals >= 4 * EVENTS_AT_ONCE || self.bytes >= BYTES_AT_ONCE;
        if full {
            self.flush()?;
        }
        Ok(full)
    }

    /// Notes first, then what machines said of them, then what people did.
    fn flush(&mut self) -> Result<(), WorkflowError> {
        self.bytes = 0;
        for origin in [Origin::Real, Origin::Synthetic] {
            let (these, others): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.notes).into_iter().partition(|(_, of)| *of == origin);
            self.notes = others;
            let documents: Vec<NewDocument> = these.into_iter().map(|(document, _)| document).collect();
            if documents.is_empty() {
                continue;
            }
            let inserts = self.store.insert_documents(&documents, origin, &self.project.file.split)?;
            for (document, insert) in documents.iter().zip(inserts) {
                if matches!(insert, Insert::New(..)) {
                    self.taken.notes += 1;
                    self.taken.sentences += document.sentences.len() as u64;
                }
            }
        }
        let seen: Vec<Seen> = self.seen.drain().map(|(_, seen)| seen).collect();
        self.proposals = 0;
        let merged = self.store.merge(&self.entries, &seen)?;
        self.done += self.entries.len() as u64;
        self.entries.clear();
        let sum = &mut self.taken.merged;
        sum.new += merged.new;
        sum.known += merged.known;
        sum.without_note += merged.without_note;
        sum.cut_otherwise += merged.cut_otherwise;
        sum.other_proposal += merged.other_proposal;
        Ok(())
    }
}

/// A run says what came in, from where, and by whose signature. The same bundle again is no run of its own if it brought nothing.
fn record_run(
    project: &Project,
    store: &mut Store,
    taken: &MergeSummary,
    file: &str,
    started: Timestamp,
) -> Result<(), WorkflowError> {
    let BundleHeader { site, made, head, events, with_text, .. } = &taken.header;
    let config = json!({
        "file": file, "site": site, "made": made, "head": head, "events": events, "with_text": with_text,
        "signer": taken.signer,
    })
    .to_string();
    if taken.merged.new + taken.notes == 0 && store.find_run(RunKind::Merge, site, &config)?.is_some() {
        return Ok(());
    }
    let Merged { new, known, without_note, cut_otherwise, other_proposal } = taken.merged;
    let scores = json!({
        "new": new, "known": known, "without_note": without_note, "cut_otherwise": cut_otherwise,
        "other_proposal": other_proposal, "notes": taken.notes,
        "disputed": taken.disputed,
    });
    let run = Run {
        id: new_run_id(),
        kind: RunKind::Merge,
        model: site.clone(),
        config,
        taxonomy: project.taxonomy.hash(),
        started,
        finished: Some(now()),
        outcome: if taken.cancelled { Outcome::Stopped } else { Outcome::Finished },
        scores: scores.to_string(),
    };
    Ok(store.put_run(&run)?)
}

#[cfg(test)]
mod tests;
