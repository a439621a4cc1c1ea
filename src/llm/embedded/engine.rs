//! The loaded model on its own thread: what it has read, and how it answers.

use std::path::Path;

use candle_core::Result as Computed;
use serde_json::{Value, json};

use super::super::{ChatMessage, ChoiceReply, ChooseRequest, LlmError, ModelInfo, Role, Usage};
use super::Settings;
use super::attention::{Cache, Feed};
use super::file::{GgufFile, hash};
use super::product::log_sum;
use super::template::Template;
use super::tokenizer::Tokenizer;
use super::transformer::Transformer;
use super::tree::Tree;

/// Tokens of a long text that are read in one pass.
const CHUNK: usize = 256;

/// How many beginnings are kept, so that requests of several kinds may take turns.
const KEPT: usize = 4;

/// A model with what it has read.
pub(super) struct Engine {
    pub(super) model: Transformer,
    pub(super) tokenizer: Tokenizer,
    pub(super) template: Template,
    pub(super) settings: Settings,
    /// Beginnings that were read, the latest last.
    kept: Vec<(Vec<u32>, Cache)>,
}

/// An error while computing: never a property of the request.
pub(super) fn computing(error: candle_core::Error) -> LlmError {
    LlmError::Fatal(format!("the model failed while computing: {error}"))
}

/// Length of what two token sequences begin with in common.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What stands before the weights of a model file.
pub(super) fn front(path: &Path) -> Result<(GgufFile, Tokenizer, Template), LlmError> {
    let file = GgufFile::open(path)?;
    // Before the vocabulary, so that a foreign model is called foreign.
    super::config::Config::read(&file)?;
    let tokenizer = Tokenizer::read(&file)?;
    let template = Template::read(&file, &tokenizer)?;
    Ok((file, tokenizer, template))
}

impl Engine {
    /// Loads a model and says what it is.
    pub(super) fn load(path: &Path, mut settings: Settings) -> Result<(Self, ModelInfo), LlmError> {
        let (loaded, hash) = std::thread::scope(|scope| {
            let hashed = scope.spawn(|| hash(path));
            let loaded = Self::read(path);
            (loaded, hashed.join().unwrap_or_else(|_| Err(LlmError::Fatal("the file could not be hashed".into()))))
        });
        let ((model, tokenizer, template, details), hash) = (loaded?, hash?);
        let trained = model.config.context;
        settings.context = if settings.context == 0 { trained.min(8192) } else { settings.context.min(trained) };
        let mut details = details;
        let known = [
            ("context", json!(settings.context)),
            ("trained_context", json!(trained)),
            ("threads", json!(settings.threads)),
            ("template", json!(template.origin.name())),
            ("batch", json!(settings.batch)),
        ];
        for (key, value) in known {
            details[key] = value;
        }
        let name = details["name"].as_str().unwrap_or("a local model").to_owned();
        let card = ModelInfo { name, provider: "embedded".into(), identity: format!("gguf:{hash}"), details };
        Ok((Self { model, tokenizer, template, settings, kept: Vec::new() }, card))
    }

    fn read(path: &Path) -> Result<(Transformer, Tokenizer, Template, Value), LlmError> {
        let (mut file, tokenizer, template) = front(path)?;
        let architecture = file.text("general.architecture").unwrap_or("").to_owned();
        let model = Transformer::read(&mut file, tokenizer.len())?;
        let (parameters, kinds) = file.parameters();
        let stem = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        let details = json!({
            "name": file.text("general.name").map(str::to_owned).or(stem),
            "file": path.file_name().map(|name| name.to_string_lossy().into_owned()),
            "architecture": architecture,
            "parameters": parameters,
            "kinds": kinds.into_iter().map(|(kind, n)| (kind, json!(n))).collect::<serde_json::Map<_, _>>(),
        });
        Ok((model, tokenizer, template, details))
    }

    /// The tokens of a conversation up to where the model answers, and the text after the last control token.
    pub(super) fn prompt(&self, turns: &[ChatMessage]) -> Result<(Vec<u32>, String), LlmError> {
        self.tokenizer.prompt(&self.template.parts(turns)?)
    }

    /// Reads a text after what is cached.
    pub(super) fn extend(&self, cache: &mut Cache, tokens: &[u32]) -> Computed<()> {
        for part in tokens.chunks(CHUNK) {
            let (segment, _) = self.model.read_on(cache, &Feed::chain(part), &[])?;
            cache.push(segment)?;
        }
        Ok(())
    }

    /// A cache of a beginning, from what was read before where that helps, and how many of its tokens were known.
    ///
    /// A kept beginning of these tokens that has at least `least` of them is as good.
    pub(super) fn beginning(&mut self, tokens: &[u32], least: usize) -> Computed<(Cache, usize)> {
        if !self.settings.reuse_prefix {
            let mut cache = Cache::default();
            self.extend(&mut cache, tokens)?;
            cache.compact()?;
            return Ok((cache, 0));
        }
        let best = (0..self.kept.len()).max_by_key(|at| common(&self.kept[*at].0, tokens));
        if let Some(at) = best
            && common(&self.kept[at].0, tokens) == self.kept[at].0.len()
            && self.kept[at].0.len() >= least
        {
            let found = self.kept.remove(at);
            let cache = found.1.clone();
            self.kept.push(found);
            let len = cache.len();
            return Ok((cache, len));
        }
        let mut cache = Cache::default();
        let mut known = 0;
        if let Some(at) = best {
            known = common(&self.kept[at].0, tokens);
            cache = self.kept[at].1.clone();
            cache.truncate(known)?;
            // What only lengthens or cuts a kept beginning takes its place.
            if known * 10 > self.kept[at].0.len() * 9 {
                self.kept.remove(at);
            }
        }
        self.extend(&mut cache, &tokens[known..])?;
        cache.compact()?;
        self.kept.push((tokens.to_vec(), cache.clone()));
        if self.kept.len() > KEPT {
            // The oldest goes, but never the longest: that takes longest to read again.
            let longest = (0..self.kept.len()).max_by_key(|at| self.kept[*at].0.len());
            self.kept.remove(usize::from(longest == Some(0)));
        }
        Ok((cache, known))
    }

    /// The token that ends a turn of the model.
    fn turn_end(&self) -> Option<u32> {
        let turns = [
            ChatMessage::new(Role::User, "a"),
            ChatMessage::new(Role::Assistant, "b"),
            ChatMessage::new(Role::User, "c"),
        ];
        let parts = self.template.parts(&turns).ok()?;
        let answered = parts.iter().rposition(|part| *part == super::tokenizer::PromptPart::Plain("b".into()))?;
        let (tokens, _) = self.tokenizer.prompt(&parts[answered + 1..=answered + 1]).ok()?;
        let ends = self.tokenizer.ends();
        tokens.into_iter().find(|token| ends.contains(token)).or_else(|| ends.first().copied())
    }

    /// Scores options; see [`ChooseRequest`].
    ///
    /// The probability is that of the whole answer with its end, except where every option is a single token of its own:
    /// then it is that of the token, which saves reading each option.
    pub(super) fn choose(
        &mut self,
        request: &ChooseRequest,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<ChoiceReply>, LlmError> {
        if request.questions.is_empty() {
            return Ok(Vec::new());
        }
        let mut prompts = Vec::new();
        for question in &request.questions {
            let turns: Vec<ChatMessage> =
                request.turns.iter().cloned().chain([ChatMessage::new(Role::User, question.as_str())]).collect();
            prompts.push(self.prompt(&turns)?);
        }
        let run = prompts[0].1.clone();
        let options: Vec<Vec<u32>> =
            request.options.iter().map(|option| self.tokenizer.answer(&run, option)).collect::<Result<_, _>>()?;
        let single = options.iter().enumerate().all(|(at, o)| o.len() == 1 && !options[..at].contains(o));
        let end = if single { None } else { self.turn_end() };
        let tree = Tree::new(options.iter().map(|o| (o.as_slice(), end.is_some())));
        let shared = self.shared(request, &prompts)?;
        let longest = prompts.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(0);
        let deepest = options.iter().map(Vec::len).max().unwrap_or(0);
        if longest + deepest > self.settings.context {
            return Err(LlmError::Unanswerable(format!(
                "a prompt of {longest} tokens does not fit the model's context of {}; shorten guideline or sentence",
                self.settings.context
            )));
        }
        let (cache, known) = self.beginning(&prompts[0].0[..shared.1], shared.0).map_err(computing)?;
        let mut choices = Vec::with_capacity(prompts.len());
        let batch = self.settings.batch.max(1);
        for (number, group) in prompts.chunks(batch).enumerate() {
            if stopped() {
                return Err(LlmError::Stopped);
            }
            let bodies: Vec<&[u32]> = group.iter().map(|(tokens, _)| &tokens[cache.len()..]).collect();
            let scored = self.score(&cache, &bodies, &tree, end).map_err(computing)?;
            for (logprobs, (tokens, _)) in scored.into_iter().zip(group) {
                let cached = if number == 0 && choices.is_empty() { known } else { cache.len() };
                let usage = Usage {
                    prompt: tokens.len() as u64,
                    cached: cached as u64,
                    completion: tree.nodes.len().max(1) as u64,
                    estimated: false,
                };
                choices.push(ChoiceReply { logprobs: logprobs.into_iter().map(Some).collect(), usage });
            }
        }
        Ok(choices)
    }

    /// What all prompts begin with: at least so many tokens whatever is asked, at most so many with these asks.
    fn shared(&self, request: &ChooseRequest, prompts: &[(Vec<u32>, String)]) -> Result<(usize, usize), LlmError> {
        let first = &prompts[0].0;
        let most = prompts.iter().map(|(tokens, _)| common(tokens, first).min(tokens.len() - 1)).min().unwrap_or(0);
        let any: Vec<ChatMessage> =
            request.turns.iter().cloned().chain([ChatMessage::new(Role::User, "\u{3b1}")]).collect();
        let least = common(&self.prompt(&any)?.0, first).min(most);
        // A single ask shares everything with itself, and no other does.
        Ok((least, if prompts.len() == 1 { least } else { most }))
    }

    /// Log-probabilities of the tree's paths after each body, in one pass.
    pub(super) fn score(
        &self,
        cache: &Cache,
        bodies: &[&[u32]],
        tree: &Tree,
        end: Option<u32>,
    ) -> Computed<Vec<Vec<f32>>> {
        let mut feed = Feed { tokens: Vec::new(), parents: Vec::new() };
        let mut wanted = Vec::new();
        for body in bodies {
            let start = feed.tokens.len();
            for (at, token) in body.iter().enumerate() {
                feed.tokens.push(*token);
                feed.parents.push(if at == 0 { None } else { Some(start + at - 1) });
            }
            let root = feed.tokens.len() - 1;
            let first = tree.plant(&mut feed, root);
            wanted.push(root);
            wanted.extend(first..feed.tokens.len());
        }
        let (_, logits) = self.model.read_on(cache, &feed, &wanted)?;
        let words = self.model.words();
        let rows: Vec<&[f32]> = logits.chunks_exact(words).collect();
        let each = tree.nodes.len() + 1;
        let ended = |row: &[f32], sum: f32, _| end.map_or(0.0, |end| row[end as usize] - sum);
        Ok(rows.chunks_exact(each).map(|rows| tree.score(rows, &ended)).collect())
    }
}

impl Tree {
    /// Log-probability of each path, from the logits before the tree and after each node; `end` gives that of what must
    /// follow a path, from the logits after it, the logarithm of their sum and the path's number.
    pub(super) fn score(&self, rows: &[&[f32]], end: &dyn Fn(&[f32], f32, usize) -> f32) -> Vec<f32> {
        let sums: Vec<f32> = rows.iter().map(|row| log_sum(row)).collect();
        let row_of = |node: Option<usize>| node.map_or(0, |at| at + 1);
        self.paths
            .iter()
            .enumerate()
            .map(|(number, path)| {
                let steps = path.steps.iter().map(|(node, token)| {
                    let row = row_of(*node);
                    rows[row][*token as usize] - sums[row]
                });
                steps.sum::<f32>() + path.last.map_or(0.0, |node| end(rows[node + 1], sums[node + 1], number))
            })
            .collect()
    }
}
