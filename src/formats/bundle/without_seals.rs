//! Stands for seals and signatures where the feature `sealed-bundles` is off: a plain bundle is written and read, and what
//! would need a key is refused.

use crate::formats::{FormatError, Needs};

fn left_out() -> FormatError {
    FormatError::key("this goldsmith was built without seals and signatures", Needs::Feature("sealed-bundles"))
}

pub(crate) mod seal {
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::path::{Path, PathBuf};

    use super::left_out;
    use crate::domain::secret::Secret;
    use crate::formats::FormatError;
    use crate::formats::bundle::broken;

    /// Anyone can open a bundle.
    pub(crate) struct Seal;

    impl Seal {
        pub(crate) fn of(recipients: &[String], passphrase: Option<Secret>) -> Result<Self, FormatError> {
            if recipients.is_empty() && passphrase.is_none() { Ok(Self) } else { Err(left_out()) }
        }

        pub(crate) fn is_open(&self) -> bool {
            true
        }

        pub(in crate::formats) fn around<W: Write>(&self, out: W) -> io::Result<Sealed<W>> {
            Ok(Sealed(out))
        }
    }

    /// What cannot be read is not called wrong.
    pub(crate) fn is_public_key(_: &str) -> bool {
        true
    }

    /// The file itself.
    pub(in crate::formats) struct Sealed<W: Write>(W);

    impl<W: Write> Sealed<W> {
        pub(crate) fn finish(mut self) -> io::Result<W> {
            self.0.flush()?;
            Ok(self.0)
        }
    }

    impl<W: Write> Write for Sealed<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    /// No key.
    #[derive(Default)]
    pub(crate) struct Keys;

    impl Keys {
        pub(crate) fn of(files: &[PathBuf], passphrase: Option<Secret>) -> Result<Self, FormatError> {
            if files.is_empty() && passphrase.is_none() { Ok(Self) } else { Err(left_out()) }
        }

        pub(in crate::formats) fn open(
            &self,
            file: impl Read + 'static,
            path: &Path,
        ) -> Result<Box<dyn Read>, FormatError> {
            let mut file = BufReader::with_capacity(1 << 16, file);
            let start = file.fill_buf().map_err(|e| broken(path, 1, &e))?;
            let sealed = start.starts_with(b"age-encryption.org/") || start.starts_with(b"-----BEGIN AGE");
            if sealed { Err(left_out()) } else { Ok(Box::new(file)) }
        }
    }
}

pub(crate) mod signature {
    use std::fs::File;
    use std::path::Path;

    use super::left_out;
    use crate::domain::label::Timestamp;
    use crate::domain::secret::Secret;
    use crate::formats::FormatError;
    use crate::formats::bundle::Bundle;

    /// No key can be read.
    pub(crate) enum Signer {}

    impl Signer {
        pub(crate) fn read(_: &Path, _: Option<&Secret>) -> Result<Self, FormatError> {
            Err(left_out())
        }

        pub(crate) fn sign(&self, _: File, _: &Path, _: Timestamp) -> Result<String, FormatError> {
            match *self {}
        }
    }

    /// No key can be read.
    pub(crate) enum PublicKey {}

    pub(crate) fn public_key(_: &str) -> Result<PublicKey, FormatError> {
        Err(left_out())
    }

    /// What cannot be read is not called wrong.
    pub(crate) fn is_public_key(_: &str) -> bool {
        true
    }

    pub(crate) fn verify(_: &Bundle, _: &[PublicKey]) -> Result<String, FormatError> {
        Err(left_out())
    }
}
