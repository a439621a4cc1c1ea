//! The requests of generation: writes, judges, asks the model blind, asks the classifier, and keeps all of it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{CategoryQuota, label_of};
use crate::classifier::Classifier;
use crate::domain::category::CategoryKey;
use crate::domain::corpus::{NewDocument, PatientKey, SentenceId};
use crate::domain::label::{Label, RunId};
use crate::domain::quality::{Check, Lengths, Limits, QualityGate, Verdict};
use crate::domain::text::Span;
use crate::formats::project::language::{ClassifierCheck, GenerateSettings};
use crate::llm::prompt::{LabelPrompt, SentencePrompt as Asked, WriteBrief, WritePrompt};
use crate::llm::reply::{self, ReplyFault};
use crate::llm::{ChatMessage, DecodingParams, Reply, Role, WriteRequest};
use crate::store::{BronzeRow, NewBronze, Store};
use crate::workflow::dispatch::{Answer, JobRequest, NextRequest, Question, RequestJob};
use crate::workflow::project::Project;
use crate::workflow::{WorkflowError, train};

/// A category under way.
pub(super) struct Progressing {
    pub(super) target: CategoryQuota,
    /// Sentences asked for and not judged yet.
    under_way: usize,
    /// The number of the next one.
    next: u64,
    /// How many in a row did not pass.
    in_a_row: usize,
}

impl Progressing {
    pub(super) fn new((key, quota): (Option<CategoryKey>, usize)) -> Self {
        let target = CategoryQuota { key, quota, passed: 0, written: 0, given_up: false };
        Self { target, under_way: 0, next: 0, in_a_row: 0 }
    }

    fn missing(&self) -> usize {
        if self.target.given_up { 0 } else { self.target.quota.saturating_sub(self.target.passed + self.under_way) }
    }
}

/// A sentence under way.
#[derive(Clone)]
pub(super) struct Draft {
    /// Position of its target.
    at: usize,
    number: u64,
    brief: WriteBrief,
}

/// What a request is for.
pub(super) enum Tag {
    /// To write a sentence.
    Write { draft: Draft, request: WriteRequest, tries: usize },
    /// To label it without knowing what it was written for.
    Check { draft: Draft, text: String, request: Option<WriteRequest> },
}

/// See the module.
pub(super) struct GenerateJob<'a> {
    pub(super) project: &'a Project,
    pub(super) settings: &'a GenerateSettings,
    pub(super) run: &'a RunId,
    pub(super) prompt: &'a WritePrompt,
    pub(super) checker: &'a LabelPrompt,
    /// The sentences of real notes that prompts show, if the project lets them.
    pub(super) shows: &'a [SentenceId],
    pub(super) lengths: &'a Lengths,
    pub(super) gate: QualityGate<'a>,
    pub(super) classifier: Option<&'a dyn Classifier>,
    pub(super) targets: Vec<Progressing>,
    pub(super) waiting: Vec<NewBronze>,
    pub(super) unusable: u64,
}

/// A reply that cannot be used is asked for again so many times.
const RETRIES: usize = 2;
/// Shorter real sentences are headings and list items, not what a category is carried by.
const FEWEST_WORDS: usize = 4;

impl GenerateJob<'_> {
    /// Takes what an earlier session, or another run, has written: nothing is written twice.
    pub(super) fn remember(&mut self, row: &BronzeRow) {
        if row.passed {
            self.gate.accept(&row.text);
        }
        if row.run != *self.run {
            return;
        }
        let number = row.external_id.rsplit('/').next().and_then(|n| n.parse::<u64>().ok());
        for progressing in &mut self.targets {
            if label_of(progressing.target.key.as_ref()) == row.target {
                progressing.target.written += 1;
                progressing.target.passed += usize::from(row.passed);
                progressing.next = progressing.next.max(number.map_or(0, |n| n + 1));
            }
        }
    }

    fn draft(&mut self, at: usize) -> Draft {
        let (seed, key) = (self.settings.seed, self.targets[at].target.key.clone());
        let number = self.targets[at].next;
        self.targets[at].next += 1;
        self.targets[at].under_way += 1;
        let name = key.as_ref().map_or("none", CategoryKey::as_str);
        let hash = Sha256::digest(format!("{seed}/{name}/{number}"));
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        let drawn = u64::from_le_bytes(bytes);
        let words = self.lengths.draw(&mut ChaCha8Rng::seed_from_u64(drawn)).unwrap_or(12).max(FEWEST_WORDS);
        Draft { at, number, brief: WriteBrief::draw(&self.project.taxonomy, key, words, drawn) }
    }

    fn write(&self, draft: Draft) -> JobRequest<Tag> {
        let sampling = DecodingParams {
            max_tokens: 160,
            temperature: self.settings.temperature as f32,
            top_p: self.settings.top_p as f32,
            seed: self.settings.seed.wrapping_add(draft.number).wrapping_add((draft.at as u64) << 32) & ((1 << 53) - 1),
        };
        let request = self.prompt.write(&self.project.taxonomy, &draft.brief, sampling);
        self.request(draft, request, 0)
    }

    fn request(&self, draft: Draft, request: WriteRequest, tries: usize) -> JobRequest<Tag> {
        let question = Question::Write(request.clone());
        let tag = Tag::Write { draft, request, tries };
        JobRequest { tag, question, purpose: "generate", sentences: self.shows.to_vec() }
    }

    /// Takes a sentence that was written: judged by its text first, since that costs nothing.
    fn written(&mut self, draft: Draft, request: &WriteRequest, tries: usize, reply: &Reply) -> Vec<JobRequest<Tag>> {
        let text = reply::objects(reply, &request.shape).and_then(|answers| {
            let text = answers.first().and_then(|a| a.get("sentence")?.as_str()).unwrap_or_default();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            // A small model closes the object and forgets the quotation mark before.
            let text = if text.contains('{') { text } else { text.trim_end_matches('}').trim_end().to_owned() };
            if text.is_empty() { Err(ReplyFault::Empty) } else { Ok(text) }
        });
        match text {
            Ok(text) => {
                let target = label_of(draft.brief.target.as_ref());
                let verdicts = self.gate.judge(&text, &target);
                let failed: Vec<&Verdict> = verdicts.iter().filter(|v| !v.passed).collect();
                if failed.is_empty() && self.settings.round_trip {
                    return vec![self.check(draft, text)];
                }
                // A sentence that is good but for its length is asked for again, shorter or longer; both are kept.
                let only_length = matches!(failed.as_slice(), [one] if one.check == Check::Length);
                let again = (only_length && tries < RETRIES).then(|| self.reworded(&draft, request, reply));
                self.judged(draft, text, None);
                again.map(|(draft, request)| self.request(draft, request, tries + 1)).into_iter().collect()
            }
            Err(fault) if tries < RETRIES => {
                let mut request = request.clone();
                request
                    .turns
                    .push(ChatMessage::new(Role::Assistant, reply.text.chars().take(1_000).collect::<String>()));
                let said = format!("That cannot be used: {fault}. Write one sentence, in the form asked for.");
                request.turns.push(ChatMessage::new(Role::User, said));
                vec![self.request(draft, request, tries + 1)]
            }
            Err(_) => {
                self.lost(draft.at);
                Vec::new()
            }
        }
    }

    /// The conversation so far with the length asked for again, as a sentence with a number of its own.
    fn reworded(&mut self, draft: &Draft, request: &WriteRequest, reply: &Reply) -> (Draft, WriteRequest) {
        let mut request = request.clone();
        request.turns.push(ChatMessage::new(Role::Assistant, reply.text.chars().take(1_000).collect::<String>()));
        let said = format!("Say the same in {} words, as a clinician would note it.", draft.brief.words);
        request.turns.push(ChatMessage::new(Role::User, said));
        let progressing = &mut self.targets[draft.at];
        progressing.under_way += 1;
        let number = progressing.next;
        progressing.next += 1;
        (Draft { number, ..draft.clone() }, request)
    }

    fn lost(&mut self, at: usize) {
        self.unusable += 1;
        self.targets[at].under_way -= 1;
        self.did_not_pass(at);
    }

    fn did_not_pass(&mut self, at: usize) {
        let progressing = &mut self.targets[at];
        progressing.in_a_row += 1;
        progressing.target.given_up |= progressing.in_a_row >= self.settings.give_up;
    }

    fn check(&self, draft: Draft, text: String) -> JobRequest<Tag> {
        let asked = Asked { text: text.clone(), ..Asked::default() };
        let (question, request) = if self.checker.by_choice() {
            (Question::Choose(self.checker.choose(&[asked])), None)
        } else {
            let request = self.checker.write(&[asked], DecodingParams::greedy(220), true);
            (Question::Write(request.clone()), Some(request))
        };
        JobRequest { tag: Tag::Check { draft, text, request }, question, purpose: "round trip", sentences: Vec::new() }
    }

    /// What the model labels its own sentence as, with the probability of that.
    fn own_label(&self, text: &str, request: Option<&WriteRequest>, said: &Answer) -> Option<(Label, Option<f64>)> {
        match (said, request) {
            (Answer::Chosen(choices), _) => {
                let (probabilities, mass) = self.checker.weigh(&choices.first()?.logprobs);
                let (label, value) = self.checker.decide(&probabilities);
                (mass > 0.0).then_some((label, Some(value)))
            }
            (Answer::Written(reply), Some(request)) => {
                let answers = reply::objects(reply, &request.shape).ok()?;
                let labelled = reply::labelled(answers.first()?, &self.project.taxonomy, text).ok()?;
                let field = self.checker.fields().first().map_or_else(String::new, |f| f.name.clone());
                Some((labelled.label, reply::probability(reply, &field, 0).or(labelled.stated)))
            }
            _ => None,
        }
    }

    /// All verdicts of a sentence, and what follows from them.
    fn judged(&mut self, draft: Draft, text: String, own: Option<(Label, Option<f64>)>) {
        let taxonomy = &self.project.taxonomy;
        let target = label_of(draft.brief.target.as_ref());
        // Judged again, since others have passed while the model was asked.
        let mut verdicts = self.gate.judge(&text, &target);
        if let Some((given, probability)) = own {
            verdicts.push(Verdict::round_trip(taxonomy, &target, &given, probability));
        }
        verdicts.extend(self.by_classifier(&text, &target));
        let passed = verdicts.iter().all(|v| v.passed);
        let progressing = &mut self.targets[draft.at];
        progressing.under_way -= 1;
        progressing.target.written += 1;
        if passed {
            progressing.target.passed += 1;
            progressing.in_a_row = 0;
            self.gate.accept(&text);
        } else {
            self.did_not_pass(draft.at);
        }
        self.waiting.push(bronze(self.run, taxonomy.describe(&target), draft, text, target, verdicts));
    }

    fn by_classifier(&self, text: &str, target: &Label) -> Option<Verdict> {
        let model = self.classifier?;
        // A classifier that cannot read a text has nothing to say of it.
        let row = model.predict(&[text]).ok()?.pop()?;
        let probabilities = train::with_none(model.selection(), &row);
        let taxonomy = &self.project.taxonomy;
        let at = target.keys().first().map_or(Some(0), |key| Some(taxonomy.index_of(key)? + 1))?;
        let mut verdict = Verdict::classifier(taxonomy, target, f64::from(*probabilities.get(at)?), &Limits::default());
        if self.settings.classifier == ClassifierCheck::Warn && !verdict.passed {
            verdict.passed = true;
            verdict.reason = format!("noted, not held against it: {}", verdict.reason);
        }
        Some(verdict)
    }
}

fn bronze(run: &RunId, title: String, draft: Draft, text: String, target: Label, verdicts: Vec<Verdict>) -> NewBronze {
    let brief = &draft.brief;
    let name = brief.target.as_ref().map_or("none", CategoryKey::as_str);
    let id = format!("{run}/{name}/{}", draft.number);
    let facts = [
        ("show", &brief.aspect),
        ("kind", &brief.kind),
        ("seen", &brief.setting),
        ("patient", &brief.person),
        ("style", &brief.style),
    ];
    let facts: Vec<String> =
        facts.iter().filter(|(_, fact)| !fact.is_empty()).map(|(name, fact)| format!("{name}: {fact}")).collect();
    NewBronze {
        document: NewDocument {
            patient: PatientKey(format!("synthetic/{id}")),
            external_id: id,
            title,
            kind: brief.kind.clone(),
            date: String::new(),
            source: format!("bronze {run}").into(),
            sentences: vec![Span::new(0, text.len())],
            text,
        },
        target,
        brief: format!("Asked for: about {} words; {}", brief.words, facts.join("; ")),
        verdicts,
    }
}

impl RequestJob for GenerateJob<'_> {
    type Tag = Tag;

    fn next(&mut self, _: &mut Store) -> Result<NextRequest<Tag>, WorkflowError> {
        // The category that lacks the largest part of its quota comes first, so that all grow together.
        let share = |t: &Progressing| t.missing() as f64 / t.target.quota.max(1) as f64;
        let most = (0..self.targets.len())
            .filter(|at| self.targets[*at].missing() > 0)
            .max_by(|a, b| share(&self.targets[*a]).total_cmp(&share(&self.targets[*b])).then(b.cmp(a)));
        if let Some(at) = most {
            let draft = self.draft(at);
            return Ok(NextRequest::Send(Box::new(self.write(draft))));
        }
        // What is under way may not pass; then more is wanted.
        let under_way = self.targets.iter().any(|t| t.under_way > 0);
        Ok(if under_way { NextRequest::Wait } else { NextRequest::Done })
    }

    fn take(
        &mut self,
        _: &mut Store,
        tag: Tag,
        said: Result<Answer, String>,
    ) -> Result<Vec<JobRequest<Tag>>, WorkflowError> {
        Ok(match (tag, said) {
            (Tag::Write { draft, request, tries }, Ok(Answer::Written(reply))) => {
                self.written(draft, &request, tries, &reply)
            }
            (Tag::Check { draft, text, request }, Ok(said)) => {
                match self.own_label(&text, request.as_ref(), &said) {
                    Some(own) => self.judged(draft, text, Some(own)),
                    None => self.lost(draft.at),
                }
                Vec::new()
            }
            (Tag::Write { draft, .. } | Tag::Check { draft, .. }, _) => {
                self.lost(draft.at);
                Vec::new()
            }
        })
    }

    fn flush(&mut self, store: &mut Store) -> Result<(), WorkflowError> {
        store.add_bronze(self.run, &self.waiting, &self.project.file.split)?;
        self.waiting.clear();
        Ok(())
    }

    fn done(&self) -> (u64, u64) {
        let passed: usize = self.targets.iter().map(|t| t.target.passed).sum();
        (passed as u64, self.unusable)
    }
}
