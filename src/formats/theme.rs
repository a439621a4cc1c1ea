//! Theme files: meanings and their looks, as plain values.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{FormatError, read_text};

/// The themes that come with the program, by name.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("colour-blind-safe", include_str!("../../themes/colour-blind-safe.toml")),
    ("no-colour", include_str!("../../themes/no-colour.toml")),
];

/// A colour as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Colour {
    /// 0 to 255.
    Index(u8),
    /// A name or `#rrggbb`.
    Name(String),
}

/// How one meaning looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Look {
    /// Foreground.
    pub fg: Option<Colour>,
    /// Background.
    pub bg: Option<Colour>,
    pub bold: bool,
    /// Dimmed.
    pub dim: bool,
    pub underlined: bool,
    pub reversed: bool,
}

/// A theme file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThemeFile {
    /// `dark` or `light`: which terminals it is for.
    pub background: Option<String>,
    pub meaning: BTreeMap<String, Look>,
}

/// A shipped theme by name, or a file.
pub(crate) fn load(name: &str) -> Result<ThemeFile, FormatError> {
    if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        return parse(Path::new(name), text);
    }
    let path = Path::new(name);
    if !path.is_file() {
        let known: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        let message = format!("neither a file nor a theme; known are auto, {}", known.join(", "));
        return Err(FormatError::Unfit { path: path.into(), message });
    }
    parse(path, &read_text(path)?)
}

/// Reads the text of a theme file; `path` is for messages.
pub(crate) fn parse(path: &Path, text: &str) -> Result<ThemeFile, FormatError> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = super::place(text, error.span().map_or(0, |span| span.start));
        let faults = vec![super::FileFault { line, column, message: error.message().to_owned() }];
        FormatError::Faulty { path: path.into(), faults }
    })
}
