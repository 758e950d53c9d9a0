//! One cycle as it was: what it saw, what it decided and under which settings, found by its time.

use std::path::Path;

use sunkeep_core::image::ProcessImage;
use sunkeep_core::{Decision, Settings, step};

use super::error::JournalError;
use super::replay::{Blocks, Next, TimeRange};

/// Seconds before a moment that are searched for the last cycle: a block lasts a minute.
const SEARCHED: i64 = 300;

/// A cycle, taken out of the journal and decided again.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// What it saw.
    pub image: ProcessImage,
    /// What it decided.
    pub decision: Decision,
    /// The settings it ran under.
    pub settings: Settings,
}

/// The last cycle at or before a moment, seconds since 1970, but not more than five minutes before. `None`
/// where the journal has none: the hub was off, did not know the time, or that part is gone.
pub fn moment(path: &Path, unix: i64) -> Result<Option<Moment>, JournalError> {
    // A block is filed under the time of one of its cycles: where the clock was set within it, the others are off by as much.
    let range = TimeRange { from: Some(unix - SEARCHED), until: Some(unix + SEARCHED) };
    let mut blocks = Blocks::open(path, range)?;
    let mut found = None;
    while let Some(next) = blocks.next_row() {
        let Next::Block(block) = next else { continue };
        let Ok(cycles) = block.unpack() else { continue };
        let Some(settings) = blocks.settings_of(cycles.before.settings)? else { continue };
        if !cycles.ran_under(&settings) {
            continue;
        }
        let (mut state, mut last) = (cycles.before, None);
        for image in cycles.images {
            let (after, decision) = step(&settings, state, &image);
            state = after;
            // A cycle without a wall clock cannot be told apart from its neighbours by the time of day.
            if image.wall.is_some_and(|wall| wall.unix <= unix && unix - wall.unix <= SEARCHED) {
                last = Some((image, decision));
            }
        }
        if let Some((image, decision)) = last {
            found = Some(Moment { image, decision, settings });
        }
    }
    Ok(found)
}

/// From when to when the journal knows the time of its blocks, seconds since 1970.
pub fn known_span(path: &Path) -> Result<Option<(i64, i64)>, JournalError> {
    Blocks::open(path, TimeRange::default())?.known_span()
}
