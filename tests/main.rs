//! Everything that looks at the program from outside, in one binary: candle is linked once. The program is the whole one;
//! what is left of it without its features, `without_features.sh` looks at, and what encryption adds, `encrypted_store.sh`.

#![cfg(all(feature = "embedded", feature = "encoders", feature = "sealed-bundles", feature = "servers"))]

#[cfg(test)]
mod it {
    mod backup;
    mod bundle;
    mod cli;
    mod disk;
    mod docs;
    mod encoder;
    #[cfg(feature = "encrypted-store")]
    mod encryption;
    mod exit_codes;
    mod experiment;
    mod experts;
    mod faults;
    mod fuzz;
    mod golden;
    mod hostile_model;
    mod import;
    mod labelling;
    mod layers;
    mod log;
    #[expect(dead_code, reason = "benches/labelling.rs needs more of it")]
    mod model_server;
    mod models;
    mod plain_files;
    mod support;
    mod tampering;
    mod terminal;
    mod trust;
    mod visibility;
}
