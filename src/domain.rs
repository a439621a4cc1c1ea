//! Pure data and arithmetic: taxonomy, corpus, labels, gold, splits, metrics.
//!
//! Deliberately absent: input and output, async, the clock, and any source of randomness but a seed handed in. Nothing
//! here knows a disease; categories come from a taxonomy file.

pub mod acquisition;
pub mod agreement;
pub mod category;
pub mod comparison;
pub mod confident;
pub mod corpus;
pub mod egress;
pub mod entry;
pub mod experiment;
pub mod gold;
pub mod guideline;
pub mod key_map;
pub mod label;
pub mod label_set;
pub mod metrics;
pub mod phi;
pub mod projection;
pub mod protocol;
pub mod quality;
pub mod queue;
pub mod quota;
pub mod segment;
pub mod sight;
pub mod similar;
pub mod simulation;
pub mod spending;
pub mod split;
pub mod statistics;
pub mod taxonomy;
pub mod text;
pub mod visibility;
mod words;
