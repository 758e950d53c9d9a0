//! C: hubs without a clock, and clocks that lie.

use sunkeep_ota::reason::Reason;
use sunkeep_ota::time::{CLOCK_BOUND, ClockUse, LowerBound, SignedTime, Utc, lower_bound};
use sunkeep_ota::tuf::document::Kind;

use crate::repo::{DAY, NOW, Repo, now, refresh, refused_at};

const BUILT: Utc = Utc(NOW - 100 * DAY);

#[test]
fn c01_c02_c03_neither_1970_nor_2100_is_believed() {
    let mut repo = Repo::new();
    let mut client = repo.client();
    for (clock, verdict) in [
        (Some(0), ClockUse::Behind),
        (Some(4_102_444_800), ClockUse::Implausible),
        (Some(-5), ClockUse::Behind),
        (Some(NOW + 3 * DAY), ClockUse::Taken),
        (Some(NOW - 20 * DAY), ClockUse::Behind),
        (Some(i64::MAX), ClockUse::Implausible),
        (None, ClockUse::Absent),
    ] {
        repo.issued += 3_600;
        repo.release();
        let (bound, used) = lower_bound(client.floors().time, BUILT, clock.map(Utc));
        assert_eq!(used, verdict, "{clock:?}");
        let (after, result) = refresh(client, &repo.files, bound);
        result.unwrap();
        assert_eq!(after.version(Kind::Targets), Some(repo.roles[&Kind::Targets].version));
        assert_eq!(after.floors().time.newest(), Utc(repo.issued), "no clock raises the floor");
        client = after;
    }
}

#[test]
fn the_lower_bound_is_the_newest_of_what_was_signed_and_built() {
    let signed = SignedTime { offline: Utc(1_000), online: Utc(2_000) };
    assert_eq!(lower_bound(signed, Utc(1_500), None).0, LowerBound(Utc(2_000)));
    assert_eq!(lower_bound(signed, Utc(2_500), None).0, LowerBound(Utc(2_500)));
    let edge = Utc(2_500 + CLOCK_BOUND);
    assert_eq!(lower_bound(signed, Utc(2_500), Some(edge)), (LowerBound(edge), ClockUse::Taken));
    let beyond = Some(Utc(edge.0 + 1));
    assert_eq!(lower_bound(signed, Utc(2_500), beyond), (LowerBound(Utc(2_500)), ClockUse::Implausible));
}

#[test]
fn c04_c06_expired_documents() {
    let repo = Repo::new();
    for (kind, reason) in [
        (Kind::Timestamp, Reason::FreezeSuspected),
        (Kind::Snapshot, Reason::ExpiredSnapshot),
        (Kind::Targets, Reason::ExpiredTargets),
    ] {
        for ago in [0, 5 * DAY] {
            let mut hostile = repo.clone();
            hostile.issued = NOW - 10 * DAY;
            hostile.role(kind).expires = NOW - ago;
            hostile.release();
            refused_at(&repo, &hostile.files, reason, now());
        }
    }
    // An expired timestamp moves nothing at all.
    let mut hostile = repo.clone();
    hostile.issued = NOW - 10 * DAY;
    hostile.role(Kind::Timestamp).expires = NOW;
    hostile.release();
    let before = repo.client();
    assert_eq!(refresh(before.clone(), &hostile.files, now()).0, before);
    // The old timestamp again, when the time is past it.
    let later = LowerBound(Utc(NOW + 31 * DAY));
    let (_, result) = refresh(repo.client(), &repo.files, later);
    assert_eq!(result.unwrap_err().reason, Reason::FreezeSuspected);
}

#[test]
fn c05_an_expired_root_walks_on_to_a_fresh_one() {
    let mut repo = Repo::new();
    let client = repo.client();
    repo.role(Kind::Root).expires = NOW + 365 * DAY;
    repo.next_root();
    repo.role(Kind::Root).expires = NOW + 800 * DAY;
    repo.next_root();
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        repo.role(kind).expires = NOW + 700 * DAY;
    }
    repo.release();
    let (after, result) = refresh(client.clone(), &repo.files, LowerBound(Utc(NOW + 500 * DAY)));
    result.unwrap();
    assert_eq!(after.version(Kind::Root), Some(3));
    // With no fresh one, the newest is kept all the same, and nothing else is.
    repo.files.remove("3.root.json");
    let (after, result) = refresh(client, &repo.files, LowerBound(Utc(NOW + 500 * DAY)));
    assert_eq!(result.unwrap_err().reason, Reason::FreezeSuspected);
    assert_eq!((after.version(Kind::Root), after.version(Kind::Timestamp)), (Some(2), Some(1)));
}

#[test]
fn c07_since_when_nothing_newer_was_heard() {
    let mut repo = Repo::new();
    let mut client = repo.client();
    for day in 0..20 {
        let (after, result) = refresh(client, &repo.files, LowerBound(Utc(NOW + day * DAY)));
        result.unwrap();
        assert_eq!(after.stale_since(), Some(Utc(NOW - DAY)));
        client = after;
    }
    repo.issued = NOW + 20 * DAY;
    repo.release();
    let (after, result) = refresh(client, &repo.files, now());
    result.unwrap();
    assert_eq!(after.stale_since(), Some(Utc(NOW + 20 * DAY)));
}

#[test]
fn c09_expiry_during_a_long_download_is_seen_before_activation() {
    let repo = Repo::new();
    let client = repo.client();
    // The search goes by the time at which the cycle began.
    crate::repo::search(&client, &repo.files, crate::repo::MODEL, now()).1.unwrap();
    client.check_fresh(LowerBound(Utc(NOW + 29 * DAY))).unwrap();
    let refusal = client.check_fresh(LowerBound(Utc(NOW + 31 * DAY))).unwrap_err();
    assert_eq!(refusal.reason, Reason::FreezeSuspected);
}

#[test]
fn moments_are_read_and_written() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:34:56Z", 951_827_696),
        ("2026-11-21T00:00:00Z", NOW),
        ("2100-01-01T00:00:00Z", 4_102_444_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ] {
        assert_eq!(Utc::parse(text), Some(Utc(seconds)));
        assert_eq!(Utc(seconds).to_string(), text);
    }
}
