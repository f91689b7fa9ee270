//! One simulated member: a disk that stays, and a process that comes and goes.

use crate::ambush::Footing;
use crate::disk::Disk;
use crate::local_clock::{ProcessClock, WallClock};
use shared::ids::{ClusterId, NodeId};
use shared::node::{Input, Node, NodeConfig, NodeError, Outgoing, PersistSequence, Ready};
use shared::recording::{Recorder, Start, StartError};
use shared::rng::Rng;
use shared::time::{Duration, Time};
use shared::wire::session::{Claim, Profile};
use std::collections::BTreeMap;

pub struct Member {
    pub id: NodeId,
    pub profile: Profile,
    pub clock: WallClock,
    pub disk: Disk,
    pub process: Option<Process>,
    /// Of each process, if wanted.
    pub recordings: Vec<Recording>,
    /// Processes so far: what is meant for an earlier one reaches nobody.
    pub boot: u64,
}

pub struct Process {
    pub clock: ProcessClock,
    pub node: Node,
    /// Where it stood after its latest input.
    pub footing: Footing,
    /// Messages that wait for their persist.
    pub held: BTreeMap<PersistSequence, Vec<Outgoing>>,
    pub syncs: Syncs,
    pub deadline: u64,
}

/// Writes that come while the disk syncs share the next sync, as the drivers have it.
#[derive(Clone, Copy)]
pub struct Syncs {
    running_until: Time,
    next_until: Time,
}

impl Syncs {
    /// When a write that comes now is durable, if syncs take so long.
    pub fn write(&mut self, now: Time, latency: Duration) -> Time {
        if now >= self.next_until {
            self.running_until = now + latency;
            self.next_until = self.running_until;
        } else if now >= self.running_until {
            self.running_until = self.next_until;
            self.next_until = self.running_until + latency;
        } else if self.next_until == self.running_until {
            self.next_until = self.running_until + latency;
        }
        self.next_until
    }
}

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Recording(#[from] StartError),
}

/// What a process was told, as `wordraft node --record` would write it.
pub struct Recording {
    recorder: Recorder,
    pub bytes: Vec<u8>,
}

impl Process {
    /// The node handles `input`, and `recording` hears of it.
    pub fn handle(&mut self, now: Time, input: Input, ready: &mut Ready, recording: Option<&mut Recording>) {
        let now = self.clock.read(now);
        let Some(Recording { recorder, bytes }) = recording else {
            return self.node.handle(now, input, ready);
        };
        bytes.extend(recorder.input(now, &input));
        self.node.handle(now, input, ready);
        recorder.output(ready);
    }
}

impl Member {
    pub fn new(id: NodeId, profile: Profile, clock: WallClock) -> Member {
        Member { id, profile, clock, disk: Disk::default(), process: None, recordings: Vec::new(), boot: 0 }
    }

    /// Starts a process on what the disk holds.
    pub fn start(
        &mut self,
        config: &NodeConfig,
        rng: &mut Rng,
        now: Time,
        record: bool,
    ) -> Result<(), StartFailure> {
        self.boot += 1;
        let clock = self.clock.process(now);
        let start = Start {
            me: self.id,
            profile: self.profile.clone(),
            config: config.clone(),
            stored: self.disk.stored(),
            seed: rng.bytes(),
            at: clock.read(now),
        };
        if record {
            let (recorder, bytes) = Recorder::begin(&start, u64::MAX)?;
            self.recordings.push(Recording { recorder, bytes });
        }
        let node = start.node()?;
        self.process = Some(Process {
            clock,
            footing: Footing::of(&node.inspect()),
            node,
            held: BTreeMap::new(),
            syncs: Syncs { running_until: now, next_until: now },
            deadline: 0,
        });
        Ok(())
    }

    pub fn claim(&self, rng: &mut Rng) -> Claim {
        match self.disk.cluster() {
            Some(cluster) => Claim::Member(cluster),
            None => Claim::Fresh { proposed: ClusterId::random(rng) },
        }
    }

    pub fn crash(&mut self, rng: &mut Rng) {
        self.process = None;
        self.disk.crash(rng);
    }

    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }
}
