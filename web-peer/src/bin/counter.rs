//! A worker that counts.

fn main() {
    web_peer::counter::run();
}
