//! What is known of the sites of a fleet, beside who may publish for them: zone, position, place whose weather they
//! have, panels. It stands in `sites.csv` of the fleet's folder, where people fill it in, and goes from there into the
//! lake's table of sites, which training reads.

mod table;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sunkeep_models::time::Zone;
use sunkeep_models::wire::is_name;

use crate::lake::LakeError;
use crate::provision::ProvisionError;
use crate::provision::files::{read, write_over};

pub use table::{Published, TABLE_FILE, publish};

/// The columns of the file; only the first must be there.
pub const COLUMNS: [&str; 8] =
    ["site", "zone", "latitude", "longitude", "place", "peak_w", "tilt_deg", "azimuth_deg"];
const FILE: &str = "sites.csv";
/// Most lines of a file.
const MOST_SITES: usize = 1_000_000;

/// Why the sites cannot be read or brought into the lake.
#[derive(Debug, thiserror::Error)]
pub enum SitesError {
    /// A file of the fleet's folder.
    #[error(transparent)]
    Fleet(#[from] ProvisionError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A line that cannot be read.
    #[error("{path}:{line}: {column}: read {read:?}, expected {expected}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// Which column.
        column: String,
        /// What stands there.
        read: String,
        /// What may.
        expected: String,
    },
    /// Sites of which nobody said in which zone they are.
    #[error(
        "{count} sites have no zone, the first is {first:?}: fill in {path}, or name one for all of them by --zone"
    )]
    NoZone {
        /// Where it belongs.
        path: PathBuf,
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
}

/// What is known of a site.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Site {
    /// Its name.
    pub site: String,
    /// Where its days begin: an IANA name.
    pub zone: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Name of the place whose weather it has.
    pub place: Option<String>,
    /// Nameplate power of the panels, W.
    pub peak_w: Option<f64>,
    /// Slope of the panels, degrees from horizontal.
    pub tilt_deg: Option<f64>,
    /// Direction they face, degrees from north, clockwise.
    pub azimuth_deg: Option<f64>,
}

/// The sites of a fleet, in the order they were made.
#[derive(Debug, Clone, PartialEq)]
pub struct Sites {
    path: PathBuf,
    /// All of them.
    pub all: Vec<Site>,
}

impl Sites {
    /// Reads those of a fleet's folder; empty where there is no such file.
    pub fn open(fleet: &Path) -> Result<Self, SitesError> {
        let path = fleet.join(FILE);
        let all = if path.exists() { read_list(&path)? } else { Vec::new() };
        Ok(Self { path, all })
    }

    /// Takes in sites; who is there already keeps what is not told anew.
    pub fn add(&mut self, told: Vec<Site>) {
        for site in told {
            match self.all.iter_mut().find(|known| known.site == site.site) {
                None => self.all.push(site),
                Some(known) => {
                    *known = Site {
                        zone: site.zone.or(known.zone.take()),
                        latitude: site.latitude.or(known.latitude),
                        longitude: site.longitude.or(known.longitude),
                        place: site.place.or(known.place.take()),
                        peak_w: site.peak_w.or(known.peak_w),
                        tilt_deg: site.tilt_deg.or(known.tilt_deg),
                        azimuth_deg: site.azimuth_deg.or(known.azimuth_deg),
                        site: site.site,
                    }
                }
            }
        }
    }

    /// Writes them in place of what is there.
    pub fn write(&self) -> Result<(), SitesError> {
        let mut text = format!("{}\n", COLUMNS.join(","));
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        for site in &self.all {
            let (zone, place) = (site.zone.as_deref().unwrap_or(""), site.place.as_deref().unwrap_or(""));
            let numbers = [site.peak_w, site.tilt_deg, site.azimuth_deg].map(number).join(",");
            let (north, east) = (number(site.latitude), number(site.longitude));
            let _ = writeln!(text, "{},{zone},{north},{east},{place},{numbers}", site.site);
        }
        Ok(write_over(&self.path, 0o644, &text)?)
    }
}

/// Reads a list of sites: a table with a head whose first column is `site`, or plain names, one a line.
pub fn read_list(path: &Path) -> Result<Vec<Site>, SitesError> {
    let text = read(path)?;
    let headed = text.lines().next().is_some_and(|line| line.split(',').next() == Some("site"));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(headed)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let head = if headed { reader.headers().cloned() } else { Ok(COLUMNS[..1].to_vec().into()) };
    let wrong = |line, column: &str, read: &str, expected: String| SitesError::Line {
        path: path.into(),
        line,
        column: column.into(),
        read: read.chars().take(80).collect(),
        expected,
    };
    let head = head.map_err(|error| wrong(1, "the head", &error.to_string(), COLUMNS.join(",")))?;
    if let Some(other) = head.iter().find(|name| !COLUMNS.contains(name)) {
        return Err(wrong(1, "the head", other, format!("some of {}", COLUMNS.join(", "))));
    }
    let mut sites: Vec<Site> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for row in reader.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            wrong(line, "the line", &error.to_string(), format!("{} columns", head.len()))
        })?;
        let line = row.position().map_or(0, csv::Position::line);
        let mut site = Site::default();
        for (column, text) in head.iter().zip(&row).filter(|(_, text)| !text.is_empty()) {
            fill(&mut site, column, text).map_err(|expected| wrong(line, column, text, expected))?;
        }
        if site.site.is_empty() || !names.insert(site.site.clone()) {
            return Err(wrong(line, "site", &site.site, "a name, each once".into()));
        }
        if sites.len() >= MOST_SITES {
            return Err(wrong(line, "site", "more", format!("at most {MOST_SITES} sites")));
        }
        sites.push(site);
    }
    Ok(sites)
}

/// Fills a column; where it cannot be, what was expected.
fn fill(site: &mut Site, column: &str, text: &str) -> Result<(), String> {
    let name = || {
        let expected = || "1 to 64 letters, digits, _, - or .".to_owned();
        if is_name(text) { Ok(text.to_owned()) } else { Err(expected()) }
    };
    let number = |least: f64, most: f64| {
        let value = text.parse::<f64>().ok().filter(|value| (least..=most).contains(value));
        value.map(Some).ok_or_else(|| format!("a number from {least} to {most}"))
    };
    match column {
        "site" => site.site = name()?,
        "zone" => site.zone = Some(zone(text)?),
        "latitude" => site.latitude = number(-90.0, 90.0)?,
        "longitude" => site.longitude = number(-180.0, 180.0)?,
        "place" => site.place = Some(name()?),
        "peak_w" => site.peak_w = number(1.0, 1e6)?,
        "tilt_deg" => site.tilt_deg = number(0.0, 90.0)?,
        _ => site.azimuth_deg = number(0.0, 360.0)?,
    }
    Ok(())
}

/// The name of a zone that exists; otherwise what was expected.
pub fn zone(text: &str) -> Result<String, String> {
    Zone::named(text).map(|zone| zone.name().to_owned()).map_err(|error| error.to_string())
}
