//! The load forecast of one site: experts, weighed by what they were worth here, in a band that holds what
//! it promises.
//!
//! A hub tells it each slot that the history has grown. At [`ISSUES`] times of the local day it asks again
//! what it would have said a day before, compares that with the day that followed, and learns: the
//! regressions their weights, the aggregation whom to believe, the conformal correction how wide the band
//! must be. What it knew a day before is what it knows now, for that day was not yet learnt; so nothing of
//! the future is used, nothing pending has to be kept, and the same history gives the same state whether
//! it was lived through or replayed after a restart. The state can be stored and its size never changes.

pub mod aggregation;
mod bank;
mod cold_start;
pub mod conformal;
mod experts;
mod left_out;
mod profiles;
pub mod regression;
pub(crate) mod schedule;
pub mod skill;
mod trust;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::aggregation::Three;
use self::bank::Bank;
use self::experts::Issue;
pub use self::left_out::{LeftOut, expert_names};
use self::schedule::{Due, slot_of_day};
use self::skill::Skill;
use crate::baseline::{Persistence, SameSlotProfile};
use crate::forecast::{Forecast, ForecastError, Forecaster};
use crate::history::SlotHistory;
use crate::onnx::OnnxForecaster;
use crate::time::{SLOTS_PER_DAY, Slot, Zone};

/// Name under which it appears in logs and tables.
pub const NAME: &str = "adaptive";
/// Times of the day at which it learns, evenly spread from local midnight; each has a state of its own,
/// which serves the issues up to the next.
pub const ISSUES: usize = 2;

/// Slots from one time of the day to the next.
const SPACING: usize = SLOTS_PER_DAY / ISSUES;

/// What was learnt of a site. Bounded: 226 kB for each of [`ISSUES`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptation {
    /// The first slot that is not yet learnt from.
    learnt_until: Option<Slot>,
    banks: Vec<Bank>,
    skill: Skill,
}

/// A stored state that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored adaptation of a site has another size, or holds values that are no numbers")]
pub struct UnsoundAdaptation;

impl Default for Adaptation {
    fn default() -> Self {
        let banks = (0..ISSUES).map(|_| Bank::default()).collect();
        Self { learnt_until: None, banks, skill: Skill::default() }
    }
}

impl Adaptation {
    /// Checks what a file said before it is used.
    pub fn checked(self) -> Result<Self, UnsoundAdaptation> {
        let sound = self.banks.len() == ISSUES && self.skill.is_sound();
        if sound && self.banks.iter().all(Bank::is_sound) { Ok(self) } else { Err(UnsoundAdaptation) }
    }

    /// The first slot that is not yet learnt from.
    pub fn learnt_until(&self) -> Option<Slot> {
        self.learnt_until
    }
}

/// The forecaster of one series of one site: the fleet's model and what was learnt beside it.
#[derive(Debug, Clone)]
pub struct AdaptiveForecaster {
    model: Option<Arc<OnnxForecaster>>,
    state: Adaptation,
    left_out: LeftOut,
}

impl AdaptiveForecaster {
    /// Goes on with what was learnt before ([`Adaptation::default`] on a new site). Without a model the
    /// site's own profiles stand in for it.
    pub fn new(model: Option<Arc<OnnxForecaster>>, state: Adaptation) -> Self {
        Self { model, state, left_out: LeftOut::default() }
    }

    /// The same with parts left out, for an ablation.
    #[must_use]
    pub fn leaving_out(self, left_out: LeftOut) -> Self {
        Self { left_out, ..self }
    }

    /// What was learnt, for storing.
    pub fn state(&self) -> &Adaptation {
        &self.state
    }

    /// Goes on with what was learnt before.
    pub fn restore(&mut self, state: Adaptation) {
        self.state = state;
    }

    /// Skill against persistence on this site: one less the pinball loss over that of persistence, over
    /// the last weeks; `None` before three days were compared.
    pub fn skill(&self) -> Option<f64> {
        self.state.skill.ratio()
    }

    /// The experts with their weights for the median, for issues of the local slot of the day `slot`.
    pub fn weights(&self, slot: usize) -> Vec<(&'static str, f64)> {
        let bank = &self.state.banks[(slot / SPACING).min(ISSUES - 1)];
        let mut names = experts::names();
        if !bank.believes_model() {
            names[experts::MODEL] = "profiles in place of the model";
        }
        names.into_iter().zip(bank.weights(&self.left_out)).map(|(name, weight)| (name, weight[1])).collect()
    }

    /// The forecast, and the name of the method that made it: [`NAME`], or that of the baseline that stands
    /// in where too little was measured for the experts.
    pub fn forecast_by(
        &self,
        history: &SlotHistory,
        issued: Slot,
        zone: &Zone,
    ) -> Result<(Forecast, &'static str), ForecastError> {
        let bank = &self.state.banks[slot_of_day(issued, zone) / SPACING];
        let Some(issue) = self.issue(history, issued, zone, bank) else {
            return SameSlotProfile
                .forecast(history, issued, zone)
                .map(|forecast| (forecast, "same-slot profile"))
                .or_else(|_| Ok((Persistence.forecast(history, issued, zone)?, "persistence")));
        };
        let said = bank.say(&issue);
        let watts = |quantile: usize| said.iter().map(|three| three[quantile] * issue.level).collect();
        Ok((Forecast::checked(NAME, issued, [watts(0), watts(1), watts(2)])?, NAME))
    }

    /// Whether the fleet's model is among the experts.
    pub fn has_model(&self) -> bool {
        self.model.is_some()
    }

    /// Learns all that the history tells before `now` and that was not learnt yet. To be called with each
    /// slot, or with the whole history after a restart: the state is the same. At most the slots of a
    /// history are walked through.
    pub fn learn(&mut self, history: &SlotHistory, now: Slot, zone: &Zone) {
        let (days, until) = schedule::due(history, self.state.learnt_until, now, zone, ISSUES);
        for Due { day, place } in days {
            self.learn_from(history, day, zone, place);
        }
        self.state.learnt_until = Some(until);
    }

    /// Learns from a day, in the bank of this place, what was right of the issue at its beginning and of the one a
    /// day earlier.
    fn learn_from(&mut self, history: &SlotHistory, day: Slot, zone: &Zone, place: usize) {
        let bank = &self.state.banks[place];
        let truths = |level: f32| -> Vec<Option<f32>> {
            (0..SLOTS_PER_DAY as i64)
                .map(|lead| history.get(day.plus(lead)).map(|watts| watts / level))
                .collect()
        };
        // The second day first: what is learnt from the first day was not known two days before.
        let earlier = self.issue(history, day.plus(-(SLOTS_PER_DAY as i64)), zone, bank);
        let issue = self.issue(history, day, zone, bank);
        let bank = &mut self.state.banks[place];
        if let Some(earlier) = earlier {
            bank.learn_second_day(&earlier, &truths(earlier.level));
        }
        let Some(issue) = issue else { return };
        let truths = truths(issue.level);
        let said = bank.say(&issue);
        let compared: Vec<(Three, Three)> =
            said.into_iter().take(SLOTS_PER_DAY).zip(issue.persistence.iter().copied()).collect();
        self.state.skill.learn(&compared, &truths);
        bank.judge(&issue, &truths, self.model.is_some());
        // What is learnt from the day is learnt from those who may still be asked after it, lest a model that
        // went wrong leaves its answers in the regressions.
        let bank = &self.state.banks[place];
        let again = bank.asks_otherwise(&issue).then(|| self.issue(history, day, zone, bank)).flatten();
        self.state.banks[place].learn_first_day(&again.unwrap_or(issue), &truths);
    }

    /// Asks the experts; on a young site with the typical day of the fleet before its own first.
    fn issue(&self, history: &SlotHistory, issued: Slot, zone: &Zone, bank: &Bank) -> Option<Issue> {
        let model = self.model.as_deref();
        let typical = model.map_or(&[][..], |model| &model.contract().typical_day);
        let completed = cold_start::completed(history, issued, zone, typical);
        bank.ask(model, &self.left_out, completed.as_ref().unwrap_or(history), issued, zone)
    }
}

impl Forecaster for AdaptiveForecaster {
    fn name(&self) -> &str {
        NAME
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        self.forecast_by(history, issued, zone).map(|(forecast, _)| forecast)
    }
}
