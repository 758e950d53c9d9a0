//! Why a message is not taken.

/// What was read, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More of something than there may be.
    #[error("{found} for the length of the {what}; at most {most} are taken")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        most: u64,
    },
    /// Not a zstd frame that can be unpacked.
    #[error("it cannot be unpacked: {0}")]
    Packing(String),
    /// Not CBOR, or not the CBOR that is expected.
    #[error("it is not the CBOR that is expected: {0}")]
    Cbor(String),
    /// Not JSON, or not the JSON that is expected.
    #[error("it is not the JSON that is expected: {0}")]
    Json(String),
    /// A member that must be there.
    #[error("it has no {0:?}")]
    Missing(&'static str),
    /// A member that is there twice.
    #[error("it has {0:?} twice")]
    Twice(String),
    /// Something else than telemetry or events.
    #[error("it is of the kind {0:?}; expected \"telemetry\" or \"events\"")]
    Kind(String),
    /// A version that is none.
    #[error("its version is {0}; expected 1 or above")]
    Version(u64),
    /// Not a name.
    #[error("{0:?} is no name; expected 1 to 64 letters, digits, _, - or .")]
    Name(String),
    /// Columns of different lengths.
    #[error("the column {name:?} has {found} values for {expected} records")]
    Ragged {
        /// Which column.
        name: String,
        /// Its values.
        found: usize,
        /// Records of the message.
        expected: usize,
    },
    /// A value that no record can have.
    #[error("{name} is {found} in record {record}; expected {expected}")]
    Value {
        /// Of what.
        name: &'static str,
        /// What stands there.
        found: i64,
        /// Which record, from 0.
        record: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// Numbers that run over while they are added up.
    #[error("the numbers of the column {0:?} run over")]
    Overflow(String),
    /// A command that nobody knows.
    #[error("it asks to {0:?}; expected restart, probe, keep_on, release or resend")]
    Action(String),
    /// A member that does not belong to the command.
    #[error("it has {0:?}, which does not belong to what it asks")]
    Stray(String),
    /// A store that is not a number of 16 bytes.
    #[error("the store is {0:?}; expected 16 bytes, or 32 hexadecimal digits")]
    Store(String),
}
