//! A minute of telemetry: the means of what the cycles saw, and of what was demanded.

use sunkeep_core::disaggregate::TIERS;
use sunkeep_core::evidence::{Observed, observed};
use sunkeep_core::image::ProcessImage;
use sunkeep_core::{Decision, Settings};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use crate::journal::{DemandPoint, LoadPoint, MinutePoint, Recorder};

/// Its length.
const MINUTE: Seconds = Seconds(60.0);

/// Gathers the means of a minute.
#[derive(Debug, Default)]
pub(crate) struct Minute {
    began: Option<Uptime>,
    cycles: u32,
    /// Sum and number of fresh values of each reading, in the order of the process image; then of what was demanded
    /// together, and by each tier.
    sums: Vec<(f64, u32)>,
    demand: [(f64, u32); 1 + TIERS],
    on: [Option<bool>; 4],
    throttled: bool,
}

impl Minute {
    /// Adds a cycle; hands out the minute that ends with it.
    pub(crate) fn add(
        &mut self,
        settings: &Settings,
        image: &ProcessImage,
        decision: &Decision,
        recorder: &Recorder,
    ) -> Option<MinutePoint> {
        let began = *self.began.get_or_insert(image.now);
        self.cycles += 1;
        self.sums.resize(image.readings().count(), (0.0, 0));
        for ((sum, count), reading) in self.sums.iter_mut().zip(image.readings()) {
            if let Some(value) = image.fresh(settings, reading) {
                *sum += value;
                *count += 1;
            }
        }
        self.add_demand(settings, image, decision);
        if image.now.since(began) < MINUTE && self.cycles < 60 {
            return None;
        }
        let mean_of = |(sum, count): (f64, u32)| (count > 0).then(|| (sum / f64::from(count)) as f32);
        let mean = |place: usize| mean_of(*self.sums.get(place)?);
        let [total, critical, important, convenience] = self.demand.map(mean_of);
        // Places as `ProcessImage::readings` orders them: five of the battery, sun, total, then two a load.
        let loads = decision.loads.iter().enumerate();
        let charge = decision.charge;
        let span = image.now.since(began).0 * 1000.0;
        let point = MinutePoint {
            stamp: recorder.stamp(image),
            span_ms: (span as u32).max(1),
            merged: 1,
            settings: settings.digest().0.first_chunk().copied().unwrap_or_default(),
            charge: [charge.low, charge.best, charge.high].map(|charge| charge.ratio() as f32),
            volts: mean(0),
            amps: mean(1),
            watts: mean(2),
            celsius: mean(3),
            sun: mean(5),
            load: mean(6),
            loads: loads
                .map(|(number, load)| LoadPoint { on: load.on, watts: mean(7 + 2 * number) })
                .collect(),
            demand: DemandPoint {
                total,
                tiers: [critical, important, convenience, None],
                on: self.on,
                throttled: self.throttled,
            },
        };
        *self = Self { began: Some(image.now), ..Self::default() };
        Some(point)
    }

    fn add_demand(&mut self, settings: &Settings, image: &ProcessImage, decision: &Decision) {
        let Observed { tiers, total, on, throttled } = observed(settings, image, decision);
        for ((sum, count), watts) in self.demand.iter_mut().zip([total].into_iter().chain(tiers)) {
            if let Some(watts) = watts {
                *sum += watts;
                *count += 1;
            }
        }
        for (all, now) in self.on.iter_mut().zip(on) {
            *all = now.map(|now| now && *all != Some(false));
        }
        self.throttled |= throttled;
    }
}
