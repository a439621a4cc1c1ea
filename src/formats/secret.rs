//! Reads secrets from where they are kept: the environment, a file, a program such as a vault's.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{FormatError, Needs};
use crate::domain::secret::{Secret, SecretSource};
use crate::plain_file;

/// The value of an environment variable.
pub(crate) fn from_variable(name: &str) -> Result<Secret, FormatError> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value, SecretSource::Variable(name.into()))),
        _ => Err(FormatError::key(format!("the environment has no {name}"), Needs::Variable(name.into()))),
    }
}

/// The first line of a file that not everybody can read.
pub(crate) fn from_file(path: &Path) -> Result<Secret, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A group may share a key; all the world may not.
        if std::fs::metadata(path).map_err(fail)?.permissions().mode() & 0o007 != 0 {
            let said = format!("everybody on this machine can read or change the key in {}", path.display());
            return Err(FormatError::key(said, Needs::Private(path.into())));
        }
    }
    let text = plain_file::read(path, plain_file::SMALL).map_err(fail)?;
    first_line(text, SecretSource::File(path.into()))
}

/// The first line that a program prints. What it says on standard error is shown as it comes.
pub(crate) fn from_command(words: &[String]) -> Result<Secret, FormatError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(FormatError::key("the command that prints the key is empty", Needs::Nothing));
    };
    let ran = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = ran.map_err(|cause| {
        FormatError::key(format!("`{program}`, which prints the key, cannot be run: {cause}"), Needs::Nothing)
    })?;
    if !output.status.success() {
        let said = format!("`{program}`, which prints the key, failed ({})", output.status);
        return Err(FormatError::key(said, Needs::Nothing));
    }
    first_line(output.stdout, SecretSource::Command(words.to_vec()))
}

fn first_line(bytes: Vec<u8>, source: SecretSource) -> Result<Secret, FormatError> {
    let wrong = |what: &str| FormatError::key(format!("the key {source} {what}"), Needs::Nothing);
    let text = String::from_utf8(bytes).map_err(|_| wrong("is no text; write random bytes as hexadecimal digits"))?;
    match text.lines().next() {
        Some(line) if line.contains(char::is_control) => Err(wrong("has characters that nobody can type")),
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned(), source)),
        _ => Err(wrong("is empty")),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn words(of: &[&str]) -> Vec<String> {
        of.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_key_is_the_first_line_of_a_file_that_not_everybody_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(from_file(&path), Err(FormatError::Io { .. })));
        for (bytes, wanted) in [
            (&b"correct horse\r\nmore\n"[..], Some("correct horse")),
            (b"\nx", None),
            (b"", None),
            (b"\xff\xfe", None),
            (b"a\0b", None),
        ] {
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let found = from_file(&path);
            assert_eq!(found.as_ref().ok().map(Secret::value), wanted, "{found:?}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = from_file(&path).unwrap_err();
        assert!(matches!(&refused, FormatError::Key { needs: Needs::Private(file), .. } if *file == path), "{refused}");
    }

    #[test]
    fn a_key_is_the_first_line_that_a_program_prints() {
        let key = from_command(&words(&["printf", "correct horse\nmore"])).unwrap();
        assert_eq!(key.value(), "correct horse");
        for (program, said) in [
            (&["false"][..], "`false`, which prints the key, failed"),
            (&["true"], "the key that `true` printed is empty"),
            (&["goldsmith-no-such-program"], "cannot be run"),
            (&[], "is empty"),
        ] {
            let refused = from_command(&words(program)).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
