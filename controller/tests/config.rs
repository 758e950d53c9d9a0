//! Configuration files: the example is what it says, and what must be refused is, each with its line and
//! reason.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use sunkeep::config::{Home, Place, RelayAt};
use sunkeep::gpio::Bias;
use sunkeep_core::care::{Care, ChargeLimit, WearPrice};
use sunkeep_core::settings::Tier;
use sunkeep_models::battery::Chemistry;
use sunkeep_models::quantity::Celsius;

const EXAMPLE: &str = include_str!("../hub.example.toml");

fn refusal(text: &str) -> String {
    Home::parse("hub.toml", text).expect_err("this file must be refused").to_string()
}

/// The example with one line replaced.
fn with(line: &str, instead: &str) -> String {
    assert_eq!(EXAMPLE.matches(line).count(), 1, "{line:?} does not stand exactly once in the example");
    EXAMPLE.replace(line, instead)
}

/// Number of the line of the example that holds this text.
fn line_of(part: &str) -> usize {
    EXAMPLE.lines().position(|line| line.contains(part)).expect("the part is in the example") + 1
}

#[test]
fn the_example_is_a_home() {
    let home = Home::parse("hub.example.toml", EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(home.settings.loads.len(), 5);
    assert_eq!(home.settings.loads[3].tier, Tier::Important);
    assert!(home.settings.loads[2].powers_hub && !home.settings.loads[2].switchable);
    assert_eq!(home.wiring.relays.len(), 4);
    assert!(matches!(home.wiring.relays[3].at, RelayAt::Coil { coil: 3, .. }));
    let (_, current) =
        home.wiring.places.iter().find(|(place, _)| *place == Place::BatteryCurrent).expect("is fed");
    assert_eq!(current.iter().map(|term| term.factor).collect::<Vec<_>>(), [1.0, -1.0]);
    assert_eq!(home.page.listen.to_string(), "127.0.0.1:8080");
}

#[test]
fn a_percentage_becomes_a_ratio_and_watts_stay_watts() {
    let home = Home::parse("hub.toml", EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    let factor = |wanted: Place| {
        home.wiring.places.iter().find(|(place, _)| *place == wanted).expect("is fed").1[0].factor
    };
    assert!((factor(Place::BatteryCharge) - 0.01).abs() < 1e-12);
    assert!((factor(Place::Sun) - 1.0).abs() < 1e-12);
}

/// The pump on a GPIO line, and a meter that gives pulses.
const LINES: &str = r#"relay = { gpio = 22, wiring = "normally_open", hub_dead = "releases" }
[gpio]
driver = "chardev"
[[pulse]]
name = "main"
line = 5
wh_per_pulse = 1
"#;

fn with_lines(line: &str, instead: &str) -> String {
    assert!(line.is_empty() || LINES.matches(line).count() == 1, "{line:?} does not stand exactly once");
    let pump = "relay = { device = \"relays\", coil = 3, wiring = \"normally_open\", hub_dead = \"keeps\" }";
    with(pump, &if line.is_empty() { LINES.into() } else { LINES.replace(line, instead) })
}

#[test]
fn lines_of_the_board_are_wired_with_what_meters_usually_want() {
    let home = Home::parse("hub.toml", &with_lines("", "")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(home.wiring.relays[3].at, RelayAt::Gpio { line: 22, active_low: false });
    assert_eq!(home.wiring.gpio.as_ref().map(|gpio| gpio.chip.as_str()), Some("/dev/gpiochip0"));
    let pulse = &home.wiring.pulses[0];
    assert_eq!((pulse.active_low, pulse.bias, pulse.debounce.as_millis()), (true, Bias::Up, 20));
}

#[test]
fn lines_that_cannot_be_are_refused() {
    let second =
        |line: u32| format!("wh_per_pulse = 1\n[[pulse]]\nname = \"yard\"\nline = {line}\nwh_per_pulse = 1");
    let rows = [
        ("gpio = 22", "gpio = 5", "line 5 is a [[pulse]] input"),
        ("wh_per_pulse = 1", "wh_per_pulse = 0", "wh_per_pulse is 0, expected 0.0001 to 100000"),
        (
            "wh_per_pulse = 1",
            "wh_per_pulse = 1\ndebounce_ms = 1001",
            "debounce_ms is 1001, expected at most 1000",
        ),
        ("wh_per_pulse = 1", "wh_per_pulse = 1\nbias = \"left\"", "bias: unknown variant `left`"),
        ("wh_per_pulse = 1", &second(5), "another [[pulse]] has line 5"),
        ("wh_per_pulse = 1", &second(6).replace("yard", "main"), "a second pulse is named \"main\""),
        ("[gpio]\ndriver = \"chardev\"", "", "needs a [gpio] table"),
        ("\"chardev\"", "\"rppal\"\nchip = \"/dev/gpiochip1\"", "rppal has lines of the header only"),
        ("gpio = 22", "device = \"relays\", coil = 3, active_low = true", "active_low is for a gpio relay"),
    ];
    for (line, instead, expected) in rows {
        let refused = refusal(&with_lines(line, instead));
        assert!(refused.contains(expected), "{instead}: {refused}");
    }
    let twice = with_lines("", "").replace(
        "relay = { device = \"relays\", coil = 2, wiring = \"normally_open\", hub_dead = \"keeps\" }",
        "relay = { gpio = 22, active_low = true, wiring = \"normally_open\", hub_dead = \"releases\" }",
    );
    assert!(refusal(&twice).contains("another load has the same relay"), "{}", refusal(&twice));
}

const LIMITS: &str = "# charge_limits = [{ from_c = 0, percent = 100 }, { from_c = 45, percent = 0 }]";

/// The floor rises for lead-acid alone unless told; what a maker asks for counts instead of what is usual.
#[test]
fn care_is_as_the_chemistry_wants_and_as_the_file_says() {
    let home =
        |text: &str| Home::parse("hub.toml", text).unwrap_or_else(|error| panic!("{error}")).settings.care;
    assert_eq!(home(EXAMPLE), Care::usual(Chemistry::Lfp));
    assert_eq!(
        home(EXAMPLE),
        home(&with(LIMITS, LIMITS.trim_start_matches("# "))),
        "the example shows the default"
    );
    let lead = with("chemistry = \"lfp\" ", "chemistry = \"lead_acid_flooded\" ");
    let usual = home(&lead);
    assert_eq!(usual, Care::usual(Chemistry::LeadAcidFlooded));
    assert_eq!(home(&lead.replace("# rising_floor = true", "rising_floor = false")).floor, None);
    assert_eq!(home(&lead.replace("# wear_price = 0.5", "wear_price = 0")).wear, None);
    let told = home(&lead.replace("# wear_price = 0.5", "wear_price = 1"));
    assert_eq!(told.wear, Some(WearPrice::usual(Chemistry::LeadAcidFlooded, 1.0)));
    let told = home(&lead.replace("# after_days = 3", "after_days = 10"));
    assert_eq!(told.floor.map(|floor| floor.after_days), Some(10.0));
    assert_eq!(told.floor.map(|floor| floor.highest), usual.floor.map(|floor| floor.highest));
    let gentle = home(&with(LIMITS, "charge_limits = [{ from_c = -5, percent = 10 }]"));
    assert_eq!(gentle.charge_limits, [ChargeLimit { from: Celsius(-5.0), share: 0.1 }]);
}

#[test]
fn care_that_cannot_be_is_refused_with_its_line_and_reason() {
    let rows = [
        ("# after_days = 3 ", "after_days = -1 ", "after_days is -1, expected 0 to 60"),
        (
            "# rise_percent_a_day = 5",
            "rise_percent_a_day = 101",
            "rise_percent_a_day is 101, expected 0 to 100",
        ),
        (
            "# highest_important_percent = 40",
            "highest_important_percent = 90",
            "what can wait is held back first",
        ),
        (
            LIMITS,
            "charge_limits = [{ from_c = 5, percent = 9 }, { from_c = 5, percent = 0 }]",
            "the coldest first",
        ),
        (LIMITS, "charge_limits = [{ from_c = 5, percent = 109 }]", "of 0 to 100 percent"),
        (LIMITS, "charge_limits = [{ from_c = 5 }]", "missing field `percent`"),
    ];
    for (line, instead, reason) in rows {
        let refusal = refusal(&with(line, instead));
        assert!(refusal.contains(reason), "{instead}: {refusal:?} does not say {reason:?}");
        assert!(refusal.contains(&format!("hub.toml:{}:", line_of(line))), "{instead}: {refusal:?}");
    }
}

/// Each row: a line of the example, what stands there instead, and what the refusal must say.
#[test]
fn what_cannot_be_is_refused_with_its_line_and_reason() {
    let rows: &[(&str, &str, &str)] = &[
        ("capacity_ah = 200", "capacity_ah = -5", "capacity_ah is -5, expected 0.1 to 100000"),
        ("capacity_ah = 200", "capacity_ah = nan", "capacity_ah is NaN, expected 0.1 to 100000"),
        ("capacity_ah = 200", "capacity = 200", "unknown field `capacity`"),
        ("cells = 4 ", "cells = 0 ", "cells is 0, expected 1 to 400 in series"),
        ("chemistry = \"lfp\" ", "chemistry = \"nickel\" ", "chemistry: unknown variant `nickel`"),
        ("timezone = \"Africa/Nairobi\"", "timezone = \"Nairobi\"", "no time zone is called \"Nairobi\""),
        ("longitude = 34.88", "", "latitude and longitude belong together"),
        ("latitude = -1.0", "latitude = 95", "latitude is 95, expected -90 to 90"),
        ("tilt_deg = 10", "tilt_deg = 100", "tilt_deg is 100, expected 0 to 90"),
        (
            "voltage = \"charger/battery.voltage\"",
            "voltage = \"charger/pv.power\"",
            "\"charger/pv.power\" is in W, expected V",
        ),
        (
            "voltage = \"charger/battery.voltage\"",
            "voltage = \"charger/volts\"",
            "has no register \"volts\", expected one of pv.voltage",
        ),
        (
            "voltage = \"charger/battery.voltage\"",
            "voltage = \"shunt/voltage\"",
            "no [[device]] is named \"shunt\"",
        ),
        (
            "voltage = \"charger/battery.voltage\"",
            "voltage = \"battery.voltage\"",
            "expected \"device/register\"",
        ),
        ("power = \"charger/load.power\"", "", "overload_w is 1500 W, but no [total] power is measured"),
        (
            "model = \"epever_tracer\"",
            "model = \"epever\"",
            "model is \"epever\", expected one of algodue_uem",
        ),
        ("model = \"eastron_sdm120\"", "model = \"kael_energy02\"", "was never verified on a device"),
        ("port = \"/dev/ttyUSB0\"", "", "no port is given"),
        ("baud = 9600", "baud = 12", "baud is 12, expected 300 to 921600"),
        ("baud = 9600", "address = \"1.2.3.4:502\"", "an rtu bus has a port, not an address"),
        ("kind = \"rtu\"", "kind = \"tcp\"", "no usable address"),
        ("unit = 4", "unit = 3", "unit 3 is taken by another device on bus \"rs485\""),
        ("unit = 4", "unit = 250", "unit is 250, expected 0 to 247"),
        ("coil = 3", "coil = 8", "coil is 8, expected 0 to 7"),
        ("coil = 3", "coil = 2", "another load has the same relay"),
        ("name = \"pump\"", "name = \"tv\"", "a second load is named \"tv\""),
        ("name = \"pump\"", "name = \"Water pump\"", "expected 1 to 32 of a-z"),
        ("tier = \"convenience\"", "tier = \"luxury\"", "unknown variant `luxury`"),
        ("nominal_w = 350", "nominal_w = -1", "nominal_w is -1, expected 0 to 1000000"),
        ("pin = \"2468\" ", "pin = \"12\" ", "pin: expected 4 to 12 digits"),
        ("# listen = \"127.0.0.1:8080\"", "listen = \"localhost\"", "expected an address and port"),
        ("# language = \"en\"", "language = \"de\"", "language is \"de\", expected one of en, fr, sw, hi"),
        ("# cap = 2 ", "cap = 0 ", "cap is 0, expected at least 1"),
        ("# important_percent = 45", "important_percent = 10", "expected to rise in this order"),
        ("# low_percent = 15 ", "low_percent = 30 ", "expected to rise in this order"),
        ("# max_mb = 64", "max_mb = 1", "max_mb is 1, expected 4 to 65536"),
        ("# path = ", "page = ", "unknown field `page`"),
    ];
    for (line, instead, reason) in rows {
        let text = with(line, instead);
        let refusal = refusal(&text);
        assert!(refusal.contains(reason), "{line} -> {instead}: {refusal:?} does not say {reason:?}");
        assert!(refusal.starts_with("hub.toml:"), "{refusal}");
        let elsewhere = instead.is_empty()
            || ["[total]", "address", "same relay", "second load", "a-z"]
                .iter()
                .any(|about_a_table| reason.contains(about_a_table));
        let at = format!("hub.toml:{}:", line_of(line));
        assert!(elsewhere || refusal.contains(&at), "{instead}: {refusal:?} does not name {at}");
    }
}

#[test]
fn a_load_relay_of_a_board_keeps_its_state_and_says_so() {
    let text = with(
        "relay = { device = \"relays\", coil = 3, wiring = \"normally_open\", hub_dead = \"keeps\" }",
        "relay = { device = \"relays\", coil = 3, wiring = \"normally_open\", hub_dead = \"releases\" }",
    );
    assert!(refusal(&text).contains("a relay board keeps its last state by itself"));
}

#[test]
fn a_gpio_relay_needs_the_gpio_table() {
    let text = with(
        "relay = { device = \"relays\", coil = 3, wiring = \"normally_open\", hub_dead = \"keeps\" }",
        "relay = { gpio = 17, wiring = \"normally_open\", hub_dead = \"releases\" }",
    );
    assert!(refusal(&text).contains("needs a [gpio] table"));
    let home = Home::parse("hub.toml", &format!("{text}\n[gpio]\ndriver = \"chardev\"\n"));
    assert!(matches!(home.expect("is a home").wiring.relays[3].at, RelayAt::Gpio { line: 17, .. }));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = with("capacity_ah = 200", "capacity_ah = -5").replace("baud = 9600", "baud = 12");
    assert_eq!(refusal(&text).lines().count(), 2);
}

#[test]
fn a_list_that_no_home_needs_is_refused_without_looking_at_all_of_it() {
    let load = "\n[[load]]\nname = \"A\"\ntier = \"critical\"\nnominal_w = -1\npower = \"x\"\n";
    let said = refusal(&(EXAMPLE.to_owned() + &load.repeat(4000)));
    assert!(said.ends_with("more than 64 of [[load]]"), "{said}");
    assert_eq!(said.lines().count(), 1);
    let pulse = "\n[[pulse]]\nname = \"p\"\nline = 1\nwh_per_pulse = 1\n";
    assert!(refusal(&(EXAMPLE.to_owned() + &pulse.repeat(9))).contains("more than 8 of [[pulse]]"));
}

#[test]
fn a_hundred_problems_are_listed_and_the_rest_counted() {
    let load = "\n[[load]]\nname = \"A\"\ntier = \"critical\"\nnominal_w = -1\npower = \"x\"\n";
    let said = refusal(&(EXAMPLE.to_owned() + &load.repeat(50)));
    assert_eq!(said.lines().count(), 101, "{said}");
    assert!(said.ends_with("more problems are not listed"), "{said}");
}

#[test]
fn two_pulse_inputs_of_one_name_are_refused() {
    let pulse = "\n[[pulse]]\nname = \"p\"\nline = 1\nwh_per_pulse = 1\n";
    let text = format!("{EXAMPLE}{pulse}{pulse}\n[gpio]\ndriver = \"chardev\"\n");
    assert!(refusal(&text).contains("a second pulse is named \"p\""));
}

#[test]
fn a_file_that_is_not_there_or_too_long_says_so() {
    let missing = Home::read(std::path::Path::new("/nonexistent/hub.toml")).expect_err("is missing");
    assert!(missing.to_string().contains("cannot read /nonexistent/hub.toml"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.toml");
    std::fs::write(&path, "#".repeat(300_000)).expect("is written");
    assert!(Home::read(&path).expect_err("is too long").to_string().contains("longer than 262144 bytes"));
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_and_never_panics(text in "\\PC{0,400}") {
        prop_assert!(Home::parse("hub.toml", &text).is_err());
    }

    /// A byte of the example lost or doubled gives a home or a refusal, and never a panic.
    #[test]
    fn a_damaged_example_never_panics(at in 0..EXAMPLE.len(), with in prop::option::of(any::<char>())) {
        let mut text = EXAMPLE.to_owned();
        let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.remove(at);
        if let Some(with) = with {
            text.insert(at, with);
        }
        let _ = Home::parse("hub.toml", &text);
    }
}
