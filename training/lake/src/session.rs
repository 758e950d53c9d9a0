//! The engine that answers queries: DataFusion in this process within stated bounds of memory and disk, or
//! a Ballista cluster that is asked the same. Which questions is not said here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{Field, Schema};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use sunkeep_models::lake;
use url::Url;

use super::error::LakeError;
use super::source::{Lake, LakeFile};

/// Passes that run at a time, each in an engine of its own with its share of the memory.
pub(super) const PASSES_AT_ONCE: usize = 2;
/// Parts in which queries over whole tables work, here and on a cluster.
const PARTS: usize = 2;
/// Least memory that is worked with, bytes.
pub(super) const LEAST_MEMORY: u64 = 128 << 20;
/// Rows that move through a query together: sums are wide, and some batches of them must fit into the least memory.
const BATCH: usize = 2048;
/// Footers that are remembered between queries, bytes.
const FOOTERS: usize = 16 << 20;

/// What a run may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Memory, bytes: half of it for sorting, grouping and joining, which spill to disk beyond; the rest for
    /// what is read and written.
    pub(super) memory: u64,
    /// Disk for what does not fit into memory, bytes.
    pub(super) spill: u64,
    /// Folder for it.
    pub(super) spill_folder: PathBuf,
}

impl Bounds {
    /// Memory of queries, bytes.
    pub(super) fn pool(&self) -> usize {
        (self.memory / 2) as usize
    }

    /// The share of one pass: [`PASSES_AT_ONCE`] have all there is.
    pub(super) fn of_pass(&self) -> Self {
        let share = |all: u64| all / PASSES_AT_ONCE as u64;
        Self { memory: share(self.memory), spill: share(self.spill), ..self.clone() }
    }
}

fn settings(parts: usize) -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(parts).with_batch_size(BATCH);
    let options = config.options_mut();
    // Footers were read already, and what they say of sizes is not needed.
    options.execution.collect_statistics = false;
    options.execution.parquet.schema_force_view_types = false;
    config
}

/// An engine in this process for queries over the whole lake, whose answers are small or not held.
pub(super) fn local(lake: &Lake, bounds: &Bounds) -> Result<SessionContext, LakeError> {
    engine(lake, bounds, PARTS)
}

/// An engine in this process for one pass. A single part needs no exchange and no merge between its operators,
/// and a third of their number.
pub(super) fn for_pass(lake: &Lake, bounds: &Bounds) -> Result<SessionContext, LakeError> {
    engine(lake, bounds, 1)
}

fn engine(lake: &Lake, bounds: &Bounds, parts: usize) -> Result<SessionContext, LakeError> {
    let failed = LakeError::query("start the engine");
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![bounds.spill_folder.clone()]))
        .with_max_temp_directory_size(bounds.spill);
    // Who comes first gets it: operators hold memory one after the other, and a fair share of it for each would let
    // most of it lie idle while they spill.
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(bounds.pool())))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(FOOTERS)
        .build_arc()
        .map_err(failed)?;
    let mut config = settings(parts);
    // A merge of spilled runs must find memory when everything else is taken.
    config.options_mut().execution.sort_spill_reservation_bytes = bounds.pool() / 16;
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_object_store(&lake.store_url(), lake.store().clone());
    Ok(context)
}

/// An engine on the cluster at `url` (`df://host:port`). Its executors read the lake by the same URLs, so it
/// must lie where they see it.
#[cfg(feature = "cluster")]
pub(super) async fn cluster(lake: &Lake, url: &str) -> Result<SessionContext, LakeError> {
    use ballista::prelude::{SessionConfigExt, SessionContextExt};
    use datafusion::execution::SessionStateBuilder;

    let refused = |error: datafusion::error::DataFusionError| LakeError::Cluster {
        url: url.into(),
        reason: error.to_string(),
    };
    // The adaptive planner plans all that is left anew after every task: with sums this wide that takes the
    // scheduler minutes of a processor. The joins already say which side is small.
    let config = SessionConfig::new_with_ballista().with_ballista_adaptive_query_planner(false);
    let mut config = config.with_target_partitions(PARTS).with_batch_size(BATCH);
    config.options_mut().execution.collect_statistics = false;
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let context = SessionContext::remote_with_state(url, state).await.map_err(refused)?;
    context.register_object_store(&lake.store_url(), lake.store().clone());
    Ok(context)
}

/// Says that this program was built without clusters.
#[cfg(not(feature = "cluster"))]
pub(super) async fn cluster(_lake: &Lake, url: &str) -> Result<SessionContext, LakeError> {
    let reason = "this program was built without clusters; build it with --features cluster".into();
    Err(LakeError::Cluster { url: url.into(), reason })
}

/// Makes a table of the lake known to queries: exactly these files, with the columns of the lake; one that a
/// file lacks reads as null. A table without files is not there.
pub(super) fn register(
    context: &SessionContext,
    lake: &Lake,
    table: &str,
    files: &[LakeFile],
) -> Result<(), LakeError> {
    let urls = files.iter().map(|file| lake.url(file)).collect::<Result<Vec<_>, _>>()?;
    if urls.is_empty() { Ok(()) } else { register_urls(context, table, urls) }
}

/// Makes rows of a table of the lake known that are in a file here.
pub(super) fn register_here(context: &SessionContext, table: &str, rows: &Path) -> Result<(), LakeError> {
    let refused = |reason: String| LakeError::output(rows, "read")(std::io::Error::other(reason));
    let whole = rows.canonicalize().map_err(LakeError::output(rows, "find"))?;
    let url = Url::from_file_path(&whole).map_err(|()| refused("no path for an URL".into()))?;
    register_urls(context, table, vec![url])
}

fn register_urls(context: &SessionContext, table: &str, urls: Vec<Url>) -> Result<(), LakeError> {
    let failed = LakeError::query("open the tables of the lake");
    let Some(schema) = lake::table(table) else { return Ok(()) };
    // What must not be null may be so in a file: then it is counted, and not taken for impossible.
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let urls = urls.into_iter().map(|url| ListingTableUrl::try_new(url, None));
    let urls = urls.collect::<Result<Vec<_>, _>>().map_err(&failed)?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::new())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(Arc::new(Schema::new(fields)));
    let listing = ListingTable::try_new(config).map_err(&failed)?;
    context.register_table(table, Arc::new(listing)).map_err(&failed)?;
    Ok(())
}
