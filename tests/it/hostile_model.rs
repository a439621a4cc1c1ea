//! Model files that are made to do harm.

use std::path::Path;

use candle_core::quantized::gguf_file;

use super::support::{goldsmith, succeeds};

/// A model file as another, with a chat template of its own.
fn with_template(model: &Path, template: &str, out: &Path) {
    let mut file = std::fs::File::open(model).unwrap();
    let content = gguf_file::Content::read(&mut file).unwrap();
    let names: Vec<&String> = content.tensor_infos.keys().collect();
    let tensors: Vec<_> =
        names.iter().map(|name| content.tensor(&mut file, name, &candle_core::Device::Cpu).unwrap()).collect();
    let tensors: Vec<(&str, &_)> = names.iter().map(|name| name.as_str()).zip(&tensors).collect();
    let template = gguf_file::Value::String(template.to_owned());
    let metadata = content.metadata.iter().filter(|(key, _)| *key != "tokenizer.chat_template");
    let metadata: Vec<(&str, &gguf_file::Value)> =
        metadata.map(|(key, value)| (key.as_str(), value)).chain([("tokenizer.chat_template", &template)]).collect();
    gguf_file::write(&mut std::fs::File::create(out).unwrap(), &metadata, &tensors).unwrap();
}

#[test]
fn a_model_file_that_would_take_all_memory_is_refused_by_a_program_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let path = study.to_str().unwrap();
    succeeds(&["init", path]);
    let notes = folder.path().join("note.txt");
    std::fs::write(&notes, "She forgets names.").unwrap();
    succeeds(&["import", notes.to_str().unwrap(), "--project", path]);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/gguf/qwen2.gguf");
    let made = folder.path().join("made.gguf");
    let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    let doubles = "{% set all = namespace(x='x') %}{% for i in range(60) %}{% set all.x = all.x ~ all.x %}{% endfor %}";
    let late = format!("{{% if messages | length > 40 %}}{doubles}{{% endif %}}{plain}");
    for (template, refused) in [(plain.to_owned(), false), (format!("{plain}{doubles}"), true), (late, true)] {
        with_template(&model, &template, &made);
        let output = goldsmith(&["label", "--gguf", made.to_str().unwrap(), "--project", path]);
        let said = String::from_utf8_lossy(&output.stderr);
        let harm = said.contains("a process that reads it comes to harm, or needs more than 4 GiB");
        assert_eq!(harm, refused, "{template}: {said}");
        assert!(!refused || output.status.code() == Some(1), "{said}");
    }
}
