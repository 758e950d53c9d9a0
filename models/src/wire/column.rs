//! A column of whole numbers as it travels: its numbers, or their differences, or the differences of those,
//! whichever is shortest in CBOR.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::{MOST_RECORDS, Refused, at_most};

/// Most times that differences are taken.
const MOST_DIFFERENCES: u8 = 2;
/// Numbers beyond this are no measurement: `f64` counts no further in whole steps.
const MOST: i64 = 1 << 53;

/// Appends `[parts, differences, [numbers]]`.
pub(super) fn write(
    encoder: &mut Encoder<Vec<u8>>,
    parts: u32,
    values: &[Option<i64>],
) -> Result<(), Refused> {
    let mut best = (0, values.to_vec());
    let mut tried = values.to_vec();
    for differences in 1..=MOST_DIFFERENCES {
        difference(&mut tried);
        if length(&tried) < length(&best.1) {
            best = (differences, tried.clone());
        }
    }
    let (differences, numbers) = best;
    let written = (|| {
        encoder.array(3)?.u32(parts)?.u8(differences)?.array(numbers.len() as u64)?;
        for number in numbers {
            match number {
                Some(number) => encoder.i64(number)?,
                None => encoder.null()?,
            };
        }
        Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
    })();
    written.map_err(|error| Refused::Cbor(error.to_string()))
}

/// Reads what [`write`] wrote: parts and numbers.
pub(super) fn read(name: &str, decoder: &mut Decoder<'_>) -> Result<(u32, Vec<Option<i64>>), Refused> {
    let wrong = |what: &str| Refused::Cbor(format!("column {name:?}: {what}"));
    let cbor = |error: minicbor::decode::Error| wrong(&error.to_string());
    let members = decoder.array().map_err(cbor)?;
    if members != Some(3) {
        return Err(wrong("expected [parts, differences, [numbers]]"));
    }
    let parts = decoder.u32().map_err(cbor)?;
    let differences = decoder.u8().map_err(cbor)?;
    if parts == 0 || differences > MOST_DIFFERENCES {
        return Err(wrong("expected parts of 1 or more, and differences of 0 to 2"));
    }
    let count =
        decoder.array().map_err(cbor)?.ok_or_else(|| wrong("expected an array whose length is told"))?;
    let count = at_most("column", count, MOST_RECORDS)?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(match decoder.datatype().map_err(cbor)? {
            Type::Null => {
                decoder.null().map_err(cbor)?;
                None
            }
            _ => Some(decoder.i64().map_err(cbor)?),
        });
    }
    for _ in 0..differences {
        add_up(&mut values).ok_or_else(|| Refused::Overflow(name.into()))?;
    }
    if values.iter().flatten().any(|value| value.unsigned_abs() > MOST as u64) {
        return Err(Refused::Overflow(name.into()));
    }
    Ok((parts, values))
}

/// Each number less the one before it; gaps stay gaps.
fn difference(values: &mut [Option<i64>]) {
    let mut before = 0_i64;
    for value in values.iter_mut().flatten() {
        let now = *value;
        *value = now.wrapping_sub(before);
        before = now;
    }
}

/// Undoes [`difference`].
fn add_up(values: &mut [Option<i64>]) -> Option<()> {
    let mut sum = 0_i64;
    for value in values.iter_mut().flatten() {
        sum = sum.checked_add(*value)?;
        *value = sum;
    }
    Some(())
}

/// Bytes of the numbers in CBOR.
fn length(values: &[Option<i64>]) -> usize {
    values
        .iter()
        .map(|value| match value.map_or(0, |value| if value < 0 { !value } else { value }) {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        })
        .sum()
}
