//! A: delegations, and names of targets.

use std::collections::BTreeMap;

use sunkeep_ota::reason::Reason;
use sunkeep_ota::sign::documents::target;

use crate::repo::{MODEL, Members, Repo, now, search};

fn one(name: &str) -> Members {
    BTreeMap::from([(name.to_owned(), target(name.as_bytes(), None))])
}

/// The order of roles that a search for a name visits.
fn order(repo: &Repo, name: &str) -> Vec<String> {
    search(&repo.client(), &repo.files, name, now()).0
}

#[test]
fn roles_are_searched_in_order_and_a_terminating_one_ends_it() {
    let mut repo = Repo::new();
    for (parent, name) in [("targets", "a"), ("targets", "b"), ("a", "c"), ("a", "d")] {
        repo.delegate(parent, name, &["*"], &[40], Members::new());
    }
    repo.release();
    assert_eq!(order(&repo, "missing"), ["a", "c", "d", "b"]);
    repo.delegated.get_mut("a").unwrap().delegations[0].terminating = true;
    repo.release();
    assert_eq!(order(&repo, "missing"), ["a", "c"]);
    repo.delegated.get_mut("d").unwrap().targets = one("x");
    repo.delegated.get_mut("a").unwrap().delegations[0].terminating = false;
    repo.release();
    let (asked, found) = search(&repo.client(), &repo.files, "x", now());
    assert_eq!(asked, ["a", "c", "d"]);
    found.unwrap().check(b"x", "x").unwrap();
}

#[test]
fn a27_targets_outside_what_a_role_was_given() {
    let mut repo = Repo::new();
    let mut named = one("models/x/y");
    named.extend(one("config/limits"));
    named.extend(one("models/x"));
    repo.delegate("targets", "vendor", &["models/*"], &[40], named);
    repo.release();
    let client = repo.client();
    for name in ["models/x/y", "config/limits"] {
        let (asked, found) = search(&client, &repo.files, name, now());
        assert_eq!(found.unwrap_err().reason, Reason::NotDelegated);
        assert!(asked.is_empty());
    }
    search(&client, &repo.files, "models/x", now()).1.unwrap();
    let missing = search(&client, &repo.files, "models/z", now()).1;
    assert_eq!(missing.unwrap_err().reason, Reason::NoSuchTarget);
}

#[test]
fn patterns_do_not_cross_a_slash() {
    for (pattern, name, fits) in [
        ("*", "x", true),
        ("*", "x/y", false),
        ("*/*", "x/y", true),
        ("models/load-?", "models/load-7", true),
        ("models/load-?", "models/load-77", false),
        ("models/l*d-*", "models/load-7", true),
        ("models/*7*", "models/load", false),
        ("models", "models/load", false),
        ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ] {
        let mut repo = Repo::new();
        repo.delegate("targets", "vendor", &[pattern], &[40], one(name));
        repo.release();
        assert_eq!(search(&repo.client(), &repo.files, name, now()).1.is_ok(), fits, "{pattern} {name}");
    }
}

#[test]
fn a28_cycles_and_webs_of_delegations() {
    let mut repo = Repo::new();
    for (parent, name) in [("targets", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")] {
        repo.delegate(parent, name, &["*"], &[40], Members::new());
    }
    repo.release();
    assert_eq!(order(&repo, "missing"), ["a", "b", "c"]);
    // A chain longer than one search may be.
    let mut repo = Repo::new();
    let mut parent = "targets".to_owned();
    for number in 0..40 {
        let name = format!("r{number}");
        repo.delegate(&parent, &name, &["*"], &[40], Members::new());
        parent = name;
    }
    repo.release();
    let (asked, found) = search(&repo.client(), &repo.files, "missing", now());
    assert_eq!(found.unwrap_err().reason, Reason::DelegationCap);
    assert_eq!(asked.len(), 33);
    // Hundreds in one document, and a thousand: the snapshot above states a length that none may have.
    for (count, reason) in [(200, Reason::DelegationCap), (1_000, Reason::BadLength)] {
        let honest = Repo::new();
        let mut repo = honest.clone();
        for number in 0..count {
            repo.delegate("targets", &format!("r{number}"), &["*"], &[40], Members::new());
        }
        repo.delegated.clear();
        repo.release();
        crate::repo::refused(&honest, &repo.files, reason);
    }
}

#[test]
fn a29_a_role_is_verified_against_who_delegates_to_it_now() {
    let mut repo = Repo::new();
    repo.delegate("targets", "parent-a", &["a/*"], &[40], Members::new());
    repo.delegate("targets", "parent-b", &["b/*"], &[41], Members::new());
    let mut named = one("a/x");
    named.extend(one("b/x"));
    repo.delegate("parent-a", "shared", &["a/*"], &[42], named);
    repo.delegate("parent-b", "shared", &["b/*"], &[43], Members::new());
    repo.release();
    let client = repo.client();
    search(&client, &repo.files, "a/x", now()).1.unwrap();
    // The very bytes that were good under parent-a.
    let refusal = search(&client, &repo.files, "b/x", now()).1.unwrap_err();
    assert_eq!(refusal.reason, Reason::SigThreshold);
}

#[test]
fn a_delegated_role_that_cannot_be_had_ends_the_search() {
    let mut repo = Repo::new();
    repo.delegate("targets", "a", &["*"], &[40], Members::new());
    repo.delegate("targets", "b", &["*"], &[41], one("x"));
    repo.release();
    let client = repo.client();
    repo.files.remove("2.a.json");
    let (asked, found) = search(&client, &repo.files, "x", now());
    assert_eq!((asked, found.unwrap_err().reason), (vec!["a".to_owned()], Reason::Unavailable));
}

#[test]
fn b11_names_that_look_alike_are_two_names() {
    let (composed, apart) = ("models/é", "models/e\u{301}");
    let mut repo = Repo::new();
    repo.targets.extend(one(composed));
    repo.release();
    let client = repo.client();
    search(&client, &repo.files, composed, now()).1.unwrap().check(composed.as_bytes(), "").unwrap();
    let found = search(&client, &repo.files, apart, now()).1;
    assert_eq!(found.unwrap_err().reason, Reason::NoSuchTarget);
    // A name that differs in its normal form only cannot be slipped into a signed document: under a canonical
    // form that normalises, this one's signature would still hold.
    let path = "2.targets.json";
    let honest = String::from_utf8(repo.files[path].clone()).unwrap();
    let forged = sunkeep_ota::json::parse(
        honest.replace("\"targets\":{", &format!("\"targets\":{{\"{apart}\":{{}},")).as_bytes(),
        "",
        &sunkeep_ota::limits::Limits::default(),
    );
    let original = sunkeep_ota::json::parse(honest.as_bytes(), "", &sunkeep_ota::limits::Limits::default());
    let canonical = |json| sunkeep_ota::json::canonical(&json, "").unwrap();
    assert_ne!(canonical(forged.unwrap()), canonical(original.unwrap()));
}

#[test]
fn b12_names_that_are_paths() {
    let repo = Repo::new();
    let client = repo.client();
    let long = "x".repeat(5_000);
    for name in [
        "../../etc/x",
        "/abs",
        "a\\b",
        "C:x",
        "..%2f",
        "a//b",
        "",
        ".",
        "..",
        "a/",
        "a/../b",
        "./a",
        "con",
        "CON",
        "models/nul.onnx",
        "com1",
        "lpt9.txt",
        "a\nb",
        "a\0b",
        "\u{7f}",
        &long,
    ] {
        let found = search(&client, &repo.files, name, now()).1;
        assert_eq!(found.unwrap_err().reason, Reason::BadName, "{name:?}");
    }
    for name in [MODEL, "console", "a.b", "..a", "a..", "com12"] {
        let refused = search(&client, &repo.files, name, now()).1.err().map(|refusal| refusal.reason);
        assert_ne!(refused, Some(Reason::BadName), "{name}");
    }
}
