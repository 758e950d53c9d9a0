//! A simulated day in lock-step: the same seed gives the same day, and its journal decides the same again.

use core::time::Duration;
use std::ffi::OsStr;

use rusqlite::Connection;
use serde_json::Value;
use sunkeep_simulator::home::HomeOptions;
use sunkeep_simulator::lockstep::{Schedule, Server};
use sunkeep_simulator::plant::Summary;
use sunkeep_tests::house::House;
use sunkeep_tests::hub::{Hub, command};

use super::HUB;

const SCHEDULE: Schedule = Schedule {
    step: Duration::from_mins(1),
    ticks: 24 * 60,
    patience: Duration::from_mins(1),
    pace: Duration::ZERO,
};

/// A day of the home of this seed; what plant and hub say of it.
async fn day(seed: u64) -> (House, Summary, Value) {
    let house = House::standing_still(seed, 0.5, |dir| HomeOptions::usual(dir).over_tcp()).await;
    let server = Server::bind(0).await.unwrap();
    let address = server.address().unwrap().to_string();
    let config = house.write(&house.table());
    let mut hub = Hub::run_with(HUB, &config, house.page(), &["--lockstep", &address], &[]);
    let told = server.run(house.home(), SCHEDULE, |_| {}).await.unwrap();
    assert_eq!(hub.ended(Duration::from_secs(20)).await.code(), Some(0));
    let summary = house.home().summary(SCHEDULE.step);
    (house, summary, told)
}

async fn replay(house: &House) -> (Option<i32>, String) {
    let journal = house.journal();
    let output = command(HUB, &[OsStr::new("replay"), OsStr::new("--journal"), journal.as_os_str()]).await;
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What `sunkeep explain` says of a moment.
async fn explain(house: &House, at: &str, more: &[&str]) -> (Option<i32>, String) {
    let journal = house.journal();
    let arguments = ["explain", "--at", at, "--journal"].map(OsStr::new);
    let more: Vec<_> = more.iter().map(OsStr::new).collect();
    let output = command(HUB, &[&arguments[..], &[journal.as_os_str()], &more[..]].concat()).await;
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A moment for programs holds what it says in words.
fn says_the_same(moment: &Value, words: &str) {
    for load in moment["loads"].as_array().unwrap() {
        assert!(words.contains(load["sentence"].as_str().unwrap()), "{load}\n{words}");
    }
    let charge = moment["battery"]["charge_best"].as_f64().unwrap();
    assert!(words.contains(&format!("battery  {:.0} %", charge * 100.0)), "{charge}\n{words}");
    assert_eq!(moment["basis"] == "plan", words.contains("A plan of "), "{moment}\n{words}");
    assert_eq!(moment["plan"].is_null(), words.contains("No plan held"), "{moment}\n{words}");
    let costs = moment["plan"]["expected_cost_kwh_by_tiers_served"].as_array();
    for cost in costs.into_iter().flatten() {
        assert!(words.contains(&format!("{:8.3}", cost.as_f64().unwrap())), "{cost}\n{words}");
    }
}

/// What `sunkeep plan` says of the coming days.
async fn plan(house: &House, more: &[&str]) -> (Option<i32>, String) {
    let config = house.dir().join("hub.toml");
    let more: Vec<_> = more.iter().map(OsStr::new).collect();
    let arguments = [&[OsStr::new("plan"), OsStr::new("--config"), config.as_os_str()], &more[..]].concat();
    let output = command(HUB, &arguments).await;
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Two days in half hours: each with a charge, quantiles in order, and a level where a tier has one.
fn holds_two_days(plan: &Value) {
    let slots = plan["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 96, "{plan}");
    assert_eq!(slots[0]["charge"], plan["charge"]["best"], "it starts from what was seen last");
    for pair in slots.windows(2) {
        assert_eq!(pair[1]["start"].as_i64().unwrap() - pair[0]["start"].as_i64().unwrap(), 1800);
    }
    for slot in slots {
        for of in ["sun_w", "load_w"] {
            let [low, middle, high] = ["p10", "p50", "p90"].map(|part| slot[of][part].as_f64().unwrap());
            assert!(0.0 <= low && low <= middle && middle <= high, "{slot}");
        }
        let [critical, convenience] = ["critical", "convenience"].map(|tier| &slot["tiers"][tier]);
        let level = |tier: &Value| tier["shed_below"].as_f64().unwrap_or(0.0);
        assert!(level(critical) <= level(convenience), "what can wait is shed first: {slot}");
    }
    let sun = slots.iter().map(|slot| slot["sun_w"]["p50"].as_f64().unwrap());
    assert!(sun.sum::<f64>() > 100.0, "two days without any sun: {plan}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_day_and_its_journal_the_same_decisions() {
    let start = sunkeep_tests::now();
    let ((house, one, told), (_other, two, told_again)) = tokio::join!(day(62), day(62));
    println!("two days at once took {:.1} s: {told}", start.elapsed().as_secs_f64());
    assert_eq!(one, two, "the plant saw the same");
    assert_eq!(told, told_again, "and the hub did the same");
    let counts = &told["counts"];
    assert_eq!(counts["cycles"], SCHEDULE.ticks);
    assert!(counts["sheds"].as_u64().unwrap() > 0, "a day without sheds tests little: {told}");
    assert!(counts["restores"].as_u64().unwrap() > 0, "{told}");

    let (code, said) = replay(&house).await;
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!(" {} cycles decided again", SCHEDULE.ticks)), "{said}");
    assert!(said.contains("0 mismatches, 0 blocks that cannot be read"), "{said}");

    let (code, said) = explain(&house, "1970-01-01", &[]).await;
    assert_eq!(code, Some(1), "{said}");
    let (_, newest) = said.split_once(" to ").unwrap();
    let (code, said) = explain(&house, &newest[..16], &[]).await;
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    for part in ["battery  ", "sun  ", "shed below ", "Television o"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, as_json) = explain(&house, &newest[..16], &["--json"]).await;
    assert_eq!(code, Some(0), "{as_json}");
    says_the_same(&serde_json::from_str(&as_json).unwrap(), &said);

    let before = std::fs::read(house.journal()).unwrap();
    let (code, said) = plan(&house, &["--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    holds_two_days(&serde_json::from_str(&said).unwrap());
    let (code, said) = plan(&house, &[]).await;
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches(":30  ").count() + said.matches(":00  ").count(), 96, "{said}");
    assert!(said.contains("the next best would have cost"), "{said}");
    assert_eq!(std::fs::read(house.journal()).unwrap(), before, "nothing is written");

    flip_a_byte(&house);
    let (code, said) = replay(&house).await;
    println!("{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 blocks that cannot be read"), "{said}");
}

#[tokio::test]
async fn a_home_that_has_not_lived_yet_has_no_plan_and_is_told_why() {
    let house = House::standing_still(3, 0.5, |dir| HomeOptions::usual(dir).over_tcp()).await;
    house.write(&house.table());
    let config = house.dir().join("hub.toml");
    let output = command(HUB, &[OsStr::new("plan"), OsStr::new("--config"), config.as_os_str()]).await;
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{why}");
    assert!(why.contains("journal.sqlite") && why.contains("the journal of a hub that has run"), "{why}");
    assert!(!house.journal().exists(), "asking makes no journal");
}

/// Flips a bit in the middle of a block in the middle of the journal.
fn flip_a_byte(house: &House) {
    let db = Connection::open(house.journal()).unwrap();
    let middle = "SELECT seq, data FROM block ORDER BY seq LIMIT 1 OFFSET (SELECT count(*) / 2 FROM block)";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (seq, mut data): (i64, Vec<u8>) = db.query_row(middle, [], row).unwrap();
    let place = data.len() / 2;
    data[place] ^= 0x10;
    let changed = db.execute("UPDATE block SET data = ?1 WHERE seq = ?2", (data, seq)).unwrap();
    assert_eq!(changed, 1);
}
