//! One channel (a kind of content that is replaced as a whole: the load model, the configuration, the hub's
//! software) with its two slots beside the factory's content.
//!
//! ```text
//!          Stage           Checked, model          ShadowWon            Healthy
//!   Rest ─────────► Staged ───────────────► Shadow ───────────► Trial ───────────► Rest, the candidate is active
//!    ▲                │  └── Checked, other ─────────────────────▲ │
//!    └─ Refused ──────┴─ ShadowLost ────────┘    Failed, Revoke, ──┘ three deaths: rolled back, hash remembered
//! ```
//!
//! The champion serves in all phases but Trial. It is never touched before the candidate is confirmed, and stays
//! in its slot afterwards as what to fall back to.

use serde::{Deserialize, Serialize};

use crate::digest::hex;
use crate::reason::{Reason, Refusal};
use crate::release::{Payload, Release};

/// Deaths on trial after which a candidate is rolled back.
pub const DEATHS: u8 = 3;

/// A slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// As in names of files.
    pub fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Where content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Built in; always there.
    #[default]
    Factory,
    /// A slot.
    Slot(Slot),
}

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// SHA-256 of its bytes, in digits.
    pub sha256: String,
    /// Bytes.
    pub length: u64,
    /// Release counter.
    pub counter: u64,
    /// What it is.
    pub payload: Payload,
    /// Signed to run in shadow and never to act.
    pub shadow_only: bool,
}

impl Installed {
    /// A release as it stands in a slot.
    pub fn of(release: &Release) -> Self {
        Self {
            sha256: hex(&release.sha256),
            length: release.length,
            counter: release.counter,
            payload: release.payload,
            shadow_only: release.shadow_only,
        }
    }
}

/// How far the candidate has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// There is none.
    #[default]
    Rest,
    /// In a slot, not looked at yet.
    Staged(Slot),
    /// Runs on the champion's inputs and never acts.
    Shadow(Slot),
    /// Acts, and is watched.
    Trial {
        /// The slot.
        slot: Slot,
        /// Starts that did not end in an orderly stop.
        starts: u8,
    },
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    a: Option<Installed>,
    b: Option<Installed>,
    active: Source,
    fallback: Source,
    phase: Phase,
    /// The highest release counter that was staged.
    floor: u64,
}

/// What happens to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Verified content is in the spare slot.
    Stage(Installed),
    /// The staged content passed its checks.
    Checked,
    /// It did not.
    Refused(Reason),
    /// In shadow it beat the champion and persistence on this hub.
    ShadowWon,
    /// It did not.
    ShadowLost(Reason),
    /// A process begins to run what serves: to be remembered before it runs.
    Started,
    /// That process stopped in order.
    Stopped,
    /// The trial ran its time in good health.
    Healthy,
    /// On trial, errors or vetoes rose.
    Failed(Reason),
    /// The operator took a hash back.
    Revoke(String),
    /// A slot's bytes are not what was installed.
    Broken(Slot),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// In its slot.
    Staged,
    /// In shadow.
    Shadowing,
    /// On trial: it serves from now on.
    OnTrial,
    /// It is the champion now: only this counts as success.
    Confirmed,
    /// It is out, and its hash is refused from now on.
    RolledBack {
        /// The hash.
        sha256: String,
        /// Why.
        reason: Reason,
    },
    /// The champion is out; this serves now.
    FellBackTo(Source),
}

impl Channel {
    /// What serves now.
    pub fn serving(&self) -> Source {
        match self.phase {
            Phase::Trial { slot, .. } => Source::Slot(slot),
            _ => self.active,
        }
    }

    /// The candidate's phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Releases below this counter are not taken.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// What is in a slot.
    pub fn in_slot(&self, slot: Slot) -> Option<&Installed> {
        match slot {
            Slot::A => self.a.as_ref(),
            Slot::B => self.b.as_ref(),
        }
    }

    /// The slot that a next candidate goes to: never the champion's.
    pub fn spare(&self) -> Slot {
        match self.active {
            Source::Slot(slot) => slot.other(),
            Source::Factory => Slot::A,
        }
    }

    /// The channel with a slot forgotten that does not serve.
    pub(crate) fn without(&self, slot: Slot) -> Self {
        let mut next = self.clone();
        next.empty(slot);
        next
    }

    /// What an event makes of the channel; refused where it does not fit the phase.
    pub fn after(&self, event: &Event) -> Result<(Self, Vec<Outcome>), Refusal> {
        let mut next = self.clone();
        let outcomes = match (self.phase, event) {
            (Phase::Rest, Event::Stage(installed)) => next.stage(installed)?,
            (_, Event::Stage(_)) => return Err(self.refuse(Reason::Busy, event)),
            (Phase::Staged(slot), Event::Checked) => next.checked(slot),
            (Phase::Shadow(slot), Event::ShadowWon) if !self.is_shadow_only(slot) => next.try_out(slot),
            (Phase::Trial { slot, starts }, Event::Started) if starts >= DEATHS => {
                next.roll_back(slot, Reason::BootLoop)
            }
            (Phase::Trial { slot, starts }, Event::Started) => next.set_starts(slot, starts + 1),
            (Phase::Trial { slot, starts }, Event::Stopped) => {
                next.set_starts(slot, starts.saturating_sub(1))
            }
            (Phase::Trial { slot, starts: 1.. }, Event::Healthy) => next.confirm(slot),
            (Phase::Staged(slot), Event::Refused(reason))
            | (Phase::Shadow(slot), Event::ShadowLost(reason))
            | (Phase::Trial { slot, .. }, Event::Failed(reason)) => next.roll_back(slot, *reason),
            // Off trial these say nothing.
            (_, Event::Started | Event::Stopped) => Vec::new(),
            (_, Event::Revoke(sha256)) => next.revoke(sha256),
            (_, Event::Broken(slot)) => next.give_up(*slot),
            _ => return Err(self.refuse(Reason::OutOfOrder, event)),
        };
        Ok((next, outcomes))
    }

    fn refuse(&self, reason: Reason, event: &Event) -> Refusal {
        Refusal::new(reason, "installation", format!("{event:?} in phase {:?}", self.phase))
    }

    fn is_shadow_only(&self, slot: Slot) -> bool {
        self.in_slot(slot).is_none_or(|installed| installed.shadow_only)
    }

    fn stage(&mut self, installed: &Installed) -> Result<Vec<Outcome>, Refusal> {
        if installed.counter < self.floor {
            let detail = format!("release {}, and {} was taken before", installed.counter, self.floor);
            return Err(Refusal::new(Reason::RollbackRelease, "installation", detail));
        }
        let slot = self.spare();
        self.empty(slot);
        *self.place(slot) = Some(installed.clone());
        self.floor = installed.counter;
        self.phase = Phase::Staged(slot);
        Ok(vec![Outcome::Staged])
    }

    fn checked(&mut self, slot: Slot) -> Vec<Outcome> {
        // What is signed for shadow alone goes there whatever it is.
        let is_model = self.in_slot(slot).is_some_and(|installed| installed.payload == Payload::Model);
        if is_model || self.is_shadow_only(slot) {
            self.phase = Phase::Shadow(slot);
            return vec![Outcome::Shadowing];
        }
        self.try_out(slot)
    }

    fn try_out(&mut self, slot: Slot) -> Vec<Outcome> {
        self.phase = Phase::Trial { slot, starts: 0 };
        vec![Outcome::OnTrial]
    }

    fn set_starts(&mut self, slot: Slot, starts: u8) -> Vec<Outcome> {
        self.phase = Phase::Trial { slot, starts };
        Vec::new()
    }

    fn confirm(&mut self, slot: Slot) -> Vec<Outcome> {
        self.fallback = self.active;
        self.active = Source::Slot(slot);
        self.phase = Phase::Rest;
        vec![Outcome::Confirmed]
    }

    fn roll_back(&mut self, slot: Slot, reason: Reason) -> Vec<Outcome> {
        let sha256 = self.place(slot).take().map(|installed| installed.sha256);
        self.phase = Phase::Rest;
        sha256.map(|sha256| Outcome::RolledBack { sha256, reason }).into_iter().collect()
    }

    fn revoke(&mut self, sha256: &str) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for slot in [Slot::A, Slot::B] {
            if self.in_slot(slot).is_some_and(|installed| installed.sha256 == sha256) {
                let candidate = self.candidate() == Some(slot);
                outcomes.extend(self.give_up(slot));
                if candidate {
                    outcomes.push(Outcome::RolledBack { sha256: sha256.to_owned(), reason: Reason::Revoked });
                }
            }
        }
        outcomes
    }

    /// The candidate's slot.
    pub fn candidate(&self) -> Option<Slot> {
        match self.phase {
            Phase::Rest => None,
            Phase::Staged(slot) | Phase::Shadow(slot) | Phase::Trial { slot, .. } => Some(slot),
        }
    }

    /// Empties a slot whatever it held, and falls back where it served.
    fn give_up(&mut self, slot: Slot) -> Vec<Outcome> {
        let served = self.serving() == Source::Slot(slot);
        if self.candidate() == Some(slot) {
            self.phase = Phase::Rest;
        }
        if self.active == Source::Slot(slot) {
            // A fallback in this very slot cannot be; one that is empty is the factory's.
            self.active = self.fallback;
            self.fallback = Source::Factory;
        }
        self.empty(slot);
        if served { vec![Outcome::FellBackTo(self.serving())] } else { Vec::new() }
    }

    fn empty(&mut self, slot: Slot) {
        *self.place(slot) = None;
        if self.fallback == Source::Slot(slot) {
            self.fallback = Source::Factory;
        }
    }

    fn place(&mut self, slot: Slot) -> &mut Option<Installed> {
        match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        }
    }
}
