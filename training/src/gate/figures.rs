//! What is compared: losses by site and day as shares of what the site used, so that a village does not
//! outweigh a hut, and the figures that are means over the sites.

use std::collections::BTreeMap;

use super::bootstrap::Difference;
use crate::backtest::SiteRun;
use crate::scores::Outcome;

/// A figure of a model; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Mean pinball loss of the three quantiles over the mean load.
    Pinball,
    /// Mean absolute error of P50 over the mean load.
    Nmae,
    /// Mean error of the energy of a day over the mean energy of a day.
    Daily,
    /// How far the share of steps inside P10 to P90 lies from 0.8.
    Coverage,
    /// Pinball loss of the tenth of the sites that have the highest.
    WorstSites,
    /// Pinball loss of hubs that were switched on a few days before.
    Young,
}

impl Figure {
    /// Those of the hubs that are compared, the decisive one first.
    pub const OF_HUBS: [Self; 5] = [Self::Pinball, Self::Nmae, Self::Daily, Self::Coverage, Self::WorstSites];

    /// Name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pinball => "pinball",
            Self::Nmae => "nMAE",
            Self::Daily => "energy of the day",
            Self::Coverage => "coverage off 80 %",
            Self::WorstSites => "pinball, worst tenth of sites",
            Self::Young => "pinball, young hubs",
        }
    }

    /// Whether it is a sum over sites and days.
    pub fn is_sum(self) -> bool {
        !matches!(self, Self::Coverage | Self::WorstSites)
    }
}

/// What a day of a site lost, over the load of all scored days of the site; and how much was inside.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct DayLoss {
    pinball: f64,
    error: f64,
    energy: f64,
    inside: f64,
}

/// The losses of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Losses {
    /// By place of the set and name of the site, by local day.
    by_site: BTreeMap<(usize, String), BTreeMap<i64, DayLoss>>,
}

impl Losses {
    /// Those of a method of some runs; sites where nothing was used are left out.
    pub fn of(runs: &[SiteRun], method: usize) -> Self {
        let by_site = runs.iter().filter_map(|run| {
            let days = day_losses(run.outcomes.get(method)?)?;
            Some(((run.set, run.site.clone()), days))
        });
        Self { by_site: by_site.collect() }
    }

    /// Sites.
    pub fn sites(&self) -> usize {
        self.by_site.len()
    }

    /// Days of all sites.
    pub fn days(&self) -> usize {
        self.by_site.values().map(BTreeMap::len).sum()
    }

    /// Blocks of so many days in which there is any.
    pub fn blocks(&self, days: usize) -> usize {
        let blocks = self.by_site.iter().flat_map(|((set, _), by_day)| {
            by_day.keys().map(move |day| (*set, super::bootstrap::block(*day, days)))
        });
        blocks.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// A figure in the mean over the sites.
    pub fn mean(&self, figure: Figure) -> f64 {
        let of_sites = |value: fn(&DayLoss) -> f64| -> Vec<f64> {
            self.by_site.values().map(|days| days.values().map(value).sum()).collect()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        match figure {
            Figure::Pinball | Figure::Young => mean(&of_sites(|day| day.pinball)),
            Figure::Nmae => mean(&of_sites(|day| day.error)),
            Figure::Daily => mean(&of_sites(|day| day.energy)),
            Figure::Coverage => (mean(&of_sites(|day| day.inside)) - 0.8).abs(),
            Figure::WorstSites => {
                let mut values = of_sites(|day| day.pinball);
                values.sort_by(|a, b| b.total_cmp(a));
                mean(&values[..values.len().div_ceil(10)])
            }
        }
    }

    /// By how much the second of two exceeds the first, day by day of each site; they sum to the difference of
    /// the figure. Days that only one of them knows are left out.
    pub fn differences(both: &[Self; 2], figure: Figure) -> Vec<Difference> {
        let value = |day: &DayLoss| match figure {
            Figure::Nmae => day.error,
            Figure::Daily => day.energy,
            _ => day.pinball,
        };
        let sites = both[0].by_site.len().max(1) as f64;
        let mut all = Vec::new();
        for (place, (site, days)) in both[0].by_site.iter().enumerate() {
            let Some(others) = both[1].by_site.get(site) else { continue };
            for (day, loss) in days {
                let Some(other) = others.get(day) else { continue };
                let more = (value(other) - value(loss)) / sites;
                all.push(Difference { set: site.0, site: place, day: *day, more });
            }
        }
        all
    }
}

fn day_losses(outcomes: &[Outcome]) -> Option<BTreeMap<i64, DayLoss>> {
    let total: f64 = outcomes.iter().map(|outcome| f64::from(outcome.truth)).sum();
    if total <= 0.0 {
        return None;
    }
    let count = outcomes.len() as f64;
    let mut days: BTreeMap<i64, DayLoss> = BTreeMap::new();
    for outcome in outcomes {
        let truth = f64::from(outcome.truth);
        let [low, middle, high] = outcome.quantiles.map(f64::from);
        let day = days.entry(outcome.day).or_default();
        day.error += (truth - middle).abs() / total;
        for (quantile, value) in [(0.1, low), (0.5, middle), (0.9, high)] {
            day.pinball += (quantile * (truth - value)).max((quantile - 1.0) * (truth - value)) / 3.0 / total;
        }
        day.inside += f64::from(u8::from(truth >= low && truth <= high)) / count;
        day.energy += (f64::from(outcome.mean) - truth) / total;
    }
    for day in days.values_mut() {
        day.energy = day.energy.abs();
    }
    Some(days)
}
