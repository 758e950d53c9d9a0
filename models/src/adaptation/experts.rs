//! The experts of a load forecast: the fleet's model, two regressions that learn this site, and profiles.
//!
//! Here is what they are asked, and with what inputs; how a regression learns and how experts are weighed
//! is said elsewhere. Everything is over the level of the site.

use super::aggregation::{ASLEEP, Three};
use super::left_out::LeftOut;
use super::profiles::{NAMES as PROFILE_NAMES, PERSISTENCE, PROFILES, Profiles};
use super::regression::{INPUTS, Learning, PRIOR_INPUTS, Regression, Sample};
use crate::day_grid::DayGrid;
use crate::history::SlotHistory;
use crate::load_features::{LoadRows, WIDTH, load_rows};
use crate::onnx::OnnxForecaster;
use crate::time::{HORIZON, SLOTS_PER_DAY, Slot, Zone};

/// Experts there are.
pub(super) const EXPERTS: usize = 3 + PROFILES;
/// Place of the fleet's model.
pub(super) const MODEL: usize = 0;
/// Places of the profiles.
pub(super) const PROFILE_PLACES: core::ops::Range<usize> = EXPERTS - PROFILES..EXPERTS;

/// Weight of each before anything was learnt, on a site that has been lived in for [`GROWN`] issues: most for
/// those that know the most.
const PRIOR_WEIGHTS: [f64; EXPERTS] = [0.19, 0.29, 0.28, 0.04, 0.04, 0.04, 0.03, 0.02, 0.02, 0.05];
/// The same at its first issue. The regressions repeat the fleet's model then, which may know other homes only.
const YOUNG_WEIGHTS: [f64; EXPERTS] = [0.16, 0.13, 0.13, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01, 0.48];
/// Issues after which a site is no longer young.
const GROWN: f64 = 14.0;

/// Weight of each expert before what it was worth is known, after so many issues.
pub(super) fn prior_weights(issues: u32) -> [f64; EXPERTS] {
    let grown = (f64::from(issues) / GROWN).min(1.0);
    core::array::from_fn(|expert| YOUNG_WEIGHTS[expert] * (1.0 - grown) + PRIOR_WEIGHTS[expert] * grown)
}

/// The regression on the inputs as they are forgets half in five weeks; that on the square roots of what
/// is a power, which spreads the small ones, in twenty.
pub(super) const LEARNING: [Learning; 2] = [
    Learning { kept: 0.98, ridge: 3.0, least_residual: [0.008, 0.02, 0.008] },
    Learning { kept: 0.995, ridge: 3.0, least_residual: [0.004, 0.02, 0.004] },
];

/// Largest answer of an expert, over the level.
const LARGEST: f32 = 50.0;

/// Energy of two days by the fleet's model over that by the site's profiles, or the other way round, beyond which it
/// is not believed.
const PLAUSIBLE: f32 = 3.0;

/// Columns of a row that a regression learns from: all but the slot of the day, what only tells leads
/// apart, and what stood in for a measurement.
const LEARNT: [core::ops::Range<usize>; 2] = [1..32, 34..36];
/// Columns that are a power over the level.
const POWERS: [core::ops::Range<usize>; 2] = [1..9, 10..16];

/// Names of the experts, in their order.
pub(super) fn names() -> [&'static str; EXPERTS] {
    let mut names = [""; EXPERTS];
    names[..3].copy_from_slice(&["fleet model", "site, as it is", "site, roots"]);
    names[3..].copy_from_slice(&PROFILE_NAMES);
    names
}

/// What the experts were asked and said at one issue.
pub(super) struct Issue {
    /// Level of the site, W.
    pub(super) level: f32,
    /// Slot of the day of each slot of the horizon.
    pub(super) slots: Vec<usize>,
    /// Inputs of the regressions, by regression.
    inputs: [Vec<[f32; INPUTS]>; 2],
    /// By slot of the horizon, then by expert.
    pub(super) said: Vec<Vec<Three>>,
    /// By slot of the horizon: what the site's profiles say, which stand in for the fleet's model.
    pub(super) usual: Vec<Three>,
    /// By slot of the horizon: what the fleet's model says, believed or not; `usual` where there is none.
    pub(super) model: Vec<Three>,
    /// By slot of the horizon: what persistence says.
    pub(super) persistence: Vec<Three>,
    /// By expert: whether it is left out.
    pub(super) asleep: Vec<bool>,
    /// Whether the fleet's model is believed.
    pub(super) believed: bool,
    /// What an ablation leaves out.
    pub(super) left_out: LeftOut,
}

impl Issue {
    /// Asks all experts; `None` where too little was measured for any. A model that is not believed is only
    /// noted: the profiles of the site stand in for it.
    pub(super) fn of(
        model: Option<&OnnxForecaster>,
        believed: bool,
        regressions: &[Regression; 2],
        left_out: &LeftOut,
        history: &SlotHistory,
        issued: Slot,
        zone: &Zone,
    ) -> Option<Self> {
        let rows = load_rows(history, issued, zone)?;
        let answers = model_answers(model, &rows);
        let grid = DayGrid::before(history, issued, zone);
        let profiles = Profiles::of(&grid, rows.level);
        let believed = believed && is_plausible(&answers, &rows);
        let mut issue = Self::empty(rows.level, believed, left_out.clone());
        for (lead, (row, model)) in rows.values.chunks_exact(WIDTH).zip(&answers).enumerate() {
            let target = zone.local(issued.plus(lead as i64).start());
            let slot = target.slot_of_day();
            let usual = profile_answer(row);
            let answer = if believed { model } else { &usual };
            let plain = inputs_of(&left_out.blanked(row), answer);
            let roots = rooted(plain);
            let site = regressions[0].answer(slot, &plain);
            let site_roots = regressions[1].answer(slot, &roots).map(|root| root.max(0.0) * root.max(0.0));
            let mut said = vec![*answer, site, site_roots];
            said.extend(profiles.say(target, &usual));
            for (three, is) in said.iter_mut().zip(0..) {
                *three = bounded(three, if is == MODEL { &usual } else { answer });
            }
            issue.slots.push(slot);
            issue.usual.push(usual);
            issue.model.push(*model);
            issue.persistence.push(said[PROFILE_PLACES.start + PERSISTENCE]);
            issue.inputs[0].push(plain);
            issue.inputs[1].push(roots);
            issue.said.push(said);
        }
        Some(issue)
    }

    fn empty(level: f32, believed: bool, left_out: LeftOut) -> Self {
        Self {
            level,
            slots: Vec::new(),
            inputs: [Vec::new(), Vec::new()],
            said: Vec::new(),
            usual: Vec::new(),
            model: Vec::new(),
            persistence: Vec::new(),
            asleep: vec![false; EXPERTS],
            believed,
            left_out,
        }
    }

    /// What the experts say that are not left out: the others sleep.
    pub(super) fn awake(&self) -> Vec<Vec<Three>> {
        let said = |said: &Vec<Three>| {
            said.iter().zip(&self.asleep).map(|(said, asleep)| if *asleep { ASLEEP } else { *said }).collect()
        };
        self.said.iter().map(said).collect()
    }

    /// What a regression learns of the first day of the issue, with what was measured over the level.
    pub(super) fn samples(&self, regression: usize, truths: &[Option<f32>]) -> Vec<Sample> {
        let first_day = self.slots.iter().zip(&self.inputs[regression]).take(SLOTS_PER_DAY);
        first_day
            .zip(truths)
            .map(|((slot, inputs), truth)| Sample {
                slot: *slot,
                inputs: *inputs,
                target: truth.map(|truth| if regression == 0 { truth } else { truth.max(0.0).sqrt() }),
            })
            .collect()
    }
}

/// What the fleet's model answers; the profiles of the row where there is no model, or it fails.
fn model_answers(model: Option<&OnnxForecaster>, rows: &LoadRows) -> Vec<Three> {
    let usual = || rows.values.chunks_exact(WIDTH).map(profile_answer).collect::<Vec<_>>();
    let answers = model.and_then(|model| model.answer(&rows.values).ok());
    let answers = answers.filter(|answers| answers.len() == HORIZON).unwrap_or_else(usual);
    answers
        .iter()
        .zip(rows.values.chunks_exact(WIDTH))
        .map(|(answer, row)| bounded(answer, &profile_answer(row)))
        .collect()
}

/// Whether a model's answers have an energy that can be: within [`PLAUSIBLE`] of that of the site's profiles.
fn is_plausible(answers: &[Three], rows: &LoadRows) -> bool {
    let usual: f32 = rows.values.chunks_exact(WIDTH).map(|row| profile_answer(row)[1]).sum();
    let model: f32 = answers.iter().map(|answer| answer[1]).sum();
    model <= PLAUSIBLE * usual && usual <= PLAUSIBLE * model
}

/// The answer that needs no fit: the mean of four profiles between the quantiles of 28 days.
fn profile_answer(row: &[f32]) -> Three {
    let middle = (row[1] + row[2] + row[3] + row[15]) / 4.0;
    [row[6].min(middle), middle, row[8].max(middle)]
}

/// In order, not negative, not absurd; `otherwise` where something is no number.
fn bounded(said: &Three, otherwise: &Three) -> Three {
    if !said.iter().all(|value| value.is_finite()) {
        return *otherwise;
    }
    let mut three = said.map(|value| value.clamp(0.0, LARGEST));
    three.sort_by(f32::total_cmp);
    three
}

fn inputs_of(row: &[f32], answer: &Three) -> [f32; INPUTS] {
    let mut inputs = [1.0; INPUTS];
    let columns = LEARNT.into_iter().flatten();
    for (input, column) in inputs.iter_mut().zip(columns) {
        *input = row[column];
    }
    inputs[PRIOR_INPUTS..PRIOR_INPUTS + 3].copy_from_slice(answer);
    inputs
}

/// The inputs with the square roots of those that are a power. Columns 1 to 31 are inputs 0 to 30.
fn rooted(mut inputs: [f32; INPUTS]) -> [f32; INPUTS] {
    let answers = PRIOR_INPUTS..PRIOR_INPUTS + 3;
    for place in POWERS.into_iter().flatten().map(|column| column - 1).chain(answers) {
        inputs[place] = inputs[place].max(0.0).sqrt();
    }
    inputs
}
