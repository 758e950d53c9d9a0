//! Who is asked when: dead, slow and half-deaf devices, and a port that goes away. The others go on meanwhile.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod peers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use peers::steady::steady;
use peers::{
    A, Act, Asked, QUICK, RtuPeer, bus, clock, contacts, count, device, drive, framed, honest, rest, said,
    small_device, values, with_relays,
};
use sunkeep::driver::Driver;
use sunkeep_models::time::Uptime;

/// What four devices read every second, in real time for twelve seconds, got with dead ones between them.
struct Among {
    /// The fewest readings of a live device.
    readings: usize,
    /// How often a dead one was asked, all together.
    tries: usize,
    /// The most questions to dead ones between two to the same live one, once each dead one had had its two
    /// questions: counted on the wire, as a machine that stalls says nothing about turns.
    between: usize,
}

async fn among_dead(dead: u8) -> Among {
    let peer = RtuPeer::start(|asked| if asked.unit > 4 { vec![] } else { honest(asked) });
    let file = small_device("reply_timeout_ms = 400, longest_reply_ms = 700");
    let devices = (1..=4 + dead).map(|unit| device(unit, &file, &["a"], 1.0)).collect();
    let mut bus = bus(peer.settings(), devices);
    let (mut readings, mut events, start) = ([0; 5], Vec::new(), clock());
    while start.elapsed().as_secs_f64() < 12.0 {
        let Some(more) = bus.next(Uptime(start.elapsed().as_millis() as u64)).await else {
            rest(1).await;
            continue;
        };
        for unit in (1..=4_u8).filter(|unit| !values(&more, u16::from(*unit) * 10).is_empty()) {
            readings[usize::from(unit)] += 1;
        }
        events.extend(more);
    }
    let tries = |unit| count(&peer.log, |asked: &Asked| asked.unit == unit);
    for unit in 5..=4 + dead {
        assert_eq!(said(&events, unit).len(), 1);
        assert!(
            (3..=4).contains(&tries(unit)),
            "two to find out, and again after four seconds: {}",
            tries(unit)
        );
    }
    let asked: Vec<u8> = peer.log.lock().unwrap().iter().map(|asked| asked.unit).collect();
    Among {
        readings: readings[1..].iter().copied().min().unwrap(),
        tries: (5..=4 + dead).map(tries).sum(),
        between: most_between(&asked, 2 * usize::from(dead)),
    }
}

/// The most questions to units above 4 between two to the same unit, after the first `known` of them.
fn most_between(asked: &[u8], known: usize) -> usize {
    let (mut dead, mut most, mut since) = (0, 0, [None; 5]);
    for unit in asked {
        match since.get_mut(usize::from(*unit)) {
            Some(last) => {
                most = most.max(last.map_or(0, |before: usize| dead - before.max(known.min(dead))));
                *last = Some(dead);
            }
            None => dead += 1,
        }
    }
    most
}

#[test]
fn a_dead_device_never_delays_the_others() {
    steady(async || {
        let (alone, among) = tokio::join!(among_dead(0), among_dead(3));
        println!("no dead device: {} readings of each live one in 12 s", alone.readings);
        println!("three dead, tried {} times: {} readings", among.tries, among.readings);
        assert_eq!(among.between, 1, "a live device waits for one dead one at most");
        let [alone, among] = [alone, among].map(|of| of.readings);
        assert!(2 * among > alone, "{among} of {alone}");
    });
}

#[test]
fn a_dead_device_is_found_again_on_a_bus_without_pauses() {
    steady(async || {
        let alive = Arc::new(AtomicBool::new(false));
        let revived = Arc::clone(&alive);
        let peer = RtuPeer::start(move |asked| {
            if asked.unit == 3 && !revived.load(Ordering::Relaxed) { vec![] } else { honest(asked) }
        });
        // A reply may take longer than the second between two readings.
        let slow = small_device("reply_timeout_ms = 800, longest_reply_ms = 1600");
        let quick = small_device("reply_timeout_ms = 800, longest_reply_ms = 800");
        let devices = vec![
            device(1, &quick, &["a"], 1.0),
            device(2, &quick, &["a"], 1.0),
            device(3, &slow, &["a"], 1.0),
        ];
        let mut bus = bus(peer.settings(), devices);
        let tries = || count(&peer.log, |asked| asked.unit == 3);
        drive(&mut bus, 0, 10).await;
        assert_eq!(tries(), 2, "a pause is waited for");
        drive(&mut bus, 10, 20).await;
        assert_eq!(tries(), 3, "but not for ever");
        // From here two transactions a second are all there is time for, and two are always due.
        for second in 20..360 {
            for _ in 0..2 {
                bus.next(Uptime::from_seconds(second)).await;
            }
        }
        assert_eq!(tries(), 4, "once in five minutes even then");
        alive.store(true, Ordering::Relaxed);
        assert_eq!(said(&drive(&mut bus, 360, 440).await, 3), ["answers"]);
    });
}

#[test]
fn a_slow_device_costs_the_others_one_transaction_a_turn() {
    steady(async || {
        // Unit 1 takes 80 ms and has five requests; unit 2 is quick. Both are wanted more often than the bus can.
        let peer = RtuPeer::start(|asked| {
            let wait = Act::Wait(if asked.unit == 1 { 80 } else { 0 });
            [vec![wait], honest(asked)].concat()
        });
        let text = r#"
name = "wide"
vendor = "test"
source = "test"
verified = true
limits = { max_registers = 1, reply_timeout_ms = 300, longest_reply_ms = 300 }
register = [
  { name = "a", function = 3, address = 1, type = "u16", min = 0, max = 1000 },
  { name = "b", function = 3, address = 2, type = "u16", min = 0, max = 1000 },
  { name = "c", function = 3, address = 3, type = "u16", min = 0, max = 1000 },
  { name = "d", function = 3, address = 4, type = "u16", min = 0, max = 1000 },
]
"#;
        let wide = Arc::new(sunkeep::device_file::DeviceFile::parse("wide", text).unwrap());
        let devices =
            vec![device(1, &wide, &["a", "b", "c", "d"], 0.1), device(2, &small_device(QUICK), &["a"], 0.1)];
        let mut bus = bus(peer.settings(), devices);
        let (mut events, start) = (Vec::new(), clock());
        let slow_ones =
            |events: &[_]| (10..14).map(|channel| values(events, channel).len()).collect::<Vec<_>>();
        while slow_ones(&events).iter().sum::<usize>() < 24 && start.elapsed().as_secs_f64() < 30.0 {
            let now = Uptime(start.elapsed().as_millis() as u64);
            events.extend(bus.next(now).await.unwrap_or_default());
        }
        let (quick, slow) = (values(&events, 20).len(), slow_ones(&events));
        println!("quick device: {quick} readings; slow one: {slow:?}");
        let (fewest, most) = (slow.iter().min().unwrap(), slow.iter().max().unwrap());
        // Without turns the quick one would get one transaction in five.
        assert!(10 * quick >= 6 * slow.iter().sum::<usize>(), "{quick} and {slow:?}");
        assert!(fewest + 2 >= *most && *fewest > 2, "no register starves: {slow:?}");
    });
}

#[test]
fn a_device_that_comes_back_is_read_again_in_full() {
    steady(async || {
        // It is replaced by one that has the register at 0x30, too.
        let (dead, better) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (off, replaced) = (Arc::clone(&dead), Arc::clone(&better));
        let peer = RtuPeer::start(move |asked| {
            if off.load(Ordering::Relaxed) {
                vec![]
            } else if asked.address == 0x30 && !replaced.load(Ordering::Relaxed) {
                vec![Act::Frame(asked.exception(2))]
            } else {
                honest(asked)
            }
        });
        let device = device(1, &small_device(QUICK), &["a", "extra", "input"], 1.0);
        let mut bus = bus(peer.settings(), vec![with_relays(device, &[(0, 0)])]);
        assert_eq!(said(&drive(&mut bus, 0, 3).await, 1), ["answers"]);
        dead.store(true, Ordering::Relaxed);
        let events = drive(&mut bus, 3, 60).await;
        assert_eq!(said(&events, 1).len(), 1);
        assert_eq!(contacts(&events, 0), [None], "a contact that cannot be read is unknown");
        better.store(true, Ordering::Relaxed);
        dead.store(false, Ordering::Relaxed);
        let events = drive(&mut bus, 60, 130).await;
        assert_eq!(said(&events, 1), ["answers"]);
        assert!([10, 11, 12].iter().all(|channel| values(&events, *channel).len() > 5));
        assert_eq!(contacts(&events, 0).first(), Some(&Some(true)), "unit 1: coil 0 reads 10");
    });
}

#[test]
fn one_request_that_stays_unanswered_is_asked_ever_less_often() {
    steady(async || {
        let deaf = Arc::new(AtomicBool::new(true));
        let hears_not = Arc::clone(&deaf);
        let peer = RtuPeer::start(move |asked| {
            if asked.function == 4 && hears_not.load(Ordering::Relaxed) { vec![] } else { honest(asked) }
        });
        let file = small_device("reply_timeout_ms = 800, longest_reply_ms = 800");
        let mut bus = bus(peer.settings(), vec![device(1, &file, &["a", "input"], 1.0)]);
        let events = drive(&mut bus, 0, 60).await;
        assert_eq!(values(&events, 10).len(), 60, "the rest is read as ever");
        let said_of = said(&events, 1);
        assert_eq!(said_of.len(), 2, "{said_of:?}");
        assert!(said_of[1].contains("(function 4) stays unanswered"), "{said_of:?}");
        assert_eq!(
            count(&peer.log, |asked| asked.function == 4),
            6,
            "at 0, 1, 2, 6, 14, 30 and no more than that"
        );
        deaf.store(false, Ordering::Relaxed);
        let events = drive(&mut bus, 60, 140).await;
        assert!(values(&events, 11).len() > 10);
        assert_eq!(said(&events, 1), ["answers"]);
    });
}

#[test]
fn an_adapter_that_is_pulled_and_plugged_in_again_is_used_again() {
    steady(async || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter");
        let plug_in = || {
            let (mut far, port) = peers::pty();
            let _ = std::fs::remove_file(&path);
            std::os::unix::fs::symlink(port, &path).unwrap();
            let (pull, pulled) = std::sync::mpsc::channel::<()>();
            let device = std::thread::spawn(move || {
                use std::io::{Read, Write};
                // Until it is pulled: then the far end is closed, as when an adapter goes away.
                rustix::fs::fcntl_setfl(&far, rustix::fs::OFlags::NONBLOCK).unwrap();
                let mut request = [0; 8];
                while pulled.try_recv().is_err() {
                    peers::pause(1);
                    if far.read(&mut request).is_ok_and(|count| count == 8) {
                        far.write_all(&framed(&[request[0], request[1], 2, 0, 26])).unwrap();
                    }
                }
            });
            (pull, device)
        };
        let (pull, device_thread) = plug_in();
        let mut bus = bus(peers::rtu(path.clone()), vec![device(1, &small_device(QUICK), &["a"], 1.0)]);
        assert_eq!(values(&drive(&mut bus, 0, 2).await, 10), [A; 2]);
        pull.send(()).unwrap();
        device_thread.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        let events = drive(&mut bus, 2, 30).await;
        assert_eq!(said(&events, 1).len(), 1, "{:?}", said(&events, 1));
        let (pull, device_thread) = plug_in();
        let events = drive(&mut bus, 30, 120).await;
        assert_eq!(said(&events, 1), ["answers"]);
        assert!(values(&events, 10).len() > 30);
        pull.send(()).unwrap();
        device_thread.join().unwrap();
    });
}
