//! From `[care]` as written to what the decision core does for the battery's sake; defaults by chemistry.

use sunkeep_core::care::{Care, ChargeLimit, RisingFloor, WearPrice};
use sunkeep_models::battery::Chemistry;
use sunkeep_models::quantity::{Celsius, StateOfCharge};
use toml::Spanned;

use super::Problems;
use super::file::{CareTable, ChargeLimitTable};

/// Most temperatures in a table of limits.
const MOST_LIMITS: usize = 16;

pub(super) fn care(table: &CareTable, chemistry: Chemistry, problems: &mut Problems<'_>) -> Care {
    let usual = Care::usual(chemistry);
    let rises = table.rising_floor.unwrap_or(usual.floor.is_some());
    let floor = usual.floor.or_else(|| Care::usual(Chemistry::LeadAcidSealed).floor);
    let floor = floor.map(|floor| rising(table, floor, problems)).filter(|_| rises);
    let charge_limits = match &table.charge_limits {
        Some(limits) => charge_limits(limits, problems),
        None => usual.charge_limits,
    };
    let price = usual.wear.map_or(0.0, |wear| wear.drawn);
    let price = problems.number_or("wear_price", table.wear_price.as_ref(), 0.0, 10.0, price);
    let wear = (price > 0.0).then(|| WearPrice::usual(chemistry, price));
    Care { floor, wear, charge_limits }
}

fn rising(table: &CareTable, usual: RisingFloor, problems: &mut Problems<'_>) -> RisingFloor {
    let mut percent = |key: &str, value: Option<&Spanned<f64>>, most: f64, default: f64| {
        problems.number_or(key, value, 0.0, most, default * 100.0) / 100.0
    };
    let rise = percent("rise_percent_a_day", table.rise_percent_a_day.as_ref(), 100.0, usual.rise_a_day);
    let highest = percent("highest_percent", table.highest_percent.as_ref(), 95.0, usual.highest.ratio());
    let important = percent(
        "highest_important_percent",
        table.highest_important_percent.as_ref(),
        95.0,
        usual.highest_important.ratio(),
    );
    if important > highest {
        let span = table.highest_important_percent.as_ref().or(table.highest_percent.as_ref());
        let what = format!(
            "highest_important_percent {:.0} is above highest_percent {:.0}: what can wait is held back first",
            important * 100.0,
            highest * 100.0
        );
        problems.at(&span.map_or(0..0, Spanned::span), what);
    }
    RisingFloor {
        after_days: problems.number_or("after_days", table.after_days.as_ref(), 0.0, 60.0, usual.after_days),
        rise_a_day: rise,
        highest: StateOfCharge::clamped(highest),
        highest_important: StateOfCharge::clamped(important),
    }
}

fn charge_limits(table: &Spanned<Vec<ChargeLimitTable>>, problems: &mut Problems<'_>) -> Vec<ChargeLimit> {
    let limits = table.get_ref();
    let sound = |limit: &ChargeLimitTable| {
        (-60.0..=100.0).contains(&limit.from_c) && (0.0..=100.0).contains(&limit.percent)
    };
    if limits.len() > MOST_LIMITS || !limits.iter().all(sound) {
        let what =
            format!("charge_limits: expected at most {MOST_LIMITS}, from -60 to 100 °C, of 0 to 100 percent");
        problems.at(&table.span(), what);
    }
    if !limits.is_sorted_by(|one, other| one.from_c < other.from_c) {
        problems.at(&table.span(), "charge_limits: expected the coldest first, each once".into());
    }
    let limit = |it: &ChargeLimitTable| ChargeLimit { from: Celsius(it.from_c), share: it.percent / 100.0 };
    limits.iter().take(MOST_LIMITS).map(limit).collect()
}
