//! The frame around every page: head, style and script, nothing from elsewhere.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::parts::Home;
use super::words;
use crate::language::Language;

/// The one style sheet.
pub(super) const STYLE: &str = include_str!("page.css");
/// The one script.
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Seconds after which a browser without scripts loads the page again.
const RELOAD: &str = "30";

fn frame(language: Language, title: &str, reload: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                (reload)
                style { (PreEscaped(STYLE)) }
            }
            (body)
        }
    }
}

/// The page, which renews itself.
pub(super) fn live(home: &Home) -> Markup {
    let speaks = home.language;
    let reload = html! { noscript { meta http-equiv="refresh" content=(RELOAD); } };
    let body = html! {
        body data-home=(home.key) data-charts=(home.charts_version) {
            header { p class="site" { (home.site) } @for (id, part) in home.top.iter().take(1) { p id=(id) { (part) } } }
            main {
                // The script puts the time of the phone in the place of the sign.
                p id="lost" class="note bad" role="alert" hidden
                    data-say=(speaks.say("note-lost", &[("time", "%".into())])) {}
                @if home.late {
                    p class="note watch" role="status" {
                        (speaks.word("note-late"))
                    }
                }
                @for (id, part) in home.top.iter().skip(1) { (top_part(speaks, id, part)) }
                section aria-labelledby="loads" {
                    h2 id="loads" { (speaks.word("loads")) }
                    @for tier in &home.tiers {
                        @let (name, meaning) = words::tier(speaks, tier.tier);
                        h3 { (name) span { " " (meaning) } }
                        ul class="loads" { @for (id, load) in &tier.loads { li id=(id) { (load) } } }
                    }
                    @for (id, part) in home.bottom.iter().take(1) { div id=(id) { (part) } }
                }
                div id="charts" { (PreEscaped(&home.charts)) }
                section aria-labelledby="hub" {
                    h2 id="hub" { (speaks.word("devices")) }
                    @for (id, part) in home.bottom.iter().skip(1).take(1) { div id=(id) { (part) } }
                }
            }
            footer { @for (id, part) in home.bottom.iter().skip(2) { div id=(id) { (part) } } }
            script { (PreEscaped(SCRIPT)) }
        }
    };
    frame(speaks, &home.site, &reload, &body)
}

fn top_part(language: Language, id: &str, part: &Markup) -> Markup {
    match id {
        "answer" => html! { div id=(id) role="status" { (part) } },
        "old" | "alarm" => html! { div id=(id) role="alert" { (part) } },
        _ => html! { section id=(id) aria-label=(language.word("battery-and-sun")) class="card" { (part) } },
    }
}

/// A page that stays as it is.
pub(super) fn plain(language: Language, title: &str, body: &Markup) -> Markup {
    frame(language, title, &html! {}, &html! { body { main class="plain" { (body) } } })
}

/// Nothing has been published yet.
pub(super) fn starting(language: Language) -> (StatusCode, Markup) {
    let reload = html! { meta http-equiv="refresh" content="3"; };
    let body = html! { body { main class="plain" {
        h1 { (language.word("starting-title")) }
        p { (language.word("starting-detail")) }
    } } };
    (StatusCode::SERVICE_UNAVAILABLE, frame(language, &language.word("starting"), &reload, &body))
}

/// A refusal, with the way back.
pub(super) fn refusal(language: Language, status: StatusCode, why: &str) -> Response {
    let body = html! { h1 { (why) } a class="button" href="/" { (language.word("back")) } };
    (status, plain(language, "Sunkeep", &body)).into_response()
}
