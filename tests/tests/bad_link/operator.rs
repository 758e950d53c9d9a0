//! The operator of the fleet: looks once a day which numbers are missing in the lake, and asks the hub for them.

use std::process::Stdio;

use sunkeep_fleet::gaps::{Count, Missing, Search};
use sunkeep_fleet::lake::Lake;
use sunkeep_models::wire::down::{Action, Command};
use sunkeep_tests::broker::within;

use crate::lake_side::Office;

/// How long a command is good for, s: five days, for the line is up once in four.
const GOOD_FOR: i64 = 5 * 86_400;
/// Most runs of numbers that are asked for in a day.
const MOST_ASKED: usize = 40;

/// What was asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    /// Commands.
    pub(crate) commands: usize,
    /// Records that they asked for; one that is asked for twice counts twice.
    pub(crate) records: i64,
}

impl Operator {
    /// What is missing of a store, as `sunkeep-fleet gaps` has it.
    pub(crate) fn missing(office: &Office, store: &str) -> Vec<Missing> {
        let lake = Lake::open(&office.lake.display().to_string()).unwrap();
        let mut found = Vec::new();
        Search::default().run(&lake, |missing| found.push(missing)).unwrap();
        found.retain(|missing| missing.store == store);
        found
    }

    /// Asks for all of it. What is lost on the way is asked for the next time.
    pub(crate) fn ask(&mut self, office: &Office, missing: &[Missing], unix: i64) {
        let ranges = missing.iter().flat_map(|missing| {
            let ranges = missing.before.iter().chain(&missing.between);
            ranges.map(|range| (&missing.store, missing.count, *range.start(), *range.end()))
        });
        for (store, count, from, upto) in ranges.take(MOST_ASKED) {
            self.commands += 1;
            self.records += upto - from + 1;
            let store = u128::from_str_radix(store, 16).unwrap().to_be_bytes();
            let action = Action::Resend { store, telemetry: count == Count::Minutes, from, upto };
            let command =
                Command { id: format!("again-{}", self.commands), expires: unix + GOOD_FOR, action };
            tell(office, &command.write());
        }
    }
}

/// Publishes a command; whether the broker took it nobody waits to know.
fn tell(office: &Office, command: &str) {
    let place = office.broker.strip_prefix("mqtts://").unwrap();
    let (host, port) = place.rsplit_once(':').unwrap();
    let mut publish = within(office.namespace.as_deref(), "mosquitto_pub".as_ref());
    publish.args([
        "-V",
        "mqttv5",
        "-q",
        "1",
        "-h",
        host,
        "-p",
        port,
        "-t",
        "sunkeep/v1/home/down/command",
        "-m",
    ]);
    publish.arg(command).arg("--cafile").arg(office.fleet.join("ca.pem"));
    publish
        .arg("--cert")
        .arg(office.fleet.join("operator.pem"))
        .arg("--key")
        .arg(office.fleet.join("operator.key"));
    let _ = publish.stdout(Stdio::null()).stderr(Stdio::null()).status();
}
