//! What a service manager does for a hub: it listens on a socket for `READY=1` and `WATCHDOG=1`, as
//! systemd does (`sd_notify(3)`).

use core::time::Duration;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;

/// The socket that `NOTIFY_SOCKET` names.
pub struct Service {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Service {
    /// Listens in this folder.
    pub fn listen(dir: &Path) -> Self {
        let path = dir.join("notify");
        Self { socket: UnixDatagram::bind(&path).expect("a socket"), path }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message; `None` if none comes in time.
    pub async fn hears(&self, within: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(within, self.socket.recv(&mut buffer)).await.ok()?;
        Some(String::from_utf8_lossy(&buffer[..read.expect("the socket")]).into_owned())
    }

    /// Forgets what was said until now.
    pub async fn forget(&self) {
        while self.hears(Duration::from_millis(10)).await.is_some() {}
    }
}
