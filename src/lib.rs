//! Goldsmith turns a language model's silver and bronze labels into expert gold.
//!
//! Data flows one way: [`formats`] read notes into the [`store`]; machines propose; experts decide in the [`tui`]; the
//! [`classifier`] trains on what they decided; [`domain`] arithmetic scores it; [`formats`] write it out. The [`workflow`]
//! layer holds one file for each use case; [`cli`] and [`tui`] are two faces of it and hold no rule of the domain.

#![deny(missing_docs, unsafe_code)]

pub mod classifier;
pub mod cli;
pub mod domain;
pub mod formats;
pub mod llm;
pub mod store;
pub mod tui;
pub mod workflow;
