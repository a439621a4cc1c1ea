//! The requests of labelling: asks, checks each answer, asks again with the fault named, and records what cannot be used.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{LabelPlan, Nearest};
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Confidence, ConfidenceKind, Label, NewProposal, RunId, Source};
use crate::domain::taxonomy::Taxonomy;
use crate::formats::project::language::{Explain, LabelSettings, PhiPolicy};
use crate::llm::orders::OrderScreen;
use crate::llm::prompt::{self, FewShotExample, LabelPrompt, LabelTask};
use crate::llm::reply::{self, CheckedLabel, ReplyFault};
use crate::llm::{ChatMessage, ChoiceReply, DecodingParams, LanguageModel, Reply, Role, WriteRequest};
use crate::store::{FailedSentence, Store};
use crate::workflow::dispatch::{Answer, JobRequest, NextRequest, Question, RequestJob};
use crate::workflow::project::Project;
use crate::workflow::{WorkflowError, now};

/// A sentence under way.
#[derive(Clone, Debug)]
pub(super) struct LabelItem {
    id: SentenceId,
    prompt: prompt::SentencePrompt,
    /// The sentences of real notes that its request shows.
    shows: Vec<SentenceId>,
}

/// What a request is for.
pub(super) enum Tag {
    /// To choose a letter for each.
    Choose(Vec<LabelItem>),
    /// To write an answer for each; the times that this was asked, and which sample it is.
    Write { items: Vec<LabelItem>, request: WriteRequest, tries: usize, sample: usize },
    /// To explain a choice that is made.
    Explain { item: LabelItem, proposal: Box<NewProposal>, request: WriteRequest, tries: usize },
}

/// What is said of a session at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) unexplained: u64,
    pub(super) phi: (u64, u64),
    pub(super) mass: Option<f64>,
}

/// The samples of one sentence.
#[derive(Default)]
struct Samples {
    given: Vec<CheckedLabel>,
    failed: usize,
    fault: String,
}

/// See the module.
pub(super) struct LabelJob<'a> {
    taxonomy: &'a Taxonomy,
    run: &'a RunId,
    plan: &'a LabelPlan,
    settings: &'a LabelSettings,
    group: usize,
    choice: bool,
    screen: PhiPolicy,
    orders: OrderScreen,
    /// The sentences asked for; `None` for all.
    ids: Option<VecDeque<SentenceId>>,
    after: SentenceId,
    ready: VecDeque<LabelItem>,
    left: u64,
    samples: FxHashMap<SentenceId, Samples>,
    /// Further samples of sentences that are under way.
    more: VecDeque<JobRequest<Tag>>,
    proposals: Vec<NewProposal>,
    failures: Vec<FailedSentence>,
    done: (u64, u64),
    unexplained: u64,
    phi: (u64, u64),
    mass: (f64, u64),
}

/// Sentences fetched at once.
const FETCH: usize = 256;

pub(super) fn bare_prompt(text: &str) -> prompt::SentencePrompt {
    prompt::SentencePrompt { text: text.to_owned(), ..prompt::SentencePrompt::default() }
}

/// How an answer is drawn: the likeliest, but when several are compared.
pub(super) fn sampling(settings: &LabelSettings, sample: usize) -> DecodingParams {
    let max_tokens = 220;
    if settings.samples < 2 {
        return DecodingParams::greedy(max_tokens);
    }
    DecodingParams { max_tokens, temperature: 0.7, top_p: 1.0, seed: settings.seed + sample as u64 }
}

/// Sentences with what is shown around them, and the sentences of real notes that this makes.
pub(super) fn sentence_prompts(
    store: &Store,
    plan: &LabelPlan,
    settings: &LabelSettings,
    ids: &[SentenceId],
) -> Result<Vec<(SentenceId, prompt::SentencePrompt, Vec<SentenceId>)>, WorkflowError> {
    let mut all = Vec::with_capacity(ids.len());
    for row in store.texts(ids)? {
        let mut shows = vec![row.id];
        shows.extend(&plan.shown);
        let nearest = plan.nearest.as_ref().map_or_else(Vec::new, |nearest| likest(nearest, row.id, &row.text));
        shows.extend(nearest.iter().map(|(id, _)| *id));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        if settings.context > 0 {
            let sentence = store.sentence(row.id)?;
            let around = store.sentences(sentence.document)?;
            let at = around.iter().position(|s| s.id == row.id).unwrap_or(0);
            let first = at.saturating_sub(settings.context);
            let last = (at + settings.context + 1).min(around.len());
            let ids: Vec<SentenceId> = around[first..last].iter().map(|s| s.id).filter(|id| *id != row.id).collect();
            shows.extend(&ids);
            for neighbour in store.texts(&ids)? {
                if neighbour.id < row.id { before.push(neighbour.text) } else { after.push(neighbour.text) }
            }
        }
        let nearest = nearest.into_iter().map(|(_, shot)| shot).collect();
        all.push((row.id, prompt::SentencePrompt { text: row.text, before, after, nearest }, shows));
    }
    Ok(all)
}

/// A sentence is never shown its own gold.
fn likest(nearest: &Nearest, id: SentenceId, text: &str) -> Vec<(SentenceId, FewShotExample)> {
    let found = nearest.index.nearest(text, nearest.most + 1).into_iter();
    let shots = found.filter_map(|(at, _)| nearest.shots.get(at));
    shots.filter(|(other, shot)| *other != id && shot.text != text).take(nearest.most).cloned().collect()
}

impl<'a> LabelJob<'a> {
    #[expect(clippy::too_many_arguments, reason = "everything that a job is made of, once")]
    pub(super) fn new(
        project: &'a Project,
        run: &'a RunId,
        plan: &'a LabelPlan,
        settings: &'a LabelSettings,
        model: &dyn LanguageModel,
        ids: Option<Vec<SentenceId>>,
        left: u64,
        screen: PhiPolicy,
    ) -> Self {
        let choice = plan.prompt.by_choice();
        let group = match choice {
            true => model.questions_at_once(),
            false if settings.samples > 1 => 1,
            false => settings.sentences_per_request,
        };
        Self {
            taxonomy: &project.taxonomy,
            run,
            plan,
            settings,
            group: group.max(1),
            choice,
            screen,
            orders: OrderScreen::new(&project.taxonomy),
            ids: ids.map(VecDeque::from),
            after: SentenceId(0),
            ready: VecDeque::new(),
            left,
            samples: FxHashMap::default(),
            more: VecDeque::new(),
            proposals: Vec::new(),
            failures: Vec::new(),
            done: (0, 0),
            unexplained: 0,
            phi: (0, 0),
            mass: (0.0, 0),
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let mass = (self.mass.1 > 0).then(|| self.mass.0 / self.mass.1 as f64);
        Tally { unexplained: self.unexplained, phi: self.phi, mass }
    }

    fn prompt(&self) -> &'a LabelPrompt {
        &self.plan.prompt
    }

    fn fetch(&mut self, store: &Store) -> Result<(), WorkflowError> {
        while self.ready.len() < self.group && self.left > 0 {
            let most = FETCH.min(usize::try_from(self.left).unwrap_or(FETCH));
            let ids: Vec<SentenceId> = match &mut self.ids {
                Some(ids) => ids.drain(..most.min(ids.len())).collect(),
                None => store.unlabelled(self.run, self.after, most)?,
            };
            let Some(last) = ids.last() else {
                self.left = 0;
                break;
            };
            self.after = *last;
            self.left -= ids.len() as u64;
            for (id, prompt, shows) in sentence_prompts(store, self.plan, self.settings, &ids)? {
                self.screen(LabelItem { id, prompt, shows });
            }
        }
        Ok(())
    }

    /// Lets a sentence pass, or keeps it back: because it speaks to the model, or because it looks like a person's data and the
    /// project says so.
    fn screen(&mut self, item: LabelItem) {
        if let Some(fault) = self.orders.refusal(item.prompt.texts()) {
            self.fail(&item, fault, String::new());
            return;
        }
        if self.screen != PhiPolicy::Off {
            let found: Vec<_> = item.prompt.texts().flat_map(|text| crate::domain::phi::screen(text)).collect();
            if !found.is_empty() && self.screen == PhiPolicy::Block {
                let mut kinds: Vec<String> = found.iter().map(|f| f.kind.to_string()).collect();
                kinds.sort();
                kinds.dedup();
                let refusal = crate::domain::egress::EgressRefusal::Phi { count: found.len(), kinds: kinds.join(", ") };
                self.phi.0 += 1;
                self.fail(&item, refusal.to_string(), String::new());
                return;
            }
            self.phi.1 += found.len() as u64;
        }
        self.ready.push_back(item);
    }

    fn fail(&mut self, item: &LabelItem, fault: String, reply: String) {
        self.done.1 += 1;
        self.failures.push(FailedSentence { sentence: item.id, fault, reply });
    }

    fn propose(&mut self, proposal: NewProposal) {
        self.done.0 += 1;
        self.proposals.push(proposal);
    }

    fn request(&self, items: Vec<LabelItem>, sample: usize) -> JobRequest<Tag> {
        let prompts: Vec<prompt::SentencePrompt> = items.iter().map(|item| item.prompt.clone()).collect();
        let mut sentences: Vec<SentenceId> = items.iter().flat_map(|item| item.shows.clone()).collect();
        sentences.sort_unstable();
        sentences.dedup();
        if self.choice {
            let question = Question::Choose(self.prompt().choose(&prompts));
            return JobRequest { tag: Tag::Choose(items), question, purpose: "label", sentences };
        }
        let request = self.prompt().write(&prompts, sampling(self.settings, sample), self.settings.samples < 2);
        let question = Question::Write(request.clone());
        JobRequest { tag: Tag::Write { items, request, tries: 0, sample }, question, purpose: "label", sentences }
    }

    /// Takes the choices for a group of sentences.
    fn chosen(&mut self, items: Vec<LabelItem>, choices: &[ChoiceReply]) -> Vec<JobRequest<Tag>> {
        let mut explain = Vec::new();
        for (item, choice) in items.into_iter().zip(choices) {
            let (probabilities, mass) = self.prompt().weigh(&choice.logprobs);
            if mass <= 0.0 {
                self.fail(&item, "the model gave none of the answers any probability".into(), String::new());
                continue;
            }
            self.mass = (self.mass.0 + mass, self.mass.1 + 1);
            let (label, value) = self.prompt().decide(&probabilities);
            let wanted = match self.settings.explain {
                Explain::None => false,
                Explain::Doubtful => value < self.settings.doubtful,
                Explain::All => !label.is_none(),
            };
            let categories = self.prompt().task() == LabelTask::Categories;
            let proposal = NewProposal {
                confidence: Some(Confidence { value, kind: ConfidenceKind::TokenProbability }),
                // A binary run knows of no category's probability.
                probabilities: if categories { probabilities } else { Vec::new() },
                ..NewProposal::bare(item.id, label)
            };
            if wanted {
                let request = prompt::explain(self.taxonomy, &item.prompt.text, &proposal.label);
                explain.push(explanation(item, Box::new(proposal), request, 0));
            } else {
                self.propose(proposal);
            }
        }
        explain
    }

    /// Takes what was written for a group of sentences.
    fn written(
        &mut self,
        items: Vec<LabelItem>,
        request: &WriteRequest,
        tries: usize,
        sample: usize,
        reply: &Reply,
    ) -> Vec<JobRequest<Tag>> {
        let answers = reply::each(reply, &request.shape);
        let several = items.len() > 1;
        let mut again = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let read = answers.clone().and_then(|answers| {
                let answer = answers
                    .get(at)
                    .ok_or(ReplyFault::Answers(answers.len(), at + 1))?
                    .as_ref()
                    .map_err(Clone::clone)?;
                let number = answer.get("number").and_then(serde_json::Value::as_str);
                if number.is_some_and(|number| number != (at + 1).to_string()) {
                    return Err(ReplyFault::Answers(answers.len(), answers.len()));
                }
                reply::labelled(answer, self.taxonomy, &item.prompt.text)
            });
            match read {
                Ok(labelled) if self.settings.samples > 1 => self.sampled(&item, Ok(labelled)),
                Ok(labelled) => {
                    let field = self.prompt().fields().first().map_or_else(String::new, |f| f.name.clone());
                    let by_tokens = reply::probability(reply, &field, at)
                        .map(|value| Confidence { value, kind: ConfidenceKind::TokenProbability });
                    let stated = labelled.stated.map(|value| Confidence { value, kind: ConfidenceKind::Stated });
                    self.propose(proposal(item.id, labelled, by_tokens.or(stated)));
                }
                Err(_) if several && tries <= self.settings.retries => {
                    // One by one, the model has less to confuse.
                    let mut request = self.request(vec![item], sample);
                    if let Tag::Write { tries: next, .. } = &mut request.tag {
                        *next = tries + 1;
                    }
                    again.push(request);
                }
                Err(fault) if tries < self.settings.retries => {
                    again.push(retry(item, request, &fault, reply, tries, sample));
                }
                Err(fault) if self.settings.samples > 1 => self.sampled(&item, Err(fault.to_string())),
                Err(fault) => self.fail(&item, fault.to_string(), shortened(&reply.text)),
            }
        }
        again
    }

    /// Takes one of several samples; with the last, the label that most of them gave.
    fn sampled(&mut self, item: &LabelItem, sample: Result<CheckedLabel, String>) {
        let samples = self.samples.entry(item.id).or_default();
        match sample {
            Ok(labelled) => samples.given.push(labelled),
            Err(fault) => {
                samples.failed += 1;
                samples.fault = fault;
            }
        }
        if samples.given.len() + samples.failed < self.settings.samples {
            return;
        }
        let Some(samples) = self.samples.remove(&item.id) else {
            return;
        };
        let mut votes: Vec<(usize, &Label)> = Vec::new();
        for given in &samples.given {
            match votes.iter_mut().find(|(_, label)| **label == given.label) {
                Some(vote) => vote.0 += 1,
                None => votes.push((1, &given.label)),
            }
        }
        // Of labels with as many votes, the one given first.
        let most = votes.iter().rev().max_by_key(|(n, _)| *n).map(|(n, label)| (*n, (*label).clone()));
        match most {
            Some((n, label)) => {
                let value = n as f64 / self.settings.samples as f64;
                let first = samples.given.into_iter().find(|given| given.label == label).unwrap_or_default();
                let confidence = Confidence { value, kind: ConfidenceKind::SelfConsistency };
                self.propose(proposal(item.id, first, Some(confidence)));
            }
            None => self.fail(item, samples.fault, String::new()),
        }
    }

    fn explained(
        &mut self,
        item: LabelItem,
        mut proposal: Box<NewProposal>,
        request: &WriteRequest,
        tries: usize,
        reply: &Reply,
    ) -> Vec<JobRequest<Tag>> {
        let read = reply::objects(reply, &request.shape).and_then(|answers| match answers.first() {
            Some(answer) => reply::explained(answer, &item.prompt.text),
            None => Err(ReplyFault::NoObject),
        });
        match read {
            Ok((evidence, rationale)) => {
                proposal.evidence = if proposal.label.is_none() { Vec::new() } else { evidence };
                proposal.rationale = rationale;
                self.propose(*proposal);
                Vec::new()
            }
            Err(fault) if tries < self.settings.retries => {
                let request = named(request, &fault, reply);
                vec![explanation(item, proposal, request, tries + 1)]
            }
            Err(_) => {
                // The label stands by its probability; only its explanation could not be had.
                self.unexplained += 1;
                self.propose(*proposal);
                Vec::new()
            }
        }
    }
}

fn explanation(item: LabelItem, proposal: Box<NewProposal>, request: WriteRequest, tries: usize) -> JobRequest<Tag> {
    let (question, sentences) = (Question::Write(request.clone()), vec![item.id]);
    JobRequest { tag: Tag::Explain { item, proposal, request, tries }, question, purpose: "explain", sentences }
}

fn proposal(id: SentenceId, labelled: CheckedLabel, confidence: Option<Confidence>) -> NewProposal {
    NewProposal {
        confidence,
        rationale: labelled.rationale,
        evidence: labelled.evidence,
        ..NewProposal::bare(id, labelled.label)
    }
}

/// The conversation so far with the reply and what is wrong with it.
fn named(request: &WriteRequest, fault: &ReplyFault, reply: &Reply) -> WriteRequest {
    let mut request = request.clone();
    request.turns.push(ChatMessage::new(Role::Assistant, shortened(&reply.text)));
    let said = format!("That answer cannot be used: {fault}. Answer again, in the form asked for.");
    request.turns.push(ChatMessage::new(Role::User, said));
    request
}

fn retry(
    item: LabelItem,
    request: &WriteRequest,
    fault: &ReplyFault,
    reply: &Reply,
    tries: usize,
    sample: usize,
) -> JobRequest<Tag> {
    let request = named(request, fault, reply);
    let (question, sentences) = (Question::Write(request.clone()), item.shows.clone());
    JobRequest {
        tag: Tag::Write { items: vec![item], request, tries: tries + 1, sample },
        question,
        purpose: "label",
        sentences,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(2_000).collect()
}

impl RequestJob for LabelJob<'_> {
    type Tag = Tag;

    fn next(&mut self, store: &mut Store) -> Result<NextRequest<Tag>, WorkflowError> {
        if let Some(request) = self.more.pop_front() {
            return Ok(NextRequest::Send(Box::new(request)));
        }
        self.fetch(store)?;
        let items: Vec<LabelItem> = self.ready.drain(..self.group.min(self.ready.len())).collect();
        if items.is_empty() {
            return Ok(NextRequest::Done);
        }
        if !self.choice {
            for sample in 1..self.settings.samples {
                let request = self.request(items.clone(), sample);
                self.more.push_back(request);
            }
        }
        Ok(NextRequest::Send(Box::new(self.request(items, 0))))
    }

    fn take(
        &mut self,
        _: &mut Store,
        tag: Tag,
        said: Result<Answer, String>,
    ) -> Result<Vec<JobRequest<Tag>>, WorkflowError> {
        Ok(match (tag, said) {
            (Tag::Choose(items), Ok(Answer::Chosen(choices))) if choices.len() == items.len() => {
                self.chosen(items, &choices)
            }
            (Tag::Write { items, request, tries, sample }, Ok(Answer::Written(reply))) => {
                self.written(items, &request, tries, sample, &reply)
            }
            (Tag::Explain { item, proposal, request, tries }, Ok(Answer::Written(reply))) => {
                self.explained(item, proposal, &request, tries, &reply)
            }
            (Tag::Explain { proposal, .. }, _) => {
                self.unexplained += 1;
                self.propose(*proposal);
                Vec::new()
            }
            (Tag::Write { items, sample, .. }, Err(_)) if items.len() > 1 => {
                // What is too much for one request may not be for several.
                items.into_iter().map(|item| self.request(vec![item], sample)).collect()
            }
            (Tag::Choose(items) | Tag::Write { items, .. }, said) => {
                let why = said.err().unwrap_or_else(|| "the provider answered another question".into());
                for item in &items {
                    match self.settings.samples > 1 && !self.choice {
                        true => self.sampled(item, Err(why.clone())),
                        false => self.fail(item, why.clone(), String::new()),
                    }
                }
                Vec::new()
            }
        })
    }

    fn flush(&mut self, store: &mut Store) -> Result<(), WorkflowError> {
        if !self.proposals.is_empty() {
            store.propose(self.run, Source::Llm, &self.proposals)?;
            self.proposals.clear();
        }
        store.record_failures(self.run, now(), &self.failures)?;
        self.failures.clear();
        Ok(())
    }

    fn done(&self) -> (u64, u64) {
        self.done
    }
}
