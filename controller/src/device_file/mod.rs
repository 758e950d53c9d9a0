//! Devices as data: what a device file may say, and the catalogue of those that are built in or given in a
//! folder at run time. A new meter needs a file and no code.
//!
//! Here are the types and the catalogue; `parse` reads and refuses, `value` turns words into numbers. Nothing
//! here talks to a bus.

mod parse;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use value::Refused;

/// Longest device file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Most files that are read from a folder.
pub const MAX_FILES: usize = 256;
/// Most registers of one device.
pub const MAX_REGISTERS: usize = 512;

/// Device files that are part of the program, by key.
const BUILT_IN: [(&str, &str); 8] = [
    ("algodue_uem", include_str!("../../devices/algodue_uem.toml")),
    ("eastron_sdm120", include_str!("../../devices/eastron_sdm120.toml")),
    ("eastron_sdm630", include_str!("../../devices/eastron_sdm630.toml")),
    ("epever_tracer", include_str!("../../devices/epever_tracer.toml")),
    ("kael_energy02", include_str!("../../devices/kael_energy02.toml")),
    ("relay_board_8", include_str!("../../devices/relay_board_8.toml")),
    ("victron_gx", include_str!("../../devices/victron_gx.toml")),
    ("xy_md02", include_str!("../../devices/xy_md02.toml")),
];

/// A device file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceFileError {
    /// The text breaks a rule of the format.
    #[error("{file}:{line}: {problem}")]
    Refused {
        /// Name of the file.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// What stands there and what was expected.
        problem: String,
    },
    /// The file or folder cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file or folder is larger than anything sensible.
    #[error("{}: {problem}", .path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The limit and what was found.
        problem: String,
    },
}

/// Modbus function that reads a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadFunction {
    /// FC 1, read coils.
    Coils,
    /// FC 2, read discrete inputs.
    DiscreteInputs,
    /// FC 3, read holding registers.
    HoldingRegisters,
    /// FC 4, read input registers.
    InputRegisters,
}

impl ReadFunction {
    /// The function code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Coils => 1,
            Self::DiscreteInputs => 2,
            Self::HoldingRegisters => 3,
            Self::InputRegisters => 4,
        }
    }

    /// Whether it carries bits and not 16-bit words.
    pub const fn is_bits(self) -> bool {
        matches!(self, Self::Coils | Self::DiscreteInputs)
    }

    /// The function of this code; `None` unless 1 to 4.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Coils),
            2 => Some(Self::DiscreteInputs),
            3 => Some(Self::HoldingRegisters),
            4 => Some(Self::InputRegisters),
            _ => None,
        }
    }
}

/// How the words of a register make a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegisterType {
    /// One word, unsigned.
    U16,
    /// One word, two's complement.
    I16,
    /// Two words, unsigned.
    U32,
    /// Two words, two's complement.
    I32,
    /// Two words, IEEE 754.
    F32,
    /// Four words, unsigned.
    U64,
    /// A coil, a discrete input, or bit `bit` of one word.
    Bit,
}

impl RegisterType {
    /// Words (or bits, of a bit function) it takes.
    pub const fn width(self) -> u16 {
        match self {
            Self::U16 | Self::I16 | Self::Bit => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 => 4,
        }
    }
}

/// Order of the words of a value that takes more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordOrder {
    /// Most significant word at the lowest address.
    #[default]
    HighFirst,
    /// Least significant word at the lowest address.
    LowFirst,
}

/// Parity of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// No parity bit.
    #[default]
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// How the device leaves the factory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialDefaults {
    /// Bits a second.
    pub baud: u32,
    /// Parity.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
    /// Unit id.
    pub unit: u8,
}

/// What may be asked of the device, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most registers of one read, by function code 1 to 4 at index 0 to 3.
    pub max_read: [u16; 4],
    /// Registers that nobody asked for but that may be read over to join two blocks; 0 where the device
    /// refuses a read that crosses them.
    pub merge_gap: u16,
    /// Longest wait for a reply, on top of the time its bytes take on the wire, ms.
    pub reply_timeout_ms: u64,
    /// Least silence between two requests to this device, ms.
    pub request_gap_ms: u64,
    /// After this time no reply comes any more, ms from the request.
    pub longest_reply_ms: u64,
}

/// One quantity of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Register {
    /// Its name in this file, such as `battery.voltage`.
    pub name: String,
    /// How it is read.
    pub function: ReadFunction,
    /// Address on the wire, counted from 0.
    pub address: u16,
    /// How its words make a number.
    pub kind: RegisterType,
    /// Which bit of the word, for a bit in a word register.
    pub bit: u8,
    /// Order of its words.
    pub word_order: WordOrder,
    /// Value = raw * scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// Unit of the value; empty for a code or a ratio.
    pub unit: String,
    /// Raw bit patterns that say "no value".
    pub invalid: Vec<u64>,
    /// Least plausible value.
    pub min: f64,
    /// Greatest plausible value.
    pub max: f64,
    /// Some models of the family do not have it.
    pub optional: bool,
    /// It must be read in a request of its own.
    pub alone: bool,
    /// Confirmed by a manual or by two independent implementations.
    pub verified: bool,
}

impl Register {
    /// First address after it.
    pub fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.kind.width())
    }
}

/// Function that switches a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayWrite {
    /// FC 5, write single coil.
    SingleCoil,
    /// FC 15, write multiple coils, with one coil.
    MultipleCoils,
}

/// The relays of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relays {
    /// How many there are.
    pub count: u16,
    /// Address of the first coil.
    pub first: u16,
    /// How the contacts are read back.
    pub read: ReadFunction,
    /// How they are switched.
    pub write: RelayWrite,
}

/// A kind of device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceFile {
    /// Key by which a configuration names it: the name of the file without `.toml`.
    pub key: String,
    /// Name for people.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// Where the facts come from.
    pub source: String,
    /// Whether the map as a whole was confirmed.
    pub verified: bool,
    /// Factory settings of its serial line; `None` for a device that speaks TCP only.
    pub serial: Option<SerialDefaults>,
    /// What may be asked.
    pub limits: Limits,
    /// What it measures.
    pub registers: Vec<Register>,
    /// What it switches.
    pub relays: Option<Relays>,
}

impl DeviceFile {
    /// Reads a device file; `key` names it in errors and in configurations.
    pub fn parse(key: &str, text: &str) -> Result<Self, DeviceFileError> {
        parse::device_file(key, text)
    }

    /// The register of this name.
    pub fn register(&self, name: &str) -> Option<&Register> {
        self.registers.iter().find(|register| register.name == name)
    }
}

/// Every device file that a configuration may name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    files: BTreeMap<String, Arc<DeviceFile>>,
}

impl Catalogue {
    /// The built-in files, and those of `folder` (`*.toml`), which come first where both have one.
    pub fn load(folder: Option<&Path>) -> Result<Self, DeviceFileError> {
        let mut files = BTreeMap::new();
        for (key, text) in BUILT_IN {
            files.insert(key.to_owned(), Arc::new(DeviceFile::parse(key, text)?));
        }
        for path in folder.map(toml_files).transpose()?.unwrap_or_default() {
            let file = read_file(&path)?;
            files.insert(file.key.clone(), Arc::new(file));
        }
        Ok(Self { files })
    }

    /// The file of this key.
    pub fn get(&self, key: &str) -> Option<Arc<DeviceFile>> {
        self.files.get(key).map(Arc::clone)
    }

    /// Every key, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, DeviceFileError> {
    let unreadable = |source| DeviceFileError::Unreadable { path: folder.into(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            let problem = format!("more than {MAX_FILES} device files");
            return Err(DeviceFileError::TooLarge { path: folder.into(), problem });
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path) -> Result<DeviceFile, DeviceFileError> {
    use std::io::Read;
    let unreadable = |source| DeviceFileError::Unreadable { path: path.into(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let problem = format!("longer than {MAX_FILE_BYTES} bytes, the limit of a device file");
        return Err(DeviceFileError::TooLarge { path: path.into(), problem });
    }
    let key = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    DeviceFile::parse(&key, &text)
}
