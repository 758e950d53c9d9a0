//! How many records each site has. What follows from it is for others.

use std::collections::{BTreeMap, HashMap};

use arrow_array::RecordBatch;
use datafusion::common::cast::as_string_array;
use datafusion::error::DataFusionError;

use super::query::nameless;

/// Records, and those of them that lack part of their identity.
type Records = (u64, u64);

/// The records of each site, as they are met.
#[derive(Debug, Default)]
pub(super) struct Census {
    sites: HashMap<String, Records>,
    /// Those that name no site.
    siteless: u64,
}

impl Census {
    /// Counts rows with the columns of `query::naming_schema`, of which those without nulls may lack.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<(), DataFusionError> {
        let sites = as_string_array(rows.column(0))?;
        let nameless = nameless(rows);
        for (row, site) in sites.iter().enumerate() {
            let Some(site) = site else {
                self.siteless += 1;
                continue;
            };
            let lacks = u64::from(nameless.as_ref().is_some_and(|nameless| nameless.is_null(row)));
            match self.sites.get_mut(site) {
                Some((records, lacking)) => (*records, *lacking) = (*records + 1, *lacking + lacks),
                None => drop(self.sites.insert(site.to_owned(), (1, lacks))),
            }
        }
        Ok(())
    }

    /// What was counted, by the name of the site.
    pub(super) fn by_name(self) -> BTreeMap<Option<String>, Records> {
        let siteless = (self.siteless > 0).then_some((None, (self.siteless, self.siteless)));
        self.sites.into_iter().map(|(site, records)| (Some(site), records)).chain(siteless).collect()
    }
}
