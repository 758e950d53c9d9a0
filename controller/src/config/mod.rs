//! The configuration of a home: one commented TOML file, read whole or refused whole.
//!
//! `file` is the file as written, `resolve` makes [`Settings`] for the decision core of it, `connect` makes
//! [`Wiring`] for the shell. Nothing is repaired: every refusal names its line, what stands there and what
//! was expected.

mod care;
mod connect;
mod file;
mod home_assistant;
mod resolve;
mod uplink;
mod wiring;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sunkeep_core::Settings;
use sunkeep_models::time::Zone;

use crate::language::Language;

pub use file::{ContactWiring, GpioDriver, HubDead, HubStops};
pub use home_assistant::HomeAssistant;
pub use uplink::{Encoding, TlsFiles, Uplink};
pub use wiring::{Bus, BusLink, ChannelWiring, Device, Gpio, Place, Pulse, Relay, RelayAt, Term, Wiring};

/// Most problems that a refusal lists.
const MOST_PROBLEMS: usize = 100;

/// Longest configuration that is read, bytes.
pub const MAX_BYTES: u64 = 256 * 1024;

/// A home, resolved.
#[derive(Debug, Clone)]
pub struct Home {
    /// Name of the site.
    pub name: String,
    /// Its time zone.
    pub zone: Zone,
    /// Latitude and longitude in degrees, north and east positive.
    pub place: Option<(f64, f64)>,
    /// Its panels, where described.
    pub panels: Option<Panels>,
    /// What decisions depend on.
    pub settings: Settings,
    /// What is connected where.
    pub wiring: Wiring,
    /// The page.
    pub page: Page,
    /// The journal.
    pub journal: Journal,
    /// The way to the fleet, where there is one.
    pub uplink: Option<Uplink>,
    /// Where Home Assistant is shown the home.
    pub home_assistant: Option<HomeAssistant>,
    /// The board's watchdog, where there is one.
    pub watchdog: Option<PathBuf>,
    /// The text it was resolved from.
    pub text: String,
}

/// The panels as the installer describes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Panels {
    /// Nameplate power, W.
    pub peak_w: f64,
    /// Slope, degrees from horizontal.
    pub tilt_deg: f64,
    /// Direction they face, degrees from north, clockwise.
    pub azimuth_deg: f64,
}

/// Where the page listens, and what guards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Address and port.
    pub listen: SocketAddr,
    /// Digits that allow changes; without one, only on loopback.
    pub pin: Option<String>,
    /// Language of the household.
    pub language: Language,
}

/// Where the journal lies and how large it may grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Its file.
    pub path: PathBuf,
    /// Bound, bytes.
    pub max_bytes: u64,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1.
    pub line: usize,
    /// What stands there and what was expected.
    pub what: String,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is longer than any home needs.
    #[error("{}: longer than {MAX_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    /// A device file cannot be used.
    #[error(transparent)]
    DeviceFile(#[from] crate::device_file::DeviceFileError),
    /// The text breaks rules; the first hundred that were found, and how many more.
    #[error("{}", Listed(.file, .problems))]
    Refused {
        /// Name of the file.
        file: String,
        /// What is wrong.
        problems: Vec<Problem>,
    },
}

struct Listed<'a>(&'a str, &'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Problem { line, what }) in self.1.iter().enumerate() {
            let end = if place > 0 { "\n" } else { "" };
            write!(f, "{end}{}:{line}: {what}", self.0)?;
        }
        Ok(())
    }
}

impl Home {
    /// Reads and resolves a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        use std::io::Read as _;
        let unreadable = |source| ConfigError::Unreadable { path: path.into(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(ConfigError::TooLong(path.into()));
        }
        Self::parse(&path.display().to_string(), &text)
    }

    /// Resolves the text of a configuration; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let mut problems = Problems { text, found: Vec::new(), more: 0 };
        let home = match toml::from_str::<file::File>(text) {
            Ok(written) if resolve::too_long(&written, &mut problems) => None,
            Ok(written) => resolve::home(&written, text, &mut problems)?,
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let key = key_before(text, span.start).map_or_else(String::new, |key| format!("{key}: "));
                problems.at(&span, format!("{key}{}", error.message()));
                None
            }
        };
        match home {
            Some(home) if problems.found.is_empty() => Ok(home),
            _ => {
                problems.found.sort_by_key(|problem| problem.line);
                problems.tell_more();
                Err(ConfigError::Refused { file: file.into(), problems: problems.found })
            }
        }
    }
}

/// The key whose value stands at this place, if a value does.
fn key_before(text: &str, place: usize) -> Option<&str> {
    let line = text.get(..place)?.rsplit('\n').next()?;
    let before = line.trim_end().strip_suffix('=')?;
    before.rsplit(['{', ',']).next().map(str::trim).filter(|key| !key.is_empty())
}

/// Collects what is wrong, so that one run tells all.
struct Problems<'a> {
    text: &'a str,
    found: Vec<Problem>,
    /// How many were found beyond those that are listed.
    more: usize,
}

impl Problems<'_> {
    fn at(&mut self, span: &std::ops::Range<usize>, what: String) {
        if self.found.len() >= MOST_PROBLEMS {
            self.more += 1;
            return;
        }
        let before = self.text.get(..span.start).unwrap_or(self.text);
        self.found.push(Problem { line: before.matches('\n').count() + 1, what });
    }

    /// Says how many problems are not listed, after the last that is.
    fn tell_more(&mut self) {
        if let (Some(last), 1..) = (self.found.last(), self.more) {
            let what = format!("{} more problems are not listed", self.more);
            self.found.push(Problem { line: last.line, what });
        }
    }

    /// A number inside its range, or a problem and the nearest end of the range.
    fn number(&mut self, key: &str, value: &toml::Spanned<f64>, least: f64, most: f64) -> f64 {
        let read = *value.get_ref();
        if !(least..=most).contains(&read) {
            self.at(&value.span(), format!("{key} is {read}, expected {least} to {most}"));
        }
        if read.is_nan() { least } else { read.clamp(least, most) }
    }

    /// As [`Self::number`], with a default.
    fn number_or(
        &mut self,
        key: &str,
        value: Option<&toml::Spanned<f64>>,
        least: f64,
        most: f64,
        default: f64,
    ) -> f64 {
        value.map_or(default, |value| self.number(key, value, least, most))
    }
}
