//! The prompt of a generating run, and what each sentence to be written is like.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FewShotExample, quoted};
use crate::domain::category::CategoryKey;
use crate::domain::taxonomy::Taxonomy;
use crate::llm::{AnswerFormat, ChatMessage, DecodingParams, Field, FieldKind, Role, WriteRequest};

/// What a sentence to be written is like; drawn by seed, never from a real note but for its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WriteBrief {
    /// The category to carry; `None` for a sentence without any.
    pub target: Option<CategoryKey>,
    /// The one thing of the guideline's list to show.
    pub aspect: String,
    pub kind: String,
    pub setting: String,
    pub person: String,
    /// How it is written.
    pub style: String,
    /// Words, about.
    pub words: usize,
}

impl WriteBrief {
    /// Draws what a sentence is like from the taxonomy's lists.
    pub(crate) fn draw(taxonomy: &Taxonomy, target: Option<CategoryKey>, words: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pick = |list: &[String]| match list.len() {
            0 => String::new(),
            n => list[rng.random_range(0..n)].clone(),
        };
        let variety = taxonomy.variety();
        let aspect = match target.as_ref().and_then(|key| taxonomy.get(key)) {
            Some(category) => pick(&category.includes),
            None => String::new(),
        };
        Self {
            aspect,
            kind: pick(&variety.kinds),
            setting: pick(&variety.settings),
            person: pick(&variety.people),
            style: pick(&variety.styles),
            words,
            target,
        }
    }
}

/// The prompt of a generating run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WritePrompt {
    system: String,
    real: Vec<FewShotExample>,
}

impl WritePrompt {
    /// Without a word of a real note, unless the project lets `real` ones be shown.
    pub(crate) fn new(taxonomy: &Taxonomy, real: Vec<FewShotExample>) -> Self {
        let mut system = "You write single sentences as they stand in clinical notes. You follow the guideline you are given, vary the wording, invent every detail, and never name the category itself.".to_owned();
        if !taxonomy.description().is_empty() {
            system.push_str(" The guideline is about: ");
            system.push_str(taxonomy.description());
        }
        Self { system, real }
    }

    /// The request for one sentence. The category's guideline comes before what varies, so that its reading is reused.
    pub(crate) fn write(&self, taxonomy: &Taxonomy, brief: &WriteBrief, sampling: DecodingParams) -> WriteRequest {
        let mut lines = Vec::new();
        let category = brief.target.as_ref().and_then(|key| taxonomy.get(key));
        match category {
            Some(category) => {
                lines.push(format!("Category: {}", category.name));
                lines.push(format!("It is: {}", category.definition));
                lines.push(format!("What counts: {}", category.includes.join("; ")));
                lines.push(format!("What does not count: {}", category.excludes.join("; ")));
                lines.push(format!("Such sentences are: {}", category.examples.join(" | ")));
            }
            None => {
                let names: Vec<&str> = taxonomy.categories().iter().map(|c| c.name.as_str()).collect();
                lines.push(format!("The sentence must carry none of these: {}", names.join("; ")));
                lines.push(format!("Such sentences are: {}", taxonomy.none().examples.join(" | ")));
            }
        }
        let like: Vec<String> = self
            .real
            .iter()
            .filter(|shot| shot.label.keys().first() == brief.target.as_ref())
            .map(|shot| quoted(&shot.text))
            .collect();
        if !like.is_empty() {
            lines.push(format!("From real notes, as examples and never an instruction: {}", like.join(" | ")));
        }
        lines.push(String::new());
        let facts = [
            ("Show", &brief.aspect),
            ("Kind of note", &brief.kind),
            ("Seen", &brief.setting),
            ("Patient", &brief.person),
            ("Style", &brief.style),
        ];
        lines.extend(facts.iter().filter(|(_, fact)| !fact.is_empty()).map(|(name, fact)| format!("{name}: {fact}")));
        lines.push(String::new());
        let carries = if category.is_some() { "carries this category and no other" } else { "carries none of them" };
        lines.push(format!(
            "Write one new sentence of this note that {carries}, in about {} words. The facts are its background: do not repeat them, nor an example.",
            brief.words
        ));
        WriteRequest {
            turns: vec![
                ChatMessage::new(Role::System, self.system.clone()),
                ChatMessage::new(Role::User, lines.join("\n")),
            ],
            shape: AnswerFormat::Object(vec![Field { name: "sentence".into(), kind: FieldKind::Text(400) }]),
            sampling,
            logprobs: false,
        }
    }

    /// SHA-256 over what all requests share.
    pub(crate) fn hash(&self, taxonomy: &Taxonomy) -> String {
        let brief = WriteBrief::draw(taxonomy, None, 0, 0);
        let like = self.write(taxonomy, &brief, DecodingParams::greedy(1));
        let shared = serde_json::json!([like, self.real, taxonomy.variety()]);
        hex::encode(Sha256::digest(shared.to_string().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_is_drawn_by_its_seed_from_the_lists_alone() {
        let text = crate::formats::taxonomy::SHIPPED[0].1;
        let taxonomy = crate::formats::taxonomy::parse(std::path::Path::new("x"), text).unwrap();
        let key = taxonomy.categories()[0].key.clone();
        let draw = |seed| WriteBrief::draw(&taxonomy, Some(key.clone()), 12, seed);
        assert_eq!(draw(7), draw(7));
        let kinds: std::collections::BTreeSet<String> = (0..200).map(|seed| draw(seed).kind).collect();
        assert_eq!(kinds.len(), taxonomy.variety().kinds.len());
        let request = WritePrompt::new(&taxonomy, vec![]).write(&taxonomy, &draw(7), DecodingParams::greedy(80));
        assert!(request.turns[1].content.contains("in about 12 words"));
        assert!(!request.turns[1].content.contains("From real notes"));
    }
}
