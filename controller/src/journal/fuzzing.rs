//! A way in for the fuzzer: rows of a journal whose bytes came whole, but are not what this program wrote.

use sunkeep_core::Settings;
use sunkeep_models::time::{Slot, Uptime};

use super::block::{self, Head};
use super::points::{MinutePoint, SlotPoint, Stamp};
use super::replay::decide_again;

/// Takes the content of a block apart, as if its check had fitted, and decides its cycles again. How many
/// cycles it had; `None` where the content is refused.
pub fn block_content(raw: &[u8], settings: &Settings) -> Option<usize> {
    let cycles = block::content(raw).ok().filter(|cycles| cycles.ran_under(settings))?;
    let count = cycles.images.len();
    let _ = decide_again(settings, cycles);
    Some(count)
}

/// Reads the compressed bytes of a block's row; they are never those of a block, for its check is not theirs.
pub fn block_row(data: &[u8]) {
    let head = Head { seq: 1, boot: 1, first: Uptime(0), last: Uptime(0) };
    let _ = block::unpack(head, data, [0; 16]);
}

/// Reads the rows of a minute, of a slot and of settings.
pub fn small_rows(row: &[u8]) {
    let _ = MinutePoint::unpack(Stamp { boot: 1, uptime: Uptime(0), unix: None }, row);
    let _ = SlotPoint::unpack(Slot(0), row);
    let _ = postcard::from_bytes::<Settings>(row).map(|settings| settings.digest());
}
