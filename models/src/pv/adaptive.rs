//! The PV forecast of one site as it learns: experts on the clear-sky index, weighed by what they were
//! worth here, in a band that holds what it promises.
//!
//! It works as the load forecast does ([`crate::adaptation`]): at [`ISSUES`] times of the local day it asks
//! again what it would have said a day before and two, compares that with the daylight that followed, and learns.
//! The past itself is in the history; the state is weights and the width of the band, and never grows.

use serde::{Deserialize, Serialize};

use super::experts::{EXPERTS, Issue, NAMES, PERSISTENCE, PRIOR_WEIGHTS};
use super::place::Daylight;
use super::sky::Sky;
use super::weather::Weather;
use super::{DAY, PvForecaster};
use crate::adaptation::UnsoundAdaptation;
use crate::adaptation::aggregation::{Aggregation, Three, mixture};
use crate::adaptation::conformal::Conformal;
use crate::adaptation::schedule::{self, Due, slot_of_day};
use crate::adaptation::skill::Skill;
use crate::forecast::{Forecast, ForecastError, Forecaster};
use crate::history::SlotHistory;
use crate::sun::{Location, PvArray};
use crate::time::{HORIZON, SLOTS_PER_DAY, Slot, Zone};

/// Name under which it appears in logs and tables.
pub const NAME: &str = "adaptive PV";
/// Times of the day at which it learns, evenly spread from local midnight; each has a state of its own,
/// which serves the issues up to the next.
pub const ISSUES: usize = 4;

/// Slots from one time of the day to the next.
const SPACING: usize = SLOTS_PER_DAY / ISSUES;

/// What was learnt of the sun of a site. Bounded: 1.5 kB for each of [`ISSUES`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PvAdaptation {
    /// The first slot that is not yet learnt from.
    learnt_until: Option<Slot>,
    banks: Vec<Bank>,
    skill: Skill,
    daylight: Daylight,
}

/// What was learnt from the issues of one time of the day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bank {
    /// Whom to believe: learnt from the first day of the horizon, used for both.
    aggregation: Aggregation,
    /// How wide the band must be on the first and on the second day.
    conformal: [Conformal; HORIZON / SLOTS_PER_DAY],
}

impl Bank {
    fn new() -> Self {
        let conformal = [Conformal::default(), Conformal::default()];
        Self { aggregation: Aggregation::of(EXPERTS), conformal }
    }

    fn is_sound(&self) -> bool {
        self.aggregation.is_sound(EXPERTS) && self.conformal.iter().all(Conformal::is_sound)
    }

    /// What the experts say together of each slot, uncorrected, with its slot of the day.
    fn mixed(&self, asked: &Asked) -> Vec<(usize, Three)> {
        let weights = self.aggregation.weights(&PRIOR_WEIGHTS);
        let said = asked.slots.iter().zip(&asked.issue.said);
        said.map(|(slot, said)| (*slot, mixture(&weights, said))).collect()
    }
}

impl Default for PvAdaptation {
    fn default() -> Self {
        Self {
            learnt_until: None,
            banks: (0..ISSUES).map(|_| Bank::new()).collect(),
            skill: Skill::default(),
            daylight: Daylight::default(),
        }
    }
}

impl PvAdaptation {
    /// Checks what a file said before it is used.
    pub fn checked(self) -> Result<Self, UnsoundAdaptation> {
        let sound = self.banks.len() == ISSUES && self.skill.is_sound() && self.daylight.is_sound();
        let banks = self.banks.iter().all(Bank::is_sound);
        if sound && banks { Ok(self) } else { Err(UnsoundAdaptation) }
    }

    /// The first slot that is not yet learnt from.
    pub fn learnt_until(&self) -> Option<Slot> {
        self.learnt_until
    }
}

/// The forecaster of the sun of one site, and what was learnt of it.
#[derive(Debug, Clone)]
pub struct AdaptivePv {
    array: Option<PvArray>,
    state: PvAdaptation,
}

/// The experts' answers with the slot of the local day of each.
struct Asked {
    issue: Issue,
    slots: Vec<usize>,
}

impl AdaptivePv {
    /// Goes on with what was learnt before ([`PvAdaptation::default`] on a new site). The array is given
    /// where its location is known (else it is found); peak power, tilt and azimuth may be wrong.
    pub fn new(array: Option<PvArray>, state: PvAdaptation) -> Self {
        Self { array, state }
    }

    /// What was learnt, for storing.
    pub fn state(&self) -> &PvAdaptation {
        &self.state
    }

    /// Goes on with what was learnt before.
    pub fn restore(&mut self, state: PvAdaptation) {
        self.state = state;
    }

    /// Skill against persistence on this site, in daylight: one less the pinball loss over that of
    /// persistence, over the last weeks; `None` before some days were compared.
    pub fn skill(&self) -> Option<f64> {
        self.state.skill.ratio()
    }

    /// The experts with their weights for the median, for issues of the local slot of the day `slot`.
    pub fn weights(&self, slot: usize) -> Vec<(&'static str, f64)> {
        let weights = self.bank(slot).aggregation.weights(&PRIOR_WEIGHTS);
        NAMES.into_iter().zip(weights).map(|(name, weight)| (name, weight[1])).collect()
    }

    /// Where the array seems to stand by its daylight, good to fifteen degrees: what is used where nobody told.
    /// `None` before some bright days were seen.
    pub fn place(&self) -> Option<Location> {
        self.state.daylight.place()
    }

    /// The forecaster of the likely index, for the array that was told, or else found.
    fn likely(&self, history: &SlotHistory, issued: Slot) -> PvForecaster {
        let array = self.array.or_else(|| self.state.daylight.array(history, issued));
        PvForecaster { array }
    }

    fn bank(&self, slot: usize) -> &Bank {
        &self.state.banks[(slot / SPACING).min(ISSUES - 1)]
    }

    /// Learns all that the history tells before `now` and that was not learnt yet. To be called with each
    /// slot, or with the whole history after a restart: the state is the same. At most the slots of a
    /// history are walked through.
    pub fn learn(&mut self, history: &SlotHistory, now: Slot, zone: &Zone) {
        self.learn_with(history, &Weather::default(), now, zone);
    }

    /// As [`AdaptivePv::learn`], and what weather forecasts were worth.
    pub fn learn_with(&mut self, history: &SlotHistory, weather: &Weather, now: Slot, zone: &Zone) {
        let (days, until) = schedule::due(history, self.state.learnt_until, now, zone, ISSUES);
        for Due { day, place } in days {
            self.learn_from(history, weather, day, zone, place);
            if place == 0 {
                self.state.daylight.learn(history, day);
            }
        }
        self.state.learnt_until = Some(until);
    }

    /// Learns from a day, in the bank of this place, what was right of the issue at its beginning and of the one
    /// a day earlier.
    fn learn_from(&mut self, history: &SlotHistory, weather: &Weather, day: Slot, zone: &Zone, place: usize) {
        let truths = |asked: &Asked, first: usize| -> Vec<Option<f32>> {
            let measured = |lead: usize| {
                let watts =
                    history.get(day.plus((lead - first) as i64)).filter(|_| asked.issue.daylight[lead])?;
                Some((f64::from(watts) / asked.issue.most) as f32)
            };
            (first..asked.issue.said.len()).map(measured).collect()
        };
        let earlier = self.ask(history, weather, day.plus(-DAY), zone, HORIZON);
        let asked = self.ask(history, weather, day, zone, SLOTS_PER_DAY);
        let bank = &mut self.state.banks[place];
        if let Some(earlier) = earlier {
            let mixed = bank.mixed(&earlier);
            bank.conformal[1].learn(&mixed[SLOTS_PER_DAY..], &truths(&earlier, SLOTS_PER_DAY));
        }
        let Some(asked) = asked else { return };
        let (mixed, truths) = (bank.mixed(&asked), truths(&asked, 0));
        let said = &asked.issue.said;
        let compared: Vec<(Three, Three)> = mixed
            .iter()
            .zip(said)
            .map(|((slot, mixed), said)| (bank.conformal[0].correct(*slot, mixed), said[PERSISTENCE]))
            .collect();
        self.state.skill.learn(&compared, &truths);
        bank.conformal[0].learn(&mixed, &truths);
        bank.aggregation.learn(&PRIOR_WEIGHTS, said, &truths);
    }

    /// Asks the experts of the first slots of an issue; `None` where nothing is known of the sun yet.
    fn ask(
        &self,
        history: &SlotHistory,
        weather: &Weather,
        issued: Slot,
        zone: &Zone,
        leads: usize,
    ) -> Option<Asked> {
        let likely = self.likely(history, issued);
        let sky = Sky::before(likely.array.as_ref(), history, issued)?;
        let issue = Issue::of(&sky, weather, &likely.forecast(history, issued, zone).ok()?, leads);
        let slots = (0..leads as i64).map(|lead| slot_of_day(issued.plus(lead), zone)).collect();
        Some(Asked { issue, slots })
    }

    /// As [`Forecaster::forecast`], with the weather forecasts that are known: those issued later than the
    /// beginning of `issued` are not used.
    pub fn forecast_with(
        &self,
        history: &SlotHistory,
        weather: &Weather,
        issued: Slot,
        zone: &Zone,
    ) -> Result<Forecast, ForecastError> {
        let Some(asked) = self.ask(history, weather, issued, zone, HORIZON) else {
            return self.likely(history, issued).forecast(history, issued, zone);
        };
        let bank = self.bank(slot_of_day(issued, zone));
        let mut quantiles = [const { Vec::new() }; 3];
        for (lead, (slot, mixed)) in bank.mixed(&asked).into_iter().enumerate() {
            let conformal = &bank.conformal[lead / SLOTS_PER_DAY];
            let three = if asked.issue.daylight[lead] { conformal.correct(slot, &mixed) } else { mixed };
            for (into, part) in quantiles.iter_mut().zip(three) {
                into.push((f64::from(part) * asked.issue.most) as f32);
            }
        }
        Forecast::checked(NAME, issued, quantiles)
    }
}

impl Forecaster for AdaptivePv {
    fn name(&self) -> &'static str {
        NAME
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        self.forecast_with(history, &Weather::default(), issued, zone)
    }
}
