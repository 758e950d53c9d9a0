//! A measured series of one site, and how it becomes the 30-minute slots that a hub keeps.
//!
//! What file it came from is of no concern here; see `series_file`.

use sunkeep_models::time::{SLOT_SECONDS, Slot};

/// Part of the highest power so far below which panels that fall silent have gone dark.
pub const DUSK: f32 = 0.05;
/// Longest time without a measurement that is read as a night, s.
pub const LONGEST_NIGHT: i64 = 20 * 3600;

/// Whether a series may have steps of this length, s: whole parts of a slot from a minute on, or whole
/// slots that divide a day.
pub fn is_step(seconds: i64) -> bool {
    let part = seconds >= 60 && SLOT_SECONDS % seconds == 0;
    part || seconds >= SLOT_SECONDS && seconds % SLOT_SECONDS == 0 && 86_400 % seconds == 0
}

/// Mean power of one site in regular steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the site.
    pub site: String,
    /// Length of a step, s: see [`is_step`].
    pub step: i64,
    /// Start of the first step, seconds since 1970; a multiple of `step`, or of a slot where that is shorter.
    pub first: i64,
    /// Mean power of each step, W; `None` where it was not measured.
    pub values: Vec<Option<f32>>,
}

/// The same series in slots.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotSeries {
    /// Name of the site.
    pub site: String,
    /// The first slot.
    pub first: Slot,
    /// Mean power of each slot, W; `None` where it was not measured.
    pub values: Vec<Option<f32>>,
}

impl Series {
    /// Start of a step, seconds since 1970.
    pub fn time(&self, place: usize) -> i64 {
        self.first + place as i64 * self.step
    }

    /// Start of the first step after the series, seconds since 1970.
    pub fn end(&self) -> i64 {
        self.time(self.values.len())
    }

    /// Mean power of the step that starts at `time`, W.
    pub fn at(&self, time: i64) -> Option<f32> {
        let place = usize::try_from((time - self.first).div_euclid(self.step)).ok()?;
        self.values.get(place).copied().flatten()
    }

    /// The power of panels with its nights: an inverter that sleeps measures nothing. What is missing after a
    /// value below [`DUSK`] of the highest so far reads as dark until something is measured again, for at
    /// most [`LONGEST_NIGHT`] seconds; other gaps stay gaps. Nothing later than a step decides about it.
    #[must_use]
    pub fn with_dark_nights(&self) -> Self {
        let longest = LONGEST_NIGHT / self.step;
        let (mut highest, mut dark, mut missing) = (0.0_f32, false, 0);
        let values = self
            .values
            .iter()
            .map(|watts| {
                if let Some(watts) = watts {
                    highest = highest.max(*watts);
                    dark = *watts <= DUSK * highest;
                    missing = 0;
                    return Some(*watts);
                }
                missing += 1;
                (dark && missing <= longest).then_some(0.0)
            })
            .collect();
        Self { site: self.site.clone(), values, ..*self }
    }

    /// Brings the series to slots: shorter steps are averaged (over those that were measured), longer ones
    /// fill each of their slots.
    pub fn slots(&self) -> SlotSeries {
        let first = Slot::of(self.first);
        let count = usize::try_from(Slot::of(self.end() - 1).since(first) + 1).unwrap_or(0);
        let values = (0..count as i64).map(|place| self.slot_mean(first.plus(place).start())).collect();
        SlotSeries { site: self.site.clone(), first, values }
    }

    fn slot_mean(&self, start: i64) -> Option<f32> {
        let steps = (SLOT_SECONDS / self.step).max(1);
        let (sum, count) = (0..steps)
            .filter_map(|place| self.at(start + place * self.step))
            .fold((0.0, 0), |(sum, count), watts| (sum + watts, count + 1));
        (count > 0).then(|| sum / count as f32)
    }
}

impl SlotSeries {
    /// Mean power of a slot, W.
    pub fn get(&self, slot: Slot) -> Option<f32> {
        let place = usize::try_from(slot.since(self.first)).ok()?;
        self.values.get(place).copied().flatten()
    }

    /// The first slot after the series.
    pub fn end(&self) -> Slot {
        self.first.plus(self.values.len() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(step: i64, first: i64, values: &[Option<f32>]) -> Series {
        Series { site: "a".into(), step, first, values: values.to_vec() }
    }

    #[test]
    fn quarter_hours_are_averaged_over_those_measured() {
        let slots = series(900, 900, &[Some(1.0), Some(2.0), Some(4.0), None, Some(8.0), None, None]).slots();
        assert_eq!(slots.first, Slot(0));
        assert_eq!(slots.values, [Some(1.0), Some(3.0), Some(8.0), None]);
    }

    #[test]
    fn an_inverter_that_sleeps_is_dark_and_one_that_fails_by_day_is_missing() {
        let asleep = [Some(0.0), Some(900.0), Some(20.0), None, None, Some(500.0), None, Some(700.0)];
        let read = series(1800, 0, &asleep).with_dark_nights().values;
        assert_eq!(read[3..5], [Some(0.0); 2]);
        assert_eq!(read[6], None);
        let mut silent = vec![Some(900.0), Some(0.0)];
        silent.resize(60, None);
        let read = series(1800, 0, &silent).with_dark_nights().values;
        assert!(
            read[2..42].iter().all(|watts| *watts == Some(0.0)) && read[42..].iter().all(Option::is_none)
        );
    }

    #[test]
    fn an_hour_fills_both_of_its_slots() {
        let slots = series(3600, 7200, &[Some(5.0), None]).slots();
        assert_eq!(slots.first, Slot(4));
        assert_eq!(slots.values, [Some(5.0), Some(5.0), None, None]);
    }
}
