//! What holds for any input: nothing panics, no changed document is taken, no course of events leaves a hub
//! without something to serve.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test"
)]

#[path = "hostile/repo.rs"]
mod repo;

use proptest::prelude::*;
use repo::{Members, Repo, now, refresh};
use sunkeep_ota::install::channel::{Channel, Event, Installed, Outcome, Phase, Slot, Source};
use sunkeep_ota::json::{Json, canonical, parse};
use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::Reason;
use sunkeep_ota::release::{Payload, Release};
use sunkeep_ota::time::Utc;
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::name::TargetName;
use sunkeep_ota::tuf::targets::Target;
use sunkeep_ota::tuf::trusted::Trusted;

fn signed_part(bytes: &[u8]) -> Option<Vec<u8>> {
    let Json::Object(whole) = parse(bytes, "", &Limits::default()).ok()? else { return None };
    canonical(whole.get("signed")?, "").ok()
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::Integer),
        prop_oneof![Just(0), Just(1), Just(-1), Just(i64::MAX)].prop_map(Json::Integer),
        "[ -~]{0,12}".prop_map(Json::Text),
        "[0-9a-f]{64}".prop_map(Json::Text),
        Just(Json::Text("2027-01-01T00:00:00Z".into())),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::List),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..5).prop_map(Json::Object),
        ]
    })
}

/// The members that documents have, at any depth.
const MEMBERS: [&str; 24] = [
    "_type",
    "spec_version",
    "version",
    "expires",
    "issued",
    "meta",
    "snapshot.json",
    "targets.json",
    "targets",
    "delegations",
    "keys",
    "roles",
    "keyids",
    "threshold",
    "hashes",
    "sha256",
    "length",
    "custom",
    "name",
    "paths",
    "terminating",
    "keytype",
    "keyval",
    "root",
];

/// Puts a value in place of a member somewhere in a document.
fn replace(value: &mut Json, member: &str, with: &Json, left: &mut usize) {
    match value {
        Json::Object(object) => {
            for (key, inner) in object.iter_mut() {
                if key == member {
                    if *left == 0 {
                        *inner = with.clone();
                    }
                    *left = left.wrapping_sub(1);
                }
                replace(inner, member, with, left);
            }
        }
        Json::List(list) => list.iter_mut().for_each(|inner| replace(inner, member, with, left)),
        _ => {}
    }
}

fn an_event() -> impl Strategy<Value = Event> {
    let content = |counter: u64| format!("{counter:064x}");
    prop_oneof![
        3 => (1..6_u64, 0..3_u8, any::<bool>()).prop_map(move |(counter, payload, shadow_only)| {
            Event::Stage(Installed {
                sha256: content(counter),
                length: counter,
                counter,
                payload: [Payload::Model, Payload::Config, Payload::Software][usize::from(payload)],
                shadow_only,
            })
        }),
        3 => Just(Event::Checked),
        3 => Just(Event::ShadowWon),
        3 => Just(Event::Started),
        3 => Just(Event::Healthy),
        1 => Just(Event::Stopped),
        1 => Just(Event::Refused(Reason::Golden)),
        1 => Just(Event::ShadowLost(Reason::NoSkill)),
        1 => Just(Event::Failed(Reason::Probation)),
        1 => (1..6_u64).prop_map(move |counter| Event::Revoke(content(counter))),
        1 => Just(Event::Broken(Slot::A)),
        1 => Just(Event::Broken(Slot::B)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let limits = Limits::default();
        let client = Repo::new().client();
        prop_assert!(Trusted::begin(&bytes, &limits).is_err());
        prop_assert!(client.with_root(&bytes, &limits).is_err());
        prop_assert!(client.with_timestamp(&bytes, &limits, now()).is_err());
        prop_assert!(client.with_snapshot(&bytes, &limits, now()).is_err());
        prop_assert!(client.with_targets(&bytes, &limits, now()).is_err());
        let text = String::from_utf8_lossy(&bytes);
        let _ = (Utc::parse(&text), TargetName::parse(&text));
    }

    #[test]
    fn arbitrary_json_reads_as_it_was_written(value in any_json()) {
        let bytes = canonical(&value, "").unwrap();
        // OLPC's form is JSON as long as no control character is in it, and these have none.
        prop_assert_eq!(parse(&bytes, "", &Limits::default()).unwrap(), value);
    }

    #[test]
    fn a_changed_document_is_taken_only_if_it_says_the_same(
        kind in 0..4_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), insert in any::<bool>(),
    ) {
        let mut repo = Repo::new();
        let client = repo.client();
        repo.next_root();
        repo.release();
        let kinds = [Kind::Root, Kind::Timestamp, Kind::Snapshot, Kind::Targets];
        let path = ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"][kind];
        let original = repo.files[path].clone();
        let bytes = repo.files.get_mut(path).unwrap();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        let changed = bytes.clone();
        let (after, result) = refresh(client, &repo.files, now());
        if changed != original && result.is_ok() {
            prop_assert_eq!(signed_part(&changed), signed_part(&original));
            prop_assert!(signed_part(&changed).is_some());
            // A hash in the document above pins the very bytes.
            prop_assert!(kind < 2);
        }
        if after.version(kinds[kind]) == Some(2) && changed != original {
            prop_assert_eq!(signed_part(&changed), signed_part(&original));
        }
    }

    #[test]
    fn anything_signed_by_the_right_keys_is_taken_or_refused_without_panic(
        kind in 0..4_usize, member in 0..MEMBERS.len(), nth in 0..4_usize, with in any_json(),
    ) {
        let mut repo = Repo::new();
        let client = repo.client();
        let at = [Kind::Root, Kind::Timestamp, Kind::Snapshot, Kind::Targets][kind];
        repo.delegate("targets", "pv", &["pv/*"], &[40], Members::new());
        let lie = |kind: Kind, signed: &mut Members| {
            if kind == at {
                let mut whole = Json::Object(signed.clone());
                replace(&mut whole, MEMBERS[member], &with, &mut nth.clone());
                let Json::Object(whole) = whole else { unreachable!() };
                *signed = whole;
            }
        };
        repo.role(Kind::Root).version = 2;
        repo.publish_root(&lie);
        repo.release_with(&lie);
        let (after, _) = refresh(client.clone(), &repo.files, now());
        if after.version(Kind::Root) == Some(1) {
            prop_assert!(after.floors().timestamp >= client.floors().timestamp);
        }
        let _ = repo::search(&after, &repo.files, repo::MODEL, now());
    }

    #[test]
    fn any_custom_is_read_or_refused_without_panic(custom in any_json(), inner in any_json()) {
        let Json::Object(mut about) = repo::custom(7) else { unreachable!() };
        about.insert("chunks".into(), inner);
        for custom in [custom, Json::Object([("sunkeep".to_owned(), Json::Object(about))].into())] {
            let target =
                Target { length: 9, hashes: sunkeep_ota::digest::Hashes::of(b"x"), custom: Some(custom) };
            let _ = Release::read(&target, "", &Limits::default());
        }
    }

    #[test]
    fn whatever_happens_a_hub_serves_something_that_is_there(
        events in prop::collection::vec(an_event(), 0..60),
    ) {
        let mut channel = Channel::default();
        let mut floor = 0;
        for event in events {
            let before = channel.clone();
            let Ok((after, outcomes)) = channel.after(&event) else { continue };
            channel = after;
            prop_assert!(channel.floor() >= floor, "the floor fell");
            floor = channel.floor();
            if let Source::Slot(slot) = channel.serving() {
                prop_assert!(channel.in_slot(slot).is_some(), "{event:?} leaves an empty slot serving");
                let mode = channel.in_slot(slot).unwrap().shadow_only;
                prop_assert!(!mode, "what is signed for shadow acts");
            }
            if let Some(candidate) = channel.candidate() {
                prop_assert!(channel.in_slot(candidate).is_some());
                let acts = matches!(channel.phase(), Phase::Trial { .. });
                prop_assert_eq!(channel.serving() == Source::Slot(candidate), acts, "a candidate acts, or does not");
            }
            if outcomes.contains(&Outcome::Confirmed) {
                let ran = matches!(before.phase(), Phase::Trial { starts, .. } if starts > 0);
                prop_assert!(ran, "confirmed before it ran");
            }
        }
    }
}
