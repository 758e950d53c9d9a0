//! What a model card shows beside the figures: the loss of the models themselves by lead and by slot of the
//! day on the held-back days, and what each feature weighs. Computed by asking the exported files.

use indicatif::ProgressBar;
use sunkeep_models::adaptation::aggregation::pinball;
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::forecast::ForecastError;
use sunkeep_models::load_features::{COLUMNS, WIDTH};
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{HORIZON, SLOTS_PER_DAY};

use super::Rivals;
use crate::backtest::{Set, first_scored};
use crate::table::{SlotRows, stride, table};

/// Issues looked at, of all sites together, at most.
const MOST_ISSUES: usize = 4000;
/// Slots of lead that share a point of the curve: four hours.
const LEADS: usize = 8;

/// What a card shows of two models: first the champion, then the challenger.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Rows asked.
    pub rows: usize,
    /// Mean pinball loss over the level, by four hours of lead.
    pub by_lead: [Vec<f64>; 2],
    /// By slot of the local day.
    pub by_slot: [Vec<f64>; 2],
    /// Features of the challenger by what they move: the size of their weight on P50 times their spread, in the
    /// mean over the slots of the day; the heaviest first.
    pub features: Vec<(&'static str, f64)>,
}

/// A sum and a count for each point of a curve.
type Curve = Vec<[f64; 2]>;

impl Evidence {
    /// Asks both models about the rows of the held-back days.
    pub fn gather(rivals: &Rivals, sets: &[Set], progress: &ProgressBar) -> Result<Self, super::GateError> {
        let first = first_scored(sets)?;
        let series: Vec<_> = sets
            .iter()
            .flat_map(|set| set.series.iter().map(move |series| (&set.zone, series.slots())))
            .collect();
        let total: usize = series.iter().map(|(_, series)| series.values.len()).sum();
        progress.set_length(total as u64);
        progress.set_message("card");
        let mut rows = vec![SlotRows::default(); SLOTS_PER_DAY];
        for (zone, series) in &series {
            let made = table(series, zone, stride(total, MOST_ISSUES), progress);
            for (into, slot) in rows.iter_mut().zip(&made.by_slot) {
                slot.copy_from(first, into);
            }
        }
        let [champion, challenger] = [&rivals.champion, &rivals.challenger].map(|model| curves(model, &rows));
        let ((lead_a, slot_a), (lead_b, slot_b)) = (champion?, challenger?);
        Ok(Self {
            rows: rows.iter().map(|rows| rows.targets.len()).sum(),
            by_lead: [means(&lead_a), means(&lead_b)],
            by_slot: [means(&slot_a), means(&slot_b)],
            features: features(&rivals.challenger, &rows)?,
        })
    }
}

fn means(curve: &Curve) -> Vec<f64> {
    curve.iter().map(|[sum, count]| sum / count.max(1.0)).collect()
}

/// The losses of a model by lead and by slot of the day.
fn curves(model: &OnnxForecaster, rows: &[SlotRows]) -> Result<(Curve, Curve), ForecastError> {
    let lead_column = COLUMNS.iter().position(|name| *name == "lead").unwrap_or(0);
    let mut by_lead = vec![[0.0; 2]; HORIZON / LEADS];
    let mut by_slot = vec![[0.0; 2]; SLOTS_PER_DAY];
    for (slot, rows) in rows.iter().enumerate() {
        let answers = answers(model, &rows.features)?;
        for ((row, said), truth) in rows.features.chunks_exact(WIDTH).zip(answers).zip(&rows.targets) {
            let mut said = said.map(|value| value.max(0.0));
            said.sort_by(f32::total_cmp);
            let loss = f64::from(pinball(&said, *truth));
            let lead = (row[lead_column] * HORIZON as f32).round() as usize;
            for point in [&mut by_lead[(lead / LEADS).min(HORIZON / LEADS - 1)], &mut by_slot[slot]] {
                point[0] += loss;
                point[1] += 1.0;
            }
        }
    }
    Ok((by_lead, by_slot))
}

/// The answers to any number of rows.
fn answers(model: &OnnxForecaster, rows: &[f32]) -> Result<Vec<[f32; QUANTILES.len()]>, ForecastError> {
    let mut all = Vec::with_capacity(rows.len() / WIDTH);
    for batch in rows.chunks(HORIZON * WIDTH) {
        let mut padded = batch.to_vec();
        padded.resize(HORIZON * WIDTH, 0.0);
        all.extend(model.answer(&padded)?.into_iter().take(batch.len() / WIDTH));
    }
    Ok(all)
}

/// What each feature moves: found by asking the file, which is linear for each slot of the day.
fn features(model: &OnnxForecaster, rows: &[SlotRows]) -> Result<Vec<(&'static str, f64)>, ForecastError> {
    let mut moved = [0.0; WIDTH];
    for (slot, rows) in rows.iter().enumerate() {
        // A row of zeros, then one with a one in each column.
        let mut probes = vec![0.0; WIDTH * WIDTH];
        for place in 0..WIDTH {
            probes[place * WIDTH] = slot as f32;
            if place > 0 {
                probes[place * WIDTH + place] = 1.0;
            }
        }
        let said = answers(model, &probes)?;
        for column in 1..WIDTH {
            let values = rows.features.iter().skip(column).step_by(WIDTH).map(|value| f64::from(*value));
            let weight = f64::from(said[column][1] - said[0][1]);
            moved[column] += weight.abs() * spread(values) / SLOTS_PER_DAY as f64;
        }
    }
    let mut features: Vec<(&str, f64)> = COLUMNS.into_iter().zip(moved).skip(1).collect();
    features.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(features)
}

/// Standard deviation.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    let mean = sum / f64::max(count, 1.0);
    (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt()
}
