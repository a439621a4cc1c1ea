//! Goldsmith turns a language model's silver and bronze labels into expert gold.
//!
//! Data flows one way: [`formats`] read notes into the [`store`]; machines propose; experts decide in the [`tui`]; the
//! [`classifier`] trains on what they decided; [`domain`] arithmetic scores it; [`formats`] write it out. The [`workflow`]
//! layer holds one file for each use case; [`cli`] and [`tui`] are two faces of it and hold no rule of the domain.

// Without a feature nothing calls what its room alone would call.
#![cfg_attr(
    not(all(feature = "embedded", feature = "encoders", feature = "sealed-bundles", feature = "servers")),
    expect(dead_code, reason = "a room that is left out would use it")
)]
// No input makes the program panic, and it prints through the writers of `cli` alone, which know whether anybody reads.
#![cfg_attr(
    not(test),
    deny(
        clippy::dbg_macro,
        clippy::exit,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod classifier;
pub mod cli;
pub mod domain;
#[cfg(test)]
mod factory;
pub mod formats;
#[doc(hidden)]
pub mod fuzzing;
pub mod llm;
mod plain_file;
pub mod store;
pub mod tui;
pub mod workflow;
