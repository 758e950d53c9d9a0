//! Commands of the fleet: which are done, each once, and why others are not. Pure: told the time and what the hub decided.
//!
//! What a broker in strange hands could do with them is bounded: a load that it keeps on is let go as soon as that would take
//! from what is held back for more vital ones, a wish of a person is not its to take back, and no command switches anything off.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sunkeep_core::image::Request;
use sunkeep_core::settings::Tier;
use sunkeep_core::{Decision, ProcessImage, Settings};
use sunkeep_models::quantity::{Seconds, StateOfCharge};
use sunkeep_models::time::Uptime;
use sunkeep_models::wire::down::{Action, Command};

use crate::journal::StoreId;

/// Commands that are remembered, so that they are not done twice.
const MOST_TAKEN: usize = 256;
/// Commands that were refused and are remembered, so that nobody is told twice.
const MOST_REFUSED: usize = 64;
/// A command may live so long at the most, or its name would have to be remembered for ever.
const LONGEST_LIFE: i64 = 31 * DAY;
const DAY: i64 = 86_400;
/// Longest time for which the fleet keeps a load on.
const LONGEST_KEPT: u16 = 240;
/// Most records that are sent again by one command.
const MOST_AGAIN: i64 = 100_000;

/// What is known of commands; outlives a start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Commands {
    /// When each that was taken expires.
    taken: BTreeMap<String, i64>,
    /// Those that were refused last.
    refused: VecDeque<String>,
    /// When the hub was last started anew by command, seconds since 1970, as far as known.
    restarted: Option<i64>,
    /// The command by which it is just now.
    restarting: Option<String>,
    /// Loads that the fleet keeps on, and until when, once a cycle has taken that up. A start forgets wishes.
    #[serde(skip)]
    kept: BTreeMap<String, Option<Uptime>>,
}

/// What a command is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// How long the hub has been running.
    pub(super) running: Seconds,
    /// The wall clock, where it is known.
    pub(super) unix: Option<i64>,
    /// It is not earlier than that.
    pub(super) at_least: i64,
    pub(super) settings: &'a Settings,
    pub(super) image: &'a ProcessImage,
    pub(super) decision: &'a Decision,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Restart,
    Probe,
    /// For the next cycle.
    Ask(Request),
    Again(Again),
}

/// Records that are sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The command that asks for it.
    pub id: String,
    /// The journal they are of.
    pub store: StoreId,
    /// Whether they are minutes; else events.
    pub telemetry: bool,
    /// First number.
    pub from: i64,
    /// Last number.
    pub upto: i64,
}

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Judged {
    /// It was taken before, or has been lying around until it expired: nobody is told.
    Ignored,
    /// It is not done.
    Refused(String),
    Do(Effect),
}

impl Commands {
    /// Whether it was said what becomes of a command.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.taken.contains_key(id) || self.refused.iter().any(|refused| refused == id)
    }

    /// Judges a command and remembers it, so that it is not done again. `retained` says that the broker keeps it and hands it
    /// out at every connection.
    pub(super) fn take(&mut self, command: &Command, retained: bool, moment: &Moment<'_>) -> Judged {
        self.taken.retain(|_, expires| *expires > moment.at_least);
        if self.knows(&command.id) || retained && command.expires <= moment.at_least {
            return Judged::Ignored;
        }
        self.judge(command, moment).map_or_else(
            |why| {
                self.refused.truncate(MOST_REFUSED - 1);
                self.refused.push_front(command.id.clone());
                Judged::Refused(why)
            },
            Judged::Do,
        )
    }

    fn judge(&mut self, command: &Command, moment: &Moment<'_>) -> Result<Effect, String> {
        if command.expires <= moment.at_least {
            return Err(format!("it expired at {}, and it is {} by now", command.expires, moment.at_least));
        }
        if let Some(unix) = moment.unix.filter(|unix| command.expires > unix + LONGEST_LIFE) {
            let days = (command.expires - unix) / DAY;
            return Err(format!("it expires in {days} days; expected {} at the most", LONGEST_LIFE / DAY));
        }
        if self.taken.len() >= MOST_TAKEN {
            return Err(format!("{MOST_TAKEN} commands that have not expired were taken already"));
        }
        let effect = self.effect(command, moment)?;
        self.taken.insert(command.id.clone(), command.expires);
        Ok(effect)
    }

    fn effect(&mut self, command: &Command, moment: &Moment<'_>) -> Result<Effect, String> {
        match &command.action {
            Action::Restart => {
                self.may_restart(moment)?;
                self.restarted = Some(moment.at_least);
                self.restarting = Some(command.id.clone());
                Ok(Effect::Restart)
            }
            Action::Probe => Ok(Effect::Probe),
            Action::KeepOn { load, minutes } => {
                let number = may_keep(load, *minutes, moment)?;
                self.kept.insert(load.clone(), None);
                let span = Seconds(f64::from(*minutes) * 60.0);
                Ok(Effect::Ask(Request::KeepOn { load: number as u16, span }))
            }
            Action::Release { load } => {
                let number = find(load, moment.settings)?;
                if self.kept.remove(load).is_none() {
                    return Err(format!(
                        "the fleet does not keep {load:?} on; a person's wish is not its to take back"
                    ));
                }
                Ok(Effect::Ask(Request::Release { load: number as u16 }))
            }
            Action::Resend { store, telemetry, from, upto } => {
                if *from < 1 || upto < from || upto - from >= MOST_AGAIN {
                    return Err(format!(
                        "the records {from} to {upto}: expected a range of at most {MOST_AGAIN}, from 1 on"
                    ));
                }
                let (id, store) = (command.id.clone(), StoreId(*store));
                Ok(Effect::Again(Again { id, store, telemetry: *telemetry, from: *from, upto: *upto }))
            }
        }
    }

    fn may_restart(&self, moment: &Moment<'_>) -> Result<(), String> {
        let day = Seconds(DAY as f64);
        let long_ago = match (self.restarted, moment.unix) {
            (None, _) => true,
            (Some(last), Some(unix)) => unix - last >= DAY || moment.running >= day,
            (Some(_), None) => moment.running >= day,
        };
        if long_ago { Ok(()) } else { Err("it was started anew by command less than a day ago".into()) }
    }

    /// The command by which the hub was started, once.
    pub(super) fn came_back(&mut self) -> Option<String> {
        self.restarting.take()
    }

    /// Loads that are to be let go: keeping them on takes from what is held back.
    pub(super) fn let_go(&mut self, moment: &Moment<'_>) -> Vec<Request> {
        let Moment { settings, decision, .. } = moment;
        let mut requests = Vec::new();
        self.kept.retain(|name, until| {
            let Ok(number) = find(name, settings) else { return false };
            let pinned = decision.loads.get(number).and_then(|load| load.pinned_until);
            if until.is_none() {
                *until = pinned;
                return true;
            }
            // Whose time is over, or was changed by a person, is the fleet's no more.
            if pinned != *until {
                return false;
            }
            let held = keep(number, moment).is_some_and(|keep| decision.charge.low < keep);
            if held {
                requests.push(Request::Release { load: number as u16 });
            }
            !held
        });
        requests
    }
}

fn find(load: &str, settings: &Settings) -> Result<usize, String> {
    let place = settings.loads.iter().position(|known| known.name == load);
    place.ok_or_else(|| format!("this home has no load {load:?}"))
}

/// The level below which nothing of this load's tier is on, by the plan or by the settings.
fn keep(number: usize, moment: &Moment<'_>) -> Option<StateOfCharge> {
    let Moment { settings, image, .. } = moment;
    let tier = settings.loads[number].tier;
    let planned = image.plan.as_ref().and_then(|plan| plan.slot_at(settings.digest(), image.now));
    planned.map_or_else(|| settings.reserve_level(tier), |slot| slot.keep[tier.place()])
}

/// The number of a load that the fleet may keep on for so long.
fn may_keep(load: &str, minutes: u16, moment: &Moment<'_>) -> Result<usize, String> {
    let number = find(load, moment.settings)?;
    let known = &moment.settings.loads[number];
    if !(1..=LONGEST_KEPT).contains(&minutes) {
        return Err(format!("{minutes} minutes; expected 1 to {LONGEST_KEPT}"));
    }
    if !known.switchable || known.powers_hub {
        return Err(format!("no relay of the hub switches {load:?}"));
    }
    if known.tier == Tier::Critical {
        return Err(format!("{load:?} is critical, and is on as long as the battery can bear it"));
    }
    if moment.decision.loads.get(number).is_some_and(|load| load.pinned_until.is_some()) {
        return Err(format!("{load:?} is kept on already"));
    }
    let share = known.nominal * Seconds(f64::from(minutes) * 60.0) / moment.settings.battery.nominal_energy();
    let left = moment.decision.charge.low.ratio() - share;
    match keep(number, moment) {
        Some(keep) if left < keep.ratio() => Err(format!(
            "it would leave {:.0} % of the battery, and {:.0} % are held back for what is more vital",
            left.max(0.0) * 100.0,
            keep.ratio() * 100.0
        )),
        _ => Ok(number),
    }
}

/// How many commands are looked at: so many at once, then one a minute. Every one leaves an answer in the journal, and must not
/// crowd out what else waits there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Patience {
    left: f64,
    last: Option<Uptime>,
}

impl Patience {
    const MOST: f64 = 16.0;

    pub(super) fn new() -> Self {
        Self { left: Self::MOST, last: None }
    }

    /// Whether one more is looked at now.
    pub(super) fn allows(&mut self, now: Uptime) -> bool {
        let passed = self.last.replace(now).map_or(Seconds::ZERO, |last| now.since(last));
        self.left = (self.left + passed.0 / 60.0).min(Self::MOST);
        let allows = self.left >= 1.0;
        if allows {
            self.left -= 1.0;
        }
        allows
    }

    /// There was nothing to look at.
    pub(super) fn give_back(&mut self) {
        self.left += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use sunkeep_core::{State, step};
    use sunkeep_models::battery::ChargeBounds;

    use super::*;
    use crate::config::Home;

    const NOON: i64 = 1_780_000_000;

    /// A home at a moment: fridge, lights and modem are critical, the television is important, the pump can wait.
    struct Stage {
        settings: Settings,
        image: ProcessImage,
        decision: Decision,
        unix: Option<i64>,
        running: Seconds,
    }

    impl Stage {
        fn new() -> Self {
            let home = Home::parse("hub.toml", include_str!("../../hub.example.toml")).unwrap();
            let image = ProcessImage::empty(Uptime::from_seconds(100), &home.settings);
            let (_, mut decision) = step(&home.settings, State::new(&home.settings), &image);
            decision.charge = bounds(0.9);
            Self { settings: home.settings, image, decision, unix: Some(NOON), running: Seconds(100.0) }
        }

        fn moment(&self) -> Moment<'_> {
            Moment {
                running: self.running,
                unix: self.unix,
                at_least: self.unix.unwrap_or(NOON),
                settings: &self.settings,
                image: &self.image,
                decision: &self.decision,
            }
        }
    }

    fn bounds(charge: f64) -> ChargeBounds {
        let charge = StateOfCharge::clamped(charge);
        ChargeBounds { low: charge, best: charge, high: charge }
    }

    fn command(id: &str, action: Action) -> Command {
        Command { id: id.into(), expires: NOON + 3600, action }
    }

    fn keep(load: &str) -> Action {
        Action::KeepOn { load: load.into(), minutes: 30 }
    }

    fn why(judged: Judged) -> String {
        match judged {
            Judged::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_done_twice_or_after_its_time() {
        let (stage, mut commands) = (Stage::new(), Commands::default());
        let probe = command("a", Action::Probe);
        assert_eq!(commands.take(&probe, false, &stage.moment()), Judged::Do(Effect::Probe));
        assert_eq!(commands.take(&probe, false, &stage.moment()), Judged::Ignored);
        let late = Command { expires: NOON, ..command("b", Action::Probe) };
        assert_eq!(
            commands.take(&late, true, &stage.moment()),
            Judged::Ignored,
            "retained, it would be answered for ever"
        );
        assert!(why(commands.take(&late, false, &stage.moment())).contains("expired"));
        assert_eq!(commands.take(&late, false, &stage.moment()), Judged::Ignored, "answered once");
        let far = Command { expires: NOON + 32 * DAY, ..command("c", Action::Probe) };
        assert!(why(commands.take(&far, false, &stage.moment())).contains("32 days"));
    }

    #[test]
    fn names_are_forgotten_when_they_expire_and_bounded_until_then() {
        let (mut stage, mut commands) = (Stage::new(), Commands::default());
        for number in 0..MOST_TAKEN {
            let judged =
                commands.take(&command(&format!("c{number}"), Action::Probe), false, &stage.moment());
            assert_eq!(judged, Judged::Do(Effect::Probe));
        }
        let more = command("more", Action::Probe);
        assert!(why(commands.take(&more, false, &stage.moment())).contains("256"));
        stage.unix = Some(NOON + 3600);
        let later = Command { expires: NOON + 7200, ..command("later", Action::Probe) };
        assert_eq!(commands.take(&later, false, &stage.moment()), Judged::Do(Effect::Probe));
        assert_eq!(commands.taken.len(), 1);
    }

    #[test]
    fn a_restart_a_day_and_no_more() {
        let (mut stage, mut commands) = (Stage::new(), Commands::default());
        assert_eq!(
            commands.take(&command("a", Action::Restart), false, &stage.moment()),
            Judged::Do(Effect::Restart)
        );
        assert_eq!(commands.came_back().as_deref(), Some("a"));
        assert_eq!(commands.came_back(), None);
        stage.unix = None;
        assert!(why(commands.take(&command("b", Action::Restart), false, &stage.moment())).contains("day"));
        stage.running = Seconds(86_400.0);
        let later = command("c", Action::Restart);
        assert_eq!(
            commands.take(&later, false, &stage.moment()),
            Judged::Do(Effect::Restart),
            "it has run a day since"
        );
    }

    #[test]
    fn the_fleet_keeps_on_only_what_costs_nothing_more_vital() {
        let (mut stage, mut commands) = (Stage::new(), Commands::default());
        for (load, said) in [("fridge", "critical"), ("modem", "relay"), ("oven", "no load")] {
            let judged = commands.take(&command(load, keep(load)), false, &stage.moment());
            assert!(why(judged).contains(said), "{load}");
        }
        assert!(matches!(commands.take(&command("tv", keep("tv")), false, &stage.moment()), Judged::Do(_)));
        let level = stage.settings.reserve.convenience.ratio();
        stage.decision.charge = bounds(level + 0.001);
        let judged = commands.take(&command("pump", keep("pump")), false, &stage.moment());
        assert!(why(judged).contains("held back"));
    }

    #[test]
    fn what_the_fleet_keeps_on_is_let_go_before_it_takes_from_the_reserve() {
        let (mut stage, mut commands) = (Stage::new(), Commands::default());
        commands.take(&command("tv", keep("tv")), false, &stage.moment());
        let tv = 3;
        assert_eq!(commands.let_go(&stage.moment()), [], "no cycle has taken it up");
        stage.decision.loads[tv].pinned_until = Some(Uptime::from_seconds(1900));
        assert_eq!(commands.let_go(&stage.moment()), []);
        stage.decision.charge = bounds(stage.settings.reserve.important.ratio() - 0.01);
        assert_eq!(commands.let_go(&stage.moment()), [Request::Release { load: tv as u16 }]);
        assert_eq!(commands.let_go(&stage.moment()), [], "once");
    }

    #[test]
    fn a_persons_wish_is_not_the_fleets_to_take_back() {
        let (mut stage, mut commands) = (Stage::new(), Commands::default());
        commands.take(&command("tv", keep("tv")), false, &stage.moment());
        commands.let_go(&stage.moment());
        stage.decision.loads[3].pinned_until = Some(Uptime::from_seconds(1900));
        commands.let_go(&stage.moment());
        // A person wishes for an hour more.
        stage.decision.loads[3].pinned_until = Some(Uptime::from_seconds(5500));
        stage.decision.charge = bounds(0.1);
        assert_eq!(commands.let_go(&stage.moment()), []);
        let release = command("r", Action::Release { load: "tv".into() });
        assert!(why(commands.take(&release, false, &stage.moment())).contains("person"));
    }

    #[test]
    fn a_flood_is_looked_at_one_a_minute() {
        let mut patience = Patience::new();
        let looked = (0..600).filter(|second| patience.allows(Uptime::from_seconds(*second))).count();
        assert_eq!(looked, 16 + 9);
    }
}
