//! Every fuzzer: its name is that of the target in `src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert!(goldsmith::fuzzing::run(env!("CARGO_BIN_NAME"), bytes), "there is no such target");
});
