//! Homes with one meter for everything: what single loads draw, by the steps of their switching, and what the
//! tiers draw, by which of them were on.

#![allow(clippy::expect_used, reason = "helpers of a test fail by panicking")]

mod story;

use proptest::prelude::*;
use story::{load, settings};
use sunkeep_core::disaggregate::{Share, Shared, SharedSlot, TIERS};
use sunkeep_core::evidence::{History, Tally};
use sunkeep_core::image::{ProcessImage, Reading};
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_core::steps::MOST_SEEN;
use sunkeep_core::{Decision, State, step};
use sunkeep_models::battery::ChargeEstimator;
use sunkeep_models::history::{HISTORY_DAYS, SlotHistory};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, TimeSource, Uptime, WallTime};

const LIGHTS: usize = 0;
const TV: usize = 1;
const PUMP: usize = 2;
/// 2020-01-01, a midnight.
const START: i64 = 1_577_836_800;

/// Lights critical, a TV important, a pump convenience; none has a meter, and none draws what its plate says.
fn plates() -> Settings {
    settings(vec![
        load("lights", Tier::Critical, 40.0),
        load("tv", Tier::Important, 120.0),
        load("pump", Tier::Convenience, 400.0),
    ])
}

/// A home whose total follows from what is on.
struct Home {
    settings: Settings,
    state: State,
    image: ProcessImage,
    tally: Tally,
    history: History,
    decision: Option<Decision>,
    /// What each load draws now if it is on, W.
    draws: Vec<f64>,
    /// What else is in the total, W.
    other: f64,
    metered: Vec<usize>,
}

impl Home {
    fn new(settings: Settings, draws: Vec<f64>) -> Self {
        let image = ProcessImage::empty(Uptime::from_seconds(60), &settings);
        let state = State::new(&settings);
        let (tally, history) = (Tally::default(), History::default());
        Self {
            settings,
            state,
            image,
            tally,
            history,
            decision: None,
            draws,
            other: 0.0,
            metered: Vec::new(),
        }
    }

    /// A battery monitor reports this from now on.
    fn charge(&mut self, ratio: f64) {
        self.state.charge = ChargeEstimator::unknown();
        self.image.battery.charge = Some(Reading { value: ratio, at: self.image.now });
    }

    fn cycle(&mut self, every: f64) {
        self.image.now = self.image.now.after(Seconds(every));
        let now = self.image.now;
        let unix = START + (now.0 / 1000) as i64;
        self.image.wall = Some(WallTime { unix, source: TimeSource::Driven, uncertainty: Seconds::ZERO });
        if let Some(charge) = &mut self.image.battery.charge {
            charge.at = now;
        }
        let on = |load: usize| self.decision.as_ref().is_none_or(|decision| decision.loads[load].on);
        let drawn = |load: usize| if on(load) { self.draws[load] } else { 0.0 };
        let total = (0..self.draws.len()).map(drawn).sum::<f64>() + self.other;
        self.image.load = Some(Reading { value: total, at: now });
        for &load in &self.metered {
            self.image.loads[load].power = Some(Reading { value: drawn(load), at: now });
        }
        let (state, decision) = step(&self.settings, self.state.clone(), &self.image);
        self.state = state;
        self.tally.add(&self.settings, &self.image, &decision, &mut self.history);
        self.decision = Some(decision);
    }

    fn minutes(&mut self, minutes: usize) {
        for _ in 0..minutes * 6 {
            self.cycle(10.0);
        }
    }

    /// The pump, or the TV and the pump, go off and return one by one.
    fn shed_and_return(&mut self, charge: f64) {
        self.charge(charge);
        self.minutes(20);
        self.charge(1.0);
        self.minutes(20);
    }

    fn estimate(&self, load: usize) -> Option<[f64; 3]> {
        let draws = self.decision.as_ref().expect("a cycle has run").loads[load].draws?;
        Some([draws.low, draws.best, draws.high].map(|watts| watts.0))
    }
}

#[test]
fn what_a_pump_draws_is_learnt_from_the_steps_it_makes_in_the_total() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.charge(1.0);
    home.minutes(20);
    assert_eq!(home.estimate(PUMP), None, "it was never switched");
    home.shed_and_return(0.65);
    let [low, best, high] = home.estimate(PUMP).expect("two steps");
    assert_eq!((low, best), (310.0, 310.0));
    assert_eq!(high, 400.0, "with two steps the plate still counts");
    home.draws[PUMP] = 290.0;
    home.shed_and_return(0.65);
    let [low, best, high] = home.estimate(PUMP).expect("four steps");
    assert!(low == 290.0 && (290.0..=310.0).contains(&best) && high == 310.0, "{low} {best} {high}");
    assert_eq!(home.estimate(TV), None, "it was never switched");
    assert_eq!(home.estimate(LIGHTS), None);
}

#[test]
fn loads_that_go_together_tell_nothing_and_those_that_return_by_themselves_do() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.settings.pace.cap = 4;
    home.state = State::new(&home.settings);
    home.charge(1.0);
    home.minutes(20);
    home.charge(0.40);
    home.minutes(20);
    let on: Vec<bool> = home.decision.as_ref().expect("a cycle").loads.iter().map(|load| load.on).collect();
    assert_eq!(on, [true, false, false]);
    assert_eq!((home.estimate(TV), home.estimate(PUMP)), (None, None));
    home.charge(1.0);
    home.minutes(20);
    assert_eq!(
        home.estimate(TV).map(|[low, best, _]| [low, best]),
        Some([60.0, 90.0]),
        "one step and the plate"
    );
    assert_eq!(home.estimate(PUMP).map(|[low, ..]| low), Some(310.0));
}

#[test]
fn a_step_that_does_not_stand_out_from_the_noise_tells_nothing() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.draws[PUMP] = 30.0;
    home.charge(1.0);
    for cycle in 0..600 {
        home.other = if cycle % 2 == 0 { 0.0 } else { 200.0 };
        home.cycle(10.0);
    }
    home.charge(0.65);
    home.cycle(10.0);
    for cycle in 0..60 {
        home.other = if cycle % 2 == 0 { 0.0 } else { 200.0 };
        home.cycle(10.0);
    }
    assert!(!home.decision.as_ref().expect("a cycle").loads[PUMP].on);
    assert_eq!(home.estimate(PUMP), None);
}

#[test]
fn a_meter_of_its_own_is_believed_and_taken_off_the_total() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.metered = vec![TV];
    home.charge(1.0);
    home.minutes(20);
    home.charge(0.65);
    home.cycle(10.0);
    // The TV gets louder in the same moment: its meter tells.
    home.draws[TV] = 200.0;
    home.minutes(20);
    assert_eq!(home.estimate(TV), None, "it has a meter");
    assert_eq!(home.estimate(PUMP).map(|[low, ..]| low), Some(310.0));
}

/// Once a total of -1e300 W made a pump of infinitely many watts.
#[test]
fn a_total_that_no_home_can_have_is_no_step() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.charge(1.0);
    home.minutes(20);
    home.other = -1e300;
    home.cycle(10.0);
    home.charge(0.65);
    home.cycle(10.0);
    home.other = 0.0;
    home.minutes(20);
    assert!(!home.decision.as_ref().expect("a cycle").loads[PUMP].on);
    assert_eq!(home.estimate(PUMP), None);
    home.charge(1.0);
    home.minutes(20);
    assert_eq!(home.estimate(PUMP).map(|[low, ..]| low), Some(310.0));
}

#[test]
fn what_was_learnt_survives_a_restart_and_no_more_than_a_few_steps_are_kept() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.charge(1.0);
    home.minutes(20);
    for _ in 0..6 {
        home.shed_and_return(0.65);
    }
    let before = home.estimate(PUMP).expect("steps");
    assert_eq!(home.state.loads[PUMP].seen.len(), MOST_SEEN);
    home.state = home.state.clone().after_restart(&home.settings, None);
    home.image.now = Uptime::from_seconds(5);
    home.image.load = None;
    home.cycle(1.0);
    assert_eq!(home.estimate(PUMP), Some(before));
}

/// Watts of each tier at this hour on this day: the lights are steady, the pump comes and goes.
fn truth(day: i64, hour: i64) -> [f64; TIERS] {
    let evening = (17..23).contains(&hour);
    let swing = ((day * 7 + hour * 5) % 11) as f64 / 11.0;
    [
        if evening { 70.0 } else { 30.0 } + 4.0 * swing,
        if evening { 120.0 } else { 50.0 } + 30.0 * swing,
        if (9..15).contains(&hour) { 300.0 * swing } else { 60.0 * swing },
    ]
}

/// Days in which the pump waits every other night, and the TV too in every fourth.
fn lived(days: i64) -> Shared {
    let mut shared = Shared::default();
    for slot in 0..days * SLOTS_PER_DAY as i64 {
        let (day, hour) = (slot / SLOTS_PER_DAY as i64, slot % SLOTS_PER_DAY as i64 / 2);
        let dark = (day + i64::from(hour >= 12)) % 4;
        let on: u8 = match dark {
            0 if !(8..16).contains(&hour) => 0b001,
            2 if !(8..16).contains(&hour) => 0b011,
            _ => 0b111,
        };
        let watts = truth(day, hour);
        let total: f64 = (0..TIERS).filter(|tier| on >> tier & 1 == 1).map(|tier| watts[tier]).sum();
        shared.push(SharedSlot { slot: Slot(slot), on, watts: total as f32, metered: [Some(0.0); TIERS] });
    }
    shared
}

#[test]
fn the_total_with_the_tiers_that_were_on_tells_what_each_draws() {
    let shared = lived(28);
    let error = |learnt: &Shared| {
        let profile = learnt.learn([100.0; TIERS]);
        let (mut off, mut all, mut outside, mut count) = ([0.0; TIERS], 0.0, 0, 0);
        for (day, hour) in (0..28).flat_map(|day| (0..24).map(move |hour| (day, hour))) {
            let watts = truth(day, hour);
            let shares = profile.share(Slot(day * 48 + hour * 2), 0b111, watts.iter().sum());
            for tier in 0..TIERS {
                off[tier] += (shares[tier].best - watts[tier]).abs();
                count += 1;
                outside += i32::from(!(shares[tier].low..=shares[tier].high).contains(&watts[tier]));
            }
            all += watts.iter().sum::<f64>();
        }
        (off.iter().sum::<f64>() / all, f64::from(outside) / f64::from(count))
    };
    let (learnt, outside) = error(&shared);
    let (by_plates, _) = error(&Shared::default());
    println!("off by {learnt:.3} of the total, by plates {by_plates:.3}; {outside:.3} outside P10 to P90");
    assert!(learnt < 0.25, "{learnt}");
    assert!(by_plates > 2.0 * learnt, "{by_plates} by plates");
    assert!(outside < 0.35, "{outside} of the bounds did not hold");
}

#[test]
fn a_tier_that_is_off_has_a_demand_that_nobody_knows_and_the_others_share_the_total() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.charge(1.0);
    home.minutes(240);
    home.charge(0.65);
    home.minutes(240);
    home.charge(0.40);
    home.minutes(240);
    let first = Slot::of(START);
    let tiers = |slot: i64| home.history.tiers.each_ref().map(|tier| tier.get(first.plus(slot)));
    let sum = |slot: i64| tiers(slot).iter().flatten().sum::<f32>();
    assert!((sum(4) - 395.0).abs() < 0.1, "{:?}", tiers(4));
    assert_eq!(home.history.total.get(first.plus(4)), Some(395.0));
    assert_eq!(tiers(12)[PUMP], None, "{:?}", tiers(12));
    assert!((sum(12) - 85.0).abs() < 0.1);
    assert_eq!((tiers(20)[TV], tiers(20)[PUMP]), (None, None));
    assert_eq!(tiers(20)[LIGHTS], Some(25.0), "what is on alone is the total");
    assert_eq!(home.history.total.get(first.plus(20)), None);
    assert_eq!(tiers(8), [None; TIERS], "the pump went off within this half-hour");
    // What the night showed is known of the day before, too.
    let [lights, tv, pump] = tiers(4).map(|watts| f64::from(watts.expect("all were on")));
    assert!(
        (lights - 25.0).abs() < 10.0 && (tv - 60.0).abs() < 25.0 && (pump - 310.0).abs() < 30.0,
        "{lights} {tv} {pump}"
    );
}

#[test]
fn of_a_home_in_which_some_loads_have_meters_only_the_rest_is_shared_out() {
    let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
    home.metered = vec![TV];
    home.charge(1.0);
    home.minutes(240);
    let at = |tier: usize, slot: i64| home.history.tiers[tier].get(Slot::of(START).plus(slot));
    assert_eq!(at(TV, 4), Some(60.0));
    let others = at(LIGHTS, 4).expect("shared") + at(PUMP, 4).expect("shared");
    assert!((others - 335.0).abs() < 0.1, "{others}");
    home.metered = vec![LIGHTS, TV, PUMP];
    home.minutes(240);
    let at = |tier: usize, slot: i64| home.history.tiers[tier].get(Slot::of(START).plus(slot));
    assert_eq!([0, 1, 2].map(|tier| at(tier, 12)), [Some(25.0), Some(60.0), Some(310.0)]);
}

#[test]
fn what_is_remembered_is_bounded_and_a_clock_that_is_set_back_begins_anew() {
    let mut shared = lived(50);
    assert_eq!(shared.iter().count(), HISTORY_DAYS * SLOTS_PER_DAY);
    shared.push(SharedSlot { slot: Slot(1), on: 0b111, watts: 1.0, metered: [None; TIERS] });
    assert_eq!(shared.iter().count(), 1);
    shared.push(SharedSlot { slot: Slot(2), on: 0b111, watts: f32::NAN, metered: [None; TIERS] });
    assert_eq!(shared.iter().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Loads that draw something else each time, and a total that jumps about.
    #[test]
    fn an_estimate_stays_within_its_bounds_and_within_what_was_ever_seen(
        spans in prop::collection::vec((prop_oneof![Just(1.0), Just(0.65), Just(0.40)], 0.0..500.0_f64, 0.0..200.0_f64, 0.0..50.0_f64), 1..12),
    ) {
        let mut home = Home::new(plates(), vec![25.0, 60.0, 310.0]);
        home.charge(1.0);
        home.minutes(20);
        home.shed_and_return(0.65);
        prop_assert!(home.estimate(PUMP).is_some());
        for (charge, pump, tv, other) in spans {
            (home.draws[PUMP], home.draws[TV]) = (pump, tv);
            home.charge(charge);
            for cycle in 0..60 {
                home.other = if cycle % 3 == 0 { other } else { 0.0 };
                home.cycle(10.0);
                for load in [LIGHTS, TV, PUMP] {
                    let Some([low, best, high]) = home.estimate(load) else { continue };
                    prop_assert!(0.0 <= low && low <= best && best <= high, "{low} {best} {high}");
                    // No step is greater than all that can be in the total at once.
                    prop_assert!(high <= 25.0 + 200.0 + 500.0 + 50.0);
                    prop_assert!(home.state.loads[load].seen.len() <= MOST_SEEN);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn shares_are_within_their_bounds_never_negative_and_add_up_to_the_total(
        slots in prop::collection::vec((0..2000_i64, 1..8_u8, prop_oneof![8 => 0.0..3000.0_f32, 1 => Just(0.0)]), 0..400),
        plates in prop::array::uniform3(prop_oneof![4 => 0.0..2000.0_f64, 1 => Just(0.0)]),
        asked in prop::collection::vec((0..48_i64, 1..8_u8, prop_oneof![8 => 0.0..5000.0_f64, 1 => Just(0.0)]), 1..20),
    ) {
        let mut slots = slots;
        slots.sort_by_key(|(slot, ..)| *slot);
        let mut shared = Shared::default();
        for (slot, on, watts) in slots {
            shared.push(SharedSlot { slot: Slot(slot), on, watts, metered: [Some(0.0); TIERS] });
        }
        let profile = shared.learn(plates);
        for (slot, on, total) in asked {
            let shares = profile.share(Slot(slot), on, total);
            let sum: f64 = shares.iter().map(|share| share.best).sum();
            prop_assert!((sum - total).abs() <= 1e-6 * total.max(1.0), "{sum} of {total}: {shares:?}");
            for (tier, share) in shares.iter().enumerate() {
                prop_assert!(0.0 <= share.low && share.low <= share.best && share.best <= share.high, "{shares:?}");
                prop_assert!(share.high <= total, "{shares:?}");
                prop_assert!(on >> tier & 1 == 1 || *share == Share::default(), "{shares:?}");
            }
            prop_assert_eq!(profile.share(Slot(slot), on, total), shares);
        }
        let mut tiers: [SlotHistory; TIERS] = Default::default();
        shared.share_out(&profile, &mut tiers);
        for slot in shared.iter() {
            let sum: f32 = tiers.iter().filter_map(|tier| tier.get(slot.slot)).sum();
            prop_assert!((sum - slot.watts).abs() <= 1e-3 * slot.watts.max(1.0), "{sum} of {slot:?}");
        }
    }
}
