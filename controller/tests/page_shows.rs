//! What the page shows, read over a real socket.

mod page_client;
mod page_home;

use std::collections::BTreeSet;
use std::sync::Arc;

use page_client::{serve, serve_home};
use page_home::{EVENING, Home, loads};
use serde_json::Value;
use sunkeep::language::{Clock, Language, sentence};
use sunkeep::page::Limits;
use sunkeep_core::decision::Alarm;
use sunkeep_core::image::Request;
use sunkeep_models::quantity::{Celsius, Seconds, Watts};

#[tokio::test]
async fn the_page_tells_charge_sun_loads_by_tier_and_why_one_is_off() {
    let home = Home::dull();
    let page = serve_home(&home, None).await;
    let answer = page.get("/", "").await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let charge = home.view.decision.charge;
    let clock = Clock { unix: home.image.wall.map(|wall| wall.unix), utc_offset: home.image.utc_offset };
    let why = sentence(Language::English, &home.settings.loads[4], &home.view.decision.loads[4], clock);
    assert!(why.starts_with("TV off until ") && why.contains(" % left, "), "{why}");
    assert!(why.ends_with("needed for the critical and important loads."), "{why}");
    for expected in [
        &format!("sure to lie between {} and {}", charge.low, charge.high),
        &why.replace("TV off", "Off"),
        "Probably: Lights and Medicine fridge should last the night.",
        "13.0 V",
        "supplying",
        "Critical",
        "Convenience",
        "Thermometer does not answer. No reply for 12 min; check its wiring",
        "3 of 4 devices answer.",
        "main meter, counted so far 12.3 kWh",
        "Next two days",
        "Last two days",
        "Lowest",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in {text}");
    }
    assert_eq!(answer.body.matches("<svg role=\"img\"").count(), 4, "four charts");
    assert_eq!(answer.body.matches("<h1>").count(), 1);
    assert!(!answer.body.contains("//"), "nothing names another host");
}

#[tokio::test]
async fn the_whole_first_page_takes_less_than_60_kilobytes() {
    let page = serve_home(&Home::new(0.45), Some("1234")).await;
    let answer = page.get("/", "").await;
    let bytes = answer.head.len() + 4 + answer.body.len();
    println!("first page: {bytes} bytes in one answer");
    assert!(bytes < 60_000, "{bytes}");
}

#[tokio::test]
async fn the_first_glance_follows_the_charge() {
    for (charge, tone, begins) in [
        (0.90, "good", "Yes: Lights and Medicine fridge will last the night."),
        (0.45, "watch", "Probably: "),
        (0.24, "bad", "Perhaps not: "),
    ] {
        let page = serve_home(&Home::new(charge), None).await;
        let answer = page.get("/", "").await;
        assert!(answer.body.contains(&format!("class=\"answer {tone}\"")), "{charge}");
        assert!(answer.text().contains(begins), "{charge}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_wish_that_eats_the_reserve_is_counted_in_the_answer() {
    let mut home = Home::new(0.50);
    let before = serve_home(&home, None).await.get("/", "").await;
    assert!(before.body.contains("class=\"answer good\""), "{}", before.text());
    home.ask(Request::KeepOn { load: 5, span: Seconds(3600.0) });
    home.cycle();
    let after = serve_home(&home, None).await.get("/", "").await;
    assert!(after.body.contains("class=\"answer bad\""), "{}", after.text());
    let text = after.text();
    assert!(
        text.contains("What persons asked to stay on takes ") && text.contains(" % of the battery."),
        "{text}"
    );
}

#[tokio::test]
async fn an_empty_battery_and_a_fault_are_told() {
    let mut home = Home::new(0.02);
    assert_eq!(home.view.decision.alarm, Some(Alarm::BatteryEmpty));
    home.view.faults = Arc::new(vec!["The journal cannot be written: disk full.".into()]);
    let text = serve_home(&home, None).await.get("/", "").await.text();
    assert!(text.contains("Alarm. The battery is nearly empty: all loads are off to save it."), "{text}");
    assert!(text.contains("Fault. The journal cannot be written: disk full."), "{text}");
    assert!(text.contains("The battery is nearly empty. Everything is off to save it."), "{text}");
}

#[tokio::test]
async fn without_time_or_forecast_it_does_not_pretend_to_know() {
    let mut home = Home::new(0.9);
    home.view.forecasts = None;
    let text = serve_home(&home, None).await.get("/", "").await.text();
    assert!(text.contains("Whether it lasts the night is not known yet."), "{text}");
    assert!(text.contains("No forecast has been made yet."), "{text}");
    home.image.wall = None;
    home.cycle();
    let text = serve_home(&home, None).await.get("/", "").await.text();
    assert!(text.contains("The time of day is not known."), "{text}");
    assert!(text.contains("time unknown"), "{text}");
}

#[tokio::test]
async fn a_hub_that_is_stuck_is_told_at_once_and_when_it_goes_on() {
    let home = Home::new(0.9);
    let page = serve_home(&home, None).await;
    assert_eq!(page.get("/api/healthz", "").await.status, 200);
    page.advance(5);
    assert!(!page.get("/", "").await.text().contains("The hub is stuck"));
    page.advance(3);
    let text = page.get("/", "").await.text();
    assert!(text.contains("The hub is stuck. It last reported 8 s ago."), "{text}");
    assert!(text.contains("Not known now: the hub is stuck."), "{text}");
    let health = page.get("/api/healthz", "").await;
    assert_eq!((health.status, health.body.contains("\"stuck\"")), (503, true));
    page.publish.send_replace(home.publish());
    tokio::task::yield_now().await;
    assert_eq!(page.get("/api/healthz", "").await.status, 200);
    assert!(page.get("/", "").await.text().contains("Yes: "));
}

#[tokio::test]
async fn before_the_first_cycle_it_says_that_the_hub_starts() {
    let page = serve(None, "127.0.0.1:0", None, Limits::default()).await;
    for path in ["/", "/live", "/api/view", "/api/healthz", "/keep?load=4"] {
        let answer = page.get(path, "").await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.body.contains("starting"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn names_are_shown_and_never_run() {
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let mut loads = loads();
    for load in &mut loads {
        load.label = evil.into();
    }
    let mut home = Home::with(loads, 0.45, EVENING);
    home.view.site = evil.into();
    home.view.faults = Arc::new(vec![evil.into()]);
    let mut devices = (*home.view.devices).clone();
    for device in &mut devices {
        (device.name, device.model, device.why) = (evil.into(), evil.into(), evil.into());
        device.answers = Some(false);
    }
    home.view.devices = Arc::new(devices);
    let mut forecasts = (**home.view.forecasts.as_ref().expect("made")).clone();
    forecasts.load_by = evil.into();
    home.view.forecasts = Some(Arc::new(forecasts));
    let page = serve_home(&home, None).await;
    for path in ["/", "/keep?load=4", "/release?load=4", "/live", "/api/view"] {
        let answer = page.get(path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        if path.starts_with("/api") {
            assert_eq!(answer.header("content-type"), Some("application/json"));
            continue;
        }
        assert!(!answer.body.contains("<script>alert"), "{path}");
        assert!(!answer.body.contains("<img"), "{path}");
        assert!(answer.body.contains("&lt;script&gt;alert(1)"), "{path}");
    }
}

#[tokio::test]
async fn the_script_gets_every_part_and_the_charts_only_when_they_changed() {
    let page = serve_home(&Home::new(0.45), None).await;
    let first = page.get("/live", "").await;
    let live: Value = serde_json::from_str(&first.body).expect("JSON");
    let whole = page.get("/", "").await.body;
    let parts = live["parts"].as_object().expect("parts");
    assert!(parts.contains_key("load4") && parts.contains_key("answer") && parts.contains_key("charts"));
    for (id, html) in parts {
        assert!(whole.contains(&format!("id=\"{id}\"")), "the page has no place for {id}");
        assert!(whole.contains(html.as_str().expect("html")), "{id} differs from the page");
    }
    let charts = live["charts"].as_str().expect("a version");
    let again = page.get(&format!("/live?charts={charts}"), "").await;
    assert!(!again.body.contains("<svg role=") && again.body.len() < first.body.len() / 2);
}

#[tokio::test]
async fn every_field_of_the_api_is_described_and_every_description_has_a_field() {
    let mut home = Home::dull();
    home.view.faults = Arc::new(vec!["one".into()]);
    Arc::make_mut(&mut home.view.decision).needs.takes = Some((Watts(0.0), Celsius(-3.0)));
    let page = serve_home(&home, None).await;
    assert!(
        page.get("/", "").await.body.contains("takes no charge"),
        "the page says what the battery refuses"
    );
    let document: Value = serde_json::from_str(&page.get("/api/view", "").await.body).expect("JSON");
    let mut found = BTreeSet::new();
    paths(&document, "", &mut found);
    let described = page.get("/api", "").await;
    let described: BTreeSet<_> = described
        .body
        .split("<code>")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("</code>")?.0.to_owned()))
        .filter(|path| path != "forecast")
        .collect();
    assert_eq!(found, described);
    assert_eq!(document["loads"][4]["reason"], "reserve held");
    let figures = document["loads"][4]["figures"].as_array().expect("figures");
    let figure =
        |name: &str| figures.iter().find(|figure| figure["name"] == name).and_then(|it| it["value"].as_f64());
    assert!(figure("left") < figure("keep") && figure("until_unix_s") > Some(1.7e9), "{figures:?}");
    assert_eq!(document["forecast"]["sun_p90_w"].as_array().map(Vec::len), Some(96));
    let charge = document["battery"]["charge_low"].as_f64().expect("a number");
    assert!((0.40..0.45).contains(&charge), "{charge}");
}

/// Paths of all values, `[]` for the items of a list.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{path}[]"), found)),
        _ => {
            found.insert(path.into());
        }
    }
}

#[tokio::test]
async fn every_answer_forbids_framing_guessing_caching_and_foreign_code() {
    let page = serve_home(&Home::new(0.45), None).await;
    for path in
        ["/", "/live", "/keep?load=4", "/api", "/api/view", "/api/healthz", "/nothing", "/keep?load=99"]
    {
        let answer = page.get(path, "").await;
        let policy = answer.header("content-security-policy").expect(path);
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
    }
    assert_eq!(page.get("/nothing", "").await.status, 404);
    assert_eq!(page.post("/api/view", "", "").await.status, 405);
}

/// What the page says in a language, and what it asks before a load is kept on.
async fn told_in(language: Language) -> (String, String) {
    let mut home = Home::dull();
    home.view.language = language;
    let page = serve_home(&home, Some("1234")).await;
    let answer = page.get("/", "").await;
    assert!(answer.body.contains(&format!("<html lang=\"{}\">", language.tag())), "{}", answer.body);
    (answer.text(), page.get("/keep?load=4", "").await.text())
}

#[tokio::test]
async fn a_household_is_spoken_to_in_its_language() {
    let languages = Language::ALL.into_iter().filter(|language| *language != Language::English);
    let (english, question) = told_in(Language::English).await;
    let own = [
        ("Sans doute", "il faut", "Au plus bas", "Garder TV en marche"),
        ("Huenda", "inahitajika", "Chini kabisa", "TV ibaki imewashwa"),
        ("शायद", "चाहिए", "सबसे कम", "TV एक घंटा चालू"),
    ];
    for (language, (likely, needed, lowest, keep)) in languages.zip(own) {
        let (said, asked) = told_in(language).await;
        for part in [likely, needed, lowest] {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
        assert!(asked.contains(keep), "{keep} is missing in {asked}");
        // Names, figures and what devices say of themselves stay; the words of the hub do not.
        for word in [
            "battery",
            "Probably",
            " left",
            "needed",
            "Keep on",
            "Lowest",
            "Expected",
            "devices answer",
            "kept on",
        ] {
            let held = |text: &str| text.to_lowercase().contains(&word.to_lowercase());
            assert!(held(&english) || held(&question), "{word} is no word of the page");
            assert!(!held(&said) && !held(&asked), "{word} is English, in {said} {asked}");
        }
    }
}
