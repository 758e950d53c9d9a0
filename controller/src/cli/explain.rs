//! `sunkeep explain`: what the hub saw at a moment, what it chose, and what the next best would have cost.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sunkeep_core::decision::Basis;
use sunkeep_core::image::Reading;
use sunkeep_core::planner::{ChoiceCosts, PlannedSlot};
use sunkeep_core::settings::Tier;
use sunkeep_models::quantity::{StateOfCharge, Watts};
use sunkeep_models::time::Zone;

use super::CliError;
use crate::decided;
use crate::journal::{Moment, known_span, moment};
use crate::language::{Clock, Language, alarm, needs, sentence};

/// What is served by how many tiers are, for a sentence.
const SERVED: [&str; 4] = ["nothing", "the critical loads", "critical and important loads", "everything"];

/// Say what the hub saw at a moment, what it chose, and what the next best would have cost.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The journal of a hub; it may be running
    #[arg(long, value_name = "FILE", default_value = "/var/lib/sunkeep/journal.sqlite")]
    journal: PathBuf,
    /// The moment: `2026-11-21 19:30` in the zone, `2026-11-21T19:30:00Z`, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    at: When,
    /// Time zone of times that name none, and of those that are printed
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = read_zone)]
    zone: Zone,
    /// For programs; fields are named as in `/api`, times are in seconds since 1970
    #[arg(long)]
    json: bool,
}

/// A moment as it was typed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// Seconds since 1970.
    Unix(i64),
    /// On the wall clock of the zone.
    Local(DateTime),
}

fn read_time(text: &str) -> Result<When, String> {
    if let Ok(unix) = text.parse::<i64>() {
        return Ok(When::Unix(unix));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(When::Unix(time.as_second()));
    }
    text.parse::<DateTime>()
        .map(When::Local)
        .map_err(|_| "expected a time like 2026-11-21 19:30, 2026-11-21T19:30:00Z or 1795289400".to_owned())
}

fn read_zone(text: &str) -> Result<Zone, String> {
    Zone::named(text).map_err(|error| error.to_string())
}

impl Explain {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let Some(unix) = self.at.unix(&self.zone) else {
            println!("no such moment in {}", self.zone.name());
            return Ok(ExitCode::FAILURE);
        };
        if let Some(moment) = moment(&self.journal, unix)? {
            if self.json {
                println!("{:#}", as_json(&moment));
            } else {
                print!("{}", told(&moment, &self.zone));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let asked = stamp(unix, &self.zone);
        match known_span(&self.journal)? {
            Some((first, last)) => println!(
                "the journal holds nothing of {asked} or the five minutes before; it goes from {} to {} ({})",
                stamp(first, &self.zone),
                stamp(last, &self.zone),
                self.zone.name()
            ),
            None => println!("the journal holds no cycle of which the time is known"),
        }
        Ok(ExitCode::FAILURE)
    }
}

impl When {
    fn unix(self, zone: &Zone) -> Option<i64> {
        match self {
            Self::Unix(unix) => Some(unix),
            Self::Local(time) => {
                let zone = TimeZone::get(zone.name()).ok()?;
                Some(time.to_zoned(zone).ok()?.timestamp().as_second())
            }
        }
    }
}

/// Date and time in a zone.
pub(super) fn stamp(unix: i64, zone: &Zone) -> String {
    let local = zone.local(unix);
    let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(local.day));
    date.map_or_else(|_| unix.to_string(), |date| format!("{date} {local}"))
}

/// The moment in words.
fn told(moment: &Moment, zone: &Zone) -> String {
    let Moment { image, decision, settings } = moment;
    let unix = image.wall.map_or(0, |wall| wall.unix);
    let fresh = |reading: Option<Reading>| image.fresh(settings, reading);
    let mut text = format!("{} ({})\n\n", stamp(unix, zone), zone.name());
    let charge = decision.charge;
    let _ = write!(text, "battery  {} full ({} to {})", charge.best, charge.low, charge.high);
    let battery =
        [(image.battery.voltage, "V"), (image.battery.current, "A"), (image.battery.temperature, "°C")];
    for (reading, unit) in battery {
        if let Some(value) = fresh(reading) {
            let _ = write!(text, ", {value:.1} {unit}");
        }
    }
    for (name, reading) in [("sun", image.sun), ("loads", image.load)] {
        let power = fresh(reading).map_or_else(|| "not measured".into(), |watts| Watts(watts).to_string());
        let _ = write!(text, "\n{name:7}  {power}");
    }
    text += "\n";
    if let Some(what) = decision.alarm {
        let _ = writeln!(text, "\n{}", alarm(Language::English, what));
    }
    for need in needs(Language::English, &decision.needs) {
        let _ = writeln!(text, "\n{need}");
    }
    text += &levels(moment, zone);
    text += "\n";
    let clock = Clock { unix: Some(unix), utc_offset: image.utc_offset };
    for (load, decided) in settings.loads.iter().zip(&decision.loads) {
        let _ = writeln!(text, "{}", sentence(Language::English, load, decided, clock));
    }
    text
}

/// The moment for programs.
fn as_json(moment: &Moment) -> Value {
    let Moment { image, decision, settings } = moment;
    let fresh = |reading| image.fresh(settings, reading);
    let slot = image.plan.as_ref().and_then(|plan| Some((plan, plan.slot_at(settings.digest(), image.now)?)));
    let plan = slot.filter(|_| decision.basis == Basis::Plan).map(|(plan, slot)| {
        let tiers = Tier::ALL.map(|tier| {
            let place = tier.place();
            let level = |level: Option<StateOfCharge>| level.map(StateOfCharge::ratio);
            let levels = json!({
                "shed_below": level(slot.keep[place]),
                "back_above": level(slot.restore[place]),
                "back_at_unix_s": slot.back[place],
            });
            (tier.word().to_owned(), levels)
        });
        let (cheapest, more) = plan.costs.best();
        json!({
            "issued_unix_s": plan.issued.start(),
            "tiers": tiers.into_iter().collect::<serde_json::Map<_, _>>(),
            "expected_cost_kwh_by_tiers_served": plan.costs.by_tiers_served,
            "cheapest": cheapest,
            "next_best_costs_more_kwh": more,
        })
    });
    json!({
        "unix_s": image.wall.map(|wall| wall.unix),
        "battery": decided::battery(settings, image, decision),
        "sun_w": fresh(image.sun),
        "load_w": fresh(image.load),
        "alarm": decision.alarm.map(|what| alarm(Language::English, what)),
        "care": needs(Language::English, &decision.needs),
        "basis": decided::basis(decision),
        "plan": plan,
        "loads": decided::loads(settings, image, decision, Language::English),
    })
}

/// The levels that held, where they came from, and what the choices were expected to cost.
fn levels(moment: &Moment, zone: &Zone) -> String {
    let Moment { image, decision, settings } = moment;
    let slot = image.plan.as_ref().and_then(|plan| Some((plan, plan.slot_at(settings.digest(), image.now)?)));
    match (decision.basis, slot) {
        (Basis::Plan, Some((plan, slot))) => {
            let mut text = format!("\nA plan of {} held:\n", stamp(plan.issued.start(), zone));
            for tier in Tier::ALL {
                let _ = writeln!(text, "{}", planned(tier, slot, zone));
            }
            text + &costs(&plan.costs)
        }
        _ => {
            let mut text = "\nNo plan held, so the fixed reserves of the settings did:\n".to_owned();
            for tier in Tier::ALL {
                let level = settings.reserve_level(tier).map_or_else(
                    || "never shed by them".to_owned(),
                    |level| {
                        format!("shed below {level}, back {:.0} % above", settings.reserve.hysteresis * 100.0)
                    },
                );
                let _ = writeln!(text, "  {:12} {level}", tier.word());
            }
            text
        }
    }
}

fn planned(tier: Tier, slot: &PlannedSlot, zone: &Zone) -> String {
    let place = tier.place();
    let word = tier.word();
    let Some(keep) = slot.keep[place] else { return format!("  {word:12} never shed") };
    let restore = slot.restore[place].unwrap_or(keep);
    let restore = StateOfCharge::clamped(restore.ratio().max(keep.ratio()));
    let back = slot.back[place]
        .map_or_else(String::new, |unix| format!("; if it is off, expected back at {}", stamp(unix, zone)));
    format!("  {word:12} shed below {keep}, back above {restore}{back}")
}

/// What the choices of the first hour were expected to cost, and which was best.
pub(super) fn costs(costs: &ChoiceCosts) -> String {
    let (cheapest, more) = costs.best();
    let mut text = "\nServing this hour, and doing as well as can be in the three days after, was expected to leave\n\
                    unserved (in kWh that can wait; one of the important loads counts as 10, one of the critical as 100):\n"
        .to_owned();
    for (served, cost) in SERVED.iter().zip(costs.by_tiers_served) {
        let _ = writeln!(text, "  {served:30} {cost:8.3}");
    }
    let _ = writeln!(
        text,
        "{} was best; the next best would have cost {more:.3} more. A relay is not switched for little: see the levels.",
        capitalised(SERVED[cheapest])
    );
    text
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_zone_and_without_one() {
        let nairobi = Zone::named("Africa/Nairobi").unwrap();
        let unix = |text: &str| read_time(text).unwrap().unix(&nairobi).unwrap();
        assert_eq!(unix("1763753400"), 1_763_753_400);
        assert_eq!(unix("2025-11-21T19:30:00Z"), 1_763_753_400);
        assert_eq!(unix("2025-11-21 22:30"), 1_763_753_400);
        assert_eq!(stamp(1_763_753_400, &nairobi), "2025-11-21 22:30");
        assert!(read_time("yesterday").is_err());
        assert!(read_time("").is_err());
    }

    #[test]
    fn the_cheapest_choice_is_named_with_what_the_next_costs_more() {
        let text = costs(&ChoiceCosts { by_tiers_served: [120.0, 3.5, 3.0, 3.25] });
        assert!(
            text.contains("Critical and important loads was best; the next best would have cost 0.250 more"),
            "{text}"
        );
    }
}
