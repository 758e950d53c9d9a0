//! Messages come back as they were sent, and whatever else comes is refused by name: nothing panics, nothing grows
//! beyond its bounds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use minicbor::Encoder;
use proptest::prelude::*;
use sunkeep_models::wire::{
    Channel, Event, Field, MOST_RECORDS, MOST_UNPACKED, Message, Refused, Sender, Stamp, Telemetry, compact,
    json,
};

fn sender() -> Sender {
    Sender { site: "kisumu-12".into(), hub: "hub-12".into(), store: *b"0123456789abcdef" }
}

fn telemetry(records: i64) -> Telemetry {
    let stamp = |n| Stamp {
        boot: 3,
        sequence: 100 + n,
        uptime_ms: 60_000 * n + n % 7,
        wall_ms: (n % 5 > 0).then_some(1_795_000_000_000 + 60_000 * n),
    };
    let channel = |name: &str, parts, value: fn(i64) -> Option<i64>| Channel {
        name: name.into(),
        parts,
        values: (0..records).map(value).collect(),
    };
    Telemetry {
        from: sender(),
        stamps: (0..records).map(stamp).collect(),
        spans_ms: vec![60_000; records as usize],
        channels: vec![
            channel("battery_v", 100, |n| (n % 11 > 0).then_some(1290 - n % 13)),
            channel("load.television.on", 1, |n| Some(n / 9 % 2)),
        ],
    }
}

fn event() -> Event {
    let stamp = Stamp { boot: 1, sequence: 7, uptime_ms: 5000, wall_ms: None };
    let fields = vec![
        ("load".into(), Field::Text("television".into())),
        ("left".into(), Field::Number(0.31)),
        ("on".into(), Field::Flag(false)),
    ];
    Event { stamp, what: "switched".into(), fields }
}

#[test]
fn a_day_comes_back_from_the_compact_form() {
    let message = Message::Telemetry(telemetry(1440));
    let bytes = compact::write(&message).unwrap();
    println!("{} bytes for 1440 records", bytes.len());
    assert_eq!(Message::read(&bytes).unwrap(), message);
    let events = Message::Events { from: sender(), events: vec![event(), event()] };
    assert_eq!(Message::read(&compact::write(&events).unwrap()).unwrap(), events);
}

#[test]
fn members_of_the_plain_form_are_told_once_in_any_order_and_spelling() {
    let line = json::write(&Message::Telemetry(telemetry(1))).remove(0);
    let values = |text: &str| {
        let begin = line.find("\"values\":").unwrap() + "\"values\":".len();
        let end = line[begin..].find('}').unwrap() + begin + 1;
        Message::read(format!("{}{text}{}", &line[..begin], &line[end..]).as_bytes())
    };
    let named = |text: &str| match values(text).unwrap() {
        Message::Telemetry(telemetry) => telemetry
            .channels
            .iter()
            .map(|channel| (channel.name.clone(), channel.value(0)))
            .collect::<Vec<_>>(),
        other @ Message::Events { .. } => panic!("{other:?}"),
    };
    let expected = [("a".to_owned(), Some(1.5)), ("b".to_owned(), None), ("c".to_owned(), Some(-3.0))];
    assert_eq!(named(r#"{"c":-3,"a":1.5,"b":null}"#), expected);
    assert_eq!(named(r#"{"\u0063":-3e0,"b":null,"\u0061":1.5}"#), expected);
    assert_eq!(values(r#"{"a":1,"b":2,"\u0061":3}"#), Err(Refused::Twice("a".into())));
    assert!(matches!(values("[1]"), Err(Refused::Json(_))));
    assert_eq!(values("null"), Err(Refused::Missing("values")));
}

#[test]
fn a_record_comes_back_from_the_plain_form() {
    let telemetry = telemetry(12);
    let lines = json::write(&Message::Telemetry(telemetry.clone()));
    assert_eq!(lines.len(), 12);
    for (n, line) in lines.iter().enumerate() {
        let Message::Telemetry(back) = Message::read(line.as_bytes()).unwrap() else { panic!("{line}") };
        assert_eq!((&back.from, back.stamps[0]), (&telemetry.from, telemetry.stamps[n]));
        for (channel, sent) in back.channels.iter().zip(&telemetry.channels) {
            assert_eq!((&channel.name, channel.value(0)), (&sent.name, sent.value(n)), "{line}");
        }
    }
    let line = json::write(&Message::Events { from: sender(), events: vec![event()] }).remove(0);
    let Message::Events { mut events, .. } = Message::read(line.as_bytes()).unwrap() else {
        panic!("{line}")
    };
    let mut sent = event();
    // An object has no order.
    sent.fields.sort_by(|one, other| one.0.cmp(&other.0));
    events[0].fields.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(events, [sent]);
}

/// A message whose map holds what `fill` writes, with `members` members.
fn forged(members: u64, fill: impl Fn(&mut Encoder<Vec<u8>>)) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(5 + members).unwrap().str("v").unwrap().u64(1).unwrap();
    encoder.str("kind").unwrap().str("telemetry").unwrap().str("site").unwrap().str("s").unwrap();
    encoder.str("hub").unwrap().str("h").unwrap().str("store").unwrap().bytes(&[0; 16]).unwrap();
    fill(&mut encoder);
    zstd::bulk::compress(&encoder.into_writer(), 3).unwrap()
}

/// Columns by name; each with its differences and its numbers.
fn columns(columns: &[(&str, u8, &[i64])]) -> Vec<u8> {
    forged(1, |encoder| {
        encoder.str("columns").unwrap().map(columns.len() as u64).unwrap();
        for (name, differences, numbers) in columns {
            encoder.str(name).unwrap().array(3).unwrap().u32(1).unwrap().u8(*differences).unwrap();
            encoder.array(numbers.len() as u64).unwrap();
            numbers.iter().for_each(|number| {
                encoder.i64(*number).unwrap();
            });
        }
    })
}

const STAMPS: [(&str, u8, &[i64]); 5] = [
    ("boot", 0, &[1]),
    ("sequence", 0, &[1]),
    ("uptime_ms", 0, &[1]),
    ("wall_ms", 0, &[1]),
    ("span_ms", 0, &[1]),
];

fn with(more: &[(&'static str, u8, &'static [i64])]) -> Vec<u8> {
    columns(&[&STAMPS[..], more].concat())
}

#[test]
fn what_breaks_a_bound_is_refused_by_name() {
    assert!(Message::read(&with(&[("pv_w", 0, &[5])])).is_ok());
    let refusal = |bytes: &[u8]| Message::read(bytes).unwrap_err();
    assert_eq!(refusal(&columns(&STAMPS[1..])), Refused::Missing("boot"));
    assert_eq!(refusal(&with(&[("pv_w", 0, &[5]), ("pv_w", 0, &[5])])), Refused::Twice("pv_w".into()));
    assert_eq!(
        refusal(&with(&[("pv_w", 0, &[5, 6])])),
        Refused::Ragged { name: "pv_w".into(), found: 2, expected: 1 }
    );
    assert_eq!(refusal(&with(&[("a b", 0, &[5])])), Refused::Name("a b".into()));
    assert_eq!(refusal(&with(&[("../x", 0, &[5])])), Refused::Name("../x".into()));
    let over: &[i64] = &[i64::MAX, i64::MAX];
    let two: Vec<_> = STAMPS.iter().map(|(name, ..)| (*name, 0, [1, 1].as_slice())).collect();
    assert_eq!(
        refusal(&columns(&[&two[..], &[("pv_w", 1, over)]].concat())),
        Refused::Overflow("pv_w".into())
    );
    assert!(matches!(refusal(&with(&[("pv_w", 3, &[5])])), Refused::Cbor(_)), "differences");
    let boot = columns(&[&[("boot", 0, [-1_i64].as_slice())], &STAMPS[1..]].concat());
    assert!(matches!(refusal(&boot), Refused::Value { name: "boot", found: -1, record: 0, .. }));
    assert_eq!(refusal(br#"{"v":1}"#), Refused::Json("missing field `kind` at line 1 column 7".into()));
    assert!(matches!(refusal(b"not a frame"), Refused::Packing(_)));
    assert!(matches!(refusal(&vec![b'{'; 300 << 10]), Refused::TooLong { what: "message", .. }));
}

/// A small frame that holds more than a message may, an array that claims to, and a nest without an end.
#[test]
fn bombs_are_refused_before_they_go_off() {
    let zeros = zstd::encode_all(&vec![0; 64 << 20][..], 1).unwrap();
    println!("{} bytes unpack to 64 MiB", zeros.len());
    assert_eq!(
        Message::read(&zeros),
        Err(Refused::TooLong {
            what: "unpacked message",
            found: MOST_UNPACKED as u64 + 1,
            most: MOST_UNPACKED as u64
        })
    );
    let window = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    assert!(matches!(Message::read(&window), Err(Refused::Packing(why)) if why.contains("memory")));
    let claims = forged(1, |encoder| {
        encoder.str("columns").unwrap().map(1).unwrap().str("boot").unwrap().array(3).unwrap();
        encoder.u32(1).unwrap().u8(0).unwrap().array(u64::MAX).unwrap();
    });
    let most = MOST_RECORDS as u64;
    assert_eq!(Message::read(&claims), Err(Refused::TooLong { what: "column", found: u64::MAX, most }));
    let nest = forged(1, |encoder| {
        encoder.str("later").unwrap();
        (0..1_000_000).for_each(|_| {
            encoder.array(1).unwrap();
        });
    });
    assert!(matches!(Message::read(&nest), Err(Refused::Cbor(_))));
}

/// What a later version adds is left alone.
#[test]
fn members_that_are_not_known_are_left_alone() {
    let bytes = forged(2, |encoder| {
        encoder.str("firmware").unwrap().map(1).unwrap().str("is").unwrap().str("newer").unwrap();
        encoder.str("columns").unwrap().map(5).unwrap();
        for (name, ..) in STAMPS {
            encoder.str(name).unwrap().array(3).unwrap().u32(1).unwrap().u8(0).unwrap();
            encoder.array(1).unwrap().i64(4).unwrap();
        }
    });
    assert_eq!(Message::read(&bytes).unwrap().records(), 1);
}

fn column() -> impl Strategy<Value = Vec<Option<i64>>> {
    prop::collection::vec(prop::option::of(-(1_i64 << 53)..=1 << 53), 0..40)
}

proptest! {
    #[test]
    fn any_column_comes_back(values in column(), parts in 1_u32..100_000) {
        let stamp = Stamp { boot: 1, sequence: 2, uptime_ms: 3, wall_ms: None };
        let records = values.len();
        let message = Message::Telemetry(Telemetry {
            from: sender(),
            stamps: vec![stamp; records],
            spans_ms: vec![1; records],
            channels: vec![Channel { name: "x".into(), parts, values }],
        });
        prop_assert_eq!(Message::read(&compact::write(&message).unwrap()).unwrap(), message);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Message::read(&bytes);
        let _ = Message::read(&zstd::bulk::compress(&bytes, 1).unwrap());
    }

    /// One byte of the CBOR is another: it is read, or refused.
    #[test]
    fn a_spoilt_byte_is_read_or_refused(place in 0_usize..2000, byte in any::<u8>()) {
        let message = Message::Telemetry(telemetry(30));
        let mut cbor = zstd::bulk::decompress(&compact::write(&message).unwrap(), 1 << 20).unwrap();
        let place = place % cbor.len();
        cbor[place] = byte;
        let _ = Message::read(&zstd::bulk::compress(&cbor, 1).unwrap());
    }
}
