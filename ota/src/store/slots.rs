//! Content of the slots: written before the state names it, and never served without its hash being right.

use std::path::PathBuf;

use crate::digest::{hex, sha256};
use crate::install::channel::{Channel, Event, Installed, Outcome, Slot, Source};
use crate::reason::{Reason, Refusal};
use crate::release::Release;
use crate::store::disk::Disk;
use crate::store::durable::{self, failed};
use crate::store::state::CHANNEL_CAP;
use crate::store::{HubState, Store};

/// What a channel runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Where it comes from.
    pub source: Source,
    /// Its bytes; none where it is the factory's, which the caller has.
    pub bytes: Option<Vec<u8>>,
    /// What was found broken on the way.
    pub damage: Vec<Refusal>,
}

impl<D: Disk> Store<D> {
    fn slot_file(&self, channel: &str, slot: Slot) -> PathBuf {
        self.folder.join(format!("slot-{channel}-{}", slot.letter()))
    }

    /// Lets something happen to a channel, and remembers what came of it, refused hashes included. A candidate
    /// whose bytes went bad meanwhile does not come a step further: it is given up, and its hash is not held
    /// against it.
    pub fn advance(&mut self, channel: &str, event: &Event) -> Result<Vec<Outcome>, Refusal> {
        let onward = matches!(event, Event::Checked | Event::ShadowWon | Event::Healthy);
        if let Some(slot) = self.state().channel(channel).candidate().filter(|_| onward)
            && let Err(refusal) = self.read_slot(channel, slot)
        {
            let mut state = self.state().clone();
            state.report(&refusal);
            advanced(&mut state, channel, &Event::Broken(slot))?;
            self.commit(state)?;
            return Err(refusal);
        }
        let mut state = self.state().clone();
        let outcomes = advanced(&mut state, channel, event)?;
        self.commit(state)?;
        Ok(outcomes)
    }

    /// Puts the verified content of a release into its channel's spare slot and stages it. Power may be cut
    /// anywhere: the slot is forgotten before it is overwritten, and named after it is complete.
    pub fn stage(&mut self, release: &Release, bytes: &[u8]) -> Result<Vec<Outcome>, Refusal> {
        let name = &release.channel;
        let found = sha256(bytes);
        if found != release.sha256 || bytes.len() as u64 != release.length {
            let detail = format!("{} bytes of hash {}", bytes.len(), hex(&found));
            return Err(Refusal::new(Reason::ContentHash, name, detail));
        }
        if self.state().channels.len() >= CHANNEL_CAP && !self.state().channels.contains_key(name) {
            let detail = format!("a ninth channel {name:?}, {CHANNEL_CAP} allowed");
            return Err(Refusal::new(Reason::CountCap, "channels", detail));
        }
        let digits = hex(&release.sha256);
        if let Some(reason) = self.state().refusal_of(&digits) {
            let detail = format!("{digits} was refused before: {}", reason.code());
            return Err(Refusal::new(Reason::RefusedBefore, name, detail));
        }
        self.check_room(release.length)?;
        let installed = Installed::of(release);
        // Refuses before anything is written.
        let channel = self.state().channel(name);
        let slot = channel.spare();
        channel.after(&Event::Stage(installed.clone()))?;
        if channel.in_slot(slot).is_some() {
            let mut state = self.state().clone();
            state.channels.insert(name.clone(), channel.without(slot));
            self.commit(state)?;
        }
        durable::write(&self.disk, &self.slot_file(name, slot), bytes)?;
        self.advance(name, &Event::Stage(installed))
    }

    /// What a channel runs on now. A slot whose bytes are not those that were installed is given up: the other
    /// one serves, else the factory's.
    pub fn serve(&mut self, channel: &str) -> Result<Served, Refusal> {
        let mut damage = Vec::new();
        // Each round gives one slot up, and there are two.
        for _ in 0..3 {
            let source = self.state().channel(channel).serving();
            let Source::Slot(slot) = source else { break };
            match self.read_slot(channel, slot) {
                Ok(bytes) => return Ok(Served { source, bytes: Some(bytes), damage }),
                Err(refusal) => {
                    let mut state = self.state().clone();
                    state.report(&refusal);
                    advanced(&mut state, channel, &Event::Broken(slot))?;
                    if state.channel(channel).serving() == Source::Factory {
                        state.report(&Refusal::new(Reason::NoModel, channel, "the factory's serves"));
                    }
                    // On a disk that takes no more writes the hub still serves what it can.
                    if let Err(unwritten) = self.commit(state.clone()) {
                        damage.push(unwritten);
                        self.state = state;
                    }
                    damage.push(refusal);
                }
            }
        }
        Ok(Served { source: Source::Factory, bytes: None, damage })
    }

    /// The content of a slot as installed: a candidate in shadow, say.
    pub fn read_slot(&self, channel: &str, slot: Slot) -> Result<Vec<u8>, Refusal> {
        let file = self.slot_file(channel, slot);
        let Some(installed) = self.state().channel(channel).in_slot(slot).cloned() else {
            return Err(Refusal::new(
                Reason::OutOfOrder,
                channel,
                format!("slot {} is empty", slot.letter()),
            ));
        };
        let bytes = self
            .disk
            .read(&file, installed.length as usize)
            .map_err(|error| failed("reading", &file, &error))?;
        if hex(&sha256(&bytes)) != installed.sha256 {
            let detail = "its content is not what was installed";
            return Err(Refusal::new(Reason::StorageFault, file.display().to_string(), detail));
        }
        Ok(bytes)
    }
}

fn advanced(state: &mut HubState, name: &str, event: &Event) -> Result<Vec<Outcome>, Refusal> {
    let (channel, outcomes): (Channel, _) = state.channel(name).after(event)?;
    state.channels.insert(name.to_owned(), channel);
    for outcome in &outcomes {
        if let Outcome::RolledBack { sha256, reason } = outcome {
            state.refuse_hash(sha256, *reason);
            state.report(&Refusal::new(*reason, name, sha256));
        }
    }
    if let Event::Revoke(sha256) = event {
        state.refuse_hash(sha256, Reason::Revoked);
    }
    Ok(outcomes)
}
