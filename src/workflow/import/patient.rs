//! Whose note it is, where no column says so: by the file's folder or name, if somebody says which.

use std::path::Path;
use std::str::FromStr;

use regex_lite::Regex;

use crate::domain::corpus::PatientKey;

/// Where in its path a file's patient stands.
#[derive(Clone, Debug)]
pub enum PatientFrom {
    /// The name of the folder that it is in.
    Folder,
    /// Its own name without the ending: a file for each patient.
    File,
    /// What a pattern finds in its name: its first group, or all of it.
    Pattern(Regex),
}

impl FromStr for PatientFrom {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        match words {
            "folder" => Ok(Self::Folder),
            "file" => Ok(Self::File),
            pattern => Regex::new(pattern)
                .map(Self::Pattern)
                .map_err(|error| format!("neither `folder` nor `file`, and no pattern such as '^([0-9]+)_': {error}")),
        }
    }
}

impl PatientFrom {
    /// The patient of a file; nothing where its name does not fit.
    pub(super) fn of(&self, file: &Path) -> Option<PatientKey> {
        let name = file.file_name()?.to_string_lossy();
        let found = match self {
            Self::Folder => std::path::absolute(file).ok()?.parent()?.file_name()?.to_string_lossy().into_owned(),
            Self::File => stem(&name).to_owned(),
            Self::Pattern(pattern) => {
                let found = pattern.captures(&name)?;
                found.get(1).or_else(|| found.get(0))?.as_str().to_owned()
            }
        };
        Some(found).filter(|key| !key.is_empty()).map(PatientKey)
    }
}

/// A file's name up to its first dot.
pub(super) fn stem(name: &str) -> &str {
    match name.split_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_place_and_name_tell_the_patient_if_asked() {
        let of = |from: &str, file: &str| Some(from.parse::<PatientFrom>().unwrap().of(Path::new(file))?.0);
        assert_eq!(of("folder", "/notes/p1/a.txt").as_deref(), Some("p1"));
        assert_eq!(of("file", "/notes/p1/a.2.txt.gz").as_deref(), Some("a"));
        assert_eq!(of("^([0-9]+)_", "/notes/17_visit.txt").as_deref(), Some("17"));
        assert_eq!(of("[0-9]+", "/notes/visit-17.txt").as_deref(), Some("17"));
        assert_eq!(of("^([0-9]+)_", "/notes/visit.txt"), None);
        assert!("(".parse::<PatientFrom>().is_err());
    }
}
