//! Simulated years a second: a home through the hub's own `step` in this process, a cycle a minute, with the
//! planner and without. By the processor time of this thread, so per processor.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sunkeep_simulator::plant::{HomeSpec, Row, Series, SolarHome};
use sunkeep_simulator::power::{Options, Planner, Score, play};
use sunkeep_tests::house::MIDNIGHT;

use crate::figures::{Budget, Figures};

/// Length of a row of the series.
const ROW: Duration = Duration::from_mins(30);
/// Days that are played without the planner.
const DAYS: u32 = 365;
/// Days that are played with it: more than the history of a hub holds.
const PLANNED_DAYS: u32 = 120;
/// Days of a year.
const YEAR: f64 = 365.25;
/// The home of the demo.
const SEED: u64 = 4;

/// Plays a year without the planner, and a part of it with.
pub(crate) fn measure() -> anyhow::Result<Figures> {
    let series = series(DAYS)?;
    let mut figures = Figures::default();
    let (rate, score) = played(&series, Planner::None, DAYS)?;
    let what = "decision core without planner, a cycle a minute: simulated years a second";
    figures.add_within("years_without_planner", what, rate, "", Budget::at_least(1.0, 10.0));
    figures.add("switches_without_planner", "  relays switched a day", score.switches_a_day, "");
    let (rate, score) = played(&series, Planner::Hub, PLANNED_DAYS)?;
    let what = "with the load model's forecasts and the planner each half-hour";
    figures.add("years_with_planner", what, rate, "");
    figures.add("switches_with_planner", "  relays switched a day", score.switches_a_day, "");
    Ok(figures)
}

/// Simulated years a second, and what came of them.
fn played(series: &Series, planner: Planner, days: u32) -> anyhow::Result<(f64, Score)> {
    let began = on_processor();
    let options =
        Options { planner, hold: false, start_unix: None, days: Some(days), one_meter: false, without: None };
    let score = play(series.clone(), "UTC", options)?.score;
    Ok((score.days / YEAR / (on_processor() - began), score))
}

/// So many days of sun and demand of a simulated home that has less sun than it wants.
pub(crate) fn series(days: u32) -> anyhow::Result<Series> {
    let mut spec = HomeSpec::from_seed(SEED, MIDNIGHT);
    // Battery and panels to spare, so that demand is what people wanted; the plant that is played has less.
    let battery_wh = spec.battery.capacity * f64::from(spec.battery.cells) * 3.2;
    let rated = spec.array.rated;
    spec.array.rated *= 3.0;
    spec.battery.capacity *= 3.0;
    spec.battery.resistance /= 3.0;
    spec.charger.current_limit *= 3.0;
    let (start_unix, share) = (spec.start_unix, rated / spec.array.rated);
    let mut home = SolarHome::new(spec)?.with_grain(Duration::from_mins(1));
    let hours = ROW.as_secs_f64() / 3600.0;
    let rows = (0..u64::from(days) * 86_400 / ROW.as_secs()).map(|_| {
        let before = home.ledger().clone();
        home.advance(ROW);
        let now = home.ledger();
        let wanted = |tier: usize| {
            (now.served[tier] - before.served[tier] + now.unserved[tier] - before.unserved[tier]) / hours
        };
        Row { pv: (now.pv_available - before.pv_available) / hours * share, demand: [0, 1, 2].map(wanted) }
    });
    let rows = rows.collect();
    Ok(Series { name: "a year".into(), battery_wh, start_unix, row_seconds: ROW.as_secs() as i64, rows })
}

/// Time of this thread on a processor, s.
fn on_processor() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
