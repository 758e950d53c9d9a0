//! Totals of the pulse meters: what was counted before this start, from the journal, and what was since.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Wiring;
use crate::driver::Counter;
use crate::view::Meter;

/// The pulses of every input.
#[derive(Debug)]
pub struct Totals {
    inputs: Vec<Input>,
    /// Whether a total has changed since they were last handed out.
    changed: bool,
    published: Arc<Vec<Meter>>,
}

#[derive(Debug)]
struct Input {
    name: String,
    wh_per_pulse: f64,
    before: u64,
    since: u64,
}

impl Totals {
    /// All at nought.
    pub fn new(wiring: &Wiring) -> Self {
        let input = |pulse: &crate::config::Pulse| Input {
            name: pulse.name.clone(),
            wh_per_pulse: pulse.wh_per_pulse,
            before: 0,
            since: 0,
        };
        let mut this = Self {
            inputs: wiring.pulses.iter().map(input).collect(),
            changed: false,
            published: Arc::default(),
        };
        this.publish();
        this
    }

    /// Adds what was counted before this start.
    pub fn restore(&mut self, counters: &BTreeMap<String, u64>) {
        for input in &mut self.inputs {
            input.before = input.before.saturating_add(counters.get(&input.name).copied().unwrap_or(0));
        }
        self.changed = true;
        self.publish();
    }

    /// Takes in the number of pulses of an input since the start.
    pub fn count(&mut self, Counter(number): Counter, pulses: u64) {
        if let Some(input) = self.inputs.get_mut(usize::from(number))
            && input.since != pulses
        {
            input.since = pulses;
            self.changed = true;
            self.publish();
        }
    }

    /// The totals to be written down, if one has changed since the last call: name and pulses.
    pub fn news(&mut self) -> Option<impl Iterator<Item = (&str, u64)>> {
        std::mem::take(&mut self.changed)
            .then(|| self.inputs.iter().map(|input| (input.name.as_str(), input.total())))
    }

    /// The meters as a person may see them.
    pub fn meters(&self) -> Arc<Vec<Meter>> {
        Arc::clone(&self.published)
    }

    fn publish(&mut self) {
        let meter =
            |input: &Input| Meter { name: input.name.clone(), wh: input.total() as f64 * input.wh_per_pulse };
        self.published = Arc::new(self.inputs.iter().map(meter).collect());
    }
}

impl Input {
    fn total(&self) -> u64 {
        self.before.saturating_add(self.since)
    }
}
