//! Why an input was refused: the closed list of reason codes that a hub stores and reports, and the refusal
//! that carries one. Wording for persons belongs where it is shown.

use serde::{Deserialize, Serialize};

/// Longest subject or detail kept of a refusal, bytes: hostile text must not fill a log.
const TEXT_CAP: usize = 200;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// A reason code: stable, reported to the operator, counted per code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $name,)+
        }

        impl Reason {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as stored and reported.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }
        }
    };
}

reasons! {
    /// Fewer valid signatures by distinct keys of the role than its threshold.
    SigThreshold = "sig_threshold",
    /// One key id signs twice in one document.
    DupKeyid = "dup_keyid",
    /// A threshold of zero or below, or above the number of keys of the role.
    BadThreshold = "bad_threshold",
    /// A new root is not signed by the thresholds of both the old and the new keys.
    RootChain = "root_chain",
    /// A new root is not exactly one version above the trusted one.
    RootVersion = "root_version",
    /// More new roots than one session walks; what was verified is kept, the next session goes on.
    RootCap = "root_cap",
    /// A timestamp older than the trusted one, or one that points to an older snapshot.
    RollbackTimestamp = "rollback_timestamp",
    /// A snapshot older than the trusted one.
    RollbackSnapshot = "rollback_snapshot",
    /// A targets role older than the trusted one, or gone from the snapshot.
    RollbackTargets = "rollback_targets",
    /// A release older than the one that was last taken.
    RollbackRelease = "rollback_release",
    /// A version that is no integer from 1 to the cap.
    BadVersion = "bad_version",
    /// Version, hash or length differs from what the document above says.
    MixAndMatch = "mix_and_match",
    /// The document is of another role.
    BadType = "bad_type",
    /// The specification's version is missing or not 1.x.
    SpecVersion = "spec_version",
    /// A field is missing or not of the form that the specification gives it.
    BadField = "bad_field",
    /// Signed for another hub.
    WrongDevice = "wrong_device",
    /// Signed for other hardware, another model family or another battery chemistry.
    WrongHw = "wrong_hw",
    /// Needs a newer controller; held, not downloaded.
    NeedsApp = "needs_app",
    /// The role that names the target was not given that path.
    NotDelegated = "not_delegated",
    /// More delegated roles than one search visits.
    DelegationCap = "delegation_cap",
    /// No role that may name the target does.
    NoSuchTarget = "no_such_target",
    /// An object has a key twice.
    JsonDupKey = "json_dup_key",
    /// A number that is no 64-bit integer.
    JsonNumber = "json_number",
    /// Not JSON, not UTF-8, or something after the end.
    JsonSyntax = "json_syntax",
    /// Nested too deep.
    JsonDepth = "json_depth",
    /// Too many values, keys, signatures, delegations or targets.
    CountCap = "count_cap",
    /// No hash of a known algorithm in its canonical form.
    BadHash = "bad_hash",
    /// An expiry that is no moment in UTC.
    BadExpires = "bad_expires",
    /// A length that is missing, zero or above the cap.
    BadLength = "bad_length",
    /// A target name that could be mistaken for something else by a file system or a shell.
    BadName = "bad_name",
    /// Timestamp or root expired, though newer ones must exist: somebody may be holding them back.
    FreezeSuspected = "freeze_suspected",
    /// The snapshot expired.
    ExpiredSnapshot = "expired_snapshot",
    /// A targets role expired.
    ExpiredTargets = "expired_targets",
    /// The clock is too far above the newest signed time to be believed.
    ClockImplausible = "clock_implausible",
    /// The document could not be fetched.
    Unavailable = "unavailable",
    /// A chunk's bytes are not those that were signed.
    ChunkHash = "chunk_hash",
    /// A chunk past the end, or of another size.
    ChunkRange = "chunk_range",
    /// More bytes than signed, or than the cap.
    TooLong = "too_long",
    /// The whole file's hash is not the signed one.
    ContentHash = "content_hash",
    /// No room on the disk.
    DiskFull = "disk_full",
    /// The disk failed to read or to write.
    StorageFault = "storage_fault",
    /// A link, pipe or folder where a file belongs.
    BadFile = "bad_file",
    /// Another process holds the store.
    Locked = "locked",
    /// Both slots are unusable; the factory model serves.
    NoModel = "no_model",
    /// This content was refused on this hub before.
    RefusedBefore = "refused_before",
    /// Another candidate is under way in this channel.
    Busy = "busy",
    /// The event does not fit the phase of the installation.
    OutOfOrder = "out_of_order",
    /// A staged file does not parse.
    OnnxParse = "onnx_parse",
    /// A tensor's size does not fit its data.
    TensorSize = "tensor_size",
    /// The file refers to data outside itself.
    ExternalData = "external_data",
    /// An operator that is not on the list of allowed ones.
    OpNotAllowed = "op_not_allowed",
    /// A graph with functions, cycles or dangling inputs.
    Graph = "graph",
    /// Weights that are not finite.
    WeightsNotFinite = "weights_not_finite",
    /// Inputs or outputs are not those of the contract.
    IoContract = "io_contract",
    /// Features other than this hub's.
    SchemaHash = "schema_hash",
    /// Golden vectors come out otherwise.
    Golden = "golden",
    /// Answers that are not finite.
    OutputNotFinite = "output_not_finite",
    /// Answers outside what is physically possible.
    Envelope = "envelope",
    /// Over the limit of time.
    BudgetCpu = "budget_cpu",
    /// Over the limit of memory.
    BudgetRam = "budget_ram",
    /// Two runs, two answers.
    Nondeterministic = "nondeterministic",
    /// A tree whose indices lead out of it or in circles.
    TreeIndex = "tree_index",
    /// No better than persistence in shadow.
    NoSkill = "no_skill",
    /// Worse than the champion in shadow.
    ShadowWorse = "shadow_worse",
    /// Errors or vetoes rose on trial.
    Probation = "probation",
    /// Died three times before it was confirmed.
    BootLoop = "boot_loop",
    /// Taken back by the operator.
    Revoked = "revoked",
    /// The same version was signed before with other content.
    SameVersion = "same_version",
    /// An expiry before the last signed one, or too far ahead.
    ExpiryRange = "expiry_range",
}

/// An input that was refused: nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {detail} [{}]", reason.code())]
pub struct Refusal {
    /// The code.
    pub reason: Reason,
    /// What was read.
    pub subject: String,
    /// What was found, and what was expected.
    pub detail: String,
}

impl Refusal {
    /// A refusal of something; texts are cut short and cleaned of control characters.
    pub fn new(reason: Reason, subject: impl AsRef<str>, detail: impl AsRef<str>) -> Self {
        Self { reason, subject: clean(subject.as_ref()), detail: clean(detail.as_ref()) }
    }
}

/// Text from outside as it may be logged.
fn clean(text: &str) -> String {
    let mut end = text.len().min(TEXT_CAP);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
