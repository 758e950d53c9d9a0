//! The forecaster on PV measured at homes in California, against yesterday and the mean of 28 days.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::*;
use crate::quantity::Watts;
use crate::sun::Location;

/// Hourly power of a site: the first slot and the watts.
fn read(path: &Path) -> (Slot, Vec<f32>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut first = None;
    let mut watts = Vec::new();
    for line in text.lines().skip(1) {
        let mut columns = line.split(',');
        let start: jiff::Timestamp = columns.next().unwrap().parse().unwrap();
        first.get_or_insert(Slot::of(start.as_second()));
        watts.push(columns.next().unwrap().parse().unwrap());
    }
    (first.unwrap(), watts)
}

#[derive(Default)]
struct Score {
    error: f64,
    yesterday: f64,
    mean: f64,
    measured: f64,
    hours: u32,
    inside: u32,
    below: u32,
    above: u32,
}

/// Days `days` of the series, each forecast at a local hour for so many hours. Daylight saving moves the
/// hour by one in summer, which harms nobody.
fn backtest(
    (first, watts): (Slot, &[f32]),
    array: Option<PvArray>,
    days: Range<usize>,
    (at, hours): (usize, usize),
) -> Score {
    let mut history = SlotHistory::new();
    let mut score = Score::default();
    let forecaster = PvForecaster { array };
    for (hour, power) in watts.iter().enumerate() {
        let slot = first.plus(2 * hour as i64);
        if hour % 24 == at && days.contains(&(hour / 24)) {
            let forecast = forecaster.forecast(&history, slot, &Zone::utc()).unwrap();
            for ahead in 0..hours.min(watts.len() - hour) {
                score.add(&forecast, ahead, watts, hour + ahead);
            }
        }
        history.record(slot, Some(*power));
        history.record(slot.plus(1), Some(*power));
    }
    score
}

impl Score {
    /// One hour ahead, if it has daylight by any account.
    fn add(&mut self, forecast: &Forecast, ahead: usize, watts: &[f32], hour: usize) {
        let truth = f64::from(watts[hour]);
        let back = |days: usize| f64::from(watts[hour - 24 * days]);
        let mean = (1..=28).map(back).sum::<f64>() / 28.0;
        let of_hour = |of: &[f32]| f64::midpoint(f64::from(of[2 * ahead]), f64::from(of[2 * ahead + 1]));
        let [p10, p50, p90] = [&forecast.p10, &forecast.p50, &forecast.p90].map(|of| of_hour(of));
        if mean < 1.0 && truth < 1.0 && p90 < 1.0 {
            return;
        }
        self.error += (p50 - truth).abs();
        self.yesterday += (back(1) - truth).abs();
        self.mean += (mean - truth).abs();
        self.measured += truth;
        self.hours += 1;
        self.below += u32::from(truth < p10);
        self.above += u32::from(truth > p90);
        self.inside += u32::from((p10..=p90).contains(&truth));
    }

    fn inside(&self) -> f64 {
        f64::from(self.inside) / f64::from(self.hours)
    }

    fn print(&self, what: &str) {
        let part = |sum: f64| sum / self.measured;
        let share = |hours: u32| f64::from(hours) / f64::from(self.hours);
        println!(
            "{what}: nMAE {:.3}, yesterday {:.3}, mean of 28 days {:.3}; inside P10..P90 {:.3}, below {:.3}, above {:.3}, {} daylight hours",
            part(self.error),
            part(self.yesterday),
            part(self.mean),
            share(self.inside),
            share(self.below),
            share(self.above),
            self.hours,
        );
    }
}

fn sites() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/power_benchmark/sites");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no ../shared/power_benchmark/sites");
    None
}

/// The homes stand in Fontana; of the panels only the measured power is known, so that peak, tilt and
/// azimuth given here are guesses, and the peak a bad one. The forecaster's constants were chosen by
/// the first four fifths of these series.
#[test]
fn measured_homes_are_forecast_better_than_by_yesterday_or_the_mean() {
    let Some(folder) = sites() else { return };
    let fontana = Location::new(34.09, -117.44).unwrap();
    let array = PvArray::new(fontana, Watts(10_000.0), 20.0, 180.0).unwrap();
    for home in ["home-b01-d1", "home-b02-d1", "home-b05-d1"] {
        let (first, watts) = read(&folder.join(format!("{home}.csv")));
        let days = watts.len() / 24;
        let parts = [("days 30 to 291", 30..days * 4 / 5), ("last fifth", days * 4 / 5..days)];
        for (part, range) in parts {
            let score = backtest((first, &watts), Some(array), range.clone(), (0, 24));
            score.print(&format!("{home}, {part}, 24 h from midnight, clear-sky index"));
            assert!(score.error < score.yesterday && score.error < score.mean, "{home}, {part}");
            assert!((0.65..=0.95).contains(&score.inside()), "{home}, {part}: {}", score.inside());
            let soon = backtest((first, &watts), Some(array), range.clone(), (10, 4));
            soon.print(&format!("{home}, {part}, 4 h from 10:00, clear-sky index"));
            assert!(soon.error < soon.yesterday && soon.error < soon.mean, "{home}, {part}");
            let blind = backtest((first, &watts), None, range, (0, 24));
            blind.print(&format!("{home}, {part}, 24 h from midnight, same slot"));
            assert!(blind.error < blind.mean, "{home}, {part}");
        }
    }
}
