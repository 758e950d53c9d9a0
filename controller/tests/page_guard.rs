//! Who may change something through the page, and who may not.

mod page_client;
mod page_home;

use std::sync::Arc;

use page_client::{Running, serve, serve_home};
use page_home::Home;
use sunkeep::page::Limits;
use sunkeep_core::image::Request;
use sunkeep_models::quantity::Seconds;

const TV: &str = "load=4";
const HOUR: Request = Request::KeepOn { load: 4, span: Seconds(3600.0) };

/// The PIN entered on the page's own form.
async fn enter(page: &Running, pin: &str) -> page_client::Answer {
    page.post("/keep", &format!("{TV}&pin={pin}"), "").await
}

#[tokio::test]
async fn a_wish_is_told_its_cost_confirmed_shown_with_its_end_and_taken_back() {
    let home = Home::new(0.45);
    let (page, taken) = serve_home(&home, None).await.run_hub(home);
    let text = page.get("/keep?load=4", "").await.text();
    for expected in [
        "Keep TV on for an hour?",
        "TV on for an hour takes 60 Wh (3 % of the battery)",
        "Critical loads could live on it for63 min",
        "it comes out of their reserve.",
        "is touched",
        "Yes, keep it on",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in {text}");
    }
    assert!(taken.lock().unwrap().is_empty(), "looking asks for nothing");

    let answer = page.post("/keep", TV, "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    assert_eq!(*taken.lock().unwrap(), [HOUR]);
    let text = page.get("/", "").await.text();
    assert!(text.contains("Asked to stay on until 21:11, an hour more."), "{text}");
    assert!(text.contains("Release"));

    assert!(page.get("/release?load=4", "").await.text().contains("Release TV?"));
    assert_eq!(page.post("/release", TV, "").await.status, 303);
    assert_eq!(*taken.lock().unwrap(), [HOUR, Request::Release { load: 4 }]);
    assert!(!page.get("/", "").await.text().contains("Asked to stay on"));
}

#[tokio::test]
async fn without_a_pin_only_this_machine_itself_may_change() {
    let home = Home::new(0.45);
    let page = serve(home.publish(), "0.0.0.0:0", None, Limits::default()).await;
    let (page, taken) = page.run_hub(home.clone());
    assert_eq!(page.get("/", "").await.status, 200);
    assert!(page.get("/", "").await.text().contains("Here you can only look."));
    assert!(!page.get("/", "").await.body.contains("/keep?load"));
    assert_eq!(page.get("/keep?load=4", "").await.status, 403);
    assert_eq!(page.post("/keep", TV, "").await.status, 403);

    let (page, by_proxy) = serve_home(&home, None).await.run_hub(home);
    for proxy in ["X-Forwarded-For: 10.0.0.9\r\n", "Forwarded: for=10.0.0.9\r\n", "Via: 1.1 proxy\r\n"] {
        assert_eq!(page.post("/keep", TV, proxy).await.status, 403, "{proxy}");
    }
    assert!(taken.lock().unwrap().is_empty() && by_proxy.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_pin_opens_a_session_that_needs_no_pin_until_it_is_locked() {
    let home = Home::new(0.45);
    let (page, taken) = serve_home(&home, Some("2468")).await.run_hub(home);
    assert!(page.get("/keep?load=4", "").await.body.contains("type=\"password\""));
    assert_eq!(page.post("/keep", TV, "").await.status, 403, "no PIN, loopback or not");
    assert_eq!(enter(&page, "2469").await.status, 403);
    assert_eq!(page.post("/keep", TV, "Cookie: sunkeep=0000\r\n").await.status, 403);
    assert!(taken.lock().unwrap().is_empty());

    let right = enter(&page, "2468").await;
    assert_eq!(right.status, 303);
    let set = right.header("set-cookie").unwrap();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
        assert!(set.contains(flag), "{set}");
    }
    let cookie = right.cookie();
    assert!(!page.get("/keep?load=4", &cookie).await.body.contains("type=\"password\""));
    assert_eq!(page.post("/release", TV, &cookie).await.status, 303);
    assert!(page.get("/", &cookie).await.text().contains("Lock: ask for the PIN again"));

    let locked = page.post("/lock", "", &cookie).await;
    assert!(locked.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(page.post("/keep", TV, &cookie).await.status, 403);
    assert_eq!(*taken.lock().unwrap(), [HOUR, Request::Release { load: 4 }]);
}

#[tokio::test]
async fn a_session_ends_a_quarter_of_an_hour_after_the_last_act_though_the_page_renews_itself() {
    let home = Home::new(0.45);
    let (page, _) = serve_home(&home, Some("2468")).await.run_hub(home);
    let cookie = enter(&page, "2468").await.cookie();
    for _ in 0..7 {
        page.advance(120);
        assert_eq!(page.get("/live", &cookie).await.status, 200);
    }
    assert_eq!(page.get("/keep?load=4", &cookie).await.status, 200, "an act, after 14 min");
    page.advance(14 * 60);
    assert_eq!(page.post("/keep", TV, &cookie).await.status, 303);
    for _ in 0..15 {
        page.advance(60);
        page.get("/live", &cookie).await;
        page.get("/", &cookie).await;
    }
    assert_eq!(page.post("/keep", TV, &cookie).await.status, 403);
}

#[tokio::test]
async fn wrong_pins_make_the_next_attempt_wait_longer_and_longer() {
    let home = Home::new(0.45);
    let (page, taken) = serve_home(&home, Some("2468")).await.run_hub(home);
    for status in [403, 403, 429] {
        assert_eq!(enter(&page, "1111").await.status, status);
    }
    let waits = enter(&page, "2468").await;
    assert_eq!((waits.status, waits.header("retry-after")), (429, Some("5")), "the right one waits too");
    assert!(page.get("/keep?load=4", "").await.text().contains("try again in 5 s"));
    page.advance(5);
    let wrong = enter(&page, "1111").await;
    assert_eq!((wrong.status, wrong.header("retry-after")), (429, Some("10")));
    page.advance(10);
    assert_eq!(enter(&page, "2468").await.status, 303);
    assert_eq!(enter(&page, "1111").await.status, 403, "and all is forgiven");
    assert_eq!(taken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn many_attempts_at_once_are_counted_one_by_one() {
    let home = Home::new(0.45);
    let (page, _) = serve_home(&home, Some("2468")).await.run_hub(home);
    let page = Arc::new(page);
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let page = Arc::clone(&page);
            tokio::spawn(async move { enter(&page, "1111").await.status })
        })
        .collect();
    let mut free = 0;
    for attempt in attempts {
        free += usize::from(attempt.await.unwrap() == 403);
    }
    assert_eq!(free, 2);
}

#[tokio::test]
async fn a_page_of_somebody_else_changes_nothing_and_costs_no_attempt() {
    let home = Home::new(0.45);
    let (page, taken) = serve_home(&home, None).await.run_hub(home);
    let own = format!("http://{}", page.address);
    for headers in [
        String::new(),
        "Origin: null\r\n".into(),
        "Origin: http://evil.example\r\n".into(),
        format!("Origin: {own}.evil.example\r\n"),
        format!("Origin: http://evil.example\r\nReferer: {own}/\r\n"),
        format!("Origin: {own}\r\nSec-Fetch-Site: cross-site\r\n"),
    ] {
        assert_eq!(page.post_from("/keep", TV, &headers).await.status, 403, "{headers}");
        assert_eq!(page.post_from("/lock", "", &headers).await.status, 403, "{headers}");
    }
    assert!(taken.lock().unwrap().is_empty());
    assert_eq!(page.post_from("/keep", TV, &format!("Referer: {own}/keep\r\n")).await.status, 303);
}

#[tokio::test]
async fn a_strangers_name_for_the_hub_is_refused_before_anything_else() {
    let home = Home::new(0.45);
    let page = serve_home(&home, None).await;
    let port = page.address.port();
    let by = async |path: &str, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        page.raw(request.as_bytes()).await
    };
    for path in ["/", "/live", "/api/view", "/keep?load=4", "/nothing"] {
        for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.nip.io"] {
            let answer = by(path, host).await;
            assert_eq!(answer.status, 421, "{path} by {host}");
            assert!(!answer.body.contains("Lights"));
        }
    }
    for host in [format!("localhost:{port}"), format!("[::1]:{port}"), format!("192.168.1.7:{port}")] {
        assert_eq!(by("/", &host).await.status, 200, "{host}");
    }
    let none = page.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert_eq!(none.status, 421);
    let two = page.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n").await;
    assert!(two.status == 421 || two.status == 400, "{}", two.status);
}

#[tokio::test]
async fn wishes_that_cannot_be_granted_are_refused_with_the_reason() {
    let home = Home::new(0.45);
    let (page, taken) = serve_home(&home, None).await.run_hub(home);
    for (form, status) in
        [("load=99", 404), ("load=2", 409), ("load=-1", 422), ("load=x", 422), ("", 422), ("load=70000", 422)]
    {
        assert_eq!(page.post("/keep", form, "").await.status, status, "{form}");
    }
    for (path, status) in
        [("/keep?load=99", 404), ("/keep?load=2", 409), ("/keep", 400), ("/keep?load=x", 400)]
    {
        assert_eq!(page.get(path, "").await.status, status, "{path}");
    }
    assert!(taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_hub_that_takes_no_wishes_is_told_to_the_person() {
    let home = Home::new(0.45);
    let mut page = serve_home(&home, None).await;
    let late = page.post("/keep", TV, "").await;
    assert_eq!((late.status, late.header("location")), (303, Some("/?asked=late")));
    let told = page.get("/?asked=late", "").await.text();
    assert!(told.contains("the hub has not taken it up yet"), "{told}");
    assert_eq!(page.asked.try_recv(), Ok(HOUR));

    page.asked.close();
    let refused = page.post("/keep", TV, "").await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("Nothing was changed"));
}
