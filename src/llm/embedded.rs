//! A GGUF file run in this process.
