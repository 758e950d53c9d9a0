//! What answers where, and what every answer has gone through.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Query, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::room::Room;
use super::wire::Peer;
use super::{PeopleClock, api, ask, headers, origin, parts, shell};
use crate::language::Language;

/// Routes and the clock they go by.
pub(super) struct Routes {
    pub(super) routes: Router,
    pub(super) clock: PeopleClock,
}

pub(super) fn router(room: Arc<Room>) -> Routes {
    let clock = Arc::clone(&room.clock);
    let routes = Router::new()
        .route("/", get(home))
        .route("/live", get(live))
        .route("/keep", get(ask::confirm_keep).post(ask::keep))
        .route("/release", get(ask::confirm_release).post(ask::release))
        .route("/lock", post(ask::lock))
        .route("/api", get(api::fields))
        .route("/api/view", get(api::view))
        .route("/api/healthz", get(api::health))
        .fallback(|| async {
            shell::refusal(Language::English, StatusCode::NOT_FOUND, "There is no such page.")
        })
        .method_not_allowed_fallback(|| async {
            shell::refusal(Language::English, StatusCode::METHOD_NOT_ALLOWED, "This cannot be done here.")
        })
        .layer(DefaultBodyLimit::max(room.limits.body_bytes))
        .layer(from_fn_with_state(Arc::clone(&room), guarded))
        .layer(from_fn_with_state(Arc::clone(&room), in_time))
        .layer(from_fn(headers::secured))
        .with_state(room);
    Routes { routes, clock }
}

/// Refuses requests that call the hub by a name that could be a stranger's, and changes that no page of its
/// own sent.
async fn guarded(State(room): State<Arc<Room>>, request: HttpRequest, next: Next) -> Response {
    let named = origin::host(request.headers()).is_some_and(|host| origin::own_host(host, &room.machine));
    if !named {
        return shell::refusal(
            Language::English,
            StatusCode::MISDIRECTED_REQUEST,
            "Open this page by the hub's address, such as http://192.168.1.7:8080, or its own name.",
        );
    }
    let reads = matches!(*request.method(), axum::http::Method::GET | axum::http::Method::HEAD);
    if !reads && !origin::same_origin(request.headers()) {
        return shell::refusal(
            Language::English,
            StatusCode::FORBIDDEN,
            "Nothing was changed: this was not sent by a page of the hub itself.",
        );
    }
    next.run(request).await
}

/// Gives up on a request whose body does not come.
async fn in_time(State(room): State<Arc<Room>>, request: HttpRequest, next: Next) -> Response {
    tokio::time::timeout(room.limits.answer_within, next.run(request)).await.unwrap_or_else(|_| {
        shell::refusal(Language::English, StatusCode::REQUEST_TIMEOUT, "That took too long.")
    })
}

#[derive(Deserialize)]
struct Asked {
    asked: Option<String>,
}

/// The page.
async fn home(
    State(room): State<Arc<Room>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let access = room.guard.access(&headers, peer.ip(), room.now(), false);
    let (view, age) = room.look();
    let late = query.is_ok_and(|Query(asked)| asked.asked.is_some());
    match view {
        Some(view) => shell::live(&parts::home(&room, &view, age, access, late)).into_response(),
        None => shell::starting(room.language).into_response(),
    }
}

#[derive(Deserialize)]
struct Has {
    #[serde(default)]
    charts: String,
}

/// The parts of the page that change, for the script: `{"home":…,"charts":…,"parts":{id: html}}`. The charts
/// come only when they differ from those that the browser has.
async fn live(
    State(room): State<Arc<Room>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    has: Result<Query<Has>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let access = room.guard.access(&headers, peer.ip(), room.now(), false);
    let (view, age) = room.look();
    let Some(view) = view else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "3")], "starting").into_response();
    };
    let has = has.map(|Query(has)| has.charts).unwrap_or_default();
    let home = parts::home(&room, &view, age, access, false);
    axum::Json(home.as_json(&has)).into_response()
}
