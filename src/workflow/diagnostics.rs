//! What the program's log may say of values and errors: names of variants, kinds and codes, and never a word of what is in
//! them, for that may be a note's, a patient's or a key.

use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::io;

use super::WorkflowError;

/// The name of an enum's variant, without what is in it.
pub(crate) fn variant(value: &dyn Debug) -> String {
    /// Takes letters and digits, and ends the writing at the first character that is something else.
    struct Head(String);
    impl Write for Head {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let head = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
            self.0.push_str(&text[..head]);
            if head < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut head = Head(String::new());
    // The error is how the writing ends.
    let _ = write!(head, "{value:?}");
    head.0
}

/// An error and all that is behind it, from the outermost inwards.
pub(crate) fn causes(error: &WorkflowError) -> String {
    let mut all = vec![variant(error)];
    match error {
        WorkflowError::Refused(refusal) => all.push(variant(&refusal.kind)),
        WorkflowError::Format(inner) => all.push(variant(inner)),
        WorkflowError::Store(inner) => all.push(variant(inner)),
        WorkflowError::Classifier(inner) => all.push(variant(inner)),
        WorkflowError::Llm(inner) => all.push(variant(inner)),
        WorkflowError::Taxonomy(inner) => all.push(variant(inner)),
        WorkflowError::NoProject(_)
        | WorkflowError::AlreadyProject(_)
        | WorkflowError::Folder { .. }
        | WorkflowError::Record { .. }
        | WorkflowError::Stopped => {}
    }
    let behind = std::iter::successors(error.source(), |cause| (*cause).source());
    all.extend(behind.map(|cause| match cause.downcast_ref::<io::Error>() {
        Some(cause) => match cause.raw_os_error() {
            Some(code) => format!("{:?} (os error {code})", cause.kind()),
            None => format!("{:?}", cause.kind()),
        },
        // What another crate says of its error may quote what it was given.
        None => "another error".into(),
    }));
    all.join(": ")
}

/// Writes an error into the log.
pub(crate) fn failed(error: &WorkflowError) {
    match error {
        WorkflowError::Stopped => tracing::info!("stopped"),
        _ => tracing::error!(causes = causes(error), "failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::FormatError;
    use crate::workflow::refusal::{Refusal, RefusalKind};

    #[test]
    fn an_error_is_named_without_a_word_of_what_is_in_it() {
        let cause = io::Error::from_raw_os_error(2);
        let error = FormatError::Io { doing: "read", path: "Mrs H.txt".into(), cause };
        assert_eq!(causes(&error.into()), "Format: Io: NotFound (os error 2)");
        let refusal = Refusal::not_found("run", "Mrs H", "there is no run `Mrs H`")
            .because(io::Error::new(io::ErrorKind::InvalidData, "Mrs H"));
        assert_eq!(causes(&refusal.into()), "Refused: NotFound: InvalidData");
        assert_eq!(causes(&WorkflowError::Stopped), "Stopped");
        assert_eq!(variant(&RefusalKind::Protected), "Protected");
        assert_eq!(variant(&"Mrs H"), "", "a text has no variant");
    }
}
