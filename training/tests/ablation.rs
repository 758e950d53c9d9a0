//! The ablation goes through the code of a hub: what is left out is missed there, and nothing else changes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use indicatif::ProgressBar;
use sunkeep_models::load_features::COLUMNS;
use sunkeep_models::time::Zone;
use sunkeep_training::ablation::{GROUPS, ablation, variants};
use sunkeep_training::backtest::{Options, Set, backtest};
use sunkeep_training::series_file::read_series;

use common::{home, write_parquet};

#[test]
fn every_feature_but_the_selector_is_in_one_group() {
    let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, columns)| columns.iter().copied()).collect();
    let all: BTreeSet<&str> = COLUMNS[1..].iter().copied().collect();
    assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(grouped.len(), all.len(), "a feature is in two groups");
}

#[test]
fn the_whole_is_the_backtest_and_a_part_alone_is_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.parquet");
    write_parquet(&file, &home("a", 30, 1800, 3));
    let set = Set { name: "home".into(), zone: Zone::utc(), series: read_series(&file).unwrap().series };
    let sets = [set];
    let quiet = ProgressBar::hidden();
    let wanted = [
        "everything in",
        "only expert: fleet model",
        "without expert: site, roots",
        "without conformal correction",
        "experts weighed alike",
        "without any fleet model",
    ];
    let chosen: Vec<_> = variants().into_iter().filter(|one| wanted.contains(&one.name.as_str())).collect();
    assert_eq!(chosen.len(), wanted.len());
    let rows = ablation(&sets, &chosen, &quiet).unwrap();
    let score = |name: &str| rows.iter().find(|row| row.name == name).unwrap().scores[0].unwrap();
    let whole = backtest(&sets, &Options::default(), &quiet).unwrap().scores;
    assert_eq!(score("everything in"), whole[0].score);
    // The expert itself, but for the band, which is corrected; its median is not.
    assert_eq!(whole[1].method, "fleet model");
    let apart = (score("only expert: fleet model").nmae - whole[1].score.nmae).abs();
    assert!(apart < 1e-6, "{apart}");
    for name in &wanted[2..] {
        assert_ne!(score(name), whole[0].score, "{name} changed nothing");
    }
    assert_eq!(
        score("without conformal correction").nmae,
        whole[0].score.nmae,
        "the median is not corrected"
    );
}

#[test]
fn the_command_prints_a_markdown_table() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(&folder.path().join("home.parquet"), &home("a", 25, 1800, 3));
    let output = Command::new(env!("CARGO_BIN_EXE_sunkeep-train"))
        .args(["ablation", "home.parquet", "--only", "expert: persistence"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(lines[0].contains("home: nMAE | pinball | coverage | daily"), "{said}");
    assert_eq!(
        lines.iter().map(|line| line.matches('|').count()).collect::<BTreeSet<_>>().len(),
        1,
        "{said}"
    );
    let [whole, without, only] = lines[2..] else { panic!("{said}") };
    assert!(whole.starts_with("| everything in |"));
    assert!(without.starts_with("| without expert: persistence |"));
    assert!(only.starts_with("| only expert: persistence |"));
}
