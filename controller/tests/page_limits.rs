//! What a slow, greedy or silent client can take of the hub: little, and not for long.

mod page_client;
mod page_home;

use std::time::Duration;

use page_client::{Served, serve};
use page_home::Home;
use sunkeep::page::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

fn limits() -> Limits {
    Limits {
        head_within: Duration::from_millis(300),
        answer_within: Duration::from_millis(300),
        ..Limits::default()
    }
}

async fn page(limits: Limits) -> Served {
    serve(Home::new(0.9).publish(), "127.0.0.1:0", None, limits).await
}

/// Sends these bytes, keeps the connection open, and returns what came until the page closed it.
async fn linger(page: &Served, bytes: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(page.address).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    let mut answer = Vec::new();
    // A reset instead of an orderly end is an end, too.
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_connection_that_sends_no_request_or_half_of_one_is_closed() {
    let page = page(limits()).await;
    for bytes in [&b""[..], b"GET / HTTP/1.1\r\nHost: loc", b"GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let answer = linger(&page, bytes).await.expect("closed in time");
        assert!(!answer.contains("200 OK"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_idles_after_an_answer_is_closed() {
    let page = page(limits()).await;
    let answer = linger(&page, b"GET /api/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.expect("closed in time").contains("200 OK"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let page = page(limits()).await;
    let head = format!(
        "POST /keep HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nContent-Length: 20\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\nload",
        page.address
    );
    let answer = linger(&page, head.as_bytes()).await.expect("closed in time");
    assert!(answer.contains("408 Request Timeout"), "{answer}");
}

#[tokio::test]
async fn too_large_a_body_and_too_large_a_head_are_refused() {
    let page = page(Limits::default()).await;
    let body = format!("load=4&pin={}", "1".repeat(2000));
    assert_eq!(page.post("/keep", &body, "").await.status, 413);
    let head = format!("X-Long: {}\r\n", "x".repeat(20_000));
    assert_eq!(page.get("/", &head).await.status, 431);
    let lines = "X-Many: 1\r\n".repeat(100);
    assert_eq!(page.get("/", &lines).await.status, 431);
    assert_eq!(page.get("/", "").await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let page = page(Limits { connections: 4, head_within: Duration::from_secs(2), ..limits() }).await;
    let mut held = Vec::new();
    // From two addresses, for the limit of one must not stand in for the limit of all.
    for last in [1, 1, 2, 2] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        let mut stream = socket.connect(page.address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        held.push(stream);
    }
    tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>()).await.unwrap_err();
    let fifth = linger(&page, b"GET /api/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(fifth.as_deref(), Some(""), "closed at once, unanswered");
    drop(held);
    tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(page.get("/api/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped_after_the_life_of_a_connection() {
    let life = Duration::from_millis(500);
    let page = page(Limits { connections: 1, life, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(page.address).await.unwrap();
    // More answers than any socket buffers.
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(400);
    let _ = timeout(SOON, stream.write_all(&request)).await;
    let mut answered = false;
    for _ in 0..40 {
        let answer =
            linger(&page, b"GET /api/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        answered = answer.await.is_some_and(|answer| answer.contains("200 OK"));
        if answered {
            break;
        }
        tokio::time::timeout(Duration::from_millis(250), std::future::pending::<()>()).await.unwrap_err();
    }
    assert!(answered, "the only place never came back");
    drop(stream);
}

#[tokio::test]
async fn the_page_ends_with_the_hub() {
    let Served { address, publish, .. } = page(Limits::default()).await;
    assert!(TcpStream::connect(address).await.is_ok());
    drop(publish);
    for _ in 0..50 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await.unwrap_err();
    }
    panic!("still listening");
}
