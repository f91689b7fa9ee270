//! Three servers of either kind, as both benchmarks treat them.

use crate::client::Client;
use crate::etcd::Etcd;
use crate::wordraft::{Layout, Wordraft};

pub const MEMBERS: usize = 3;

pub enum Servers {
    Wordraft(Wordraft),
    Etcd(Etcd),
}

impl Servers {
    pub async fn wordraft(layout: Layout) -> Servers {
        Servers::Wordraft(Wordraft::start(layout).await)
    }

    pub async fn etcd() -> Servers {
        Servers::Etcd(Etcd::start().await)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Servers::Wordraft(wordraft) => wordraft.name(),
            Servers::Etcd(_) => "etcd",
        }
    }

    /// A client with a connection of its own to one member.
    pub fn client(&self, member: usize) -> Client {
        match self {
            Servers::Wordraft(wordraft) => wordraft.client(member),
            Servers::Etcd(etcd) => etcd.client(member),
        }
    }

    /// Waits until all members are there, have caught up and agree who leads: that one.
    pub async fn leader(&self) -> usize {
        match self {
            Servers::Wordraft(wordraft) => wordraft.leader().await,
            Servers::Etcd(etcd) => etcd.leader().await,
        }
    }

    /// kill -9.
    pub fn kill(&mut self, member: usize) {
        match self {
            Servers::Wordraft(wordraft) => wordraft.kill(member),
            Servers::Etcd(etcd) => etcd.kill(member),
        }
    }

    /// The killed member again, with its data.
    pub async fn restart(&mut self, member: usize) {
        match self {
            Servers::Wordraft(wordraft) => wordraft.restart(member).await,
            Servers::Etcd(etcd) => etcd.restart(member),
        }
    }
}
