fn main() {
    web_peer::page::run();
}
