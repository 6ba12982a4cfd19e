//! The files themselves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use natsd_auth::jwt::{KeyKind, MAX_SIZE};

use super::StoreError;

const EXTENSION: &str = ".jwt";
/// Of a file that is being written; what a crash leaves of it is removed.
const UNFINISHED: &str = ".jwt.new";
const DELETED: &str = ".jwt.deleted";

#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    sharded: bool,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    |error| StoreError::Io { path: path.to_owned(), error }
}

/// What is not there is `None`.
fn if_there<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>, StoreError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))
}

/// Makes sure that what was done in a directory outlasts a crash.
fn sync(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(failed(directory))
}

impl Files {
    pub(super) fn open(directory: PathBuf, sharded: bool) -> Result<Self, StoreError> {
        make_directory(&directory)?;
        Ok(Self { directory, sharded })
    }

    /// Where all files of one account are.
    fn home(&self, key: &str) -> PathBuf {
        let shard = key.get(key.len().saturating_sub(2)..).filter(|_| self.sharded);
        shard.map_or_else(|| self.directory.clone(), |shard| self.directory.join(shard))
    }

    fn path(&self, key: &str, extension: &str) -> PathBuf {
        self.home(key).join(format!("{key}{extension}"))
    }

    /// The accounts that have a file. Files that a crash left unfinished are removed.
    pub(super) fn keys(&self) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        self.keys_in(&self.directory, &mut keys)?;
        if self.sharded {
            for entry in fs::read_dir(&self.directory).map_err(failed(&self.directory))? {
                let path = entry.map_err(failed(&self.directory))?.path();
                if path.is_dir() {
                    self.keys_in(&path, &mut keys)?;
                }
            }
        }
        Ok(keys)
    }

    fn keys_in(&self, directory: &Path, keys: &mut Vec<String>) -> Result<(), StoreError> {
        for entry in fs::read_dir(directory).map_err(failed(directory))? {
            let entry = entry.map_err(failed(directory))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let own = |key: &str, extension| KeyKind::Account.is(key) && entry.path() == self.path(key, extension);
            if let Some(key) = name.strip_suffix(EXTENSION).filter(|key| own(key, EXTENSION)) {
                keys.push(key.to_owned());
            } else if name.strip_suffix(UNFINISHED).is_some_and(|key| own(key, UNFINISHED)) {
                if_there(fs::remove_file(entry.path()), &entry.path())?;
            }
        }
        Ok(())
    }

    /// The token of an account. A file that is too large for one, or no text, is none.
    pub(super) fn read(&self, key: &str) -> Result<Option<String>, StoreError> {
        let path = self.path(key, EXTENSION);
        let Some(file) = if_there(File::open(&path), &path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let longest = MAX_SIZE as u64;
        file.take(longest + 1).read_to_end(&mut bytes).map_err(failed(&path))?;
        Ok(String::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_SIZE))
    }

    /// Puts the token of an account in the place of the one before: whatever happens, one of them is there.
    pub(super) fn write(&self, key: &str, token: &str) -> Result<(), StoreError> {
        let (home, path, new) = (self.home(key), self.path(key, EXTENSION), self.path(key, UNFINISHED));
        if self.sharded && !home.is_dir() {
            make_directory(&home)?;
            sync(&self.directory)?;
        }
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(token.as_bytes()).and_then(|()| file.sync_all()));
        if let Err(error) = written {
            // The old one stays; of the new one nothing is to be left on a disk that may be full.
            let _ = fs::remove_file(&new);
            return Err(failed(&new)(error));
        }
        fs::rename(&new, &path).map_err(failed(&path))?;
        sync(&home)
    }

    /// Removes the file of an account; whether there was one.
    pub(super) fn remove(&self, key: &str) -> Result<bool, StoreError> {
        let path = self.path(key, EXTENSION);
        let was_there = if_there(fs::remove_file(&path), &path)?.is_some();
        if was_there {
            sync(&self.home(key))?;
        }
        Ok(was_there)
    }

    /// Renames the file of an account, so that an operator may have it back; whether there was one.
    pub(super) fn set_aside(&self, key: &str) -> Result<bool, StoreError> {
        let path = self.path(key, EXTENSION);
        let was_there = if_there(fs::rename(&path, self.path(key, DELETED)), &path)?.is_some();
        if was_there {
            sync(&self.home(key))?;
        }
        Ok(was_there)
    }
}
