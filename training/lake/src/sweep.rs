//! The lake is read once, and its rows are parted by passes: the rows of each pass, of every table, go into files of its
//! own, so that a pass reads nothing but what it needs and is as small as the memory asks for. Where there are more
//! passes than files that can be written at a time, they are parted in two steps or more. Nothing is judged here.

use core::ops::{Bound, RangeInclusive};
use std::collections::BTreeMap;
use std::fs;

use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use datafusion::common::cast::as_string_array;
use sunkeep_models::lake::WEATHER;

use super::error::LakeError;
use super::facts::Facts;
use super::inputs::TABLES;
use super::parquet_file::{TableWriter, read};
use super::plan::{Pass, Workplace};
use super::query::{self, Sites};
use super::reading::{Wanted, read_files};
use super::source::{Lake, LakeFile};

/// Files that are written at a time: each has a row group in memory. More would need more memory, fewer more steps.
const AT_ONCE: usize = 16;
/// Rows of a row group. What is known of each (some ten kilobytes) is held until its file is finished, so that small
/// ones would take more memory the larger the lake is.
const GROUP_ROWS: usize = 16_384;
/// Rows that are gathered before they are parted.
const GATHERED: usize = 16_384;

const DOING: &str = "part the rows by passes";

/// What is read.
pub(super) struct Sweep<'a> {
    pub(super) lake: &'a Lake,
    /// The files of the lake by table, in the order of [`TABLES`].
    pub(super) files: &'a [Vec<LakeFile>],
    pub(super) place: &'a Workplace,
    /// What is known of each site.
    pub(super) facts: &'a Facts,
}

/// A pass with its number.
pub(super) type Numbered<'a> = (usize, &'a Pass);

/// One or more passes, and where their rows are: in files here, or still in the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share<'a> {
    passes: &'a [Numbered<'a>],
    here: bool,
}

impl<'a> Share<'a> {
    /// Passes whose rows are in the lake; `None` where there are none.
    pub(super) fn of_lake(passes: &'a [Numbered<'a>]) -> Option<Self> {
        (!passes.is_empty()).then_some(Self { passes, here: false })
    }

    /// The pass, where it is a single one whose rows are here.
    pub(super) fn single(self) -> Option<Numbered<'a>> {
        match self.passes {
            [one] if self.here => Some(*one),
            _ => None,
        }
    }

    /// The shares into which this one is parted next.
    fn parts(self) -> Vec<Self> {
        let each = self.passes.len().div_ceil(AT_ONCE).max(1);
        self.passes.chunks(each).map(|passes| Self { passes, here: true }).collect()
    }

    fn numbers(self) -> RangeInclusive<usize> {
        let of = |pass: Option<&Numbered<'_>>| pass.map_or(0, |(number, _)| *number);
        of(self.passes.first())..=of(self.passes.last())
    }

    fn sites(self) -> Sites<'a> {
        let first = self.passes.first().map_or("", |(_, pass)| pass.first.as_str());
        Sites { first, last: self.passes.last().map_or("", |(_, pass)| pass.last.as_str()) }
    }
}

impl Sweep<'_> {
    /// Parts the rows of a share, does away with where they came from if that is here, and gives the parts.
    pub(super) async fn part<'s>(&self, share: Share<'s>) -> Result<Vec<Share<'s>>, LakeError> {
        let parts = share.parts();
        for (table, files) in TABLES.into_iter().zip(self.files) {
            if !files.is_empty() {
                self.part_table((table, files), share, &parts).await?;
            }
        }
        Ok(parts)
    }

    async fn part_table(
        &self,
        (table, files): (&'static str, &[LakeFile]),
        share: Share<'_>,
        parts: &[Share<'_>],
    ) -> Result<(), LakeError> {
        let schema = query::swept_schema(table);
        let paths = parts.iter().map(|part| self.place.rows(table, part.numbers()));
        let writers = paths.map(|path| TableWriter::passing(&path, &schema, GROUP_ROWS, false));
        let writers = writers.collect::<Result<_, _>>()?;
        let wanted = (table == WEATHER).then(|| self.wanted(parts));
        let mut parting = Parting { schema, parts, wanted, writers, gathered: Vec::new(), rows: 0 };
        if share.here {
            let path = self.place.rows(table, share.numbers());
            for batch in read(&path)? {
                parting.add(batch.map_err(|error| LakeError::table(&path)(error.into()))?)?;
            }
            fs::remove_file(&path).map_err(LakeError::output(&path, "remove"))?;
        } else {
            let wanted = Wanted::All(parting.schema.clone());
            read_files(self.lake, files, &wanted, DOING, |batch| parting.add(batch)).await?;
        }
        parting.finish()
    }

    /// Which parts want the weather of a place.
    fn wanted(&self, parts: &[Share<'_>]) -> BTreeMap<&str, Vec<usize>> {
        let mut wanted: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, part) in parts.iter().enumerate() {
            let Sites { first, last } = part.sites();
            let facts = self.facts.range::<str, _>((Bound::Included(first), Bound::Included(last)));
            for place in facts.filter_map(|(_, facts)| facts.place.as_deref()) {
                let parts = wanted.entry(place).or_default();
                if parts.last() != Some(&number) {
                    parts.push(number);
                }
            }
        }
        wanted
    }
}

/// Rows of a table on their way into the files of some shares. The first column says whose they are.
struct Parting<'a> {
    schema: SchemaRef,
    /// By the names of their sites.
    parts: &'a [Share<'a>],
    /// Of weather: the parts that want a place.
    wanted: Option<BTreeMap<&'a str, Vec<usize>>>,
    writers: Vec<TableWriter>,
    gathered: Vec<RecordBatch>,
    rows: usize,
}

impl Parting<'_> {
    fn add(&mut self, batch: RecordBatch) -> Result<(), LakeError> {
        self.rows += batch.num_rows();
        self.gathered.push(batch);
        if self.rows >= GATHERED { self.part() } else { Ok(()) }
    }

    fn part(&mut self) -> Result<(), LakeError> {
        let failed = LakeError::query(DOING);
        let refused = |error: ArrowError| failed(error.into());
        let rows = concat_batches(&self.schema, &self.gathered).map_err(refused)?;
        self.gathered.clear();
        self.rows = 0;
        let owners = as_string_array(rows.column(0)).map_err(&failed)?;
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); self.parts.len()];
        // Rows of an owner often follow each other.
        let mut known: Option<(&str, Targets<'_>)> = None;
        let nameless = query::nameless(&rows);
        let is_named = |row: &usize| {
            !owners.is_null(*row) && nameless.as_ref().is_none_or(|nameless| nameless.is_valid(*row))
        };
        for row in (0..owners.len()).filter(is_named) {
            let owner = owners.value(row);
            let targets = match known {
                Some((name, targets)) if name == owner => targets,
                _ => self.targets(owner),
            };
            known = Some((owner, targets));
            match targets {
                Targets::One(part) => places[part].push(row as u32),
                Targets::Some(parts) => parts.iter().for_each(|part| places[*part].push(row as u32)),
            }
        }
        for (writer, places) in self.writers.iter_mut().zip(places).filter(|(_, places)| !places.is_empty()) {
            let own = take_record_batch(&rows, &UInt32Array::from(places)).map_err(refused)?;
            writer.write(&own)?;
        }
        Ok(())
    }

    /// The parts that want the rows of a site or place; none where a pass that is done has it.
    fn targets(&self, owner: &str) -> Targets<'_> {
        if let Some(wanted) = &self.wanted {
            return Targets::Some(wanted.get(owner).map_or(&[], Vec::as_slice));
        }
        let after = self.parts.partition_point(|part| part.sites().first <= owner);
        match after.checked_sub(1) {
            Some(part) if self.has(part, owner) => Targets::One(part),
            _ => Targets::Some(&[]),
        }
    }

    /// Whether a site is of one of the passes of a part: between two of them may lie one that is done.
    fn has(&self, part: usize, site: &str) -> bool {
        let passes = self.parts[part].passes;
        let after = passes.partition_point(|(_, pass)| pass.first.as_str() <= site);
        after.checked_sub(1).is_some_and(|place| site <= passes[place].1.last.as_str())
    }

    fn finish(mut self) -> Result<(), LakeError> {
        self.part()?;
        self.writers.into_iter().try_for_each(TableWriter::finish)
    }
}

/// The parts into which a row goes.
#[derive(Clone, Copy)]
enum Targets<'a> {
    One(usize),
    Some(&'a [usize]),
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray, new_null_array};
    use arrow_schema::{DataType, Schema};
    use sunkeep_models::lake::{self, SITES, TELEMETRY};
    use sunkeep_models::time::Zone;

    use super::*;
    use crate::facts::SiteFacts;

    /// Writes a table of the lake whose rows belong to these sites or places.
    fn write(lake: &Path, table: &str, owners: &[&str]) {
        let schema = lake::table(table).unwrap();
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.data_type() {
                DataType::Utf8 => Arc::new(StringArray::from(owners.to_vec())),
                DataType::Int64 => Arc::new(Int64Array::from_iter_values(0..owners.len() as i64)),
                other => new_null_array(other, owners.len()),
            }
        });
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let rows = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
        fs::create_dir_all(lake.join(table)).unwrap();
        let mut writer = TableWriter::create(&lake.join(table).join("part.parquet"), &schema, 100).unwrap();
        writer.write(&rows).unwrap();
        writer.finish().unwrap();
    }

    /// Whose rows a pass has, by name.
    fn owners(place: &Workplace, table: &str, pass: usize) -> Vec<String> {
        let batches = read(&place.rows(table, pass..=pass)).unwrap().map(Result::unwrap);
        let owners = |batch: RecordBatch| {
            let owners = as_string_array(batch.column(0)).unwrap();
            owners.iter().map(|owner| owner.unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut owners: Vec<String> = batches.flat_map(owners).collect();
        owners.sort_unstable();
        owners
    }

    /// Parts a lake with these rows among these passes until each has its own. Each site has the weather of the
    /// place with its first letter.
    fn parted(folder: &Path, telemetry: &[&str], weather: &[&str], passes: &[Numbered<'_>]) -> Workplace {
        for (table, owners) in [(TELEMETRY, telemetry), (SITES, telemetry), (WEATHER, weather)] {
            write(folder, table, owners);
        }
        fs::create_dir_all(folder.join("out")).unwrap();
        let place = Workplace::of(&folder.join("out")).unwrap();
        place.clear_rows().unwrap();
        let of = |site: &str| SiteFacts { zone: Zone::utc(), place: Some(site[..1].to_owned()) };
        let facts: Facts = telemetry.iter().map(|site| ((*site).to_owned(), of(site))).collect();
        let lake = Lake::open(folder.to_str().unwrap()).unwrap();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut files = Vec::new();
            for table in TABLES {
                files.push(lake.files(table).await.unwrap());
            }
            let sweep = Sweep { lake: &lake, files: &files, place: &place, facts: &facts };
            let mut shares: Vec<Share<'_>> = Share::of_lake(passes).into_iter().collect();
            while let Some(share) = shares.pop() {
                if share.single().is_none() {
                    shares.extend(sweep.part(share).await.unwrap());
                }
            }
        });
        place
    }

    fn pass(first: &str, last: &str) -> Pass {
        Pass { first: first.into(), last: last.into(), rows: 0 }
    }

    #[test]
    fn each_row_goes_to_the_pass_of_its_site_and_those_of_no_pass_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let all = ["c", "a", "b", "f", "c", "z", "d", "e", "a", "0", "ee", "d"];
        // The pass of "d" is done; "0" and "z" lie outside of all.
        let passes = [pass("a", "b"), pass("c", "c"), pass("e", "f")];
        let passes: Vec<Numbered<'_>> = [0, 1, 3].into_iter().zip(&passes).collect();
        let place = parted(folder.path(), &all, &["e", "a", "d", "b", "e", "q"], &passes);
        for table in [TELEMETRY, SITES] {
            assert_eq!(owners(&place, table, 0), ["a", "a", "b"]);
            assert_eq!(owners(&place, table, 1), ["c", "c"]);
            assert_eq!(owners(&place, table, 3), ["e", "ee", "f"]);
            assert!(!place.rows(table, 2..=2).exists());
        }
        assert_eq!(owners(&place, WEATHER, 0), ["a", "b"]);
        assert_eq!(owners(&place, WEATHER, 1), [""; 0]);
        assert_eq!(owners(&place, WEATHER, 3), ["e", "e"]);
    }

    #[test]
    fn more_passes_than_files_at_a_time_are_parted_in_steps_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..AT_ONCE * 2 + 5).map(|number| format!("{number:04}")).collect();
        let all: Vec<&str> = names.iter().chain(&names).rev().map(String::as_str).collect();
        let passes: Vec<Pass> = names.iter().map(|name| pass(name, name)).collect();
        // One in the middle is done: its neighbours go into one share.
        let passes: Vec<Numbered<'_>> =
            passes.iter().enumerate().filter(|(number, _)| *number != 7).collect();
        let place = parted(folder.path(), &all, &["0"], &passes);
        for (number, name) in names.iter().enumerate().filter(|(number, _)| *number != 7) {
            assert_eq!(owners(&place, TELEMETRY, number), [name.as_str(), name]);
            assert_eq!(owners(&place, WEATHER, number), ["0"]);
        }
        let files = fs::read_dir(folder.path().join("out/unfinished/rows")).unwrap().count();
        assert_eq!(files, 3 * passes.len(), "what was parted again is done away with");
    }
}
