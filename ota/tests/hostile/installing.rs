//! F from shadow on, and G as far as it concerns what a hub may call a success or an operator may sign.

use sunkeep_ota::digest::hex;
use sunkeep_ota::install::channel::{Event, Outcome, Phase, Slot, Source};
use sunkeep_ota::json::Json;
use sunkeep_ota::reason::Reason;
use sunkeep_ota::release::Payload;
use sunkeep_ota::sign::documents::{Stamp, targets};
use sunkeep_ota::sign::ledger::Ledger;
use sunkeep_ota::store::Store;
use sunkeep_ota::time::Utc;

use crate::card::Card;
use crate::repo::{DAY, NOW, Repo, key};
use crate::storage::{content, open, release};

struct Hub {
    store: Store<Card>,
}

impl Hub {
    fn new() -> Self {
        Self { store: open(&Card::new(), &Repo::new()).unwrap().store }
    }

    fn stage(&mut self, counter: u64, payload: Payload) -> Result<(), Reason> {
        let staged = self.store.stage(&release(counter, payload), &content(counter));
        staged.map(|_| ()).map_err(|refusal| refusal.reason)
    }

    fn happens(&mut self, event: &Event) -> Result<Vec<Outcome>, Reason> {
        self.store.advance("load", event).map_err(|refusal| refusal.reason)
    }

    fn all_happen(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.happens(&event).unwrap();
        }
    }

    /// The counter of what serves; 0 for the factory's.
    fn serves(&mut self) -> u64 {
        let Some(bytes) = self.store.serve("load").unwrap().bytes else { return 0 };
        (1..20).find(|counter| content(*counter) == bytes).unwrap()
    }

    fn install(&mut self, counter: u64) {
        self.stage(counter, Payload::Model).unwrap();
        self.all_happen([Event::Checked, Event::ShadowWon, Event::Started, Event::Healthy]);
        assert_eq!(self.serves(), counter);
    }

    /// Rolled back for a reason: the champion serves, and the hash is refused from now on.
    fn rolled_back(&mut self, outcomes: &[Outcome], counter: u64, champion: u64, reason: Reason) {
        let sha256 = hex(&release(counter, Payload::Model).sha256);
        assert_eq!(outcomes, [Outcome::RolledBack { sha256, reason }]);
        assert_eq!(self.serves(), champion);
        assert_eq!(self.stage(counter, Payload::Model), Err(Reason::RefusedBefore));
        assert_eq!(self.store.state().reports[&reason].count, 1);
    }
}

#[test]
fn g01_only_what_ran_on_trial_is_confirmed() {
    let mut hub = Hub::new();
    hub.stage(7, Payload::Model).unwrap();
    assert_eq!(hub.serves(), 0);
    assert_eq!(hub.happens(&Event::Healthy), Err(Reason::OutOfOrder));
    assert_eq!(hub.happens(&Event::ShadowWon), Err(Reason::OutOfOrder));
    assert_eq!(hub.happens(&Event::Checked), Ok(vec![Outcome::Shadowing]));
    assert_eq!(hub.serves(), 0);
    assert_eq!(hub.happens(&Event::ShadowWon), Ok(vec![Outcome::OnTrial]));
    assert_eq!(hub.serves(), 7);
    // On trial, and never started.
    assert_eq!(hub.happens(&Event::Healthy), Err(Reason::OutOfOrder));
    hub.happens(&Event::Started).unwrap();
    assert_eq!(hub.happens(&Event::Healthy), Ok(vec![Outcome::Confirmed]));
    assert_eq!(hub.store.state().channel("load").phase(), Phase::Rest);
    assert_eq!(hub.serves(), 7);
}

#[test]
fn a_staged_file_that_fails_its_checks_is_not_tried_again() {
    for reason in [Reason::Golden, Reason::OnnxParse, Reason::WeightsNotFinite, Reason::BudgetRam] {
        let mut hub = Hub::new();
        hub.install(6);
        hub.stage(7, Payload::Model).unwrap();
        let outcomes = hub.happens(&Event::Refused(reason)).unwrap();
        hub.rolled_back(&outcomes, 7, 6, reason);
    }
}

#[test]
fn f16_f17_a_challenger_that_loses_in_shadow() {
    for reason in [Reason::NoSkill, Reason::ShadowWorse] {
        let mut hub = Hub::new();
        hub.install(6);
        hub.stage(7, Payload::Model).unwrap();
        hub.happens(&Event::Checked).unwrap();
        assert_eq!(hub.serves(), 6, "a challenger never acts");
        let outcomes = hub.happens(&Event::ShadowLost(reason)).unwrap();
        hub.rolled_back(&outcomes, 7, 6, reason);
    }
}

#[test]
fn f18_errors_rise_on_trial() {
    let mut hub = Hub::new();
    hub.install(6);
    hub.stage(7, Payload::Model).unwrap();
    hub.all_happen([Event::Checked, Event::ShadowWon, Event::Started]);
    assert_eq!(hub.serves(), 7);
    let outcomes = hub.happens(&Event::Failed(Reason::Probation)).unwrap();
    hub.rolled_back(&outcomes, 7, 6, Reason::Probation);
    hub.install(8);
}

#[test]
fn f19_three_deaths_before_confirmation() {
    for payload in [Payload::Model, Payload::Software, Payload::Config] {
        let mut hub = Hub::new();
        hub.install(6);
        hub.stage(7, payload).unwrap();
        hub.happens(&Event::Checked).unwrap();
        if payload == Payload::Model {
            hub.happens(&Event::ShadowWon).unwrap();
        }
        // Orderly stops are no deaths.
        for _ in 0..10 {
            hub.all_happen([Event::Started, Event::Stopped]);
        }
        for _ in 0..3 {
            assert_eq!(hub.happens(&Event::Started), Ok(Vec::new()));
            assert_eq!(hub.serves(), 7);
        }
        let outcomes = hub.happens(&Event::Started).unwrap();
        hub.rolled_back(&outcomes, 7, 6, Reason::BootLoop);
        // Starts off trial count for nothing.
        hub.all_happen([Event::Started, Event::Started, Event::Started, Event::Started]);
        assert_eq!(hub.serves(), 6);
    }
}

#[test]
fn f20_what_there_is_to_fall_back_to_is_revoked() {
    let revoke = |counter| Event::Revoke(hex(&release(counter, Payload::Model).sha256));
    let mut hub = Hub::new();
    hub.install(6);
    hub.install(7);
    // The fallback first: nothing changes; then the champion: the factory's serves.
    assert_eq!(hub.happens(&revoke(6)), Ok(Vec::new()));
    assert_eq!(hub.serves(), 7);
    assert_eq!(hub.happens(&revoke(7)), Ok(vec![Outcome::FellBackTo(Source::Factory)]));
    assert_eq!(hub.serves(), 0);
    assert_eq!(hub.stage(7, Payload::Model), Err(Reason::RefusedBefore));
    hub.install(8);
    // The champion alone: the one before serves.
    hub.install(9);
    assert_eq!(hub.happens(&revoke(9)), Ok(vec![Outcome::FellBackTo(Source::Slot(Slot::A))]));
    assert_eq!(hub.serves(), 8);
    // A candidate on trial.
    hub.stage(10, Payload::Config).unwrap();
    hub.happens(&Event::Checked).unwrap();
    assert_eq!(hub.serves(), 10);
    let sha256 = hex(&release(10, Payload::Model).sha256);
    let outcomes = vec![
        Outcome::FellBackTo(Source::Slot(Slot::A)),
        Outcome::RolledBack { sha256, reason: Reason::Revoked },
    ];
    assert_eq!(hub.happens(&revoke(10)), Ok(outcomes));
    assert_eq!(hub.serves(), 8);
}

#[test]
fn f21_what_is_signed_for_shadow_never_acts() {
    for payload in [Payload::Model, Payload::Software] {
        let mut hub = Hub::new();
        hub.install(6);
        let mut shadow = release(7, payload);
        shadow.shadow_only = true;
        hub.store.stage(&shadow, &content(7)).unwrap();
        assert_eq!(hub.happens(&Event::Checked), Ok(vec![Outcome::Shadowing]));
        assert_eq!(hub.happens(&Event::ShadowWon), Err(Reason::OutOfOrder));
        assert_eq!(hub.serves(), 6);
        assert_eq!(hub.store.read_slot("load", Slot::B).unwrap(), content(7));
    }
}

#[test]
fn a_second_candidate_waits_and_an_older_one_is_refused() {
    let mut hub = Hub::new();
    hub.stage(7, Payload::Model).unwrap();
    assert_eq!(hub.stage(8, Payload::Model), Err(Reason::Busy));
    hub.all_happen([Event::Checked, Event::ShadowWon, Event::Started, Event::Healthy]);
    // The second update deploys, and the third; the factory's is never far.
    hub.install(8);
    hub.install(9);
    assert_eq!(hub.stage(6, Payload::Model), Err(Reason::RollbackRelease));
    assert_eq!(
        hub.store.stage(&release(10, Payload::Model), b"other").unwrap_err().reason,
        Reason::ContentHash
    );
    assert_eq!(hub.serves(), 9);
}

fn to_sign(version: u64, issued: i64, expires: i64) -> Json {
    targets(
        Stamp { version, issued: Utc(issued), expires: Utc(expires) },
        std::collections::BTreeMap::new(),
        &[],
    )
}

#[test]
fn g05_g06_what_an_operator_may_not_sign() {
    let mut ledger = Ledger::default();
    let mut sign = |version, issued, days| {
        let signed = to_sign(version, issued, NOW + days * DAY);
        ledger.sign("targets", &signed, 400 * DAY, &[&key(12)]).map(|_| ()).map_err(|refusal| refusal.reason)
    };
    assert_eq!(sign(3, NOW, 100), Ok(()));
    assert_eq!(sign(3, NOW, 100), Ok(()), "the very same again");
    assert_eq!(sign(3, NOW + 1, 100), Err(Reason::SameVersion));
    assert_eq!(sign(2, NOW, 100), Err(Reason::SameVersion));
    assert_eq!(sign(4, NOW, 99), Err(Reason::ExpiryRange));
    assert_eq!(sign(4, NOW, 401), Err(Reason::ExpiryRange));
    assert_eq!(sign(4, NOW + 200 * DAY, 150), Err(Reason::ExpiryRange));
    assert_eq!(sign(4, NOW, 101), Ok(()));
}
