//! Care of the battery: when the floor rises and falls, whom it holds back, what the plan makes of it, and
//! what a cold battery is not counted on to take.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod lived;
mod story;

use lived::{MIDNIGHT, lived};
use proptest::prelude::*;
use story::{Story, load, settings};
use sunkeep_core::State;
use sunkeep_core::care::{Care, CareState, Needs, needs};
use sunkeep_core::decision::Because;
use sunkeep_core::image::ProcessImage;
use sunkeep_core::planner::{Outlook, PlanInput, plan};
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_models::battery::{BatterySpec, ChargeBounds, Chemistry};
use sunkeep_models::quantity::{AmpHours, Celsius, Seconds, StateOfCharge, Watts};
use sunkeep_models::time::Uptime;

const LIGHTS: usize = 0;
const PUMP: usize = 1;
const TV: usize = 2;
const DAY: f64 = 86_400.0;

fn percent(value: f64) -> StateOfCharge {
    StateOfCharge::clamped(value / 100.0)
}

fn exactly(charge: f64) -> ChargeBounds {
    ChargeBounds { low: percent(charge), best: percent(charge), high: percent(charge) }
}

/// A home with a battery of this chemistry and the care that is usual for it; without a plan the reserve rule
/// would hold nothing back above 45 %.
fn home(chemistry: Chemistry) -> Settings {
    let mut home = settings(vec![
        load("lights", Tier::Critical, 40.0),
        load("pump", Tier::Important, 60.0),
        load("tv", Tier::Convenience, 80.0),
    ]);
    let cells = if chemistry.is_lead_acid() { 6 } else { 4 };
    home.battery = BatterySpec::new(chemistry, AmpHours(200.0), cells);
    home.care = Care::usual(chemistry);
    home.reserve.convenience = percent(45.0);
    home
}

fn story(chemistry: Chemistry) -> Story {
    let mut story = Story::new(home(chemistry).loads);
    story.settings = home(chemistry);
    story.state = State::new(&story.settings);
    story
}

/// Days at this charge, a cycle every ten seconds.
fn days(story: Story, days: u64, charge: f64) -> Story {
    let mut story = story.charge(charge / 100.0);
    story.for_minutes(days * 24 * 60);
    story
}

#[test]
fn what_can_wait_is_held_back_until_a_lead_acid_battery_has_been_full() {
    // 62 % full, and for sure more than 52 %.
    let mut story = days(story(Chemistry::LeadAcidSealed), 9, 62.0);
    assert_eq!(story.on(), [true, true, true], "the floor lies at 52 % or below");
    story.for_minutes(2 * 24 * 60);
    assert_eq!(story.on(), [true, true, false], "after eleven days it does not");
    let because = story.decision().loads[TV].because;
    let Because::NotFull { left, keep, since_full } = because else { panic!("{because:?}") };
    assert_eq!(left.to_string(), "52 %", "{because:?}");
    assert!(keep > left && (9.0..12.0).contains(&(since_full.0 / DAY)), "{because:?}");
    let needs = story.decision().needs;
    assert!(needs.floors[Tier::Convenience.place()].is_some() && needs.since_full.is_some(), "{needs:?}");
    assert_eq!(needs.takes, None, "it is neither cold nor hot");

    let mut story = story.charge(0.98);
    story.for_minutes(60);
    assert_eq!(
        story.decision().needs.since_full.map(|since| since.0 > 11.0 * DAY),
        Some(true),
        "98 % is not full"
    );
    let mut story = story.charge(1.0);
    story.for_minutes(120);
    assert_eq!(story.on(), [true; 3], "full: everything returns");
    assert_eq!(story.decision().needs.floors, [None; 4]);
    let story = days(story, 3, 62.0);
    assert_eq!(story.on(), [true; 3], "and the count begins anew");
}

#[test]
fn the_emptier_the_battery_was_the_sooner_the_floor_rises() {
    let risen = |charge: f64| {
        let mut care = CareState::default();
        let mut hours = 0;
        loop {
            care.advance(Seconds(3600.0), exactly(charge), false);
            hours += 1;
            let mut state = State::new(&home(Chemistry::LeadAcidFlooded));
            state.care = care;
            let image = ProcessImage::empty(Uptime(0), &home(Chemistry::LeadAcidFlooded));
            if needs(&home(Chemistry::LeadAcidFlooded), &state, &image, exactly(charge)).since_full.is_some()
            {
                return hours;
            }
            assert!(hours < 10_000);
        }
    };
    assert_eq!([risen(75.0), risen(50.0), risen(25.0)], [6 * 24 + 1, 3 * 24 + 1, 2 * 24 + 1]);
}

#[test]
fn an_lfp_battery_may_stay_half_empty() {
    let story = days(story(Chemistry::Lfp), 30, 62.0);
    assert_eq!(story.on(), [true; 3]);
    assert_eq!(story.decision().needs, Needs::default());
}

#[test]
fn a_battery_that_nobody_measures_is_not_spared_for_ever() {
    let story = days(story(Chemistry::LeadAcidSealed), 14, 62.0);
    assert!(story.decision().needs.since_full.is_some());
    let mut story = story.battery_silent();
    story.for_minutes(24 * 60);
    assert!(story.decision().charge.width() > 0.5);
    let needs = story.decision().needs;
    assert_eq!((needs.floors, needs.full_hour), ([None; 4], 0.0), "nobody could tell that it became full");
}

#[test]
fn a_restart_remembers_and_counts_the_time_it_took() {
    let story = days(story(Chemistry::LeadAcidSealed), 10, 62.0);
    let before = story.state.care;
    let after = story.state.clone().after_restart(&story.settings, Some(Seconds(2.0 * DAY)));
    assert!((after.care.since_full.0 - before.since_full.0 - 2.0 * DAY).abs() < 1.0, "{:?}", after.care);
    let mut other = story.settings.clone();
    other.reserve.hysteresis = 0.06;
    let after = story.state.clone().after_restart(&other, Some(Seconds(60.0)));
    assert!(after.care.since_full.0 > 9.9 * DAY, "other settings are no new battery: {:?}", after.care);
}

/// At 08:00, after days with this sun, W.
fn outlook(settings: &Settings, sun: f32, charge: f64, needs: Needs) -> Outlook {
    outlook_after(settings, &[sun; 20], charge, needs)
}

fn outlook_after(settings: &Settings, sun: &[f32], charge: f64, needs: Needs) -> Outlook {
    let history = lived(sun, 16, [40.0, 60.0, 80.0]);
    let input = PlanInput {
        issued: MIDNIGHT.plus(16),
        now: Uptime::from_seconds(5000),
        into_slot: Seconds(0.0),
        charge: exactly(charge),
        forecasts: None,
        history: &history,
        sun_now: None,
        needs,
    };
    plan(settings, &input).expect("a plan")
}

#[test]
fn a_plan_knows_the_floor_it_will_be_held_to() {
    let settings = home(Chemistry::LeadAcidSealed);
    let floors = [None, Some(percent(40.0)), Some(percent(80.0)), Some(percent(80.0))];
    let needs = Needs { floors, since_full: Some(Seconds(9.0 * DAY)), ..Needs::default() };
    let (free, held) =
        (outlook(&settings, 500.0, 50.0, Needs::default()), outlook(&settings, 500.0, 50.0, needs));
    for slot in 0..free.keep.len() {
        let level =
            |outlook: &Outlook, tier: Tier| outlook.keep[slot][tier.place()].map(StateOfCharge::ratio);
        assert!(level(&held, Tier::Convenience) >= Some(0.80), "slot {slot}");
        assert!(level(&held, Tier::Important) >= Some(0.40), "slot {slot}");
        let critical = [&held, &free].map(|outlook| level(outlook, Tier::Critical).unwrap_or_default());
        assert!((critical[0] - critical[1]).abs() < 0.005, "slot {slot}: not for the battery, {critical:?}");
    }
    // At 10:00 the TV is off for the battery's sake, and what it would draw is charged.
    let ten = 4;
    println!("{} without, {} with a floor", free.expected[ten], held.expected[ten]);
    assert!(held.expected[ten].ratio() > free.expected[ten].ratio() + 0.03);
    let back = held.plan.slots[0].restore[Tier::Convenience.place()].expect("a level");
    assert!(back.ratio() >= 0.85 - 1e-9, "it returns a hysteresis above: {back}");
}

/// Where dark days come among bright ones: since the TV will be off for the battery's sake, less needs to be held back from the pump.
#[test]
fn a_plan_spends_on_others_what_the_battery_keeps_from_the_tv() {
    let settings = home(Chemistry::LeadAcidSealed);
    let floors = [None, None, Some(percent(95.0)), Some(percent(95.0))];
    let needs = Needs { floors, since_full: Some(Seconds(9.0 * DAY)), ..Needs::default() };
    let important = |needs: Needs| -> f64 {
        let weeks: Vec<f32> = [450.0, 450.0, 450.0, 40.0, 40.0, 450.0, 450.0].repeat(4);
        let outlook = outlook_after(&settings, &weeks, 50.0, needs);
        let level =
            |keep: &[Option<StateOfCharge>; 4]| keep[Tier::Important.place()].expect("a level").ratio();
        outlook.keep.iter().map(level).sum::<f64>() / outlook.keep.len() as f64
    };
    let (free, held) = (important(Needs::default()), important(needs));
    println!("the pump is kept above {free:.3} without, above {held:.3} with a floor for the TV");
    assert!(held < free - 2e-4, "{held} {free}");
}

#[test]
fn a_plan_counts_on_no_charge_that_a_cold_battery_refuses() {
    let settings = home(Chemistry::Lfp);
    let state = State::new(&settings);
    let at = |celsius: f64| {
        let story = Story::new(settings.loads.clone()).temperature(celsius);
        needs(&settings, &state, &story.image, exactly(50.0))
    };
    assert_eq!(at(5.0).takes, None);
    assert_eq!(at(-2.0).takes, Some((Watts(0.0), Celsius(-2.0))));
    assert_eq!(at(46.0).takes, Some((Watts(0.0), Celsius(46.0))));

    let (warm, cold) = (outlook(&settings, 500.0, 30.0, at(5.0)), outlook(&settings, 500.0, 30.0, at(-2.0)));
    println!(
        "in five hours {} warm, {} cold: {:?}",
        warm.expected[10],
        cold.expected[10],
        &cold.expected[10..18]
    );
    assert!(warm.expected[10].ratio() > 0.5 && cold.expected[10].ratio() <= 0.30 + 1e-9);
    assert!(
        cold.expected[16].ratio() > cold.expected[11].ratio(),
        "by the afternoon it is taken to be warmer"
    );
    let keep = |celsius: f64| {
        let outlook = outlook(&settings, 300.0, 30.0, at(celsius));
        outlook.keep[4][Tier::Convenience.place()].expect("a level").ratio()
    };
    assert!(
        keep(-2.0) < keep(5.0) - 0.03,
        "{} warm, {} cold: who may not charge gives away",
        keep(5.0),
        keep(-2.0)
    );
}

/// A battery that is overdue for a full charge gets it where the sun will nearly do so: the TV waits for it. Where the sun
/// will not, or will anyway, nobody is asked to wait.
#[test]
fn what_can_wait_gives_way_where_that_brings_the_battery_to_full() {
    let settings = home(Chemistry::LeadAcidSealed);
    let overdue = Needs { full_hour: 0.6, ..Needs::default() };
    let level = |needs: Needs, charge: f64| {
        let outlook = outlook(&settings, 260.0, charge, needs);
        outlook.keep[8][Tier::Convenience.place()].expect("a level").ratio()
    };
    let (usual, waits) = (level(Needs::default(), 60.0), level(overdue, 60.0));
    println!("at noon the TV is kept above {usual:.3}, above {waits:.3} where the battery is overdue");
    assert!(waits > usual + 0.05, "{usual} {waits}");
}

/// What is drawn has a price: what can wait is served for less of it, what is important as before.
#[test]
fn wear_has_its_price_for_what_can_wait() {
    let settings = home(Chemistry::LeadAcidSealed);
    let weeks: Vec<f32> = [550.0, 550.0, 400.0, 120.0, 300.0, 500.0, 300.0].repeat(4);
    let mean = |price: f32, tier: Tier| -> f64 {
        let outlook = outlook_after(&settings, &weeks, 50.0, Needs { price, ..Needs::default() });
        let level = |keep: &[Option<StateOfCharge>; 4]| keep[tier.place()].expect("a level").ratio();
        outlook.keep.iter().map(level).sum::<f64>() / outlook.keep.len() as f64
    };
    let of = |tier: Tier| [mean(0.0, tier), mean(0.5, tier)];
    let (waits, important) = (of(Tier::Convenience), of(Tier::Important));
    println!("convenience above {waits:.3?}, important above {important:.3?}");
    assert!(waits[1] > waits[0] + 0.02, "{waits:?}");
    assert!((important[1] - important[0]).abs() < 0.05, "{important:?}");
}

#[test]
fn being_full_is_worth_more_by_the_day_and_wear_costs_nothing_where_lead_is_not() {
    let settings = home(Chemistry::LeadAcidSealed);
    let image = ProcessImage::empty(Uptime(0), &settings);
    let mut state = State::new(&settings);
    let mut worth = Vec::new();
    for _ in 0..400 {
        worth.push(needs(&settings, &state, &image, exactly(50.0)).full_hour);
        state.care.advance(Seconds(DAY), exactly(50.0), false);
    }
    assert_eq!(worth[..2], [0.0, 0.0]);
    assert!(worth[2] > 0.0 && worth.is_sorted() && worth[399] == worth[100], "it ends: {worth:?}");
    let blind = ChargeBounds { low: percent(10.0), best: percent(50.0), high: percent(90.0) };
    assert_eq!(
        needs(&settings, &state, &image, blind).full_hour,
        0.0,
        "nobody could tell that it became full"
    );
    state.care.advance(Seconds(1.0), exactly(50.0), true);
    assert_eq!(needs(&settings, &state, &image, exactly(50.0)).full_hour, 0.0);
    let lfp = home(Chemistry::Lfp);
    let now = needs(&lfp, &State::new(&lfp), &ProcessImage::empty(Uptime(0), &lfp), exactly(50.0));
    assert_eq!([now.price, now.full_hour], [0.0, 0.0]);
}

#[test]
fn a_maker_who_asks_for_gentle_charging_in_the_cold_is_heard() {
    let mut settings = home(Chemistry::Lfp);
    let limit = |from: f64, share: f64| sunkeep_core::care::ChargeLimit { from: Celsius(from), share };
    settings.care.charge_limits = vec![limit(0.0, 0.1), limit(10.0, 0.5), limit(20.0, 1.0)];
    let state = State::new(&settings);
    let most = settings.battery.worst_charge;
    for (celsius, share) in [(-0.1, Some(0.0)), (0.0, Some(0.1)), (12.0, Some(0.5)), (20.0, None)] {
        let story = Story::new(settings.loads.clone()).temperature(celsius);
        let takes = needs(&settings, &state, &story.image, exactly(50.0)).takes;
        assert_eq!(takes.map(|(watts, _)| watts), share.map(|share| most * share), "{celsius} °C");
    }
    let nobody_knows = ProcessImage::empty(Uptime(0), &settings);
    assert_eq!(needs(&settings, &state, &nobody_knows, exactly(50.0)).takes, None);
}

proptest! {
    /// Whatever the battery went through: the critical tier is never held back for it, what can wait always before
    /// what is important, no floor lies above its highest, and time without a full charge never lowers one.
    #[test]
    fn floors_are_in_order_and_only_rise_until_full(
        charges in prop::collection::vec((0.0..98.9_f64, 0.0..200_000.0_f64), 1..40),
    ) {
        let settings = home(Chemistry::LeadAcidFlooded);
        let image = ProcessImage::empty(Uptime(0), &settings);
        let mut state = State::new(&settings);
        let mut before = Needs::default();
        for (charge, span) in charges {
            state.care.advance(Seconds(span), exactly(charge), false);
            let now = needs(&settings, &state, &image, exactly(charge));
            prop_assert_eq!(now.floors[LIGHTS], None);
            prop_assert!(now.floors[PUMP] <= now.floors[TV]);
            prop_assert!(now.floors[PUMP] <= Some(percent(40.0)) && now.floors[TV] <= Some(percent(80.0)));
            prop_assert_eq!(now.floors[TV], now.floors[Tier::Background.place()]);
            prop_assert!(now.floors[TV] >= before.floors[TV] && now.floors[PUMP] >= before.floors[PUMP]);
            before = now;
        }
        state.care.advance(Seconds(1.0), exactly(50.0), true);
        let full = needs(&settings, &state, &image, exactly(50.0));
        prop_assert_eq!((full.floors, full.full_hour), ([None; 4], 0.0));
    }
}
