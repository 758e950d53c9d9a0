//! How sure a difference of two models is that forecast the same days of the same sites: a paired bootstrap.
//!
//! The errors of a day resemble those of the days around it (weather, habits, guests), those of all sites on
//! the same day (weather, holidays), and those of a site on all its days. So (site, day) pairs are never drawn one
//! by one. They are drawn in two ways, and a difference counts only where it is sure in both:
//! - by weeks: blocks of days in a row, with all sites of a file together, within each file; the interval is
//!   stretched by what a block has in common with the next;
//! - by sites: whole sites with all their days. With fewer than [`LEAST_SITES`] sites that says nothing, and the
//!   finding is one about these sites only.
//!
//! Blocks are few, so the interval is that of the studentised bootstrap ("bootstrap-t"; Efron and Tibshirani,
//! "An Introduction to the Bootstrap", 1993, chapter 12), which stays near its level where the plain one is too
//! narrow. Drawing clusters is described by Cameron, Gelbach and Miller, "Bootstrap-Based Improvements for
//! Inference with Clustered Errors", 2008.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sites below which nothing is said about other sites.
pub const LEAST_SITES: usize = 5;
/// Blocks of days, of all files, below which nothing is said at all.
pub const LEAST_BLOCKS: usize = 6;
/// Share of the intervals that leave out the true difference: half of it on either side, so that of
/// challengers that are no better 2.5 % at most are taken for better.
pub const LEVEL: f64 = 0.05;

/// By how much the second of two models lost more than the first on a day of a site, as its part of the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Place of the file.
    pub set: usize,
    /// Place of the site.
    pub site: usize,
    /// Local day, counted from 1970-01-01.
    pub day: i64,
    /// Positive where the second lost more.
    pub more: f64,
}

/// What a difference may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How often is drawn, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// Seed of the draws.
    pub seed: u64,
    /// How often.
    pub resamples: usize,
}

/// The block of a day: weeks begin on the same day everywhere.
pub fn block(day: i64, days: usize) -> i64 {
    day.div_euclid(days.max(1) as i64)
}

/// The interval of the sum of differences, drawn in blocks of so many days within each file; `None` where
/// there are too few. A file with a single block is left as it is: nothing can be drawn from it.
pub fn by_weeks(differences: &[Difference], days: usize, resampling: Resampling) -> Option<Interval> {
    let mut files: BTreeMap<usize, BTreeMap<i64, f64>> = BTreeMap::new();
    for one in differences {
        *files.entry(one.set).or_default().entry(block(one.day, days)).or_default() += one.more;
    }
    let strata: Vec<Vec<f64>> = files.into_values().map(|blocks| blocks.into_values().collect()).collect();
    let drawn: usize = strata.iter().map(Vec::len).filter(|blocks| *blocks > 1).sum();
    (drawn >= LEAST_BLOCKS).then(|| studentised(&strata, neighbours(&strata), resampling))
}

/// The interval of the sum of differences, drawn in whole sites; `None` where there are too few.
pub fn by_sites(differences: &[Difference], resampling: Resampling) -> Option<Interval> {
    let mut sites: BTreeMap<usize, f64> = BTreeMap::new();
    for one in differences {
        *sites.entry(one.site).or_default() += one.more;
    }
    let sites: Vec<f64> = sites.into_values().collect();
    (sites.len() >= LEAST_SITES).then(|| studentised(&[sites], 1.0, resampling))
}

/// The sum of clusters and its standard error.
fn estimate(strata: &[Vec<f64>]) -> [f64; 2] {
    let (mut sum, mut variance) = (0.0, 0.0);
    for clusters in strata {
        let count = clusters.len() as f64;
        let total: f64 = clusters.iter().sum();
        sum += total;
        if clusters.len() > 1 {
            let mean = total / count;
            let squares: f64 = clusters.iter().map(|value| (value - mean) * (value - mean)).sum();
            variance += count / (count - 1.0) * squares;
        }
    }
    [sum, variance.sqrt()]
}

/// By how much the standard error of the sum of blocks exceeds that of blocks that know nothing of each other:
/// what lasts for days reaches from one block into the next. Few blocks show less of that than there is, which
/// is made good (Kendall, "Note on Bias in the Estimation of Autocorrelation", 1954). Never below one, so that chance
/// does not make an interval narrower.
fn neighbours(strata: &[Vec<f64>]) -> f64 {
    let (mut own, mut shared, mut count, mut files) = (0.0, 0.0, 0.0, 0.0);
    for blocks in strata.iter().filter(|blocks| blocks.len() > 1) {
        let mean = blocks.iter().sum::<f64>() / blocks.len() as f64;
        own += blocks.iter().map(|block| (block - mean) * (block - mean)).sum::<f64>();
        shared += blocks.windows(2).map(|two| (two[0] - mean) * (two[1] - mean)).sum::<f64>();
        count += blocks.len() as f64;
        files += 1.0;
    }
    if own <= 0.0 {
        return 1.0;
    }
    let seen = shared / own;
    let correlation = seen + (1.0 + 4.0 * seen) * files / count;
    (1.0 + 2.0 * correlation).max(1.0).sqrt()
}

fn studentised(strata: &[Vec<f64>], stretch: f64, resampling: Resampling) -> Interval {
    let [sum, error] = estimate(strata);
    let mut chance = ChaCha8Rng::seed_from_u64(resampling.seed);
    let mut apart: Vec<f64> = Vec::with_capacity(resampling.resamples);
    let mut drawn = strata.to_vec();
    for _ in 0..resampling.resamples {
        for (into, clusters) in drawn.iter_mut().zip(strata) {
            for value in into {
                *value = clusters[chance.random_range(0..clusters.len())];
            }
        }
        let [drawn_sum, drawn_error] = estimate(&drawn);
        // A draw of one cluster over and over has no error: it lies as far out as can be.
        let scaled = (drawn_sum - sum) / drawn_error;
        apart.push(if scaled.is_nan() { 0.0 } else { scaled });
    }
    apart.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * apart.len().saturating_sub(1) as f64).round() as usize;
        apart.get(place).copied().unwrap_or(f64::INFINITY)
    };
    if error == 0.0 {
        return Interval { low: sum, high: sum };
    }
    let error = error * stretch;
    Interval { low: sum - at(1.0 - LEVEL / 2.0) * error, high: sum - at(LEVEL / 2.0) * error }
}
