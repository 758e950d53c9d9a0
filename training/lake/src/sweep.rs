//! One reading of the lake for many passes: the records of each pass go into a file of its own, so that the lake
//! is not read anew for every pass, and a pass is as small as the memory asks for. Nothing is judged here.

use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use datafusion::common::cast::as_string_array;
use datafusion::prelude::SessionContext;
use futures_util::StreamExt;

use super::error::LakeError;
use super::parquet_file::TableWriter;
use super::plan::{Pass, Workplace};
use super::query::{self, Sites};

/// Passes for which the lake is read once: each has a file open, with a row group in memory. More would need more
/// memory, fewer more readings.
pub(super) const PASSES: usize = 64;
/// Rows of a row group.
const GROUP_ROWS: usize = 2048;
/// Rows that are gathered before they are parted.
const GATHERED: usize = 16_384;

const DOING: &str = "part the records by passes";

/// Reads the lake and writes the records of each of these passes (at most [`PASSES`], by the names of their sites)
/// into the file that `place` has for them.
pub(super) async fn sweep(
    context: &SessionContext,
    place: &Workplace,
    passes: &[(usize, &Pass)],
) -> Result<(), LakeError> {
    let failed = LakeError::query(DOING);
    let (Some((_, first)), Some((_, last))) = (passes.first(), passes.last()) else { return Ok(()) };
    let sites = Sites { first: &first.first, last: &last.last };
    let frame = context.sql(&query::swept(sites)).await.map_err(&failed)?;
    let mut batches = frame.execute_stream().await.map_err(&failed)?;
    let schema = batches.schema();
    let targets = passes.iter().map(|(number, pass)| {
        Ok(Target { pass, writer: TableWriter::create(&place.records(*number), &schema, GROUP_ROWS)? })
    });
    let mut parting = Parting {
        targets: targets.collect::<Result<_, LakeError>>()?,
        schema,
        gathered: Vec::new(),
        rows: 0,
    };
    while let Some(batch) = batches.next().await {
        parting.add(batch.map_err(&failed)?)?;
    }
    parting.finish()
}

/// Where the records of a pass go.
struct Target<'a> {
    pass: &'a Pass,
    writer: TableWriter,
}

/// Records on their way into the files of their passes.
struct Parting<'a> {
    /// By the names of their sites.
    targets: Vec<Target<'a>>,
    schema: SchemaRef,
    gathered: Vec<RecordBatch>,
    rows: usize,
}

impl Parting<'_> {
    fn add(&mut self, batch: RecordBatch) -> Result<(), LakeError> {
        self.rows += batch.num_rows();
        self.gathered.push(batch);
        if self.rows >= GATHERED { self.part() } else { Ok(()) }
    }

    /// The target of a site; `None` where a pass that is done has it.
    fn target(&self, site: &str) -> Option<usize> {
        let after = self.targets.partition_point(|target| target.pass.first.as_str() <= site);
        let target = after.checked_sub(1)?;
        (site <= self.targets[target].pass.last.as_str()).then_some(target)
    }

    fn part(&mut self) -> Result<(), LakeError> {
        let failed = LakeError::query(DOING);
        let refused = |error: ArrowError| failed(error.into());
        let rows = concat_batches(&self.schema, &self.gathered).map_err(refused)?;
        self.gathered.clear();
        self.rows = 0;
        let sites = as_string_array(rows.column(0)).map_err(&failed)?;
        // Rows of a site often follow each other.
        let mut known: Option<(&str, Option<usize>)> = None;
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); self.targets.len()];
        for row in (0..sites.len()).filter(|row| !sites.is_null(*row)) {
            let site = sites.value(row);
            let target = match known {
                Some((name, target)) if name == site => target,
                _ => self.target(site),
            };
            known = Some((site, target));
            if let Some(target) = target {
                places[target].push(row as u32);
            }
        }
        for (target, places) in self.targets.iter_mut().zip(places).filter(|(_, places)| !places.is_empty()) {
            let own = take_record_batch(&rows, &UInt32Array::from(places)).map_err(refused)?;
            target.writer.write(&own)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), LakeError> {
        self.part()?;
        for target in self.targets {
            target.writer.finish()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray, new_null_array};
    use sunkeep_models::lake;

    use super::*;
    use crate::parquet_file::read;

    /// Rows of these sites, each with its place as its sequence.
    fn telemetry(sites: &[&str]) -> RecordBatch {
        let schema = lake::telemetry();
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "site" | "hub" | "store" => Arc::new(StringArray::from(sites.to_vec())),
                "boot" | "sequence" | "uptime_ms" | "span_ms" => {
                    Arc::new(arrow_array::Int64Array::from_iter_values(0..sites.len() as i64))
                }
                _ => new_null_array(field.data_type(), sites.len()),
            }
        });
        RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
    }

    fn sites_in(place: &Workplace, number: usize) -> Vec<String> {
        let batches = read(&place.records(number)).unwrap().map(Result::unwrap);
        let sites = |batch: RecordBatch| {
            let sites = as_string_array(batch.column(0)).unwrap();
            sites.iter().map(|site| site.unwrap().to_owned()).collect::<Vec<_>>()
        };
        batches.flat_map(sites).collect()
    }

    #[test]
    fn each_record_goes_to_the_pass_of_its_site_and_those_of_no_pass_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let place = Workplace::of(folder.path()).unwrap();
        let context = SessionContext::new();
        let all = ["c", "a", "b", "f", "c", "z", "d", "e", "a", "0", "ee", "d"];
        context.register_batch("telemetry", telemetry(&all)).unwrap();
        let pass = |first: &str, last: &str| Pass { first: first.into(), last: last.into(), rows: 0 };
        // The pass of "d" is done; "0" and "z" lie outside of all.
        let passes = [pass("a", "b"), pass("c", "c"), pass("e", "f")];
        let passes: Vec<(usize, &Pass)> = [0, 1, 3].into_iter().zip(&passes).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(sweep(&context, &place, &passes)).unwrap();
        assert_eq!(sites_in(&place, 0), ["a", "b", "a"]);
        assert_eq!(sites_in(&place, 1), ["c", "c"]);
        assert_eq!(sites_in(&place, 3), ["f", "e", "ee"]);
        assert!(!place.records(2).exists());
    }
}
