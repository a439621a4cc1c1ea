//! `goldsmith.toml`: what a project is.

mod bundles;
mod encryption;
pub(crate) mod language;
mod protocol;
pub(crate) mod queue;
pub mod training;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::toml_source::{TomlSource, TomlTable};
use super::{FormatError, read_text};
use crate::domain::gold::{GoldRule, Policy};
use crate::domain::protocol::Protocol;
use crate::domain::protocol::ShowOthers;
use crate::domain::secret::SecretSource;
use crate::domain::split::SplitPlan;
use crate::domain::statistics::Bootstrap;
pub(crate) use bundles::BundleSettings;
use language::{GenerateSettings, LabelSettings, ModelSettings, PrivacySettings};
use queue::QueueSettings;
use training::TrainSettings;

/// The file's name.
pub(crate) const FILE_NAME: &str = "goldsmith.toml";

/// The commented file that `goldsmith init` writes; every setting stands in it with its default.
pub(crate) const TEMPLATE: &str = r#"# A Goldsmith project. Every setting is here; what you delete takes the value that stands here.

name = "{name}"
# The categories and their guideline, relative to this file. `goldsmith taxonomy check taxonomy.toml` checks it.
taxonomy = "taxonomy.toml"
# One SQLite file with everything: notes, proposals, decisions, runs.
store = "goldsmith.db"

[review]
# Who decides when --as does not say. Empty: the name of the user who is logged in.
annotator = ""
# Where what machines say is hidden until you have decided: "test", on patients of the test split;
# "always" or "never". People who see a suggestion agree with it more often, so a score is only fair on labels given blind.
blind = "test"
# When you see what other experts say of a sentence: "after" you have decided, "before", or "never". Who agrees with a label that
# they had seen does not confirm it, so `goldsmith agreement` leaves such labels out. A blind decision hides them in any case.
show_others = "after"
# The column of your files that a note's title comes from. In a blind decision a title is shown only if it is named here: without
# a name a column is guessed, and what stands in it may give the label away.
title_column = ""
# "auto" asks the terminal; or dark, light, high-contrast, colour-blind-safe, no-colour, or a file of your own.
theme = "auto"

[gold]
# How several experts' labels become one: "any", "majority" or "unanimous". What they do not settle is open, never guessed.
policy = "majority"

[protocol]
# Who decides, such as ["ann", "ben"]: `goldsmith assign` gives each their sentences. Empty: anyone, on all of them.
annotators = []
# Who settles what they dispute. Empty: anyone.
adjudicators = []
# What goes to them: "disputed"; "flagged": also what an expert has flagged; "all": whatever experts have decided.
adjudicate = "disputed"
# How many experts a sentence needs; fewer are no majority and no unanimity.
overlap = 1
# "round-robin": all have equally many. "patient": all of a patient to the same people. "share": by [protocol.shares].
assign = "round-robin"
# So many sentences are for everyone, before all others.
calibration = 0
# Where proposals are not hidden anyway, hide them on this share of sentences, drawn for each expert: `goldsmith agreement`
# then says how strongly the machine pulls.
blind_share = 0.0
seed = 1

[split]
# All sentences of a patient fall in one part, by the patient's key and this seed.
seed = 1
validation = 0.15
test = 0.2

[metrics]
# Resamples of the bootstrap by patient behind every interval, and its seed.
resamples = 2000
seed = 1

[train]
# What a classifier learns from: any of "gold", "silver", "bronze". It is always scored on gold alone.
tiers = ["gold"]
# "ngram": linear over n-grams, in a second. "frozen": a head on an encoder's embeddings, in a second once they are computed.
# "finetune": the encoder too, in minutes to hours. "vote": all three, their probabilities averaged.
method = "ngram"
# A Hugging Face folder of a BERT, DistilBERT or ModernBERT, relative to this file, or the name of one on the hub.
encoder = ""
# Texts are cut to so many tokens.
max_tokens = 256
# These are as the method has them; here for "ngram".
# epochs = 40
# learning_rate = 0.07
# Stop when validation has not become better for so many epochs: by its loss, "finetune" by macro-F1.
# patience = 6
# Weigh rare categories up: "none", "balanced" or "sqrt".
# class_weights = "balanced"
# How much a sentence of each tier counts.
gold_weight = 1.0
silver_weight = 1.0
bronze_weight = 1.0
# "frozen": one over the weight of the squared weights.
c = 20.0
# "finetune": sentences in a batch, batches in a step; how many of the last layers learn (all, if not said); dropout (the
# encoder's, if not said); and what the words say.
batch = 16
accumulate = 1
# Let the classifier see the mean of all positions, not the first one: better for encoders that were made for sentence
# embeddings (all-MiniLM, bge), but transformers has no class that loads such a model, so that it cannot be exported.
mean_pooling = false
# last_layers = 2
# dropout = 0.1
warmup = 0.1
weight_decay = 0.01
clip = 1.0
label_smoothing = 0.0
# Draw rare categories more often: 0 not at all, 1 until all are equally frequent.
oversample = 0.0
seed = 1

[queue]
# In which order sentences come for review: "note" as the notes run, "random", "margin" (where the classifier is least sure),
# "contested" (where it is likely to be wrong, by what silver says too), "balanced" (what it is likely to miss, rare categories
# more), "doubts" (labels that may be wrong), or "mix" by the shares below.
# Until the classifier can learn, they come as the notes run.
order = "mix"
mix = { contested = 0.5, balanced = 0.4, random = 0.1 }
# The order is made anew after so many decisions.
retrain_every = 10
# At most so many sentences are put in order.
limit = 2000
seed = 1

[privacy]
# The terms under which you hold these notes. "local-only": no text of a note leaves this machine. "agreed hosts": an
# agreement covers the hosts below. "open": the notes are public. Text goes to a host only if it is named, whatever the terms.
data_use = "local-only"
# Hosts with their ports, such as ["api.example.org", "10.0.0.5:8443"]; without one it is 443, that of https. `goldsmith egress`
# shows what went where.
allow_hosts = []
# Passages that look like names, dates, numbers or addresses of people, before a sentence leaves this machine: "block" keeps
# such sentences here, "warn" counts them, "off" does not look.
phi = "block"
# Let prompts that write sentences show gold sentences of training patients.
real_sentences_in_prompts = false

[bundles]
# Who can open what `goldsmith bundle` writes when neither --to nor --plain says otherwise: public keys of age, "age1...".
recipients = []
# Public keys of minisign, "RW...". `goldsmith merge` then takes in only what one of them has signed.
require_signature = []

[audit]
# A file on another machine or medium, to which whoever can write this folder should not be able to write over: there each
# session that changed something adds a signed line of how far the log had come. `goldsmith audit` holds the store to it.
anchor = ""

[encryption]
# Where the key of an encrypted store comes from; the key itself stands in no file of the project. Say it, then encrypt the
# store with `goldsmith store encrypt`. A key of 64 hexadecimal digits is taken as it is, any other as a passphrase.
# key = "ask"                        # typed at each start
# key = { env = "STORE_KEY" }        # a variable of the environment
# key = { file = "store.key" }       # the first line of a file, relative to this one
# key = { command = ["vault", "kv", "get", "-field=key", "secret/goldsmith"] }   # the first line that a program prints

# A model that `goldsmith label` and `goldsmith generate` can use; any number of such tables.
# [models.local]
# file = "qwen2.5-1.5b-instruct-q4_k_m.gguf"   # a GGUF file, run in this process; relative to this file
# threads = 0                                  # 0: all cores
# context = 8192                               # tokens
#
# [models.server]
# url = "http://127.0.0.1:8080/v1"             # an OpenAI-compatible server
# model = "qwen2.5-7b-instruct"
# key_env = ""                                 # the environment variable that holds the key
# key_header = "authorization"                 # Azure: "api-key"
# query = []                                   # Azure: ["api-version=2024-10-21"]
# concurrency = 8                              # requests under way at once
# requests_per_minute = 0                      # 0: no limit
# tokens_per_minute = 0
# timeout = 120                                # seconds
# ca_file = "hospital-ca.pem"                  # the only authority that may vouch for the server; relative to this file
# insecure = false                             # true: text may go there without TLS
# attempts = 6                                 # of each request, while the server is busy or away
# price_in = 0.0                               # for a million tokens, in your currency; 0: not known
# price_out = 0.0

[label]
# A name of [models]; empty: the only one.
model = ""
# "categories" asks which, "binary" whether any.
task = "categories"
# "choice": the model picks a letter, and its probability is known. "json": it writes label, evidence and reason. "auto":
# choice for a GGUF file, json for a server.
answer = "auto"
# Examples of the guideline in the prompt, for each category; with any, the guideline's None examples are shown too.
examples = 2
# Gold sentences of training patients in the prompt, and how they are picked: "balanced" over categories (the same for all)
# or "nearest" to each sentence.
few_shot = 0
few_shot_by = "balanced"
# Neighbouring sentences on each side, as context.
context = 0
# Sentences in one request that is answered as json.
sentences_per_request = 1
# Answers to each sentence; with more than one, confidence is the share that agrees (self-consistency).
samples = 1
# With "choice": ask for evidence and reason of "none", the "doubtful" or "all".
explain = "none"
# A choice with less probability than this is doubtful.
doubtful = 0.6
# A reply that cannot be used is asked for again so many times, with its fault named.
retries = 2
seed = 1

[generate]
model = ""
# Passed sentences for each category, on average.
per_category = 20
# How they are shared out: "equal", "gold" (like gold) or "inverse" (more for what gold lacks).
quota = "equal"
# Also write sentences that carry no category: so many for each category's average.
none = 0.0
temperature = 0.9
top_p = 0.95
seed = 1
# The model labels its own sentence without knowing what it was written for, and must agree.
round_trip = true
# The newest classifier must agree too: "off", "warn" or "on".
classifier = "warn"
# A category is given up when so many sentences in a row did not pass.
give_up = 25

[keys]
# Your own keys, such as:
# accept = ["enter", "space"]
# undo = ["u", "ctrl-z"]
# `?` in the workbench shows every action with its keys.
"#;

/// A checked project file.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectFile {
    /// The project's name.
    pub name: String,
    /// The taxonomy file.
    pub taxonomy: PathBuf,
    /// The store file.
    pub store: PathBuf,
    /// Who decides by default; empty for the user who is logged in.
    pub annotator: String,
    /// The column that notes' titles come from; empty where it is guessed.
    pub title_column: String,
    /// Theme name, file or `auto`.
    pub theme: String,
    /// How several experts' labels become one.
    pub policy: Policy,
    /// Who decides on what, and what they see.
    pub protocol: Protocol,
    /// How patients are shared out.
    pub split: SplitPlan,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    pub train: TrainSettings,
    /// In which order sentences come.
    pub queue: QueueSettings,
    /// Where text may go.
    pub privacy: PrivacySettings,
    /// Who may open and who must sign bundles.
    pub bundles: BundleSettings,
    /// The file in which what the log has come to is noted, where it is one.
    pub anchor: Option<PathBuf>,
    /// Where the key of the store comes from; `None` where the store is plain.
    pub key: Option<SecretSource>,
    /// Language models by name.
    pub models: BTreeMap<String, ModelSettings>,
    /// Settings of labelling.
    pub label: LabelSettings,
    /// Settings of generation.
    pub generate: GenerateSettings,
    /// Keys by action name.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl ProjectFile {
    /// When experts' labels are gold.
    pub(crate) fn gold_rule(&self) -> GoldRule {
        GoldRule { policy: self.policy, experts: self.protocol.overlap, adjudicate: self.protocol.adjudicate }
    }
}

/// Reads and checks a project file; paths in it become relative to its folder.
pub(crate) fn read(path: &Path) -> Result<ProjectFile, FormatError> {
    parse(path, &read_text(path)?)
}

/// Checks the text of a project file.
pub fn parse(path: &Path, text: &str) -> Result<ProjectFile, FormatError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let (mut source, root) = TomlSource::parse(text);
    let s = &mut source;
    let mut top = TomlTable::new(root.get_ref(), 0..0);
    let text_or = |found: Option<(String, _)>, default: &str| {
        found.map_or_else(|| default.to_owned(), |(text, _): (String, std::ops::Range<usize>)| text)
    };
    let folder_name = folder.file_name().map_or_else(|| "project".into(), |n| n.to_string_lossy().into_owned());
    let name = text_or(top.text(s, "name"), &folder_name);
    let taxonomy = folder.join(text_or(top.text(s, "taxonomy"), "taxonomy.toml"));
    let store = folder.join(text_or(top.text(s, "store"), "goldsmith.db"));

    let (mut annotator, mut title_column, mut theme) = (String::new(), String::new(), "auto".to_owned());
    let mut protocol = Protocol::default();
    if let Some(mut review) = top.table(s, "review") {
        annotator = text_or(review.text(s, "annotator"), "");
        protocol.blind = protocol::blind(s, &mut review).unwrap_or(protocol.blind);
        let words = [("after", ShowOthers::After), ("before", ShowOthers::Before), ("never", ShowOthers::Never)];
        protocol.show_others = review.word(s, "show_others", &words).unwrap_or_default();
        title_column = text_or(review.text(s, "title_column"), "").trim().to_owned();
        theme = text_or(review.text(s, "theme"), "auto");
        review.close(s);
    }
    let mut policy = Policy::default();
    if let Some(mut gold) = top.table(s, "gold") {
        let words = [("any", Policy::Any), ("majority", Policy::Majority), ("unanimous", Policy::Unanimous)];
        policy = gold.word(s, "policy", &words).unwrap_or_default();
        gold.close(s);
    }
    if let Some(table) = top.table(s, "protocol") {
        protocol::read(s, table, &mut protocol);
    }
    let mut split = SplitPlan::default();
    if let Some(mut table) = top.table(s, "split") {
        split.seed = table.whole(s, "seed", 0..=1 << 53).unwrap_or(split.seed);
        split.validation = table.number(s, "validation", 0.0..=0.9).unwrap_or(split.validation);
        split.test = table.number(s, "test", 0.0..=0.9).unwrap_or(split.test);
        if split.validation + split.test >= 1.0 {
            s.fault(table.span(), "`validation` and `test` leave nothing to train on");
        }
        table.close(s);
    }
    let mut bootstrap = Bootstrap::default();
    if let Some(mut table) = top.table(s, "metrics") {
        bootstrap.resamples = table.whole(s, "resamples", 0..=100_000).map_or(bootstrap.resamples, |n| n as usize);
        bootstrap.seed = table.whole(s, "seed", 0..=1 << 53).unwrap_or(bootstrap.seed);
        table.close(s);
    }
    let mut train = TrainSettings::default();
    if let Some(table) = top.table(s, "train") {
        training::read(s, table, &mut train);
    }
    let mut queue = QueueSettings::default();
    if let Some(table) = top.table(s, "queue") {
        queue::read(s, table, &mut queue);
    }
    let mut privacy = PrivacySettings::default();
    if let Some(table) = top.table(s, "privacy") {
        language::privacy_settings(s, table, &mut privacy);
    }
    let bundles = top.table(s, "bundles").map(|table| bundles::read(s, table)).unwrap_or_default();
    let mut anchor = None;
    if let Some(mut table) = top.table(s, "audit") {
        let named = table.text(s, "anchor").filter(|(path, _)| !path.is_empty());
        // Lines are added to it: no other kind of file is to be named, least of all one that something runs.
        if let Some((_, at)) = named.as_ref().filter(|(path, _)| !path.ends_with(".anchors")) {
            s.fault(at.clone(), "`anchor` must be a file whose name ends in `.anchors`: lines are added to it");
        }
        anchor = named.map(|(path, _)| path);
        table.close(s);
    }
    let anchor = anchor.map(|path| folder.join(path));
    let key = top.table(s, "encryption").and_then(|table| encryption::read(s, table, folder));
    let named = top.table(s, "models").map(|table| table.named_tables(s)).unwrap_or_default();
    let mut models = BTreeMap::new();
    for (name, table) in named {
        models.extend(language::model_settings(s, table, folder).map(|model| (name, model)));
    }
    let mut label = LabelSettings::default();
    if let Some(table) = top.table(s, "label") {
        language::label_settings(s, table, &mut label);
    }
    let mut generate = GenerateSettings::default();
    if let Some(table) = top.table(s, "generate") {
        language::generate_settings(s, table, &mut generate);
    }
    let keys = top.table(s, "keys").map(|table| table.open(s)).unwrap_or_default();
    let keys = keys.into_iter().map(|(action, keys, _)| (action, keys)).collect();
    top.close(s);
    let faults = source.into_faults();
    if !faults.is_empty() {
        return Err(FormatError::Faulty { path: path.into(), faults });
    }
    Ok(ProjectFile {
        name,
        taxonomy,
        store,
        annotator,
        title_column,
        theme,
        policy,
        protocol,
        split,
        bootstrap,
        train,
        queue,
        privacy,
        bundles,
        anchor,
        key,
        models,
        label,
        generate,
        keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_says_what_an_empty_file_means() {
        let path = Path::new("/home/ann/p/goldsmith.toml");
        assert_eq!(parse(path, &TEMPLATE.replace("{name}", "p")).unwrap(), parse(path, "").unwrap());
    }

    #[test]
    fn faults_are_named_by_place() {
        let text = "nme = \"x\"\n[split]\ntest = 1.5\nvalidation = \"a\"\n[gold]\npolicy = \"most\"\n[train]\ntiers = [\"iron\"]\n";
        let said = parse(Path::new("goldsmith.toml"), text).unwrap_err().to_string();
        let expected = "goldsmith.toml:1:1: `nme` is not known here; did you mean `name`?\n\
            goldsmith.toml:3:8: `test` must be between 0 and 0.9\n\
            goldsmith.toml:4:14: `validation` must be a number, not a string\n\
            goldsmith.toml:6:10: `policy` must be \"any\" or \"majority\" or \"unanimous\", not \"most\"\n\
            goldsmith.toml:8:10: `tiers` knows gold, silver and bronze, not \"iron\"";
        assert_eq!(said, expected);
    }
}
