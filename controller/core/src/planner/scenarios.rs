//! What may come: days that this home has lived through, and how alike they are to what is seen now.
//!
//! A day is kept whole, so that a dark noon keeps its dark afternoon and a hot day its fans. Which days may
//! follow is told by likeness: of the sun and the demand of the last hours and of the last day. What was not
//! measured (a tier that was off, panels that were throttled) is filled in from the days on which it was.
//! Nothing here knows the future, the site or the date.

use sunkeep_models::history::SlotHistory;
use sunkeep_models::quantity::Watts;
use sunkeep_models::time::Slot;

use super::{Forecasts, Part};
use crate::evidence::History;

/// Hours of a day.
pub(super) const DAY: usize = 24;
/// Slots of an hour.
const HOUR_SLOTS: i64 = 2;
/// Most past days that are looked at.
pub(super) const MOST_DAYS: usize = 28;
/// With fewer past days than this the forecasts' own days stand beside them.
const FEW_DAYS: usize = 7;
/// Days after which a home begins to be known.
const STRANGE_DAYS: usize = 3;
/// Hours of sun that must have been measured for a day to count.
const LEAST_MEASURED: usize = 12;
/// Hours after which a future may turn into that of another day.
pub(super) const TURN: usize = 6;
/// Days of the same hour that fill a gap.
const FILL_DAYS: usize = 7;
/// How much the dark, the usual and the bright day of a forecast count: three points that stand for a distribution
/// whose 10th, 50th and 90th percentile they are (Keefer and Bodily, "Three-point approximations for continuous random
/// variables", 1983).
const SHARES: [f32; 3] = [0.3, 0.4, 0.3];
/// How far a day as dark as one in ten lies between one of nothing but medians and one of nothing but P10: the slots of
/// a day do not all turn out badly at once.
const ALIKE: f32 = 0.8;
/// How far apart two situations count as unlike, in means: sun of the last day, sun of the last three hours,
/// demand of the last three hours, demand of the last day.
const WIDTHS: [f32; 4] = [0.3, 0.5, 1.0, 0.3];
/// Hours that count as the last hours.
const LATELY: usize = 3;

/// Energy of an hour, Wh.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hour {
    /// What the panels could deliver.
    pub sun: f32,
    /// What the critical, important and convenience tiers want.
    pub demand: [f32; 3],
}

/// What is looked at to tell how alike two moments are, in widths.
type Features = [f32; 4];

/// A day that may come again: the hours from the time of day of the issue on.
#[derive(Debug, Clone)]
pub(super) struct Day {
    /// The day before it, and the day itself.
    hours: [Hour; 2 * DAY],
    /// Features at its start and after each [`TURN`].
    features: [Features; DAY / TURN + 1],
    /// The day that followed.
    pub(super) next: Option<usize>,
    /// How much it counts among the days, likeness aside: 1 for one that was lived through.
    share: f32,
    /// How likely it is what has begun now; all together 1.
    pub(super) weight: f32,
}

impl Day {
    /// An hour of the day that may come.
    pub(super) fn hour(&self, hour: usize) -> &Hour {
        &self.hours[DAY + hour % DAY]
    }
}

/// The days that may come.
#[derive(Debug, Clone)]
pub(super) struct Scenarios {
    pub(super) days: Vec<Day>,
    /// Days that this home has lived through, of those that are looked at.
    pub(super) lived: usize,
    /// Mean demand of all tiers in an hour, Wh.
    pub(super) mean_demand: f32,
    /// Whether the days are known to come in this order: then no future turns into another.
    known: bool,
    /// Whether days count by how alike they are.
    alike: bool,
}

impl Scenarios {
    /// Gathers the days before `issued`. With few of them, those that the forecasts describe stand beside;
    /// `None` where there is no day at all.
    pub(super) fn gather(
        history: &History,
        forecasts: Option<&Forecasts>,
        issued: Slot,
        sun_now: Option<Watts>,
        without: Option<Part>,
    ) -> Option<Self> {
        let past = Past::read(history, issued);
        let mut days = past.days();
        let lived = days.len();
        if let (true, Some(forecasts)) = (lived < FEW_DAYS, forecasts) {
            days.extend(forecast_days(&past, forecasts));
        }
        if days.is_empty() {
            return None;
        }
        let means = means(&days);
        for day in &mut days {
            day.features = std::array::from_fn(|turn| features(&day.hours, DAY + turn * TURN, means));
        }
        let known = without == Some(Part::Turns);
        let alike = without != Some(Part::Likeness);
        let mut scenarios = Self { days, lived, mean_demand: means[1], known, alike };
        scenarios.weigh(&past, means, sun_now);
        if without == Some(Part::Spread) {
            let mean: Vec<Hour> = (0..DAY).map(|hour| scenarios.mean(hour)).collect();
            return Some(Self { lived, ..Self::told(&mean)? });
        }
        Some(scenarios)
    }

    /// The days of a future that is known, whole days of it; its last day goes on for ever. `None` without a day.
    pub(super) fn told(ahead: &[Hour]) -> Option<Self> {
        let (whole, _) = ahead.as_chunks::<DAY>();
        let day = |(place, today): (usize, &[Hour; DAY])| {
            let mut hours = [Hour::default(); 2 * DAY];
            hours[DAY..].copy_from_slice(today);
            let (next, weight) = ((place + 1 < whole.len()).then_some(place + 1), f32::from(place == 0));
            Day { hours, features: Default::default(), next, share: 1.0, weight }
        };
        let days: Vec<Day> = whole.iter().take(MOST_DAYS).enumerate().map(day).collect();
        let mean_demand = means(&days)[1];
        (!days.is_empty()).then_some(Self { days, lived: MOST_DAYS, mean_demand, known: true, alike: true })
    }

    /// Weighs the days by how alike their start is to now.
    fn weigh(&mut self, past: &Past, means: [f32; 2], sun_now: Option<Watts>) {
        let mut now = features(&past.last_day(&self.days), DAY, means);
        let seen = |watts: f32| watts / LATELY as f32 / means[0] / WIDTHS[1];
        if let Some(sun) = sun_now {
            now[1] += seen(sun.0.max(0.0) as f32);
        }
        let mut sum = 0.0;
        for day in &mut self.days {
            let mut then = day.features[0];
            if sun_now.is_some() {
                then[1] += seen(day.hour(0).sun);
            }
            day.weight = day.share * if self.alike { likeness(&now, &then) } else { 1.0 };
            sum += day.weight;
        }
        for day in &mut self.days {
            day.weight /= sum;
        }
    }

    /// How little is known of this home, from 1 on its first day to 0 after a week.
    pub(super) fn strangeness(&self) -> f64 {
        let left = FEW_DAYS - self.lived.min(FEW_DAYS);
        (left as f64 / (FEW_DAYS - STRANGE_DAYS) as f64).min(1.0)
    }

    /// What an hour brings in the mean of the days, by their weight, Wh.
    pub(super) fn mean(&self, hour: usize) -> Hour {
        let mut mean = Hour::default();
        for day in &self.days {
            let brings = day.hour(hour);
            mean.sun += day.weight * brings.sun;
            for (mean, demand) in mean.demand.iter_mut().zip(brings.demand) {
                *mean += day.weight * demand;
            }
        }
        mean
    }

    /// Where a future may turn after `turn` spans of [`TURN`] hours: for each day the likelihood of going on
    /// like each of the days, row by row.
    pub(super) fn turns(&self, turn: usize) -> Vec<f32> {
        let ends = turn == DAY / TURN;
        if self.known {
            return self.go_on(ends);
        }
        let mut turns = Vec::with_capacity(self.days.len() * self.days.len());
        for from in &self.days {
            let row = turns.len();
            let to = |day: &Day| {
                let then = &day.features[if ends { 0 } else { turn }];
                day.share * if self.alike { likeness(&from.features[turn], then) } else { 1.0 }
            };
            turns.extend(self.days.iter().map(to));
            let sum: f32 = turns[row..].iter().sum();
            for likely in &mut turns[row..] {
                *likely /= sum;
            }
        }
        turns
    }

    /// The turns of a future that is known: each day goes on as itself, and where it ends as the next.
    fn go_on(&self, ends: bool) -> Vec<f32> {
        let count = self.days.len();
        let mut turns = vec![0.0; count * count];
        for (place, day) in self.days.iter().enumerate() {
            turns[place * count + day.next.filter(|_| ends).unwrap_or(place)] = 1.0;
        }
        turns
    }
}

/// Falls with the square of the distance, and ever faster: a day that is much unlike hardly counts, but
/// none is ruled out.
fn likeness(one: &Features, other: &Features) -> f32 {
    let distance: f32 = one.iter().zip(other).map(|(one, other)| (one - other) * (one - other)).sum();
    let near = 1.0 / (1.0 + distance);
    near * near
}

/// Mean sun and demand of an hour, never nothing.
fn means(days: &[Day]) -> [f32; 2] {
    let count = (days.len() * DAY).max(1) as f32;
    let mean = |of: fn(&Hour) -> f32| {
        let sum: f32 = days.iter().flat_map(|day| &day.hours[DAY..]).map(of).sum();
        (sum / count).max(1.0)
    };
    [mean(|hour| hour.sun), mean(demanded)]
}

fn demanded(hour: &Hour) -> f32 {
    hour.demand[0] + hour.demand[1] + hour.demand[2]
}

/// Features at the start of hour `at`.
fn features(hours: &[Hour; 2 * DAY], at: usize, means: [f32; 2]) -> Features {
    let mean = |back: usize, of: fn(&Hour) -> f32, scale: f32| {
        let sum: f32 = hours[at - back..at].iter().map(of).sum();
        sum / back as f32 / scale
    };
    let sun = |hour: &Hour| hour.sun;
    [
        mean(DAY, sun, means[0] * WIDTHS[0]),
        mean(LATELY, sun, means[0] * WIDTHS[1]),
        mean(LATELY, demanded, means[1] * WIDTHS[2]),
        mean(DAY, demanded, means[1] * WIDTHS[3]),
    ]
}

/// The hours before the issue, oldest first, whole days and gaps filled.
struct Past {
    hours: Vec<Hour>,
    /// Whether the sun of the hour was measured.
    seen: Vec<bool>,
}

impl Past {
    fn read(history: &History, issued: Slot) -> Self {
        let reach = (MOST_DAYS + 1) * DAY;
        let series = [&history.sun, &history.tiers[0], &history.tiers[1], &history.tiers[2]];
        let mut columns = series.map(|series| hourly(series, issued, reach));
        let measured = |place: &usize| columns[0][*place].is_some() && columns[1][*place].is_some();
        let first = (0..reach).find(measured).unwrap_or(reach);
        let whole = (reach - first) / DAY * DAY;
        for column in &mut columns {
            column.drain(..reach - whole);
        }
        let seen = columns[0].iter().map(Option::is_some).collect();
        let [sun, tiers @ ..] = &columns;
        let sun = fill_sun(sun);
        let tiers = tiers.each_ref().map(|column| fill_demand(column));
        let hour =
            |place: usize| Hour { sun: sun[place], demand: std::array::from_fn(|tier| tiers[tier][place]) };
        Self { hours: (0..whole).map(hour).collect(), seen }
    }

    /// The days that count, the newest first, each with the day before it. The oldest of all has no day
    /// before it and stands in for that itself.
    fn days(&self) -> Vec<Day> {
        let count = (self.hours.len() / DAY).min(MOST_DAYS);
        let mut days: Vec<Day> = Vec::with_capacity(count);
        let mut newest_kept = None;
        for back in 1..=count {
            let start = self.hours.len() - back * DAY;
            let seen = self.seen[start..start + DAY].iter().filter(|seen| **seen).count();
            if seen < LEAST_MEASURED {
                newest_kept = None;
                continue;
            }
            let before = start.checked_sub(DAY).unwrap_or(start);
            let mut hours = [Hour::default(); 2 * DAY];
            hours[..DAY].copy_from_slice(&self.hours[before..before + DAY]);
            hours[DAY..].copy_from_slice(&self.hours[start..start + DAY]);
            days.push(Day {
                hours,
                features: Default::default(),
                next: newest_kept,
                share: 1.0,
                weight: 0.0,
            });
            newest_kept = Some(days.len() - 1);
        }
        days
    }

    /// The last day before now as a day that ends; without any, the first of the days stands in.
    fn last_day(&self, days: &[Day]) -> [Hour; 2 * DAY] {
        let mut hours = [Hour::default(); 2 * DAY];
        match (self.hours.len().checked_sub(DAY), days.first()) {
            (Some(start), _) => hours[..DAY].copy_from_slice(&self.hours[start..]),
            (None, Some(day)) => hours = day.hours,
            (None, None) => {}
        }
        hours
    }
}

/// The two days of the forecasts, each with little, usual and much sun.
fn forecast_days(past: &Past, Forecasts { demand, sun }: &Forecasts) -> Vec<Day> {
    let energy = |values: &[f32], hour: usize| {
        let at = |slot: usize| values.get(slot).copied().unwrap_or(0.0);
        f32::midpoint(at(2 * hour), at(2 * hour + 1))
    };
    let mut days = Vec::new();
    for (quantile, share) in [(&sun.p10, SHARES[0]), (&sun.p50, SHARES[1]), (&sun.p90, SHARES[2])] {
        let sun = |place: usize| {
            let (middle, end) = (energy(&sun.p50, place), energy(quantile, place));
            middle + ALIKE * (end - middle)
        };
        let hour = |hour: usize| Hour {
            sun: sun(hour),
            demand: std::array::from_fn(|tier| energy(&demand[tier].p50, hour)),
        };
        let today: [Hour; DAY] = std::array::from_fn(hour);
        let tomorrow: [Hour; DAY] = std::array::from_fn(|place| hour(DAY + place));
        let before: [Hour; DAY] = match past.hours.len().checked_sub(DAY) {
            Some(start) => std::array::from_fn(|place| past.hours[start + place]),
            None => today,
        };
        for (before, day) in [(before, today), (today, tomorrow)] {
            let mut hours = [Hour::default(); 2 * DAY];
            hours[..DAY].copy_from_slice(&before);
            hours[DAY..].copy_from_slice(&day);
            days.push(Day { hours, features: Default::default(), next: None, share, weight: 0.0 });
        }
    }
    days
}

/// Energy of the `reach` hours before `issued`, Wh; `None` where no slot of an hour was measured.
fn hourly(history: &SlotHistory, issued: Slot, reach: usize) -> Vec<Option<f32>> {
    let start = issued.plus(-HOUR_SLOTS * reach as i64);
    let hour = |place: usize| {
        let first = start.plus(HOUR_SLOTS * place as i64);
        match (history.get(first), history.get(first.plus(1))) {
            (Some(one), Some(other)) => Some(f32::midpoint(one, other)),
            (one, other) => one.or(other),
        }
    };
    (0..reach).map(hour).collect()
}

/// Fills gaps with the mean of the same hour on the nearest days on which it was measured, earlier ones
/// first; a tier that was never measured at that hour is taken to want nothing then.
fn fill_demand(column: &[Option<f32>]) -> Vec<f32> {
    let fill = |place: usize| {
        let earlier = (1..=place / DAY).map(|back| place - back * DAY);
        let later = (1..=(column.len() - 1 - place) / DAY).map(|ahead| place + ahead * DAY);
        let mut found = earlier.chain(later).filter_map(|place| column[place]).take(FILL_DAYS);
        let first = found.next()?;
        let (sum, count) = found.fold((first, 1.0), |(sum, count), watts| (sum + watts, count + 1.0_f32));
        Some(sum / count)
    };
    (0..column.len()).map(|place| column[place].or_else(|| fill(place)).unwrap_or(0.0)).collect()
}

/// Fills the hours in which panels were throttled: the mean of that hour, times how much brighter than the
/// mean the measured hours of the 24 around it were.
fn fill_sun(column: &[Option<f32>]) -> Vec<f32> {
    let mut sums = [(0.0_f32, 0.0_f32); DAY];
    for (place, watts) in column.iter().enumerate() {
        if let Some(watts) = watts {
            sums[place % DAY].0 += watts;
            sums[place % DAY].1 += 1.0;
        }
    }
    let mean = sums.map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 });
    let fill = |place: usize| {
        let (mut got, mut usual) = (0.0, 0.0);
        for near in place.saturating_sub(DAY / 2)..(place + DAY / 2).min(column.len()) {
            if let Some(watts) = column[near] {
                got += watts;
                usual += mean[near % DAY];
            }
        }
        let brightness = if usual > 1.0 { (got / usual).clamp(0.5, 2.0) } else { 1.0 };
        mean[place % DAY] * brightness
    };
    (0..column.len()).map(|place| column[place].unwrap_or_else(|| fill(place))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The work of a plan is days times hours times points of charge: however much is remembered, no more days
    /// than these are looked at.
    #[test]
    fn the_days_that_are_looked_at_are_bounded() {
        let issued = Slot(48 * 20_000);
        let lived = |days: i64| {
            let mut history = History::default();
            for slot in -48 * days..0 {
                history.sun.record(issued.plus(slot), Some(slot.rem_euclid(7) as f32));
                history.tiers[0].record(issued.plus(slot), Some(40.0));
            }
            Scenarios::gather(&history, None, issued, None, None)
        };
        for (remembered, looked_at) in [(1, 1), (9, 9), (28, 28), (36, MOST_DAYS)] {
            let scenarios = lived(remembered).unwrap();
            assert_eq!(scenarios.days.len(), looked_at);
            assert_eq!(scenarios.turns(1).len(), looked_at * looked_at);
            let weights: f32 = scenarios.days.iter().map(|day| day.weight).sum();
            assert!((weights - 1.0).abs() < 1e-4);
        }
        assert!(lived(0).is_none());
    }
}
