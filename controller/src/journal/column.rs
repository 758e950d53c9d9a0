//! One reading over the cycles of a block, packed so that it comes back to the last bit.
//!
//! Meters count in whole multiples of something, so most readings are a small whole number over a power of
//! ten; the difference to the one before is then a single byte. What is not so is kept as its bits.
//! Readings of one device share the moments they were taken at, and store them once.

use serde::{Deserialize, Serialize};
use sunkeep_core::image::Reading;
use sunkeep_models::time::Uptime;

/// Every reading of the cycles of a block, in the order of [`sunkeep_core::ProcessImage::readings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Columns(Vec<Column>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Column {
    times: Times,
    values: Values,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Times {
    /// Those of an earlier column.
    As(u16),
    Own(Moments),
}

/// When a reading was taken, cycle by cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Moments {
    /// One of [`SAME`], [`MISSING`] and [`TAKEN`] for each cycle.
    status: Vec<u8>,
    /// For each cycle with [`TAKEN`]: its age, ms, less the age at the [`TAKEN`] before.
    ages: Vec<i64>,
}

/// As in the cycle before, both value and moment; before the first cycle nothing is known.
const SAME: u8 = 0;
/// Nobody knows.
const MISSING: u8 = 1;
/// Taken since the cycle before.
const TAKEN: u8 = 2;

/// Values at each [`TAKEN`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Values {
    /// Whole numbers over `10^places`, rounded to `f32`; each less the one before.
    Decimal { places: u8, steps: Vec<i64> },
    /// Bits of an `f32`, each less the one before.
    Single(Vec<i32>),
    /// Bits of an `f64`: the escape for what no `f32` holds.
    Double(Vec<u64>),
}

const POWERS: [f64; 5] = [1.0, 10.0, 100.0, 1000.0, 10_000.0];

impl Columns {
    /// `cycles` holds the time of each cycle; `readings` is row after row, `width` to a row.
    pub(super) fn pack(cycles: &[Uptime], readings: &[Option<Reading>], width: usize) -> Self {
        let mut columns: Vec<Column> = Vec::with_capacity(width);
        for place in 0..width {
            let column = readings.iter().skip(place).step_by(width).copied();
            let (moments, values) = Moments::of(cycles, column);
            let twin = columns
                .iter()
                .position(|other| matches!(&other.times, Times::Own(own) if *own == moments))
                .and_then(|twin| u16::try_from(twin).ok());
            let times = twin.map_or(Times::Own(moments), Times::As);
            columns.push(Column { times, values: Values::of(&values) });
        }
        Self(columns)
    }

    /// How many columns there are.
    pub(super) fn width(&self) -> usize {
        self.0.len()
    }

    /// Readings of every cycle, column after column; `None` where the columns contradict themselves or
    /// do not fit the cycles.
    pub(super) fn unpack(&self, cycles: &[Uptime]) -> Option<Vec<Vec<Option<Reading>>>> {
        let moments = |column: &Column| match &column.times {
            Times::Own(own) => Some(own.clone()),
            Times::As(twin) => match &self.0.get(usize::from(*twin))?.times {
                Times::Own(own) => Some(own.clone()),
                Times::As(_) => None,
            },
        };
        self.0.iter().map(|column| moments(column)?.join(cycles, &column.values.restore()?)).collect()
    }
}

impl Moments {
    fn of(cycles: &[Uptime], column: impl Iterator<Item = Option<Reading>>) -> (Self, Vec<f64>) {
        let mut moments = Self { status: Vec::with_capacity(cycles.len()), ages: Vec::new() };
        let mut values = Vec::new();
        let (mut before, mut age_before) = (None, 0_i64);
        for (now, reading) in cycles.iter().zip(column) {
            moments.status.push(match reading {
                _ if same(before, reading) => SAME,
                None => MISSING,
                Some(reading) => {
                    let age = now.0.wrapping_sub(reading.at.0) as i64;
                    moments.ages.push(age.wrapping_sub(age_before));
                    values.push(reading.value);
                    age_before = age;
                    TAKEN
                }
            });
            before = reading;
        }
        (moments, values)
    }

    fn join(&self, cycles: &[Uptime], values: &[f64]) -> Option<Vec<Option<Reading>>> {
        let (mut ages, mut values) = (self.ages.iter(), values.iter());
        let (mut reading, mut age) = (None, 0_i64);
        let mut column = Vec::with_capacity(cycles.len());
        for (now, status) in cycles.iter().zip(&self.status) {
            match *status {
                SAME => {}
                MISSING => reading = None,
                TAKEN => {
                    age = age.wrapping_add(*ages.next()?);
                    let at = Uptime(now.0.wrapping_sub(age as u64));
                    reading = Some(Reading { value: *values.next()?, at });
                }
                _ => return None,
            }
            column.push(reading);
        }
        let whole = ages.next().is_none() && values.next().is_none() && self.status.len() == cycles.len();
        whole.then_some(column)
    }
}

fn same(a: Option<Reading>, b: Option<Reading>) -> bool {
    a.map(|reading| (reading.at, reading.value.to_bits()))
        == b.map(|reading| (reading.at, reading.value.to_bits()))
}

impl Values {
    fn of(values: &[f64]) -> Self {
        for places in 0..POWERS.len() {
            if let Some(whole) =
                values.iter().map(|value| decimal(*value, places)).collect::<Option<Vec<_>>>()
            {
                let mut before = 0_i64;
                let steps = whole.into_iter().map(|number| {
                    let step = number - before;
                    before = number;
                    step
                });
                return Self::Decimal { places: places as u8, steps: steps.collect() };
            }
        }
        let single = |value: &f64| {
            let near = *value as f32;
            (f64::from(near).to_bits() == value.to_bits()).then_some(near.to_bits() as i32)
        };
        let Some(bits) = values.iter().map(single).collect::<Option<Vec<_>>>() else {
            return Self::Double(values.iter().map(|value| value.to_bits()).collect());
        };
        let mut before = 0_i32;
        let steps = bits.into_iter().map(|bits| {
            let step = bits.wrapping_sub(before);
            before = bits;
            step
        });
        Self::Single(steps.collect())
    }

    fn restore(&self) -> Option<Vec<f64>> {
        Some(match self {
            Self::Decimal { places, steps } => {
                let power = *POWERS.get(usize::from(*places))?;
                let mut number = 0_i64;
                let values = steps.iter().map(|step| {
                    number = number.wrapping_add(*step);
                    over(number, power)
                });
                values.collect()
            }
            Self::Single(steps) => {
                let mut bits = 0_i32;
                let values = steps.iter().map(|step| {
                    bits = bits.wrapping_add(*step);
                    f64::from(f32::from_bits(bits as u32))
                });
                values.collect()
            }
            Self::Double(bits) => bits.iter().map(|bits| f64::from_bits(*bits)).collect(),
        })
    }
}

/// The whole number that gives exactly this value over `10^places`.
fn decimal(value: f64, places: usize) -> Option<i64> {
    let number = (value * POWERS[places]).round();
    // Beyond 2^24 an `f32` has no whole numbers of its own left.
    if number.abs() > 16_777_216.0 || number.is_nan() {
        return None;
    }
    let number = number as i64;
    (over(number, POWERS[places]).to_bits() == value.to_bits()).then_some(number)
}

fn over(number: i64, power: f64) -> f64 {
    f64::from((number as f64 / power) as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-100_000_i32..100_000, 0_usize..5)
                .prop_map(|(n, places)| f64::from((f64::from(n) / POWERS[places]) as f32)),
            any::<f32>().prop_map(f64::from),
            any::<u64>().prop_map(f64::from_bits),
            Just(-0.0),
        ]
    }

    fn reading() -> impl Strategy<Value = Option<Reading>> {
        let at = prop_oneof![0_u64..100_000, any::<u64>()];
        proptest::option::weighted(
            0.8,
            (value(), at).prop_map(|(value, at)| Reading { value, at: Uptime(at) }),
        )
    }

    proptest! {
        #[test]
        fn every_reading_comes_back_to_the_bit(
            width in 0_usize..6,
            rows in proptest::collection::vec((0_u64..100_000, proptest::collection::vec(reading(), 6)), 0..20),
        ) {
            let cycles: Vec<Uptime> = rows.iter().map(|(now, _)| Uptime(*now)).collect();
            let flat: Vec<_> = rows.iter().flat_map(|(_, row)| row[..width].to_vec()).collect();
            let bytes = postcard::to_stdvec(&Columns::pack(&cycles, &flat, width)).unwrap();
            let columns: Columns = postcard::from_bytes(&bytes).unwrap();
            let back = columns.unpack(&cycles).expect("fits");
            for (place, reading) in flat.iter().enumerate() {
                prop_assert!(same(*reading, back[place % width][place / width]), "{reading:?}");
            }
        }
    }

    #[test]
    fn what_a_meter_counts_costs_a_byte() {
        let volts: Vec<f64> = (0..60).map(|n| f64::from((13.2 + f64::from(n % 7) / 100.0) as f32)).collect();
        assert!(matches!(Values::of(&volts), Values::Decimal { places: 2, .. }));
        assert!(postcard::to_stdvec(&Values::of(&volts)).unwrap().len() <= 65);
    }
}
