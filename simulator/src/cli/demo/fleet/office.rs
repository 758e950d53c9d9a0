//! The fleet's side of the demo: a folder of certificates, Mosquitto, ingest and its lake.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::programs::{self, Beside};
use super::{Member, PREFIX};
use crate::cli::demo::{LEAVE, PIN};
use crate::cli::tell;

/// The fleet's side.
pub(super) struct Office {
    folder: PathBuf,
    pub(super) lake: PathBuf,
    /// Port of the broker.
    pub(super) port: u16,
    broker: Beside,
    ingest: Beside,
}

impl Office {
    /// Provisions the hubs and starts broker and ingest.
    pub(super) async fn open(
        mosquitto: &Path,
        operator: &Path,
        folder: &Path,
        homes: u8,
    ) -> anyhow::Result<Self> {
        let any = std::net::TcpListener::bind("127.0.0.1:0").context("cannot find a port for the broker")?;
        let port = any.local_addr()?.port();
        drop(any);
        let (fleet, lake) = (folder.join("fleet"), folder.join("lake"));
        let url = format!("mqtts://localhost:{port}");
        let count = homes.to_string();
        let mut words: Vec<&OsStr> =
            ["provision", "--broker", &url, "--prefix", PREFIX, "--count", &count, "--fleet"]
                .map(OsStr::new)
                .to_vec();
        words.push(fleet.as_os_str());
        programs::run(operator, &words).await?;
        let config = fleet.join("demo.conf");
        let made = std::fs::read_to_string(fleet.join("mosquitto.conf")).context("mosquitto.conf")?;
        // For this machine only; and as root it would become another user, who may not read the keys.
        let made = made.replace(&format!("listener {port}\n"), &format!("listener {port} 127.0.0.1\n"));
        std::fs::write(&config, format!("user root\n{made}")).context("demo.conf")?;
        let words = [OsStr::new("-c"), config.as_os_str()];
        let mut broker = Beside::start("broker", mosquitto, &words, folder)?;
        broker.listens(port).await?;
        let [ca, certificate, key] = ["ca.pem", "ingest.pem", "ingest.key"].map(|name| fleet.join(name));
        let words = [
            OsStr::new("ingest"),
            OsStr::new("--broker"),
            OsStr::new(&url),
            OsStr::new("--ca"),
            ca.as_os_str(),
            OsStr::new("--certificate"),
            certificate.as_os_str(),
            OsStr::new("--key"),
            key.as_os_str(),
            OsStr::new("--lake"),
            lake.as_os_str(),
            OsStr::new("--flush-seconds"),
            OsStr::new("2"),
        ];
        let ingest = Beside::start("ingest", operator, &words, folder)?;
        Ok(Self { folder: folder.into(), lake, port, broker, ingest })
    }

    /// Says where everything is.
    pub(super) fn introduce(&self, members: &[Member]) {
        let port = self.port;
        for member in members {
            tell(&format!("{}    page http://{}  (PIN {PIN})", member.report.hub, member.page));
        }
        let fleet = self.folder.join("fleet");
        let fleet = fleet.display();
        tell(&format!("broker       mqtts://localhost:{port}; to read along, in another terminal:"));
        tell(&format!(
            "mosquitto_sub -h localhost -p {port} --cafile {fleet}/ca.pem --cert {fleet}/ingest.pem --key {fleet}/ingest.key -t 'sunkeep/v1/+/up/#' -v"
        ));
        tell(&format!("lake         {}", self.lake.display()));
        tell(
            "Enter pulls the link of all homes, or puts it back; a home's number and Enter that of one. Ctrl-C ends it.",
        );
    }

    /// Returns when one of the programs has ended, which none should.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.broker.ended() => error,
            error = self.ingest.ended() => error,
        }
    }

    /// Ingest files what it holds, and then the broker goes.
    pub(super) async fn leave(self) {
        self.ingest.leave(LEAVE).await;
        self.broker.leave(LEAVE).await;
    }
}
