//! The GPIO driver on lines in memory, and what it says where there is no GPIO at all. The real lines need a
//! board: what runs here is everything above them.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod board;

use std::path::Path;
use std::time::Duration;

use board::{InMemory, pulses};
use sunkeep::driver::{Channel, Counter, DeviceId, Driver, Event, Output};
use sunkeep::gpio::{
    Bias, CharacterDevice, Edges, GpioBank, GpioError, GpioRelay, GpioSettings, PulseInput, RaspberryHeader,
};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

/// A driver on lines in memory.
fn bank(settings: GpioSettings, lines: &InMemory) -> GpioBank<InMemory> {
    let lines = lines.clone();
    GpioBank::new(settings, move |_: &_| Ok(lines.clone())).unwrap()
}

fn input(line: u32) -> PulseInput {
    PulseInput {
        line,
        active_low: true,
        bias: Bias::Up,
        debounce: Duration::from_millis(5),
        per_pulse: 1.0,
        counter: Counter(line as u16),
        rate: Channel(100 + line as u16),
    }
}

fn settings(inputs: Vec<PulseInput>, relays: Vec<GpioRelay>) -> GpioSettings {
    GpioSettings { name: "board".into(), device: DeviceId(4), inputs, relays, period: Seconds(1.0) }
}

fn measured(events: &[Event], wanted: u16) -> Option<f64> {
    events.iter().find_map(|event| match event {
        Event::Measured { channel, value, .. } if channel.0 == wanted => Some(*value),
        _ => None,
    })
}

fn counted(events: &[Event], wanted: u16) -> Option<u64> {
    events.iter().find_map(|event| match event {
        Event::Counted { counter, pulses } if counter.0 == wanted => Some(*pulses),
        _ => None,
    })
}

#[tokio::test]
async fn eight_inputs_count() {
    let lines = InMemory::default();
    let mut bank = bank(settings((0..8).map(input).collect(), vec![]), &lines);
    let first = bank.next(Uptime(0)).await.unwrap();
    assert_eq!((0..8).map(|line| counted(&first, line)).collect::<Vec<_>>(), [Some(0); 8]);
    assert!(bank.next(Uptime(500)).await.is_none(), "once a period");
    for line in 0..8_u32 {
        // Input n gives n pulses, one a second.
        lines.board().edges.insert(line, pulses((0..u64::from(line)).map(|second| second * 1000)));
    }
    let second = bank.next(Uptime(8000)).await.unwrap();
    assert_eq!(counted(&second, 0), None, "nothing new");
    for line in 1..8_u16 {
        assert_eq!(counted(&second, line), Some(u64::from(line)));
    }
    // One watt-hour a second is 3600 W.
    assert_eq!((measured(&second, 101), measured(&second, 102)), (None, Some(3600.0)));
}

#[tokio::test]
async fn lines_that_cannot_be_had_are_asked_for_again_and_kept_from_then_on() {
    let lines = InMemory::default();
    let (held, mut tries) = (lines.clone(), 0);
    let mut bank = GpioBank::new(settings(vec![input(1)], vec![]), move |_: &_| {
        tries += 1;
        if tries < 3 {
            return Err(GpioError::Line { place: "chip".into(), problem: "busy".into() });
        }
        assert_eq!(tries, 3, "lines that are held are not taken again");
        Ok(held.clone())
    })
    .unwrap();
    let mut said = Vec::new();
    for second in 0..40 {
        if second == 30 {
            lines.board().unplugged = true;
        }
        for event in bank.next(Uptime::from_seconds(second)).await.unwrap_or_default() {
            match event {
                Event::Silent { .. } => said.push((second, "silent")),
                Event::Answers(_) => said.push((second, "answers")),
                _ => {}
            }
        }
    }
    assert_eq!(said, [(0, "silent"), (20, "answers"), (30, "silent")]);
}

#[tokio::test]
async fn starting_up_writes_nothing_and_a_write_is_read_back() {
    let lines = InMemory::default();
    lines.board().levels = [(20, true), (21, false)].into();
    let relays = vec![
        GpioRelay { output: Output(0), line: 20, active_low: true },
        GpioRelay { output: Output(1), line: 21, active_low: false },
    ];
    let mut bank = bank(settings(vec![], relays), &lines);
    let events = bank.next(Uptime(0)).await.unwrap();
    let contact =
        |output, energised, at| Event::Contact { output: Output(output), energised, at: Uptime(at) };
    assert_eq!(events, [contact(0, Some(false), 0), contact(1, Some(false), 0), Event::Answers(DeviceId(4))]);
    assert_eq!(lines.board().set, [], "no relay was touched");

    assert_eq!(bank.write(Output(0), true, Uptime(1)).await, [contact(0, Some(true), 1)]);
    assert_eq!(lines.board().set, [(20, false)], "energised by a low level, and no pulse on the way");
    lines.board().stuck = true;
    assert_eq!(
        bank.write(Output(1), true, Uptime(2)).await,
        [contact(1, Some(false), 2)],
        "what it reads counts"
    );
    assert_eq!(bank.write(Output(9), true, Uptime(2)).await, [contact(9, None, 2)]);
}

#[tokio::test]
async fn lines_that_fail_are_said_once_and_their_contacts_are_unknown() {
    let lines = InMemory::default();
    lines.board().levels = [(20, true)].into();
    let relays = vec![GpioRelay { output: Output(0), line: 20, active_low: false }];
    let mut bank = bank(settings(vec![input(1)], relays), &lines);
    bank.next(Uptime(0)).await;
    lines.board().unplugged = true;
    let mut events = bank.write(Output(0), false, Uptime(500)).await;
    for second in 1..5 {
        events.extend(bank.next(Uptime::from_seconds(second)).await.unwrap());
    }
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Silent { .. })).count(), 1);
    assert!(events.iter().all(|event| !matches!(event, Event::Contact { energised: Some(_), .. })));
    lines.board().unplugged = false;
    let events = bank.next(Uptime::from_seconds(6)).await.unwrap();
    assert!(events.contains(&Event::Answers(DeviceId(4))));
}

#[tokio::test]
async fn lost_edges_are_said_once() {
    let lines = InMemory::default();
    let mut bank = bank(settings(vec![input(1)], vec![]), &lines);
    let mut doubts = 0;
    for second in 0..5 {
        lines.board().edges.insert(1, Edges { lost: 3, ..pulses([second * 1000]) });
        let events = bank.next(Uptime::from_seconds(second)).await.unwrap();
        doubts += events.iter().filter(|event| matches!(event, Event::Doubtful { .. })).count();
    }
    assert_eq!(doubts, 1);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let relay = GpioRelay { output: Output(0), line: 1, active_low: false };
    let cases = [
        (settings((0..9).map(input).collect(), vec![]), "9 pulse inputs"),
        (settings(vec![input(1)], vec![relay]), "line 1 is used twice"),
        (settings(vec![PulseInput { per_pulse: 0.0, ..input(1) }], vec![]), "0 a pulse"),
        (settings(vec![PulseInput { debounce: Duration::from_secs(2), ..input(1) }], vec![]), "debounce 2s"),
        (GpioSettings { period: Seconds(0.0), ..settings(vec![], vec![relay]) }, "a period of 0 s"),
    ];
    for (settings, expected) in cases {
        let error = GpioBank::new(settings, |_: &_| Ok(InMemory::default())).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn where_there_is_no_gpio_the_error_says_what_was_found_and_what_to_try() {
    let settings = settings(vec![input(1)], vec![]);
    let error = CharacterDevice::open(Path::new("/dev/gpiochip99"), &settings).err().unwrap().to_string();
    assert!(error.starts_with("/dev/gpiochip99: there is no such device"), "{error}");
    let model = std::fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    if model.contains("Raspberry Pi") {
        println!("skipped: this is a {model}");
        return;
    }
    let error = RaspberryHeader::open(&settings).err().unwrap().to_string();
    println!("{error}");
    assert!(error.contains("needs a Raspberry Pi") && error.contains("use the character device"), "{error}");
    assert!(
        error.contains(std::env::consts::ARCH) || error.contains(model.trim_end_matches('\0')),
        "{error}"
    );
}
