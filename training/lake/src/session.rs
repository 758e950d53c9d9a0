//! The engine that answers queries: DataFusion in this process within stated bounds of memory and disk, or
//! a Ballista cluster that is asked the same. Which questions is not said here.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::error::LakeError;
use super::source::{Lake, LakeFile};

/// Queries run in so many parts at a time, each with its share of the memory.
const PARTS: usize = 2;
/// Least memory that is worked with, bytes.
pub(super) const LEAST_MEMORY: u64 = 128 << 20;
/// Rows that move through a query together. The pool gives each of some forty operators an equal share, and one
/// batch of sums must fit into that of the least memory.
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
    pub(super) spill_folder: std::path::PathBuf,
}

impl Bounds {
    /// Memory of queries, bytes.
    pub(super) fn pool(&self) -> usize {
        (self.memory / 2) as usize
    }
}

fn settings() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(PARTS).with_batch_size(BATCH);
    let options = config.options_mut();
    // Footers were read already, and what they say of sizes is not needed.
    options.execution.collect_statistics = false;
    options.execution.parquet.schema_force_view_types = false;
    config
}

/// An engine in this process.
pub(super) fn local(lake: &Lake, bounds: &Bounds) -> Result<SessionContext, LakeError> {
    let failed = LakeError::query("start the engine");
    let disk = DiskManagerBuilder::default()
        .with_mode(datafusion::execution::disk_manager::DiskManagerMode::Directories(vec![
            bounds.spill_folder.clone(),
        ]))
        .with_max_temp_directory_size(bounds.spill);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(bounds.pool())))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(FOOTERS)
        .build_arc()
        .map_err(failed)?;
    let mut config = settings();
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
/// file lacks reads as null.
pub(super) fn register(
    context: &SessionContext,
    lake: &Lake,
    table: &str,
    schema: SchemaRef,
    files: &[LakeFile],
) -> Result<(), LakeError> {
    let failed = LakeError::query("open the tables of the lake");
    let urls: Vec<ListingTableUrl> = files
        .iter()
        .map(|file| ListingTableUrl::try_new(lake.url(file)?, None).map_err(&failed))
        .collect::<Result<_, _>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::new())).with_file_extension(".parquet");
    let config =
        ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
    let listing = ListingTable::try_new(config).map_err(&failed)?;
    context.register_table(table, Arc::new(listing)).map_err(&failed)?;
    Ok(())
}
