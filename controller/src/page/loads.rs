//! The loads, tier by tier: on or off, and why.

use maud::{Markup, html};
use sunkeep_core::decision::{Because, LoadDecision};
use sunkeep_core::settings::{Load, Tier};
use sunkeep_models::time::Uptime;

use super::access::Access;
use super::words;
use crate::language::{Language, sentence, span};
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
pub(super) fn may(language: Language, access: Access) -> Markup {
    html! {
        @if access == Access::Looks { p class="said" { (language.word("may-look")) } }
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
    let speaks = view.language;
    let power = |watts| words::power(speaks, watts);
    html! {
        div class="head" {
            h4 { (load.label) }
            @match measured {
                Some(watts) if decision.on || watts >= 1.0 => { span class="watts" { (power(watts)) } }
                None if decision.on => {
                    // No meter of its own: what it draws now is not known, but what its switching showed, or
                    // what it may draw.
                    span class="watts" {
                        @match decision.draws {
                            Some(draws) => { (speaks.say("draws-about", &[("power", power(draws.best.0).into())])) }
                            None => { (speaks.say("draws-up-to", &[("power", power(load.nominal.0).into())])) }
                        }
                    }
                }
                _ => {}
            }
            span class={ "state " @if decision.on { "on" } @else { "off" } } {
                (speaks.word(if decision.on { "load-on" } else { "load-off" }))
            }
        }
        @if let Some(why) = why(view, load, decision) { p class="why" { (why) } }
        @match decision.confirmed {
            Some(false) => { p class="why warn" { (speaks.word("relay-disobeys")) } }
            None if load.switchable => { p class="why" { (speaks.word("relay-unread")) } }
            _ => {}
        }
        @if let Some(until) = decision.pinned_until { p class="why pin" { (kept(view, until)) } }
        @if wish && decision.pinned_until.is_some() {
            a class="button" id={ "wish" (number) } href={ "/release?load=" (number) } { (speaks.word("release")) }
        } @else if wish && load.tier != Tier::Critical {
            a class="button" id={ "wish" (number) } href={ "/keep?load=" (number) } {
                (speaks.word("keep-on")) span class="away" { ": " (load.label) }
            }
        }
    }
}

/// The sentence, without the name it stands under; nothing where there is nothing to say.
fn why(view: &View, load: &Load, decision: &LoadDecision) -> Option<String> {
    if decision.on && decision.because == Because::Free {
        return None;
    }
    let sentence = sentence(view.language, load, decision, words::clock(&view.image));
    let rest = sentence.strip_prefix(load.label.as_str()).map_or(sentence.as_str(), str::trim_start);
    Some(words::tied(&words::capital(rest)))
}

/// Until when a wish holds.
fn kept(view: &View, until: Uptime) -> String {
    let (speaks, left) = (view.language, until.since(view.image.now));
    let more = ("span", span(speaks, left).into());
    match view.image.wall {
        Some(wall) => {
            let moment = words::moment(speaks, &view.zone, wall.unix, wall.unix + left.0 as i64);
            speaks.say("kept-until", &[("moment", moment.into()), more])
        }
        None => speaks.say("kept-for", &[more]),
    }
}
