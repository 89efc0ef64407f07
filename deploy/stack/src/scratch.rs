//! Folders for the data of servers that live for the time of a test.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Name of the file whose lock says that a folder is in use.
const LOCK: &str = "lock";

/// A folder that is removed on drop. One that a killed process has left is removed by the next
/// [`Scratch::make`]: nobody holds its lock any more.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one beside the build's artefacts, or in the system's temporary folder when the
    /// running program is not in a build folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make() -> io::Result<Self> {
        let parent = parent();
        fs::create_dir_all(&parent)?;
        remove_abandoned(&parent);
        let folder = tempfile::Builder::new()
            .prefix("run-")
            // PostgreSQL runs as another user when we are root, and has to come in.
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(parent)?;
        let lock = File::create(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn parent() -> PathBuf {
    match crate::service::profile_folder() {
        Some(profile) => profile.join("../stack-runs"),
        None => std::env::temp_dir().join("rosterwire-stack-runs"),
    }
}

fn remove_abandoned(parent: &Path) {
    for item in fs::read_dir(parent).into_iter().flatten().flatten() {
        let Ok(lock) = File::open(item.path().join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            // Best effort: a leftover that stays is only disk space.
            let _ = fs::remove_dir_all(item.path());
        }
    }
}
