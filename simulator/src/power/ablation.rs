//! What each part of the hub's planning is worth: the same sites once more without it.

use sunkeep_core::planner::Part;

use super::{Options, Planner, PowerError, Score, Without, play};
use crate::plant::Series;

/// A row of the table: what is done, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Its name in the table.
    pub name: &'static str,
    planner: Planner,
    without: Option<Without>,
}

/// The whole first, then what is left out of it, one part at a time; and what knowing would be worth.
pub const VARIANTS: [Variant; 11] = [
    without("as it is", Planner::Past, None),
    without("forecast: yesterday comes again", Planner::Persistence, None),
    part("likeness of days", Part::Likeness),
    part("quantiles: the mean day comes", Part::Spread),
    part("turns: a day that has begun is known", Part::Turns),
    part("end value: 24 h and nothing after", Part::EndValue),
    part("price of switching", Part::SwitchPrice),
    without("imputation of shed demand", Planner::Past, Some(Without::Imputation)),
    without("masking of throttled sun", Planner::Past, Some(Without::Masking)),
    without("(told the next 48 hours)", Planner::Told, None),
    without("plan: fixed reserves hold", Planner::None, None),
];

const fn part(name: &'static str, part: Part) -> Variant {
    without(name, Planner::Past, Some(Without::Planner(part)))
}

const fn without(name: &'static str, planner: Planner, without: Option<Without>) -> Variant {
    Variant { name, planner, without }
}

impl Variant {
    /// Plays a site as the power benchmark has it, for so many days or to its end.
    pub fn play(self, series: Series, zone: &str, days: Option<u32>) -> Result<Score, PowerError> {
        let Self { planner, without, .. } = self;
        let options = Options { planner, hold: true, start_unix: None, days, one_meter: false, without };
        Ok(play(series, zone, options)?.score)
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Cost beside that of the whole: the geometric mean of the sites, and the least and the greatest.
    pub cost: [f64; 3],
    /// Share of the tiers' demand that was not served, in the mean of the sites.
    pub unserved: [f64; 3],
    /// Relay operations a day, in the mean of the sites.
    pub switches_a_day: f64,
}

impl Row {
    /// Compares the scores of a variant with those of the whole, site by site. `None` where there are none, or a site
    /// costs nothing and so cannot be compared.
    pub fn of(whole: &[Score], variant: &[Score]) -> Option<Self> {
        let ratios: Vec<f64> =
            whole.iter().zip(variant).map(|(whole, variant)| variant.cost / whole.cost).collect();
        if ratios.is_empty() || !ratios.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0) {
            return None;
        }
        let count = ratios.len() as f64;
        let mean = |of: fn(&Score) -> f64| variant.iter().map(of).sum::<f64>() / count;
        let logs: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        Some(Self {
            cost: [
                (logs / count).exp(),
                ratios.iter().copied().fold(f64::INFINITY, f64::min),
                ratios.iter().copied().fold(0.0, f64::max),
            ],
            unserved: [
                mean(|score| score.unserved_critical),
                mean(|score| score.unserved_important),
                mean(|score| score.unserved_convenience),
            ],
            switches_a_day: mean(|score| score.switches_a_day),
        })
    }
}
