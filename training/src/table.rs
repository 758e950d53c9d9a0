//! The rows a model is fitted to: features and what came of them, by slot of the day.
//!
//! They are made by walking through a series as a hub lives through it: a `SlotHistory` that is filled
//! slot by slot, and the features of `sunkeep-models` at each issue.

use indicatif::ProgressBar;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::load_features::{COLUMNS, LoadRows, WIDTH, load_rows};
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, Zone};

use crate::backtest::Set;
use crate::series::SlotSeries;

/// Issues that are taken for fitting from all series together; more data means fewer a day.
pub const MOST_ISSUES: usize = 10_000;

/// Slots between two issues at least. Prime to the slots of a day, so that issues fall on every slot of it.
const LEAST_STRIDE: i64 = 7;

/// Rows of one slot of the day.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SlotRows {
    /// Rows of [`WIDTH`] values, one after the other.
    pub features: Vec<f32>,
    /// What was measured, over the level of the site: one for each row.
    pub targets: Vec<f32>,
    /// Slot of each target.
    pub slots: Vec<Slot>,
    /// Level of the site at the issue, W: what features and target were divided by.
    pub levels: Vec<f32>,
}

/// All rows, by slot of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// [`SLOTS_PER_DAY`] of them.
    pub by_slot: Vec<SlotRows>,
    /// Issues they come from.
    pub issues: usize,
}

/// Slots between two issues, for series of this many slots together and at most so many issues.
pub fn stride(slots: usize, most_issues: usize) -> i64 {
    let mut stride = LEAST_STRIDE.max((slots / most_issues.max(1)) as i64);
    while stride % 2 == 0 || stride % 3 == 0 {
        stride += 1;
    }
    stride
}

/// The rows of all sites of some sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables<'a> {
    /// Name of each site with its rows.
    pub sites: Vec<(&'a str, Table)>,
    /// Slots between two issues.
    pub stride: i64,
}

/// The rows of all sites of the sets, to which a model is fitted that is to be shipped; with their names.
pub fn tables<'a>(sets: &'a [Set], progress: &ProgressBar) -> (Vec<&'a str>, Vec<Table>) {
    tables_of(sets, MOST_ISSUES, progress).sites.into_iter().unzip()
}

/// The rows of at most so many issues of all sites of the sets.
pub fn tables_of<'a>(sets: &'a [Set], most_issues: usize, progress: &ProgressBar) -> Tables<'a> {
    let all = || sets.iter().flat_map(|set| set.series.iter().map(move |series| (&set.zone, series)));
    let slots: Vec<(&Zone, SlotSeries)> = all().map(|(zone, series)| (zone, series.slots())).collect();
    let total: usize = slots.iter().map(|(_, series)| series.values.len()).sum();
    progress.set_length(total as u64);
    progress.set_position(0);
    let stride = stride(total, most_issues);
    let tables = slots.iter().map(|(zone, series)| table(series, zone, stride, progress));
    let sites = all().map(|(_, series)| series.site.as_str()).zip(tables).collect();
    Tables { sites, stride }
}

/// Makes the rows of all issues of the series of one site.
pub fn table(series: &SlotSeries, zone: &Zone, stride: i64, progress: &ProgressBar) -> Table {
    let mut table = Table { by_slot: vec![SlotRows::default(); SLOTS_PER_DAY], issues: 0 };
    walk(series, stride, |history, issued| {
        progress.inc(stride as u64);
        let Some(rows) = load_rows(history, issued, zone) else { return };
        table.issues += 1;
        table.add(series, issued, &rows);
    });
    table
}

/// All rows of some sites whose target was measured before a slot, by slot of the day.
pub fn rows_before(tables: &[&Table], end: Slot) -> Vec<SlotRows> {
    (0..SLOTS_PER_DAY)
        .map(|slot| {
            let mut all = SlotRows::default();
            for table in tables {
                table.by_slot[slot].copy_before(end, &mut all);
            }
            all
        })
        .collect()
}

/// Lives through a series: `issue` sees the history as it is at every `stride`-th slot.
pub fn walk(series: &SlotSeries, stride: i64, mut issue: impl FnMut(&SlotHistory, Slot)) {
    let mut history = SlotHistory::new();
    for (place, watts) in series.values.iter().enumerate() {
        let slot = series.first.plus(place as i64);
        if slot.0.rem_euclid(stride) == 0 && place > 0 {
            issue(&history, slot);
        }
        history.record(slot, *watts);
    }
}

impl Table {
    /// The rows whose target was measured before a slot.
    #[must_use]
    pub fn before(&self, end: Slot) -> Self {
        Self { by_slot: rows_before(&[self], end), issues: self.issues }
    }

    /// The same with zeros in the columns of these names: a fit gives them no weight.
    #[must_use]
    pub fn without(mut self, columns: &[String]) -> Self {
        let places = (0..WIDTH).filter(|place| columns.iter().any(|name| name == COLUMNS[*place]));
        for place in places {
            for rows in &mut self.by_slot {
                rows.features.iter_mut().skip(place).step_by(WIDTH).for_each(|value| *value = 0.0);
            }
        }
        self
    }

    fn add(&mut self, series: &SlotSeries, issued: Slot, rows: &LoadRows) {
        for (lead, row) in rows.values.chunks_exact(WIDTH).enumerate() {
            let target = issued.plus(lead as i64);
            let Some(watts) = series.get(target) else { continue };
            let slot = &mut self.by_slot[row[0] as usize];
            slot.features.extend_from_slice(row);
            slot.targets.push(watts / rows.level);
            slot.slots.push(target);
            slot.levels.push(rows.level);
        }
    }
}

impl SlotRows {
    /// Copies the rows whose target was measured before `end`.
    pub fn copy_before(&self, end: Slot, into: &mut Self) {
        for (place, slot) in self.slots.iter().enumerate() {
            if *slot < end {
                self.copy(place, into);
            }
        }
    }

    /// Copies the rows whose target was measured at or after `first`.
    pub fn copy_from(&self, first: Slot, into: &mut Self) {
        for (place, slot) in self.slots.iter().enumerate() {
            if *slot >= first {
                self.copy(place, into);
            }
        }
    }

    /// Copies each `every`-th row.
    pub fn copy_every(&self, every: usize, into: &mut Self) {
        for place in (0..self.targets.len()).step_by(every) {
            self.copy(place, into);
        }
    }

    fn copy(&self, place: usize, into: &mut Self) {
        into.features.extend_from_slice(&self.features[place * WIDTH..][..WIDTH]);
        into.targets.push(self.targets[place]);
        into.slots.push(self.slots[place]);
        into.levels.push(self.levels[place]);
    }
}
