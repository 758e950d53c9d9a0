//! From the file as written to the settings of the decision core: ranges, defaults by chemistry, and what
//! must hold between values.

use std::path::PathBuf;

use sunkeep_core::Settings;
use sunkeep_core::settings::{Load, Pace, Protection, Reserve, Tier};
use sunkeep_models::battery::{BatterySpec, Chemistry, ReportedBy};
use sunkeep_models::quantity::{AmpHours, Amps, Celsius, Ohms, Seconds, StateOfCharge, Volts, Watts};
use sunkeep_models::time::Zone;
use toml::Spanned;

use crate::gpio::MAX_INPUTS;
use crate::language::Language;

use super::file::{BatteryTable, File, JournalTable, LimitsTable, LoadTable, ReserveTable, SiteTable};
use super::{ConfigError, Home, Journal, Page, Panels, Problems, connect, home_assistant, uplink};

/// Most buses, devices and loads of a home.
const MAX_THINGS: usize = 64;
const DAY: f64 = 86_400.0;
/// Part of its nominal power that a load which does nothing may draw.
const STANDBY: f64 = 0.05;

/// Resolves a file. `None` when something so basic is wrong that nothing can be made; all that is wrong is
/// in `problems`.
pub(super) fn home(
    file: &File,
    text: &str,
    problems: &mut Problems<'_>,
) -> Result<Option<Home>, ConfigError> {
    let zone = zone(&file.site, problems);
    let place = place(&file.site, problems);
    let battery = battery(&file.battery, problems);
    let loads = loads(&file.loads, problems);
    let wiring = connect::wiring(file, problems)?;
    let overload = file.limits.overload_w.as_ref();
    let charge_by = file.battery.charge_by.unwrap_or(ReportedBy::VoltageGuess);
    let reported_uncertainty = problems.number_or(
        "charge_uncertainty_percent",
        file.battery.charge_uncertainty_percent.as_ref(),
        0.1,
        100.0,
        charge_by.uncertainty(battery.chemistry) * 100.0,
    ) / 100.0;
    let settings = Settings {
        protection: protection(&battery, &file.limits, problems),
        reserve: reserve(&file.reserve, problems),
        care: super::care::care(&file.care, battery.chemistry, problems),
        pace: Pace {
            cap: file.pace.cap.as_ref().map_or(2, |cap| *cap.get_ref()),
            settle: Seconds(problems.number_or("settle_s", file.pace.settle_s.as_ref(), 0.0, 3600.0, 10.0)),
        },
        efficiency: problems.number_or("efficiency", file.battery.efficiency.as_ref(), 0.5, 1.0, 0.95),
        reported_uncertainty,
        stale_after: Seconds(problems.number_or(
            "stale_after_s",
            file.pace.stale_after_s.as_ref(),
            1.0,
            DAY,
            60.0,
        )),
        battery,
        loads,
    };
    if let Some(cap) = file.pace.cap.as_ref().filter(|cap| *cap.get_ref() == 0) {
        problems.at(&cap.span(), "cap is 0, expected at least 1 load a pass".into());
    }
    if let (Some(limit), Some(value)) = (settings.protection.overload, overload)
        && file.total.power.is_none()
    {
        let what = format!("overload_w is {limit}, but no [total] power is measured that could exceed it");
        problems.at(&value.span(), what);
    }
    let page = page(file, problems);
    let journal = journal(&file.journal, problems);
    let panels = file.panels.as_ref().map(|table| Panels {
        peak_w: problems.number("peak_w", &table.peak_w, 1.0, 1e6),
        tilt_deg: problems.number_or("tilt_deg", table.tilt_deg.as_ref(), 0.0, 90.0, 10.0),
        azimuth_deg: problems.number_or("azimuth_deg", table.azimuth_deg.as_ref(), 0.0, 360.0, 180.0),
    });
    let uplink = file.uplink.as_ref().and_then(|table| uplink::uplink(table, &file.site, problems));
    let home_assistant = file.home_assistant.as_ref();
    let home_assistant =
        home_assistant.and_then(|table| home_assistant::home_assistant(table, &file.site, problems));
    let (Some(zone), Some(page)) = (zone, page) else { return Ok(None) };
    Ok(Some(Home {
        name: file.site.name.get_ref().clone(),
        zone,
        place,
        panels,
        settings,
        wiring,
        page,
        journal,
        uplink,
        home_assistant,
        watchdog: file.watchdog.device.as_ref().map(PathBuf::from),
        text: text.into(),
    }))
}

/// Whether a list is longer than any home needs. Then nothing else is to be looked at, for what is wrong with a
/// thousand loads helps nobody and takes long to find.
pub(super) fn too_long(file: &File, problems: &mut Problems<'_>) -> bool {
    let over = [
        ("bus", file.buses.get(MAX_THINGS).map(Spanned::span), MAX_THINGS),
        ("device", file.devices.get(MAX_THINGS).map(Spanned::span), MAX_THINGS),
        ("load", file.loads.get(MAX_THINGS).map(Spanned::span), MAX_THINGS),
        ("pulse", file.pulses.get(MAX_INPUTS).map(Spanned::span), MAX_INPUTS),
    ];
    let mut any = false;
    for (kind, span, most) in over {
        if let Some(span) = span {
            problems.at(&span, format!("more than {most} of [[{kind}]]"));
            any = true;
        }
    }
    any
}

fn zone(site: &SiteTable, problems: &mut Problems<'_>) -> Option<Zone> {
    if site.name.get_ref().is_empty() || site.name.get_ref().len() > 64 {
        problems.at(&site.name.span(), "name of the site: expected 1 to 64 bytes".into());
    }
    match Zone::named(site.timezone.get_ref()) {
        Ok(zone) => Some(zone),
        Err(error) => {
            problems.at(&site.timezone.span(), format!("timezone: {error}"));
            None
        }
    }
}

fn language(site: &SiteTable, problems: &mut Problems<'_>) -> Language {
    let Some(tag) = &site.language else { return Language::default() };
    Language::tagged(tag.get_ref()).unwrap_or_else(|| {
        let known = Language::ALL.map(Language::tag).join(", ");
        problems.at(&tag.span(), format!("language is {:?}, expected one of {known}", tag.get_ref()));
        Language::default()
    })
}

fn place(site: &SiteTable, problems: &mut Problems<'_>) -> Option<(f64, f64)> {
    match (&site.latitude, &site.longitude) {
        (Some(latitude), Some(longitude)) => Some((
            problems.number("latitude", latitude, -90.0, 90.0),
            problems.number("longitude", longitude, -180.0, 180.0),
        )),
        (None, None) => None,
        (Some(lonely), None) | (None, Some(lonely)) => {
            problems
                .at(&lonely.span(), "latitude and longitude belong together: give both or neither".into());
            None
        }
    }
}

fn battery(table: &BatteryTable, problems: &mut Problems<'_>) -> BatterySpec {
    let capacity = AmpHours(problems.number("capacity_ah", &table.capacity_ah, 0.1, 1e5));
    let cells = *table.cells.get_ref();
    if !(1..=400).contains(&cells) {
        problems.at(&table.cells.span(), format!("cells is {cells}, expected 1 to 400 in series"));
    }
    let mut spec = BatterySpec::new(table.chemistry, capacity, cells.clamp(1, 400));
    let mut set = |key: &str, value: Option<&Spanned<f64>>, least: f64, most: f64| {
        value.map(|value| problems.number(key, value, least, most))
    };
    let nominal = spec.nominal_voltage().0;
    if let Some(ohm) = set("internal_resistance_ohm", table.internal_resistance_ohm.as_ref(), 1e-5, 10.0) {
        spec.internal_resistance = Ohms(ohm);
    }
    if let Some(volts) = set("absorption_v", table.absorption_v.as_ref(), nominal, nominal * 1.4) {
        spec.absorption_voltage = Volts(volts);
    }
    if let Some(amps) = set("tail_current_a", table.tail_current_a.as_ref(), 1e-3, capacity.0) {
        spec.tail_current = Amps(amps);
    }
    if let Some(watts) = set("worst_discharge_w", table.worst_discharge_w.as_ref(), 1.0, 1e6) {
        spec.worst_discharge = Watts(watts);
    }
    if let Some(watts) = set("worst_charge_w", table.worst_charge_w.as_ref(), 1.0, 1e6) {
        spec.worst_charge = Watts(watts);
    }
    if let Err(error) = spec.check() {
        problems.at(&table.capacity_ah.span(), format!("[battery] {error}"));
    }
    spec
}

/// Voltages per cell below which a battery under light load is low and nearly empty, and above which it may
/// supply again. LFP: the knee of its discharge curve lies below 3.1 V. Lead-acid: 1.93 V a cell at rest is
/// about a quarter full, 1.80 V the usual end of discharge at the 10-hour rate.
fn cell_limits(chemistry: Chemistry) -> [f64; 3] {
    match chemistry {
        Chemistry::Lfp => [3.05, 2.90, 3.25],
        Chemistry::LeadAcidFlooded | Chemistry::LeadAcidSealed => [1.92, 1.83, 2.08],
    }
}

fn protection(battery: &BatterySpec, table: &LimitsTable, problems: &mut Problems<'_>) -> Protection {
    let cells = f64::from(battery.cells);
    let nominal = battery.nominal_voltage().0;
    let (least, most) = (nominal * 0.7, nominal * 1.3);
    let [low, cutoff, reconnect] = cell_limits(battery.chemistry).map(|volts| volts * cells);
    let mut volts = |key: &str, value: Option<&Spanned<f64>>, default: f64| {
        Volts(problems.number_or(key, value, least, most, default))
    };
    let low_voltage = volts("low_v", table.low_v.as_ref(), low);
    let cutoff_voltage = volts("cutoff_v", table.cutoff_v.as_ref(), cutoff);
    let reconnect_voltage = volts("reconnect_v", table.reconnect_v.as_ref(), reconnect);
    let mut percent = |key: &str, value: Option<&Spanned<f64>>, default: f64| {
        StateOfCharge::clamped(problems.number_or(key, value, 0.0, 100.0, default) / 100.0)
    };
    let low_charge = percent("low_percent", table.low_percent.as_ref(), 15.0);
    let cutoff_charge = percent("cutoff_percent", table.cutoff_percent.as_ref(), 8.0);
    let reconnect_charge = percent("reconnect_percent", table.reconnect_percent.as_ref(), 25.0);
    let span = [&table.low_v, &table.cutoff_v, &table.reconnect_v].into_iter().flatten().next();
    if !(cutoff_voltage < low_voltage && low_voltage < reconnect_voltage) {
        let what = format!(
            "cutoff_v {cutoff_voltage}, low_v {low_voltage}, reconnect_v {reconnect_voltage}: expected to rise \
             in this order"
        );
        problems.at(&span.map_or(0..0, Spanned::span), what);
    }
    let span =
        [&table.low_percent, &table.cutoff_percent, &table.reconnect_percent].into_iter().flatten().next();
    if !(cutoff_charge < low_charge && low_charge < reconnect_charge) {
        let what = format!(
            "cutoff_percent {cutoff_charge}, low_percent {low_charge}, reconnect_percent {reconnect_charge}: \
             expected to rise in this order"
        );
        problems.at(&span.map_or(0..0, Spanned::span), what);
    }
    Protection {
        low_voltage,
        cutoff_voltage,
        reconnect_voltage,
        low_charge,
        cutoff_charge,
        reconnect_charge,
        hold: Seconds(problems.number_or("hold_s", table.hold_s.as_ref(), 0.0, 60.0, 5.0)),
        recovery_hold: Seconds(problems.number_or(
            "recovery_hold_s",
            table.recovery_hold_s.as_ref(),
            0.0,
            3600.0,
            120.0,
        )),
        max_temperature: Celsius(problems.number_or(
            "max_temperature_c",
            table.max_temperature_c.as_ref(),
            20.0,
            90.0,
            55.0,
        )),
        overload: table
            .overload_w
            .as_ref()
            .map(|value| Watts(problems.number("overload_w", value, 1.0, 1e6))),
        overload_wait: Seconds(problems.number_or(
            "overload_wait_s",
            table.overload_wait_s.as_ref(),
            1.0,
            DAY,
            300.0,
        )),
    }
}

fn reserve(table: &ReserveTable, problems: &mut Problems<'_>) -> Reserve {
    let mut percent = |key: &str, value: Option<&Spanned<f64>>, most: f64, default: f64| {
        problems.number_or(key, value, 0.0, most, default) / 100.0
    };
    let floor = percent("floor_percent", table.floor_percent.as_ref(), 90.0, 22.0);
    let important = percent("important_percent", table.important_percent.as_ref(), 95.0, 45.0);
    let convenience = percent("convenience_percent", table.convenience_percent.as_ref(), 95.0, 70.0);
    let hysteresis = percent("hysteresis_percent", table.hysteresis_percent.as_ref(), 30.0, 5.0);
    if !(floor <= important && important <= convenience) {
        let given = [&table.floor_percent, &table.important_percent, &table.convenience_percent];
        let span = given.into_iter().flatten().next().map_or(0..0, Spanned::span);
        let what = format!(
            "floor_percent {:.0}, important_percent {:.0}, convenience_percent {:.0}: expected to rise in this \
             order",
            floor * 100.0,
            important * 100.0,
            convenience * 100.0
        );
        problems.at(&span, what);
    }
    Reserve {
        floor: StateOfCharge::clamped(floor),
        important: StateOfCharge::clamped(important),
        convenience: StateOfCharge::clamped(convenience),
        hysteresis,
    }
}

fn loads(tables: &[Spanned<LoadTable>], problems: &mut Problems<'_>) -> Vec<Load> {
    if tables.is_empty() {
        problems.at(&(0..0), "no [[load]] is given, expected at least one".into());
    }
    let loads = tables.iter().map(|spanned| {
        let table = spanned.get_ref();
        connect::check_name("load", &table.name, &spanned.span(), problems);
        let nominal = problems.number("nominal_w", &table.nominal_w, 0.0, 1e6);
        // A waiting remote control or an empty charger draws a few watts, never much of what the plate says.
        let standby = (STANDBY * nominal).max(1.0);
        // A critical load is worth switching gently; anything with a compressor wants minutes.
        let default_off = if table.tier == Tier::Critical { 30.0 } else { 60.0 };
        Load {
            name: table.name.clone(),
            label: table.label.clone().unwrap_or_else(|| table.name.clone()),
            tier: table.tier,
            nominal: Watts(nominal),
            standby: Watts(problems.number_or("standby_w", table.standby_w.as_ref(), 0.0, 1e6, standby)),
            switchable: table.relay.is_some(),
            powers_hub: table.powers_hub,
            min_on: Seconds(problems.number_or("min_on_s", table.min_on_s.as_ref(), 0.0, DAY, 60.0)),
            min_off: Seconds(problems.number_or(
                "min_off_s",
                table.min_off_s.as_ref(),
                0.0,
                DAY,
                default_off,
            )),
        }
    });
    loads.collect()
}

fn journal(table: &JournalTable, problems: &mut Problems<'_>) -> Journal {
    if let Some(value) = table.max_mb.as_ref().filter(|value| !(4..=65_536).contains(value.get_ref())) {
        problems.at(&value.span(), format!("max_mb is {}, expected 4 to 65536", value.get_ref()));
    }
    Journal {
        path: table.path.as_deref().unwrap_or("/var/lib/sunkeep/journal.sqlite").into(),
        max_bytes: table.max_mb.as_ref().map_or(64, |value| *value.get_ref()).saturating_mul(1024 * 1024),
    }
}

fn page(file: &File, problems: &mut Problems<'_>) -> Option<Page> {
    if let Some(pin) = &file.page.pin {
        let digits = pin.get_ref().chars().all(|digit| digit.is_ascii_digit());
        if !digits || !(4..=12).contains(&pin.get_ref().len()) {
            problems.at(&pin.span(), "pin: expected 4 to 12 digits".into());
        }
    }
    let language = language(&file.site, problems);
    match file.page.listen.get_ref().parse() {
        Ok(listen) => {
            Some(Page { listen, pin: file.page.pin.as_ref().map(|pin| pin.get_ref().clone()), language })
        }
        Err(_) => {
            let read = file.page.listen.get_ref();
            let what = format!("listen is {read:?}, expected an address and port such as \"127.0.0.1:8080\"");
            problems.at(&file.page.listen.span(), what);
            None
        }
    }
}
