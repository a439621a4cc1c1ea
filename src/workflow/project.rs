//! Making, finding and opening a project.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::store_key::StoreKey;
use super::{WorkflowError, unfinished};
use crate::domain::label::Annotator;
use crate::domain::secret::Secret;
use crate::domain::signature::SecretKey;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::visibility::{Face, Viewer};
use crate::formats::project::{self, FILE_NAME, ProjectFile};
use crate::formats::{read_text, replace, taxonomy};
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
    /// The annotator's own key, once it was read.
    pub(super) own: Arc<OnceLock<(Annotator, SecretKey)>>,
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
    let made = !folder.exists();
    make_private_folder(folder)?;
    let name = folder.canonicalize().ok().and_then(|f| Some(f.file_name()?.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "project".into()).replace(['"', '\\'], "");
    let (store, taxonomy) = (folder.join("goldsmith.db"), folder.join("taxonomy.toml"));
    let own = !taxonomy.exists();
    if !own && read_text(&taxonomy)? != text {
        let said = format!("{} is there already and says something else; nothing was changed", taxonomy.display());
        return Err(Refusal::exists(taxonomy.display().to_string(), said)
            .hint("`--taxonomy` with its path makes the project with it")
            .into());
    }
    if store.exists() {
        let said =
            format!("there is a store at {} already, without its {FILE_NAME}; nothing was changed", store.display());
        return Err(Refusal::exists(store.display().to_string(), said)
            .hint("move it away, or put its project file back beside it")
            .into());
    }
    // The project file comes last: where it is, the others are.
    let write = || -> Result<(), WorkflowError> {
        Store::create(&store)?;
        replace(&taxonomy, &text)?;
        Ok(replace(&file, &project::TEMPLATE.replace("{name}", &name))?)
    };
    write().inspect_err(|_| {
        // What went wrong is said; what of it cannot be taken away is in nobody's way.
        let _ = std::fs::remove_file(&store);
        if own {
            let _ = std::fs::remove_file(&taxonomy);
        }
        if made {
            let _ = std::fs::remove_dir(folder);
        }
    })?;
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
        Self::read_asking(folder, annotator, StoreKey::default())
    }

    /// The same, with what finds the key of the store.
    pub(crate) fn read_asking(folder: &Path, annotator: Option<&str>, key: StoreKey) -> Result<Self, WorkflowError> {
        let file = project::read(&folder.join(FILE_NAME))?;
        let find = || key.find(&file, folder);
        let guideline = unfinished::taxonomy_text(&file.taxonomy, &file.store, &find)?;
        let taxonomy = taxonomy::parse_own(&file.taxonomy, &guideline)?;
        let named = annotator
            .map(str::trim)
            .filter(|a| !a.is_empty())
            .or(Some(file.annotator.trim()).filter(|a| !a.is_empty()));
        let annotator = Annotator(named.map_or_else(login_name, str::to_owned));
        Ok(Self { folder: folder.into(), file, taxonomy, guideline, annotator, key, own: Arc::default() })
    }

    /// The key of the store, where it has one.
    pub(super) fn store_key(&self) -> Result<Option<&Secret>, WorkflowError> {
        self.key.find(&self.file, &self.folder)
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
