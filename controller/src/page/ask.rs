//! The one thing a person may ask: that a load stays on for an hour, or no longer. First what it costs,
//! then the question, then the wish goes into the next cycle.

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use sunkeep_core::decision::Alarm;
use sunkeep_core::image::Request;
use sunkeep_core::settings::{Load, Tier};
use sunkeep_core::wish::{PinCost, pin_cost};
use sunkeep_models::quantity::{Seconds, StateOfCharge, Watts};
use tokio::time::timeout;

use super::access::{Access, Entered};
use super::room::Room;
use super::wire::Peer;
use super::{sessions, shell, words};
use crate::language::{self, Language, span};
use crate::view::View;

/// How long a wish holds.
const HOUR: Seconds = Seconds(3600.0);
/// How long an answer waits for the cycle to take a wish up, so that the page shows it.
const TAKEN_UP: Duration = Duration::from_secs(3);

/// Which load.
#[derive(Deserialize)]
pub(super) struct Which {
    load: u16,
}

/// What a confirmation sends.
#[derive(Deserialize)]
pub(super) struct Wish {
    load: u16,
    #[serde(default)]
    pin: String,
}

/// Who asks.
type Who = (State<Arc<Room>>, Extension<Peer>, HeaderMap);

#[derive(Clone, Copy, PartialEq)]
enum What {
    Keep,
    Release,
}

/// Asks whether a load shall be kept on, and says what that costs.
pub(super) async fn confirm_keep(who: Who, which: Result<Query<Which>, QueryRejection>) -> Response {
    confirm(&who, which, What::Keep)
}

/// Asks whether a wish shall be forgotten.
pub(super) async fn confirm_release(who: Who, which: Result<Query<Which>, QueryRejection>) -> Response {
    confirm(&who, which, What::Release)
}

/// Takes the wish.
pub(super) async fn keep(who: Who, wish: Result<Form<Wish>, FormRejection>) -> Response {
    change(who, wish, What::Keep).await
}

/// Takes it back.
pub(super) async fn release(who: Who, wish: Result<Form<Wish>, FormRejection>) -> Response {
    change(who, wish, What::Release).await
}

/// Ends the visitor's session.
pub(super) async fn lock((State(room), _, headers): Who) -> Response {
    room.guard.lock(&headers);
    let mut response = to_page("/");
    set_cookie(&mut response, &sessions::no_cookie());
    response
}

fn confirm(who: &Who, which: Result<Query<Which>, QueryRejection>, what: What) -> Response {
    let (State(room), Extension(Peer(peer)), headers) = who;
    let Ok(Query(which)) = which else {
        return refuse(room.language, StatusCode::BAD_REQUEST, "refused-which");
    };
    let access = room.guard.access(headers, peer.ip(), room.now(), true);
    let wait = room.guard.wait(peer.ip(), room.now()).filter(|_| access == Access::NeedsPin);
    let said = wait.map(|wait| room.language.say("pin-waits", &[("span", span(room.language, wait).into())]));
    match wished(room, which.load, access) {
        Ok(view) => question(&view, which.load, what, access, said.as_deref()).into_response(),
        Err(refusal) => refusal,
    }
}

/// The view in which this load may be wished for, or why not.
#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn wished(room: &Room, load: u16, access: Access) -> Result<Arc<View>, Response> {
    if access == Access::Looks {
        return Err(refuse(room.language, StatusCode::FORBIDDEN, "refused-no-pin"));
    }
    let Some(view) = room.look().0 else {
        return Err(refuse(room.language, StatusCode::SERVICE_UNAVAILABLE, "refused-starting"));
    };
    match view.settings.loads.get(usize::from(load)) {
        None => Err(refuse(room.language, StatusCode::NOT_FOUND, "refused-no-load")),
        Some(load) if !load.switchable => {
            Err(refuse(room.language, StatusCode::CONFLICT, "refused-no-relay"))
        }
        Some(load) if load.powers_hub => {
            Err(refuse(room.language, StatusCode::CONFLICT, "refused-powers-hub"))
        }
        Some(_) => Ok(view),
    }
}

async fn change(who: Who, wish: Result<Form<Wish>, FormRejection>, what: What) -> Response {
    let (State(room), Extension(Peer(peer)), headers) = who;
    let wish = match wish {
        Ok(Form(wish)) => wish,
        Err(rejection) => return refuse(room.language, rejection.status(), "refused-wish"),
    };
    let access = room.guard.access(&headers, peer.ip(), room.now(), true);
    let view = match wished(&room, wish.load, access) {
        Ok(view) => view,
        Err(refusal) => return refusal,
    };
    let mut cookie = None;
    if access == Access::NeedsPin {
        match room.guard.enter(&wish.pin, peer.ip(), room.now()) {
            Entered::Right(token) => cookie = Some(sessions::cookie(&token)),
            other => return wrong(&view, wish.load, what, &other),
        }
    }
    let mut response = send(&room, &view, wish.load, what).await;
    if let Some(cookie) = cookie {
        set_cookie(&mut response, &cookie);
    }
    response
}

/// The question again, with what was wrong with the PIN.
fn wrong(view: &View, load: u16, what: What, entered: &Entered) -> Response {
    let speaks = view.language;
    let (status, said, wait) = match entered {
        Entered::Wait(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            speaks.say("pin-wait", &[("span", span(speaks, *wait).into())]),
            Some(wait.0.ceil()),
        ),
        Entered::NoRandomness => (StatusCode::SERVICE_UNAVAILABLE, speaks.word("pin-no-session"), None),
        Entered::Nothing => (StatusCode::FORBIDDEN, speaks.word("pin-enter"), None),
        Entered::Wrong | Entered::Right(_) => (StatusCode::FORBIDDEN, speaks.word("pin-wrong"), None),
    };
    let mut response = (status, question(view, load, what, Access::NeedsPin, Some(&said))).into_response();
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, (seconds as u32).into());
    }
    response
}

/// Sends the wish and waits a moment for the cycle to take it up.
async fn send(room: &Room, view: &View, load: u16, what: What) -> Response {
    let request = match what {
        What::Keep => Request::KeepOn { load, span: HOUR },
        What::Release => Request::Release { load },
    };
    if room.ask.try_send(request).is_err() {
        return refuse(room.language, StatusCode::SERVICE_UNAVAILABLE, "refused-busy");
    }
    let name = &view.settings.loads[usize::from(load)].name;
    tracing::info!("a person asked to {} {name}", if what == What::Keep { "keep on" } else { "release" });
    let mut hub = room.hub.clone();
    let taken_up = hub.wait_for(|view| {
        let decided = view.as_ref().and_then(|view| view.decision.loads.get(usize::from(load)));
        decided.is_some_and(|load| load.pinned_until.is_some() == (what == What::Keep))
    });
    match timeout(TAKEN_UP, taken_up).await {
        Ok(Ok(_)) => to_page("/"),
        _ => to_page("/?asked=late"),
    }
}

fn to_page(place: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = cookie.parse() {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

fn refuse(language: Language, status: StatusCode, why: &str) -> Response {
    shell::refusal(language, status, &language.word(why))
}

/// What keeping a load on costs now.
fn cost(view: &View, number: usize) -> PinCost {
    let (settings, image, decision) = (&view.settings, &view.image, &view.decision);
    let load = &settings.loads[number];
    let draws = words::draws(settings, image, number, &decision.loads[number], true);
    let critical = settings.loads.iter().zip(&decision.loads).enumerate();
    let critical: Watts = critical
        .filter(|(other, (load, decided))| *other != number && load.tier == Tier::Critical && decided.on)
        .map(|(number, (_, decided))| words::draws(settings, image, number, decided, true))
        .sum();
    let planned = image.plan.as_ref().and_then(|plan| plan.slot_at(settings.digest(), image.now));
    let keep = match planned {
        Some(slot) => slot.keep[load.tier.place()],
        None => settings.reserve_level(load.tier),
    };
    pin_cost(settings, number, HOUR, draws, critical, decision.charge, keep.map(StateOfCharge::ratio))
}

fn question(
    view: &View,
    number: u16,
    what: What,
    access: Access,
    said: Option<&str>,
) -> maud::PreEscaped<String> {
    let number = usize::from(number);
    let load = &view.settings.loads[number];
    let speaks = view.language;
    let name = [("name", load.label.as_str().into())];
    let (title, action, yes) = match what {
        What::Keep => (speaks.say("keep-title", &name), "/keep", speaks.word("keep-yes")),
        What::Release => (speaks.say("release-title", &name), "/release", speaks.word("release-yes")),
    };
    let body = html! {
        h1 { (title) }
        @match what {
            What::Keep => (costs(view, load, &cost(view, number))),
            What::Release => p { (speaks.word("release-meaning")) },
        }
        @if let Some(said) = said { p class="note bad" role="alert" { (said) } }
        form method="post" action=(action) {
            input type="hidden" name="load" value=(number);
            @if access == Access::NeedsPin {
                label for="pin" { (speaks.word("wish-pin")) }
                input id="pin" name="pin" type="password" inputmode="numeric" pattern="[0-9]*" minlength="4"
                    maxlength="12" autocomplete="off" required;
            }
            button class="button main" { (yes) }
        }
        a class="button" href="/" { (speaks.word("wish-no")) }
    };
    shell::plain(speaks, &title, &body)
}

fn costs(view: &View, load: &Load, cost: &PinCost) -> Markup {
    let speaks = view.language;
    let tripped = match view.decision.alarm {
        Some(Alarm::BatteryEmpty | Alarm::Overload) => true,
        Some(_) => load.tier != Tier::Critical,
        None => false,
    };
    html! {
        p class="lead" { (words::tied(&language::cost_sentence(speaks, load, HOUR, cost))) }
        dl class="costs" {
            div { dt { (speaks.word("wish-energy")) } dd { (speaks.figure(cost.energy)) } }
            div { dt { (speaks.word("wish-share")) } dd { (words::percent(cost.share)) } }
            @if let Some(critical) = cost.critical {
                div { dt { (speaks.word("wish-critical")) } dd { (span(speaks, critical)) } }
            }
            div {
                dt { (speaks.word("wish-reserve")) }
                dd class=[cost.touches_reserve.then_some("warn")] {
                    (speaks.word(if cost.touches_reserve { "wish-reserve-touched" } else { "wish-reserve-whole" }))
                }
            }
        }
        @if tripped {
            p class="note watch" {
                (speaks.word("wish-protection"))
            }
        }
    }
}
