//! `sunkeep-sim wear`: homes with a lead-acid battery over years, and how long it lasts under each policy.

use std::io::Write as _;

use anyhow::Context as _;
use jiff::civil::Date;
use sunkeep_simulator::lifetime::{Decides, Lived, lead_acid_seeds, live};
use sunkeep_simulator::policy::Policy;

/// What to live through.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Seeds of the homes; the first that have a lead-acid battery unless told.
    #[arg(long = "seed", value_name = "N")]
    seeds: Vec<u64>,
    /// How many homes, where no seed is given.
    #[arg(long, default_value_t = 6)]
    homes: usize,
    /// Days to live through.
    #[arg(long, default_value_t = 730)]
    days: u32,
    /// First day.
    #[arg(long, default_value = "2024-01-01")]
    start: Date,
    /// Panels, of those the home comes with.
    #[arg(long, default_value_t = 1.0)]
    panels: f64,
    /// Who decides; the planner, the planner without care and three tiers unless told.
    #[arg(long = "policy", value_enum)]
    policies: Vec<Chosen>,
    /// Prints a JSON line for each run instead of a table.
    #[arg(long)]
    json: bool,
    /// Runs at a time; as many as there are processors unless told.
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Chosen {
    /// The hub as it comes.
    Planner,
    /// The hub, its care of the battery off.
    PlannerWithoutCare,
    /// Nothing is shed before the hardware cuts.
    Disconnect,
    /// Convenience below 50 %, important loads below 30 %.
    ThreeTiers,
    /// Two levels by time of day.
    TiersByTime,
    /// A floor that rises while the battery is not charged.
    BatteryLife,
}

impl Chosen {
    fn decides(self) -> Decides {
        match self {
            Self::Planner => Decides::Hub,
            Self::PlannerWithoutCare => Decides::HubWithoutCare,
            Self::Disconnect => Decides::Rule(Policy::Disconnect),
            Self::ThreeTiers => Decides::Rule(Policy::ThreeTiers),
            Self::TiersByTime => Decides::Rule(Policy::TiersByTime),
            Self::BatteryLife => Decides::Rule(Policy::BatteryLife),
        }
    }
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let seeds =
        if arguments.seeds.is_empty() { lead_acid_seeds(arguments.homes) } else { arguments.seeds.clone() };
    let usual = [Chosen::Planner, Chosen::PlannerWithoutCare, Chosen::ThreeTiers];
    let policies = if arguments.policies.is_empty() { &usual[..] } else { &arguments.policies[..] };
    let start = super::midnight(arguments.start, "UTC")?;
    let runs: Vec<(u64, Decides)> =
        seeds.iter().flat_map(|seed| policies.iter().map(|policy| (*seed, policy.decides()))).collect();
    let lived = super::parallel::each(&runs, arguments.jobs, |(seed, decides)| {
        Ok(live(*seed, start, arguments.days, arguments.panels, *decides)?)
    })?;
    let mut out = std::io::stdout();
    if !arguments.json {
        writeln!(out, "{HEAD}").context("cannot print the table")?;
    }
    for lived in lived {
        let line = if arguments.json { serde_json::to_string(&lived)? } else { row(&lived) };
        writeln!(out, "{line}").context("cannot print a line")?;
    }
    Ok(())
}

const HEAD: &str = "| seed | policy | years | weighted cycles a year | cycles a year | corrosion a year | unserved critical, kWh a year | important | convenience | mean charge | longest not full, days | switches a day |
|---|---|---|---|---|---|---|---|---|---|---|---|";

fn row(lived: &Lived) -> String {
    let [critical, important, convenience] = lived.unserved;
    format!(
        "| {} | {} | {:.2} | {:.1} | {:.1} | {:.3} | {critical:.2} | {important:.2} | {convenience:.2} | {:.1} % | {:.1} | {:.2} |",
        lived.seed,
        lived.policy,
        lived.years,
        lived.weighted,
        lived.cycles,
        lived.corroded,
        lived.mean_charge * 100.0,
        lived.longest_not_full,
        lived.switches,
    )
}
