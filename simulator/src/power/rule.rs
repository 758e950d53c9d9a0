//! A site under a policy of the field, as the power benchmark's reference plays it: the policy sees the true state of
//! charge as a row begins, and what it then has on stays on for the row.

use core::time::Duration;

use super::{Options, Planner, Played, PowerError, Score};
use crate::plant::{RecordedHome, Series};
use crate::policy::{Policy, Rule};

/// Plays a site under a policy. Of the options only the part of the series counts; hours of the day are counted from
/// its first row, as the reference counts them.
pub fn play_rule(series: Series, zone: &str, policy: Policy, options: Options) -> Result<Played, PowerError> {
    let (first, row) = (series.start_unix, series.row_seconds);
    let end = series.end_unix();
    let mut plant = RecordedHome::new(series, zone, options.start_unix)?;
    let end = options.days.map_or(end, |days| end.min(plant.unix() + i64::from(days) * 86_400));
    let mut rule = Rule::new(policy);
    let mut switches = Vec::new();
    while plant.unix() < end {
        let into_row = (plant.unix() - first).rem_euclid(row);
        if into_row == 0 {
            let on = rule.decide((plant.unix() - first) as f64 / 3600.0, plant.charge());
            for (tier, on) in on.into_iter().enumerate() {
                plant.permit(tier, on);
            }
            switches.push(on);
        }
        plant.advance(Duration::from_secs((row - into_row).unsigned_abs()));
    }
    let unserved = plant.ledger().unserved;
    Ok(Played { score: Score::of(&plant, Planner::None, 0.0), switches, unserved })
}
