//! The desired document: what became of it, which one holds, and the way back. Pure: told the time, and whether the broker and
//! the hub are well.
//!
//! ```text
//!            fits                        well, and the broker has the report
//!   heard ----------> on trial ------------------------------------------------> applied
//!     |                  |
//!     +--> refused       +--> reverted (a new fault, no broker, or two starts): what held before holds again
//! ```
//!
//! A document whose broker was lost is tried again, [`MOST_TRIES`] times in all; for everything else a new version is needed.

use serde::{Deserialize, Serialize};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;
use sunkeep_models::wire::down::{Desired, Reason, Reported, Set};

/// A document is on trial at least so long.
const TRIAL: Seconds = Seconds(600.0);
/// So long at the most the broker may be out of reach after it.
const BROKER_WITHIN: Seconds = Seconds(1800.0);
/// Starts of the hub during a trial that end it.
const MOST_STARTS: u8 = 2;
/// How often a document is tried.
const MOST_TRIES: u8 = 3;

/// What is known of desired documents; outlives a start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Twin {
    looked_at: Option<LookedAt>,
    /// What holds beside the file.
    in_force: Option<Held>,
    /// What comes back when a trial fails.
    before: Option<Held>,
}

/// A document that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    version: u64,
    pub(super) set: Set,
}

/// The document that was looked at last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LookedAt {
    version: u64,
    state: Outcome,
    reasons: Vec<Reason>,
    /// How often it was tried.
    tries: u8,
    /// Starts of the hub since it is on trial.
    starts: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Outcome {
    Trial,
    Applied,
    Refused,
    Reverted,
    /// Taken back because the broker was out of reach: it may be tried again.
    Lost,
}

/// What a cycle knows that a trial is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Health {
    /// Faults of the hub that were not there when the trial began.
    pub(super) new_faults: bool,
    /// Whether the broker has the report that was made when the trial began.
    pub(super) broker_has_it: bool,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// Only what is to be reported.
    Report,
    /// What holds, too.
    Settings,
}

impl Twin {
    /// What holds beside the file.
    pub(super) fn set(&self) -> Set {
        self.in_force.as_ref().map(|held| held.set.clone()).unwrap_or_default()
    }

    /// Whether a document is on trial.
    pub(super) fn on_trial(&self) -> bool {
        self.looked_at.as_ref().is_some_and(|last| last.state == Outcome::Trial)
    }

    /// Whether a document is worth looking at: it is newer than the last, or the last once more after its broker was lost.
    pub(super) fn wants(&self, desired: &Desired) -> bool {
        self.looked_at.as_ref().is_none_or(|last| {
            let again = last.state == Outcome::Lost && last.tries < MOST_TRIES;
            desired.version > last.version || (desired.version == last.version && again)
        })
    }

    /// Takes a document that fits, on trial.
    pub(super) fn begin(&mut self, desired: Desired) {
        let version = desired.version;
        // A trial that is overtaken by the next document is not what there is to go back to.
        if !self.on_trial() {
            self.before = self.in_force.take();
        }
        let last = self.looked_at.take().filter(|last| last.version == version);
        let tries = last.map_or(0, |last| last.tries) + 1;
        self.in_force = Some(Held { version, set: desired.set });
        self.looked_at =
            Some(LookedAt { version, state: Outcome::Trial, reasons: Vec::new(), tries, starts: 0 });
    }

    /// Refuses a document.
    pub(super) fn refuse(&mut self, version: u64, reasons: Vec<Reason>) {
        self.looked_at = Some(LookedAt { version, state: Outcome::Refused, reasons, tries: 0, starts: 0 });
    }

    /// Judges a trial.
    pub(super) fn judge(&mut self, lasted: Seconds, health: Health) -> Turn {
        if !self.on_trial() {
            return Turn::None;
        }
        let Health { new_faults, broker_has_it } = health;
        if new_faults {
            self.revert(Outcome::Reverted, "the hub was not well with it")
        } else if broker_has_it && lasted >= TRIAL {
            if let Some(last) = &mut self.looked_at {
                last.state = Outcome::Applied;
            }
            self.before = None;
            Turn::Report
        } else if !broker_has_it && lasted >= BROKER_WITHIN {
            self.revert(Outcome::Lost, "the broker could not be reached with it")
        } else {
            Turn::None
        }
    }

    /// A start of the hub.
    pub(super) fn started(&mut self) -> Turn {
        if !self.on_trial() {
            return Turn::None;
        }
        let starts = self.looked_at.as_mut().map_or(0, |last| {
            last.starts = last.starts.saturating_add(1);
            last.starts
        });
        if starts < MOST_STARTS {
            return Turn::Report;
        }
        self.revert(Outcome::Reverted, "the hub was started anew again and again with it")
    }

    /// What holds does not fit any more, for the home's file has changed: the file alone holds.
    pub(super) fn drop_all(&mut self, reasons: Vec<Reason>) {
        let version = self.in_force.take().map_or(0, |held| held.version);
        self.before = None;
        self.refuse(version, reasons);
    }

    /// What there is to report.
    pub(super) fn report(&self, software: &str) -> Reported {
        let mut report = Reported::none(software);
        if let Some(last) = &self.looked_at {
            report.version = last.version;
            report.state = match last.state {
                Outcome::Trial => "trial",
                Outcome::Applied => "applied",
                Outcome::Refused => "refused",
                Outcome::Reverted | Outcome::Lost => "reverted",
            }
            .into();
            report.reasons.clone_from(&last.reasons);
        }
        if let Some(held) = &self.in_force {
            (report.in_force, report.set) = (held.version, held.set.clone());
        }
        report
    }

    fn revert(&mut self, state: Outcome, why: &str) -> Turn {
        self.in_force = self.before.take();
        if let Some(last) = &mut self.looked_at {
            last.state = state;
            last.reasons = vec![Reason { key: None, why: why.into() }];
        }
        Turn::Settings
    }
}

/// When a trial began, in this run of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) since: Uptime,
    /// Number of the report that was made then.
    pub(super) report: u64,
    /// Faults of the hub then.
    pub(super) faults: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sunkeep_models::wire::down::Setting;

    use super::*;

    const WELL: Health = Health { new_faults: false, broker_has_it: true };
    const ALONE: Health = Health { new_faults: false, broker_has_it: false };

    fn desired(version: u64) -> Desired {
        let minutes = Setting::Number(version as f64);
        Desired::new(version, BTreeMap::from([("uplink.telemetry_minutes".to_owned(), minutes)]))
    }

    fn tried(version: u64) -> Twin {
        let mut twin = Twin::default();
        twin.begin(desired(version));
        twin
    }

    fn state(twin: &Twin) -> (String, u64, u64) {
        let report = twin.report("0");
        (report.state, report.version, report.in_force)
    }

    #[test]
    fn a_document_that_does_well_is_applied() {
        let mut twin = tried(5);
        assert_eq!(twin.judge(Seconds(599.0), WELL), Turn::None);
        assert_eq!(state(&twin), ("trial".into(), 5, 5));
        assert_eq!(twin.judge(Seconds(600.0), WELL), Turn::Report);
        assert_eq!(state(&twin), ("applied".into(), 5, 5));
        assert!(!twin.wants(&desired(5)) && !twin.wants(&desired(4)) && twin.wants(&desired(6)));
    }

    #[test]
    fn what_held_comes_back_when_the_hub_is_not_well() {
        let mut twin = tried(5);
        twin.judge(Seconds(600.0), WELL);
        twin.begin(desired(6));
        assert_eq!(twin.judge(Seconds(1.0), Health { new_faults: true, ..WELL }), Turn::Settings);
        assert_eq!(state(&twin), ("reverted".into(), 6, 5));
        assert!(!twin.wants(&desired(6)), "it is not tried again");
    }

    #[test]
    fn a_lost_broker_reverts_and_the_document_has_three_tries() {
        let mut twin = Twin::default();
        for _ in 0..3 {
            assert!(twin.wants(&desired(5)));
            twin.begin(desired(5));
            assert_eq!(twin.judge(Seconds(1799.0), ALONE), Turn::None);
            assert_eq!(twin.judge(Seconds(1800.0), ALONE), Turn::Settings);
            assert_eq!(state(&twin), ("reverted".into(), 5, 0));
        }
        assert!(!twin.wants(&desired(5)));
    }

    #[test]
    fn a_hub_that_keeps_dying_goes_back() {
        let mut twin = tried(5);
        assert_eq!(twin.started(), Turn::Report);
        assert_eq!(twin.started(), Turn::Settings);
        assert_eq!(state(&twin), ("reverted".into(), 5, 0));
        assert_eq!(twin.started(), Turn::None);
    }

    #[test]
    fn a_trial_that_is_overtaken_is_not_gone_back_to() {
        let mut twin = tried(5);
        twin.judge(Seconds(600.0), WELL);
        twin.begin(desired(6));
        twin.begin(desired(7));
        twin.judge(Seconds(1.0), Health { new_faults: true, ..WELL });
        assert_eq!(state(&twin), ("reverted".into(), 7, 5));
        let mut first = tried(5);
        first.begin(desired(6));
        first.judge(Seconds(1.0), Health { new_faults: true, ..WELL });
        assert_eq!(state(&first), ("reverted".into(), 6, 0), "before the first there was the file");
    }
}
