//! `sunkeep plan`: the coming 48 hours as the hub of a home expects them, from its journal.
//!
//! Beside a hub that runs or without one: nothing is read from devices and nothing is written. What the journal's
//! last cycle saw is where it starts; forecasts and plan are made as the hub makes them, under the configuration as it
//! is now.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use sunkeep_core::settings::Tier;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::quantity::{StateOfCharge, Watts};

use super::explain::{costs, stamp};
use super::{CliError, ConfigFile};
use crate::config::Home;
use crate::forecasts::{Forecasters, Job, sun_forecaster};
use crate::journal::{Moment, known_span, moment};
use crate::language::{Language, needs};
use crate::records::Memory;
use crate::view::Forecasts;

/// The tiers a plan is made for; background work goes with convenience.
const TIERS: [Tier; 3] = [Tier::Critical, Tier::Important, Tier::Convenience];

/// Print what the coming 48 hours are expected to bring, and below which charge each tier will be shed.
#[derive(Debug, clap::Args)]
pub(super) struct Plan {
    #[command(flatten)]
    file: ConfigFile,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let home = Home::read(&self.file.config)?;
        let path = &home.journal.path;
        let last = known_span(path)?.map(|(_, last)| moment(path, last)).transpose()?.flatten();
        let memory = Memory::recall(path)?;
        let job = last.and_then(|Moment { image, decision, .. }| {
            Job::after(&Arc::new(home.settings.clone()), &image, &decision, &memory.history)
        });
        let Some(job) = job else {
            println!(
                "the journal {} holds no cycle of which the time is known: there is nothing to plan from",
                path.display()
            );
            return Ok(ExitCode::FAILURE);
        };
        let mut forecasters = Forecasters::load(home.zone.clone(), sun_forecaster(&home)?);
        forecasters.restore(&memory.learnt);
        match forecasters.make(&job).forecasts {
            Ok(forecasts) if self.json => println!("{}", as_json(&home, &job, &forecasts)),
            Ok(forecasts) => print!("{}", as_table(&home, &job, &forecasts)),
            Err(error) => {
                println!("no plan can be made yet, and the fixed reserves of the settings hold: {error}");
                return Ok(ExitCode::FAILURE);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_table(home: &Home, job: &Job, forecasts: &Forecasts) -> String {
    let zone = &home.zone;
    let as_of = job.issued.start() + job.into_slot.0 as i64;
    let mut text = format!(
        "{}: as of {} ({}), with the battery {} full ({} to {})\n",
        home.name,
        stamp(as_of, zone),
        zone.name(),
        job.charge.best,
        job.charge.low,
        job.charge.high
    );
    for need in needs(Language::English, &job.needs) {
        let _ = writeln!(text, "{need}");
    }
    let _ = writeln!(
        text,
        "\nLoads: forecast by {}{}; sun{}. P50, with P10 and P90 in brackets.",
        forecasts.load_by,
        skill(forecasts.skill),
        skill(forecasts.sun_skill)
    );
    text += "Each tier: on or off if things come as expected, and the charge below which it is shed.\n";
    let mut day = None;
    for slot in 0..forecasts.outlook.expected.len() {
        let unix = job.issued.plus(slot as i64).start();
        let when = stamp(unix, zone);
        let (date, time) = when.split_once(' ').unwrap_or((&when, ""));
        if day.replace(date.to_owned()).as_deref() != Some(date) {
            let _ = writeln!(
                text,
                "\n{date}  {:>21}  {:>21}  battery  {:12} {:12} convenience",
                "sun W", "loads W", "critical", "important"
            );
        }
        let _ = writeln!(
            text,
            "     {time}  {:>21}  {:>21}  {:>7}  {}",
            band(&forecasts.sun, slot),
            band(&forecasts.load, slot),
            forecasts.outlook.expected[slot].to_string(),
            tiers(forecasts, slot)
        );
    }
    text + &costs(&forecasts.outlook.plan.costs)
}

/// Whether each tier is expected to be on, and its level.
fn tiers(forecasts: &Forecasts, slot: usize) -> String {
    let told = TIERS.map(|tier| {
        let on = if forecasts.outlook.served[slot][tier.place()] { "on" } else { "off" };
        let level =
            forecasts.outlook.keep[slot][tier.place()].map_or_else(String::new, |level| format!("< {level}"));
        format!("{:12}", format!("{on:3} {level}"))
    });
    told.join(" ").trim_end().to_owned()
}

fn skill(skill: Option<f64>) -> String {
    skill.map_or_else(String::new, |skill| format!(" (skill against persistence {skill:.2})"))
}

fn band(forecast: &Forecast, slot: usize) -> String {
    let [low, middle, high] = quantiles(forecast, slot).map(|watts| Watts(f64::from(watts)).0);
    format!("{middle:.0} ({low:.0} to {high:.0})")
}

/// P10, P50 and P90 of a slot, W.
fn quantiles(forecast: &Forecast, slot: usize) -> [f32; 3] {
    [&forecast.p10, &forecast.p50, &forecast.p90].map(|of| of.get(slot).copied().unwrap_or(0.0))
}

/// The same for programs; powers in W, charges from 0 to 1, times in seconds since 1970.
fn as_json(home: &Home, job: &Job, forecasts: &Forecasts) -> Value {
    let outlook = &forecasts.outlook;
    let quantiles = |forecast: &Forecast, slot| {
        let [p10, p50, p90] = quantiles(forecast, slot);
        json!({ "p10": p10, "p50": p50, "p90": p90 })
    };
    let slots = (0..outlook.expected.len()).map(|slot| {
        let tiers = TIERS.map(|tier| {
            let level = outlook.keep[slot][tier.place()].map(StateOfCharge::ratio);
            (tier.word().to_owned(), json!({ "on": outlook.served[slot][tier.place()], "shed_below": level }))
        });
        json!({
            "start": job.issued.plus(slot as i64).start(),
            "sun_w": quantiles(&forecasts.sun, slot),
            "load_w": quantiles(&forecasts.load, slot),
            "charge": outlook.expected[slot].ratio(),
            "tiers": tiers.into_iter().collect::<serde_json::Map<_, _>>(),
        })
    });
    json!({
        "site": home.name,
        "time_zone": home.zone.name(),
        "as_of": job.issued.start() + job.into_slot.0 as i64,
        "charge": { "low": job.charge.low.ratio(), "best": job.charge.best.ratio(), "high": job.charge.high.ratio() },
        "needs": needs(Language::English, &job.needs),
        "load_by": forecasts.load_by,
        "load_skill": forecasts.skill,
        "sun_skill": forecasts.sun_skill,
        "expected_cost_kwh_by_tiers_served": outlook.plan.costs.by_tiers_served,
        "slots": slots.collect::<Vec<_>>(),
    })
}
