//! A release binary carries the page: it is built anew when the page was.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A debug binary reads the page from its directory while it runs.
    if std::env::var("PROFILE").is_ok_and(|profile| profile != "debug") {
        println!("cargo::rerun-if-changed=../dist");
    }
}
