//! What goes out of the tool for other programs: gold, a model's folder, a model's labels on any texts. Bundles are for
//! another goldsmith and stand apart; the tables of scores are in `formats/tables.rs`.

pub mod gold;
pub(crate) mod model;
pub(crate) mod predictions;
