//! Serves the page of a made-up home, to look at it: `cargo run -p sunkeep --example page_preview -- [charge
//! in percent] [language] [PIN]`. The home is planned and decided by the real core, a cycle a second, and takes wishes.

#[path = "../tests/page_home/mod.rs"]
mod page_home;

use sunkeep::config::Page;
use sunkeep::language::Language;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(preview())
}

async fn preview() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let charge = arguments.next().and_then(|percent| percent.parse::<f64>().ok()).unwrap_or(54.0) / 100.0;
    let language = arguments.next().and_then(|tag| Language::tagged(&tag)).unwrap_or_default();
    let page = Page { listen: ([127, 0, 0, 1], 8080).into(), pin: arguments.next(), language };
    let listener = tokio::net::TcpListener::bind(page.listen).await?;
    println!("http://{}", page.listen);
    let mut home = page_home::Home::new(charge);
    home.view.language = language;
    page_home::serve(listener, page, home).await
}
