//! Telling cycles apart from outside: a thread that runs a cycle a second works, and then rests.
//!
//! All work of the thread counts: what it does between cycles, such as turning the wheel of its timers, is added
//! to the cycle before.

use std::time::Duration;

/// How long the thread rests at least after a cycle. Within one it waits for devices, for less.
const REST: Duration = Duration::from_millis(150);
/// How long after a cycle has begun the next one begins at the earliest.
const PERIOD: Duration = Duration::from_millis(750);

/// Time on a processor until a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The moment.
    pub(crate) at: Duration,
    /// Time on a processor so far, ns.
    pub(crate) busy: u64,
}

/// One cycle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cycle {
    /// Time on a processor, µs.
    pub(crate) cpu: f64,
    /// From the first to the last of its work without a rest, ms; as exact as the samples are dense.
    pub(crate) wall: f64,
}

/// The whole cycles in these samples, which may begin and end within one.
pub(crate) fn whole_cycles(samples: &[Sample]) -> Vec<Cycle> {
    let mut cycles: Vec<Vec<(Sample, Sample)>> = Vec::new();
    for burst in bursts(samples) {
        match cycles.last_mut() {
            Some(cycle) if burst.0.at < cycle[0].0.at + PERIOD => cycle.push(burst),
            _ => cycles.push(vec![burst]),
        }
    }
    let whole = cycles.get(1..cycles.len().saturating_sub(1)).unwrap_or_default();
    let busy = |(begin, end): &(Sample, Sample)| end.busy - begin.busy;
    let cycle = |bursts: &Vec<(Sample, Sample)>| {
        let longest = bursts.iter().max_by_key(|burst| busy(burst));
        let wall = longest.map_or(Duration::ZERO, |(begin, end)| end.at.saturating_sub(begin.at));
        let cpu = bursts.iter().map(busy).sum::<u64>() as f64 / 1e3;
        Cycle { cpu, wall: wall.as_secs_f64() * 1e3 }
    };
    whole.iter().map(cycle).collect()
}

/// Work without a rest: the last sample before and the first after it.
fn bursts(samples: &[Sample]) -> Vec<(Sample, Sample)> {
    let mut bursts: Vec<(Sample, Sample)> = Vec::new();
    for pair in samples.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        if after.busy == before.busy {
            continue;
        }
        match bursts.last_mut() {
            Some((_, end)) if before.at.saturating_sub(end.at) < REST => *end = after,
            _ => bursts.push((before, after)),
        }
    }
    bursts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works 1 µs at each of these milliseconds of every second, looked at every 5 ms.
    fn watched(work: &[u64], until: u64) -> Vec<Sample> {
        let busy = |now: u64| (0..now).filter(|ms| work.contains(&(ms % 1000))).count() as u64 * 1000;
        (0..until).step_by(5).map(|ms| Sample { at: Duration::from_millis(ms), busy: busy(ms) }).collect()
    }

    #[test]
    fn bursts_close_to_each_other_are_one_cycle_and_those_cut_off_are_none() {
        let cycles = whole_cycles(&watched(&[12, 100, 240], 5100));
        assert_eq!(cycles.len(), 4, "of six, the first and the last may be cut");
        assert!(cycles.iter().all(|cycle| *cycle == Cycle { cpu: 3.0, wall: 235.0 }), "{cycles:?}");
    }

    #[test]
    fn what_is_done_between_cycles_belongs_to_the_cycle_before() {
        let cycles = whole_cycles(&watched(&[12, 100, 500], 5100));
        assert_eq!(cycles.len(), 4);
        assert!(cycles.iter().all(|cycle| *cycle == Cycle { cpu: 3.0, wall: 95.0 }), "{cycles:?}");
    }

    #[test]
    fn a_thread_that_never_works_has_no_cycles() {
        assert!(whole_cycles(&watched(&[], 3000)).is_empty());
        assert!(whole_cycles(&[]).is_empty());
    }
}
