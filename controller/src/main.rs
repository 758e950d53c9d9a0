//! The hub of a home.

fn main() {
    sunkeep::log::start();
}
