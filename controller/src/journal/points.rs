//! The small records beside the blocks of cycles: stamps, one-minute telemetry, slot means, and how each is
//! packed into a row. What a point means is for those who make it.

use serde::{Deserialize, Serialize};
use sunkeep_core::disaggregate::SharedSlot;
use sunkeep_models::time::{Slot, Uptime};

/// Length of a minute, ms.
pub const MINUTE_MS: u32 = 60_000;

/// Random number of a journal, made with it: a card that was written anew is a new store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoreId(pub [u8; 16]);

impl core::fmt::Display for StoreId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// When a record was made, as far as the hub knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Which start of the hub, counted by the journal from 1.
    pub boot: u32,
    /// Time since the hub was switched on.
    pub uptime: Uptime,
    /// Seconds since 1970; `None` where nobody had told the time. Filled in later when it is learnt.
    pub unix: Option<i64>,
}

/// One load in a [`MinutePoint`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadPoint {
    /// Whether it was supplied.
    pub on: bool,
    /// Mean power, W, kept to 0.1 W.
    pub watts: Option<f32>,
}

/// Demand of a minute, as the lake counts it, W, kept to 0.1 W; arrays follow
/// [`sunkeep_core::settings::Tier::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DemandPoint {
    /// Demand of all tiers together; `None` where something was off, or nobody measures it.
    pub total: Option<f32>,
    /// Demand of each tier.
    pub tiers: [Option<f32>; 4],
    /// Whether every load of the tier was supplied all the time; `None` where it has none.
    pub on: [Option<bool>; 4],
    /// Whether the panels were kept from giving what they could at some time.
    pub throttled: bool,
}

/// One minute of telemetry, or several that were thinned to one: means over its span. A row keeps the stated resolution, so what is read back
/// is the nearest multiple of it.
#[derive(Debug, Clone, PartialEq)]
pub struct MinutePoint {
    /// End of the span.
    pub stamp: Stamp,
    /// Length of the span, ms.
    pub span_ms: u32,
    /// How many minutes were thinned to it; 1 where none were.
    pub merged: u16,
    /// State of charge, 0 to 1: lower bound, best estimate, upper bound; kept to 0.0001.
    pub charge: [f32; 3],
    /// Battery voltage, V, kept to 0.01 V.
    pub volts: Option<f32>,
    /// Current into the battery, A, kept to 0.01 A.
    pub amps: Option<f32>,
    /// Power into the battery, W, kept to 0.1 W.
    pub watts: Option<f32>,
    /// Battery temperature, degrees Celsius, kept to 0.1.
    pub celsius: Option<f32>,
    /// Power of the panels, W, kept to 0.1 W.
    pub sun: Option<f32>,
    /// Power of all loads together, W, kept to 0.1 W.
    pub load: Option<f32>,
    /// First bytes of the fingerprint of the settings.
    pub settings: [u8; 8],
    /// Each load, in the order of the settings.
    pub loads: Vec<LoadPoint>,
    /// What was demanded.
    pub demand: DemandPoint,
}

/// What is sent to the fleet together, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    /// What somebody has to look at.
    Alerts,
    /// Answers to commands.
    Answers,
    /// What was decided, and what was learnt late.
    Decisions,
    /// Minutes.
    Telemetry,
}

impl Lane {
    /// All, most urgent first.
    pub const ALL: [Self; 4] = [Self::Alerts, Self::Answers, Self::Decisions, Self::Telemetry];

    /// Its name in topics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Answers => "answers",
            Self::Decisions => "decisions",
            Self::Telemetry => "telemetry",
        }
    }

    pub(super) fn number(self) -> i64 {
        self as i64
    }
}

/// Something that happened, for the fleet to know.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPoint {
    /// When.
    pub stamp: Stamp,
    /// How urgent: any lane but [`Lane::Telemetry`].
    pub lane: Lane,
    /// What, in a word.
    pub what: String,
    /// What belongs to it: names with texts, numbers or flags; 32 at the most are sent.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Means of a 30-minute slot, W; `None` where a mean was not measured or is no evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlotPoint {
    /// Which slot.
    pub slot: Slot,
    /// Demand of each tier, in the order of [`sunkeep_core::settings::Tier::ALL`], W.
    pub tiers: [Option<f32>; 4],
    /// Demand of all loads together, W.
    pub total: Option<f32>,
    /// Power the panels could deliver, W.
    pub sun: Option<f32>,
    /// What a meter for more than one load counted.
    pub shared: Option<SharedSlot>,
}

/// A minute as its row holds it: whole multiples of the resolutions above.
#[derive(Serialize, Deserialize)]
struct PackedMinute {
    charge: [u16; 3],
    readings: [Option<i32>; 6],
    on: Vec<u8>,
    watts: Vec<Option<i32>>,
    demand: [Option<i32>; 5],
    /// Two bits a tier, known and on, then whether the panels were throttled.
    flags: u16,
    span_ms: u32,
    merged: u16,
    settings: [u8; 8],
}

impl MinutePoint {
    /// A whole minute in which nothing was measured.
    pub fn empty(stamp: Stamp) -> Self {
        Self {
            stamp,
            span_ms: MINUTE_MS,
            merged: 1,
            charge: [0.0; 3],
            volts: None,
            amps: None,
            watts: None,
            celsius: None,
            sun: None,
            load: None,
            settings: [0; 8],
            loads: Vec::new(),
            demand: DemandPoint::default(),
        }
    }

    pub(super) fn pack(&self) -> Result<Vec<u8>, postcard::Error> {
        let mut on = vec![0_u8; self.loads.len().div_ceil(8)];
        for (place, load) in self.loads.iter().enumerate() {
            on[place / 8] |= u8::from(load.on) << (place % 8);
        }
        postcard::to_stdvec(&PackedMinute {
            charge: self.charge.map(|ratio| (ratio * 10_000.0).round() as u16),
            readings: [
                quantize(self.volts, 100.0),
                quantize(self.amps, 100.0),
                quantize(self.watts, 10.0),
                quantize(self.celsius, 10.0),
                quantize(self.sun, 10.0),
                quantize(self.load, 10.0),
            ],
            on,
            watts: self.loads.iter().map(|load| quantize(load.watts, 10.0)).collect(),
            demand: self.demand.watts().map(|watts| quantize(watts, 10.0)),
            flags: self.demand.flags(),
            span_ms: self.span_ms,
            merged: self.merged,
            settings: self.settings,
        })
    }

    pub(super) fn unpack(stamp: Stamp, row: &[u8]) -> Result<Self, postcard::Error> {
        let packed: PackedMinute = postcard::from_bytes(row)?;
        let [volts, amps, watts, celsius, sun, load] = packed.readings;
        let bit = |place: usize| packed.on.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1);
        let loads = packed
            .watts
            .iter()
            .enumerate()
            .map(|(place, watts)| LoadPoint { on: bit(place), watts: restore(*watts, 10.0) })
            .collect();
        Ok(Self {
            stamp,
            charge: packed.charge.map(|parts| f32::from(parts) / 10_000.0),
            volts: restore(volts, 100.0),
            amps: restore(amps, 100.0),
            watts: restore(watts, 10.0),
            celsius: restore(celsius, 10.0),
            sun: restore(sun, 10.0),
            load: restore(load, 10.0),
            loads,
            demand: DemandPoint::of(packed.demand.map(|watts| restore(watts, 10.0)), packed.flags),
            span_ms: packed.span_ms,
            merged: packed.merged,
            settings: packed.settings,
        })
    }
}

impl DemandPoint {
    fn watts(&self) -> [Option<f32>; 5] {
        let [critical, important, convenience, background] = self.tiers;
        [self.total, critical, important, convenience, background]
    }

    fn flags(&self) -> u16 {
        let tier = |on: &Option<bool>| on.map_or(0, |on| 1 | u16::from(on) << 1);
        let tiers = self.on.iter().rev().fold(0, |flags, on| flags << 2 | tier(on));
        tiers | u16::from(self.throttled) << 8
    }

    fn of([total, tiers @ ..]: [Option<f32>; 5], flags: u16) -> Self {
        let on = |place: usize| (flags >> (2 * place) & 1 == 1).then_some(flags >> (2 * place + 1) & 1 == 1);
        Self { total, tiers, on: std::array::from_fn(on), throttled: flags >> 8 & 1 == 1 }
    }
}

impl SlotPoint {
    pub(super) fn pack(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&(self.tiers, self.total, self.sun, self.shared))
    }

    pub(super) fn unpack(slot: Slot, row: &[u8]) -> Result<Self, postcard::Error> {
        let (tiers, total, sun, shared) = postcard::from_bytes(row)?;
        Ok(Self { slot, tiers, total, sun, shared })
    }
}

fn quantize(value: Option<f32>, parts: f32) -> Option<i32> {
    value.filter(|value| value.is_finite()).map(|value| (value * parts).round() as i32)
}

fn restore(value: Option<i32>, parts: f32) -> Option<f32> {
    value.map(|value| value as f32 / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_comes_back_to_its_resolution() {
        let stamp = Stamp { boot: 3, uptime: Uptime(61_007), unix: None };
        let loads = (0..11).map(|n| LoadPoint { on: n % 3 == 0, watts: (n % 2 == 0).then_some(12.34) });
        let point = MinutePoint {
            stamp,
            charge: [0.123_45, 0.5, 1.0],
            volts: Some(13.274),
            amps: Some(-20.006),
            watts: None,
            celsius: Some(-3.17),
            sun: Some(f32::NAN),
            load: Some(412.77),
            loads: loads.collect(),
            demand: DemandPoint {
                total: None,
                tiers: [Some(40.04), None, Some(0.0), None],
                on: [Some(true), Some(false), None, Some(true)],
                throttled: true,
            },
            settings: *b"settings",
            ..MinutePoint::empty(stamp)
        };
        let back = MinutePoint::unpack(stamp, &point.pack().unwrap()).unwrap();
        assert!((back.charge[0] - 0.123_45).abs() < 0.000_06);
        assert!((back.volts.unwrap() - 13.27).abs() < 1e-5);
        assert!((back.amps.unwrap() + 20.01).abs() < 1e-5);
        assert_eq!((back.watts, back.sun), (None, None));
        assert!(back.loads.iter().zip(&point.loads).all(|(a, b)| a.on == b.on));
        assert_eq!(back.loads.len(), 11);
        assert_eq!(back.loads[1].watts, None);
        assert!((back.loads[2].watts.unwrap() - 12.3).abs() < 1e-5);
        assert_eq!(back.demand, DemandPoint { tiers: [Some(40.0), None, Some(0.0), None], ..point.demand });
        assert_eq!((back.span_ms, back.merged, &back.settings), (60_000, 1, b"settings"));
    }
}
