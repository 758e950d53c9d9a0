//! What holds in every cycle, whatever the devices say: arbitrary readings, ages, plans and requests.

mod story;

use proptest::prelude::*;
use story::{load, settings};
use sunkeep_core::image::{ProcessImage, Reading, Request};
use sunkeep_core::planner::{ChoiceCosts, PlannedSlot};
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_core::steps::MOST_SEEN;
use sunkeep_core::{Plan, State, step};
use sunkeep_models::quantity::{Seconds, StateOfCharge, Watts};
use sunkeep_models::time::{Slot, Uptime};

fn home() -> Settings {
    let mut modem = load("modem", Tier::Background, 5.0);
    modem.powers_hub = true;
    let mut settings = settings(vec![
        load("lights", Tier::Critical, 20.0),
        load("tv", Tier::Important, 80.0),
        load("pump", Tier::Convenience, 200.0),
        load("iron", Tier::Convenience, 900.0),
        modem,
    ]);
    settings.protection.overload = Some(Watts(1000.0));
    settings
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -5.0..60.0_f64, 2 => 0.0..2000.0_f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-1e300)]
}

/// One cycle's worth of surprises: seconds since the last, readings (value and age), a wish, a plan's level.
type Surprise = (u64, Vec<Option<(f64, u64)>>, Option<(u16, bool)>, Option<f64>);

fn surprise() -> impl Strategy<Value = Surprise> {
    (
        prop_oneof![4 => 1..30_u64, 1 => Just(0), 1 => 1000..200_000_u64],
        prop::collection::vec(prop::option::of((value(), 0..120_u64)), 17),
        prop::option::weighted(0.1, (0..7_u16, any::<bool>())),
        prop::option::of(0.0..1.0_f64),
    )
}

fn image(settings: &Settings, now: Uptime, (_, readings, wish, level): &Surprise) -> ProcessImage {
    let mut image = ProcessImage::empty(now, settings);
    for (place, reading) in image.readings_mut().zip(readings) {
        *place = reading.map(|(value, age)| Reading { value, at: Uptime(now.0.saturating_sub(age * 1000)) });
    }
    image.requests =
        wish.map(|(load, keep)| {
            if keep { Request::KeepOn { load, span: Seconds(600.0) } } else { Request::Release { load } }
        })
        .into_iter()
        .collect();
    image.plan = level.map(|level| {
        let keep = Some(StateOfCharge::clamped(level));
        let slot = PlannedSlot {
            keep: [None, keep, keep, keep],
            restore: [None, keep, keep, keep],
            back: [None; 4],
        };
        Plan {
            issued: Slot(1000),
            made: now,
            into_slot: Seconds(100.0),
            settings: settings.digest(),
            costs: ChoiceCosts { by_tiers_served: [4.0, 3.0, 2.0, 1.0] },
            slots: vec![slot; 3],
        }
    });
    image
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_cycle_keeps_its_promises(surprises in prop::collection::vec(surprise(), 1..80)) {
        let settings = home();
        let mut state = State::new(&settings);
        let mut now = Uptime::from_seconds(10);
        for (cycle, surprise) in surprises.iter().enumerate() {
            now = now.after(Seconds(surprise.0 as f64));
            let image = image(&settings, now, surprise);
            let before = state.clone();
            let (after, decision) = step(&settings, state, &image);

            let bounds = decision.charge;
            prop_assert!(bounds.low <= bounds.best && bounds.best <= bounds.high, "{bounds:?}");
            prop_assert!(decision.loads[4].on, "what powers the hub was switched off");
            if cycle == 0 {
                let restores = decision.changes.iter().filter(|change| change.on).count();
                prop_assert_eq!(restores, 0, "start-up pulsed a relay");
            }
            for (load, memory) in decision.loads.iter().zip(&after.loads) {
                prop_assert!(memory.seen.len() <= MOST_SEEN);
                if let Some(draws) = load.draws {
                    let ordered = Watts(0.0) <= draws.low && draws.low <= draws.best && draws.best <= draws.high;
                    prop_assert!(ordered && draws.high.0.is_finite(), "{draws:?}");
                }
            }
            let restores = decision.changes.iter().filter(|change| change.on).count();
            prop_assert!(restores <= 1, "{} loads returned in one cycle", restores);
            let planned = decision.changes.iter().filter(|change| change.because.word() == "reserve held").count();
            prop_assert!(planned <= settings.pace.cap);
            for change in &decision.changes {
                let number = usize::from(change.load);
                let since = now.since(before.loads[number].since);
                if change.on {
                    prop_assert!(since >= settings.loads[number].min_off, "returned after {since}");
                    prop_assert!(!after.low.tripped || settings.loads[number].tier == Tier::Critical);
                    prop_assert!(!after.empty.tripped);
                } else if change.because.word() == "reserve held" {
                    prop_assert!(since >= settings.loads[number].min_on, "shed after {since}");
                    prop_assert!(settings.loads[number].tier != Tier::Critical);
                }
            }
            if after.empty.tripped {
                prop_assert!(decision.loads[..4].iter().all(|load| !load.on));
            }
            if after.low.tripped {
                prop_assert!(decision.loads[1..4].iter().all(|load| !load.on));
            }
            let again = step(&settings, before, &image);
            prop_assert_eq!(&again.1, &decision);
            state = after;
        }
    }

    /// A state that survived a restart holds nothing of the earlier boot's time.
    #[test]
    fn a_restart_forgets_times_and_keeps_order(surprises in prop::collection::vec(surprise(), 1..20), off in prop::option::of(0.0..1e6_f64)) {
        let settings = home();
        let mut state = State::new(&settings);
        let mut now = Uptime::from_seconds(10);
        for surprise in &surprises {
            now = now.after(Seconds(surprise.0 as f64));
            state = step(&settings, state, &image(&settings, now, surprise)).0;
        }
        let before = state.charge.bounds();
        let again = state.after_restart(&settings, off.map(Seconds));
        prop_assert!(again.charge.bounds().low <= before.low && again.charge.bounds().high >= before.high);
        prop_assert!(again.loads.iter().all(|load| load.on.is_none() && load.pinned_until.is_none()));
        let first = step(&settings, again, &ProcessImage::empty(Uptime::from_seconds(1), &settings));
        prop_assert!(first.1.changes.iter().all(|change| !change.on));
    }
}
