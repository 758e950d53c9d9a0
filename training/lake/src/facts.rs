//! What the lake's table of sites knows of each site. What follows from it is for others.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use datafusion::common::cast::as_string_array;
use sunkeep_models::time::Zone;

use super::error::LakeError;

/// What is known of a site.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SiteFacts {
    /// Where its days begin.
    pub(super) zone: Zone,
    /// Whose weather it has, where one knows.
    pub(super) place: Option<String>,
}

/// By the name of the site.
pub(super) type Facts = BTreeMap<String, SiteFacts>;

/// The facts from the rows of `query::site_facts`.
pub(super) fn of_rows(batches: &[RecordBatch]) -> Result<Facts, LakeError> {
    let mut facts = Facts::new();
    for batch in batches {
        let failed = LakeError::query("read the sites");
        let text = |column: usize| as_string_array(batch.column(column)).map_err(&failed);
        for ((site, zone), place) in text(0)?.iter().zip(text(1)?).zip(text(2)?) {
            let Some(site) = site else { continue };
            let refused = |reason: String| LakeError::Sites(format!("site {site:?}: {reason}"));
            let zone = zone.ok_or_else(|| refused("no zone".into()))?;
            let zone = Zone::named(zone).map_err(|error| refused(error.to_string()))?;
            let known = SiteFacts { zone, place: place.map(str::to_owned) };
            if facts.insert(site.to_owned(), known).is_some() {
                return Err(refused("it has several rows that differ, expected one".into()));
            }
        }
    }
    Ok(facts)
}
