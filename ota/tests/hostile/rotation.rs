//! A: the chain of roots.

use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::Reason;
use sunkeep_ota::time::{LowerBound, Utc};
use sunkeep_ota::tuf::document::Kind;

use crate::repo::{DAY, NOW, Repo, now, recovers, refresh, refused};

/// The next root hands over from keys 1, 2, 3 to 4, 5, 6 (two of three), signed by some of them.
fn handed_over(repo: &Repo, signers: &[u8]) -> Repo {
    let mut next = repo.clone();
    next.role(Kind::Root).keys = vec![4, 5, 6];
    next.role(Kind::Root).signers = signers.to_vec();
    next.next_root();
    next
}

#[test]
fn a11_a12_roots_signed_by_one_side_only() {
    let repo = Repo::new();
    for signers in [&[4, 5][..], &[1, 2], &[1, 4], &[1, 2, 4], &[1, 4, 5], &[]] {
        refused(&repo, &handed_over(&repo, signers).files, Reason::RootChain);
    }
    let next = handed_over(&repo, &[1, 2, 4, 5]);
    let (after, result) = refresh(repo.client(), &next.files, now());
    result.unwrap();
    assert_eq!(after.version(Kind::Root), Some(2));
}

#[test]
fn a13_roots_that_skip_a_version() {
    let repo = Repo::new();
    for version in [1, 3] {
        let mut hostile = repo.clone();
        hostile.role(Kind::Root).version = version;
        hostile.publish_root(&|_, _| ());
        let bytes = hostile.files[&format!("{version}.root.json")].clone();
        hostile.files.insert("2.root.json".into(), bytes);
        refused(&repo, &hostile.files, Reason::RootVersion);
    }
}

#[test]
fn a14_an_endless_chain_of_roots_is_walked_session_by_session() {
    let mut repo = Repo::new();
    let mut client = repo.client();
    for _ in 0..70 {
        repo.next_root();
    }
    for reached in [33, 65] {
        let (after, result) = refresh(client, &repo.files, now());
        assert_eq!(result.unwrap_err().reason, Reason::RootCap);
        assert_eq!(after.version(Kind::Root), Some(reached));
        client = after;
    }
    let (after, result) = refresh(client, &repo.files, now());
    result.unwrap();
    assert_eq!(after.version(Kind::Root), Some(71));
}

#[test]
fn a20_a_fast_forward_is_undone_by_rotating_the_key() {
    for (kinds, keys) in [
        (vec![Kind::Timestamp], vec![50]),
        (vec![Kind::Snapshot, Kind::Timestamp], vec![51, 50]),
        (vec![Kind::Targets, Kind::Snapshot, Kind::Timestamp], vec![52, 51, 50]),
    ] {
        let repo = Repo::new();
        let mut far = repo.clone();
        for kind in &kinds {
            far.role(*kind).version = 2_000_000_000;
        }
        far.role(Kind::Timestamp).version = 2_000_000_000;
        far.publish(&|_, _| ());
        let (client, result) = refresh(repo.client(), &far.files, now());
        result.unwrap();
        assert_eq!(client.floors().timestamp, 2_000_000_000);
        // Without rotation the honest repository cannot come back.
        let mut honest = repo.clone();
        honest.release();
        let (client, result) = refresh(client, &honest.files, now());
        assert_eq!(result.unwrap_err().reason, Reason::RollbackTimestamp);
        // With it, versions count from where they were.
        for (kind, key) in kinds.iter().zip(&keys) {
            honest.role(*kind).keys = vec![*key];
            honest.role(*kind).signers = vec![*key];
        }
        honest.next_root();
        honest.publish(&|_, _| ());
        let (client, result) = refresh(client, &honest.files, now());
        result.unwrap();
        assert_eq!((client.floors().timestamp, client.floors().snapshot), (2, 2));
        assert_eq!(client.version(Kind::Targets), Some(2));
        recovers(&honest, client);
    }
    // 4e9 is no version at all.
    let repo = Repo::new();
    let mut stolen = repo.clone();
    stolen.role(Kind::Timestamp).version = 4_000_000_000;
    stolen.publish(&|_, _| ());
    refused(&repo, &stolen.files, Reason::BadVersion);
}

#[test]
fn a20_a_time_far_ahead_is_forgotten_with_the_key_that_signed_it() {
    let honest = Repo::new();
    let client = honest.client();
    let mut stolen = honest.clone();
    let stamp = sunkeep_ota::sign::documents::Stamp {
        version: 2,
        issued: Utc(NOW + 8_000 * DAY),
        expires: Utc(NOW + 9_000 * DAY),
    };
    let file = sunkeep_ota::sign::documents::meta_file(1, &honest.files["1.snapshot.json"]);
    let timestamp = sunkeep_ota::sign::documents::timestamp(stamp, file);
    stolen.files.insert("timestamp.json".into(), Repo::sign(&timestamp, &[10]));
    let (client, result) = refresh(client, &stolen.files, now());
    result.unwrap();
    let (bound, _) = sunkeep_ota::time::lower_bound(client.floors().time, Utc(0), None);
    assert_eq!(bound, LowerBound(Utc(NOW + 8_000 * DAY)), "signed time is a lower bound");
    // Now all is expired for this hub; the root that takes the key out gives it its time back.
    let mut rotated = honest.clone();
    rotated.role(Kind::Timestamp).keys = vec![50];
    rotated.role(Kind::Timestamp).signers = vec![50];
    rotated.next_root();
    rotated.release();
    let (client, result) = refresh(client, &rotated.files, bound);
    assert_eq!(result.unwrap_err().reason, Reason::FreezeSuspected);
    assert_eq!(client.version(Kind::Root), Some(2));
    let (bound, _) = sunkeep_ota::time::lower_bound(client.floors().time, Utc(0), None);
    assert!(bound.0 < Utc(NOW));
    let (_, result) = refresh(client, &rotated.files, bound);
    result.unwrap();
}

#[test]
fn a20_the_same_for_a_stolen_targets_key() {
    let mut repo = Repo::new();
    let (real, far) = (repo.issued, NOW + 8_000 * DAY);
    // All documents say so, as none may be issued after it expires.
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        repo.role(kind).expires = far + DAY;
    }
    repo.issued = far;
    repo.release();
    let (client, result) = refresh(repo.client(), &repo.files, now());
    result.unwrap();
    assert_eq!((client.floors().time.offline, client.floors().time.online), (Utc(far), Utc(far)));
    repo.issued = real;
    repo.role(Kind::Timestamp).keys = vec![50];
    repo.next_root();
    let (client, _) = refresh(client, &repo.files, now());
    assert_eq!((client.floors().time.offline, client.floors().time.online), (Utc(far), Utc(0)));
    repo.role(Kind::Targets).keys = vec![52];
    repo.next_root();
    let (client, _) = refresh(client, &repo.files, now());
    assert_eq!(client.floors().time.newest(), Utc(real));
}

#[test]
fn a_key_that_is_added_lowers_no_floor() {
    let mut repo = Repo::new();
    repo.release();
    let old = repo.files["timestamp.json"].clone();
    repo.release();
    let client = repo.client();
    repo.role(Kind::Timestamp).keys = vec![10, 20];
    repo.next_root();
    repo.files.insert("timestamp.json".into(), old);
    let (_, result) = refresh(client, &repo.files, now());
    assert_eq!(result.unwrap_err().reason, Reason::RollbackTimestamp);
}

#[test]
fn a30_a_revoked_key_signs_a_new_release() {
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        let mut repo = Repo::new();
        let before = repo.client();
        repo.role(kind).keys = vec![60];
        repo.role(kind).signers = vec![60];
        repo.next_root();
        let mut hostile = repo.clone();
        hostile.role(kind).signers = repo.roles[&kind].keys.iter().map(|_| kind as u8 + 9).collect();
        hostile.release();
        let (after, result) = refresh(before, &hostile.files, now());
        assert_eq!(result.unwrap_err().reason, Reason::SigThreshold, "{kind:?}");
        // What it signed before is not used any more either.
        assert_eq!(after.version(kind), None);
        recovers(&repo, after);
    }
}

#[test]
fn trust_begins_with_a_root_that_signs_itself() {
    let repo = Repo::new();
    let mut forged = repo.clone();
    forged.role(Kind::Root).signers = vec![1];
    forged.publish_root(&|_, _| ());
    let begin = |repo: &Repo| {
        sunkeep_ota::tuf::trusted::Trusted::begin(&repo.files["1.root.json"], &Limits::default())
    };
    assert_eq!(begin(&forged).unwrap_err().reason, Reason::SigThreshold);
    begin(&repo).unwrap();
}
