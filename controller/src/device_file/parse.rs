//! Reading a device file: the TOML as it is written, and every rule it must keep. A file is taken whole or
//! refused with the line; nothing is repaired.

use std::collections::HashSet;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{
    DeviceFile, DeviceFileError, Limits, MAX_REGISTERS, Parity, ReadFunction, Register, RegisterType,
    RelayWrite, Relays, SerialDefaults, WordOrder,
};

/// Most words of one read by the standard.
const MAX_WORDS: u16 = 125;
/// Most bits of one read by the standard.
const MAX_BITS: u16 = 2000;
/// Longest wait that a file may ask for, ms.
const MAX_WAIT_MS: u64 = 30_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    name: String,
    vendor: String,
    source: String,
    verified: bool,
    #[serde(default)]
    serial: Option<Spanned<RawSerial>>,
    limits: Spanned<RawLimits>,
    #[serde(default)]
    register: Vec<Spanned<RawRegister>>,
    #[serde(default)]
    relays: Option<Spanned<RawRelays>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSerial {
    baud: u32,
    #[serde(default)]
    parity: Parity,
    stop_bits: u8,
    unit: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    max_registers: u16,
    #[serde(default)]
    max_coils: Option<u16>,
    #[serde(default)]
    max_holding_registers: Option<u16>,
    #[serde(default)]
    max_input_registers: Option<u16>,
    #[serde(default)]
    merge_gap: u16,
    reply_timeout_ms: u64,
    #[serde(default)]
    request_gap_ms: u64,
    longest_reply_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegister {
    name: String,
    function: u8,
    address: u16,
    #[serde(rename = "type")]
    kind: RegisterType,
    #[serde(default)]
    bit: Option<u8>,
    #[serde(default)]
    word_order: Option<WordOrder>,
    #[serde(default = "one")]
    scale: f64,
    #[serde(default)]
    offset: f64,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    invalid: Vec<u64>,
    #[serde(default)]
    min: Option<f64>,
    #[serde(default)]
    max: Option<f64>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    verified: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelays {
    count: u16,
    #[serde(default)]
    first: u16,
    read_function: u8,
    write_function: u8,
}

fn one() -> f64 {
    1.0
}

/// Where a problem stands, and what it is.
struct Problem(Range<usize>, String);

pub(super) fn device_file(key: &str, text: &str) -> Result<DeviceFile, DeviceFileError> {
    let refused = |Problem(span, problem)| {
        let line = 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
        DeviceFileError::Refused { file: format!("{key}.toml"), line, problem }
    };
    let raw: RawFile = toml::from_str(text)
        .map_err(|error| refused(Problem(error.span().unwrap_or(0..0), error.message().to_owned())))?;
    checked(key, raw).map_err(refused)
}

fn checked(key: &str, raw: RawFile) -> Result<DeviceFile, Problem> {
    let limits = limits(raw.limits)?;
    if raw.register.len() > MAX_REGISTERS {
        let span = raw.register[MAX_REGISTERS].span();
        return Err(Problem(span, format!("more than {MAX_REGISTERS} registers")));
    }
    let mut registers: Vec<Register> = Vec::with_capacity(raw.register.len());
    let mut names = HashSet::new();
    for row in raw.register {
        let span = row.span();
        let row =
            register(row.into_inner(), raw.verified, &limits).map_err(|why| Problem(span.clone(), why))?;
        if !names.insert(row.name.clone()) {
            return Err(Problem(span, format!("a second register is called {:?}", row.name)));
        }
        if let Some(other) = registers.iter().find(|other| overlap(other, &row)) {
            let problem = format!(
                "{:?} at {:#06X} overlaps {:?} at {:#06X}",
                row.name, row.address, other.name, other.address
            );
            return Err(Problem(span, problem));
        }
        registers.push(row);
    }
    let relays = raw.relays.map(relays).transpose()?;
    if registers.is_empty() && relays.is_none() {
        return Err(Problem(0..0, "neither a register nor relays: the device can do nothing".into()));
    }
    Ok(DeviceFile {
        key: key.to_owned(),
        name: raw.name,
        vendor: raw.vendor,
        source: raw.source,
        verified: raw.verified,
        serial: raw.serial.map(serial).transpose()?,
        limits,
        registers,
        relays,
    })
}

fn serial(raw: Spanned<RawSerial>) -> Result<SerialDefaults, Problem> {
    let span = raw.span();
    let RawSerial { baud, parity, stop_bits, unit } = raw.into_inner();
    let problem = if !(300..=4_000_000).contains(&baud) {
        format!("baud = {baud}; expected 300 to 4000000")
    } else if !(1..=2).contains(&stop_bits) {
        format!("stop_bits = {stop_bits}; expected 1 or 2")
    } else if unit > 247 {
        format!("unit = {unit}; expected 0 to 247")
    } else {
        return Ok(SerialDefaults { baud, parity, stop_bits, unit });
    };
    Err(Problem(span, problem))
}

fn limits(raw: Spanned<RawLimits>) -> Result<Limits, Problem> {
    let span = raw.span();
    let raw = raw.into_inner();
    let holding = raw.max_holding_registers.unwrap_or(raw.max_registers);
    let input = raw.max_input_registers.unwrap_or(raw.max_registers);
    let coils = raw.max_coils.unwrap_or(MAX_BITS);
    let problem = if [raw.max_registers, holding, input].iter().any(|most| !(1..=MAX_WORDS).contains(most)) {
        format!("a largest read outside 1 to {MAX_WORDS} registers")
    } else if !(1..=MAX_BITS).contains(&coils) {
        format!("max_coils = {coils}; expected 1 to {MAX_BITS}")
    } else if !(1..=MAX_WAIT_MS).contains(&raw.reply_timeout_ms) {
        format!("reply_timeout_ms = {}; expected 1 to {MAX_WAIT_MS}", raw.reply_timeout_ms)
    } else if !(raw.reply_timeout_ms..=MAX_WAIT_MS).contains(&raw.longest_reply_ms) {
        format!(
            "longest_reply_ms = {}; expected reply_timeout_ms ({}) to {MAX_WAIT_MS}",
            raw.longest_reply_ms, raw.reply_timeout_ms
        )
    } else if raw.request_gap_ms > 5_000 {
        format!("request_gap_ms = {}; expected at most 5000", raw.request_gap_ms)
    } else {
        return Ok(Limits {
            max_read: [coils, coils, holding, input],
            merge_gap: raw.merge_gap,
            reply_timeout_ms: raw.reply_timeout_ms,
            request_gap_ms: raw.request_gap_ms,
            longest_reply_ms: raw.longest_reply_ms,
        });
    };
    Err(Problem(span, problem))
}

fn register(raw: RawRegister, file_verified: bool, limits: &Limits) -> Result<Register, String> {
    let name = raw.name;
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        return Err(format!("name = {name:?}; expected 1 to 64 letters, digits, '.', '_' or '-'"));
    }
    let function = ReadFunction::from_code(raw.function)
        .ok_or_else(|| format!("{name:?}: function = {}; expected 1, 2, 3 or 4", raw.function))?;
    let (min, max) = range(&name, raw.kind, raw.min, raw.max)?;
    bit_rules(&name, function, raw.kind, raw.bit)?;
    if raw.kind.width() > 1 && raw.word_order.is_none() {
        return Err(format!("{name:?}: word_order is missing; expected high_first or low_first"));
    }
    if raw.scale == 0.0 || !raw.scale.is_finite() || !raw.offset.is_finite() {
        let (scale, offset) = (raw.scale, raw.offset);
        return Err(format!("{name:?}: scale = {scale}, offset = {offset}; expected finite, scale not zero"));
    }
    let row = Register {
        function,
        address: raw.address,
        kind: raw.kind,
        bit: raw.bit.unwrap_or(0),
        word_order: raw.word_order.unwrap_or_default(),
        scale: raw.scale,
        offset: raw.offset,
        unit: raw.unit,
        invalid: raw.invalid,
        min,
        max,
        optional: raw.optional,
        alone: raw.alone,
        verified: raw.verified.unwrap_or(file_verified),
        name,
    };
    if row.end() > 0x1_0000 {
        return Err(format!("{:?} ends behind the last address, 0xFFFF", row.name));
    }
    let most = limits.max_read[usize::from(function.code()) - 1];
    if row.kind.width() > most {
        return Err(format!("{:?} takes {} words, but a read may have {most}", row.name, row.kind.width()));
    }
    Ok(row)
}

fn range(name: &str, kind: RegisterType, min: Option<f64>, max: Option<f64>) -> Result<(f64, f64), String> {
    if kind == RegisterType::Bit {
        return match (min, max) {
            (None, None) => Ok((0.0, 1.0)),
            _ => Err(format!("{name:?}: a bit has no min and max")),
        };
    }
    match (min, max) {
        (Some(min), Some(max)) if min.is_finite() && max.is_finite() && min < max => Ok((min, max)),
        (Some(min), Some(max)) => Err(format!("{name:?}: min = {min}, max = {max}; expected min below max")),
        _ => Err(format!("{name:?}: min and max are missing; expected the plausible range of the value")),
    }
}

fn bit_rules(name: &str, function: ReadFunction, kind: RegisterType, bit: Option<u8>) -> Result<(), String> {
    let is_bit = kind == RegisterType::Bit;
    match bit {
        _ if function.is_bits() && !is_bit => {
            Err(format!("{name:?}: function {} reads bits; expected type = \"bit\"", function.code()))
        }
        None if is_bit && !function.is_bits() => {
            Err(format!("{name:?}: which bit of the word? Expected bit = 0 to 15"))
        }
        Some(_) if !is_bit || function.is_bits() => {
            Err(format!("{name:?}: bit is for type = \"bit\" in a word register only"))
        }
        Some(bit) if bit > 15 => Err(format!("{name:?}: bit = {bit}; expected 0 to 15")),
        _ => Ok(()),
    }
}

/// Two registers overlap when they share a word, unless they are different bits of one word.
fn overlap(left: &Register, right: &Register) -> bool {
    let share = left.function == right.function
        && u32::from(left.address) < right.end()
        && u32::from(right.address) < left.end();
    let both_bits = left.kind == RegisterType::Bit && right.kind == RegisterType::Bit;
    share && !(both_bits && left.bit != right.bit)
}

fn relays(raw: Spanned<RawRelays>) -> Result<Relays, Problem> {
    let span = raw.span();
    let RawRelays { count, first, read_function, write_function } = raw.into_inner();
    let refused = |problem| Err(Problem(span.clone(), problem));
    if !(1..=64).contains(&count) {
        return refused(format!("count = {count}; expected 1 to 64"));
    }
    if u32::from(first) + u32::from(count) > 0x1_0000 {
        return refused(format!("first = {first}: the last relay lies behind address 0xFFFF"));
    }
    let Some(read) = ReadFunction::from_code(read_function).filter(|function| function.is_bits()) else {
        return refused(format!("read_function = {read_function}; expected 1 or 2"));
    };
    let write = match write_function {
        5 => RelayWrite::SingleCoil,
        15 => RelayWrite::MultipleCoils,
        _ => return refused(format!("write_function = {write_function}; expected 5 or 15")),
    };
    Ok(Relays { count, first, read, write })
}
