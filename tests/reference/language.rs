#!/usr/bin/env -S cargo +nightly -Zscript
---
[package]
edition = "2024"

[dependencies]
candle-core = "0.11"
candle-transformers = "0.11"
serde_json = "1"
---
//! What candle's own quantised models compute: the logits after forty tokens.
//!
//! usage: GOLDSMITH_KEEP_MODELS=FOLDER cargo test --lib each_family_computes
//!        tests/reference/language.rs FOLDER tests/data
//! writes: tests/data/language.json
//!
//! A script of its own, so that the tests need not build candle-transformers: it takes as long as a tenth of all else.

use std::fs::{self, File};
use std::path::Path;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_gemma3, quantized_llama, quantized_qwen2, quantized_qwen3};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, models, data] = &arguments[..] else { panic!("usage: language.rs FOLDER DATA") };
    let mut all = serde_json::Map::new();
    all.insert("made_by".into(), "tests/reference/language.rs".into());
    for family in ["qwen2", "qwen3", "llama", "gemma3"] {
        let mut file = File::open(Path::new(models).join(format!("{family}.gguf"))).unwrap();
        let content = Content::read(&mut file).unwrap();
        let (file, device) = (&mut file, &Device::Cpu);
        let tokens: Vec<u32> = (0..40).map(|at| (at * 37 + 11) % 250).collect();
        let input = Tensor::new(tokens, device).unwrap().unsqueeze(0).unwrap();
        macro_rules! run {
            ($theirs:ident) => {
                $theirs::ModelWeights::from_gguf(content, file, device).and_then(|mut m| m.forward(&input, 0))
            };
        }
        let logits = match family {
            "qwen2" => run!(quantized_qwen2),
            "qwen3" => run!(quantized_qwen3),
            "llama" => run!(quantized_llama),
            _ => run!(quantized_gemma3),
        };
        let logits: Vec<f32> = logits.unwrap().flatten_all().unwrap().to_vec1().unwrap();
        all.insert(family.into(), logits.into());
    }
    fs::write(Path::new(data).join("language.json"), serde_json::to_string(&all).unwrap()).unwrap();
}
