//! Devices that misbehave, on real pseudo-terminals and sockets: whatever they do, a value that is handed out
//! is right, each change is said once, and the other devices go on.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod peers;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use peers::steady::steady;
use peers::{
    A, Act, Asked, LATE, QUICK, RtuPeer, TcpPeer, bus, contacts, count, device, drive, framed, honest, said,
    small_device, values, with_relays,
};
use sunkeep::driver::{Driver, Output};
use sunkeep_models::time::Uptime;

#[test]
fn a_late_reply_is_never_the_next_requests_value() {
    steady(async || {
        // Every reply counts up. The third comes late, when the next request is due: its number must not
        // turn up as a value, for by then it says what was true before.
        let mut asked_so_far = 0;
        let peer = RtuPeer::start(move |asked| {
            asked_so_far += 1;
            let number = asked_so_far;
            let wait = Act::Wait(if number == 3 { LATE } else { 0 });
            vec![wait, Act::Frame(asked.reply(|_| number))]
        });
        let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a"], 1.0)]);
        let events = drive(&mut bus, 0, 7).await;
        assert_eq!(values(&events, 10), [1.0, 2.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(count(&peer.log, |_| true), 7);
        assert_eq!(said(&events, 1), ["answers"], "one late reply is not silence");
    });
}

#[test]
fn a_late_reply_of_one_unit_is_not_taken_for_another_units() {
    steady(async || {
        let peer = RtuPeer::start(|asked| match asked.unit {
            1 => vec![Act::Wait(LATE), Act::Frame(asked.reply(|_| 666))],
            _ => honest(asked),
        });
        let file = small_device("reply_timeout_ms = 800, longest_reply_ms = 800");
        let devices = vec![device(1, &file, &["a"], 1.0), device(2, &file, &["a"], 1.0)];
        let events = drive(&mut bus(peer.settings(), devices), 0, 5).await;
        assert_eq!(values(&events, 10), [0.0; 0]);
        assert_eq!(values(&events, 20), [36.0; 5]);
        assert_eq!(said(&events, 1).len(), 1, "{:?}", said(&events, 1));
    });
}

#[test]
fn babble_around_a_reply_does_not_hide_it() {
    steady(async || {
        // Garbage that begins like the reply, a frame of another unit, a damaged copy, then the reply in two
        // bursts 50 ms apart, and ASCII behind it.
        let peer = RtuPeer::start(|asked| {
            let reply = framed(&asked.reply(|address| address + 10));
            let mut damaged = reply.clone();
            damaged[4] ^= 0x40;
            let (first, second) = reply.split_at(reply.len() / 2);
            vec![
                Act::Raw(vec![0x00, 0xFF, asked.unit, asked.function, 0x00]),
                Act::Frame(Asked { unit: 9, ..asked.clone() }.reply(|_| 999)),
                Act::Raw(damaged),
                Act::Raw(first.to_vec()),
                Act::Wait(50),
                Act::Raw(second.to_vec()),
                Act::Raw(b"T:24.1 H:60.2\r\n".to_vec()),
            ]
        });
        let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a", "pair"], 1.0)]);
        let events = drive(&mut bus, 0, 5).await;
        assert_eq!(values(&events, 10), [A; 5]);
        assert_eq!(values(&events, 11), [f64::from(28 + 29 * 65536); 5]);
        assert_eq!(count(&peer.log, |_| true), 2 * 5, "two blocks, each asked once a second");
    });
}

#[test]
fn an_adapter_that_hands_back_what_was_sent_confirms_nothing() {
    steady(async || {
        // Every request comes back first; unit 2 then stays silent, and its relay must not seem to obey.
        let peer = RtuPeer::start(|asked| {
            let words = [asked.address.to_be_bytes(), asked.count.to_be_bytes()].concat();
            let echo = Act::Frame([vec![asked.unit, asked.function], words].concat());
            if asked.unit == 2 { vec![echo] } else { [vec![echo], honest(asked)].concat() }
        });
        let sunkeep::modbus::LineSettings::Rtu(mut line) = peer.settings() else { unreachable!() };
        line.echo = true;
        let file = small_device(QUICK);
        let relays = with_relays(device(2, &file, &[], 1.0), &[(0, 0)]);
        let mut bus = bus(
            sunkeep::modbus::LineSettings::Rtu(line),
            vec![device(1, &file, &["a", "pair"], 1.0), relays],
        );
        assert_eq!(contacts(&bus.write(Output(0), true, Uptime(0)).await, 0), [None]);
        assert_eq!(
            count(&peer.log, |_| true),
            1,
            "the echo was not taken for a confirmation that is to be read back"
        );
        let events = drive(&mut bus, 0, 4).await;
        assert_eq!(values(&events, 10), [A; 4]);
        assert_eq!(contacts(&events, 0), [], "it was never read");
        assert_eq!(said(&events, 2).len(), 1);
    });
}

#[test]
fn bytes_that_come_while_nobody_asked_are_dropped_and_found_by_the_probe() {
    steady(async || {
        let peer = RtuPeer::start(honest);
        let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a"], 1.0)]);
        let mut events = drive(&mut bus, 0, 1).await;
        for second in 1..4 {
            // A sound reply to our very question, but from before it was asked.
            peer.say(&framed(&[1, 3, 2, 0, 77]));
            peers::pause(20);
            events.extend(drive(&mut bus, second, second + 1).await);
        }
        assert_eq!(values(&events, 10), [A; 4]);

        let stop = Arc::new(AtomicBool::new(false));
        let talking = Arc::clone(&stop);
        let talker = std::thread::spawn(move || {
            while !talking.load(Ordering::Relaxed) {
                peer.say(b"23.9,61.0\r\n");
                peers::pause(40);
            }
        });
        let report = bus.probe().await.remove(0);
        stop.store(true, Ordering::Relaxed);
        talker.join().unwrap();
        assert!(report.finding.contains("came while nobody was asked"), "{report}");
    });
}

#[test]
fn wrong_unit_wrong_checksum_wrong_length_are_no_reply() {
    steady(async || {
        let wrong: [fn(&Asked) -> Vec<Act>; 4] = [
            |asked| vec![Act::Frame(Asked { unit: 2, ..asked.clone() }.reply(|_| 5))],
            |asked| vec![Act::Raw([asked.reply(|_| 5), vec![0xDE, 0xAD]].concat())],
            |asked| vec![Act::Frame(Asked { count: 3, ..asked.clone() }.reply(|_| 5))],
            |asked| vec![Act::Frame(Asked { function: 4, ..asked.clone() }.reply(|_| 5))],
        ];
        for serve in wrong {
            let peer = RtuPeer::start(serve);
            let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a"], 1.0)]);
            let events = drive(&mut bus, 0, 3).await;
            assert_eq!(values(&events, 10), [0.0; 0]);
            let said = said(&events, 1);
            assert_eq!(said.len(), 1);
            assert!(said[0].contains(" came"), "the report tells what came: {said:?}");
        }
    });
}

#[test]
fn a_lying_device_is_reported_once_and_its_values_are_not_used() {
    steady(async || {
        let lie = Arc::new(AtomicBool::new(false));
        let lying = Arc::clone(&lie);
        let peer = RtuPeer::start(move |asked| {
            let lies = lying.load(Ordering::Relaxed);
            vec![Act::Frame(
                asked.reply(|address| if lies && address < 0x12 { 60_000 } else { address + 10 }),
            )]
        });
        let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a", "b", "pair"], 1.0)]);
        drive(&mut bus, 0, 2).await;
        lie.store(true, Ordering::Relaxed);
        let events = drive(&mut bus, 2, 7).await;
        assert_eq!((values(&events, 10), values(&events, 11)), (vec![], vec![]));
        assert_eq!(values(&events, 12).len(), 5, "what is plausible is still used");
        let said_of = said(&events, 1);
        assert_eq!(said_of.len(), 1, "{said_of:?}");
        assert!(said_of[0].starts_with("doubtful: ") && said_of[0].contains("lying"), "{said_of:?}");
        lie.store(false, Ordering::Relaxed);
        assert_eq!(said(&drive(&mut bus, 7, 30).await, 1), ["answers"]);
    });
}

#[test]
fn a_block_is_split_around_what_does_not_exist_and_that_is_remembered() {
    steady(async || {
        // 0x11 and 0x30 do not exist.
        let peer = RtuPeer::start(|asked| {
            let holes = [0x11, 0x30];
            if holes.iter().any(|hole| (asked.address..asked.address + asked.count).contains(hole)) {
                return vec![Act::Frame(asked.exception(2))];
            }
            honest(asked)
        });
        let wanted = ["a", "b", "pair", "extra", "input"];
        let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &wanted, 1.0)]);
        let first = drive(&mut bus, 0, 1).await;
        let learning = count(&peer.log, |_| true);
        assert_eq!(
            learning,
            7,
            "one request for all, halves, quarters, the lone ones: {:?}",
            peer.log.lock()
        );
        let events = [first, drive(&mut bus, 1, 5).await].concat();
        assert_eq!(count(&peer.log, |_| true) - learning, 4 * 3, "a, pair and input; nothing in vain");
        assert_eq!(values(&events, 10).len(), 5);
        assert_eq!(values(&events, 12), [f64::from(28 + 29 * 65536); 5]);
        let said = said(&events, 1);
        assert_eq!(said.len(), 2, "the optional one is missed in silence: {said:?}");
        assert!(said[1].contains("b (function 3, address 0x0011) does not exist"), "{said:?}");
        // After ten minutes they are asked for again, once each.
        let before = count(&peer.log, |_| true);
        drive(&mut bus, 601, 602).await;
        assert_eq!(count(&peer.log, |_| true) - before, 3 + 2);
    });
}

#[test]
fn exceptions_are_not_silence() {
    steady(async || {
        // Code, requests in ten seconds, and what is said.
        let cases: [(u8, usize, &[&str]); 9] = [
            (1, 1, &["answers", "does not exist"]),
            (2, 1, &["answers", "does not exist"]),
            (3, 1, &["answers", "does not exist"]),
            (4, 2, &["answers", "device failure"]),
            (5, 10, &["answers", "acknowledged"]),
            (6, 10, &["answers", "busy"]),
            (8, 2, &["answers", "parity"]),
            (0x0A, 3, &["silent: device 1 (unit 1): the gateway answered exception 0x0A"]),
            (0x0B, 3, &["silent: device 1 (unit 1): the gateway answered exception 0x0B"]),
        ];
        for (code, requests, expected) in cases {
            let peer = TcpPeer::start(move |asked| vec![Act::Frame(asked.exception(code))]);
            let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a"], 5.0)]);
            let events = drive(&mut bus, 0, 10).await;
            let said = said(&events, 1);
            assert_eq!(count(&peer.log, |_| true), requests, "exception {code}: {said:?}");
            assert_eq!(said.len(), expected.len(), "exception {code}: {said:?}");
            for (said, expected) in said.iter().zip(expected) {
                assert!(said.contains(expected), "exception {code}: {said}");
            }
        }
    });
}

/// A board of relays that does what it is told.
fn relay_board(coils: &Arc<AtomicU8>, asked: &Asked) -> Vec<Act> {
    if asked.function == 5 {
        let bit = 1 << asked.address;
        match asked.count {
            0xFF00 => coils.fetch_or(bit, Ordering::Relaxed),
            0 => coils.fetch_and(!bit, Ordering::Relaxed),
            _ => return vec![Act::Frame(asked.exception(3))],
        };
    }
    let coils = coils.load(Ordering::Relaxed);
    vec![Act::Frame(asked.reply(|address| u16::from(coils >> address & 1)))]
}

#[test]
fn a_relay_is_written_and_read_back_and_what_is_not_confirmed_is_unknown() {
    steady(async || {
        let coils = Arc::new(AtomicU8::new(0b0100));
        let mood = Arc::new(Mutex::new("obeys"));
        let (board, felt) = (Arc::clone(&coils), Arc::clone(&mood));
        let peer = RtuPeer::start(move |asked| match (*felt.lock().unwrap(), asked.function) {
            // Firmware that confirms and does nothing.
            ("pretends", 5) => vec![Act::Frame(asked.reply(|_| 0))],
            ("swallows the reply", 5) => {
                relay_board(&board, asked);
                vec![]
            }
            ("refuses", 5) => vec![Act::Frame(asked.exception(4))],
            ("is dead", _) => vec![],
            _ => relay_board(&board, asked),
        });
        let relays = with_relays(device(1, &small_device(QUICK), &[], 1.0), &[(7, 2), (8, 3)]);
        let mut bus = bus(peer.settings(), vec![relays]);
        let at = |second| Uptime::from_seconds(second);
        assert_eq!(contacts(&drive(&mut bus, 0, 1).await, 7), [Some(true)], "as the board was found");
        assert_eq!(count(&peer.log, |asked| asked.function == 5), 0, "reading writes nothing");

        assert_eq!(contacts(&bus.write(Output(7), false, at(1)).await, 7), [Some(false)]);
        assert_eq!(coils.load(Ordering::Relaxed), 0);

        *mood.lock().unwrap() = "pretends";
        assert_eq!(
            contacts(&bus.write(Output(7), true, at(2)).await, 7),
            [Some(false)],
            "what it reads counts"
        );

        *mood.lock().unwrap() = "swallows the reply";
        assert_eq!(contacts(&bus.write(Output(8), true, at(3)).await, 8), [None]);
        let later = drive(&mut bus, 3, 4).await;
        assert_eq!(contacts(&later, 8), [Some(true)], "asked at the next opportunity: it had obeyed");

        *mood.lock().unwrap() = "refuses";
        let events = bus.write(Output(7), true, at(5)).await;
        assert_eq!(contacts(&events, 7), [None]);
        assert!(
            said(&events, 1)[0].contains("told a relay to go on; exception 0x04"),
            "{:?}",
            said(&events, 1)
        );

        *mood.lock().unwrap() = "is dead";
        let mut events = bus.write(Output(7), true, at(6)).await;
        events.extend(bus.write(Output(7), true, at(7)).await);
        assert!(contacts(&events, 7).iter().all(Option::is_none) && !contacts(&events, 7).is_empty());
        assert_eq!(said(&events, 1).len(), 1);
    });
}

#[test]
fn a_server_that_closes_after_each_reply_is_read_at_full_rate() {
    steady(async || {
        let peer = TcpPeer::start(|asked| [honest(asked), vec![Act::Close]].concat());
        let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a", "input"], 1.0)]);
        let events = drive(&mut bus, 0, 10).await;
        assert_eq!(values(&events, 10), [A; 10]);
        assert_eq!(values(&events, 11), [A; 10]);
        assert_eq!(said(&events, 1), ["answers"]);
        assert_eq!(count(&peer.log, |_| true), 20, "every request is served once");
    });
}

#[test]
fn stale_transactions_and_late_replies_over_tcp_are_dropped_with_the_connection() {
    steady(async || {
        let mut asked_so_far = 0;
        let peer = TcpPeer::start(move |asked| {
            asked_so_far += 1;
            let number = asked_so_far;
            match number {
                2 => vec![Act::Stale(asked.reply(|_| 666))],
                4 => vec![Act::Wait(LATE), Act::Frame(asked.reply(|_| 666))],
                6 => vec![Act::Frame(asked.reply(|_| number)), Act::Frame(asked.reply(|_| 666))],
                9 => vec![Act::Frame(Asked { unit: 9, ..asked.clone() }.reply(|_| 666))],
                11 => vec![Act::Frame(Asked { count: 2, ..asked.clone() }.reply(|_| 666))],
                13 => vec![Act::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
                _ => vec![Act::Frame(asked.reply(|_| number))],
            }
        });
        let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a"], 1.0)]);
        let events = drive(&mut bus, 0, 16).await;
        // The second copy of reply 6 is what request 7 meets.
        assert_eq!(values(&events, 10), [1.0, 3.0, 5.0, 6.0, 8.0, 10.0, 12.0, 14.0, 15.0, 16.0]);
        assert_eq!(*peer.connections.lock().unwrap(), 1 + 6, "each failure costs the connection");
        assert_eq!(said(&events, 1), ["answers"], "one failure at a time is not silence");
    });
}

#[test]
fn an_unreachable_bus_is_said_once_for_each_device_and_tried_again() {
    steady(async || {
        let port = peers::free_port();
        let line = sunkeep::modbus::LineSettings::Tcp(sunkeep::modbus::TcpSettings {
            host: "127.0.0.1".into(),
            port,
        });
        let file = small_device(QUICK);
        let mut bus = bus(line, vec![device(1, &file, &["a"], 1.0), device(2, &file, &["a"], 1.0)]);
        let events = drive(&mut bus, 0, 40).await;
        for unit in [1, 2] {
            let said = said(&events, unit);
            assert_eq!(said.len(), 1);
            assert!(said[0].contains("refused"), "{said:?}");
        }
        let report = bus.probe().await.remove(0);
        assert!(!report.ok && report.finding.contains("Try: switch Modbus TCP on"), "{report}");

        let missing = bus_on("/dev/no-such-port");
        let report = { missing }.probe().await.remove(0);
        assert!(report.finding.contains("plug the adapter in"), "{report}");
    });
}

fn bus_on(path: &str) -> sunkeep::modbus::ModbusBus {
    bus(peers::rtu(path.into()), vec![device(1, &small_device(QUICK), &["a"], 1.0)])
}

#[test]
fn the_probe_says_what_to_try() {
    steady(async || {
        type Case = (fn(&Asked) -> Vec<Act>, &'static str);
        let cases: [Case; 5] = [
            (|_| vec![], "swap A and B"),
            (|_| vec![Act::Raw(vec![0x3F, 0x80, 0xC7])], "bit rate and parity"),
            (
                |asked| vec![Act::Frame(Asked { unit: 7, ..asked.clone() }.reply(|_| 1))],
                "somebody else answers",
            ),
            (|_| vec![Act::Frame(vec![5, 4, 0, 0, 0, 2])], "switch the other master off"),
            (|asked| vec![Act::Frame(asked.exception(2))], "Try another device file"),
        ];
        for (serve, expected) in cases {
            let peer = RtuPeer::start(serve);
            let mut bus = bus(peer.settings(), vec![device(1, &small_device(QUICK), &["a"], 1.0)]);
            let report = bus.probe().await.remove(0);
            println!("{report}");
            assert!(!report.ok && report.finding.contains(expected), "{report}");
        }
    });
}
