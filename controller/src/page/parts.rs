//! The parts of the page that change: each is rendered by itself, so that the script replaces only what is
//! new.

use std::sync::Arc;

use maud::{Markup, html};
use sunkeep_core::decision::Basis;
use sunkeep_models::quantity::Seconds;

use super::access::Access;
use super::night::{self, Answer, Tone};
use super::room::{OLD, Room};
use super::{loads, words};
use crate::view::View;

/// The page as it is now.
pub(super) struct Home {
    /// Name of the site.
    pub(super) site: String,
    /// Changes when the page must be loaded afresh: another home, another program.
    pub(super) key: String,
    /// What the charts were drawn from.
    pub(super) charts_version: String,
    pub(super) charts: Arc<str>,
    pub(super) top: Vec<(String, Markup)>,
    pub(super) tiers: Vec<loads::TierPart>,
    pub(super) bottom: Vec<(String, Markup)>,
    /// A wish was sent, and the hub has not taken it up in time.
    pub(super) late: bool,
}

impl Home {
    /// For the script; with the charts only if they differ from those it has.
    pub(super) fn as_json(&self, has_charts: &str) -> serde_json::Value {
        let of_loads = self.tiers.iter().flat_map(|tier| &tier.loads);
        let mut parts: serde_json::Map<_, _> = self
            .top
            .iter()
            .chain(of_loads)
            .chain(&self.bottom)
            .map(|(id, html)| (id.clone(), html.0.clone().into()))
            .collect();
        if has_charts != self.charts_version {
            parts.insert("charts".into(), (*self.charts).into());
        }
        serde_json::json!({ "home": self.key, "charts": self.charts_version, "parts": parts })
    }
}

/// Renders the page.
pub(super) fn home(room: &Room, view: &View, age: Seconds, access: Access, late: bool) -> Home {
    let (charts_version, charts) = room.charts.of(view);
    let digest = words::hex(&view.settings.digest().0[..6]);
    Home {
        site: view.site.to_string(),
        key: format!("{}-{digest}", env!("CARGO_PKG_VERSION")),
        charts_version,
        charts,
        top: vec![
            ("time".into(), time(view)),
            ("old".into(), old(view, age)),
            ("answer".into(), answer(view, age)),
            ("alarm".into(), alarms(view)),
            ("battery".into(), battery(view)),
        ],
        tiers: loads::tiers(view, access),
        bottom: vec![
            ("may".into(), loads::may(access)),
            ("devices".into(), devices(view)),
            ("foot".into(), foot(view, access)),
        ],
        late,
    }
}

fn time(view: &View) -> Markup {
    html! {
        @if let Some(wall) = view.image.wall {
            @let local = view.zone.local(wall.unix);
            (words::weekday(local)) " " (local)
        } @else {
            "time unknown"
        }
    }
}

fn old(view: &View, age: Seconds) -> Markup {
    html! {
        @if age > OLD {
            p class="note bad" {
                b { "The hub is stuck. " }
                "It last reported " (words::span(age)) " ago. What you see is from then, and may be wrong."
            }
        }
        @if view.image.wall.is_none() {
            p class="note watch" {
                b { "The time of day is not known. " }
                "Forecasts wait until the hub learns it. Loads are switched safely without it."
            }
        }
    }
}

fn answer(view: &View, age: Seconds) -> Markup {
    let answer = if age > OLD {
        Answer {
            tone: Tone::Unknown,
            headline: "Not known now: the hub is stuck.".into(),
            detail: format!("{} ago: {}", words::span(age), night::answer(view).headline),
        }
    } else {
        night::answer(view)
    };
    html! {
        div class={ "answer " (answer.tone.word()) } {
            h1 { (words::tied(&answer.headline)) }
            p { (words::tied(&answer.detail)) }
        }
    }
}

fn alarms(view: &View) -> Markup {
    html! {
        @if let Some(sentence) = night::alarm(view) {
            p class="note bad" { b { "Alarm. " } (sentence) }
        }
        @for sentence in night::needs(view) {
            p class="note side" { b { "Battery care. " } (sentence) }
        }
        @for fault in view.faults.iter() {
            p class="note side" { b { "Fault. " } (fault) }
        }
        @for device in view.devices.iter().filter(|device| device.answers == Some(false)) {
            p class="note side" {
                b { (words::capital(&device.name)) " does not answer. " }
                (device.why)
            }
        }
    }
}

fn battery(view: &View) -> Markup {
    let (settings, image, charge) = (&view.settings, &view.image, view.decision.charge);
    let fresh = |reading| image.fresh(settings, reading);
    let power = words::battery_power(settings, image);
    let (used, about) = words::load_power(settings, image, &view.decision);
    html! {
        div class="charge" {
            p class="big" { (charge.best) }
            p { "charged, " (words::tied(&words::bounds(charge))) }
        }
        (gauge(charge.low.ratio(), charge.best.ratio(), charge.high.ratio()))
        dl class="flows" {
            div class="sun" {
                dt { "Sun" }
                dd { @match fresh(image.sun) { Some(watts) => (words::power(watts)), None => "?" } }
                dd class="sub" { @if fresh(image.sun).is_none() { "not measured" } @else { "panels" } }
            }
            div class="load" {
                dt { "Use" }
                dd { (words::power(used)) }
                dd class="sub" { @if about { "estimated" } @else { "all loads" } }
            }
            div class="charge" {
                dt { "Battery" }
                dd { @match power { Some(watts) => (words::power(watts)), None => "?" } }
                dd class="sub" { (words::flow(power)) }
            }
        }
        p class="said" {
            @match fresh(image.battery.voltage) {
                Some(volts) => (format!("{volts:.1} V")),
                None => "Voltage not measured",
            }
            @if let Some(celsius) = fresh(image.battery.temperature) { (format!(" · {celsius:.0} °C")) }
            @if view.decision.basis == Basis::ReserveRule {
                " · no plan: tiers are switched at fixed levels"
            }
        }
    }
}

/// The charge as a bar: sure up to `low`, expected up to `best`, possible up to `high`.
fn gauge(low: f64, best: f64, high: f64) -> Markup {
    let at = |ratio: f64| format!("{:.1}", ratio * 100.0);
    html! {
        svg class="gauge" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect class="track" width="100" height="8" {}
            rect class="high" width=(at(high)) height="8" {}
            rect class="low" width=(at(low)) height="8" {}
            rect class="best" x=(at((best - 0.004).clamp(0.0, 0.992))) width="0.8" height="8" {}
        }
    }
}

fn devices(view: &View) -> Markup {
    let count = |answers| view.devices.iter().filter(|device| device.answers == answers).count();
    let (silent, unasked) = (count(Some(false)), count(None));
    html! {
        p {
            @if view.devices.is_empty() { "No device is configured." }
            @else if silent + unasked == 0 { "All " (view.devices.len()) " devices answer." }
            @else {
                (count(Some(true))) " of " (view.devices.len()) " devices answer"
                @if unasked > 0 { ", " (unasked) " not asked yet" }
                "."
            }
        }
        ul class="plain" {
            @for device in view.devices.iter() {
                li {
                    (device.name) span class="model" { " " (device.model) }
                    span class={ "state " @if device.answers == Some(true) { "on" } @else { "off" } } {
                        @match device.answers {
                            Some(true) => "answers",
                            Some(false) => "silent",
                            None => "not asked yet",
                        }
                    }
                }
            }
            @for meter in view.meters.iter() {
                li { (meter.name) span class="model" { " meter, counted so far " } span class="state" { (words::energy(meter.wh)) } }
            }
        }
    }
}

fn foot(view: &View, access: Access) -> Markup {
    let counts = view.counts;
    html! {
        @if access == Access::Session {
            form method="post" action="/lock" { button class="button" { "Lock: ask for the PIN again" } }
        }
        p {
            "Since the hub was started: " (counts.sheds) " loads shed, " (counts.restores) " returned, "
            (counts.onnx_forecasts) " forecasts by the trained model, " (counts.baseline_forecasts)
            " by a simpler method."
        }
    }
}
