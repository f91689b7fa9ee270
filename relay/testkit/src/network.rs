//! A network of its own, inside the test: hosts in network namespaces, and links that lose packets.
//!
//! Namespaces are made in a user namespace, so no privilege is needed and nothing outside is touched. Only a process
//! with one thread can enter one: [`run_inside`] therefore starts the test a second time, in there. When it ends, the
//! kernel takes processes, links and rules away.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const INSIDE: &str = "WORDRAFT_TEST_INSIDE_ITS_NETWORK";

/// What the test itself, and everything that it starts as usual, is reached at.
pub const CENTRE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Whether this process is the one that [`run_inside`] started.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test of this name again, in a network of its own, and fails if it fails.
pub fn run_inside(test: &str) {
    let test_binary = std::env::current_exe().expect("a running test has a path");
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"])
        .arg("--mount-proc")
        .arg(test_binary)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "yes");
    let status = command.status().expect("unshare (util-linux) starts");
    assert!(status.success(), "{test} inside its own network: {status}");
}

/// The one network of this process.
pub struct Network(());

/// A machine of its own, as far as the network is concerned.
pub struct Host {
    pub address: Ipv4Addr,
    namespace: PathBuf,
}

/// Packets that are lost on their way between a host and a port of the centre.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    pub host: Ipv4Addr,
    pub way: Way,
    /// Of a hundred; all of them are a cut.
    pub percent: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToCentre,
    FromCentre,
}

impl Network {
    /// Sets up a bridge for hosts to be connected to.
    pub fn new() -> Network {
        assert!(is_inside(), "a network is made inside of run_inside only");
        // Where `ip netns` keeps its names; the mount is this test's own.
        run("mount", ["-t", "tmpfs", "none", "/run"]);
        run("ip", ["link", "set", "lo", "up"]);
        run("ip", ["link", "add", "centre", "type", "bridge"]);
        run("ip", ["address", "add", &format!("{CENTRE}/24"), "dev", "centre"]);
        run("ip", ["link", "set", "centre", "up"]);
        feed_nft(
            "add table inet faults\n\
             add chain inet faults to_centre { type filter hook input priority 0; }\n\
             add chain inet faults from_centre { type filter hook output priority 0; }\n",
        );
        Network(())
    }

    /// Number 1 is the centre; others up to 254 may be taken once each.
    pub fn host(&self, number: u8) -> Host {
        assert!((2..255).contains(&number));
        let (name, link) = (format!("host{number}"), format!("link{number}"));
        let address = Ipv4Addr::new(10, 77, 0, number);
        run("ip", ["netns", "add", &name]);
        run("ip", ["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &name]);
        run("ip", ["link", "set", &link, "master", "centre", "up"]);
        let host = Host { address, namespace: PathBuf::from(format!("/run/netns/{name}")) };
        for arguments in [
            ["link", "set", "lo", "up"].as_slice(),
            &["address", "add", &format!("{address}/24"), "dev", "eth0"],
            &["link", "set", "eth0", "up"],
        ] {
            succeed(host.command("ip").args(arguments));
        }
        host
    }

    /// Puts these losses in the place of those before, for the traffic of this port of the centre.
    pub fn lose(&self, port: u16, losses: &[Loss]) {
        let mut rules = "flush chain inet faults to_centre\nflush chain inet faults from_centre\n".to_owned();
        for Loss { host, way, percent } in losses {
            let (chain, address, side) = match way {
                Way::ToCentre => ("to_centre", "saddr", "dport"),
                Way::FromCentre => ("from_centre", "daddr", "sport"),
            };
            let chance =
                if *percent < 100 { format!("numgen random mod 100 < {percent}") } else { String::new() };
            let packets = format!("ip {address} {host} tcp {side} {port}");
            let _ = writeln!(rules, "add rule inet faults {chain} {packets} {chance} drop");
        }
        feed_nft(&rules);
    }
}

impl Default for Network {
    fn default() -> Network {
        Network::new()
    }
}

impl Host {
    /// A command that runs on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace.display())).arg("--").arg(program);
        command
    }
}

fn run<const N: usize>(program: &str, arguments: [&str; N]) {
    succeed(Command::new(program).args(arguments));
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn feed_nft(rules: &str) {
    let file = tempfile::NamedTempFile::new_in("/run").expect("a file for rules");
    std::fs::write(file.path(), rules).expect("rules are written");
    succeed(Command::new("nft").arg("-f").arg(file.path()));
}
