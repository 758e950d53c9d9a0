//! Whether a message is taken: its topic, its form, and that it is from whom it says it is.

use core::fmt;
use std::collections::BTreeMap;

use sunkeep_models::wire::{Message, Refused};

/// Longest part of a text from a topic that is told again, characters.
const SHOWN: usize = 80;

/// Lanes of what hubs send.
pub(super) const LANES: [&str; 4] = ["alerts", "answers", "decisions", "telemetry"];

/// Why a message is not taken.
#[derive(Debug, PartialEq)]
pub(super) enum Reason {
    /// Not a topic of hubs.
    Topic,
    /// Not a lane.
    Lane(String),
    /// The message says that it is from another hub than the one that may publish there.
    Foreign { topic: String, message: String },
    /// The message says that it is from another site than the hub's.
    Elsewhere { known: String, message: String },
    /// Not a message.
    Message(Refused),
}

/// Of each hub that is known, the site.
pub(super) type Known = BTreeMap<String, String>;

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic => write!(formatter, "the topic is not sunkeep/v1/HUB/up/LANE"),
            Self::Lane(lane) => write!(formatter, "no lane is called {lane:?}; expected one of {LANES:?}"),
            Self::Foreign { topic, message } => {
                write!(
                    formatter,
                    "publishes as another: the topic is of {topic:?}, the message of {message:?}"
                )
            }
            Self::Elsewhere { known, message } => {
                write!(
                    formatter,
                    "speaks for another site: the hub is at {known:?}, the message of {message:?}"
                )
            }
            Self::Message(refused) => write!(formatter, "{refused}"),
        }
    }
}

/// A message that is taken, and the lane it came by.
pub(super) type Taken = (&'static str, Message);

/// Reads a message. A hub that is not known may be of any site: it was let in by the broker, and is new.
pub(super) fn judge(topic: &str, payload: &[u8], sites: &Known) -> Result<Taken, Reason> {
    let hub = hub_of(topic).ok_or(Reason::Topic)?;
    let lane = topic.rsplit('/').next().unwrap_or_default();
    let known = LANES.into_iter().find(|known| *known == lane);
    let lane = known.ok_or_else(|| Reason::Lane(lane.chars().take(SHOWN).collect()))?;
    let message = Message::read(payload).map_err(Reason::Message)?;
    if message.from().hub != hub {
        let topic = hub.chars().take(SHOWN).collect();
        return Err(Reason::Foreign { topic, message: message.from().hub.clone() });
    }
    match sites.get(hub).filter(|site| **site != message.from().site) {
        Some(site) => Err(Reason::Elsewhere { known: site.clone(), message: message.from().site.clone() }),
        None => Ok((lane, message)),
    }
}

/// The hub that a topic belongs to.
pub(super) fn hub_of(topic: &str) -> Option<&str> {
    let (hub, rest) = topic.strip_prefix("sunkeep/v1/")?.split_once('/')?;
    let lane = rest.strip_prefix("up/")?;
    (!hub.is_empty() && !lane.contains('/')).then_some(hub)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"v":1,"kind":"events","site":"s","hub":"h-1","store":"00112233445566778899aabbccddeeff","boot":1,"sequence":2,"uptime_ms":3,"wall_ms":null,"what":"alert"}"#;

    #[test]
    fn a_hub_speaks_for_itself_alone() {
        assert_eq!(judge("sunkeep/v1/h-1/up/alerts", EVENT.as_bytes(), &Known::new()).unwrap().0, "alerts");
        let foreign = judge("sunkeep/v1/h-2/up/alerts", EVENT.as_bytes(), &Known::new()).unwrap_err();
        assert!(foreign.to_string().starts_with("publishes as another"), "{foreign}");
        let cases = [
            ("sunkeep/v1/h-1/up/gossip", Reason::Lane("gossip".into())),
            ("sunkeep/v1/h-1/up/alerts/more", Reason::Topic),
            ("sunkeep/v1//up/alerts", Reason::Topic),
            ("sunkeep/v2/h-1/up/alerts", Reason::Topic),
            ("sunkeep/v1/h-1/down/alerts", Reason::Topic),
        ];
        for (topic, reason) in cases {
            assert_eq!(judge(topic, EVENT.as_bytes(), &Known::new()).unwrap_err(), reason, "{topic}");
        }
    }
}
