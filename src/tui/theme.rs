//! From meanings to styles: the theme file's looks, what the terminal can show, and `NO_COLOR`.

use ratatui::style::{Color, Modifier, Style};

use crate::formats::FormatError;
use crate::formats::theme::{Colour, Look, ThemeFile, load};

/// What a piece of screen means; how it looks is the theme's affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StyleRole {
    /// Plain text, and the fallback of every other meaning.
    Text,
    /// Context around what matters.
    Dim,
    /// Titles of panes.
    Title,
    /// The sentence under review.
    Sentence,
    /// Quoted evidence in it.
    Evidence,
    /// A language model's label.
    Silver,
    /// An expert's label.
    Gold,
    /// The classifier's label.
    Classifier,
    /// It went well.
    Good,
    /// Look twice.
    Warn,
    /// It failed.
    Bad,
    /// Under the cursor.
    Selected,
    /// A key to press.
    Key,
    /// Lines between panes.
    Border,
}

impl StyleRole {
    /// All meanings with their names in theme files.
    pub(crate) const ALL: [(Self, &str); 14] = [
        (Self::Text, "text"),
        (Self::Dim, "dim"),
        (Self::Title, "title"),
        (Self::Sentence, "sentence"),
        (Self::Evidence, "evidence"),
        (Self::Silver, "silver"),
        (Self::Gold, "gold"),
        (Self::Classifier, "classifier"),
        (Self::Good, "good"),
        (Self::Warn, "warn"),
        (Self::Bad, "bad"),
        (Self::Selected, "selected"),
        (Self::Key, "key"),
        (Self::Border, "border"),
    ];
}

/// A style for each meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Theme([Style; 14]);

impl Theme {
    /// Resolves a theme by name: `auto` asks the environment and the terminal.
    pub(crate) fn resolve(name: &str, no_color: bool, light_terminal: bool) -> Result<Self, FormatError> {
        let chosen = match name {
            _ if no_color => "no-colour",
            "auto" if light_terminal => "light",
            "auto" => "dark",
            named => named,
        };
        Ok(Self::of(&load(chosen)?))
    }

    /// From a theme file; a meaning that it leaves out looks like text.
    pub(crate) fn of(file: &ThemeFile) -> Self {
        let text = file.meaning.get("text").map(style).unwrap_or_default();
        Self(StyleRole::ALL.map(|(_, name)| file.meaning.get(name).map_or(text, style)))
    }

    /// The style of a meaning.
    pub(crate) fn style(&self, meaning: StyleRole) -> Style {
        self.0[meaning as usize]
    }
}

fn style(look: &Look) -> Style {
    let mut style = Style::default();
    if let Some(colour) = look.fg.as_ref().and_then(colour) {
        style = style.fg(colour);
    }
    if let Some(colour) = look.bg.as_ref().and_then(colour) {
        style = style.bg(colour);
    }
    let modifiers = [
        (look.bold, Modifier::BOLD),
        (look.dim, Modifier::DIM),
        (look.underlined, Modifier::UNDERLINED),
        (look.reversed, Modifier::REVERSED),
    ];
    modifiers.into_iter().filter(|(on, _)| *on).fold(style, |style, (_, modifier)| style.add_modifier(modifier))
}

/// An unknown colour is none: a theme of a newer program still works.
fn colour(colour: &Colour) -> Option<Color> {
    match colour {
        Colour::Index(index) => Some(Color::Indexed(*index)),
        Colour::Name(name) => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::theme::SHIPPED;

    #[test]
    fn every_shipped_theme_gives_every_meaning_a_look_that_is_understood() {
        for (name, _) in SHIPPED {
            let file = load(name).unwrap();
            for (_, meaning) in StyleRole::ALL {
                let look = file.meaning.get(meaning).unwrap_or_else(|| panic!("{name} lacks {meaning}"));
                for named in [&look.fg, &look.bg].into_iter().flatten() {
                    assert!(colour(named).is_some(), "{name}: {meaning}: {named:?}");
                }
            }
            assert_eq!(file.meaning.len(), StyleRole::ALL.len(), "{name} has a meaning that the program lacks");
        }
    }

    #[test]
    fn no_colour_has_none_and_evidence_is_never_told_by_colour_alone() {
        let none = Theme::resolve("dark", true, false).unwrap();
        assert!(none.0.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
        for (name, _) in SHIPPED {
            let theme = Theme::resolve(name, false, false).unwrap();
            let evidence = theme.style(StyleRole::Evidence);
            assert!(!evidence.add_modifier.is_empty(), "{name}");
            assert!(!theme.style(StyleRole::Selected).eq(&theme.style(StyleRole::Text)), "{name}");
        }
    }

    #[test]
    fn an_unknown_theme_is_named_with_those_there_are() {
        let said = Theme::resolve("drak", false, false).unwrap_err().to_string();
        assert!(said.contains("known are auto, dark, light"), "{said}");
    }
}
