//! What is wrong with the hub itself: said once in the log when it begins and once when it ends, and shown
//! on the page while it lasts.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Kinds of faults; one sentence each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The time of day is unknown or in doubt.
    Clock,
    /// The journal cannot be written.
    Journal,
    /// There is no forecast, and so no plan.
    Forecast,
    /// The page cannot be served.
    Page,
    /// A bus task ended.
    Bus,
}

/// The faults there are.
#[derive(Debug, Default)]
pub struct Faults {
    now: BTreeMap<Fault, String>,
    published: Arc<Vec<String>>,
}

impl Faults {
    /// States whether a fault is there. Repeating it, in whatever words, is not news.
    pub fn set(&mut self, fault: Fault, sentence: Option<String>) {
        match sentence {
            Some(sentence) => {
                if self.now.contains_key(&fault) {
                    return;
                }
                tracing::warn!("{sentence}");
                self.now.insert(fault, sentence);
            }
            None => match self.now.remove(&fault) {
                Some(sentence) => tracing::info!("is over: {sentence}"),
                None => return,
            },
        }
        self.published = Arc::new(self.now.values().cloned().collect());
    }

    /// How many there are besides that of the clock, which nothing that is configured brings about.
    pub fn count_without_clock(&self) -> usize {
        self.now.keys().filter(|fault| **fault != Fault::Clock).count()
    }

    /// The sentences, for the page.
    pub fn sentences(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.published)
    }
}
