//! A serial line without hardware: the master side of a pseudo-terminal, whose other side a hub opens as
//! it would open `/dev/ttyUSB0`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use core::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;

/// How long bytes wait for a reader before they are lost, as they would be on a line.
const PATIENCE: Duration = Duration::from_millis(100);

/// The simulator's end of the line.
pub(crate) struct Pty {
    master: AsyncFd<OwnedFd>,
    path: PathBuf,
    /// Kept open so that the line stays up, raw, while no hub has it open.
    _other_end: OwnedFd,
}

impl Pty {
    /// Opens a new line. Must be called within a tokio runtime.
    pub(crate) fn open() -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let path = Path::new(OsStr::from_bytes(name.as_bytes())).to_path_buf();
        let other_end =
            rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&other_end)?;
        settings.make_raw();
        tcsetattr(&other_end, OptionalActions::Now, &settings)?;
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "`register` is unsafe code; this descriptor is owned and never replaced"
        )]
        let master = AsyncFd::new(master)?;
        Ok(Self { master, path, _other_end: other_end })
    }

    /// What the hub has to open.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for bytes.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            if let Ok(result) = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?)) {
                return result;
            }
        }
    }

    /// Puts bytes onto the line; those that nobody takes within [`PATIENCE`] are lost.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            let mut rest = bytes;
            while !rest.is_empty() {
                let mut ready = self.master.writable().await?;
                if let Ok(result) = ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), rest)?)) {
                    rest = &rest[result?..];
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, sending).await.unwrap_or(Ok(()))
    }
}
