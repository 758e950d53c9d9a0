//! The files of a lake that are read: listed and checked once, before anything is asked of them; and which of
//! them it was when a query stumbled.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use indicatif::ProgressBar;
use sunkeep_models::digest::sha256_hex;
use sunkeep_models::lake::{CORRECTIONS, SITES, TELEMETRY, WEATHER};

use super::check::{FileFacts, broken_row_group, check_files};
use super::error::LakeError;
use super::plan::{Counts, Noted};
use super::query::Present;
use super::source::{Lake, LakeFile};

/// The tables of the lake.
pub(super) const TABLES: [&str; 4] = [TELEMETRY, SITES, CORRECTIONS, WEATHER];

/// The files of a lake that are read.
pub(super) struct Inputs {
    /// By table, in the order of [`TABLES`].
    pub(super) files: Arc<[Vec<LakeFile>]>,
    /// Fingerprint of them all.
    pub(super) fingerprint: String,
    /// What the footers alone gave to count.
    pub(super) counts: Counts,
    /// And to name.
    pub(super) noted: Noted,
}

/// Lists the lake and reads all footers.
pub(super) async fn inspect(
    lake: &Lake,
    leave_out_broken: bool,
    progress: &ProgressBar,
) -> Result<Inputs, LakeError> {
    let mut tables = Vec::with_capacity(TABLES.len());
    let mut inputs = Inputs {
        files: Arc::new([]),
        fingerprint: String::new(),
        counts: Counts::default(),
        noted: Noted::default(),
    };
    let (mut names, mut broken) = (String::new(), Vec::new());
    for name in TABLES {
        let listed = lake.files(name).await?;
        progress.set_message(format!("check {name}"));
        progress.set_length(listed.len() as u64);
        progress.set_position(0);
        let mut whole = Vec::new();
        for facts in check_files(lake, name, &listed, progress).await {
            match facts {
                Ok(facts) => {
                    inputs.note_file(name, &facts);
                    let _ = writeln!(names, "{} {} {}", facts.file.name, facts.file.bytes, facts.rows);
                    if name == SITES {
                        let _ = writeln!(names, "{}", lake.digest(&facts.file).await?);
                    }
                    if facts.rows > 0 {
                        whole.push(facts.file);
                    }
                }
                Err(error) => broken.push(error),
            }
        }
        tables.push(whole);
    }
    inputs.files = tables.into();
    if !broken.is_empty() && !leave_out_broken {
        let (count, first) = (broken.len(), broken.swap_remove(0));
        return Err(LakeError::Files { count, first: Box::new(first) });
    }
    inputs.counts.add("files_left_out", broken.len() as u64);
    for error in broken {
        let _ = writeln!(names, "left out: {error}");
        inputs.noted.add("files_left_out", error.to_string());
    }
    for (place, table) in [(0, TELEMETRY), (1, SITES)] {
        if inputs.files[place].is_empty() {
            return Err(LakeError::Empty { location: lake.location().into(), table });
        }
    }
    inputs.fingerprint = sha256_hex(names.as_bytes());
    Ok(inputs)
}

impl Inputs {
    /// Which tables the lake has beside those that it must have.
    pub(super) fn present(&self) -> Present {
        Present { corrections: !self.files[2].is_empty(), weather: !self.files[3].is_empty() }
    }

    fn note_file(&mut self, table: &str, facts: &FileFacts) {
        self.counts.add(&format!("files_{table}"), 1);
        self.counts.add("row_groups_misfiled", facts.misfiled.len() as u64);
        for group in &facts.misfiled {
            let case =
                format!("{}, row group {group}: its times are not of its folder's hour", facts.file.name);
            self.noted.add("row_groups_misfiled", case);
        }
    }
}

/// What a query stumbled over: the first row group that cannot be read, or else what the engine said.
pub(super) async fn locate(lake: &Lake, inputs: &Inputs, memory: u64, error: LakeError) -> LakeError {
    if let LakeError::Query { source, .. } = &error
        && matches!(source.find_root(), DataFusionError::ResourcesExhausted(_))
    {
        return LakeError::Bound {
            what: "--memory-limit",
            found: format!("{memory} bytes"),
            expected: format!("more, or fewer --sites-per-pass ({error})"),
        };
    }
    for (table, files) in TABLES.into_iter().zip(inputs.files.iter()) {
        if let Some(broken) = broken_row_group(lake, table, files).await {
            return broken;
        }
    }
    error
}
