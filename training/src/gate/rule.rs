//! The rule of the gate, in code and in the same words for people. It is not tuned to any pair of models; to
//! change it is a decision that is written down.

use super::Comparison;
use super::bootstrap::{Interval, LEAST_BLOCKS, LEAST_SITES};
use super::figures::Figure;

/// The rule in words.
pub const RULE: &str = "yes where the pinball loss is lower with both intervals of the difference below zero (by weeks, and by \
     sites where there are five or more), the worst tenth of the sites loses no more than before, and no other figure \
     is worse by more than its margin: nMAE 1 %, energy of the day 2 %, pinball of young hubs 1 %, coverage one \
     point further from 80 %";

/// Most by which a share of the champion's nMAE may be exceeded.
const NMAE_MARGIN: f64 = 0.01;
/// Of its error of the energy of a day.
const DAILY_MARGIN: f64 = 0.02;
/// Of its pinball loss on young hubs.
const YOUNG_MARGIN: f64 = 0.01;
/// Points further from 80 % that the coverage may lie.
const COVERAGE_MARGIN: f64 = 0.01;

/// A figure of both models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Which.
    pub figure: Figure,
    /// The champion's.
    pub champion: f64,
    /// The challenger's.
    pub challenger: f64,
    /// Interval of the difference, drawn by weeks; `None` where it is no sum, or there are too few.
    pub by_weeks: Option<Interval>,
    /// Interval of the difference, drawn by sites; `None` likewise.
    pub by_sites: Option<Interval>,
}

/// What the rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The challenger replaces the champion.
    Yes,
    /// It does not, for these reasons.
    No(Vec<String>),
}

impl Finding {
    /// What speaks against the challenger in this figure.
    pub fn against(&self) -> Option<String> {
        let (was, is) = (self.champion, self.challenger);
        let name = self.figure.name();
        let margin = |share: f64| {
            let most = was * (1.0 + share);
            // Written so that a figure that is no number speaks against it.
            let holds = is <= most;
            (!holds)
                .then(|| format!("{name}: {is:.5}, at most {most:.5} ({was:.5} and {:.0} %)", share * 100.0))
        };
        match self.figure {
            Figure::Pinball => self.not_surely_lower(),
            Figure::Nmae => margin(NMAE_MARGIN),
            Figure::Daily => margin(DAILY_MARGIN),
            Figure::Young => margin(YOUNG_MARGIN),
            Figure::WorstSites => margin(0.0),
            Figure::Coverage => {
                let most = was + COVERAGE_MARGIN;
                let holds = is <= most;
                (!holds).then(|| format!("{name}: {is:.3}, at most {most:.3} ({was:.3} and one point)"))
            }
        }
    }

    fn not_surely_lower(&self) -> Option<String> {
        let name = self.figure.name();
        let Some(weeks) = self.by_weeks else {
            return Some(format!(
                "{name}: fewer than {LEAST_BLOCKS} blocks of days, which is too little to tell"
            ));
        };
        let reaching = |drawn: &str, interval: Interval| {
            let below = interval.high < 0.0;
            (!below).then(|| {
                format!(
                    "{name}: the difference is {:+.5} and may be {:+.5} to {:+.5} by {drawn}, expected below zero",
                    self.challenger - self.champion,
                    interval.low,
                    interval.high
                )
            })
        };
        reaching("weeks", weeks).or_else(|| reaching("sites", self.by_sites?))
    }
}

impl Comparison {
    /// Judges the challenger.
    pub fn verdict(&self) -> Verdict {
        let against: Vec<String> = self.findings.iter().filter_map(Finding::against).collect();
        let decided = self.findings.iter().any(|finding| finding.figure == Figure::Pinball);
        if against.is_empty() && decided { Verdict::Yes } else { Verdict::No(against) }
    }

    /// What the verdict does not say anything about, if there is such a thing.
    pub fn caveat(&self) -> Option<String> {
        (self.sites < LEAST_SITES).then(|| {
            format!(
                "{} sites, {LEAST_SITES} are wanted to speak of others: this is about these sites only",
                self.sites
            )
        })
    }
}
