//! Two journals of one hub at the same time: support hears of it, and their records stay apart.

use sunkeep_models::lake;
use tempfile::TempDir;

use crate::broker::Mosquitto;
use crate::hubs::{minutes, packed, topic};
use crate::process::Ingest;
use crate::rows::{Row, identities, rows};
use crate::wait_until;

#[test]
fn two_live_journals_of_a_hub_are_an_alert() {
    let Some(broker) = Mosquitto::start("") else { return };
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("lake");
    let mut ingest = Ingest::subscribed(folder.path(), "one", &broker.url(), &["--flush-seconds", "1"]);
    let of = |hub: u32, store: u8, from: i64| {
        let mut telemetry = minutes(hub, 1, from..from + 2, None);
        telemetry.from.store = [store; 16];
        (topic(hub, "telemetry"), packed(telemetry))
    };
    // Hub 1 lives twice; the card of hub 2 was written anew.
    let both = (0..6).flat_map(|turn| [of(1, 1, 2 * turn), of(1, 2, 2 * turn)]);
    let anew = (0..6).map(|turn| of(2, if turn < 3 { 1 } else { 2 }, 2 * (turn % 3)));
    let sent: Vec<_> = both.chain(anew).collect();
    broker.publish("hubs", &sent);
    wait_until("all minutes are filed", || identities(&lake, lake::TELEMETRY).len() == 2 * sent.len());
    assert!(ingest.stop().success(), "{}", ingest.log());
    let events: Vec<Row> = rows(&lake, lake::EVENTS).into_iter().map(|(_, row)| row).collect();
    assert_eq!(events.len(), 1, "{events:#?}");
    let alert = &events[0];
    for (column, expected) in
        [("hub", "hub-1"), ("site", "site-1"), ("lane", "alerts"), ("what", "two_stores")]
    {
        assert_eq!(alert[column], expected, "{alert:#?}");
    }
    let fields: serde_json::Value = serde_json::from_str(&alert["fields"]).unwrap();
    assert_eq!((&fields["one"], &fields["other"]), (&"02".repeat(16).into(), &"01".repeat(16).into()));
}
