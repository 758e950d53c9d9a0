//! Offline training of forecast models: measured series, rows of features, fit, ONNX file, backtest.
//!
//! Features, baselines and inference are those of `sunkeep-models`: what is fitted here is what a hub
//! runs. Nothing here knows a signing key.

pub mod ablation;
pub mod backtest;
pub mod bundle;
#[cfg(feature = "candidates")]
pub mod candidates;
pub mod feature_table;
pub mod flat_mean;
pub mod gate;
mod guarded;
pub mod load_fit;
pub mod onnx_file;
pub mod parallel;
pub mod prior;
pub mod quantile_fit;
pub mod scores;
pub mod series;
pub mod series_file;
pub mod steps;
pub mod table;
pub mod table_fit;
