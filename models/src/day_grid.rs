//! What was measured before a forecast was issued, laid out by local day and slot of the day.
//!
//! Features and baselines compare a slot with the same time of day on earlier days, as the clock on the
//! wall shows it: through daylight saving a lag of 48 slots is not the same time of day. Nothing that was
//! measured at or after the issue gets in here, so nothing downstream can leak it.

use crate::history::SlotHistory;
use crate::time::{SLOTS_PER_DAY, Slot, Zone};

/// Days a grid reaches back, the day of issue included.
pub const GRID_DAYS: usize = 30;

/// Mean power by local day and slot of the day, W; `None` where nothing was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct DayGrid {
    /// Local day of the issue, counted from 1970-01-01.
    issue_day: i64,
    /// Slot of the day of the issue, 0 to 47.
    issue_slot: usize,
    /// By days before the day of issue, then by slot of the day.
    cells: Vec<[Option<f32>; SLOTS_PER_DAY]>,
}

impl DayGrid {
    /// Lays out what `history` holds of the slots before `issued`. A slot that the end of daylight saving
    /// repeats holds the mean of both; one that its start leaves out holds nothing.
    pub fn before(history: &SlotHistory, issued: Slot, zone: &Zone) -> Self {
        let issue = zone.local(issued.start());
        let mut cells = vec![[None; SLOTS_PER_DAY]; GRID_DAYS];
        let reach = (GRID_DAYS * SLOTS_PER_DAY + 2) as i64;
        for slot in (1..=reach).rev().map(|back| issued.plus(-back)) {
            let Some(watts) = history.get(slot) else { continue };
            let local = zone.local(slot.start());
            let Ok(ago) = usize::try_from(issue.day - local.day) else { continue };
            let Some(day) = cells.get_mut(ago) else { continue };
            let cell = &mut day[local.slot_of_day()];
            *cell = Some(cell.map_or(watts, |first| f32::midpoint(first, watts)));
        }
        Self { issue_day: issue.day, issue_slot: issue.slot_of_day(), cells }
    }

    /// Local day of the issue, counted from 1970-01-01.
    pub fn issue_day(&self) -> i64 {
        self.issue_day
    }

    /// Mean power `days` before the day of issue; the slot of the day may run over into the days beside.
    pub fn get(&self, days: i64, slot: i64) -> Option<f32> {
        let width = SLOTS_PER_DAY as i64;
        let days = usize::try_from(days - slot.div_euclid(width)).ok()?;
        self.cells.get(days)?[slot.rem_euclid(width) as usize]
    }

    /// Days before the day of issue of the newest day whose `slot` of the day lies before the issue: 0
    /// where that slot has passed today, else 1.
    pub fn newest(&self, slot: usize) -> i64 {
        i64::from(slot >= self.issue_slot)
    }

    /// The values of one slot of the day on the newest `days` days that can hold it, newest first; days
    /// without a value are left out.
    pub fn same_slot(&self, slot: usize, days: usize) -> impl Iterator<Item = f32> + '_ {
        let newest = self.newest(slot);
        (newest..newest + days as i64).filter_map(move |ago| self.get(ago, slot as i64))
    }

    /// The values of one slot of the day on earlier days of the same kind as `weekday` (0 is Monday): days
    /// of the week, or of the weekend; newest first, as far as the grid reaches.
    pub fn same_kind(&self, slot: usize, weekday: u8) -> impl Iterator<Item = f32> + '_ {
        let wanted = weekday >= 5;
        (self.newest(slot)..GRID_DAYS as i64)
            // Day 0, 1970-01-01, was a Thursday.
            .filter(move |ago| ((self.issue_day - ago + 3).rem_euclid(7) >= 5) == wanted)
            .filter_map(move |ago| self.get(ago, slot as i64))
    }

    /// The values of one slot of the day in earlier weeks, on the weekday of local day `day` (counted from
    /// 1970-01-01), newest first, from at most `weeks` weeks.
    pub fn same_weekday(&self, slot: usize, day: i64, weeks: usize) -> impl Iterator<Item = f32> + '_ {
        let newest = self.newest(slot);
        let ahead = (day - self.issue_day).max(0);
        (0..=weeks as i64)
            .map(move |week| 7 * week - ahead)
            .filter(move |ago| *ago >= newest)
            .take(weeks)
            .filter_map(move |ago| self.get(ago, slot as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn filled(first: Slot, count: i64, value: impl Fn(i64) -> f32) -> SlotHistory {
        let mut history = SlotHistory::new();
        for place in 0..count {
            history.record(first.plus(place), Some(value(place)));
        }
        history
    }

    #[test]
    fn lags_follow_the_clock_on_the_wall_through_daylight_saving() {
        // Paris, 2025-03-30: the clock leaps from 02:00 to 03:00. 2025-04-01T00:00 is 22:00 UTC the day
        // before; each slot holds its local hour.
        let zone = Zone::named("Europe/Paris").unwrap();
        let issued = Slot::of(1_743_458_400);
        assert_eq!(zone.local(issued.start()).second_of_day, 0);
        let first = issued.plus(-5 * 48);
        let history =
            filled(first, 5 * 48, |place| zone.local(first.plus(place).start()).slot_of_day() as f32);
        let grid = DayGrid::before(&history, issued, &zone);
        for slot in 0..48 {
            assert!(grid.same_slot(slot, 5).all(|value| value == slot as f32));
        }
        assert_eq!(grid.get(2, 4), None, "02:00 did not exist on the 30th");
        assert_eq!(grid.get(2, 6), Some(6.0));
    }

    #[test]
    fn an_hour_that_happened_twice_is_one_mean() {
        // Paris, 2025-10-26T01:00Z is the second 02:00.
        let zone = Zone::named("Europe/Paris").unwrap();
        let second = Slot::of(1_761_440_400);
        let issued = second.plus(20);
        let mut history = SlotHistory::new();
        history.record(second.plus(-2), Some(100.0));
        history.record(second, Some(300.0));
        let grid = DayGrid::before(&history, issued, &zone);
        assert_eq!(zone.local(second.start()).second_of_day, 2 * HOUR);
        assert_eq!(grid.get(0, 4), Some(200.0));
    }

    #[test]
    fn the_newest_day_of_a_slot_depends_on_the_time_of_issue() {
        let zone = Zone::utc();
        let issued = Slot(48 * 100 + 24);
        let history = filled(issued.plus(-48 * 3), 48 * 3 + 10, |place| place as f32);
        let grid = DayGrid::before(&history, issued, &zone);
        assert_eq!((grid.newest(23), grid.newest(24)), (0, 1));
        assert_eq!(grid.get(0, 24), None, "measured after the issue, which nobody may see");
        assert_eq!(grid.same_slot(23, 1).next(), Some((48 * 3 - 1) as f32));
        assert_eq!(grid.same_slot(24, 1).next(), Some((48 * 2) as f32));
    }

    #[test]
    fn the_same_weekday_is_at_least_a_week_before_the_target() {
        let zone = Zone::utc();
        let issued = Slot(48 * 100);
        let history = filled(issued.plus(-48 * 29), 48 * 29, |place| (place / 48) as f32);
        let grid = DayGrid::before(&history, issued, &zone);
        let today: Vec<f32> = grid.same_weekday(10, 100, 4).collect();
        assert_eq!(today, [22.0, 15.0, 8.0, 1.0]);
        let tomorrow: Vec<f32> = grid.same_weekday(10, 101, 4).collect();
        assert_eq!(tomorrow, [23.0, 16.0, 9.0, 2.0]);
    }
}
