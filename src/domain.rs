//! Pure data and arithmetic: taxonomy, corpus, labels, gold, splits, metrics.
//!
//! Deliberately absent: input and output, async, the clock, and any source of randomness but a seed handed in. Nothing
//! here knows a disease; categories come from a taxonomy file.

pub mod acquisition;
pub(crate) mod agreement;
pub(crate) mod category;
pub(crate) mod comparison;
pub(crate) mod confident;
pub mod corpus;
pub(crate) mod egress;
pub(crate) mod entry;
pub(crate) mod experiment;
pub(crate) mod gold;
pub(crate) mod guideline;
pub(crate) mod key_map;
pub mod label;
pub(crate) mod label_set;
pub mod label_words;
pub(crate) mod metrics;
pub(crate) mod people;
pub(crate) mod person;
pub(crate) mod phi;
pub(crate) mod projection;
pub(crate) mod protocol;
pub(crate) mod quality;
pub mod queue;
pub(crate) mod quota;
pub(crate) mod secret;
pub(crate) mod segment;
pub mod sight;
pub(crate) mod signature;
pub(crate) mod similar;
pub(crate) mod simulation;
pub(crate) mod spending;
pub mod split;
pub mod statistics;
pub(crate) mod taxonomy;
pub mod text;
pub(crate) mod visibility;
mod words;
