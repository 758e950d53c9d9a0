//! Whether two journals of one hub live at the same time: a card that was copied, or two boards with one certificate. Their
//! records are told apart by their stores, so nothing is mixed up in the lake; but one home is not looked after.
//!
//! A card that was written anew is a new store, and the old one is silent from then on. So what counts is that the old one goes
//! on, with numbers that were not there before, and the new one after it. This process sees its share of the messages only, and
//! remembers nothing over a start: two that live are found within some messages all the same.

use std::collections::HashMap;

use sunkeep_models::wire::{Event, Field, Message, Sender, Stamp};

/// Hubs that are remembered; of more, nothing is said.
const MOST_HUBS: usize = 200_000;
/// Changes from one to the other and back before something is said: one may be a message that was late.
const CHANGES: u32 = 2;
/// It is said once a day.
const AGAIN_MS: i64 = 86_400_000;
/// The store of what the fleet itself has to say of a hub.
pub(crate) const FLEET: [u8; 16] = [0; 16];
/// What such an event is called.
const TWO_STORES: &str = "two_stores";

/// What is known of every hub.
#[derive(Debug, Default)]
pub(super) struct Stores(HashMap<String, Hub>);

#[derive(Debug)]
struct Hub {
    now: Store,
    before: Option<Store>,
    changes: u32,
    said_ms: Option<i64>,
}

/// A store, with its newest numbers of minutes and of events.
#[derive(Debug, Clone, Copy)]
struct Store {
    id: [u8; 16],
    newest: [i64; 2],
}

impl Stores {
    /// Notes a message; what there is to say of its hub, as a message of the fleet's own.
    pub(super) fn note(&mut self, message: &Message, received_ms: i64) -> Option<Message> {
        let from = message.from();
        let (kind, newest) = match message {
            Message::Telemetry(telemetry) => (0, telemetry.stamps.iter().map(|stamp| stamp.sequence).max()?),
            Message::Events { events, .. } => (1, events.iter().map(|event| event.stamp.sequence).max()?),
        };
        let mut newest_of = [i64::MIN; 2];
        newest_of[kind] = newest;
        let seen = Store { id: from.store, newest: newest_of };
        let Some(hub) = self.0.get_mut(&from.hub) else {
            if self.0.len() < MOST_HUBS {
                let hub = Hub { now: seen, before: None, changes: 0, said_ms: None };
                self.0.insert(from.hub.clone(), hub);
            }
            return None;
        };
        if !hub.changed(seen, kind) || hub.changes < CHANGES {
            return None;
        }
        if hub.said_ms.is_some_and(|said| received_ms - said < AGAIN_MS) {
            return None;
        }
        hub.said_ms = Some(received_ms);
        let other = hub.before.map_or(FLEET, |store| store.id);
        tracing::warn!(hub = from.hub, "two journals of this hub live at the same time");
        Some(alert(from, other, received_ms))
    }
}

impl Hub {
    /// Notes a message; whether a store that was thought to be gone goes on.
    fn changed(&mut self, seen: Store, kind: usize) -> bool {
        if seen.id == self.now.id {
            self.now.newest[kind] = self.now.newest[kind].max(seen.newest[kind]);
            return false;
        }
        match self.before.take() {
            Some(mut before) if before.id == seen.id => {
                let goes_on = seen.newest[kind] > before.newest[kind];
                before.newest[kind] = before.newest[kind].max(seen.newest[kind]);
                if !goes_on {
                    // A message that came late, or again.
                    self.before = Some(before);
                    return false;
                }
                self.before = Some(std::mem::replace(&mut self.now, before));
                self.changes += 1;
                true
            }
            _ => {
                self.before = Some(std::mem::replace(&mut self.now, seen));
                self.changes = 0;
                false
            }
        }
    }
}

fn alert(from: &Sender, other: [u8; 16], received_ms: i64) -> Message {
    let digits = |store: [u8; 16]| Field::Text(format!("{:032x}", u128::from_be_bytes(store)));
    let stamp = Stamp { boot: 0, sequence: received_ms, uptime_ms: 0, wall_ms: Some(received_ms) };
    let fields = vec![("one".into(), digits(from.store)), ("other".into(), digits(other))];
    let event = Event { stamp, what: TWO_STORES.into(), fields };
    Message::Events { from: Sender { store: FLEET, ..from.clone() }, events: vec![event] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_000_000_000;

    fn message(store: u8, sequence: i64) -> Message {
        let from = Sender { site: "site-1".into(), hub: "hub-1".into(), store: [store; 16] };
        let stamp = Stamp { boot: 1, sequence, uptime_ms: 1, wall_ms: None };
        Message::Events { from, events: vec![Event { stamp, what: "switched".into(), fields: Vec::new() }] }
    }

    /// How often something is said of these messages: store and number.
    fn said(messages: &[(u8, i64)]) -> usize {
        let mut stores = Stores::default();
        messages
            .iter()
            .filter(|(store, number)| stores.note(&message(*store, *number), NOON).is_some())
            .count()
    }

    #[test]
    fn a_card_that_was_written_anew_is_no_alarm() {
        assert_eq!(said(&[(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]), 0);
        // What was late, or is sent again.
        assert_eq!(said(&[(1, 1), (1, 2), (2, 1), (1, 2), (2, 2), (1, 1), (2, 3), (1, 2), (2, 4)]), 0);
        assert_eq!(said(&[(1, 1), (2, 1), (1, 2), (2, 1)]), 0, "one message overtook another");
    }

    #[test]
    fn two_that_live_are_told_once_a_day() {
        let both: Vec<_> = (1..20).flat_map(|number| [(1, number), (2, number)]).collect();
        assert_eq!(said(&both), 1);
        let mut stores = Stores::default();
        let mut told = Vec::new();
        for (place, (store, number)) in both.iter().enumerate() {
            told.extend(stores.note(&message(*store, *number), NOON + AGAIN_MS * place as i64));
        }
        assert_eq!(told.len(), both.len() - 3, "every day, once it is sure");
        let Message::Events { from, events } = &told[0] else { panic!("{told:?}") };
        assert_eq!((from.store, &*events[0].what), (FLEET, "two_stores"));
        let of = |store: u8| Field::Text(format!("{store:02x}").repeat(16));
        assert_eq!(events[0].fields, [("one".into(), of(2)), ("other".into(), of(1))]);
    }
}
