//! Figures, their budgets, and how they are shown.

use serde::Serialize;

/// What DESIGN allows and hopes for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Budget {
    limit: f64,
    goal: f64,
    /// Whether more is better.
    at_least: bool,
}

impl Budget {
    /// A figure that may not be larger.
    pub(crate) const fn at_most(limit: f64, goal: f64) -> Self {
        Self { limit, goal, at_least: false }
    }

    /// A figure that may not be smaller.
    pub(crate) const fn at_least(limit: f64, goal: f64) -> Self {
        Self { limit, goal, at_least: true }
    }

    fn judge(self, value: f64) -> &'static str {
        let meets = |bound: f64| if self.at_least { value >= bound } else { value <= bound };
        match (meets(self.goal), meets(self.limit)) {
            (true, _) => "meets the goal",
            (false, true) => "within budget",
            (false, false) => "OVER BUDGET",
        }
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// What programs know it by, unique in its stage.
    name: &'static str,
    /// What it is.
    what: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
}

/// The figures of a stage.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds a figure.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) {
        self.0.push(Figure { name, what: what.into(), value, unit, budget: None });
    }

    /// Adds a figure that has a budget.
    pub(crate) fn add_within(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        budget: Budget,
    ) {
        self.0.push(Figure { name, what: what.into(), value, unit, budget: Some(budget) });
    }

    pub(crate) fn into_vec(self) -> Vec<Figure> {
        self.0
    }
}

/// What became of a stage.
#[derive(Debug, Serialize)]
struct Measured {
    stage: String,
    figures: Vec<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<&'static str>,
}

/// Where it was measured: absolute times are worth nothing without.
#[derive(Debug, Serialize)]
struct Machine {
    processor: String,
    processors: usize,
    /// Mean number of processes that wanted a processor in the last minute, before and after.
    load_before: f64,
    load_after: f64,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    stages: Vec<Measured>,
}

impl Report {
    pub(crate) fn begin() -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let machine = Machine {
            processor: model.map_or_else(|| std::env::consts::ARCH.into(), |(_, model)| model.into()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load(),
            load_after: 0.0,
        };
        Self { machine, stages: Vec::new() }
    }

    pub(crate) fn add(&mut self, stage: String, figures: anyhow::Result<Vec<Figure>>) {
        let (figures, failed) = match figures {
            Ok(figures) => (figures, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        self.stages.push(Measured { stage, figures, failed, left_out: None });
    }

    /// Notes a stage that this machine need not be able to run.
    pub(crate) fn leave_out(&mut self, stage: String, why: &'static str) {
        self.stages.push(Measured { stage, figures: Vec::new(), failed: None, left_out: Some(why) });
    }

    pub(crate) fn end(&mut self) {
        self.machine.load_after = load();
    }

    /// Whether every stage ran.
    pub(crate) fn is_complete(&self) -> bool {
        self.stages.iter().all(|stage| stage.failed.is_none())
    }

    pub(crate) fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "{}, {} processors, load {} before and {} after\n",
            machine.processor, machine.processors, machine.load_before, machine.load_after
        );
        for stage in &self.stages {
            text += &format!("\n{}\n", stage.stage);
            if let Some(why) = &stage.failed {
                text += &format!("  COULD NOT RUN: {why}\n");
            }
            if let Some(why) = stage.left_out {
                text += &format!("  left out: {why}\n");
            }
            for figure in &stage.figures {
                text += &format!("  {:<66}{:>9} {:<9}", figure.what, number(figure.value), figure.unit);
                if let Some(budget) = figure.budget {
                    let judged = budget.judge(figure.value);
                    text += &format!(
                        " {} (budget {}, goal {})",
                        judged,
                        number(budget.limit),
                        number(budget.goal)
                    );
                }
                text.truncate(text.trim_end().len());
                text.push('\n');
            }
        }
        text
    }
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|minute| minute.parse().ok()).unwrap_or(f64::NAN)
}

/// Three digits that count, as a person writes them.
fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 4) };
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Quantiles of a handful of values.
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which this share of all lies (nearest rank); NaN of nothing.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1).min(self.0.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let spread = Spread::of((1..=200).rev().map(f64::from));
        assert_eq!(spread.median(), 100.0);
        assert_eq!(spread.quantile(0.95), 190.0);
        assert_eq!(spread.quantile(0.99), 198.0);
        assert_eq!(spread.quantile(1.0), 200.0);
        assert_eq!(Spread::of([7.0]).quantile(0.01), 7.0);
        assert!(Spread::of([]).median().is_nan());
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(number(0.012_345), "0.0123");
        assert_eq!(number(12.345), "12.3");
        assert_eq!(number(12.0), "12");
        assert_eq!(number(1_234_567.0), "1234567");
        assert_eq!(number(0.0), "0");
    }

    #[test]
    fn budgets_are_read_the_right_way_round() {
        let small = Budget::at_most(24.0, 16.0);
        assert_eq!(
            [12.0, 20.0, 30.0].map(|value| small.judge(value)),
            ["meets the goal", "within budget", "OVER BUDGET"]
        );
        let fast = Budget::at_least(1.0, 10.0);
        assert_eq!(
            [12.0, 2.0, 0.5].map(|value| fast.judge(value)),
            ["meets the goal", "within budget", "OVER BUDGET"]
        );
    }

    #[test]
    fn a_stage_that_could_not_run_is_named_and_the_run_is_not_complete() {
        let mut report = Report::begin();
        let mut figures = Figures::default();
        figures.add_within("rss", "resident", 12.0, "MB", Budget::at_most(24.0, 16.0));
        report.add("good".into(), Ok(figures.into_vec()));
        assert!(report.is_complete());
        report.add("bad".into(), Err(anyhow::anyhow!("the hub said nothing")));
        assert!(!report.is_complete());
        assert!(report.table().contains("COULD NOT RUN: the hub said nothing"));
        assert!(report.table().contains("meets the goal"));
    }
}
