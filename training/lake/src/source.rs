//! Where a lake lies (a folder, or an object store by its URL), and which files it has.

use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use sunkeep_models::digest::sha256_hex;
use sunkeep_models::lake::EXTENSION;
use url::Url;

use super::error::LakeError;

/// Files a lake may have in one table: more want compaction.
const MOST_FILES: usize = 1_000_000;

/// A lake that can be listed and read.
#[derive(Debug, Clone)]
pub struct Lake {
    /// Its root; ends with a slash.
    root: Url,
    store: Arc<dyn ObjectStore>,
    prefix: StorePath,
}

/// A file of a lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeFile {
    /// Its path below the root of the lake.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

impl Lake {
    /// Opens a folder, or an object store by its URL. Stores in a cloud take their credentials from the
    /// environment, and are there where they were compiled in (feature `clouds`).
    pub fn open(location: &str) -> Result<Self, LakeError> {
        let refused = |reason: String| LakeError::Location { location: location.into(), reason };
        let root = if location.contains("://") {
            let with_slash = format!("{}/", location.trim_end_matches('/'));
            Url::parse(&with_slash).map_err(|error| refused(error.to_string()))?
        } else {
            let folder = Path::new(location).canonicalize().map_err(|error| refused(error.to_string()))?;
            Url::from_directory_path(&folder)
                .map_err(|()| refused(format!("{} is no path for an URL", folder.display())))?
        };
        let (store, prefix) = object_store::parse_url_opts(&root, std::env::vars())
            .map_err(|error| refused(error.to_string()))?;
        Ok(Self { root, store: store.into(), prefix })
    }

    /// The URL of the store, without the path of the lake in it; what an engine registers.
    pub(super) fn store_url(&self) -> Url {
        let mut url = self.root.clone();
        url.set_path("");
        url
    }

    /// Its root, as an URL.
    pub fn location(&self) -> &str {
        self.root.as_str()
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The Parquet files of a table, by name.
    pub async fn files(&self, table: &str) -> Result<Vec<LakeFile>, LakeError> {
        let folder: StorePath = self.prefix.parts().chain([table.into()]).collect();
        let failed = |source| LakeError::Store { doing: format!("list {table}/"), source };
        let mut listed = self.store.list(Some(&folder));
        let mut files = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            if object.location.extension() != Some(EXTENSION) {
                continue;
            }
            let Some(below) = object.location.prefix_match(&self.prefix) else { continue };
            let name = below.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            files.push(LakeFile { name, bytes: object.size });
            if files.len() > MOST_FILES {
                return Err(LakeError::Bound {
                    what: "the number of files of a table",
                    found: format!("more than {MOST_FILES}"),
                    expected: "less; compact them".into(),
                });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    /// Digest of the content of a file, in hexadecimal.
    pub(super) async fn digest(&self, file: &LakeFile) -> Result<String, LakeError> {
        let failed = |source| LakeError::Store { doing: format!("read {}", file.name), source };
        let content = self.store.get(&self.path(file)).await.map_err(failed)?;
        Ok(sha256_hex(&content.bytes().await.map_err(failed)?))
    }

    /// The path of a file in the store.
    pub(super) fn path(&self, file: &LakeFile) -> StorePath {
        self.prefix.parts().chain(file.name.split('/').map(Into::into)).collect()
    }

    /// The URL of a file.
    pub(super) fn url(&self, file: &LakeFile) -> Result<Url, LakeError> {
        let refused = |error: url::ParseError| LakeError::Location {
            location: file.name.clone(),
            reason: error.to_string(),
        };
        let mut url = self.root.clone();
        url.path_segments_mut()
            .map_err(|()| refused(url::ParseError::RelativeUrlWithCannotBeABaseBase))?
            .pop_if_empty()
            .extend(file.name.split('/'));
        Ok(url)
    }
}
