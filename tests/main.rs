//! Everything that looks at the program from outside, in one binary: candle is linked once.

mod it {
    mod bundle;
    mod cli;
    mod docs;
    mod encoder;
    mod exit_codes;
    mod experiment;
    mod experts;
    mod faults;
    mod golden;
    mod labelling;
    mod layers;
    mod log;
    mod model_server;
    mod models;
    mod support;
    mod terminal;
    mod visibility;
}
