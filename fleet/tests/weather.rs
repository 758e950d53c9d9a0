//! Weather comes from files into the lake, history apart from forecasts, and from there to each hub, by a real broker.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub, dead_code, reason = "a test")]

#[path = "ingest/broker.rs"]
mod broker;
#[path = "ingest/rows.rs"]
mod rows;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use broker::Mosquitto;
use rustix::process::{Pid, Signal, kill_process};
use sunkeep_fleet::clock::now_ms;
use sunkeep_models::bundle::Bundle;
use sunkeep_models::lake::{self, WEATHER, WEATHER_FORECASTS};
use sunkeep_models::wire::weather::{MOST_HOURS, MOST_WEATHER_BYTES, WeatherMessage};

const HOUR: i64 = 3_600_000;

#[allow(clippy::disallowed_methods, reason = "real processes take real time")]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[allow(clippy::disallowed_methods, reason = "real processes take real time")]
fn rest(time: Duration) {
    std::thread::sleep(time);
}

fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

fn fleet(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"));
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must go well.
fn run(folder: &Path, arguments: &str) -> String {
    let output = fleet(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", said(&output));
    said(&output)
}

/// As `curl 'https://api.open-meteo.com/v1/forecast?…&hourly=temperature_2m,shortwave_radiation,cloud_cover'` answers.
const ANSWER: &str = r#"{"latitude":-0.125,"longitude":34.75,"generationtime_ms":0.0869,"utc_offset_seconds":10800,
"timezone":"Africa/Nairobi","timezone_abbreviation":"GMT+3","elevation":1143.0,
"hourly_units":{"time":"iso8601","temperature_2m":"°C","shortwave_radiation":"W/m²","cloud_cover":"%"},
"hourly":{"time":["2026-01-31T23:00","2026-02-01T00:00","2026-02-01T01:00","2026-02-01T02:00","2026-02-01T03:00","2026-02-01T04:00"],
"temperature_2m":[18.0,19.0,null,17.0,16.0,16.5],"shortwave_radiation":[900.0,0.0,1.0,2.0,null,5000.0],"cloud_cover":[100,50,0,0,0,20]}}"#;

/// The rows of a table: of each its start in hours after the first, and what it says.
fn told(lake: &Path, table: &str) -> Vec<(i64, [String; 3])> {
    let mut rows: Vec<_> = rows::rows(lake, table)
        .into_iter()
        .map(|(_, row)| {
            let values = ["temperature_c", "irradiance_w_m2", "cloud_share"].map(|name| row[name].clone());
            (row["start"].parse::<i64>().unwrap(), values)
        })
        .collect();
    rows.sort();
    let first = rows[0].0;
    rows.into_iter().map(|(start, values)| ((start - first) / HOUR, values)).collect()
}

#[test]
fn an_answer_of_open_meteo_is_history_by_place_and_month() {
    let folder = tempfile::tempdir().unwrap();
    let (at, lake) = (folder.path(), folder.path().join("lake"));
    fs::write(at.join("past.json"), ANSWER).unwrap();
    let said = run(at, "weather import --lake lake --place kisumu --history past.json");
    let expected =
        "past.json: history of kisumu (-0.125, 34.75): 7 hours, 0 left out, 1 values that no weather can be";
    assert!(said.contains(expected), "{said}");
    // Radiation is of the hour before its time, temperature and clouds are of the moment; three hours before UTC.
    let expected = [
        ["-", "900", "-"],
        ["18.5", "0", "0.75"],
        ["19", "1", "0.25"],
        ["-", "2", "0"],
        ["16.5", "-", "0"],
        ["16.25", "-", "0.1"],
        ["16.5", "-", "0.2"],
    ];
    let expected: Vec<_> = (0..).zip(expected.map(|row| row.map(Into::into))).collect();
    assert_eq!(told(&lake, WEATHER), expected);
    let files = rows::files(&lake, "");
    let names: Vec<_> =
        files.iter().map(|path| path.strip_prefix(&lake).unwrap().display().to_string()).collect();
    assert_eq!(names, ["weather/kisumu/2026-01.parquet", "weather/kisumu/2026-02.parquet"]);
    let first = &rows::rows(&lake, WEATHER)[0].1;
    // 22:00 in Nairobi.
    assert_eq!((first["place"].as_str(), first["start"].as_str()), ("kisumu", "1769886000000"));
    for file in files {
        assert_eq!(rows::batches(&file)[0].schema(), lake::weather());
    }

    // The same again changes nothing; another file fills in and corrects, hour by hour.
    run(at, "weather import --lake lake --place kisumu --history past.json");
    assert_eq!(told(&lake, WEATHER), expected);
    let more = "start,cloud_share,irradiance_w_m2\n2026-01-31T19:00:00Z,0.5,\n1769900400,,7\n2026-01-31T22:00+01:00,,33\n";
    fs::write(at.join("more.csv"), more).unwrap();
    run(at, "weather import --lake lake --place kisumu --history more.csv");
    let now = told(&lake, WEATHER);
    assert_eq!(now[0], (0, ["-".into(), "900".into(), "0.5".into()]));
    assert_eq!(now[2], (2, ["19".into(), "33".into(), "0.25".into()]));
    assert_eq!(now[4], (4, ["16.5".into(), "7".into(), "0".into()]));
    assert_eq!(now.len(), 7);
}

/// A forecast, from some hours ago on; as curl brings it with `timeformat=unixtime`.
fn answer(first: i64, hours: i64, temperature: f64) -> String {
    let list = |value: &dyn Fn(i64) -> String| (0..hours).map(value).collect::<Vec<_>>().join(",");
    let (times, temperatures) =
        (list(&|hour| ((first + hour * HOUR) / 1000).to_string()), list(&|_| temperature.to_string()));
    let (sun, clouds) = (list(&|hour| (hour % 24 * 40).to_string()), list(&|hour| (hour % 101).to_string()));
    format!(
        r#"{{"latitude":1.0,"longitude":2.0,"utc_offset_seconds":19800,"timezone":"Asia/Kolkata","hourly_units":{{"time":"unixtime"}},
        "hourly":{{"time":[{times}],"temperature_2m":[{temperatures}],"shortwave_radiation":[{sun}],"cloud_cover":[{clouds}]}}}}"#
    )
}

#[test]
fn what_was_foretold_is_never_history() {
    let folder = tempfile::tempdir().unwrap();
    let (at, lake) = (folder.path(), folder.path().join("lake"));
    let now = now_ms();
    let hour = now.div_euclid(HOUR) * HOUR;
    fs::write(at.join("both.json"), answer(hour - 48 * HOUR, 96, 20.0)).unwrap();
    // The first mean of radiation is of the hour before. Of history those hours that are over, of a forecast the others.
    let history = run(at, "weather import --lake lake --place p --history both.json");
    assert!(history.contains("49 hours, 48 left out"), "{history}");
    let forecast = run(at, "weather import --lake lake --place p --forecast both.json");
    assert!(forecast.contains("48 hours, 49 left out"), "{forecast}");
    let past = rows::rows(&lake, WEATHER);
    assert!(past.iter().all(|(_, row)| row["start"].parse::<i64>().unwrap() + HOUR <= now_ms()));
    let ahead = rows::rows(&lake, WEATHER_FORECASTS);
    for (path, row) in &ahead {
        let [start, issued] = ["start", "issued"].map(|name| row[name].parse::<i64>().unwrap());
        assert!(start + HOUR > issued && (now..now + 60_000).contains(&issued), "{row:?}");
        let folder = format!("weather_forecasts/{}", lake::hour_folder(issued));
        assert_eq!(path.parent().unwrap().display().to_string(), folder);
    }
    assert_eq!(
        rows::batches(&rows::files(&lake, WEATHER_FORECASTS)[0])[0].schema(),
        lake::weather_forecasts()
    );

    // One that is issued again is another one; the same issue takes the place of the one before.
    for issued in ["2026-01-01T06:00Z", "2026-01-01T06:00Z", "2026-01-01T12:00Z"] {
        run(at, &format!("weather import --lake lake --place p --forecast --issued {issued} both.json"));
    }
    assert_eq!(rows::files(&lake, WEATHER_FORECASTS).len(), 3);
    fs::write(at.join("old.json"), ANSWER).unwrap();
    fs::write(at.join("new.json"), answer(hour + 2 * HOUR, 5, 20.0)).unwrap();
    let refused = [
        ("--forecast old.json", "all of these hours were over"),
        ("--history new.json", "none of these hours is over"),
        ("--forecast --issued 2099-01-01T00:00Z both.json", "expected a moment before now"),
        ("--forecast --issued yesterday both.json", "expected as in 2026-11-22T06:00Z"),
    ];
    for (arguments, expected) in refused {
        let output = fleet(at, &format!("weather import --lake lake --place p {arguments}"));
        assert!(
            !output.status.success() && said(&output).contains(expected),
            "{arguments}: {}",
            said(&output)
        );
    }
    assert_eq!(rows::files(&lake, WEATHER_FORECASTS).len(), 3);
}

#[test]
fn what_is_no_weather_is_refused_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let with = |from: &str, to: &str| {
        assert!(ANSWER.contains(from), "{from}");
        ANSWER.replacen(from, to, 1)
    };
    let rows = [
        (
            r#"{"error":true,"reason":"Latitude must be in range"}"#.to_owned(),
            "read \"Latitude must be in range\"",
        ),
        (format!("[{ANSWER}]"), "a list of locations"),
        ("{\"latitude\":".into(), "expected Open-Meteo's JSON"),
        ("{}".into(), "no \\\"hourly\\\""),
        (with("\"°C\"", "\"°F\""), "hourly_units.temperature_2m: read \"°F\", expected °C"),
        (with("900.0,", ""), "hourly.shortwave_radiation: read \"5 values\", expected 6 numbers"),
        (with("900.0,", "true,"), "hourly.shortwave_radiation: read \"true\""),
        (with("2026-01-31T23:00", "2026-01-31T23:30"), "hourly.time[0]: read \"2026-01-31T23:30, 10800 s"),
        (with(":10800", ":19800"), "expected whole hours of UTC, as by timezone=GMT"),
        (with(":10800", ":9223372036854775807"), "utc_offset_seconds"),
        ("start,wind\n".into(), "line 1: read \"start,wind\""),
        ("temperature_c\n1\n".into(), "line 1: read \"temperature_c\""),
        ("start,temperature_c\n2026-01-31T23:00,4\n".into(), "line 2: read \"2026-01-31T23:00\""),
        ("start,temperature_c\n1769886000,cold\n".into(), "line 2, temperature_c: read \"cold\""),
        ("start,temperature_c\n1769886000,1,2\n".into(), "line 2: read"),
        ("start,temperature_c\n1769886000,99\n".into(), "no hour"),
        (String::new(), "line 1: read \"\""),
    ];
    for (text, expected) in rows {
        fs::write(at.join("file"), &text).unwrap();
        let output = fleet(at, "weather import --lake lake --place p --history file");
        let refused = !output.status.success() && said(&output).contains(expected);
        assert!(refused && said(&output).contains("file: "), "{expected}: {}", said(&output));
    }
    fs::write(at.join("file"), ANSWER).unwrap();
    let output = fleet(at, "weather import --lake lake --place ../p --history file");
    assert!(said(&output).contains("--place \"../p\""), "{}", said(&output));
    assert!(rows::files(&at.join("lake"), "").is_empty());
}

/// What the broker keeps for a hub, as the hub hears it with its own certificate.
fn heard(at: &Path, port: u16, hub: &str, topic: &str) -> Vec<u8> {
    let bundle: Bundle =
        toml::from_str(&fs::read_to_string(at.join(format!("f/hubs/{hub}.toml"))).unwrap()).unwrap();
    let file = |name: &str, text: &str| {
        let path = at.join(format!("{hub}.{name}"));
        fs::write(&path, text).unwrap();
        path
    };
    let mut hear = Command::new("mosquitto_sub");
    hear.args([
        "-h",
        "localhost",
        "-p",
        &port.to_string(),
        "-t",
        topic,
        "-C",
        "1",
        "-W",
        "4",
        "-N",
        "--cafile",
    ]);
    hear.arg(at.join("f/ca.pem")).arg("--cert").arg(file("pem", &bundle.certificate));
    hear.arg("--key").arg(file("key", &bundle.key));
    hear.output().unwrap().stdout
}

#[test]
fn each_hub_is_told_the_weather_of_its_own_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fs::write(at.join("told.csv"), "site,place\na,lake\nb,hill\nc,\nd,lake\ne,moon\n").unwrap();
    let provision = "provision --fleet f --names told.csv --zone UTC --broker";
    run(at, &format!("{provision} mqtts://localhost:{port}"));
    run(at, "revoke --fleet f d");
    let Some(_broker) = Mosquitto::of_fleet(&at.join("f"), port) else { return };
    let now = now_ms();
    let hour = now.div_euclid(HOUR) * HOUR;
    for (place, temperature) in [("lake", 20.0), ("hill", -7.25)] {
        fs::write(at.join("file"), answer(hour - 10 * HOUR, 24 * 16, temperature)).unwrap();
        run(at, &format!("weather import --lake l --place {place} --forecast file"));
    }
    // An older one that comes later does not count.
    run(at, "weather import --lake l --place hill --forecast --issued 2026-01-01T00:00Z file");
    let send = format!("weather send --fleet f --lake l --broker mqtts://localhost:{port}");
    let output = fleet(at, &send);
    assert!(!output.status.success(), "one place is not known: {}", said(&output));
    assert!(said(&output).contains("moon: no forecast of it is in the lake"), "{}", said(&output));
    assert!(said(&output).contains("2 hubs told, in ") && said(&output).contains("1 hubs are at no place"));
    for (hub, place, temperature) in [("a", "lake", 20.0), ("b", "hill", -7.3)] {
        let bytes = heard(at, port, hub, &format!("sunkeep/v1/{hub}/down/weather"));
        assert!(bytes.len() <= MOST_WEATHER_BYTES, "{}", bytes.len());
        let message = WeatherMessage::read(&bytes).unwrap();
        println!("{hub}: {} bytes", bytes.len());
        assert_eq!((message.place.as_str(), message.hours()), (place, MOST_HOURS));
        assert_eq!(message.temperature_c[3], Some(temperature));
        assert!([hour, hour + HOUR].contains(&(message.start * 1000)));
        assert!(message.issued * 1000 <= now_ms() && message.issued * 1000 >= now - 1000);
        assert!(message.irradiance_w_m2.iter().all(Option::is_some) && message.cloud_share[0].is_some());
    }
    // Nobody hears what another is told, and who was taken back is told nothing.
    assert_eq!(heard(at, port, "a", "sunkeep/v1/b/down/weather"), b"");
    // Who may not write is told so, and nothing passes for done.
    for end in ["pem", "key"] {
        fs::copy(at.join(format!("f/ingest.{end}")), at.join(format!("f/operator.{end}"))).unwrap();
    }
    let output = fleet(at, &send);
    assert!(
        said(&output).contains("it refuses sunkeep/v1/") && !said(&output).contains("hubs told"),
        "{}",
        said(&output)
    );
}
