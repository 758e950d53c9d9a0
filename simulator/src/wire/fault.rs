//! Faults of a device on a bus, for tests: what can go wrong between a question and its answer.
//!
//! A unit has one fault at a time and it can be changed while the bus runs. `Dead`, `Slow` and `WrongCheck`
//! concern the line; `Babbling` puts bytes there that nobody asked for; `Lying` sends valid frames that
//! cannot be true; `Busy` answers with an exception.

use core::time::Duration;

/// What is wrong with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It never answers.
    Dead,
    /// It answers this much later, and meanwhile the line goes on: the answer falls into a later request.
    Slow(Duration),
    /// It puts a line of text before its answers, and one onto the line every so often unasked.
    Babbling(Duration),
    /// Its answers are well formed and impossible: registers read as these two words, in turn.
    Lying([u16; 2]),
    /// Its answers have a wrong checksum (serial line) or a wrong transaction number (TCP).
    WrongCheck,
    /// It answers that it is busy.
    Busy,
}

impl Fault {
    /// Registers that read zero: 0 V, 0 %, 0.0.
    pub const ZEROS: Self = Self::Lying([0, 0]);
    /// Registers that read 0xFFFF: 655.35 V, -0.01 A, and as a float no number.
    pub const ONES: Self = Self::Lying([0xFFFF, 0xFFFF]);
    /// Floats that are no number.
    pub const NOT_A_NUMBER: Self = Self::Lying([0x7FC0, 0x0000]);
    /// Integers of 9999.
    pub const NINES: Self = Self::Lying([9999, 9999]);
    /// Floats of 9999.0.
    pub const FLOAT_NINES: Self = Self::Lying([0x461C, 0x3C00]);
}

/// What a babbling unit says: a temperature sensor that was left in its automatic mode.
pub(crate) const BABBLE: &[u8] = b"27.3C,61.8%\r\n";

/// What passed between the bus and a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that reached the unit.
    pub requests: u64,
    /// Answers with data.
    pub answers: u64,
    /// Answers that were exceptions.
    pub exceptions: u64,
    /// Requests it did not answer because of a fault.
    pub unanswered: u64,
    /// The last requests: function, first address, count or value. At most [`Traffic::REMEMBERED`].
    pub recent: std::collections::VecDeque<(u8, u16, u16)>,
}

impl Traffic {
    /// How many requests are remembered.
    pub const REMEMBERED: usize = 256;

    pub(crate) fn note(&mut self, request: &super::pdu::Request) {
        use super::pdu::Request;
        let (at, count) = match request {
            Request::ReadBits { start, count, .. } | Request::ReadRegisters { start, count, .. } => {
                (*start, *count)
            }
            Request::WriteCoil { at, value } | Request::WriteRegister { at, value } => (*at, *value),
            Request::WriteCoils { start, bits } => (*start, bits.len() as u16),
            Request::WriteRegisters { start, values } => (*start, values.len() as u16),
            Request::Other { .. } => (0, 0),
        };
        self.requests += 1;
        if self.recent.len() == Self::REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((request.function(), at, count));
    }
}
