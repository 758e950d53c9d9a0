//! A: signatures, versions and what belongs together.

use sunkeep_ota::digest::hex;
use sunkeep_ota::json::Json;
use sunkeep_ota::limits::{Limits, VERSION_CAP};
use sunkeep_ota::reason::Reason;
use sunkeep_ota::release::{Device, Release};
use sunkeep_ota::sign::documents::{number, object, target, text};
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::trusted::Trusted;

use crate::repo::{MODEL, MODEL_BYTES, Members, Repo, custom, key, now, recovers, refresh, refused, search};

/// The next release with one document signed by others, or otherwise.
fn resigned(repo: &Repo, kind: Kind, signers: &[u8]) -> Repo {
    let mut hostile = repo.clone();
    hostile.role(kind).signers = signers.to_vec();
    hostile.release();
    hostile
}

/// The bytes of a document, edited as text.
fn edit(repo: &mut Repo, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(repo.files[path].clone()).unwrap();
    assert!(text.contains(from), "{path} has no {from}: {text}");
    repo.files.insert(path.to_owned(), text.replacen(from, to, 1).into_bytes());
}

#[test]
fn an_honest_repository_is_read_and_its_model_found() {
    let mut repo = Repo::new();
    let client = repo.client();
    assert_eq!(client.version(Kind::Targets), Some(1));
    let (asked, found) = search(&client, &repo.files, MODEL, now());
    assert!(asked.is_empty());
    found.unwrap().check(MODEL_BYTES, MODEL).unwrap();
    repo.release();
    let (client, result) = refresh(client, &repo.files, now());
    result.unwrap();
    assert_eq!(client.version(Kind::Targets), Some(2));
    client.check_fresh(now()).unwrap();
}

#[test]
fn a01_a_byte_flipped_in_the_signed_part() {
    let repo = Repo::new();
    let mut hostile = repo.clone();
    hostile.release();
    let honest = hostile.files["timestamp.json"].clone();
    let start = String::from_utf8(honest.clone()).unwrap().find("\"signed\":{").unwrap() + 10;
    let client = repo.client();
    let mut by_signature = 0;
    for place in start..honest.len() - 2 {
        let mut flipped = honest.clone();
        flipped[place] ^= 1;
        hostile.files.insert("timestamp.json".into(), flipped);
        let (after, result) = refresh(client.clone(), &hostile.files, now());
        let refusal = result.expect_err("a flipped byte was taken");
        assert_eq!(after, client, "{refusal}");
        by_signature += u32::from(refusal.reason == Reason::SigThreshold);
        // Where the flip leaves no JSON, or no integer, that is said.
        let others = [
            Reason::SigThreshold,
            Reason::JsonSyntax,
            Reason::JsonNumber,
            Reason::BadVersion,
            Reason::JsonDupKey,
        ];
        assert!(others.contains(&refusal.reason), "{refusal}");
    }
    assert!(by_signature > 200, "{by_signature}");
    recovers(&repo, client);
}

#[test]
fn a02_a_key_that_is_not_in_the_root() {
    let repo = Repo::new();
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        refused(&repo, &resigned(&repo, kind, &[99]).files, Reason::SigThreshold);
    }
}

#[test]
fn a03_the_key_of_another_role() {
    let repo = Repo::new();
    refused(&repo, &resigned(&repo, Kind::Targets, &[10]).files, Reason::SigThreshold);
    refused(&repo, &resigned(&repo, Kind::Snapshot, &[10]).files, Reason::SigThreshold);
    refused(&repo, &resigned(&repo, Kind::Timestamp, &[12, 11]).files, Reason::SigThreshold);
}

/// A repository whose snapshots need two of three signatures.
fn two_of_three() -> Repo {
    let mut repo = Repo::new();
    repo.role(Kind::Snapshot).keys = vec![11, 21, 31];
    repo.role(Kind::Snapshot).threshold = 2;
    repo.role(Kind::Snapshot).signers = vec![11, 21];
    repo.next_root();
    repo.release();
    repo
}

#[test]
fn a04_one_of_two_signatures() {
    let repo = two_of_three();
    refused(&repo, &resigned(&repo, Kind::Snapshot, &[21]).files, Reason::SigThreshold);
}

#[test]
fn a05_one_signature_twice() {
    let repo = two_of_three();
    refused(&repo, &resigned(&repo, Kind::Snapshot, &[21, 21]).files, Reason::DupKeyid);
    let repo = Repo::new();
    refused(&repo, &resigned(&repo, Kind::Timestamp, &[10, 10]).files, Reason::DupKeyid);
}

#[test]
fn a06_one_key_under_two_ids() {
    let mut repo = Repo::new();
    repo.role(Kind::Root).version = 2;
    repo.publish_root(&|_, root: &mut Members| {
        let Some(Json::Object(keys)) = root.get_mut("keys") else { unreachable!() };
        keys.insert("alias".into(), key(11).public());
        let Some(Json::Object(roles)) = root.get_mut("roles") else { unreachable!() };
        let ids = Json::List(vec![text(key(11).id()), text("alias")]);
        roles.insert("snapshot".into(), object([("keyids", ids), ("threshold", number(2))]));
    });
    let before = Repo::new().client();
    // Both signatures are valid, each under its id.
    repo.release();
    let sign = |repo: &mut Repo| {
        let path = "2.snapshot.json";
        let plain = String::from_utf8(repo.files[path].clone()).unwrap();
        let one = plain[plain.find("{\"keyid\"").unwrap()..=plain.find("\"}]").unwrap() + 1].to_owned();
        edit(repo, path, &one, &format!("{one},{}", one.replace(&key(11).id(), "alias")));
        let file = sunkeep_ota::sign::documents::meta_file(2, &repo.files[path].clone());
        let stamp = sunkeep_ota::sign::documents::Stamp {
            version: 2,
            issued: sunkeep_ota::time::Utc(repo.issued),
            expires: sunkeep_ota::time::Utc(repo.roles[&Kind::Timestamp].expires),
        };
        let timestamp = sunkeep_ota::sign::documents::timestamp(stamp, file);
        repo.files.insert("timestamp.json".into(), Repo::sign(&timestamp, &[10]));
    };
    sign(&mut repo);
    let (after, result) = refresh(before.clone(), &repo.files, now());
    let refusal = result.expect_err("one key passed for two");
    assert_eq!(refusal.reason, Reason::SigThreshold, "{refusal}");
    assert!(refusal.detail.starts_with("1 valid"), "{refusal}");
    assert_eq!(after.bytes(Kind::Targets), before.bytes(Kind::Targets));
}

#[test]
fn a07_thresholds_that_cannot_be() {
    let repo = Repo::new();
    for threshold in [Some(Json::Integer(0)), Some(Json::Integer(-1)), Some(text("1")), None] {
        let mut hostile = repo.clone();
        hostile.role(Kind::Root).version = 2;
        hostile.publish_root(&|_, root: &mut Members| {
            let Some(Json::Object(roles)) = root.get_mut("roles") else { unreachable!() };
            let Some(Json::Object(role)) = roles.get_mut("snapshot") else { unreachable!() };
            role.remove("threshold");
            role.extend(threshold.clone().map(|threshold| ("threshold".to_owned(), threshold)));
        });
        refused(&repo, &hostile.files, Reason::BadThreshold);
    }
    // More than there are keys: the root itself is in order, what it says can never be met.
    let mut hostile = repo.clone();
    hostile.role(Kind::Snapshot).threshold = 2;
    hostile.next_root();
    hostile.release();
    let (after, result) = refresh(repo.client(), &hostile.files, now());
    assert_eq!(result.unwrap_err().reason, Reason::BadThreshold);
    assert_eq!((after.version(Kind::Root), after.version(Kind::Targets)), (Some(2), Some(1)));
}

#[test]
fn a08_an_invalid_signature_beside_enough_valid_ones_is_taken() {
    let repo = two_of_three();
    let before = repo.client();
    let mut odd = repo.clone();
    odd.role(Kind::Timestamp).keys = vec![10, 20];
    odd.next_root();
    odd.role(Kind::Timestamp).signers = vec![10, 20];
    odd.release();
    let honest = String::from_utf8(odd.files["timestamp.json"].clone()).unwrap();
    let at = honest.rfind("\"sig\":\"").unwrap() + 7;
    for bad in ["00".repeat(64), String::new(), "not hexadecimal".into()] {
        let text = format!("{}{bad}{}", &honest[..at], &honest[at + 128..]);
        odd.files.insert("timestamp.json".into(), text.into_bytes());
        let (after, result) = refresh(before.clone(), &odd.files, now());
        result.unwrap();
        assert_eq!(after.version(Kind::Targets), Some(3));
    }
}

/// The order of the group, little end first.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a09_malleated_signatures_and_weak_keys() {
    let repo = Repo::new();
    // S + L, the same point equation: accepted by the plain check of some libraries.
    let mut hostile = repo.clone();
    hostile.release();
    let honest = String::from_utf8(hostile.files["timestamp.json"].clone()).unwrap();
    let at = honest.find("\"sig\":\"").unwrap() + 7;
    let mut signature = sunkeep_ota::digest::from_hex::<64>(&honest[at..at + 128]).unwrap();
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    hostile.files.insert(
        "timestamp.json".into(),
        honest.replace(&honest[at..at + 128], &hex(&signature)).into_bytes(),
    );
    refused(&repo, &hostile.files, Reason::SigThreshold);

    // Keys of small order, and no key at all: R = the neutral point, S = 0 fits any message in the plain check.
    let neutral = format!("01{}", "00".repeat(31));
    let order_two = format!("ec{}7f", "ff".repeat(30));
    for weak in [neutral.clone(), order_two, "00".repeat(32), "zz".into()] {
        let mut hostile = repo.clone();
        hostile.role(Kind::Root).version = 2;
        hostile.publish_root(&|_, root: &mut Members| {
            let Some(Json::Object(keys)) = root.get_mut("keys") else { unreachable!() };
            let public = object([("public", text(weak.clone()))]);
            let weak =
                object([("keytype", text("ed25519")), ("scheme", text("ed25519")), ("keyval", public)]);
            keys.insert("weak".into(), weak);
            let Some(Json::Object(roles)) = root.get_mut("roles") else { unreachable!() };
            let ids = Json::List(vec![text("weak")]);
            roles.insert("timestamp".into(), object([("keyids", ids), ("threshold", number(1))]));
        });
        hostile.release();
        let text = String::from_utf8(hostile.files["timestamp.json"].clone()).unwrap();
        let at = text.find("\"sig\":\"").unwrap() + 7;
        let forged = format!("{neutral}{}", "00".repeat(32));
        let forged = text.replace(&text[at..at + 128], &forged).replace(&key(10).id(), "weak");
        hostile.files.insert("timestamp.json".into(), forged.into_bytes());
        let (after, result) = refresh(repo.client(), &hostile.files, now());
        assert_eq!(result.unwrap_err().reason, Reason::SigThreshold, "{weak}");
        assert_eq!(after.version(Kind::Targets), Some(1));
    }
}

#[test]
fn a10_keys_of_other_kinds_are_ignored() {
    for (kind, scheme) in [("rsa", "ed25519"), ("ed25519", "rsassa-pss-sha256"), ("ecdsa", "x"), ("", "")] {
        let mut repo = Repo::new();
        let before = repo.client();
        repo.role(Kind::Root).version = 2;
        repo.publish_root(&|_, root: &mut Members| {
            let Some(Json::Object(keys)) = root.get_mut("keys") else { unreachable!() };
            let Some(Json::Object(mine)) = keys.get_mut(&key(10).id()) else { unreachable!() };
            mine.extend([("keytype".into(), text(kind)), ("scheme".into(), text(scheme))]);
        });
        repo.release();
        let (after, result) = refresh(before, &repo.files, now());
        assert_eq!(result.unwrap_err().reason, Reason::SigThreshold, "{kind} {scheme}");
        assert_eq!((after.version(Kind::Root), after.version(Kind::Targets)), (Some(2), Some(1)));
    }
}

#[test]
fn a15_a16_timestamps_of_lower_and_of_the_same_version() {
    let mut repo = Repo::new();
    let first = repo.files["timestamp.json"].clone();
    repo.release();
    let mut hostile = repo.clone();
    hostile.files.insert("timestamp.json".into(), first);
    refused(&repo, &hostile.files, Reason::RollbackTimestamp);
    // Of the same version with other content: the trusted one is kept, and that is no error.
    let before = repo.client();
    hostile = repo.clone();
    hostile.role(Kind::Snapshot).version = 9;
    hostile.role(Kind::Targets).version = 9;
    hostile.publish(&|_, _| ());
    let (after, result) = refresh(before.clone(), &hostile.files, now());
    result.unwrap();
    assert_eq!(after, before);
}

#[test]
fn a17_a18_older_snapshots_and_targets() {
    let mut repo = Repo::new();
    repo.release();
    repo.delegate("targets", "pv", &["pv/*"], &[40], Members::new());
    repo.release();
    let mut hostile = repo.clone();
    hostile.role(Kind::Timestamp).version += 1;
    hostile.role(Kind::Snapshot).version -= 1;
    hostile.publish(&|_, _| ());
    refused(&repo, &hostile.files, Reason::RollbackTimestamp);
    // The timestamp names a newer snapshot, and an older one is handed over.
    let mut hostile = repo.clone();
    let old = repo.files["2.snapshot.json"].clone();
    hostile.release_with(&|kind, signed: &mut Members| {
        if kind == Kind::Timestamp {
            let meta = object([("snapshot.json", object([("version", number(4))]))]);
            signed.insert("meta".into(), meta);
        }
    });
    hostile.files.insert("4.snapshot.json".into(), old);
    refused(&repo, &hostile.files, Reason::RollbackSnapshot);
    // Older targets, top-level and delegated.
    let mut hostile = repo.clone();
    hostile.release();
    hostile.role(Kind::Timestamp).version += 1;
    hostile.role(Kind::Snapshot).version += 1;
    hostile.role(Kind::Targets).version = 2;
    hostile.publish(&|_, _| ());
    refused(&repo, &hostile.files, Reason::RollbackTargets);
    let mut hostile = repo.clone();
    hostile.delegated.get_mut("pv").unwrap().state.version = 0;
    hostile.release();
    refused(&repo, &hostile.files, Reason::RollbackTargets);
    // A role vanished from the snapshot.
    let mut hostile = repo.clone();
    hostile.delegated.clear();
    hostile.release();
    refused(&repo, &hostile.files, Reason::RollbackTargets);
}

#[test]
fn a19_versions_that_are_none() {
    let repo = Repo::new();
    let versions =
        ["2147483647", "9223372036854775808", "1e308", "-1", "0", "1.0", "\"7\"", "null", "[]", "-0"];
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        for version in versions {
            let value = sunkeep_ota::json::parse(version.as_bytes(), "version", &Limits::default()).unwrap();
            let mut hostile = repo.clone();
            // Signed honestly wherever a signature over it exists at all.
            hostile.release_with(&|at, signed: &mut Members| {
                if at == kind && value != Json::OtherNumber {
                    signed.insert("version".into(), value.clone());
                }
            });
            if value == Json::OtherNumber {
                let path = if kind == Kind::Timestamp { String::new() } else { "2.".into() };
                let path = format!("{path}{}.json", kind.name());
                // The last one is the document's own, the others are those of documents it lists.
                let text = String::from_utf8(hostile.files[&path].clone()).unwrap();
                let (before, after) = text.rsplit_once("\"version\":2").unwrap();
                hostile.files.insert(path, format!("{before}\"version\":{version}{after}").into_bytes());
                if kind != Kind::Timestamp {
                    // The hash in the document above speaks first.
                    refused(&repo, &hostile.files, Reason::MixAndMatch);
                    continue;
                }
            }
            refused(&repo, &hostile.files, Reason::BadVersion);
        }
    }
    const { assert!(VERSION_CAP == 2_147_483_646) };
}

#[test]
fn a21_documents_that_do_not_belong_together() {
    let repo = Repo::new();
    for path in ["2.targets.json", "2.snapshot.json"] {
        let mut hostile = repo.clone();
        hostile.release();
        // Honestly signed, another day.
        let mut other = repo.clone();
        other.issued += 1;
        other.release();
        hostile.files.insert(path.into(), other.files[path].clone());
        refused(&repo, &hostile.files, Reason::MixAndMatch);
        let mut hostile = repo.clone();
        hostile.release();
        let mut longer = hostile.files[path].clone();
        longer.push(b' ');
        hostile.files.insert(path.into(), longer);
        refused(&repo, &hostile.files, Reason::MixAndMatch);
    }
    // The version differs where no hash is stated.
    let mut hostile = repo.clone();
    hostile.release_with(&|kind, signed: &mut Members| {
        if kind == Kind::Snapshot {
            let meta = object([("targets.json", object([("version", number(3))]))]);
            signed.insert("meta".into(), meta);
        }
    });
    hostile.files.insert("3.targets.json".into(), hostile.files["2.targets.json"].clone());
    refused(&repo, &hostile.files, Reason::MixAndMatch);
}

#[test]
fn a22_a23_other_types_and_other_specifications() {
    let repo = Repo::new();
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        let lies = [
            ("_type", Some(text("root")), Reason::BadType),
            ("_type", None, Reason::BadType),
            ("_type", Some(number(1)), Reason::BadType),
            ("spec_version", Some(text("2.0.0")), Reason::SpecVersion),
            ("spec_version", Some(text("1")), Reason::SpecVersion),
            ("spec_version", Some(text("1.0.0.0")), Reason::SpecVersion),
            ("spec_version", Some(text("1.x.0")), Reason::SpecVersion),
            ("spec_version", None, Reason::SpecVersion),
        ];
        for (member, value, reason) in lies {
            let mut hostile = repo.clone();
            hostile.release_with(&|at, signed: &mut Members| {
                if at == kind {
                    signed.remove(member);
                    signed.extend(value.clone().map(|value| (member.to_owned(), value)));
                }
            });
            refused(&repo, &hostile.files, reason);
        }
    }
}

fn hub() -> Device {
    Device {
        id: "hub-0001".into(),
        hardware: "rpi3".into(),
        family: "linear".into(),
        chemistry: "lifepo4".into(),
        app: (0, 3, 0),
    }
}

/// Publishes the model with more signed about it, and reads that as a hub does.
fn release_with(more: &[(&str, Json)]) -> Result<Release, sunkeep_ota::reason::Refusal> {
    let mut repo = Repo::new();
    let Json::Object(mut about) = custom(7) else { unreachable!() };
    about.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    repo.targets.insert(MODEL.into(), target(MODEL_BYTES, Some(Json::Object(about))));
    repo.release();
    let client: Trusted = repo.client();
    let found = search(&client, &repo.files, MODEL, now()).1.unwrap();
    Release::read(&found, MODEL, &Limits::default())
}

#[test]
fn a24_a25_a26_releases_for_others() {
    let check = |more: &[(&str, Json)], floor| {
        release_with(more).unwrap().check(&hub(), floor).map_err(|refusal| refusal.reason)
    };
    assert_eq!(check(&[], 7), Ok(()));
    assert_eq!(check(&[("device", text("hub-0001")), ("chemistry", text("lifepo4"))], 0), Ok(()));
    assert_eq!(check(&[("device", text("hub-0002"))], 0), Err(Reason::WrongDevice));
    assert_eq!(check(&[("hardware", Json::List(vec![text("x86")]))], 0), Err(Reason::WrongHw));
    assert_eq!(check(&[("family", text("trees"))], 0), Err(Reason::WrongHw));
    assert_eq!(check(&[("chemistry", text("lead"))], 0), Err(Reason::WrongHw));
    assert_eq!(check(&[("min_app", text("0.3.0"))], 0), Ok(()));
    assert_eq!(check(&[("min_app", text("0.10.0"))], 0), Err(Reason::NeedsApp));
    assert_eq!(check(&[], 8), Err(Reason::RollbackRelease));
    for (member, value) in [
        ("min_app", text("soon")),
        ("channel", text("../load")),
        ("payload", text("firmware")),
        ("release", number(0)),
        ("chunks", object([("size", number(1))])),
    ] {
        release_with(&[(member, value)]).expect_err(member);
    }
    let short = object([("size", number(256)), ("sha256", Json::List(Vec::new()))]);
    assert_eq!(release_with(&[("chunks", short)]).unwrap_err().reason, Reason::BadHash);
}
