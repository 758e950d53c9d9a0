//! Connections to the page. The first byte says to which of two pages: one with a PIN, which nobody on
//! these connections knows, so that no wish may ever come out of them; one without, on loopback.
#![no_main]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sunkeep::config::{Home, Page};
use sunkeep::language::Language;
use sunkeep::page::fuzzing::Answering;
use sunkeep::page::{Limits, Server};
use sunkeep::view::{Counts, View};
use sunkeep_core::image::Request;
use sunkeep_core::{ProcessImage, State, step};
use sunkeep_models::time::Uptime;
use tokio::sync::{mpsc, watch};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
const NOW: Uptime = Uptime::from_seconds(1000);

struct Pages {
    runtime: tokio::runtime::Runtime,
    guarded: Answering,
    open: Answering,
    wishes: mpsc::Receiver<Request>,
    _view: watch::Sender<Option<Arc<View>>>,
}

fn view() -> View {
    let text = include_str!("../../controller/hub.example.toml");
    let home = Home::parse("hub.example.toml", text).expect("the example");
    let image = ProcessImage::empty(NOW, &home.settings);
    let decision = step(&home.settings, State::new(&home.settings), &image).1;
    View {
        site: home.name.into(),
        zone: Arc::new(home.zone),
        language: Language::default(),
        settings: Arc::new(home.settings),
        image: Arc::new(image),
        decision: Arc::new(decision),
        forecasts: None,
        past: Arc::default(),
        devices: Arc::default(),
        meters: Arc::default(),
        uplink: None,
        faults: Arc::default(),
        counts: Counts::default(),
    }
}

fn pages() -> Pages {
    let (view, watch) = watch::channel(Some(Arc::new(view())));
    let (ask, wishes) = mpsc::channel(16);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let page = |pin: Option<&str>, ask| {
        let page = Page { listen, pin: pin.map(Into::into), language: Language::default() };
        let clock = Arc::new(|| NOW);
        Answering::new(Server { page, view: watch.clone(), ask, clock, limits: Limits::default() }, listen)
    };
    Pages {
        runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
        guarded: page(Some("739105826104"), ask),
        // Nobody takes these wishes, so nobody waits for them.
        open: page(None, mpsc::channel(1).0),
        wishes,
        _view: view,
    }
}

thread_local!(static PAGES: std::cell::RefCell<Pages> = std::cell::RefCell::new(pages()));

fuzz_target!(|data: &[u8]| {
    let Some((&which, sent)) = data.split_first() else { return };
    PAGES.with_borrow_mut(|pages| {
        let page = if which % 2 == 0 { &pages.guarded } else { &pages.open };
        let answer = pages.runtime.block_on(page.answer(PEER, sent));
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "an answer that is no HTTP");
        assert!(pages.wishes.try_recv().is_err(), "a wish came out without the PIN");
    });
});
