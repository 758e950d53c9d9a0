//! What the page shows, as JSON, for scripts and other displays. Every field is described in
//! [`super::api_fields`], which `/api` shows.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use maud::html;
use serde_json::{Value, json};
use sunkeep_models::time::SLOT_SECONDS;

use super::api_fields::FIELDS;
use super::room::{OLD, Room};
use super::{night, shell};
use crate::decided;
use crate::language::Language;
use crate::view::{Forecasts, POINT_MINUTES, View};

/// All that is shown.
pub(super) async fn view(State(room): State<Arc<Room>>) -> Response {
    let (view, age) = room.look();
    match view {
        Some(view) => axum::Json(document(&view, age.0)).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({ "error": "starting" }))).into_response(),
    }
}

/// Whether the hub is alive: 200 while cycles complete, else 503.
pub(super) async fn health(State(room): State<Arc<Room>>) -> Response {
    let (view, age) = room.look();
    let (status, word) = match &view {
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Some(_) if age > OLD => (StatusCode::SERVICE_UNAVAILABLE, "stuck"),
        Some(_) => (StatusCode::OK, "ok"),
    };
    let cycles = view.map_or(0, |view| view.counts.cycles);
    (status, axum::Json(json!({ "status": word, "view_age_s": age.0, "cycles": cycles }))).into_response()
}

/// What each field means.
pub(super) async fn fields() -> Response {
    let body = html! {
        h1 { "Fields of /api/view" }
        p { "Missing values are null. Power and current of the battery are positive into it. "
            "/api/healthz answers 200 while the hub works, else 503." }
        dl class="fields" {
            @for (field, unit, meaning) in FIELDS {
                div { dt { code { (field) } @if !unit.is_empty() { " " (unit) } } dd { (meaning) } }
            }
        }
    };
    shell::plain(Language::English, "Fields of /api/view", &body).into_response()
}

/// The document for this view.
pub(super) fn document(view: &View, age: f64) -> Value {
    let (settings, image, decision) = (&view.settings, &view.image, &view.decision);
    let fresh = |reading| image.fresh(settings, reading);
    let answer = night::answer(view);
    json!({
        "site": *view.site,
        "time_zone": view.zone.name(),
        "view_age_s": age,
        "uptime_s": image.now.0 as f64 / 1000.0,
        "unix_s": image.wall.map(|wall| wall.unix),
        "answer": { "tone": answer.tone.word(), "headline": answer.headline, "detail": answer.detail },
        "battery": decided::battery(settings, image, decision),
        "sun_w": fresh(image.sun),
        "load_w": fresh(image.load),
        "basis": decided::basis(decision),
        "background_work": decision.background_work,
        "alarm": night::alarm(view),
        "care": night::needs(view),
        "loads": decided::loads(settings, image, decision, view.language),
        "forecast": view.forecasts.as_deref().map(forecast),
        "past_minutes": POINT_MINUTES,
        "past": *view.past,
        "devices": *view.devices,
        "meters": *view.meters,
        "faults": *view.faults,
        "uplink": view.uplink.as_ref().map(|standing| standing.borrow().clone()),
        "counts": view.counts,
    })
}

fn forecast(forecasts: &Forecasts) -> Value {
    let outlook = &forecasts.outlook;
    json!({
        "issued_unix_s": outlook.plan.issued.start(),
        "slot_s": SLOT_SECONDS,
        "load_by": forecasts.load_by,
        "load_skill": forecasts.skill,
        "sun_skill": forecasts.sun_skill,
        "load_p10_w": forecasts.load.p10,
        "load_p50_w": forecasts.load.p50,
        "load_p90_w": forecasts.load.p90,
        "sun_p10_w": forecasts.sun.p10,
        "sun_p50_w": forecasts.sun.p50,
        "sun_p90_w": forecasts.sun.p90,
        "expected_charge": outlook.expected,
        "keep": outlook.keep,
    })
}
