//! The experts of an adaptive PV forecast, and what each says of one issue.
//!
//! Four read quantiles of the clear-sky index from the same time of day on the last days, at levels that
//! are moved up or down by how bright the last day was among its like (a copula of today and tomorrow): a
//! bright day raises all three quantiles and brings them closer, the more so the more the expert believes
//! in the weather to stay. A skewed or two-peaked index needs no special case. One reads a weather forecast
//! and sleeps where there is none. How experts are weighed is said in [`crate::adaptation`].

use super::sky::{DAYS, Sky, mean};
use super::weather::Weather;
use super::{DAY, LEVELS, weighted};
use crate::adaptation::aggregation::{ASLEEP, Three};
use crate::forecast::Forecast;
use crate::time::{HORIZON, Slot};

/// Experts there are.
pub(super) const EXPERTS: usize = 8;
/// Their names, in their order.
pub(super) const NAMES: [&str; EXPERTS] = [
    "likely index",
    "weather stays: hardly",
    "weather stays: half",
    "weather stays: mostly",
    "weather stays: half, short memory",
    "usual day, scaled",
    "persistence",
    "weather forecast",
];
/// Place of persistence.
pub(super) const PERSISTENCE: usize = 6;
/// Weight of each before anything was learnt.
pub(super) const PRIOR_WEIGHTS: [f64; EXPERTS] = [0.04, 0.08, 0.24, 0.16, 0.08, 0.16, 0.04, 0.2];

/// Correlation of tomorrow with today, and days after which a day counts half, of the experts that read
/// moved quantiles.
const STAYS: [(f64, f64); 4] = [(0.35, 12.0), (0.5, 12.0), (0.7, 12.0), (0.5, 4.0)];
/// The one among them whose band those use that have none of their own.
const BAND: usize = 2;
/// Parts of the brightness of the whole day, of its end and of the same time of day.
const PARTS: [f64; 3] = [0.5, 0.3, 0.2];
/// Part of the correlation that is left on the second day.
const SECOND_DAY: f64 = 0.6;
/// Correlation of the next slot with the last hour, and slots in which that fades.
const NEXT_SLOT: (f64, f64) = (0.9, 4.0);
/// Days after which a day counts half among those that the last is compared with.
const LIKE: f64 = 12.0;
/// Days that must be known before any but the first expert is asked.
const LEAST_DAYS: usize = 4;
/// How far the usual day is scaled by the brightness of the last, and the part of the last day itself.
const SCALED: (f64, f64) = (0.7, 0.2);
/// The most that any says, over the clear-sky power.
const MOST: f64 = 1.6;

/// What the experts said at one issue, over the highest clear-sky power.
pub(super) struct Issue {
    /// Highest clear-sky power, W.
    pub(super) most: f64,
    /// By slot of the horizon: whether it is daylight.
    pub(super) daylight: Vec<bool>,
    /// By slot of the horizon, then by expert.
    pub(super) said: Vec<Vec<Three>>,
}

/// How bright the last hours were among their like, in logits; nothing where they were as usual.
struct Brightness {
    day: f64,
    end: f64,
    hour: Option<f64>,
    /// Index of the last day over the mean of days.
    scale: f64,
}

impl Issue {
    /// Asks the experts; `likely` is what the first said, in W.
    pub(super) fn of(sky: &Sky, weather: &Weather, likely: &Forecast, leads: usize) -> Self {
        let most = sky.most();
        let brightness = (sky.known_days() >= LEAST_DAYS).then(|| Brightness::of(sky));
        let mut issue = Self { most, daylight: Vec::new(), said: Vec::new() };
        for lead in 0..leads.min(HORIZON) {
            let slot = likely.issued.plus(lead as i64);
            let first = [likely.p10[lead], likely.p50[lead], likely.p90[lead]]
                .map(|watts| (f64::from(watts) / most) as f32);
            let clear = sky.clear(slot) / most;
            issue.daylight.push(clear > 0.0);
            let mut said = match &brightness {
                Some(brightness) if clear > 0.0 => asked(sky, brightness, slot, first, clear),
                _ => vec![first; EXPERTS - 1],
            };
            let foretold = (clear > 0.0).then(|| weather.index(sky, slot)).flatten();
            said.push(foretold.map_or(ASLEEP, |indices| in_power(indices, clear)));
            issue.said.push(said);
        }
        issue
    }
}

/// Power of indices to the clear sky, over the highest clear-sky power.
fn in_power(indices: [f64; 3], clear: f64) -> Three {
    indices.map(|index| (index.clamp(0.0, MOST) * clear) as f32)
}

/// What all but the weather forecast say of one slot in daylight.
fn asked(sky: &Sky, brightness: &Brightness, slot: Slot, first: Three, clear: f64) -> Vec<Three> {
    let lead = slot.since(sky.issued());
    let three = |indices: [f64; 3]| in_power(indices, clear);
    let mut said = vec![first];
    let about = brightness_among(|ago| sky.about(ago, lead));
    for (stays, half) in STAYS {
        let levels = brightness.levels(stays, about, lead);
        said.push(three(weighted(&mut sky.samples(slot, half), levels)));
    }
    let same_time = |ago: i64| sky.index(slot.plus(-ago * DAY));
    let newest = lead.div_euclid(DAY) + 1;
    let last = (newest..=DAYS).find_map(same_time);
    let usual = mean((newest..=DAYS).filter_map(same_time));
    let (scaled, part) = SCALED;
    let far = if lead < DAY { 1.0 } else { SECOND_DAY };
    let scaled = usual.zip(sky.about(0, lead).or(last)).map(|(usual, last)| {
        let factor = (1.0 + far * scaled * (brightness.scale - 1.0)).max(0.0);
        usual * factor * (1.0 - part * far) + last * part * far
    });
    let band = said[BAND];
    for guess in [scaled, last] {
        said.push(guess.map_or(band, |guess| {
            let [middle, ..] = three([guess; 3]);
            band.map(|end| (middle + end - band[1]).max(0.0))
        }));
    }
    said
}

impl Brightness {
    fn of(sky: &Sky) -> Self {
        let usual = mean((0..DAYS).filter_map(|ago| sky.day(ago))).unwrap_or(1.0).max(0.05);
        Self {
            day: brightness_among(|ago| sky.day(ago)),
            end: brightness_among(|ago| sky.end_of_day(ago)),
            hour: sky.last_hour(0).map(|_| brightness_among(|ago| sky.last_hour(ago))),
            scale: sky.day(0).map_or(1.0, |day| day / usual),
        }
    }

    /// Levels of the past index at which the quantiles of a slot ahead are read.
    fn levels(&self, stays: f64, about: f64, lead: i64) -> [f64; 3] {
        let far = if lead < DAY { 1.0 } else { SECOND_DAY };
        let mut stays = stays * far;
        let mut bright = PARTS[0] * self.day + PARTS[1] * self.end + PARTS[2] * about;
        if let Some(hour) = self.hour {
            let fresh = (-(lead + 1) as f64 / NEXT_SLOT.1).exp();
            bright += fresh * (hour - bright);
            stays += fresh * (NEXT_SLOT.0 - stays).max(0.0);
        }
        let left = (1.0 - stays * stays).sqrt();
        LEVELS.map(|level| 1.0 / (1.0 + (-stays * bright - left * logit(level)).exp()))
    }
}

/// How bright the newest of a series by days ago is among all, in logits. Between -4 and 4.
fn brightness_among(of: impl Fn(i64) -> Option<f64>) -> f64 {
    let Some(now) = of(0) else { return 0.0 };
    let (mut below, mut all) = (0.0, 0.0);
    for ago in 0..DAYS {
        let Some(then) = of(ago) else { continue };
        let weight = 0.5_f64.powf(ago as f64 / LIKE);
        all += weight;
        below += if then < now {
            weight
        } else if then > now {
            0.0
        } else {
            weight / 2.0
        };
    }
    logit(((below + 0.5) / (all + 1.0)).clamp(0.02, 0.98))
}

fn logit(level: f64) -> f64 {
    (level / (1.0 - level)).ln()
}
