//! Devices on their buses: limits, bursts, units that share a line, and every fault, byte by byte.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

mod common;

use core::time::Duration;
use std::sync::Arc;

use common::{Line, Tcp, bus, crc, now, read, start};
use sunkeep_simulator::Fault;
use sunkeep_simulator::device::Model;
use sunkeep_simulator::home::{HomeOptions, RunningHome, Transport};

/// Runs a blocking master against a home.
async fn against<T: Send + 'static>(
    home: &RunningHome,
    master: impl FnOnce(String) -> T + Send + 'static,
) -> T {
    let address = home.address("bus").expect("the bus").to_owned();
    tokio::task::spawn_blocking(move || master(address)).await.expect("the master")
}

const SHARED: &[(u8, Model)] =
    &[(1, Model::EpeverTracer3210a), (2, Model::RelayBoard8), (3, Model::XyMd02), (4, Model::EastronSdm120)];

#[tokio::test]
async fn eighteen_registers_pass_and_nineteen_do_not() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    let expected = (home.readings().battery_voltage * 100.0).round() as u16;
    against(&home, move |path| {
        let mut line = Line::open(&path);
        let answer = line.ask(&read(1, 4, 0x3100, 18));
        assert_eq!(answer.len(), 3 + 36);
        assert_eq!(u16::from_be_bytes([answer[11], answer[12]]), expected);
        assert_eq!(line.ask(&read(1, 4, 0x3100, 19)), [1, 0x84, 2]);
        assert_eq!(line.ask(&read(1, 4, 0x311A, 1)).len(), 5);
        assert_eq!(line.ask(&read(1, 4, 0x311A, 2)), [1, 0x84, 2]);
    })
    .await;
    let traffic = home.traffic("bus", 1).expect("the unit");
    assert_eq!((traffic.requests, traffic.answers, traffic.exceptions), (4, 2, 2));
    assert_eq!(traffic.recent[1], (4, 0x3100, 19));
}

#[tokio::test]
async fn the_long_answer_comes_in_two_bursts() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    against(&home, |path| {
        let mut line = Line::open(&path);
        line.send(&read(1, 4, 0x3300, 20));
        let pieces = line.pieces(Duration::from_secs(1));
        let bytes: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        assert_eq!(bytes.len(), 45);
        assert_eq!(crc(&bytes[..43]), bytes[43..]);
        let (first, last) = (&pieces[0], &pieces[pieces.len() - 1]);
        assert!(first.1.len() <= 24, "{pieces:?}");
        assert!(last.0 - first.0 >= Duration::from_millis(150), "{pieces:?}");
    })
    .await;
}

#[tokio::test]
async fn units_share_a_line_and_strangers_are_met_with_silence() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    against(&home, |path| {
        let mut line = Line::open(&path);
        assert_eq!(line.ask(&read(3, 4, 1, 2)).len(), 7);
        assert_eq!(line.ask(&read(4, 4, 0x0C, 2)).len(), 7);
        line.ask_in_vain(&read(9, 4, 1, 2));
        assert_eq!(line.ask(&[2, 5, 0, 3, 0xFF, 0]), [2, 5, 0, 3, 0xFF, 0]);
        assert_eq!(line.ask(&read(2, 1, 0, 8)), [2, 1, 1, 0b0000_1000]);
        // To everybody: nobody answers, and the relay board acts.
        line.ask_in_vain(&[0, 15, 0, 0, 0, 8, 1, 0x81]);
        assert_eq!(line.ask(&read(2, 1, 0, 8)), [2, 1, 1, 0x81]);
    })
    .await;
    assert_eq!(home.outputs().coils, [true, false, false, false, false, false, false, true]);
    home.power_cycle_relays();
    assert_eq!(home.outputs().coils, [false; 8]);
}

#[tokio::test]
async fn a_gateway_and_a_gx_device_name_what_is_missing() {
    let gateway = start(bus(Transport::Tcp, &[(4, Model::EastronSdm630), (5, Model::AlgodueUem)])).await;
    against(&gateway, |address| {
        let mut master = Tcp::connect(&address);
        assert_eq!(master.ask(&read(4, 4, 0, 80)).expect("an answer").len(), 3 + 160);
        assert_eq!(master.ask(&read(4, 4, 0, 82)).expect("an answer"), [4, 0x84, 3]);
        assert_eq!(master.ask(&read(5, 3, 0x1000, 60)).expect("an answer").len(), 3 + 120);
        assert_eq!(master.ask(&read(5, 3, 0x1000, 61)).expect("an answer"), [5, 0x83, 2]);
        assert_eq!(master.ask(&read(7, 3, 0, 1)).expect("an answer"), [7, 0x83, 0x0B]);
    })
    .await;
    let gx = start(bus(Transport::Tcp, &[(100, Model::VictronSystem)])).await;
    against(&gx, |address| {
        let mut master = Tcp::connect(&address);
        assert_eq!(master.ask(&read(100, 3, 840, 7)).expect("an answer").len(), 3 + 14);
        assert_eq!(master.ask(&read(0, 4, 840, 1)).expect("an answer").len(), 3 + 2);
        assert_eq!(master.ask(&read(100, 3, 840, 8)).expect("an answer"), [100, 0x83, 2]);
        assert_eq!(master.ask(&read(225, 3, 259, 1)).expect("an answer"), [225, 0x83, 0x0A]);
        assert_eq!(master.ask(&read(100, 3, 820, 1)).expect("an answer"), [100, 3, 2, 0, 0]);
        assert_eq!(master.ask(&read(100, 1, 0, 1)).expect("an answer"), [100, 0x81, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_dead_unit_is_silent_and_its_neighbour_is_not() {
    let home = Arc::new(start(bus(Transport::Rtu, SHARED)).await);
    assert!(home.set_fault("bus", 3, Fault::Dead));
    assert!(!home.set_fault("bus", 99, Fault::Dead));
    let switch = Arc::clone(&home);
    against(&home, move |path| {
        let mut line = Line::open(&path);
        line.ask_in_vain(&read(3, 4, 1, 2));
        line.ask(&read(4, 4, 0x0C, 2));
        assert_eq!(switch.traffic("bus", 3).expect("the unit").unanswered, 1);
        switch.set_fault("bus", 3, Fault::None);
        line.ask(&read(3, 4, 1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_slow_unit_answers_into_the_next_request() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    home.set_fault("bus", 3, Fault::Slow(Duration::from_millis(600)));
    against(&home, |path| {
        let mut line = Line::open(&path);
        line.send(&read(3, 4, 1, 2));
        assert!(line.pieces(Duration::from_millis(60)).is_empty(), "nothing yet");
        line.send(&read(4, 4, 0x0C, 2));
        let bytes = line.exactly(18);
        assert_eq!((bytes[0], bytes[9]), (4, 3), "the late one last");
    })
    .await;
    let gateway = start(bus(Transport::Tcp, &[(4, Model::EastronSdm630), (5, Model::AlgodueUem)])).await;
    gateway.set_fault("bus", 4, Fault::Slow(Duration::from_millis(600)));
    against(&gateway, |address| {
        let mut master = Tcp::connect(&address);
        let late = master.send(&read(4, 4, 0x0C, 2));
        let prompt = master.send(&read(5, 3, 0x1000, 2));
        assert_eq!(master.receive().expect("an answer").0, prompt);
        assert_eq!(master.receive().expect("an answer").0, late);
    })
    .await;
}

#[tokio::test]
async fn a_babbling_unit_speaks_unasked_and_before_its_answers() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    home.set_fault("bus", 3, Fault::Babbling(Duration::from_millis(40)));
    against(&home, |path| {
        let mut line = Line::open(&path);
        line.until(|bytes| bytes.windows(4).any(|four| four == b"C,61"));
        line.send(&read(3, 4, 1, 2));
        let place = |bytes: &[u8]| bytes.windows(3).position(|three| three == [3, 4, 4]);
        let bytes = line.until(|bytes| place(bytes).is_some_and(|answer| bytes.len() >= answer + 9));
        let answer = place(&bytes).expect("an answer in the noise");
        assert_eq!(bytes[answer - 1], b'\n');
        assert_eq!(crc(&bytes[answer..answer + 7]), bytes[answer + 7..answer + 9]);
    })
    .await;
}

#[tokio::test]
async fn lies_are_well_formed() {
    let home = Arc::new(start(bus(Transport::Rtu, SHARED)).await);
    let switch = Arc::clone(&home);
    against(&home, move |path| {
        let mut line = Line::open(&path);
        for (fault, first) in [
            (Fault::ZEROS, [0, 0, 0, 0]),
            (Fault::ONES, [0xFF; 4]),
            (Fault::NOT_A_NUMBER, [0x7F, 0xC0, 0, 0]),
            (Fault::FLOAT_NINES, 9999.0_f32.to_be_bytes()),
        ] {
            switch.set_fault("bus", 4, fault);
            let answer = line.ask(&read(4, 4, 0, 4));
            assert_eq!((&answer[3..7], &answer[7..11]), (&first[..], &first[..]), "{fault:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_checksum_and_a_busy_unit() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    home.set_fault("bus", 3, Fault::WrongCheck);
    home.set_fault("bus", 4, Fault::Busy);
    against(&home, |path| {
        let mut line = Line::open(&path);
        line.send(&read(3, 4, 1, 2));
        let bytes = line.exactly(9);
        assert_ne!(crc(&bytes[..7]), bytes[7..]);
        assert_eq!(line.ask(&read(4, 4, 0, 2)), [4, 0x84, 6]);
    })
    .await;
    let gateway = start(bus(Transport::Tcp, &[(4, Model::EastronSdm630)])).await;
    gateway.set_fault("bus", 4, Fault::WrongCheck);
    against(&gateway, |address| {
        let mut master = Tcp::connect(&address);
        let sent = master.send(&read(4, 4, 0, 2));
        assert_ne!(master.receive().expect("an answer").0, sent);
    })
    .await;
}

#[tokio::test]
async fn relays_move_the_plant_and_keep_their_state_without_a_master() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    let lights = home.with_plant(|plant| plant.loads()[0].clone());
    against(&home, move |path| {
        // Lights hang on the closed contact: energising the coil takes them off.
        Line::open(&path).ask(&[2, 5, 0, lights.coil, 0xFF, 0]);
    })
    .await;
    let before = home.summary(Duration::from_mins(1));
    home.advance(Duration::from_hours(24));
    let after = home.summary(Duration::from_mins(1));
    assert_eq!(after.switches[0], ("lights".into(), 1));
    assert!(after.critical.unserved_wh > before.critical.unserved_wh + 20.0, "{after:?}");
    assert!(home.outputs().coils[0], "the board keeps its state by itself");
}

#[tokio::test]
async fn many_requests_arrive_in_one_piece_and_all_are_answered() {
    let home = start(bus(Transport::Rtu, SHARED)).await;
    against(&home, |path| {
        let mut line = Line::open(&path);
        let started = now();
        for _ in 0..50 {
            let answer = {
                line.send(&read(3, 4, 1, 2));
                line.exactly(9)
            };
            assert_eq!(answer[..3], [3, 4, 4]);
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    })
    .await;
    assert_eq!(home.traffic("bus", 3).expect("the unit").answers, 50);
}

#[tokio::test]
async fn a_bus_is_pulled_out_and_plugged_in_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = HomeOptions::usual(Some(dir.path().to_path_buf()));
    options.burst_pause = Duration::from_millis(5);
    let home = Arc::new(RunningHome::start(common::plant(), &options).await.expect("a home"));
    let (tcp, rtu) =
        (home.address("gx").expect("gx").to_owned(), home.address("rs485-1").expect("rs485").to_owned());
    let mut line = Line::open(&rtu);
    let mut master = Tcp::connect(&tcp);
    let asked = tokio::task::spawn_blocking(move || {
        line.ask(&read(2, 4, 1, 2));
        assert!(master.ask(&read(100, 3, 840, 1)).is_some());
        (line, master)
    });
    let (line, mut master) = asked.await.expect("the master");
    assert!(home.unplug("gx") && home.unplug("rs485-1") && !home.unplug("none"));
    let address = tcp.clone();
    tokio::task::spawn_blocking(move || {
        assert!(line.hung_up(), "a line that was pulled out says so");
        assert!(master.receive().is_none(), "the connection is closed");
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
    })
    .await
    .expect("the master");
    assert!(home.replug("gx").await.expect("the same port") && home.replug("rs485-1").await.expect("a line"));
    tokio::task::spawn_blocking(move || {
        Line::open(&rtu).ask(&read(2, 4, 1, 2));
        assert!(Tcp::connect(&tcp).ask(&read(100, 3, 840, 1)).is_some());
    })
    .await
    .expect("the master");
    assert!(home.set_bus_fault("gx", Fault::Dead) && !home.set_bus_fault("none", Fault::Dead));
}
