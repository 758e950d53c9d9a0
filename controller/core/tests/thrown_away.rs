//! Sun that a full battery throws away: it is no evidence of clouds, and serves what can wait.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod story;

use story::{Story, load};
use sunkeep_core::evidence::{History, Tally, sun_now};
use sunkeep_core::image::Reading;
use sunkeep_core::settings::Tier;
use sunkeep_models::quantity::{Seconds, Watts};
use sunkeep_models::time::{Slot, TimeSource, WallTime};

/// At 93 % by a monitor that may be 10 % wrong: below the level from which on the TV returns by the reserve rule.
fn home() -> Story {
    let mut story =
        Story::new(vec![load("fridge", Tier::Critical, 60.0), load("tv", Tier::Convenience, 90.0)]);
    story.settings.reserve.convenience = sunkeep_models::quantity::StateOfCharge::clamped(0.9);
    story.state.settings = story.settings.digest();
    story.charge(0.93).voltage(13.3).supplied(0, true).supplied(1, false)
}

fn sun(story: &mut Story, watts: f64, amps: f64) {
    let at = story.image.now;
    story.image.sun = Some(Reading { value: watts, at });
    story.image.battery.current = Some(Reading { value: amps, at });
}

#[test]
fn the_tv_returns_in_sun_that_would_be_thrown_away_and_not_otherwise() {
    for (watts, amps, returns) in
        [(80.0, 0.2, true), (80.0, -5.0, false), (80.0, 20.0, false), (0.0, 0.2, false)]
    {
        let mut story = home();
        story.for_minutes(1);
        sun(&mut story, watts, amps);
        story.for_minutes(180);
        assert_eq!(story.on()[1], returns, "{watts} W of sun, {amps} A into the battery");
    }
}

#[test]
fn a_load_that_was_too_much_for_the_sun_does_not_try_again_for_two_hours() {
    let mut story = home();
    sun(&mut story, 80.0, 0.2);
    story.for_minutes(180);
    assert!(story.on()[1]);
    // It draws more than the sun brings, and the battery gives the rest.
    sun(&mut story, 80.0, -5.0);
    story = story.charge(0.8);
    sun(&mut story, 80.0, -5.0);
    story.for_minutes(60);
    assert!(!story.on()[1], "{:?}", story.decision().loads[1]);
    story = story.charge(0.93);
    sun(&mut story, 80.0, 0.2);
    story.for_minutes(55);
    assert!(!story.on()[1], "an hour and more later");
    story.for_minutes(70);
    assert!(story.on()[1]);
}

/// What a slot and the moment say of the sun, with this much from the panels and into the battery.
fn seen(watts: f64, amps: f64) -> (Option<f32>, Option<Watts>) {
    let mut story = home();
    story.for_minutes(1);
    sun(&mut story, watts, amps);
    let (mut tally, mut history) = (Tally::default(), History::default());
    let first = Slot(1000);
    for second in 0..=1800 {
        story.for_seconds(1);
        let unix = first.start() + second;
        story.image.wall = Some(WallTime { unix, source: TimeSource::System, uncertainty: Seconds(1.0) });
        tally.add(&story.settings, &story.image, story.decision(), &mut history);
    }
    (history.sun.get(first), sun_now(&story.settings, &story.image, story.decision().charge))
}

#[test]
fn a_battery_in_float_hides_what_the_sun_could_give() {
    assert_eq!(seen(80.0, 0.2), (None, None), "80 W is what the loads draw, not what the panels could give");
    let (slot, now) = seen(300.0, 20.0);
    assert!(slot.is_some_and(|watts| (watts - 300.0).abs() < 1.0), "{slot:?}");
    assert_eq!(now, Some(Watts(300.0)), "a battery that takes 20 A throttles nothing");
    let (slot, now) = seen(20.0, -5.0);
    assert!(
        slot.is_some_and(|watts| (watts - 20.0).abs() < 1.0),
        "a dull sky above a full battery: {slot:?}"
    );
    assert_eq!(now, None, "which might as well be a charger that goes over to float");
}
