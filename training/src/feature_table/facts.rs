//! `features.toml`: what a feature table says of itself. Keys that are not named here are for people.

use std::collections::BTreeMap;
use std::path::Path;

use sunkeep_models::load_features::feature_hash;

use super::{FACTS_FILE, TableError};

/// Longest file that is read, bytes.
const MOST_BYTES: u64 = 1_000_000;

/// What a table says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Fingerprint of the features: that of this program, or the table is refused.
    pub feature_hash: String,
    /// Rows of the whole table, if it says so; another count is refused.
    pub rows: Option<u64>,
    /// Slots between two issues of a site, where they were taken at a fixed stride.
    pub stride: Option<i64>,
    /// Seed of the choice of issues, where they were drawn.
    pub seed: Option<u64>,
    /// Days of the data, UTC, as in `2016-01-01`; for people, a fit looks at the rows.
    pub days: Option<[String; 2]>,
    /// Versions of what made it.
    pub versions: BTreeMap<String, String>,
}

impl Facts {
    /// Reads the facts of the table in a folder.
    pub fn read(folder: &Path) -> Result<Self, TableError> {
        let file = folder.join(FACTS_FILE);
        let contents = |what: String| TableError::Contents { file: file.clone(), what };
        let length = std::fs::metadata(&file).map(|facts| facts.len());
        let length = length.map_err(|source| TableError::File { file: file.clone(), source })?;
        if length > MOST_BYTES {
            return Err(contents(format!("{length} bytes, at most {MOST_BYTES} are read")));
        }
        let text = std::fs::read_to_string(&file)
            .map_err(|source| TableError::File { file: file.clone(), source })?;
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| contents(error.to_string()))?;
        let hash = table.get("feature_hash").and_then(toml::Value::as_str).unwrap_or("missing").to_owned();
        let expected = feature_hash();
        if hash != expected {
            return Err(contents(format!(
                "feature_hash is {hash}, expected {expected}: make the table anew"
            )));
        }
        let integer = |key: &str| table.get(key).and_then(toml::Value::as_integer);
        // A table of a lake says more of its span.
        let span = table.get("span").and_then(toml::Value::as_table).unwrap_or(&table);
        let text = |key: &str| Some(span.get(key)?.as_str()?.to_owned());
        let versions = table.get("versions").and_then(toml::Value::as_table).into_iter().flatten();
        Ok(Self {
            feature_hash: hash,
            rows: integer("rows").and_then(|rows| u64::try_from(rows).ok()),
            stride: integer("stride"),
            seed: integer("seed").and_then(|seed| u64::try_from(seed).ok()),
            days: text("first_day").zip(text("last_day")).map(<[String; 2]>::from),
            versions: versions
                .filter_map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned())))
                .collect(),
        })
    }

    /// The text of the file.
    pub fn to_toml(&self) -> String {
        let mut table = toml::Table::new();
        let mut add = |key: &str, value: Option<toml::Value>| {
            value.map(|value| table.insert(key.into(), value));
        };
        let whole = |value: u64| toml::Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        add("feature_hash", Some(self.feature_hash.clone().into()));
        add("rows", self.rows.map(whole));
        add("stride", self.stride.map(toml::Value::Integer));
        add("seed", self.seed.map(whole));
        let [first, last] = self.days.clone().map_or([None, None], |days| days.map(Some));
        add("first_day", first.map(toml::Value::String));
        add("last_day", last.map(toml::Value::String));
        let versions = self.versions.iter().map(|(name, version)| (name.clone(), version.clone().into()));
        add("versions", Some(toml::Value::Table(versions.collect())));
        table.to_string()
    }
}
