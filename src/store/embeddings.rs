//! SQL for the vectors that encoders made of texts: computed once, kept by encoder and text.

use rusqlite::{OptionalExtension, params};

use super::convert::{pack, unpack};
use super::{Store, StoreError};

/// SHA-256 of a text.
pub type TextHash = [u8; 32];

impl Store {
    /// The vectors that are kept for texts, in the order asked for.
    pub(crate) fn embeddings(&self, encoder: &str, texts: &[TextHash]) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
        self.with(|c| {
            let mut find = c.prepare_cached("SELECT vector FROM embeddings WHERE encoder = ? AND text = ?")?;
            let mut vector = |text: &TextHash| {
                find.query_row(params![encoder, text.as_slice()], |row| Ok(unpack(row.get_ref(0)?.as_blob()?)))
                    .optional()
            };
            texts.iter().map(&mut vector).collect()
        })
    }

    /// Keeps vectors; one that is there already is left as it is.
    pub(crate) fn keep_embeddings(
        &mut self,
        encoder: &str,
        vectors: &[(TextHash, Vec<f32>)],
    ) -> Result<(), StoreError> {
        self.write(|c| {
            let mut keep =
                c.prepare_cached("INSERT OR IGNORE INTO embeddings (encoder, text, vector) VALUES (?, ?, ?)")?;
            for (text, vector) in vectors {
                keep.execute(params![encoder, text.as_slice(), pack(vector)])?;
            }
            Ok(())
        })
    }
}
