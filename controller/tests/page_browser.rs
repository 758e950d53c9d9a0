//! The page in a real browser, at phone size: headless Chromium, driven by `tests/browser/page.mjs`.
//!
//! Needs Debian's `chromium`, Node.js 20 and `npm ci --prefix tests/browser`; fails where they are missing.
//! `SUNKEEP_CHROMIUM` names another Chromium. Screenshots go to `page/` in the target folder's `tmp`.

#![allow(clippy::expect_used)]

mod page_home;

use std::path::{Path, PathBuf};
use std::process::Command;

use page_home::Home;
use sunkeep::config::Page;
use sunkeep::language::Language;
use tokio::net::TcpListener;

const HINT: &str = "install what the browser test needs: `apt-get install chromium nodejs npm`, then `npm ci \
                    --prefix tests/browser` in the root of the project";
const PIN: &str = "2468";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser")
}

fn chromium() -> PathBuf {
    std::env::var_os("SUNKEEP_CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from)
}

#[tokio::test]
async fn a_household_reads_it_on_a_phone_and_keeps_the_tv_on() {
    assert!(scripts().join("node_modules/playwright-core").is_dir(), "no playwright-core: {HINT}");
    assert!(chromium().is_file(), "no {}: {HINT}", chromium().display());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let listen = listener.local_addr().expect("has an address");
    let page = Page { listen, pin: Some(PIN.into()), language: Language::default() };
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&shots).expect("the target folder can be written");
    let mut browser = Command::new("node");
    browser
        .arg(scripts().join("page.mjs"))
        .arg(format!("http://{listen}"))
        .arg(PIN)
        .arg(&shots)
        .arg(chromium());
    let driven = tokio::task::spawn_blocking(move || browser.output());
    let output = tokio::select! {
        ended = page_home::serve(listener, page, Home::dull()) => panic!("the page ended: {ended:?}"),
        output = driven => output.expect("the browser's thread lives"),
    };
    let output = output.unwrap_or_else(|error| panic!("node cannot be run: {error}; {HINT}"));
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{said}\n{failed}");
}
