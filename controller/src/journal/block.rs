//! A block: a keyframe (the state before its first cycle), the inputs of its cycles as columns, what was
//! decided where something changed, and a digest over every decision. Packed, checked, and unpacked again;
//! who stores it, and when a block ends, is not said here.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sunkeep_core::image::{Reading, Request};
use sunkeep_core::planner::PLAN_SLOTS;
use sunkeep_core::{Decision, Plan, ProcessImage, Settings, State};
use sunkeep_models::time::{Uptime, WallTime};

use super::column::Columns;

/// Cycles in a block at the most.
pub(super) const MAX_CYCLES: usize = 1024;
/// Bytes of a block at the most, before it is compressed: what a reader is willing to unpack.
const MAX_BYTES: usize = 16 << 20;
/// Loads, requests of one cycle, and slots of a plan that a reader is willing to take: each cycle holds a copy
/// of its own, so a small block could fill the memory.
const MAX_LOADS: u16 = 256;
const MAX_REQUESTS: usize = 256;
const MAX_SLOTS: usize = PLAN_SLOTS;
/// How hard to compress, of 10. Higher levels cost time and gain less than a hundredth here.
const EFFORT: u8 = 7;

/// First half of a SHA-256.
pub(super) type Check = [u8; 16];

/// A finished block on its way to the disk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) head: Head,
    /// Cycles in it.
    pub(super) cycles: u32,
    /// Loads that were switched in it.
    pub(super) changes: u32,
    /// Wall clock of the last cycle, seconds since 1970.
    pub(super) unix: Option<i64>,
    /// Compressed [`Content`].
    pub(super) data: Vec<u8>,
    pub(super) check: Check,
}

/// What places a block; the check covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) boot: u32,
    pub(super) first: Uptime,
    pub(super) last: Uptime,
}

/// What is inside. Lists of pairs hold the cycle's place in the block and what is new in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    before: State,
    /// Time from each cycle to the one before, ms; the first counts from 0.
    elapsed: Vec<u64>,
    readings: Columns,
    loads: u16,
    wall: Vec<(u32, Option<WallTime>)>,
    utc_offset: Vec<(u32, i32)>,
    requests: Vec<(u32, Vec<Request>)>,
    plan: Vec<(u32, Option<Plan>)>,
    decisions: Vec<(u32, Decision)>,
    digest: Check,
}

/// A block being built.
#[derive(Debug)]
pub(super) struct Draft {
    before: State,
    images: Vec<ProcessImage>,
    decisions: Vec<(u32, Decision)>,
    digest: DecisionDigest,
}

/// A block taken apart again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cycles {
    /// The state before the first cycle.
    pub(super) before: State,
    pub(super) images: Vec<ProcessImage>,
    /// Decisions that changed something, by the place of their cycle.
    pub(super) decisions: Vec<(u32, Decision)>,
    /// Over every decision of the block.
    pub(super) digest: Check,
}

/// Why a block cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("its bytes do not unpack to the {MAX_BYTES} bytes a block may have: damaged")]
    Compressed,
    #[error("its check does not fit its content: damaged")]
    Check,
    #[error("its content is no block of this version")]
    Content,
    #[error("it has other loads than the settings it ran under")]
    Loads,
}

/// Running digest over decisions.
#[derive(Debug, Clone, Default)]
pub(super) struct DecisionDigest(Sha256);

impl DecisionDigest {
    pub(super) fn add(&mut self, decision: &Decision) {
        // Encoding numbers and lists into memory cannot fail; an empty encoding would show as a mismatch.
        self.0.update(postcard::to_stdvec(decision).unwrap_or_default());
    }

    pub(super) fn finish(&self) -> Check {
        half(self.0.clone())
    }
}

fn half(sha: Sha256) -> Check {
    let mut check = [0; 16];
    check.copy_from_slice(&sha.finalize()[..16]);
    check
}

impl Draft {
    pub(super) fn new(before: State) -> Self {
        Self { before, images: Vec::new(), decisions: Vec::new(), digest: DecisionDigest::default() }
    }

    pub(super) fn add(&mut self, image: &ProcessImage, decision: &Decision) {
        if !decision.changes.is_empty() {
            self.decisions.push((self.images.len() as u32, decision.clone()));
        }
        self.digest.add(decision);
        self.images.push(image.clone());
    }

    /// Whether this cycle goes on where the block stands: same settings, and the state that its last cycle
    /// left behind.
    pub(super) fn continues(&self, before: &State, image: &ProcessImage) -> bool {
        self.images.last().is_none_or(|last| {
            before.settings == self.before.settings
                && before.last == Some(last.now)
                && image.loads.len() == last.loads.len()
                && image.now >= last.now
        })
    }

    pub(super) fn len(&self) -> usize {
        self.images.len()
    }

    pub(super) fn first(&self) -> Option<Uptime> {
        self.images.first().map(|image| image.now)
    }

    pub(super) fn last(&self) -> Option<&ProcessImage> {
        self.images.last()
    }

    /// Packs it; `None` when nothing is in it.
    pub(super) fn finish(self, seq: u64, boot: u32) -> Option<Block> {
        let changes = self.decisions.iter().map(|(_, decision)| decision.changes.len() as u32).sum();
        let cycles = Cycles {
            before: self.before,
            images: self.images,
            decisions: self.decisions,
            digest: self.digest.finish(),
        };
        cycles.pack(seq, boot, changes)
    }
}

impl Cycles {
    /// Whether they can have run under these settings: every part knows the same loads.
    pub(super) fn ran_under(&self, settings: &Settings) -> bool {
        let loads = settings.loads.len();
        self.before.loads.len() == loads && self.images.iter().all(|image| image.loads.len() == loads)
    }

    fn pack(self, seq: u64, boot: u32, changes: u32) -> Option<Block> {
        let (first, last) = (self.images.first()?.now, self.images.last()?);
        let head = Head { seq, boot, first, last: last.now };
        let (cycles, unix) = (self.images.len() as u32, last.wall.map(|wall| wall.unix));
        let raw = postcard::to_stdvec(&self.content()?).ok()?;
        let check = check(head, &raw);
        let data = miniz_oxide::deflate::compress_to_vec(&raw, EFFORT);
        Some(Block { head, cycles, changes, unix, data, check })
    }

    fn content(self) -> Option<Content> {
        let images = &self.images;
        let cycles: Vec<Uptime> = images.iter().map(|image| image.now).collect();
        let readings: Vec<Option<Reading>> = images.iter().flat_map(ProcessImage::readings).collect();
        let mut before = Uptime(0);
        let elapsed = cycles.iter().map(|now| {
            let span = now.0.wrapping_sub(before.0);
            before = *now;
            span
        });
        let mut wall = Vec::new();
        let mut guess = WallGuess::default();
        for (place, image) in images.iter().enumerate() {
            if !guess.holds(image) {
                wall.push((place as u32, image.wall));
            }
            guess = WallGuess::after(image);
        }
        Some(Content {
            elapsed: elapsed.collect(),
            readings: Columns::pack(&cycles, &readings, readings.len() / images.len().max(1)),
            loads: u16::try_from(images.first()?.loads.len()).ok()?,
            wall,
            utc_offset: news(images.iter().map(|image| image.utc_offset), 0),
            requests: news(images.iter().map(|image| image.requests.clone()), Vec::new()),
            plan: news(images.iter().map(|image| image.plan.clone()), None),
            before: self.before,
            decisions: self.decisions,
            digest: self.digest,
        })
    }
}

/// Values that differ from the one before, the first from `start`. Told apart by their encoding, for `==`
/// takes -0.0 for 0.0.
fn news<T: Serialize>(values: impl Iterator<Item = T>, start: T) -> Vec<(u32, T)> {
    let encoded = |value: &T| postcard::to_stdvec(value).unwrap_or_default();
    let mut before = encoded(&start);
    let mut news = Vec::new();
    for (place, value) in values.enumerate() {
        let now = encoded(&value);
        if now != before {
            news.push((place as u32, value));
            before = now;
        }
    }
    news
}

/// What the wall clock should say if it runs as evenly as the uptime.
#[derive(Debug, Clone, Copy, Default)]
struct WallGuess(Option<(WallTime, Uptime)>);

impl WallGuess {
    fn after(image: &ProcessImage) -> Self {
        Self(image.wall.map(|wall| (wall, image.now)))
    }

    fn at(self, now: Uptime) -> Option<WallTime> {
        let (wall, then) = self.0?;
        let elapsed = now.0.saturating_sub(then.0).saturating_add(500) / 1000;
        Some(WallTime { unix: wall.unix.wrapping_add(elapsed as i64), ..wall })
    }

    fn holds(self, image: &ProcessImage) -> bool {
        let bits = |wall: WallTime| (wall.unix, wall.source, wall.uncertainty.0.to_bits());
        self.at(image.now).map(bits) == image.wall.map(bits)
    }
}

fn check(head: Head, raw: &[u8]) -> Check {
    let mut sha = Sha256::new();
    sha.update(postcard::to_stdvec(&head).unwrap_or_default());
    sha.update(raw);
    half(sha)
}

/// Unpacks what a row holds.
pub(super) fn unpack(head: Head, data: &[u8], stored: Check) -> Result<Cycles, Unreadable> {
    let raw = miniz_oxide::inflate::decompress_to_vec_with_limit(data, MAX_BYTES)
        .map_err(|_| Unreadable::Compressed)?;
    if check(head, &raw) != stored {
        return Err(Unreadable::Check);
    }
    content(&raw)
}

/// Takes the content of a block apart.
pub(super) fn content(raw: &[u8]) -> Result<Cycles, Unreadable> {
    match postcard::take_from_bytes::<Content>(raw) {
        Ok((content, [])) => content.cycles().ok_or(Unreadable::Content),
        _ => Err(Unreadable::Content),
    }
}

impl Content {
    /// Whether it stays within what a block may hold, so that taking it apart is cheap.
    fn is_bounded(&self) -> bool {
        let slots = |plan: &Plan| plan.slots.len() <= MAX_SLOTS;
        self.elapsed.len() <= MAX_CYCLES
            && self.loads <= MAX_LOADS
            && self.readings.width() == blank(self.loads).readings().count()
            && self.requests.iter().all(|(_, requests)| requests.len() <= MAX_REQUESTS)
            && self.plan.iter().all(|(_, plan)| plan.as_ref().is_none_or(slots))
    }

    fn cycles(self) -> Option<Cycles> {
        if !self.is_bounded() {
            return None;
        }
        let mut now = 0_u64;
        let times: Vec<Uptime> = self
            .elapsed
            .iter()
            .map(|span| {
                now = now.wrapping_add(*span);
                Uptime(now)
            })
            .collect();
        let columns = self.readings.unpack(&times)?;
        let mut image = blank(self.loads);
        let mut guess = WallGuess::default();
        let mut images = Vec::with_capacity(times.len());
        let (mut wall, mut offset) =
            (self.wall.into_iter().peekable(), self.utc_offset.into_iter().peekable());
        let mut requests = self.requests.into_iter().peekable();
        let mut plan = self.plan.into_iter().peekable();
        for (place, now) in times.iter().enumerate() {
            let here = place as u32;
            image.now = *now;
            image.wall = wall.next_if(|(at, _)| *at == here).map_or(guess.at(*now), |(_, wall)| wall);
            guess = WallGuess::after(&image);
            if let Some((_, new)) = offset.next_if(|(at, _)| *at == here) {
                image.utc_offset = new;
            }
            if let Some((_, new)) = requests.next_if(|(at, _)| *at == here) {
                image.requests = new;
            }
            if let Some((_, new)) = plan.next_if(|(at, _)| *at == here) {
                image.plan = new;
            }
            for (reading, column) in image.readings_mut().zip(&columns) {
                *reading = *column.get(place)?;
            }
            images.push(image.clone());
        }
        Some(Cycles { before: self.before, images, decisions: self.decisions, digest: self.digest })
    }
}

fn blank(loads: u16) -> ProcessImage {
    ProcessImage {
        now: Uptime(0),
        wall: None,
        utc_offset: 0,
        battery: sunkeep_core::image::BatteryReadings::default(),
        sun: None,
        load: None,
        loads: vec![sunkeep_core::image::LoadReadings::default(); usize::from(loads)],
        requests: Vec::new(),
        plan: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sunkeep_core::planner::{ChoiceCosts, PlannedSlot};
    use sunkeep_core::settings::SettingsDigest;
    use sunkeep_models::battery::ChargeEstimator;
    use sunkeep_models::quantity::{Seconds, StateOfCharge};
    use sunkeep_models::time::{Slot, TimeSource};

    use super::*;

    fn state() -> State {
        State {
            settings: SettingsDigest([9; 16]),
            charge: ChargeEstimator::unknown(),
            last: Some(Uptime(77)),
            loads: Vec::new(),
            last_pass: None,
            low: sunkeep_core::state::Latch::default(),
            empty: sunkeep_core::state::Latch::default(),
            hot: sunkeep_core::state::Latch::default(),
            care: sunkeep_core::care::CareState::default(),
            steps: sunkeep_core::steps::Steps::default(),
        }
    }

    fn wall() -> impl Strategy<Value = Option<WallTime>> {
        let wall = (-3_i64..3, prop_oneof![Just(1.0), Just(0.0), Just(-0.0)], any::<bool>()).prop_map(
            |(unix, uncertainty, driven)| WallTime {
                unix: 1_790_000_000 + unix,
                source: if driven { TimeSource::Driven } else { TimeSource::System },
                uncertainty: Seconds(uncertainty),
            },
        );
        proptest::option::weighted(0.8, wall)
    }

    fn plan() -> impl Strategy<Value = Option<Plan>> {
        let plan = (0_u64..3, prop_oneof![Just(0.0), Just(-0.0), Just(5.0)]).prop_map(|(made, into)| Plan {
            issued: Slot(made as i64),
            made: Uptime(made),
            into_slot: Seconds(into),
            settings: SettingsDigest([1; 16]),
            costs: ChoiceCosts { by_tiers_served: [0.5, -0.0, 3.0, 1.0] },
            slots: vec![PlannedSlot {
                keep: [Some(StateOfCharge::clamped(0.5)); 4],
                restore: [Some(StateOfCharge::clamped(0.6)); 4],
                back: [Some(made as i64); 4],
            }],
        });
        proptest::option::of(plan)
    }

    fn image() -> impl Strategy<Value = ProcessImage> {
        let value = prop_oneof![Just(13.25), Just(-0.0), Just(1.0e-9), -30.0..30.0_f64, any::<f64>()];
        let reading = (value, 0_u64..5000).prop_map(|(value, at)| Reading { value, at: Uptime(at) });
        let readings = proptest::collection::vec(proptest::option::weighted(0.8, reading), 11);
        let request = (0_u16..3, 0.0..5.0_f64).prop_map(|(load, span)| match load {
            0 => Request::Release { load },
            _ => Request::KeepOn { load, span: Seconds(span) },
        });
        let requests = prop_oneof![4 => Just(Vec::new()), 1 => proptest::collection::vec(request, 0..3)];
        let offset = prop_oneof![Just(0), Just(-3600), Just(19_800)];
        (0_u64..5000, wall(), offset, readings, requests, plan()).prop_map(
            |(now, wall, utc_offset, readings, requests, plan)| {
                let mut image =
                    ProcessImage { now: Uptime(now), wall, utc_offset, requests, plan, ..blank(2) };
                for (place, reading) in image.readings_mut().zip(readings) {
                    *place = reading;
                }
                image
            },
        )
    }

    #[test]
    fn a_small_block_cannot_ask_for_much_memory() {
        let images = vec![ProcessImage { requests: Vec::new(), ..blank(2) }; 2];
        let cycles = Cycles {
            before: state(),
            images,
            decisions: Vec::new(),
            digest: DecisionDigest::default().finish(),
        };
        let sound = cycles.content().unwrap();
        let taken = |content: Content| super::content(&postcard::to_stdvec(&content).unwrap()).is_ok();
        assert!(taken(sound.clone()));
        assert!(!taken(Content { elapsed: vec![0; MAX_CYCLES + 1], ..sound.clone() }));
        assert!(!taken(Content { loads: MAX_LOADS + 1, ..sound.clone() }));
        // Fewer or more columns than the loads call for.
        assert!(!taken(Content { loads: 3, ..sound.clone() }));
        let requests = vec![(0, vec![Request::Release { load: 0 }; MAX_REQUESTS + 1])];
        assert!(!taken(Content { requests, ..sound.clone() }));
        let slot = PlannedSlot { keep: [None; 4], restore: [None; 4], back: [None; 4] };
        let plan = Plan {
            issued: Slot(0),
            made: Uptime(0),
            into_slot: Seconds(0.0),
            settings: SettingsDigest([1; 16]),
            costs: ChoiceCosts { by_tiers_served: [0.5, -0.0, 3.0, 1.0] },
            slots: vec![slot; MAX_SLOTS + 1],
        };
        assert!(!taken(Content { plan: vec![(0, Some(plan))], ..sound }));
    }

    proptest! {
        #[test]
        fn every_image_comes_back_to_the_bit(images in proptest::collection::vec(image(), 1..12)) {
            let cycles = Cycles {
                before: state(),
                images: images.clone(),
                decisions: Vec::new(),
                digest: DecisionDigest::default().finish(),
            };
            let block = cycles.clone().pack(4, 2, 0).expect("packs");
            prop_assert_eq!(block.cycles as usize, images.len());
            let back = unpack(block.head, &block.data, block.check).expect("unpacks");
            // Encodings, for `==` takes -0.0 for 0.0 and no NaN for itself.
            let bytes = |images: &[ProcessImage]| postcard::to_stdvec(images).unwrap();
            prop_assert_eq!(bytes(&back.images), bytes(&images));
            prop_assert_eq!(back.before, cycles.before);
        }

        #[test]
        fn noise_is_refused_and_never_panics(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let head = Head { seq: 1, boot: 1, first: Uptime(0), last: Uptime(0) };
            prop_assert!(unpack(head, &data, [0; 16]).is_err());
            // With a true check, as a writer of another version would leave it.
            let zipped = miniz_oxide::deflate::compress_to_vec(&data, 1);
            let _ = unpack(head, &zipped, check(head, &data));
        }
    }
}
