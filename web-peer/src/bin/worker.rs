//! The worker that runs a tab's node.

fn main() {
    web_peer::worker::run();
}
