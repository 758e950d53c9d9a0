//! What was learnt from the issues of one time of the day: how to ask the experts, what to make of what they say,
//! and what to learn from what came of it. When that happens is the business of the forecaster.

use serde::{Deserialize, Serialize};

use super::aggregation::{Aggregation, Three, mixture, pinball};
use super::conformal::Conformal;
use super::experts::{EXPERTS, Issue, LEARNING, PROFILE_PLACES};
use super::left_out::LeftOut;
use super::regression::Regression;
use super::trust::{Losses, Trust};
use crate::history::SlotHistory;
use crate::onnx::OnnxForecaster;
use crate::time::{HORIZON, SLOTS_PER_DAY, Slot, Zone};

/// Days of the horizon.
const DAYS: usize = HORIZON / SLOTS_PER_DAY;

/// What was learnt from the issues of one time of the day. Its size never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bank {
    regressions: [Regression; 2],
    /// Whom to believe: learnt from the first day of the horizon, used for both.
    aggregation: Aggregation,
    /// How wide the band must be on the first and on the second day.
    conformal: [Conformal; DAYS],
    trust: Trust,
}

impl Default for Bank {
    fn default() -> Self {
        Self {
            regressions: [Regression::default(), Regression::default()],
            aggregation: Aggregation::of(EXPERTS),
            conformal: [Conformal::default(), Conformal::default()],
            trust: Trust::of(EXPERTS),
        }
    }
}

impl Bank {
    /// Asks all experts that have not lost their skill; `None` where too little was measured for any.
    pub(super) fn ask(
        &self,
        model: Option<&OnnxForecaster>,
        left_out: &LeftOut,
        history: &SlotHistory,
        issued: Slot,
        zone: &Zone,
    ) -> Option<Issue> {
        let believed = self.trust.believes_model();
        let mut issue = Issue::of(model, believed, &self.regressions, left_out, history, issued, zone)?;
        issue.asleep = self.asleep(left_out);
        Some(issue)
    }

    /// Weights of the experts before what they were worth is known.
    fn prior(&self, left_out: &LeftOut) -> [f64; EXPERTS] {
        left_out.prior_weights(self.regressions[0].issues())
    }

    /// Weights of the experts after it is known.
    fn learnt_weights(&self, left_out: &LeftOut) -> Vec<[f64; 3]> {
        let prior = self.prior(left_out);
        if left_out.weighing {
            return prior.map(|weight| [weight; 3]).to_vec();
        }
        self.aggregation.weights(&prior)
    }

    /// Which experts have lost their skill; none where an ablation leaves no other.
    fn asleep(&self, left_out: &LeftOut) -> Vec<bool> {
        let asleep = self.trust.asleep(PROFILE_PLACES);
        let prior = self.prior(left_out);
        let awake = prior.iter().zip(&asleep).any(|(weight, asleep)| *weight > 0.0 && !asleep);
        if awake { asleep } else { vec![false; EXPERTS] }
    }

    /// What the experts that are awake say together of each slot of an issue, uncorrected, with its slot of the
    /// day.
    fn mixed(&self, issue: &Issue) -> Vec<(usize, Three)> {
        let weights = self.learnt_weights(&issue.left_out);
        issue.slots.iter().zip(issue.awake()).map(|(slot, said)| (*slot, mixture(&weights, &said))).collect()
    }

    /// The corrected quantiles of each slot of an issue, over the level.
    pub(super) fn say(&self, issue: &Issue) -> Vec<Three> {
        let mixed = self.mixed(issue);
        let days = mixed.chunks(SLOTS_PER_DAY).zip(&self.conformal);
        days.flat_map(|(mixed, conformal)| mixed.iter().map(|(slot, mixed)| conformal.correct(*slot, mixed)))
            .collect()
    }

    /// Learns from the second day of an issue how wide the band must be.
    pub(super) fn learn_second_day(&mut self, issue: &Issue, truths: &[Option<f32>]) {
        let mixed = self.mixed(issue);
        if !issue.left_out.conformal {
            self.conformal[1].learn(&mixed[SLOTS_PER_DAY..], truths);
        }
    }

    /// Learns from the first day of an issue who has lost his skill.
    pub(super) fn judge(&mut self, issue: &Issue, truths: &[Option<f32>], has_model: bool) {
        let mixed = self.mixed(issue);
        let known = || truths.iter().enumerate().filter_map(|(lead, truth)| Some((lead, (*truth)?)));
        let loss = |said: &dyn Fn(usize) -> Three| -> f64 {
            known().map(|(lead, truth)| f64::from(pinball(&said(lead), truth))).sum()
        };
        let usual = loss(&|lead| issue.usual[lead]);
        self.trust.learn(&Losses {
            experts: (0..EXPERTS).map(|expert| loss(&|lead| issue.said[lead][expert])).collect(),
            whole: loss(&|lead| mixed[lead].1),
            model: [if has_model { loss(&|lead| issue.model[lead]) } else { usual }, usual],
            slots: known().count(),
        });
    }

    /// Whether the fleet's model is believed; else the site's profiles stand in for it.
    pub(super) fn believes_model(&self) -> bool {
        self.trust.believes_model()
    }

    /// Whether others would be asked now than were at this issue.
    pub(super) fn asks_otherwise(&self, issue: &Issue) -> bool {
        issue.believed != self.trust.believes_model() || issue.asleep != self.asleep(&issue.left_out)
    }

    /// Learns from the first day of an issue how to forecast.
    pub(super) fn learn_first_day(&mut self, issue: &Issue, truths: &[Option<f32>]) {
        let mixed = self.mixed(issue);
        if !issue.left_out.conformal {
            self.conformal[0].learn(&mixed[..SLOTS_PER_DAY], truths);
        }
        let prior = self.prior(&issue.left_out);
        self.aggregation.learn(&prior, &issue.awake()[..SLOTS_PER_DAY], truths);
        for (place, regression) in self.regressions.iter_mut().enumerate() {
            regression.learn(&issue.samples(place, truths), &LEARNING[place]);
        }
    }

    /// Weights of the experts on the first day, for each quantile; those left out have none.
    pub(super) fn weights(&self, left_out: &LeftOut) -> Vec<[f64; 3]> {
        let mut weights = self.learnt_weights(left_out);
        let asleep = self.asleep(left_out);
        for quantile in 0..3 {
            for (weight, asleep) in weights.iter_mut().zip(&asleep) {
                weight[quantile] *= f64::from(u8::from(!asleep));
            }
            let sum: f64 = weights.iter().map(|weight| weight[quantile]).sum();
            for weight in &mut weights {
                weight[quantile] /= sum.max(f64::MIN_POSITIVE);
            }
        }
        weights
    }

    /// Whether this holds numbers only and has the right size.
    pub(super) fn is_sound(&self) -> bool {
        self.regressions.iter().all(Regression::is_sound)
            && self.aggregation.is_sound(EXPERTS)
            && self.conformal.iter().all(Conformal::is_sound)
            && self.trust.is_sound(EXPERTS)
    }
}
