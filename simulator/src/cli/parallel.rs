//! Work of the same kind on many things, as many at a time as there are processors.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Does the work on each, `jobs` at a time (as many as there are processors unless told); the results come in the order
/// of the things. The first failure ends it.
pub(super) fn each<Thing: Sync, Done: Send>(
    things: &[Thing],
    jobs: Option<usize>,
    work: impl Fn(&Thing) -> anyhow::Result<Done> + Sync,
) -> anyhow::Result<Vec<Done>> {
    let processors = std::thread::available_parallelism().map_or(1, core::num::NonZero::get);
    let jobs = jobs.unwrap_or(processors).clamp(1, things.len().max(1));
    let next = AtomicUsize::new(0);
    let take = || -> anyhow::Result<Vec<(usize, Done)>> {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(place) else { return Ok(done) };
            done.push((place, work(thing)?));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(take)).collect();
        let mut all = Vec::with_capacity(things.len());
        for worker in workers {
            all.extend(
                worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a run did not come to its end")))?,
            );
        }
        anyhow::Ok(all)
    })?;
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, done)| done).collect())
}
