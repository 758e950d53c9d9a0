//! The inventory: which hubs there are, with the serial number of each certificate; one line of CSV for each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::ProvisionError;
use super::files::{read, write_over};

/// What stands for the names of a site that was erased: the serial number stays, so that its certificate stays taken back.
pub(super) const ERASED: &str = "erased";

const HEAD: &str = "site,hub,serial,valid_until,revoked";

/// A hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the site.
    pub site: String,
    /// Name of the hub.
    pub hub: String,
    /// Serial number of its certificate, hexadecimal.
    pub serial: String,
    /// First day on which the certificate no longer holds.
    pub valid_until: String,
    /// Whether it was taken back.
    pub revoked: bool,
}

impl Entry {
    /// Whether it is what an erased site has left: a serial number that no broker may take.
    pub fn is_erased(&self) -> bool {
        self.revoked && self.site == ERASED
    }
}

/// All of them.
#[derive(Debug)]
pub struct Inventory {
    path: PathBuf,
    /// In the order they were made.
    pub entries: Vec<Entry>,
}

impl Inventory {
    /// Reads that of a folder; empty where there is none.
    pub fn open(folder: &Path) -> Result<Self, ProvisionError> {
        let path = folder.join("inventory.csv");
        let text = if path.exists() { read(&path)? } else { String::new() };
        let mut entries = Vec::new();
        for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.is_empty()) {
            if line == 0 && text == HEAD {
                continue;
            }
            let fields: Vec<&str> = text.split(',').collect();
            let (&[site, hub, serial, valid_until, revoked @ ("yes" | "no")], true) = (&*fields, line > 0)
            else {
                return Err(ProvisionError::Inventory {
                    path,
                    line: line + 1,
                    read: text.into(),
                    expected: HEAD,
                });
            };
            entries.push(Entry {
                site: site.into(),
                hub: hub.into(),
                serial: serial.into(),
                valid_until: valid_until.into(),
                revoked: revoked == "yes",
            });
        }
        Ok(Self { path, entries })
    }

    /// Writes it in place of what is there.
    pub fn write(&self) -> Result<(), ProvisionError> {
        let mut text = format!("{HEAD}\n");
        for Entry { site, hub, serial, valid_until, revoked } in &self.entries {
            let revoked = if *revoked { "yes" } else { "no" };
            let _ = writeln!(text, "{site},{hub},{serial},{valid_until},{revoked}");
        }
        write_over(&self.path, 0o644, &text)
    }

    /// Whether a hub of this name holds a certificate.
    pub fn has(&self, hub: &str) -> bool {
        self.entries.iter().any(|entry| entry.hub == hub && !entry.revoked)
    }

    /// Serial numbers of what was taken back.
    pub fn revoked(&self) -> Vec<String> {
        let revoked = self.entries.iter().filter(|entry| entry.revoked);
        revoked.map(|entry| entry.serial.clone()).collect()
    }
}
