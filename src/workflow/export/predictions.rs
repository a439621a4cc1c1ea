//! Labels with probabilities for texts from outside the store.

use std::io::Write;
use std::path::PathBuf;

use crate::classifier::Classifier;
use crate::domain::taxonomy::Selection;
use crate::domain::text::json_safe;
use crate::formats::FormatError;
use crate::formats::notes::{self, NoteRecord, Reading};
use crate::formats::tables::guard;
use crate::workflow::train::{NONE, chosen_label, with_none};
use crate::workflow::{Cancel, Progress, Watch, WorkflowError};

/// Where the texts are.
pub(crate) struct PredictInput {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// What is known of how it is written.
    pub reading: Reading,
}

/// Reads records, labels them with a saved model and writes a line each, as jsonl or csv like the input. Returns how many
/// were written; a bad record stops it.
pub(crate) fn predict(
    model: &dyn Classifier,
    input: &PredictInput,
    as_csv: bool,
    out: &mut dyn Write,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<u64, WorkflowError> {
    let _span = tracing::info_span!("predict").entered();
    // A line comes out for each that goes in.
    let reading = Reading { with_blank: true, ..input.reading.clone() };
    let mut notes = notes::open(&input.path, &reading)?;
    watch(Progress::Started { what: format!("labelling {}", input.path.display()), total: notes.size, unit: "bytes" });
    let names: Vec<String> = match model.selection() {
        Selection::Single => model.outputs().to_vec(),
        Selection::Multiple => std::iter::once(NONE.to_owned()).chain(model.outputs().iter().cloned()).collect(),
    };
    let fail = |cause| FormatError::Io { doing: "write", path: "standard output".into(), cause };
    let mut csv = csv::WriterBuilder::new().from_writer(Vec::new());
    if as_csv {
        let header =
            ["id", "text", "label"].into_iter().map(str::to_owned).chain(names.iter().map(|n| format!("p_{n}")));
        csv.write_record(header).map_err(|e| fail(std::io::Error::other(e)))?;
    }
    let mut written = 0;
    loop {
        let mut batch: Vec<NoteRecord> = Vec::new();
        for record in notes.by_ref().take(512) {
            batch.push(record.map_err(|bad| WorkflowError::Record {
                path: input.path.clone(),
                line: bad.line,
                message: bad.message,
            })?);
        }
        let texts: Vec<&str> = batch.iter().map(|record| record.text.as_str()).collect();
        for (record, row) in batch.iter().zip(model.predict(&texts)?) {
            let label = chosen_label(model, &row);
            let probabilities = with_none(model.selection(), &row);
            let id = record.id.clone().unwrap_or_else(|| record.line.to_string());
            if as_csv {
                let cells = [guard(&id), guard(&record.text), label.join()].into_iter();
                let cells = cells.chain(probabilities.iter().map(|p| format!("{p:.6}")));
                csv.write_record(cells).map_err(|e| fail(std::io::Error::other(e)))?;
            } else {
                let by_name: serde_json::Map<String, serde_json::Value> =
                    names.iter().cloned().zip(probabilities.iter().map(|p| serde_json::json!(p))).collect();
                let line =
                    serde_json::json!({ "id": id, "text": record.text, "label": label, "probabilities": by_name });
                writeln!(out, "{}", json_safe(&line.to_string())).map_err(fail)?;
            }
            written += 1;
        }
        if as_csv {
            csv.flush().map_err(fail)?;
            out.write_all(csv.get_ref()).map_err(fail)?;
            csv = csv::WriterBuilder::new().from_writer(Vec::new());
        }
        watch(Progress::Advanced(notes.read.load(std::sync::atomic::Ordering::Relaxed)));
        if batch.is_empty() || cancel.is_cancelled() {
            break;
        }
    }
    watch(Progress::Finished);
    Ok(written)
}
