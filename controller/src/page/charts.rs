//! The charts of the page: what is expected, and what was. Drawn when what they show changes, not for
//! every visitor.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use maud::{Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};
use sunkeep_core::settings::Tier;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::time::{HORIZON, SLOT_SECONDS};

use super::chart::{self, Band, Chart, Line, Scale};
use super::held::held;
use super::words;
use crate::language::Language;
use crate::view::{Forecasts, POINT_MINUTES, Point, View};

/// Points of the past that become one of a chart: a screen has fewer columns than two days have points.
const POINTS_A_MARK: usize = 3;
/// Points further apart are not joined: the hub was off.
const GAP: i64 = (POINTS_A_MARK as i64 + 3) * POINT_MINUTES * 60;
const TWO_DAYS: i64 = 2 * 86_400;

/// The charts as they were last drawn.
#[derive(Default)]
pub(super) struct Charts {
    drawn: Mutex<Option<(String, Arc<str>)>>,
}

impl Charts {
    /// The charts of this view and what they were drawn from, which changes when they do.
    pub(super) fn of(&self, view: &View) -> (String, Arc<str>) {
        let version = version(view);
        let mut drawn = held(&self.drawn);
        if let Some((known, html)) = &*drawn
            && *known == version
        {
            return (version, Arc::clone(html));
        }
        let html: Arc<str> = html! { (future(view)) (past(view)) }.into_string().into();
        *drawn = Some((version.clone(), Arc::clone(&html)));
        (version, html)
    }
}

fn version(view: &View) -> String {
    let mut version = String::from(view.language.tag());
    if let (Some(first), Some(last)) = (view.past.first(), view.past.last()) {
        let _ = write!(version, "-{}-{}-{}", first.unix, last.unix, view.past.len());
    }
    if let Some(forecasts) = &view.forecasts {
        let plan = &forecasts.outlook.plan;
        let _ = write!(version, "-{}-{}-{}", plan.issued.0, plan.made.0, forecasts.load_by);
    }
    // A digest, for a name that somebody chose has no place in an address.
    words::hex(&Sha256::digest(&version)[..8])
}

fn figure(
    language: Language,
    caption: &str,
    legend: &[(&str, &str)],
    chart: &Chart<'_>,
    said: &str,
) -> Markup {
    html! {
        figure {
            figcaption {
                b { (language.word(caption)) }
                @for (class, name) in legend { span class="key" { i class=(class) {} (language.word(name)) } }
            }
            @match chart.svg() {
                Some(svg) => (PreEscaped(svg)),
                None => p { (language.word("chart-not-drawn")) },
            }
            @if !said.is_empty() { p class="said" { (words::tied(said)) } }
        }
    }
}

fn future(view: &View) -> Markup {
    let speaks = view.language;
    let Some(forecasts) = &view.forecasts else {
        return html! {
            section aria-labelledby="next" {
                h2 id="next" { (speaks.word("next-days")) }
                p { (speaks.word("no-forecast")) }
            }
        };
    };
    let by = match forecasts.load_by.as_str() {
        "adaptive" => speaks.word("method-adaptive"),
        other => other.to_owned(),
    };
    let worth = worth(speaks, forecasts.skill, forecasts.sun_skill);
    html! {
        section aria-labelledby="next" {
            h2 id="next" { (speaks.word("next-days")) }
            (expected_charge(view, forecasts))
            (expected_power(view, forecasts))
            p class="said" { (speaks.say("bands", &[("method", by.into())])) " " (worth) }
        }
    }
}

/// What the forecasts of use and of the sun were worth, in words; nothing on a young site.
fn worth(language: Language, load: Option<f64>, sun: Option<f64>) -> String {
    let told = |skill: f64| {
        let share = [("share", format!("{:.0} %", skill.abs() * 100.0).into())];
        language.say(if skill < 0.0 { "worth-larger" } else { "worth-smaller" }, &share)
    };
    match (load.map(told), sun.map(told)) {
        (Some(load), Some(sun)) => language.say("worth-both", &[("load", load.into()), ("sun", sun.into())]),
        (Some(load), None) => language.say("worth-load", &[("load", load.into())]),
        (None, Some(sun)) => language.say("worth-sun", &[("sun", sun.into())]),
        (None, None) => String::new(),
    }
}

fn expected_charge(view: &View, forecasts: &Forecasts) -> Markup {
    let (outlook, speaks) = (&forecasts.outlook, view.language);
    let start = |slot: usize| outlook.plan.issued.plus(slot as i64).start();
    let expected: Vec<_> =
        outlook.expected.iter().enumerate().map(|(slot, charge)| (start(slot), charge.ratio())).collect();
    let keep = outlook
        .keep
        .iter()
        .enumerate()
        .filter_map(|(slot, keep)| keep[Tier::Important.place()].map(|keep| (start(slot), keep.ratio())));
    let lowest = expected.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
    let said = lowest.map_or(String::new(), |(unix, ratio)| {
        let now = view.image.wall.map_or(start(0), |wall| wall.unix);
        let moment = words::moment(speaks, &view.zone, now, unix);
        let values = [("charge", words::percent(ratio).into()), ("moment", moment.into())];
        speaks.say("chart-lowest-about", &values)
    });
    let chart = Chart {
        zone: &view.zone,
        language: speaks,
        from: start(0),
        to: start(HORIZON),
        scale: Scale::Share,
        bands: Vec::new(),
        gap: SLOT_SECONDS,
        label: speaks.word("chart-expected-charge") + " " + &said,
        lines: vec![
            Line { color: chart::KEEP, width: 2, points: keep.collect() },
            Line { color: chart::CHARGE, width: 4, points: expected },
        ],
    };
    let legend = [("charge", "key-expected"), ("keep", "key-needed")];
    figure(speaks, "battery", &legend, &chart, &said)
}

fn expected_power(view: &View, forecasts: &Forecasts) -> Markup {
    let (load, sun) = (&forecasts.load, &forecasts.sun);
    let most = load.p90.iter().chain(&sun.p90).copied().fold(0.0_f32, f32::max);
    let start = forecasts.outlook.plan.issued;
    let speaks = view.language;
    let energy = |watts: &[f32]| energy(speaks, watts).into();
    let said = speaks.say("chart-expected-energy", &[("sun", energy(&sun.p50)), ("used", energy(&load.p50))]);
    let chart = Chart {
        zone: &view.zone,
        language: speaks,
        from: start.start(),
        to: start.plus(HORIZON as i64).start(),
        scale: Scale::Watts(f64::from(most)),
        bands: vec![band(chart::SUN, sun), band(chart::LOAD, load)],
        gap: SLOT_SECONDS,
        label: speaks.word("chart-expected-power") + " " + &said,
        lines: vec![median(chart::SUN, sun), median(chart::LOAD, load)],
    };
    figure(speaks, "sun-and-use", &[("sun", "key-sun"), ("load", "key-use")], &chart, &said)
}

/// Energy of a forecast's slots.
fn energy(language: Language, watts: &[f32]) -> String {
    let hours = SLOT_SECONDS as f64 / 3600.0;
    let sum: f64 = watts.iter().map(|watts| f64::from(*watts) * hours).sum();
    if sum < 9_950.0 {
        language.figure(format_args!("{:.1} kWh", sum / 1000.0))
    } else {
        format!("{:.0} kWh", sum / 1000.0)
    }
}

fn band(color: plotters::style::RGBColor, forecast: &Forecast) -> Band {
    let ends = forecast.p10.iter().zip(&forecast.p90).enumerate();
    let points = ends.map(|(slot, (low, high))| (middle(forecast, slot), f64::from(*low), f64::from(*high)));
    Band { color, points: points.collect() }
}

fn median(color: plotters::style::RGBColor, forecast: &Forecast) -> Line {
    let points =
        forecast.p50.iter().enumerate().map(|(slot, watts)| (middle(forecast, slot), f64::from(*watts)));
    Line { color, width: 3, points: points.collect() }
}

/// A slot's mean belongs to its middle.
fn middle(forecast: &Forecast, slot: usize) -> i64 {
    forecast.issued.plus(slot as i64).start() + SLOT_SECONDS / 2
}

/// Some points of the past as one.
struct Mark {
    unix: i64,
    low: f64,
    best: f64,
    high: f64,
    sun: Option<f64>,
    load: Option<f64>,
}

fn marks(past: &[Point]) -> Vec<Mark> {
    past.chunks(POINTS_A_MARK)
        .map(|points| {
            let mean = |value: fn(&Point) -> Option<f32>| {
                let known: Vec<f64> = points.iter().filter_map(value).map(f64::from).collect();
                (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
            };
            Mark {
                unix: points[points.len() / 2].unix,
                low: points.iter().map(|point| f64::from(point.low)).fold(1.0, f64::min),
                best: mean(|point| Some(point.best)).unwrap_or(0.0),
                high: points.iter().map(|point| f64::from(point.high)).fold(0.0, f64::max),
                sun: mean(|point| point.sun),
                load: mean(|point| point.load),
            }
        })
        .collect()
}

fn past(view: &View) -> Markup {
    let speaks = view.language;
    let Some(last) = view.past.last().filter(|_| view.past.len() > 1) else {
        return html! {
            section aria-labelledby="last" {
                h2 id="last" { (speaks.word("last-days")) }
                p { (speaks.word("nothing-recorded")) }
            }
        };
    };
    let (marks, to) = (marks(&view.past), last.unix);
    html! {
        section aria-labelledby="last" {
            h2 id="last" { (speaks.word("last-days")) }
            (past_charge(view, &marks, to))
            (past_power(view, &marks, to))
        }
    }
}

fn past_charge(view: &View, marks: &[Mark], to: i64) -> Markup {
    let speaks = view.language;
    let said = |mark: Option<&Mark>, word: &str| {
        mark.map_or(String::new(), |mark| {
            let moment = words::moment(speaks, &view.zone, i64::MIN, mark.unix);
            speaks.say(word, &[("charge", words::percent(mark.best).into()), ("moment", moment.into())])
        })
    };
    let by_charge = |a: &&Mark, b: &&Mark| a.best.total_cmp(&b.best);
    let said = [
        said(marks.iter().min_by(by_charge), "chart-lowest"),
        said(marks.iter().max_by(by_charge), "chart-highest"),
    ]
    .join(" ");
    let chart = Chart {
        zone: &view.zone,
        language: speaks,
        from: to - TWO_DAYS,
        to,
        scale: Scale::Share,
        bands: vec![Band {
            color: chart::CHARGE,
            points: marks.iter().map(|mark| (mark.unix, mark.low, mark.high)).collect(),
        }],
        lines: vec![Line {
            color: chart::CHARGE,
            width: 4,
            points: marks.iter().map(|mark| (mark.unix, mark.best)).collect(),
        }],
        gap: GAP,
        label: speaks.word("chart-past-charge") + " " + &said,
    };
    figure(speaks, "battery", &[("charge", "key-charge")], &chart, &said)
}

fn past_power(view: &View, marks: &[Mark], to: i64) -> Markup {
    let speaks = view.language;
    let line = |color, value: fn(&Mark) -> Option<f64>| Line {
        color,
        width: 3,
        points: marks.iter().filter_map(|mark| Some((mark.unix, value(mark)?))).collect(),
    };
    let most = marks.iter().flat_map(|mark| [mark.sun, mark.load]).flatten().fold(0.0, f64::max);
    let chart = Chart {
        zone: &view.zone,
        language: speaks,
        from: to - TWO_DAYS,
        to,
        scale: Scale::Watts(most),
        bands: Vec::new(),
        lines: vec![line(chart::SUN, |mark| mark.sun), line(chart::LOAD, |mark| mark.load)],
        gap: GAP,
        label: speaks.say("chart-past-power", &[("power", words::power(speaks, most).into())]),
    };
    figure(speaks, "sun-and-use", &[("sun", "key-sun"), ("load", "key-use")], &chart, "")
}
