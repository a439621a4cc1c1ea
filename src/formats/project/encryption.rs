//! What `[encryption]` says: where the key of the store comes from.

use std::path::Path;

use crate::domain::secret::SecretSource;
use crate::formats::toml_source::{TomlSource, TomlTable};

const FORMS: &str =
    "`key` must be \"ask\", { env = \"NAME\" }, { file = \"PATH\" } or { command = [\"PROGRAM\", ...] }";

/// Reads the table. What does not fit is not shown: it may be the key itself, put there by mistake.
pub(super) fn read<'t>(s: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>, folder: &Path) -> Option<SecretSource> {
    let source = if table.is_text("key") {
        let (word, at) = table.text(s, "key")?;
        match word.as_str() {
            "ask" => Some(SecretSource::Ask),
            _ => {
                s.fault(at, FORMS);
                None
            }
        }
    } else {
        table.table(s, "key").and_then(|from| source(s, from, folder))
    };
    table.close(s);
    source
}

fn source<'t>(s: &mut TomlSource<'t>, mut from: TomlTable<'_, 't>, folder: &Path) -> Option<SecretSource> {
    let at = from.span();
    let variable = from.text(s, "env").map(|(name, _)| SecretSource::Variable(name));
    let file = from.text(s, "file").map(|(path, _)| SecretSource::File(folder.join(path)));
    let command = from.texts(s, "command").map(SecretSource::Command);
    from.close(s);
    let mut named = [variable, file, command].into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(SecretSource::Command(words)), None) if words.first().is_none_or(String::is_empty) => {}
        (Some(SecretSource::Variable(name)), None) if name.is_empty() || name.contains(['=', '\0']) => {}
        (Some(source), None) => return Some(source),
        _ => {}
    }
    s.fault(at, FORMS);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::project::parse;

    #[test]
    fn a_key_comes_from_one_place() {
        let read = |text: &str| parse(Path::new("/p/goldsmith.toml"), text).map(|file| file.key);
        let of = |key: &str| read(&format!("[encryption]\nkey = {key}\n"));
        assert_eq!(read("").unwrap(), None);
        assert_eq!(of("\"ask\"").unwrap(), Some(SecretSource::Ask));
        assert_eq!(of("{ env = \"KEY\" }").unwrap(), Some(SecretSource::Variable("KEY".into())));
        assert_eq!(of("{ file = \"a.key\" }").unwrap(), Some(SecretSource::File("/p/a.key".into())));
        let command = Some(SecretSource::Command(vec!["vault".into(), "get".into()]));
        assert_eq!(of("{ command = [\"vault\", \"get\"] }").unwrap(), command);
        for wrong in ["\"hunter2\"", "{ env = \"A\", file = \"b\" }", "{}", "{ command = [] }", "{ env = \"\" }"] {
            let said = of(wrong).unwrap_err().to_string();
            assert_eq!(said, format!("/p/goldsmith.toml:2:7: {FORMS}"), "{wrong}");
        }
        assert!(of("7").is_err());
    }
}
