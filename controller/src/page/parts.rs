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
use crate::decided;
use crate::language::{Language, day, span};
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
    pub(super) language: Language,
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
        key: format!("{}-{}-{digest}", env!("CARGO_PKG_VERSION"), view.language.tag()),
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
            ("may".into(), loads::may(view.language, access)),
            ("devices".into(), devices(view)),
            ("foot".into(), foot(view, access)),
        ],
        late,
        language: view.language,
    }
}

fn time(view: &View) -> Markup {
    html! {
        @if let Some(wall) = view.image.wall {
            @let local = view.zone.local(wall.unix);
            (day(view.language, local.weekday)) " " (local)
        } @else {
            (view.language.word("time-unknown"))
        }
    }
}

fn old(view: &View, age: Seconds) -> Markup {
    let speaks = view.language;
    html! {
        @if age > OLD {
            p class="note bad" {
                b { (speaks.word("note-stuck")) " " }
                (speaks.say("note-stuck-detail", &[("span", span(speaks, age).into())]))
            }
        }
        @if view.image.wall.is_none() {
            p class="note watch" {
                b { (speaks.word("note-no-time")) " " }
                (speaks.word("note-no-time-detail"))
            }
        }
    }
}

fn answer(view: &View, age: Seconds) -> Markup {
    let answer = if age > OLD {
        let speaks = view.language;
        let before = night::answer(view).headline;
        let values = [("span", span(speaks, age).into()), ("headline", before.into())];
        Answer {
            tone: Tone::Unknown,
            headline: speaks.word("night-stuck"),
            detail: speaks.say("night-stuck-detail", &values),
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
    let speaks = view.language;
    html! {
        @if let Some(sentence) = night::alarm(view) {
            p class="note bad" { b { (speaks.word("note-alarm")) " " } (sentence) }
        }
        @for sentence in night::needs(view) {
            p class="note side" { b { (speaks.word("note-care")) " " } (sentence) }
        }
        @for fault in view.faults.iter() {
            p class="note side" { b { (speaks.word("note-fault")) " " } (fault) }
        }
        @for device in view.devices.iter().filter(|device| device.answers == Some(false)) {
            p class="note side" {
                b { (speaks.say("note-silent", &[("device", words::capital(&device.name).into())])) " " }
                (device.why)
            }
        }
    }
}

fn battery(view: &View) -> Markup {
    let (settings, image, charge) = (&view.settings, &view.image, view.decision.charge);
    let fresh = |reading| image.fresh(settings, reading);
    let power = decided::battery_power(settings, image);
    let speaks = view.language;
    let watts = |watts| words::power(speaks, watts);
    let (used, about) = words::load_power(settings, image, &view.decision);
    html! {
        div class="charge" {
            p class="big" { (charge.best) }
            p { (words::tied(&speaks.say("charged", &[("bounds", words::bounds(speaks, charge).into())]))) }
        }
        (gauge(charge.low.ratio(), charge.best.ratio(), charge.high.ratio()))
        dl class="flows" {
            div class="sun" {
                dt { (speaks.word("sun")) }
                dd { @match fresh(image.sun) { Some(sun) => (watts(sun)), None => "?" } }
                dd class="sub" {
                    (speaks.word(if fresh(image.sun).is_none() { "not-measured" } else { "from-panels" }))
                }
            }
            div class="load" {
                dt { (speaks.word("use")) }
                dd { (watts(used)) }
                dd class="sub" { (speaks.word(if about { "use-estimated" } else { "use-of-all" })) }
            }
            div class="charge" {
                dt { (speaks.word("battery")) }
                dd { @match power { Some(power) => (watts(power)), None => "?" } }
                dd class="sub" { (words::flow(speaks, power)) }
            }
        }
        p class="said" {
            @match fresh(image.battery.voltage) {
                Some(volts) => (speaks.figure(format_args!("{volts:.1} V"))),
                None => (speaks.word("voltage-not-measured")),
            }
            @if let Some(celsius) = fresh(image.battery.temperature) { (format!(" · {celsius:.0} °C")) }
            @if view.decision.basis == Basis::ReserveRule {
                " · " (speaks.word("no-plan"))
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
    let (speaks, all) = (view.language, view.devices.len());
    html! {
        p {
            @if view.devices.is_empty() { (speaks.word("devices-none")) }
            @else if silent + unasked == 0 { (speaks.say("devices-all", &[("count", all.into())])) }
            @else {
                (speaks.say("devices-some", &[
                    ("count", count(Some(true)).into()), ("all", all.into()), ("unasked", unasked.into()),
                ]))
            }
        }
        ul class="plain" {
            @for device in view.devices.iter() {
                li {
                    (device.name) span class="model" { " " (device.model) }
                    span class={ "state " @if device.answers == Some(true) { "on" } @else { "off" } } {
                        (speaks.word(match device.answers {
                            Some(true) => "device-answers",
                            Some(false) => "device-silent",
                            None => "device-unasked",
                        }))
                    }
                }
            }
            @for meter in view.meters.iter() {
                li { (meter.name) span class="model" { " " (speaks.word("meter-counted")) " " } span class="state" { (words::energy(speaks, meter.wh)) } }
            }
        }
    }
}

fn foot(view: &View, access: Access) -> Markup {
    let (counts, speaks) = (view.counts, view.language);
    let values = [
        ("sheds", counts.sheds.into()),
        ("restores", counts.restores.into()),
        ("onnx", counts.onnx_forecasts.into()),
        ("baseline", counts.baseline_forecasts.into()),
    ];
    html! {
        @if access == Access::Session {
            form method="post" action="/lock" { button class="button" { (speaks.word("lock")) } }
        }
        p { (speaks.say("counts", &values)) }
    }
}
