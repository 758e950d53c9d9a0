//! Erasing a site from a fleet's folder: its hubs' bundles with their keys, what is known of the site, its names in the
//! inventory. The serial numbers of its certificates stay, taken back, so that no broker lets them in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::authority::Authority;
use super::files::failed;
use super::inventory::{ERASED, Inventory};
use super::{FIRST_YEAR, LAST_YEAR, ProvisionError, Years, publish_revoked};
use crate::sites::{Sites, SitesError};

/// The hubs of a site, those that were taken back among them.
pub fn hubs_of(fleet: &Path, site: &str) -> Result<BTreeSet<String>, ProvisionError> {
    let entries = Inventory::open(fleet)?.entries.into_iter();
    Ok(entries.filter(|entry| entry.site == site && !entry.is_erased()).map(|entry| entry.hub).collect())
}

/// Erases a site; what was there of it. The names in the inventory go last, so that a run that was stopped can be done
/// again.
pub fn forget(fleet: &Path, site: &str) -> Result<Vec<String>, SitesError> {
    let mut gone = Vec::new();
    for hub in hubs_of(fleet, site)? {
        for end in ["toml", "toml.new"] {
            let path: PathBuf = fleet.join(format!("hubs/{hub}.{end}"));
            match std::fs::remove_file(&path) {
                Ok(()) => gone.push(path.display().to_string()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&path, "removing it")(error).into()),
            }
        }
    }
    let mut sites = Sites::open(fleet)?;
    if let Some(place) = sites.all.iter().position(|known| known.site == site) {
        sites.all.remove(place);
        sites.write()?;
        gone.push(fleet.join("sites.csv").display().to_string());
    }
    let mut inventory = Inventory::open(fleet)?;
    let mut named = false;
    for entry in inventory.entries.iter_mut().filter(|entry| entry.site == site && !entry.is_erased()) {
        (entry.site, entry.hub, entry.revoked, named) = (ERASED.into(), ERASED.into(), true, true);
    }
    if named {
        let authority = Authority::open(fleet, Years { first: FIRST_YEAR, end: LAST_YEAR })?;
        publish_revoked(&authority, &inventory)?;
        inventory.write()?;
        gone.push(fleet.join("inventory.csv").display().to_string());
    }
    Ok(gone)
}
