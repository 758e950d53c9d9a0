//! The page of a made-up home, served over a real socket, and a client that sends exactly what it is told.

#![allow(dead_code, unreachable_pub, clippy::expect_used, reason = "each test file uses its own part")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sunkeep::config::Page;
use sunkeep::language::Language;
use sunkeep::page::{Limits, Server};
use sunkeep::view::View;
use sunkeep_core::image::Request;
use sunkeep_models::time::Uptime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::page_home::Home;

/// A served page.
pub struct Served {
    pub address: SocketAddr,
    /// Publishes views by hand; dropped with it, the page ends.
    pub publish: watch::Sender<Option<Arc<View>>>,
    /// What was asked for and not taken yet.
    pub asked: mpsc::Receiver<Request>,
    /// Seconds on the clock of the people.
    pub clock: Arc<AtomicU64>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The cookie that was set, as it is sent back.
    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie").expect("a cookie was set");
        format!("Cookie: {}\r\n", set.split(';').next().expect("has a value"))
    }

    /// The text of the page: no tags, units not tied.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for letter in self.body.chars() {
            match letter {
                '<' => inside = true,
                '>' => inside = false,
                '\u{a0}' => text.push(' '),
                letter if !inside => text.push(letter),
                _ => {}
            }
        }
        text
    }
}

/// Serves this view at `listen`, with a clock that stands at 1000 s.
pub async fn serve(view: Option<Arc<View>>, listen: &str, pin: Option<&str>, limits: Limits) -> Served {
    let language = view.as_ref().map_or_else(Language::default, |view| view.language);
    let listener = TcpListener::bind(listen).await.expect("a port is free");
    let mut address = listener.local_addr().expect("has an address");
    let (publish, watch) = watch::channel(view);
    let (ask, asked) = mpsc::channel(4);
    let clock = Arc::new(AtomicU64::new(1000));
    let told = Arc::clone(&clock);
    let server = Server {
        page: Page { listen: address, pin: pin.map(Into::into), language },
        view: watch,
        ask,
        clock: Arc::new(move || Uptime::from_seconds(told.load(Ordering::SeqCst))),
        limits,
    };
    tokio::spawn(server.serve(listener, std::future::pending()));
    address.set_ip([127, 0, 0, 1].into());
    Served { address, publish, asked, clock }
}

/// As [`serve`], on loopback with the usual limits.
pub async fn serve_home(home: &Home, pin: Option<&str>) -> Served {
    serve(home.publish(), "127.0.0.1:0", pin, Limits::default()).await
}

impl Served {
    pub fn advance(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sends these bytes and reads until the page closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("the page listens");
        stream.write_all(bytes).await.expect("the page reads");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        read.expect("the page answers in time").expect("the page answers");
        let answer = String::from_utf8(answer).expect("an answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.into(), body: body.into() }
    }

    /// Asks for a page; `headers` are whole lines.
    pub async fn get(&self, path: &str, headers: &str) -> Answer {
        let host = self.address;
        self.raw(
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
        )
        .await
    }

    /// Sends a form as a page of the hub would; `headers` are whole lines.
    pub async fn post(&self, path: &str, form: &str, headers: &str) -> Answer {
        let origin = format!("Origin: http://{}\r\n{headers}", self.address);
        self.post_from(path, form, &origin).await
    }

    /// Sends a form with no headers but these.
    pub async fn post_from(&self, path: &str, form: &str, headers: &str) -> Answer {
        let (host, length) = (self.address, form.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n{headers}\r\n{form}"
        );
        self.raw(request.as_bytes()).await
    }

    /// Lets a hub run behind the page: it takes wishes up in the next cycle. Returns what it took.
    pub fn run_hub(mut self, mut home: Home) -> (Running, Arc<Mutex<Vec<Request>>>) {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&taken);
        let running = Running { address: self.address, clock: Arc::clone(&self.clock) };
        tokio::spawn(async move {
            while let Some(request) = self.asked.recv().await {
                noted.lock().expect("nobody panicked").push(request);
                home.ask(request);
                home.cycle();
                self.publish.send_replace(home.publish());
            }
        });
        (running, taken)
    }
}

/// A page with a hub behind it.
pub struct Running {
    pub address: SocketAddr,
    pub clock: Arc<AtomicU64>,
}

impl Running {
    fn client(&self) -> Served {
        let (publish, _) = watch::channel(None);
        let (_, asked) = mpsc::channel(1);
        Served { address: self.address, publish, asked, clock: Arc::clone(&self.clock) }
    }

    pub fn advance(&self, seconds: u64) {
        self.client().advance(seconds);
    }

    pub async fn get(&self, path: &str, headers: &str) -> Answer {
        self.client().get(path, headers).await
    }

    pub async fn post(&self, path: &str, form: &str, headers: &str) -> Answer {
        self.client().post(path, form, headers).await
    }

    pub async fn post_from(&self, path: &str, form: &str, headers: &str) -> Answer {
        self.client().post_from(path, form, headers).await
    }
}
