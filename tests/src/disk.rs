//! A small disk of its own that a test can fill.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system, gone with the test.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one of two megabytes; `None`, and a word about it, where this user may not.
    pub fn mount() -> Option<Self> {
        Self::of(2)
    }

    /// Mounts one of so many megabytes; `None`, and a word about it, where this user may not.
    pub fn of(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        let size = format!("size={megabytes}m");
        mount.args(["-t", "tmpfs", "-o", &size, "sunkeep-test"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: may not mount");
        }
        mounted.then_some(Self(folder))
    }

    /// A file on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Fills it to the last byte; the file that does so.
    pub fn fill(&self) -> Filling {
        let path = self.path("filling");
        let mut file = std::fs::File::create(&path).expect("a file");
        for size in [4096, 1] {
            let piece = vec![0_u8; size];
            while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        }
        Filling(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A hub that still holds a file there does not keep it.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// What fills a disk; there is room again when this is dropped.
pub struct Filling(PathBuf);

impl Filling {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
