//! Stands for the rooms of encoders where the feature `encoders` is off: their names, and no value that could be made of them.

use super::ClassifierError;

pub(super) mod encoder {
    use std::path::Path;

    use sha2::{Digest, Sha256};

    use super::ClassifierError;

    /// There is none.
    #[derive(Debug)]
    pub enum Encoder {}

    impl Encoder {
        pub(crate) fn open(_: &Path, _: usize, _: usize) -> Result<Self, ClassifierError> {
            Err(ClassifierError::LeftOut)
        }

        pub(crate) fn name(&self) -> String {
            match *self {}
        }

        pub(crate) fn fingerprint(&self) -> &str {
            match *self {}
        }

        pub(crate) fn hash(text: &str) -> [u8; 32] {
            Sha256::digest(text).into()
        }

        pub(crate) fn unknown<'a>(&self, _: &[&'a str]) -> Vec<&'a str> {
            match *self {}
        }

        pub(crate) fn remember(&self, _: Vec<([u8; 32], Vec<f32>)>) {
            match *self {}
        }

        pub(crate) fn embed(&self, _: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
            match *self {}
        }
    }

    /// Of a computation that is not there.
    pub struct Threads;

    impl Threads {
        pub(crate) fn available() -> usize {
            1
        }
    }
}

pub(super) mod frozen {
    use std::path::Path;
    use std::sync::Arc;

    use super::ClassifierError;
    use super::encoder::Encoder;
    use crate::classifier::artifact::ModelManifest;
    use crate::classifier::{Classifier, HeadConfig, TrainingCallback, TrainingTask};

    pub(crate) fn train(
        encoder: &Arc<Encoder>,
        _: &TrainingTask<'_>,
        _: &HeadConfig,
        _: &mut TrainingCallback<'_>,
    ) -> Result<Box<dyn Classifier>, ClassifierError> {
        match **encoder {}
    }

    pub(crate) fn restore(_: &Path, _: ModelManifest) -> Result<Box<dyn Classifier>, ClassifierError> {
        Err(ClassifierError::LeftOut)
    }
}

pub(super) mod tune {
    use std::path::Path;
    use std::sync::Arc;

    pub(crate) use super::frozen::restore;

    use super::ClassifierError;
    use super::encoder::Encoder;
    use crate::classifier::{Classifier, Example, IndexedTokens, TrainingCallback, TrainingTask, TuneConfig};

    pub(crate) fn train(
        encoder: &Arc<Encoder>,
        _: &TrainingTask<'_>,
        _: &TuneConfig,
        _: Option<&Path>,
        _: &mut TrainingCallback<'_>,
    ) -> Result<Box<dyn Classifier>, ClassifierError> {
        match **encoder {}
    }

    pub(crate) fn batches(
        encoder: &Encoder,
        _: &[Example<'_>],
        _: &TuneConfig,
        _: u64,
    ) -> Result<Vec<IndexedTokens>, ClassifierError> {
        match *encoder {}
    }
}
