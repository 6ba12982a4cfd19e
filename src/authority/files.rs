//! Files that are there as a whole or not at all, and keys that nobody else can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::AuthorityError;

/// Held while files of a directory are made; others wait.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the directory if it is not there.
    pub(super) fn take(dir: &Path) -> Result<Self, AuthorityError> {
        make_dir(dir)?;
        let path = dir.join(".lock");
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.and_then(|file| file.lock().map(|()| file));
        let file = file.map_err(|source| AuthorityError::Io { verb: "lock", path, source })?;
        Ok(Self { _file: file })
    }
}

/// Makes a directory for this user alone, and those above it.
pub(super) fn make_dir(dir: &Path) -> Result<(), AuthorityError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|source| AuthorityError::Io { verb: "make the directory", path: dir.into(), source })
}

pub(super) fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path).map_err(|source| AuthorityError::Io { verb: "read", path: path.into(), source })
}

/// Writes a file in place of any that is there.
pub(super) fn write(path: &Path, text: &str, secret: bool) -> Result<(), AuthorityError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if secret { 0o600 } else { 0o644 });
    let written = options.open(new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(new, path)).map_err(|source| AuthorityError::Io {
        verb: "write",
        path: path.into(),
        source,
    })
}
