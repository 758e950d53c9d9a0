//! What goes wrong in a run and when: all of it drawn from the seed before the run begins.

use core::fmt::Display;
use core::ops::Range;
use core::str::FromStr;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_tests::line::Way;

const DAY: u64 = 1440;

/// How long, how fast and how bad. Each has a variable of the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameters {
    pub(crate) seed: u64,
    /// Days that are lived.
    pub(crate) days: u64,
    /// Simulated seconds a second.
    pub(crate) speed: f64,
    /// `kill -9` of hub and ingest.
    pub(crate) kills: u32,
    /// And of the broker.
    pub(crate) broker_kills: u32,
    /// Minutes for which the line is up, once in so many hours.
    pub(crate) up_minutes: u64,
    pub(crate) every_hours: u64,
    /// Kills of a broker that had saved nothing.
    pub(crate) forgets: u32,
    /// Take the relay also where a network namespace could be had.
    pub(crate) relay: bool,
}

impl Parameters {
    pub(crate) fn read() -> Self {
        let by_chance = u64::from(std::process::id());
        Self {
            seed: from("SUNKEEP_SEED", by_chance),
            days: from("SUNKEEP_DAYS", 2).clamp(1, 30),
            speed: from("SUNKEEP_SPEED", 1200.0),
            kills: from("SUNKEEP_KILLS", 14),
            broker_kills: from("SUNKEEP_BROKER_KILLS", 2),
            up_minutes: from("SUNKEEP_UP_MINUTES", 60),
            every_hours: from("SUNKEEP_EVERY_HOURS", 8).max(1),
            forgets: from("SUNKEEP_FORGETS", 1),
            relay: from("SUNKEEP_RELAY", false),
        }
    }

    /// Whether the operator asks for what is missing: where no broker forgets anything, nobody may need that.
    pub(crate) fn asks(&self) -> bool {
        self.broker_kills + self.forgets > 0
    }

    pub(crate) fn minutes(&self) -> u64 {
        self.days * DAY
    }
}

fn from<T: FromStr + Display>(name: &str, usual: T) -> T {
    let Ok(text) = std::env::var(name) else { return usual };
    text.parse().unwrap_or_else(|_| panic!("{name}={text:?}, expected such as {usual}"))
}

/// Something that goes wrong, or right again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mishap {
    Line(Way),
    KillHub,
    /// Which one, and minutes until it is started again.
    KillIngest(usize, u64),
    /// Minutes until it is started again.
    KillBroker(u64),
    /// The ingests are killed, and a little later the broker, which then has forgotten what it acknowledged.
    Forget,
    /// The journal's disk is full from here on, or no more.
    JournalDisk(bool),
    LakeDisk(bool),
    /// The wall clock is wrong by so many seconds; nobody tells it at all where none.
    Clock(Option<i64>),
    /// The card is written anew.
    NewCard,
    /// The battery is nearly empty.
    Empty,
}

/// All of it by the minute, in order.
pub(crate) fn plan(parameters: &Parameters) -> Vec<(u64, Mishap)> {
    let mut random = ChaCha8Rng::seed_from_u64(parameters.seed);
    let end = parameters.minutes();
    let mut plan = vec![(0, Mishap::Line(Way::Cut))];
    let up = windows(parameters, &mut random);
    for window in &up {
        // A line that swallows everything holds a try to connect for half a minute: of real time, that is hours here.
        let down = if random.random_range(0..4) > 0 { Way::Cut } else { Way::Silent };
        plan.extend([(window.start, Mishap::Line(Way::Up)), (window.end, Mishap::Line(down))]);
    }
    // One kill in ten while the line is up, or just after: that is when something is on its way.
    let moment = |random: &mut ChaCha8Rng, among: bool| {
        if !among || up.is_empty() {
            return random.random_range(1..end);
        }
        let window = &up[random.random_range(0..up.len())];
        random.random_range(window.start..window.end + 10).min(end - 1)
    };
    for kill in 0..parameters.kills {
        let at = moment(&mut random, kill % 20 < 2);
        let mishap = if kill % 2 == 0 {
            Mishap::KillHub
        } else {
            Mishap::KillIngest(random.random_range(0..2), random.random_range(0..30))
        };
        plan.push((at, mishap));
    }
    let new_card = end / 4 + random.random_range(0..end / 4);
    plan.push((new_card, Mishap::NewCard));
    for kill in 0..parameters.broker_kills {
        // Mosquitto acknowledges a moment before it saves. What it forgets so can be had again only while there is the
        // card that it came from.
        let loses = |at: u64| at < new_card && up.iter().any(|up| (up.start..up.end + 60).contains(&at));
        let tries = [(); 100].map(|()| moment(&mut random, kill % 2 == 0));
        let at = tries.into_iter().find(|at| !loses(*at)).unwrap_or(new_card);
        plan.push((at, Mishap::KillBroker(random.random_range(0..15))));
    }
    let later: Vec<_> = up.iter().filter(|window| window.start > new_card).collect();
    for window in later.iter().rev().step_by(2).take(parameters.forgets as usize) {
        plan.push((window.start.saturating_sub(1), Mishap::Forget));
    }
    others(end, &mut random, &mut plan);
    plan.sort_by_key(|(minute, _)| *minute);
    plan
}

/// When the line is up.
fn windows(parameters: &Parameters, random: &mut ChaCha8Rng) -> Vec<Range<u64>> {
    let (end, period, length) = (parameters.minutes(), parameters.every_hours * 60, parameters.up_minutes);
    let starts = (0..end.div_ceil(period))
        .map(|place| place * period + random.random_range(0..period.saturating_sub(length).max(1)));
    starts.filter(|start| start + length < end).map(|start| start..start + length).collect()
}

/// Full disks, clocks, and an empty battery twice a day: also after the card was new.
fn others(end: u64, random: &mut ChaCha8Rng, plan: &mut Vec<(u64, Mishap)>) {
    let spans = |random: &mut ChaCha8Rng, count: u64, longest: u64| -> Vec<Range<u64>> {
        let part = end / count;
        let span = |place| {
            let start = place * part + random.random_range(0..part / 2);
            start..start + random.random_range(5..longest.min(part / 2))
        };
        (0..count).map(span).collect()
    };
    let weeks = end.div_ceil(7 * DAY);
    for span in spans(random, weeks, 12 * 60) {
        plan.extend([(span.start, Mishap::JournalDisk(true)), (span.end, Mishap::JournalDisk(false))]);
    }
    for span in spans(random, weeks, 12 * 60) {
        plan.extend([(span.start, Mishap::LakeDisk(true)), (span.end, Mishap::LakeDisk(false))]);
    }
    // Not believed for it is over soon; believed; before 1970; in two years; nobody knows.
    let day = 86_400;
    let wrong = [Some(3600), Some(-3 * day), Some(-60 * 366 * day), Some(2 * 365 * day), None];
    let count = (end / DAY).clamp(3, 15);
    for (place, span) in spans(random, count, 180).into_iter().enumerate() {
        let offset = wrong[place % wrong.len()];
        plan.extend([(span.start, Mishap::Clock(offset)), (span.end, Mishap::Clock(Some(0)))]);
    }
    plan.extend(spans(random, 2 * end / DAY, 10).into_iter().map(|span| (span.start, Mishap::Empty)));
}
