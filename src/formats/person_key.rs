//! The file with a person's secret key: for its owner alone, and under a passphrase if they want one.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::bundle::seal::{Keys, Seal};
use super::whole::sync_folder;
use super::{FormatError, Needs};
use crate::domain::label::Annotator;
use crate::domain::secret::Secret;
use crate::domain::signature::SecretKey;
use crate::plain_file;

/// What a key file that is not under a passphrase begins with.
const FIRST_LINE: &str = "goldsmith secret key";
/// A longer name is not one for a file.
const LONGEST_NAME: usize = 100;
/// No key file is longer.
const LONGEST: u64 = 4096;

/// The environment variable with the passphrase of a key.
pub(crate) const PASSPHRASE: &str = "GOLDSMITH_KEY_PASSPHRASE";

/// Where a person's key lies in the folder for keys. Names are anything; a file's is not.
pub(crate) fn file_of(folder: &Path, name: &Annotator) -> PathBuf {
    let mut file = String::new();
    for byte in name.0.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => file.push(char::from(byte)),
            _ => file.push_str(&format!("%{byte:02X}")),
        }
    }
    if file.len() > LONGEST_NAME {
        file = hex::encode(Sha256::digest(&name.0));
    }
    folder.join(file + ".key")
}

/// The passphrase in the environment, if there is one.
fn passphrase() -> Result<Option<Secret>, FormatError> {
    if std::env::var_os(PASSPHRASE).is_none_or(|value| value.is_empty()) {
        return Ok(None);
    }
    super::secret::from_variable(PASSPHRASE).map(Some)
}

/// Reads a key; none where there is no such file. The passphrase is the one given, or that in the environment.
pub(crate) fn read(path: &Path, given: Option<Secret>) -> Result<Option<SecretKey>, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    let file = match plain_file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut text = String::new();
    let passphrase = given.map_or_else(passphrase, |given| Ok(Some(given)))?;
    let opened = Keys::of(&[], passphrase)?.open(file, path).map_err(|error| match error {
        FormatError::Key { needs: Needs::IdentityOrPassphrase | Needs::Passphrase, .. } => {
            FormatError::key(format!("{} is under a passphrase", path.display()), Needs::Variable(PASSPHRASE.into()))
        }
        other => other,
    })?;
    let mut opened = opened.take(LONGEST);
    opened.read_to_string(&mut text).map_err(fail)?;
    let no_key = || FormatError::Unfit { path: path.into(), message: "this is no secret key of goldsmith".into() };
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(no_key());
    }
    let mut seed = [0; 32];
    let digits = lines.find_map(|line| line.strip_prefix("secret ")).ok_or_else(no_key)?;
    hex::decode_to_slice(digits.trim(), &mut seed).map_err(|_| no_key())?;
    Ok(Some(SecretKey::from_seed(seed)))
}

/// Writes a new key; one that is there is left as it is, and `false` says so. It is under the passphrase in the environment, if
/// there is one.
pub(crate) fn create(path: &Path, name: &Annotator, key: &SecretKey) -> Result<bool, FormatError> {
    let fail = |cause| FormatError::Io { doing: "write", path: path.into(), cause };
    if path.exists() {
        return Ok(false);
    }
    let staged = staged(path, name, key, passphrase()?)?;
    // Whoever was quicker has made the key that counts.
    match staged.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(fail(error.error)),
    }
}

/// Writes a key's file anew, under a passphrase or under none.
pub(crate) fn protect(
    path: &Path,
    name: &Annotator,
    key: &SecretKey,
    passphrase: Option<Secret>,
) -> Result<(), FormatError> {
    let fail = |cause| FormatError::Io { doing: "write", path: path.into(), cause };
    staged(path, name, key, passphrase)?.persist(path).map_err(|error| fail(error.error))?;
    sync_folder(path)
}

/// A key's file under another name, on the disk.
fn staged(
    path: &Path,
    name: &Annotator,
    key: &SecretKey,
    passphrase: Option<Secret>,
) -> Result<tempfile::NamedTempFile, FormatError> {
    let fail = |cause| FormatError::Io { doing: "write", path: path.into(), cause };
    let folder = path.parent().unwrap_or(Path::new("."));
    let staged = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    let seal = Seal::of(&[], passphrase)?;
    let written = seal.around(staged.as_file()).and_then(|mut out| {
        writeln!(out, "{FIRST_LINE}\nname {}", name.0.escape_default())?;
        writeln!(out, "public {}\nsecret {}", key.public(), hex::encode(key.seed()))?;
        out.finish()
    });
    written.and_then(std::fs::File::sync_all).map_err(fail)?;
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let name = Annotator("Ann B./\u{e9}".into());
        let path = file_of(folder.path(), &name);
        assert!(path.ends_with("Ann%20B%2E%2F%C3%A9.key"), "{}", path.display());
        assert!(read(&path, None).unwrap().is_none());
        let key = SecretKey::from_seed([7; 32]);
        assert!(create(&path, &name, &key).unwrap());
        assert!(!create(&path, &name, &SecretKey::from_seed([8; 32])).unwrap());
        assert_eq!(read(&path, None).unwrap().unwrap().public(), key.public());
        std::fs::write(&path, "goldsmith secret key\nsecret 12\n").unwrap();
        assert!(read(&path, None).unwrap_err().to_string().contains("no secret key"));
    }
    #[cfg(feature = "sealed-bundles")]
    #[test]
    fn under_a_passphrase_a_key_is_read_with_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (name, path) = (Annotator("ann".into()), folder.path().join("ann.key"));
        let key = SecretKey::from_seed([7; 32]);
        let word = |word: &str| Some(Secret::new(word.into(), crate::domain::secret::SecretSource::Ask));
        protect(&path, &name, &key, word("correct horse")).unwrap();
        assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(FIRST_LINE));
        let closed = read(&path, None).unwrap_err();
        assert!(closed.to_string().contains("is under a passphrase"), "{closed}");
        assert!(read(&path, word("battery staple")).is_err());
        assert_eq!(read(&path, word("correct horse")).unwrap().unwrap().public(), key.public());
        protect(&path, &name, &key, None).unwrap();
        assert_eq!(read(&path, None).unwrap().unwrap().public(), key.public());
    }
}
