//! The same work for many places at once, with as many threads as there are processors. What is done at a
//! place does not depend on which thread does it, nor when.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Does the work of the places `0..count` and gives what came of each, in their order; or the error of the
/// first place that failed. Threads take the next place as they become free, and none after an error.
pub fn each<T: Send, E: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, Result<T, E>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        if place >= count {
                            return done;
                        }
                        let came = work(place);
                        if came.is_err() {
                            next.store(count, Ordering::Relaxed);
                        }
                        done.push((place, came));
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, came)| came).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_in_order_and_the_first_error_is_told() {
        assert_eq!(each(100, |place| Ok::<_, ()>(place * place)).unwrap()[99], 9801);
        assert_eq!(each(0, |_| Err::<(), _>(())), Ok(Vec::new()));
        let failed = each(50, |place| if place % 7 == 3 { Err(place) } else { Ok(place) });
        assert_eq!(failed, Err(3));
    }
}
