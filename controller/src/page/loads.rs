//! The loads, tier by tier: on or off, and why.

use maud::{Markup, html};
use sunkeep_core::decision::{Because, LoadDecision};
use sunkeep_core::explain;
use sunkeep_core::settings::{Load, Tier};
use sunkeep_models::time::Uptime;

use super::access::Access;
use super::words;
use crate::view::View;

/// A tier with its loads, each under the id of its element.
pub(super) struct TierPart {
    pub(super) tier: Tier,
    pub(super) loads: Vec<(String, Markup)>,
}

/// All tiers that have loads, most vital first.
pub(super) fn tiers(view: &View, access: Access) -> Vec<TierPart> {
    let of = |tier| {
        let loads = view.settings.loads.iter().zip(&view.decision.loads).enumerate();
        loads
            .filter(|(_, (load, _))| load.tier == tier)
            .map(|(number, (load, decision))| {
                (format!("load{number}"), one(view, number, load, decision, access))
            })
            .collect::<Vec<_>>()
    };
    Tier::ALL
        .into_iter()
        .map(|tier| TierPart { tier, loads: of(tier) })
        .filter(|tier| !tier.loads.is_empty())
        .collect()
}

/// What a visitor may do, where that needs saying.
pub(super) fn may(access: Access) -> Markup {
    html! {
        @if access == Access::Looks {
            p class="said" {
                "Here you can only look. To ask for a load to stay on, a PIN must be set in the hub's \
                 configuration."
            }
        }
    }
}

/// Whether a wish for this load can be granted at all, and does anything: protection alone switches a
/// critical load off, and it has the last word.
fn can_wish(load: &Load) -> bool {
    load.switchable && !load.powers_hub
}

fn one(view: &View, number: usize, load: &Load, decision: &LoadDecision, access: Access) -> Markup {
    let measured = view.image.loads.get(number).and_then(|readings| readings.power);
    let measured = view.image.fresh(&view.settings, measured);
    let wish = can_wish(load) && access != Access::Looks;
    html! {
        div class="head" {
            h4 { (load.label) }
            @match measured {
                Some(watts) if decision.on || watts >= 1.0 => { span class="watts" { (words::power(watts)) } }
                None if decision.on => {
                    // No meter of its own: what it draws now is not known, but what its switching showed, or
                    // what it may draw.
                    span class="watts" {
                        @match decision.draws {
                            Some(draws) => { "about " (words::power(draws.best.0)) }
                            None => { "up to " (words::power(load.nominal.0)) }
                        }
                    }
                }
                _ => {}
            }
            span class={ "state " @if decision.on { "on" } @else { "off" } } {
                @if decision.on { "On" } @else { "Off" }
            }
        }
        @if let Some(why) = why(view, load, decision) { p class="why" { (why) } }
        @match decision.confirmed {
            Some(false) => { p class="why warn" { "Its relay does not do as it is told." } }
            None if load.switchable => { p class="why" { "Its relay cannot be read back." } }
            _ => {}
        }
        @if let Some(until) = decision.pinned_until { p class="why pin" { (kept(view, until)) } }
        @if wish && decision.pinned_until.is_some() {
            a class="button" id={ "wish" (number) } href={ "/release?load=" (number) } { "Release" }
        } @else if wish && load.tier != Tier::Critical {
            a class="button" id={ "wish" (number) } href={ "/keep?load=" (number) } {
                "Keep on for an hour" span class="away" { ": " (load.label) }
            }
        }
    }
}

/// The sentence, without the name it stands under; nothing where there is nothing to say.
fn why(view: &View, load: &Load, decision: &LoadDecision) -> Option<String> {
    if decision.on && decision.because == Because::Free {
        return None;
    }
    let sentence = explain::sentence(load, decision, words::clock(&view.image));
    let rest = sentence.strip_prefix(load.label.as_str()).map_or(sentence.as_str(), str::trim_start);
    Some(words::tied(&words::capital(rest)))
}

/// Until when a wish holds.
fn kept(view: &View, until: Uptime) -> String {
    let left = until.since(view.image.now);
    match view.image.wall {
        Some(wall) => format!(
            "Asked to stay on until {}, {} more.",
            words::moment(&view.zone, wall.unix, wall.unix + left.0 as i64),
            words::span(left)
        ),
        None => format!("Asked to stay on for {} more.", words::span(left)),
    }
}
