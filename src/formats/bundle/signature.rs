//! Signatures beside a bundle, in the form of minisign (<https://jedisct1.github.io/minisign/>), which checks them too.

use std::fs::File;
use std::path::Path;

use minisign::{PublicKey, SecretKey, SecretKeyBox, SignatureBox};

use super::{Bundle, signature_of};
use crate::domain::label::Timestamp;
use crate::domain::secret::Secret;
use crate::formats::{FormatError, Needs, read_text, replace};
use crate::plain_file;

/// Letters of a signature of 64 bytes: minisign's reader takes shorter ones, and its arithmetic does not.
const SIGNATURE_LETTERS: usize = 88;

/// A secret key, ready to sign. It has no form that could be printed.
pub(crate) struct Signer(SecretKey);

impl Signer {
    /// Reads a minisign secret key, with the password that it may be kept under.
    pub(crate) fn read(path: &Path, password: Option<&Secret>) -> Result<Self, FormatError> {
        let text = plain_file::read_text(path, plain_file::SMALL);
        let text = text.map_err(|cause| FormatError::Io { doing: "read", path: path.into(), cause })?;
        // What the crate is not given it would ask the terminal for.
        let open = SecretKeyBox::from(text.clone()).into_unencrypted_secret_key();
        let key = match (open, password) {
            (Ok(key), _) => Ok(key),
            (Err(_), None) => {
                let said = format!("{} is no minisign secret key that is open", path.display());
                Err(FormatError::key(said, Needs::SignPassword))
            }
            (Err(_), Some(password)) => SecretKeyBox::from(text)
                .into_secret_key(Some(password.value().to_owned()))
                .map_err(|error| match error.kind() {
                    minisign::ErrorKind::Verify => {
                        format!("the password {} does not open {}", password.source(), path.display())
                    }
                    _ => format!("{} is no minisign secret key", path.display()),
                })
                .map_err(|said| FormatError::key(said, Needs::Nothing)),
        };
        key.map(Self)
    }

    /// Signs a file, under the name that it will have, and writes the signature beside that. Gives the key's id.
    pub(crate) fn sign(&self, file: File, path: &Path, at: Timestamp) -> Result<String, FormatError> {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let name: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let trusted = format!("timestamp:{}\tfile:{name}\thashed", at.0 / 1000);
        let out = signature_of(path);
        let fail = |cause| FormatError::Io { doing: "write", path: out.clone(), cause };
        let signed = minisign::sign(None, &self.0, file, Some(&trusted), Some("signature of a goldsmith bundle"));
        let signed = signed.map_err(|error| fail(std::io::Error::other(error.to_string())))?;
        replace(&out, &signed.into_string())?;
        Ok(id(self.0.keynum()))
    }
}

/// A public key, from its text (`RW...`) or from a file.
pub(crate) fn public_key(word: &str) -> Result<PublicKey, FormatError> {
    let no_key = || {
        let said = format!("`{word}` is neither a minisign public key (RW..., 56 letters) nor a file with one");
        FormatError::key(said, Needs::Nothing)
    };
    let parse = |text: &str| PublicKey::from_base64(text.trim()).ok();
    if let Some(key) = parse(word) {
        return Ok(key);
    }
    if !Path::new(word).is_file() {
        return Err(no_key());
    }
    let text = read_text(Path::new(word))?;
    text.lines().find_map(parse).ok_or_else(no_key)
}

/// Whether a word is a public key.
pub(crate) fn is_public_key(word: &str) -> bool {
    PublicKey::from_base64(word.trim()).is_ok()
}

/// Checks the signature beside a bundle against keys, of which one must have made it. Gives that key's id. Nothing of the
/// bundle has been read by then.
pub(crate) fn verify(bundle: &Bundle, keys: &[PublicKey]) -> Result<String, FormatError> {
    let path = signature_of(bundle.path());
    if !path.is_file() {
        let said =
            format!("{} is not signed: there is no {}; nothing was taken in", bundle.path().display(), path.display());
        return Err(FormatError::key(said, Needs::Signature));
    }
    let refused = |why: &str| {
        let said = format!("{}: {why}; nothing of {} was taken in", path.display(), bundle.path().display());
        FormatError::key(said, Needs::Nothing)
    };
    let text = read_text(&path)?;
    let whole = text.lines().nth(3).is_some_and(|letters| letters.trim().len() == SIGNATURE_LETTERS);
    let signed = SignatureBox::from_string(&text).ok().filter(|_| whole);
    let signed = signed.ok_or_else(|| refused("this is no signature of minisign"))?;
    let Some(key) = keys.iter().find(|key| key.keynum() == signed.keynum()) else {
        let known: Vec<String> = keys.iter().map(|key| id(key.keynum())).collect();
        return Err(refused(&format!("signed by key {}, not by {}", id(signed.keynum()), known.join(" or "))));
    };
    match minisign::verify(key, &signed, bundle.start()?, true, false, false) {
        Ok(()) => Ok(id(key.keynum())),
        Err(_) => Err(refused("the signature does not fit: the file is not the one that was signed")),
    }
}

/// A key's id as minisign prints it.
fn id(number: &[u8]) -> String {
    hex::encode_upper(number.iter().rev().copied().collect::<Vec<u8>>())
}
