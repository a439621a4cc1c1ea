//! What `[bundles]` says.

use crate::formats::bundle::{seal, signature};
use crate::formats::toml_source::{TomlSource, TomlTable};

/// Who may open and who must sign bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleSettings {
    /// Public keys of age.
    pub recipients: Vec<String>,
    /// Public keys of minisign.
    pub require_signature: Vec<String>,
}

/// Reads the table.
pub(super) fn read<'t>(s: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>) -> BundleSettings {
    let mut keys = |s: &mut TomlSource<'t>, key, like: &str, fits: &dyn Fn(&str) -> bool| -> Vec<String> {
        let (good, bad): (Vec<_>, Vec<_>) =
            table.placed_texts(s, key).unwrap_or_default().into_iter().partition(|(word, _)| fits(word));
        // What does not fit is not shown: it may be a secret key that was put there by mistake.
        for (_, at) in bad {
            s.fault(at, format!("this is no public key of {like}"));
        }
        good.into_iter().map(|(word, _)| word).collect()
    };
    let is_age = |word: &str| word.starts_with("age1") && seal::is_public_key(word);
    let is_minisign = |word: &str| word.starts_with("RW") && signature::is_public_key(word);
    let settings = BundleSettings {
        recipients: keys(s, "recipients", "age (\"age1...\")", &is_age),
        require_signature: keys(s, "require_signature", "minisign (\"RW...\")", &is_minisign),
    };
    table.close(s);
    settings
}

#[cfg(test)]
#[cfg(feature = "sealed-bundles")]
mod tests {
    use std::path::Path;

    use crate::formats::project::parse;

    #[test]
    fn keys_are_read_and_what_is_none_is_named_by_place() {
        let age = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        let minisign = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let text = format!("[bundles]\nrecipients = [\"{age}\"]\nrequire_signature = [\"{minisign}\"]\n");
        let settings = parse(Path::new("goldsmith.toml"), &text).unwrap().bundles;
        assert_eq!((settings.recipients, settings.require_signature), (vec![age.into()], vec![minisign.into()]));
        let text = "[bundles]\nrecipients = [\"AGE-SECRET-KEY-1QQ\"]\nrequire_signature = [\"RWx\"]\n";
        let said = parse(Path::new("goldsmith.toml"), text).unwrap_err().to_string();
        let expected = "goldsmith.toml:2:15: this is no public key of age (\"age1...\")\n\
            goldsmith.toml:3:22: this is no public key of minisign (\"RW...\")";
        assert_eq!(said, expected);
    }
}
