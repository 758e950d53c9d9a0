//! The hub's own work that can wait: it waits for sun, and gives way to everybody.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod story;

use story::{Story, load};
use sunkeep_core::image::Reading;
use sunkeep_core::settings::Tier;
use sunkeep_models::quantity::StateOfCharge;

/// 70 % full by a monitor that may be 10 % wrong, and a reserve of 50 % for what can wait.
fn home() -> Story {
    let mut story =
        Story::new(vec![load("fridge", Tier::Critical, 60.0), load("tv", Tier::Convenience, 90.0)]);
    story.settings.reserve.convenience = StateOfCharge::clamped(0.5);
    story.state.settings = story.settings.digest();
    story.charge(0.70)
}

fn sun(story: &mut Story, watts: f64, amps: f64) {
    let at = story.image.now;
    story.image.sun = Some(Reading { value: watts, at });
    story.image.battery.current = Some(Reading { value: amps, at });
}

fn works(story: &Story) -> bool {
    story.decision().background_work
}

#[test]
fn it_begins_when_the_sun_has_carried_the_home_for_a_while_and_outlasts_a_cloud() {
    let mut story = home();
    sun(&mut story, 0.0, -5.0);
    story.for_minutes(60);
    assert!(!works(&story), "at night it waits, however full the battery");
    sun(&mut story, 200.0, 8.0);
    story.for_minutes(4);
    assert!(!works(&story), "a gap in the clouds is not enough");
    story.for_minutes(2);
    assert!(works(&story));
    sun(&mut story, 40.0, -2.0);
    story.for_minutes(4);
    assert!(works(&story), "a cloud");
    sun(&mut story, 200.0, 8.0);
    story.for_minutes(20);
    assert!(works(&story));
    sun(&mut story, 40.0, -2.0);
    story.for_minutes(6);
    assert!(!works(&story), "the evening");
}

#[test]
fn it_waits_for_the_level_of_its_tier_and_rests_at_once_below_it() {
    let mut story = home().charge(0.55);
    sun(&mut story, 200.0, 8.0);
    story.for_minutes(60);
    assert!(!works(&story), "45 % may be all there is, and 50 % is kept");
    story = story.charge(0.75);
    sun(&mut story, 200.0, 8.0);
    story.for_minutes(10);
    assert!(works(&story));
    story = story.charge(0.55);
    sun(&mut story, 200.0, 8.0);
    story.for_seconds(1);
    assert!(!works(&story), "below its level not even for five minutes");
}

#[test]
fn a_full_battery_is_enough_whatever_the_level_and_an_alarm_ends_it() {
    let mut story = home();
    story.settings.reserve.convenience = StateOfCharge::clamped(0.95);
    story.state.settings = story.settings.digest();
    let mut story = story.charge(0.99).voltage(13.3);
    sun(&mut story, 80.0, 0.2);
    story.for_minutes(10);
    assert!(works(&story), "the sun would be thrown away");
    let limit = story.settings.protection.max_temperature.0;
    let mut story = story.temperature(limit + 5.0);
    story.for_minutes(10);
    assert!(story.decision().alarm.is_some() && !works(&story), "{:?}", story.decision().alarm);
}

#[test]
fn without_a_current_the_panels_and_the_loads_tell_and_without_both_nobody_does() {
    let mut story = home();
    story.image.battery.current = None;
    let at = story.image.now;
    story.image.sun = Some(Reading { value: 200.0, at });
    story.for_minutes(10);
    assert!(!works(&story), "what the loads draw is not known");
    let mut story = story.total(150.0);
    story.for_minutes(10);
    assert!(works(&story));
    let mut story = story.total(250.0);
    story.for_minutes(10);
    assert!(!works(&story));
}
