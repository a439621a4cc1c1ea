//! Sealing a bundle: files of the age format (<https://age-encryption.org/v1>), which `age -d` opens too.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use age::stream::StreamWriter;
use age::{DecryptError, Decryptor, Encryptor, IdentityFile, scrypt, x25519};

use crate::domain::secret::Secret;
use crate::formats::{FormatError, Needs, read_text};
use crate::plain_file;

/// What an age file begins with, and what its text form does.
const AGE: &[u8] = b"age-encryption.org/v1";
const ARMOR: &[u8] = b"-----BEGIN AGE";

/// Who can open a bundle.
#[derive(Clone, Debug, Default)]
pub(crate) enum Seal {
    /// Anyone.
    #[default]
    Open,
    /// Those who hold the identity of one of these public keys.
    To(Vec<x25519::Recipient>),
    /// Those who know a passphrase.
    Passphrase(Secret),
}

impl Seal {
    /// From what is said on the command line: public keys `age1...`, or files with one on each line; or a passphrase.
    pub(crate) fn of(recipients: &[String], passphrase: Option<Secret>) -> Result<Self, FormatError> {
        let mut all = Vec::new();
        for word in recipients {
            match word.parse() {
                Ok(recipient) => all.push(recipient),
                Err(_) if word.starts_with("AGE-SECRET-KEY-") => {
                    return Err(FormatError::key(
                        "that is a secret key, and it is now in your shell's history",
                        Needs::PublicKey,
                    ));
                }
                Err(_) if word.starts_with("age1") => {
                    return Err(FormatError::key(
                        format!("`{word}` is no public key of age: one of its letters is wrong"),
                        Needs::Nothing,
                    ));
                }
                Err(_) => all.extend(recipients_of(Path::new(word))?),
            }
        }
        match passphrase {
            Some(_) if !all.is_empty() => {
                Err(FormatError::key("a bundle is for recipients or has a passphrase, not both", Needs::OneOfBoth))
            }
            Some(passphrase) => Ok(Self::Passphrase(passphrase)),
            None if all.is_empty() => Ok(Self::Open),
            None => Ok(Self::To(all)),
        }
    }

    /// Whether anyone can open it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Puts itself between the writer of the lines and the file.
    pub(in crate::formats) fn around<W: Write>(&self, out: W) -> io::Result<Sealed<W>> {
        let encryptor = match self {
            Self::Open => return Ok(Sealed::Open(out)),
            Self::To(all) => Encryptor::with_recipients(all.iter().map(|one| one as &dyn age::Recipient)),
            Self::Passphrase(secret) => Ok(Encryptor::with_user_passphrase(SecretString::from(secret.value()))),
        };
        let encryptor = encryptor.map_err(|_| io::Error::other("these recipients cannot be combined"))?;
        Ok(Sealed::Age(Box::new(encryptor.wrap_output(out)?)))
    }
}

/// Whether a word is a public key.
pub(crate) fn is_public_key(word: &str) -> bool {
    word.parse::<x25519::Recipient>().is_ok()
}

fn recipients_of(path: &Path) -> Result<Vec<x25519::Recipient>, FormatError> {
    let text = read_text(path)?;
    let mut all = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself is not shown: it may be a secret that was put there by mistake.
        let wrong = || super::fault(path, at + 1, 1, "this is no public key of age (age1...)");
        all.push(line.parse().map_err(|_| wrong())?);
    }
    if all.is_empty() {
        return Err(FormatError::key(format!("{} has no public key of age (age1...)", path.display()), Needs::Nothing));
    }
    Ok(all)
}

/// The file behind a seal.
pub(in crate::formats) enum Sealed<W: Write> {
    Open(W),
    Age(Box<StreamWriter<W>>),
}

impl<W: Write> Sealed<W> {
    /// Writes what age keeps for the end; without it the file is torn.
    pub(in crate::formats) fn finish(self) -> io::Result<W> {
        let mut out = match self {
            Self::Open(out) => out,
            Self::Age(out) => out.finish()?,
        };
        out.flush()?;
        Ok(out)
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(out) => out.write(bytes),
            Self::Age(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(out) => out.flush(),
            Self::Age(out) => out.flush(),
        }
    }
}

/// What may open a bundle.
#[derive(Default)]
pub(crate) struct Keys {
    identities: Vec<Box<dyn age::Identity + Send + Sync>>,
    files: Vec<PathBuf>,
    passphrase: Option<Secret>,
}

impl Keys {
    /// Identities from files as `age-keygen` writes them, and a passphrase.
    pub(crate) fn of(files: &[PathBuf], passphrase: Option<Secret>) -> Result<Self, FormatError> {
        let mut identities: Vec<Box<dyn age::Identity + Send + Sync>> = Vec::new();
        for path in files {
            let text = plain_file::read(path, plain_file::SMALL);
            let text = text.map_err(|cause| FormatError::Io { doing: "read", path: path.clone(), cause })?;
            let found = IdentityFile::from_buffer(text.as_slice()).ok().and_then(|file| file.into_identities().ok());
            match found {
                Some(found) if !found.is_empty() => identities.extend(found),
                _ => {
                    return Err(FormatError::key(
                        format!(
                            "{} is no identity file of age: lines of AGE-SECRET-KEY-1..., as `age-keygen` writes them, without a passphrase",
                            path.display()
                        ),
                        Needs::Nothing,
                    ));
                }
            }
        }
        Ok(Self { identities, files: files.to_vec(), passphrase })
    }

    /// What stands in the file, opened if it is sealed.
    pub(in crate::formats) fn open(
        &self,
        file: impl Read + 'static,
        path: &Path,
    ) -> Result<Box<dyn Read>, FormatError> {
        let mut file = BufReader::with_capacity(1 << 16, file);
        let start = file.fill_buf().map_err(|e| super::broken(path, 1, &e))?;
        if start.starts_with(ARMOR) {
            return Err(FormatError::Unfit {
                path: path.into(),
                message:
                    "this is age's text form, which is not read here; take off the armor (`age -d -i KEY FILE > PLAIN`)"
                        .into(),
            });
        }
        if !start.starts_with(AGE) {
            return Ok(Box::new(file));
        }
        let closed = |why: &str, needs| FormatError::key(format!("{} stays closed: {why}", path.display()), needs);
        if self.identities.is_empty() && self.passphrase.is_none() {
            return Err(closed("it is encrypted", Needs::IdentityOrPassphrase));
        }
        let refused = |error: DecryptError| {
            let why = match error {
                DecryptError::NoMatchingKeys | DecryptError::KeyDecryptionFailed => self.no_match(),
                DecryptError::DecryptionFailed if self.passphrase.is_some() => self.no_match(),
                DecryptError::ExcessiveWork { .. } => {
                    "its passphrase was made too costly to try on this machine".into()
                }
                DecryptError::UnknownFormat => "a newer age wrote it".into(),
                DecryptError::Io(error) => format!("reading stops ({error}); fetch it again"),
                _ => "it is torn or was changed; fetch it again".into(),
            };
            closed(&why, Needs::Nothing)
        };
        let decryptor = Decryptor::new_buffered(file).map_err(refused)?;
        if decryptor.is_scrypt() && self.passphrase.is_none() {
            return Err(closed("it is encrypted with a passphrase", Needs::Passphrase));
        }
        if !decryptor.is_scrypt() && self.identities.is_empty() {
            return Err(closed("it is encrypted to a recipient", Needs::Identity));
        }
        let word = self.passphrase.as_ref().map(|secret| scrypt::Identity::new(SecretString::from(secret.value())));
        let word = word.iter().map(|word| word as &dyn age::Identity);
        let keys = self.identities.iter().map(|key| &**key as &dyn age::Identity);
        Ok(Box::new(decryptor.decrypt(keys.chain(word)).map_err(refused)?))
    }

    fn no_match(&self) -> String {
        let files: Vec<String> = self.files.iter().map(|path| path.display().to_string()).collect();
        match (&self.passphrase, files.is_empty()) {
            (Some(secret), true) => {
                format!("the passphrase {} is not the one that it was written with", secret.source())
            }
            (None, _) => format!("no identity in {} is one that it was written to", files.join(", ")),
            (Some(secret), false) => {
                format!("neither an identity in {} nor the passphrase {} opens it", files.join(", "), secret.source())
            }
        }
    }
}
