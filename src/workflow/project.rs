//! Making, finding and opening a project.

use std::path::{Path, PathBuf};

use super::WorkflowError;
use super::store_key::{Ask, StoreKey};
use crate::domain::label::Annotator;
use crate::domain::secret::Secret;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::visibility::{Face, Viewer};
use crate::formats::project::{self, FILE_NAME, ProjectFile};
use crate::formats::{FormatError, read_text, taxonomy};
use crate::store::Store;
use crate::workflow::refusal::Refusal;

/// An open project.
#[derive(Clone, Debug)]
pub struct Project {
    pub folder: PathBuf,
    /// What `goldsmith.toml` says.
    pub file: ProjectFile,
    /// Its categories and guideline.
    pub taxonomy: Taxonomy,
    /// The text of the taxonomy file, which the store keeps with every version of it.
    pub guideline: String,
    /// Who decides.
    pub annotator: Annotator,
    /// The key of the store.
    pub(super) key: StoreKey,
}

/// Makes a project: `goldsmith.toml`, a taxonomy and an empty store, for its owner alone.
pub fn init(folder: &Path, taxonomy_name: &str) -> Result<PathBuf, WorkflowError> {
    let file = folder.join(FILE_NAME);
    if file.exists() {
        return Err(WorkflowError::AlreadyProject(folder.into()));
    }
    let text = match taxonomy::SHIPPED.iter().find(|(name, _)| *name == taxonomy_name) {
        Some((_, text)) => (*text).to_owned(),
        None => {
            let path = Path::new(taxonomy_name);
            if !path.is_file() {
                let known: Vec<&str> = taxonomy::SHIPPED.iter().map(|(name, _)| *name).collect();
                let said = format!("`{taxonomy_name}` is neither a file nor a taxonomy that comes with goldsmith");
                return Err(Refusal::not_found("taxonomy", taxonomy_name, said)
                    .hint(format!("taxonomies that come with goldsmith: {}", known.join(", ")))
                    .into());
            }
            let text = read_text(path)?;
            taxonomy::parse_own(path, &text)?;
            text
        }
    };
    make_private_folder(folder)?;
    let name = folder.canonicalize().ok().and_then(|f| Some(f.file_name()?.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "project".into()).replace(['"', '\\'], "");
    Store::create(&folder.join("goldsmith.db"))?;
    write_private(&folder.join("taxonomy.toml"), &text)?;
    write_private(&file, &project::TEMPLATE.replace("{name}", &name))?;
    Ok(file)
}

/// The folder of the project that `start` lies in.
pub(crate) fn find(start: &Path) -> Result<PathBuf, WorkflowError> {
    let start = start.canonicalize().unwrap_or_else(|_| start.into());
    start
        .ancestors()
        .find(|folder| folder.join(FILE_NAME).is_file())
        .map(Path::to_path_buf)
        .ok_or(WorkflowError::NoProject(start))
}

impl Project {
    /// Reads the project file and the taxonomy of a folder.
    pub fn read(folder: &Path, annotator: Option<&str>) -> Result<Self, WorkflowError> {
        let file = project::read(&folder.join(FILE_NAME))?;
        let guideline = read_text(&file.taxonomy)?;
        let taxonomy = taxonomy::parse_own(&file.taxonomy, &guideline)?;
        let named = annotator
            .map(str::trim)
            .filter(|a| !a.is_empty())
            .or(Some(file.annotator.trim()).filter(|a| !a.is_empty()));
        let annotator = Annotator(named.map_or_else(login_name, str::to_owned));
        Ok(Self { folder: folder.into(), file, taxonomy, guideline, annotator, key: StoreKey::default() })
    }

    /// The key of the store, where it has one.
    pub(super) fn store_key(&self) -> Result<Option<&Secret>, WorkflowError> {
        self.key.find(&self.file, &self.folder)
    }

    /// With somebody at the terminal who can be asked for the key.
    pub(crate) fn asking(mut self, ask: Ask) -> Self {
        self.key.ask_by(ask);
        self
    }

    /// The project's annotator at a face of the program: who asks what may be shown.
    pub(crate) fn viewer(&self, face: Face) -> Viewer<'_> {
        Viewer { protocol: &self.file.protocol, person: &self.annotator, face }
    }

    /// Where trained models are saved.
    pub(crate) fn models(&self) -> PathBuf {
        self.folder.join("models")
    }
}

fn login_name() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        .unwrap_or_else(|| "annotator".into())
}

/// Makes a folder that only its owner may enter.
pub(crate) fn make_private_folder(folder: &Path) -> Result<(), WorkflowError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|cause| WorkflowError::Folder { path: folder.into(), cause })
}

fn write_private(path: &Path, text: &str) -> Result<(), WorkflowError> {
    use std::io::Write;
    let written = crate::formats::create_private(path)?.write_all(text.as_bytes());
    written.map_err(|cause| FormatError::Io { doing: "write", path: path.into(), cause }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_made_once_and_found_from_below() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study");
        init(&root, "ad-signs").unwrap();
        assert!(matches!(init(&root, "ad-signs"), Err(WorkflowError::AlreadyProject(_))));
        let below = root.join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let found = find(&below).unwrap();
        let project = Project::read(&found, Some("ann")).unwrap();
        assert_eq!((project.file.name.as_str(), project.annotator.0.as_str()), ("study", "ann"));
        assert_eq!(project.taxonomy.categories().len(), 9);
        project.store().unwrap();
        assert!(matches!(find(folder.path()), Err(WorkflowError::NoProject(_))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            for path in [root.clone(), root.join("goldsmith.toml"), root.join("goldsmith.db")] {
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{path:?}");
            }
        }
    }
}
