//! What each part of the load forecast is worth: the backtest again without it, through the code of the hub.
//!
//! Features are left out of the fleet's model, which is fitted anew, and of what the site's regressions read.
//! The profiles among the experts keep theirs: leave the experts out to see what they are worth.

use std::sync::Arc;

use indicatif::ProgressBar;
use sunkeep_models::adaptation::{LeftOut, expert_names};
use sunkeep_models::onnx::OnnxForecaster;

use crate::backtest::{BacktestError, Options, Set, fit_priors, live_with, load_methods, summed_up};
use crate::parallel;
use crate::scores::Score;

/// The features in groups: name and columns of `load_features::COLUMNS`.
pub const GROUPS: [(&str, &[&str]); 9] = [
    (
        "profiles",
        &[
            "mean_7d",
            "mean_28d",
            "median_14d",
            "mean_7d_smooth",
            "mean_28d_smooth",
            "same_weekday_4w",
            "same_kind_of_day",
        ],
    ),
    ("spread", &["low_28d", "median_28d", "high_28d", "spread_7d"]),
    ("single days", &["last_day", "last_day_smooth", "day_before_smooth", "week_before_smooth"]),
    ("levels", &["level_28d", "excess_24h", "excess_72h", "excess_24h_shaped"]),
    (
        "last hours, fading",
        &["excess_1h_fading", "excess_4h_fading", "excess_4h_shaped_fading", "excess_12h_fading"],
    ),
    (
        "last day in eighths",
        &[
            "excess_0_to_3h_ago",
            "excess_3_to_6h_ago",
            "excess_6_to_9h_ago",
            "excess_9_to_12h_ago",
            "excess_12_to_15h_ago",
            "excess_15_to_18h_ago",
            "excess_18_to_21h_ago",
            "excess_21_to_24h_ago",
        ],
    ),
    ("lead", &["lead", "second_day"]),
    ("calendar", &["weekend", "weekend_shaped"]),
    ("missing", &["last_day_missing", "share_missing_28d"]),
];

/// A forecast without one of its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// What is left out, for the table.
    pub name: String,
    left_out: LeftOut,
    no_model: bool,
}

/// What a variant was worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was left out.
    pub name: String,
    /// By set.
    pub scores: Vec<Option<Score>>,
}

/// All variants: the whole first.
pub fn variants() -> Vec<Variant> {
    let named = |name: String, left_out: LeftOut| Variant { name, left_out, no_model: false };
    let mut all = vec![named("everything in".into(), LeftOut::default())];
    for (group, columns) in GROUPS {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        all.push(named(format!("without features: {group}"), LeftOut { columns, ..LeftOut::default() }));
    }
    let experts = expert_names();
    for expert in experts {
        let experts = vec![expert.to_owned()];
        all.push(named(format!("without expert: {expert}"), LeftOut { experts, ..LeftOut::default() }));
    }
    for expert in experts {
        let others = experts.iter().filter(|other| **other != expert).map(|other| (*other).into()).collect();
        all.push(named(format!("only expert: {expert}"), LeftOut { experts: others, ..LeftOut::default() }));
    }
    all.push(named("without conformal correction".into(), LeftOut { conformal: true, ..LeftOut::default() }));
    all.push(named("experts weighed alike".into(), LeftOut { weighing: true, ..LeftOut::default() }));
    all.push(Variant {
        name: "without any fleet model".into(),
        left_out: LeftOut::default(),
        no_model: true,
    });
    all
}

/// Lives through all sets with each variant.
pub fn ablation(
    sets: &[Set],
    variants: &[Variant],
    progress: &ProgressBar,
) -> Result<Vec<Row>, BacktestError> {
    let quiet = ProgressBar::hidden();
    let whole = fit_priors(sets, &Options::default(), &quiet)?;
    progress.set_length(variants.len() as u64);
    progress.set_position(0);
    progress.set_message("variants");
    parallel::each(variants.len(), |place| {
        let variant = &variants[place];
        let options =
            Options { left_out: variant.left_out.clone(), no_model: variant.no_model, ..Options::default() };
        // A model without features is another one; without experts it is the same.
        let priors: Vec<Arc<OnnxForecaster>> = if variant.left_out.columns.is_empty() {
            whole.clone()
        } else {
            fit_priors(sets, &options, &quiet)?
        };
        let runs = live_with(sets, &priors, &options, &quiet)?;
        let methods = load_methods();
        let found = summed_up(sets, &methods[..1], runs);
        progress.inc(1);
        let scores = sets
            .iter()
            .map(|set| found.scores.iter().find(|score| score.set == set.name).map(|score| score.score));
        Ok(Row { name: variant.name.clone(), scores: scores.collect() })
    })
}
