//! One question to each device, for a person who has just wired it: does it answer, and if not, what to try.

use std::fmt;
use std::time::Duration;

use super::bus::ModbusBus;
use super::device::meaning;
use super::link::{Failure, Reply};
use super::settings::LineSettings;
use crate::device_file::Parity;
use crate::driver::DeviceId;

/// How long the line is listened to before the first question.
const LISTEN: Duration = Duration::from_millis(300);
/// Values that are shown of a device.
const SHOWN: usize = 4;
/// Requests that a device is asked at most.
const PROBED: usize = 4;

/// What a device answered to a probe; shows as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// Which.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// It answered as its device file says.
    pub ok: bool,
    /// Values, or what happened and what to try.
    pub finding: String,
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.ok { "ok" } else { "FAILS" };
        write!(f, "{}: {verdict}: {}", self.name, self.finding)
    }
}

impl ModbusBus {
    /// Asks every device once and reports in the order of the configuration. Takes at most a few reply times
    /// for each device.
    pub async fn probe(&mut self) -> Vec<ProbeReport> {
        let unasked = self.link.listen(LISTEN).await;
        let mut reports = Vec::new();
        for at in 0..self.devices.len() {
            let (ok, mut finding) = match &unasked {
                Err(Failure::Down(why)) => (false, format!("{why}. {}", way_to_the_bus(why))),
                _ => self.probe_device(at).await,
            };
            if let Ok(bytes @ 1..) = unasked {
                finding = format!(
                    "{finding}. {bytes} bytes came while nobody was asked: another master or a device that \
                     reports by itself is on this bus; it must be switched off, for only one may speak unasked"
                );
            }
            let settings = &self.devices[at].settings;
            reports.push(ProbeReport { device: settings.id, name: settings.name.clone(), ok, finding });
        }
        reports
    }

    async fn probe_device(&mut self, at: usize) -> (bool, String) {
        let device = &self.devices[at];
        let (unit, patience) = (device.settings.unit, device.patience);
        let asks: Vec<_> = device.tasks.iter().map(|task| task.what.clone()).take(PROBED).collect();
        let mut shown = Vec::new();
        let mut complaint = None;
        for what in &asks {
            let Some(ask) = self.devices[at].ask(what) else { continue };
            match self.link.transact(unit, ask, patience).await {
                Ok(Reply::Words(words)) => shown.extend(self.devices[at].show(what, &words)),
                Ok(Reply::Written) => {}
                Err(Failure::Exception(code)) => {
                    complaint = Some(self.exception(at, code));
                }
                Err(Failure::NoReply(why)) if shown.is_empty() => return (false, self.no_reply(at, &why)),
                Err(Failure::NoReply(why)) => complaint = Some(format!("then did not answer ({why})")),
                Err(Failure::Down(why)) => return (false, format!("{why}. {}", way_to_the_bus(&why))),
            }
            if shown.len() >= SHOWN {
                break;
            }
        }
        shown.truncate(SHOWN);
        match complaint {
            _ if asks.is_empty() => (false, "nothing is wanted of it: name registers or relays".into()),
            Some(complaint) if shown.is_empty() => (false, complaint),
            Some(complaint) => (true, format!("{}; but {complaint}", shown.join(", "))),
            None => (true, shown.join(", ")),
        }
    }

    fn exception(&self, at: usize, code: u8) -> String {
        let what = match code {
            1..=3 => {
                format!("is it really a {}? Try another device file", self.devices[at].settings.file.name)
            }
            0x0A | 0x0B => "the gateway is there, but not the unit behind it: try another unit id".into(),
            _ => "try again in a minute, and look at the device's own display".into(),
        };
        format!("answers exception {code:#04X} ({}): {what}", meaning(code))
    }

    fn no_reply(&self, at: usize, why: &str) -> String {
        let device = &self.devices[at];
        let (unit, factory) = (device.settings.unit, device.settings.file.serial);
        let factory = factory.map(|serial| {
            let (parity, stop) = (letter(serial.parity), serial.stop_bits);
            format!(" (from the factory: unit {}, {} 8{parity}{stop})", serial.unit, serial.baud)
        });
        let factory = factory.unwrap_or_default();
        let within = device.patience.reply_timeout.as_millis();
        let LineSettings::Rtu(rtu) = self.link.settings() else {
            return format!(
                "unit {unit} does not answer: {why} within {within} ms. Try: another unit id{factory}; switch \
                 Modbus TCP on in the device; close other clients if it serves one only"
            );
        };
        let line = format!("{} 8{}{}", rtu.baud, letter(rtu.parity), rtu.stop_bits);
        let said = format!("unit {unit} at {line} does not answer: {why} within {within} ms. Try:");
        if why.contains("another master") {
            format!("{said} switch the other master off (a display, a WiFi stick, another logger)")
        } else if why.contains("from unit") {
            format!("{said} unit id: somebody else answers{factory}")
        } else if why.contains("bytes came") {
            format!("{said} bit rate and parity{factory}; swap A and B; two devices with one unit id")
        } else {
            format!("{said} swap A and B; the device's power; unit id, bit rate and parity{factory}")
        }
    }
}

fn letter(parity: Parity) -> char {
    match parity {
        Parity::None => 'N',
        Parity::Even => 'E',
        Parity::Odd => 'O',
    }
}

/// What to do about a port or connection that cannot be had.
fn way_to_the_bus(why: &str) -> &'static str {
    let why = why.to_lowercase();
    let has = |text: &str| why.contains(text);
    if has("permission denied") {
        "Try: add the user that runs Sunkeep to the group that owns the port (ls -l shows it, often dialout)"
    } else if has("no such file") || has("no such device") {
        "Try: plug the adapter in; `ls -l /dev/serial/by-id` shows what is there"
    } else if has("busy") || has("lock") || has("temporarily unavailable") {
        "Try: stop the other program that holds the port (fuser -v shows it)"
    } else if has("refused") {
        "Try: switch Modbus TCP on in the device; the right port, usually 502"
    } else if has("no answer") || has("unreachable") || has("timed out") {
        "Try: the address; the network cable; a firewall between"
    } else if has("lookup") || has("resolve") || has("name or service") {
        "Try: an address instead of the name"
    } else {
        "Try: unplug the adapter and plug it in again"
    }
}
