//! A lake in an object store. An object is there when the store has said so, whole; a draft of it lies in this
//! machine's folder for temporary files, and goes up in parts where it is long.

use core::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use sunkeep_models::lake::EXTENSION;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use super::{LakeError, LakeFile, MOST_FILES};

/// Objects up to this go up in one request; longer ones in parts of it, so many at a time.
const PART: usize = 8 << 20;
const PARTS_AT_ONCE: usize = 4;

/// An object store, and where in it the lake lies.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: StorePath,
    /// Files are written by threads that wait.
    runtime: Arc<Runtime>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.store, self.prefix)
    }
}

fn refused(error: object_store::Error) -> io::Error {
    io::Error::other(error)
}

impl Remote {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: StorePath) -> Result<Self, LakeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(LakeError::file("lake", "starting what talks to the store"))?;
        Ok(Self { store, prefix, runtime: Arc::new(runtime) })
    }

    fn path(&self, name: &str) -> StorePath {
        self.prefix.parts().chain(name.split('/').map(Into::into)).collect()
    }

    pub(super) fn publish(&self, name: &str, draft: NamedTempFile) -> Result<(), LakeError> {
        let failed = LakeError::file(name, "putting it into the store");
        let mut file = draft.into_file();
        let length = file.seek(io::SeekFrom::End(0)).map_err(&failed)?;
        file.rewind().map_err(&failed)?;
        let path = self.path(name);
        if length <= PART as u64 {
            let mut bytes = Vec::with_capacity(length as usize);
            file.read_to_end(&mut bytes).map_err(&failed)?;
            let put = self.runtime.block_on(self.store.put(&path, bytes.into()));
            return put.map(|_| ()).map_err(|error| failed(refused(error)));
        }
        let put = self.runtime.block_on(async {
            let upload = self.store.put_multipart(&path).await.map_err(refused)?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
            let mut part = vec![0; PART];
            loop {
                let read = file.read(&mut part)?;
                if read == 0 {
                    return upload.finish().await.map(|_| ()).map_err(refused);
                }
                upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(refused)?;
                upload.write(&part[..read]);
            }
        });
        put.map_err(failed)
    }

    pub(super) fn list(&self, below: &str) -> Result<Vec<LakeFile>, LakeError> {
        let failed = LakeError::file(below, "listing it");
        let folder = self.path(below);
        self.runtime.block_on(async {
            let mut listed = self.store.list(Some(&folder));
            let mut files = Vec::new();
            while let Some(object) = listed.try_next().await.map_err(|error| failed(refused(error)))? {
                let Some(parts) = object.location.prefix_match(&self.prefix) else { continue };
                let name = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
                if object.location.extension() != Some(EXTENSION) {
                    continue;
                }
                if files.len() >= MOST_FILES {
                    return Err(LakeError::Files { name: below.into() });
                }
                let modified_ms = object.last_modified.timestamp_millis();
                files.push(LakeFile { name, bytes: object.size, modified_ms });
            }
            Ok(files)
        })
    }

    /// Fetches an object into a temporary file that has no name.
    pub(super) fn fetch(&self, name: &str) -> Result<File, LakeError> {
        let failed = LakeError::file(name, "fetching it");
        let mut file = tempfile::tempfile().map_err(&failed)?;
        let fetched = self.runtime.block_on(async {
            let object = self.store.get(&self.path(name)).await.map_err(refused)?;
            let mut bytes = object.into_stream();
            while let Some(some) = bytes.try_next().await.map_err(refused)? {
                file.write_all(&some)?;
            }
            file.rewind()
        });
        fetched.map(|()| file).map_err(failed)
    }

    pub(super) fn remove(&self, names: &[&str]) -> Result<(), LakeError> {
        self.runtime.block_on(async {
            for name in names {
                match self.store.delete(&self.path(name)).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(LakeError::file(name, "removing it")(refused(error))),
                }
            }
            Ok(())
        })
    }
}
