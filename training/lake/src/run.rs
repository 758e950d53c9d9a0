//! The whole way from a lake to its tables, a step after the other; what a killed run finished is not done
//! again.

use core::ops::Range;
use core::panic::AssertUnwindSafe;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::cast::{as_int64_array, as_string_array};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures_util::{FutureExt, StreamExt, stream};
use indicatif::ProgressBar;
use sunkeep_models::lake::SITES;
use sunkeep_models::load_features::feature_hash;
use sunkeep_models::time::{SLOTS_PER_DAY, Slot};

use super::census::Census;
use super::check::gave_up;
use super::error::LakeError;
use super::facts::{self, Facts};
use super::features::{self, FEATURES_FILE, features_schema, slot_folder, stride};
use super::inputs::{Inputs, TABLES, inspect, locate};
use super::parquet_file::merge;
use super::pass::{self, PassEngine};
use super::plan::{
    FEATURES_TOML, FeaturesToml, PartFeatures, Pass, PassSlots, Plan, SLOTS_FILE, Span, Versions, Workplace,
    read_toml, write_toml,
};
use super::query;
use super::reading::{Wanted, read_files};
use super::session::{Bounds, LEAST_MEMORY, PASSES_AT_ONCE, cluster, local, register};
use super::slots::slots_schema;
use super::source::Lake;
use super::sweep::{Numbered, Share, Sweep};

/// Memory that a record takes while it is grouped, joined and sorted, bytes: so that a pass need not spill.
const ROW_BYTES: u64 = 1500;
/// Sites a lake may have.
const MOST_SITES: usize = 1_000_000;
/// Rows of a row group of the tables.
const GROUP_ROWS: usize = 16_384;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The lake: a folder, or an URL.
    pub lake: String,
    /// Folder for the tables.
    pub out: PathBuf,
    /// Memory to work in, bytes; at least 128 MB.
    pub memory: u64,
    /// Disk for what does not fit into memory, bytes.
    pub spill: u64,
    /// A cluster that is to answer the queries, as `df://host:port`.
    pub cluster: Option<String>,
    /// Issues of all sites together, at the most and more or less.
    pub issues: u64,
    /// Sites whose records are read together, at the most; fewer where the memory asks for it.
    pub sites_per_pass: u64,
    /// Broken files are left out, counted and named, and do not end the run.
    pub leave_out_broken: bool,
    /// What is unfinished or finished in the folder is done away with.
    pub restart: bool,
}

/// Makes the slot table and the feature table of a lake. Returns the report, and whether it was there.
pub async fn make_features(
    request: &Request,
    progress: &ProgressBar,
) -> Result<(FeaturesToml, bool), LakeError> {
    if request.memory < LEAST_MEMORY {
        return Err(LakeError::Bound {
            what: "--memory-limit",
            found: format!("{} bytes", request.memory),
            expected: format!("at least {LEAST_MEMORY}"),
        });
    }
    let lake = Lake::open(&request.lake)?;
    let inputs = inspect(&lake, request.leave_out_broken, progress).await?;
    fs::create_dir_all(&request.out).map_err(LakeError::output(&request.out, "create"))?;
    if request.restart {
        Workplace::remove(&request.out)?;
        remove_tables(&request.out)?;
    }
    if let Some(report) = finished(request, &inputs.fingerprint)? {
        return Ok((report, true));
    }
    let place = Workplace::of(&request.out)?;
    let bounds = Bounds { memory: request.memory, spill: request.spill, spill_folder: place.spill() };
    place.clear_spill()?;
    let context = match &request.cluster {
        Some(url) => cluster(&lake, url).await?,
        None => local(&lake, &bounds)?,
    };
    // Here the engine is asked of the sites alone; the other tables come to it by passes.
    let asked = |name: &str| request.cluster.is_some() || name == SITES;
    for (name, files) in TABLES.into_iter().zip(inputs.files.iter()).filter(|(name, _)| asked(name)) {
        register(&context, &lake, name, files)?;
    }
    let job = Job { request, lake: lake.clone(), place, context, bounds, progress };
    // Some spoiled files make the reader panic.
    let ran = AssertUnwindSafe(job.run(&inputs)).catch_unwind().await.unwrap_or_else(|panic| {
        Err(LakeError::query("read the lake")(DataFusionError::Execution(gave_up(panic))))
    });
    let report = match ran {
        // An engine does not say where it stumbled.
        Err(error @ LakeError::Query { .. }) => Err(locate(&lake, &inputs, request.memory, error).await),
        other => other,
    }?;
    Workplace::remove(&request.out)?;
    Ok((report, false))
}

/// Does away with tables that were made before.
fn remove_tables(out: &Path) -> Result<(), LakeError> {
    let tables = (0..SLOTS_PER_DAY).map(|slot| out.join(slot_folder(slot)).join(FEATURES_FILE));
    for path in tables.chain([out.join(FEATURES_TOML), out.join(SLOTS_FILE)]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LakeError::output(&path, "remove")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The report of a run that has finished with the same lake and choice; an error where it was another.
fn finished(request: &Request, fingerprint: &str) -> Result<Option<FeaturesToml>, LakeError> {
    let path = request.out.join(FEATURES_TOML);
    let Some(report) = read_toml::<FeaturesToml>(&path)? else { return Ok(None) };
    let made = (&*report.lake, report.most_issues, &*report.feature_hash, &report.versions);
    must_be_ours(made, fingerprint, request, path)?;
    Ok(Some(report))
}

/// Refuses what was made of another state of the lake, for another choice of issues, or by another version: `made`
/// holds the fingerprint of the lake, the bound on the issues, the fingerprint of the features, and the versions.
fn must_be_ours(
    made: (&str, u64, &str, &Versions),
    fingerprint: &str,
    request: &Request,
    path: PathBuf,
) -> Result<(), LakeError> {
    if made == (fingerprint, request.issues, &*feature_hash(), &Versions::here()) {
        return Ok(());
    }
    let reason = "it is of another state of the lake, another choice of issues, or another version".into();
    Err(LakeError::Foreign { path, reason })
}

/// A run that has begun.
struct Job<'a> {
    request: &'a Request,
    lake: Lake,
    place: Workplace,
    context: SessionContext,
    bounds: Bounds,
    progress: &'a ProgressBar,
}

impl Job<'_> {
    async fn run(&self, inputs: &Inputs) -> Result<FeaturesToml, LakeError> {
        let plan = self.plan(inputs).await?;
        let facts = Arc::new(self.facts().await?);
        let slots = self.slots(&plan, &facts, inputs).await?;
        let total: u64 = slots.iter().map(|pass| pass.slots).sum();
        let stride = stride(total, self.request.issues);
        let parts = features::parts(&slots, stride);
        let features = self.features(&parts, facts, stride).await?;
        self.put_together(&parts, stride).await?;
        let report = self.report(&plan, &slots, &features, stride);
        write_toml(&self.request.out.join(FEATURES_TOML), &report)?;
        Ok(report)
    }

    fn begin(&self, what: &str, length: usize) {
        self.progress.set_message(what.to_owned());
        self.progress.set_length(length as u64);
        self.progress.set_position(0);
    }

    /// All rows of a query whose answer is small.
    async fn ask(&self, doing: &'static str, query: &str) -> Result<Vec<RecordBatch>, LakeError> {
        let failed = LakeError::query(doing);
        self.context.sql(query).await.map_err(&failed)?.collect().await.map_err(&failed)
    }

    /// The plan of a run that was killed, or a new one.
    async fn plan(&self, inputs: &Inputs) -> Result<Plan, LakeError> {
        let path = self.place.plan();
        if let Some(plan) = read_toml::<Plan>(&path)? {
            let made = (&*plan.lake, plan.issues, &*plan.feature_hash, &plan.versions);
            must_be_ours(made, &inputs.fingerprint, self.request, path)?;
            return Ok(plan);
        }
        remove_tables(&self.request.out)?;
        self.begin("sites", 1);
        let mut plan = Plan {
            lake: inputs.fingerprint.clone(),
            issues: self.request.issues,
            feature_hash: feature_hash(),
            versions: Versions::here(),
            counts: inputs.counts.clone(),
            noted: inputs.noted.clone(),
            sites: 0,
            passes: Vec::new(),
        };
        let most = (self.request.sites_per_pass, self.bounds.of_pass().pool() as u64 / ROW_BYTES);
        let mut sites_in_pass = 0;
        for (site, (rows, nameless)) in self.records_of_sites(inputs).await? {
            plan.counts.add("rows_nameless", nameless);
            if let Some(site) = site {
                plan.add_site(&site, rows, most, &mut sites_in_pass);
            }
        }
        if plan.sites as usize > MOST_SITES {
            return Err(LakeError::Bound {
                what: "the number of sites",
                found: plan.sites.to_string(),
                expected: format!("at most {MOST_SITES}"),
            });
        }
        write_toml(&path, &plan)?;
        Ok(plan)
    }

    /// The records of each site, and those of them that lack part of their identity; by name.
    async fn records_of_sites(
        &self,
        inputs: &Inputs,
    ) -> Result<BTreeMap<Option<String>, (u64, u64)>, LakeError> {
        const DOING: &str = "count the records of each site";
        let failed = LakeError::query(DOING);
        if self.request.cluster.is_none() {
            let mut counted = Census::default();
            let add = |batch| counted.add(&batch).map_err(&failed);
            let wanted = Wanted::FirstAndNulls(query::naming_schema());
            read_files(&self.lake, &inputs.files[0], &wanted, DOING, add).await?;
            return Ok(counted.by_name());
        }
        let mut counted = BTreeMap::new();
        for batch in self.ask(DOING, &query::sites()).await? {
            let sites = as_string_array(batch.column(0)).map_err(&failed)?;
            let rows = as_int64_array(batch.column(1)).map_err(&failed)?;
            let nameless = as_int64_array(batch.column(2)).map_err(&failed)?;
            for (place, site) in sites.iter().enumerate() {
                let counts = (rows.value(place) as u64, nameless.value(place) as u64);
                counted.insert(site.map(str::to_owned), counts);
            }
        }
        Ok(counted)
    }

    /// What is known of each site.
    async fn facts(&self) -> Result<Facts, LakeError> {
        facts::of_rows(&self.ask("read the sites", &query::site_facts()).await?)
    }

    /// The slots of every pass.
    async fn slots(&self, plan: &Plan, facts: &Facts, inputs: &Inputs) -> Result<Vec<PassSlots>, LakeError> {
        self.begin("slots", plan.passes.len());
        let mut all = BTreeMap::new();
        let mut open = Vec::new();
        for (number, pass) in plan.passes.iter().enumerate() {
            match read_toml(&self.place.slots_done(number))? {
                Some(made) => {
                    all.insert(number, made);
                }
                None => open.push((number, pass)),
            }
        }
        self.progress.inc(all.len() as u64);
        if self.request.cluster.is_some() {
            for (number, pass) in open {
                let made = pass::slots(&self.context, &self.place, number, pass, inputs.present());
                all.insert(number, made.await?);
                self.progress.inc(1);
            }
        } else {
            self.slots_in_steps(&open, facts, inputs, &mut all).await?;
        }
        Ok(all.into_values().collect())
    }

    /// The slots of these passes, here: their rows are parted until each has its own, the first ones first.
    async fn slots_in_steps(
        &self,
        open: &[Numbered<'_>],
        facts: &Facts,
        inputs: &Inputs,
        all: &mut BTreeMap<usize, PassSlots>,
    ) -> Result<(), LakeError> {
        self.place.clear_rows()?;
        let sweep = Sweep { lake: &self.lake, files: &inputs.files, place: &self.place, facts };
        let mut shares: Vec<Share<'_>> = Share::of_lake(open).into_iter().collect();
        while let Some(share) = shares.pop() {
            let parts = match share.single() {
                Some(_) => vec![share],
                None => sweep.part(share).await?,
            };
            match parts.iter().map(|part| part.single()).collect::<Option<Vec<_>>>() {
                Some(passes) => self.slots_here(&passes, inputs, all).await?,
                None => shares.extend(parts.into_iter().rev()),
            }
        }
        Ok(())
    }

    /// The slots of some passes whose rows are here, some passes at a time.
    async fn slots_here(
        &self,
        passes: &[Numbered<'_>],
        inputs: &Inputs,
        all: &mut BTreeMap<usize, PassSlots>,
    ) -> Result<(), LakeError> {
        let tasks = stream::iter(passes.iter().copied()).map(|(number, pass)| {
            let engine = PassEngine {
                lake: self.lake.clone(),
                bounds: self.bounds.of_pass(),
                place: self.place.clone(),
                files: inputs.files.clone(),
                present: inputs.present(),
            };
            let pass = pass.clone();
            let task = SpawnedTask::spawn(async move { engine.slots(number, &pass).await });
            task.map(move |made| (number, made))
        });
        let mut tasks = tasks.buffer_unordered(PASSES_AT_ONCE);
        while let Some((number, made)) = tasks.next().await {
            // A task that panicked met a spoiled file, like one that failed.
            let made = made.unwrap_or_else(|error| {
                let why = error.try_into_panic().map_or_else(|error| error.to_string(), gave_up);
                Err(LakeError::query("bring the records to slots")(DataFusionError::Execution(why)))
            });
            all.insert(number, made?);
            self.progress.inc(1);
        }
        Ok(())
    }

    /// The rows of every part, some parts at a time.
    async fn features(
        &self,
        parts: &[Range<usize>],
        facts: Arc<Facts>,
        stride: i64,
    ) -> Result<Vec<PartFeatures>, LakeError> {
        self.begin("features", parts.len());
        let making = parts.iter().enumerate().map(|(number, passes)| {
            let (place, facts, passes) = (self.place.clone(), facts.clone(), passes.clone());
            SpawnedTask::spawn_blocking(move || features_of(&place, number, passes, &facts, stride))
        });
        self.some_at_a_time("make the features", making).await
    }

    /// One slot table, and one file for each slot of the day.
    async fn put_together(&self, parts: &[Range<usize>], stride: i64) -> Result<(), LakeError> {
        self.begin("files", SLOTS_PER_DAY + 1);
        let passes = 0..parts.last().map_or(0, |passes| passes.end);
        let slots = passes.map(|pass| self.place.slots(pass)).collect();
        let mut tables: Vec<(Vec<PathBuf>, SchemaRef, PathBuf)> =
            vec![(slots, slots_schema(), self.request.out.join(SLOTS_FILE))];
        for slot in 0..SLOTS_PER_DAY {
            let folder = self.request.out.join(slot_folder(slot));
            fs::create_dir_all(&folder).map_err(LakeError::output(&folder, "create"))?;
            let of_part = |part: usize| features::file(&self.place.features(part, stride), slot);
            let files = (0..parts.len()).map(of_part).collect();
            tables.push((files, features_schema(), folder.join(FEATURES_FILE)));
        }
        let merging = tables.into_iter().map(|(files, schema, path)| {
            SpawnedTask::spawn_blocking(move || {
                if path.exists() { Ok(()) } else { merge(&files, &schema, GROUP_ROWS, &path) }
            })
        });
        self.some_at_a_time("put the tables together", merging).await.map(|_| ())
    }

    /// Work of processors, [`PASSES_AT_ONCE`] at a time; what came of each, in order.
    async fn some_at_a_time<T: 'static>(
        &self,
        doing: &'static str,
        tasks: impl Iterator<Item = SpawnedTask<Result<T, LakeError>>>,
    ) -> Result<Vec<T>, LakeError> {
        let mut tasks = stream::iter(tasks).buffered(PASSES_AT_ONCE);
        let mut all = Vec::new();
        while let Some(done) = tasks.next().await {
            let panicked =
                |error| Err(LakeError::query(doing)(DataFusionError::ExecutionJoin(Box::new(error))));
            all.push(done.unwrap_or_else(panicked)?);
            self.progress.inc(1);
        }
        Ok(all)
    }

    fn report(
        &self,
        plan: &Plan,
        slots: &[PassSlots],
        features: &[PartFeatures],
        stride: i64,
    ) -> FeaturesToml {
        let mut counts = plan.counts.clone();
        let mut noted = plan.noted.clone();
        for pass in slots {
            counts.absorb(&pass.counts);
            noted.absorb(&pass.noted);
        }
        let mut rows_of_slot = vec![0; SLOTS_PER_DAY];
        for part in features {
            rows_of_slot.iter_mut().zip(&part.rows).for_each(|(sum, rows)| *sum += rows);
            counts.add("sites_without_zone", part.zoneless);
            noted.absorb(&part.noted);
        }
        let spans = || slots.iter().filter_map(|pass| pass.span);
        let span = spans().map(|(first, _)| first).min().zip(spans().map(|(_, last)| last).max());
        FeaturesToml {
            feature_hash: feature_hash(),
            lake: plan.lake.clone(),
            sites: features.iter().map(|part| part.sites).sum(),
            slots: slots.iter().map(|pass| pass.slots).sum(),
            most_issues: self.request.issues,
            stride,
            issues: features.iter().map(|part| part.issues).sum(),
            rows: rows_of_slot.iter().sum(),
            rows_of_slot,
            span: span.map(|(first, last)| Span {
                first_slot: first,
                last_slot: last,
                first_day: day_of(Slot(first)),
                last_day: day_of(Slot(last)),
            }),
            versions: Versions::here(),
            counts,
            noted,
        }
    }
}

/// The rows of a part (these passes), made now or by a run before.
fn features_of(
    place: &Workplace,
    part: usize,
    passes: Range<usize>,
    facts: &Facts,
    stride: i64,
) -> Result<PartFeatures, LakeError> {
    let done = place.features_done(part, stride);
    if let Some(made) = read_toml(&done)? {
        return Ok(made);
    }
    let slots: Vec<PathBuf> = passes.map(|pass| place.slots(pass)).collect();
    let zone = |site: &str| facts.get(site).map(|facts| &facts.zone);
    let made = features::make(&slots, &place.features(part, stride), stride, zone)?;
    write_toml(&done, &made)?;
    Ok(made)
}

impl Plan {
    /// Adds a site to the last pass, or begins another where that would have too many sites or rows.
    fn add_site(&mut self, site: &str, rows: u64, most: (u64, u64), sites_in_pass: &mut u64) {
        self.sites += 1;
        *sites_in_pass += 1;
        match self.passes.last_mut() {
            Some(pass) if *sites_in_pass <= most.0 && pass.rows + rows <= most.1 => {
                site.clone_into(&mut pass.last);
                pass.rows += rows;
            }
            _ => {
                *sites_in_pass = 1;
                self.passes.push(Pass { first: site.into(), last: site.into(), rows });
            }
        }
    }
}

/// The day of a slot, UTC, as in `2016-01-01`.
fn day_of(slot: Slot) -> String {
    let moment = jiff::Timestamp::from_second(slot.start()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%d").to_string()
}
