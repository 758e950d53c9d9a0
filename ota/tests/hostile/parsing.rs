//! B: bytes that are not what a document may be.

use sunkeep_ota::json::{Json, canonical, parse};
use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::Reason;
use sunkeep_ota::sign::documents::{number, object, text};
use sunkeep_ota::tuf::document::Kind;

use crate::repo::{MODEL, Members, Repo, now, refresh, refused};

/// The next timestamp, its bytes changed as text.
fn changed(repo: &Repo, change: impl Fn(String) -> Vec<u8>) -> Repo {
    let mut hostile = repo.clone();
    hostile.release();
    let text = String::from_utf8(hostile.files["timestamp.json"].clone()).unwrap();
    let after = change(text.clone());
    assert_ne!(after, text.as_bytes(), "nothing was changed");
    hostile.files.insert("timestamp.json".into(), after);
    hostile
}

fn replaced<'a>(from: &'a str, to: &'a str) -> impl Fn(String) -> Vec<u8> + 'a {
    move |text| text.replacen(from, to, 1).into_bytes()
}

#[test]
fn b01_keys_that_stand_twice() {
    let repo = Repo::new();
    for twice in [r#""_type":"timestamp","_type":"timestamp""#, r#""_type":"timestamp","\u005ftype":"root""#]
    {
        let hostile = changed(&repo, replaced(r#""_type":"timestamp""#, twice));
        refused(&repo, &hostile.files, Reason::JsonDupKey);
    }
    let hostile = changed(&repo, replaced("{\"signatures\"", "{\"signed\":{},\"signatures\""));
    refused(&repo, &hostile.files, Reason::JsonDupKey);
}

#[test]
fn b02_other_white_space_and_order_is_taken() {
    let repo = Repo::new();
    let odd = changed(&repo, |text| {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let signatures = serde_json::to_string_pretty(&value["signatures"]).unwrap();
        let signed = serde_json::to_string_pretty(&value["signed"]).unwrap();
        format!("\n{{\"signed\" :\t{signed},\r\n\"signatures\":{signatures} }}\n ").into_bytes()
    });
    let (after, result) = refresh(repo.client(), &odd.files, now());
    result.unwrap();
    assert_eq!(after.version(Kind::Targets), Some(2));
    assert_eq!(
        after.bytes(Kind::Timestamp),
        Some(odd.files["timestamp.json"].as_slice()),
        "kept as received"
    );
}

#[test]
fn b03_numbers_that_are_no_integers() {
    let repo = Repo::new();
    for figure in ["1.5", "1.0", "-0", "1e3", "1E-2", "99999999999999999999", "18446744073709551615"] {
        let hostile = changed(&repo, replaced("\"_type\"", &format!("\"more\":{figure},\"_type\"")));
        refused(&repo, &hostile.files, Reason::JsonNumber);
    }
    for figure in ["NaN", "Infinity", "01", "+1", "1.", "0x1"] {
        let hostile = changed(&repo, replaced("\"_type\"", &format!("\"more\":{figure},\"_type\"")));
        refused(&repo, &hostile.files, Reason::JsonSyntax);
    }
}

type Change<'a> = &'a dyn Fn(String) -> Vec<u8>;

#[test]
fn b04_bytes_that_are_no_json() {
    let repo = Repo::new();
    let cases: [(&str, Change<'_>); 9] = [
        ("not UTF-8", &|text| {
            let mut bytes = text.into_bytes();
            let at = bytes.windows(5).position(|part| part == b"_type").unwrap();
            bytes[at] = 0xff;
            bytes
        }),
        ("lone surrogate", &replaced("_type", "\\ud800type")),
        ("NUL", &replaced("_type", "\\u0000_type")),
        ("raw control", &replaced("_type", "\u{1}_type")),
        ("BOM", &|text| format!("\u{feff}{text}").into_bytes()),
        ("trailing object", &|text| format!("{text}{{}}").into_bytes()),
        ("trailing NUL", &|text| format!("{text}\0").into_bytes()),
        ("cut", &|text| text.as_bytes()[..text.len() / 2].to_vec()),
        ("empty", &|_| Vec::new()),
    ];
    for (name, change) in cases {
        let refusal = refused(&repo, &changed(&repo, change).files, Reason::JsonSyntax);
        assert!(!refusal.to_string().contains('\0'), "{name}");
    }
}

#[test]
fn b05_nested_ten_thousand_deep() {
    let limits = Limits::default();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [17, 100, 10_000, 1_000_000] {
            let bytes = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(parse(bytes.as_bytes(), "", &limits).unwrap_err().reason, Reason::JsonDepth);
        }
        let bytes = format!("{}1{}", open.repeat(16), close.repeat(16));
        parse(bytes.as_bytes(), "", &limits).unwrap();
    }
    let repo = Repo::new();
    let deep = format!("\"more\":{}1{},\"_type\"", "[".repeat(4_000), "]".repeat(4_000));
    refused(&repo, &changed(&repo, replaced("\"_type\"", &deep)).files, Reason::JsonDepth);
}

#[test]
fn b06_more_than_can_be_counted() {
    let limits = Limits::default();
    let million = format!("[{}0]", "0,".repeat(1_000_000));
    assert_eq!(parse(million.as_bytes(), "", &limits).unwrap_err().reason, Reason::CountCap);
    let repo = Repo::new();
    // Signatures: under the cap of bytes, over that of the count.
    let many: Vec<String> = (0..60).map(|n| format!("{{\"keyid\":\"{n}\",\"sig\":\"\"}},")).collect();
    let many = many.concat();
    let hostile = changed(&repo, replaced("\"signatures\":[", &format!("\"signatures\":[{many}")));
    refused(&repo, &hostile.files, Reason::CountCap);
    // Keys.
    let mut hostile = repo.clone();
    hostile.role(Kind::Timestamp).keys.extend(100..200);
    hostile.next_root();
    refused(&repo, &hostile.files, Reason::CountCap);
    // Targets.
    let mut hostile = repo.clone();
    for n in 0..1_025 {
        hostile.targets.insert(n.to_string(), number(n));
    }
    hostile.release();
    refused(&repo, &hostile.files, Reason::CountCap);
}

#[test]
fn d09_a_document_longer_than_the_cap() {
    let repo = Repo::new();
    let hostile = changed(&repo, |text| format!("{text}{}", " ".repeat(20_000)).into_bytes());
    refused(&repo, &hostile.files, Reason::TooLong);
    // Of a target: one byte more, one less.
    let client = repo.client();
    let found = crate::repo::search(&client, &repo.files, MODEL, now()).1.unwrap();
    let reason = |bytes: &[u8]| found.check(bytes, MODEL).unwrap_err().reason;
    assert_eq!(reason(b"weights of a load model!"), Reason::TooLong);
    assert_eq!(reason(b"weights of a load mode"), Reason::BadLength);
    assert_eq!(reason(b"weights of a load mOdel"), Reason::ContentHash);
}

#[test]
fn b07_unknown_members_are_signed_and_ignored() {
    let repo = Repo::new();
    let mut odd = repo.clone();
    odd.release_with(&|_, signed: &mut Members| {
        let more = object([("x", Json::Null), ("y", Json::List(vec![number(1), text("é\"\\\n")]))]);
        signed.insert("more".into(), more);
    });
    let (after, result) = refresh(repo.client(), &odd.files, now());
    result.unwrap();
    assert_eq!(after.version(Kind::Targets), Some(2));
}

/// The next release, its model with another member.
fn retargeted(repo: &Repo, member: &str, value: Option<Json>) -> Repo {
    let mut hostile = repo.clone();
    let Some(Json::Object(target)) = hostile.targets.get_mut(MODEL) else { unreachable!() };
    target.remove(member);
    target.extend(value.map(|value| (member.to_owned(), value)));
    hostile.release();
    hostile
}

#[test]
fn b08_hashes_that_are_none() {
    let repo = Repo::new();
    let hash = |algorithm: &str, digits: &str| Some(object([(algorithm, text(digits))]));
    let good = "0".repeat(64);
    for hashes in [
        None,
        Some(object([])),
        Some(Json::Null),
        hash("md5", &good),
        hash("sha256", &"A".repeat(64)),
        hash("sha256", &good[..63]),
        hash("sha256", &format!("{good}0")),
        hash("sha256", ""),
        hash("sha512", &good),
        Some(object([("sha256", text(&good)), ("sha512", text("x"))])),
        Some(object([("sha256", number(0))])),
    ] {
        refused(&repo, &retargeted(&repo, "hashes", hashes).files, Reason::BadHash);
    }
}

#[test]
fn b09_expiries_that_are_no_moment() {
    let repo = Repo::new();
    for expires in [
        "0000-01-01T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2027-02-30T00:00:00Z",
        "2027-02-29T00:00:00Z",
        "2027-13-01T00:00:00Z",
        "2027-00-01T00:00:00Z",
        "2027-01-00T00:00:00Z",
        "2027-01-01T24:00:00Z",
        "2027-01-01T23:59:60Z",
        "2027-01-01T00:00:00",
        "2027-01-01T00:00:00+01:00",
        "2027-01-01T00:00:00.5Z",
        "2027-01-01 00:00:00Z",
        "2027-1-1T00:00:00Z",
        "２027-01-01T00:0Z",
        "tomorrow",
        "",
    ] {
        for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
            let mut hostile = repo.clone();
            hostile.release_with(&|at, signed: &mut Members| {
                if at == kind {
                    signed.insert("expires".into(), text(expires));
                }
            });
            refused(&repo, &hostile.files, Reason::BadExpires);
        }
    }
}

#[test]
fn b10_lengths_that_are_none() {
    let repo = Repo::new();
    for length in
        [None, Some(number(0)), Some(Json::Integer(-1)), Some(Json::Integer(i64::MAX)), Some(text("1"))]
    {
        refused(&repo, &retargeted(&repo, "length", length).files, Reason::BadLength);
    }
}

#[test]
fn the_canonical_form_is_olpcs_where_no_normal_form_is_at_stake() {
    for plain in [
        r#"{"b":[1,-2,true,false,null],"a":{"\"":"\\\n\t","":""},"aa":9223372036854775807,"é":"ü"}"#,
        "[]",
        "{}",
        r#""\u007f\u2028""#,
    ] {
        let limits = Limits::default();
        let ours = canonical(&parse(plain.as_bytes(), "", &limits).unwrap(), "").unwrap();
        let value: serde_json::Value = serde_json::from_str(plain).unwrap();
        let mut theirs = Vec::new();
        let formatter = olpc_cjson::CanonicalFormatter::new();
        let mut to = serde_json::Serializer::with_formatter(&mut theirs, formatter);
        serde::Serialize::serialize(&value, &mut to).unwrap();
        assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(theirs).unwrap());
    }
}
