//! Several models asked at once: the mean of their calibrated probabilities. Models that look at a text in different ways err
//! in different places, so the mean is mostly better than the best of them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::artifact::{self, ModelKind, ModelManifest};
use super::tensors::{self, StoredTensor};
use super::{Classifier, ClassifierError, Example, calibrate, load, targets};
use crate::domain::taxonomy::Selection;
use crate::domain::text::Cause;

/// Models with the same outputs.
pub(crate) struct VotingModel {
    parts: Vec<Box<dyn Classifier>>,
    thresholds: Vec<f32>,
}

impl VotingModel {
    /// Joins models; under `multiple` the thresholds are set anew, for the mean.
    pub(super) fn new(parts: Vec<Box<dyn Classifier>>, validation: &[Example<'_>]) -> Result<Self, ClassifierError> {
        let mut model = Self { parts, thresholds: Vec::new() };
        if model.selection() == Selection::Multiple && !validation.is_empty() {
            let texts: Vec<&str> = validation.iter().map(|example| example.text).collect();
            let rows = model.predict(&texts)?;
            let truth: Vec<&[usize]> = validation.iter().map(|example| example.outputs.as_slice()).collect();
            model.thresholds = calibrate::thresholds(model.outputs().len(), &rows, &truth);
        }
        Ok(model)
    }

    fn part(folder: &Path, number: usize) -> PathBuf {
        folder.join(format!("part-{number}"))
    }

    /// The model that a folder and its description make.
    pub(super) fn restore(folder: &Path, description: ModelManifest) -> Result<Self, ClassifierError> {
        let fail = |cause: Cause| ClassifierError::Unreadable { path: folder.into(), cause };
        artifact::weights(folder, &description)?;
        let known = description.details["parts"].as_array().cloned().unwrap_or_default();
        let mut parts = Vec::new();
        for (number, fingerprint) in known.iter().enumerate() {
            let place = Self::part(folder, number);
            let weights = artifact::fingerprint(&place)?;
            if Some(weights.as_str()) != fingerprint.as_str() {
                return Err(fail(format!("{} is not the model that voted", place.display()).into()));
            }
            let (part, _) = load(&place)?;
            if part.outputs() != description.outputs || part.selection() != description.selection {
                return Err(fail(format!("{} has other outputs", place.display()).into()));
            }
            parts.push(part);
        }
        if parts.is_empty() {
            return Err(fail("it has no parts".into()));
        }
        Ok(Self { parts, thresholds: description.thresholds })
    }
}

impl Classifier for VotingModel {
    fn outputs(&self) -> &[String] {
        self.parts.first().map_or(&[], |part| part.outputs())
    }

    fn selection(&self) -> Selection {
        self.parts.first().map_or(Selection::Single, |part| part.selection())
    }

    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let mut sums = vec![vec![0.0; self.outputs().len()]; texts.len()];
        for part in &self.parts {
            for (sums, row) in sums.iter_mut().zip(part.predict(texts)?) {
                sums.iter_mut().zip(row).for_each(|(sum, p)| *sum += p / self.parts.len() as f32);
            }
        }
        Ok(sums)
    }

    fn choose(&self, probabilities: &[f32]) -> Vec<usize> {
        targets::choose(self.selection(), probabilities, &self.thresholds)
    }

    fn save(&self, folder: &Path, card: &Value) -> Result<String, ClassifierError> {
        let description = ModelManifest::new(ModelKind::Vote, self.outputs(), self.selection(), card)
            .calibrated(1.0, &self.thresholds);
        artifact::save(folder, description, |description, weights| {
            let beside = weights.parent().unwrap_or(weights);
            let mut parts = Vec::new();
            for (number, part) in self.parts.iter().enumerate() {
                parts.push(part.save(&Self::part(beside, number), &Value::Null)?);
            }
            description.details = json!({ "parts": parts });
            // The weights are the parts'; this file only names them.
            tensors::write(weights, &[("parts", StoredTensor::of(&[parts.len() as u32], &[]))])
        })
    }

    fn describe(&self) -> Value {
        json!({ "kind": ModelKind::Vote, "parts": self.parts.iter().map(|part| part.describe()).collect::<Vec<_>>() })
    }
}
