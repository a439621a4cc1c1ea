//! A fine-tuned model out of the tool: a folder that transformers and the servers built on it load as it is, with a card.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::domain::label::RunId;
use crate::domain::metrics::{ScoreReport, ScoreRow};
use crate::domain::statistics::Estimate;
use crate::formats::tables::percent;
use crate::store::Store;
use crate::workflow::label_index::LabelIndex;
use crate::workflow::project::Project;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::saved_model::{self, Loaded};
use crate::workflow::{WorkflowError, scores};

/// The files of a model's folder that go out, where they are there.
const FILES: [&str; 8] = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "LICENSE",
    "model.json",
];

/// What goes into a card.
struct ModelCard<'a> {
    project: &'a Project,
    described: &'a Value,
    card: &'a Value,
    outputs: &'a [String],
    report: Option<&'a ScoreReport>,
}

/// Writes a model's folder to `out`, which must not be there yet.
pub(crate) fn export(project: &Project, store: &Store, folder: &Path, out: &Path) -> Result<PathBuf, WorkflowError> {
    let _span = tracing::info_span!("export_model").entered();
    let Loaded { model, card, .. } = saved_model::load(folder, Some(store))?;
    if !folder.join("config.json").is_file() {
        let said = format!(
            "the model in {} is no fine-tuned encoder, and transformers has no form for any other",
            folder.display()
        );
        return Err(Refusal::new(RefusalKind::Unsupported { with: "transformers" }, said)
            .hint(
                "`goldsmith train --method finetune --encoder DIR` trains one (with `--last-layers 0` its head alone)",
            )
            .hint("`goldsmith predict` labels texts with this one")
            .into());
    }
    let described = model.describe();
    if described["loads_elsewhere"] == false {
        let said = format!(
            "the model in {} sees the mean of all positions, and transformers has no class of this encoder that does",
            folder.display()
        );
        return Err(Refusal::new(RefusalKind::Unsupported { with: "transformers" }, said)
            .hint("train one with `mean_pooling = false` under [train]")
            .into());
    }
    if out.exists() {
        let said = format!("{} already exists; nothing was written", out.display());
        return Err(Refusal::exists(out.display().to_string(), said).into());
    }
    let index = LabelIndex::read(project, store)?;
    let run = card["run"].as_str().map(|run| RunId(run.to_owned()));
    let scored = run.and_then(|run| scores::score(project, &index, &run, project.file.bootstrap));
    let report = scored.as_ref().map(|scored| &scored.report).filter(|report| report.sentences > 0);
    let text = ModelCard { project, described: &described, card: &card, outputs: model.outputs(), report }.text();
    let fail = |cause: std::io::Error| WorkflowError::Folder { path: out.into(), cause };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let staged = tempfile::Builder::new().prefix(".export-").tempdir_in(parent).map_err(fail)?;
    for name in FILES.iter().filter(|name| folder.join(name).is_file()) {
        std::fs::copy(folder.join(name), staged.path().join(name)).map_err(fail)?;
    }
    std::fs::write(staged.path().join("README.md"), text).map_err(fail)?;
    std::fs::rename(staged.keep(), out).map_err(fail)?;
    Ok(out.into())
}

impl ModelCard<'_> {
    /// The card, as the hub has it: a head in YAML, then Markdown.
    fn text(&self) -> String {
        let licence = self.described["licence"].as_str();
        let encoder = self.described["encoder"].as_str().unwrap_or("an encoder");
        let trained = &self.card["trained_on"];
        let count = |name: &str| trained[name].as_u64().unwrap_or(0);
        let split = &self.card["config"]["split"];
        let most = self.described["max_tokens"].as_u64().unwrap_or(512);
        let taxonomy = &self.project.taxonomy;
        let mut text = String::from("---\nlibrary_name: transformers\npipeline_tag: text-classification\n");
        if let Some(licence) = licence {
            let _ = writeln!(text, "license: {licence}");
        }
        let _ = write!(
            text,
            "---\n\n# {name}: sentences of clinical notes by the categories of `{taxonomy}`\n\nFine-tuned from {encoder} with Goldsmith, run `{run}`.\n\n## Data\n\n\
             | tier | sentences trained on |\n|---|---|\n| gold: experts' labels of real sentences | {gold} |\n| silver: a language model's labels of real sentences | {silver} |\n| bronze: sentences that a language model wrote for a label | {bronze} |\n\n\
             Patients are shared out by a hash of their key with seed {seed}: {validation_share} validation, {test_share} test, the others train. \
             {validation} gold sentences chose the epoch, the temperature and (with several labels at once) the thresholds; {test} gold sentences of {patients} other patients were held out for the scores below. \
             Silver and bronze were never scored against.\n",
            name = self.project.file.name,
            taxonomy = taxonomy.name(),
            run = self.card["run"].as_str().unwrap_or_default(),
            gold = count("gold"),
            silver = count("silver"),
            bronze = count("bronze"),
            seed = split["seed"],
            validation_share = percent_of(&split["validation"]),
            test_share = percent_of(&split["test"]),
            validation = count("validation"),
            test = count("test"),
            patients = count("test_patients"),
        );
        text += "\n## Scores on held-out gold\n\n";
        match self.report {
            Some(report) => self.scores(&mut text, report),
            None => text += "There was no gold of test patients to score on.\n",
        }
        let _ = write!(
            text,
            "\n## Labels\n\n{labels}\n\nProblem type: {problem}. The temperature ({temperature:.3}, set on validation) is part of the last layer's weights, so probabilities are calibrated as they come.{thresholds}\n\n\
             ## Use\n\n```python\nfrom transformers import pipeline\n\nlabel = pipeline(\"text-classification\", model=\".\", truncation=True, max_length={most})\nprint(label(\"She forgets names.\"))\n```\n\n\
             ## Limits\n\n- It labels one sentence at a time, of at most {most} tokens, in the language and the style of the notes that it was trained on; other hospitals write differently.\n\
             - Categories with few test sentences have wide intervals; where the interval is wide the score is not known.\n\
             - It is an aid to annotation and research. It is not a medical device and decides nothing about a patient.\n\
             - Its weights were made from clinical notes and may hold traces of them: share it under the terms of the notes (here: {data_use}).\n\n\
             ## Licence\n\n{licence}\n",
            labels = self.outputs.iter().map(|o| format!("`{o}`")).collect::<Vec<_>>().join(", "),
            problem = if self.described["multiple"].as_bool() == Some(true) {
                "several labels at once (sigmoid)"
            } else {
                "one label (softmax)"
            },
            temperature = self.described["temperature"].as_f64().unwrap_or(1.0),
            thresholds = match self.described["thresholds"].as_array().filter(|all| !all.is_empty()) {
                Some(all) => {
                    let of = |(name, t): (&String, &Value)| format!("`{name}` {:.3}", t.as_f64().unwrap_or(0.5));
                    format!(" Thresholds: {}.", self.outputs.iter().zip(all).map(of).collect::<Vec<_>>().join(", "))
                }
                None => String::new(),
            },
            data_use = self.project.file.privacy.data_use,
            licence = match licence {
                Some(licence) => format!(
                    "The encoder's folder says `{licence}`. What was trained from it is under the same terms and those of the notes."
                ),
                None =>
                    "The encoder's folder does not say its licence; find it out before you share this model.".into(),
            },
        );
        text
    }

    fn scores(&self, text: &mut String, report: &ScoreReport) {
        let with = |estimate: &Estimate| match estimate.interval {
            Some((low, high)) => {
                format!("{} ({} to {})", percent(estimate.value), percent(Some(low)), percent(Some(high)))
            }
            None => percent(estimate.value),
        };
        let _ = writeln!(
            text,
            "{} sentences of {} patients, {} % of them labelled blind; 95 % intervals by bootstrap over patients.\n",
            report.sentences,
            report.patients,
            percent(report.blind_share())
        );
        let _ = writeln!(text, "| category | sentences | precision | recall | F1 |\n|---|---|---|---|---|");
        let mut line = |name: &str, row: &ScoreRow, support: String| {
            let _ = writeln!(
                text,
                "| {name} | {support} | {} | {} | {} |",
                percent(row.precision.value),
                percent(row.recall.value),
                with(&row.f1)
            );
        };
        line("None", &report.none, report.none.counts.support().to_string());
        for (category, row) in self.project.taxonomy.categories().iter().zip(&report.categories) {
            line(&category.name, row, row.counts.support().to_string());
        }
        line("macro average", &report.averages.macro_, String::new());
        let off = self.card["scores_on_test"]["calibration_error"].as_f64();
        let _ = writeln!(text, "\nAccuracy {}. Expected calibration error {} %.", with(&report.accuracy), percent(off));
    }
}

fn percent_of(share: &Value) -> String {
    format!("{:.0} %", share.as_f64().unwrap_or(0.0) * 100.0)
}
