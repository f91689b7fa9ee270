//! A run: one cluster, one seed.

use crate::ambush::Ambush;
use crate::checker::{Checkers, Violation};
use crate::clock::Agenda;
use crate::keys::{Clients, Judgement, Turn};
use crate::local_clock::Clockwork;
use crate::member::Member;
use crate::network::{Network, Postmark};
use crate::promises::Promises;
use crate::sabotage::Sabotage;
use crate::transcript::Transcript;
use crate::workload::Workload;
use shared::ids::NodeId;
use shared::node::{BlockOp, ComputeTask, Input, NodeConfig, Outgoing, PersistSequence, Ready};
use shared::rng::Rng;
use shared::time::{Duration, Time};
use shared::wire::peer::PeerMessage;
use shared::wire::session::{Frame, Kind, Peer, Profile};
use std::collections::BTreeMap;
use std::fmt;

mod carrying;
mod ending;
mod freezing;
mod happening;
mod relaying;
mod stranger;
mod troubles;

/// When runs begin. Clocks may be behind.
pub(crate) const START: Time = Time::from_millis(10_000_000);
/// How long faults last.
const TROUBLE: Duration = Duration::from_secs(20);
/// How long the cluster has to recover afterwards.
const RECOVERY: Duration = Duration::from_secs(120);
/// Tasks of a few chunks, so that a document is a handful of tasks.
const TASK_BYTES: u64 = 900;
/// A run that plans more than this is stuck in a loop.
const STEPS_MAX: u64 = 3_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub seed: u64,
    pub sabotage: Option<Sabotage>,
    pub transcript: bool,
    /// Whether to keep what each process was told.
    pub record: bool,
}

/// One process's life, as `wordraft node --record` would have written it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The member's name in the transcript, and which of its processes it is.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What a run, or a sum of runs, came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub violation: Option<Violation>,
    pub steps: u64,
    pub faults: u64,
    pub committed: u64,
    pub acknowledged: u64,
    pub failed: u64,
    pub jobs_done: u64,
    /// Of clients of keys that were answered, and whose outcome nobody will know.
    pub key_answers: u64,
    pub key_unknowns: u64,
    /// Histories without a verdict: the judge gave up.
    pub undecided: u64,
    /// Frames that members could not read, and took no harm from.
    pub frames_ignored: u64,
    /// Runs in which some change was told to nobody who watches.
    pub gaps: u64,
    pub transcript: String,
    /// Each process's, for `wordraft replay`.
    pub recordings: Vec<Recording>,
}

impl Verdict {
    pub fn add(&mut self, other: &Verdict) {
        self.steps += other.steps;
        self.faults += other.faults;
        self.committed += other.committed;
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.jobs_done += other.jobs_done;
        self.key_answers += other.key_answers;
        self.key_unknowns += other.key_unknowns;
        self.undecided += other.undecided;
        self.frames_ignored += other.frames_ignored;
        self.gaps += other.gaps;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(violation) = &self.violation {
            write!(f, "VIOLATION {violation}; ")?;
        }
        write!(
            f,
            "{} inputs, {} faults, {} entries committed, {} requests acknowledged and {} refused, {} jobs counted right, \
             {} answers about keys and {} unknown outcomes",
            self.steps,
            self.faults,
            self.committed,
            self.acknowledged,
            self.failed,
            self.jobs_done,
            self.key_answers,
            self.key_unknowns
        )?;
        write!(
            f,
            ", {} frames ignored, {} histories UNDECIDED, {} with news that nobody watched",
            self.frames_ignored, self.undecided, self.gaps
        )
    }
}

/// Runs one seed to its end, or to its first violation.
pub fn run(options: Options) -> Verdict {
    let mut world = World::new(options);
    let violation = world.live().err();
    if let Some(violation) = &violation {
        world.lay_bare();
        world.transcript.line(world.now, || format!("== {violation}"));
    }
    let recordings = world.recordings();
    Verdict {
        violation,
        steps: world.steps,
        faults: world.faults,
        committed: world.checkers.committed() as u64,
        acknowledged: world.workload.acknowledged,
        failed: world.workload.failed,
        jobs_done: world.workload.jobs_done(),
        key_answers: world.keys.answered,
        key_unknowns: world.keys.unknown,
        undecided: u64::from(world.undecided),
        frames_ignored: world.frames_ignored(),
        gaps: u64::from(!world.told_in_full),
        transcript: world.transcript.take(),
        recordings,
    }
}

pub(crate) struct World {
    now: Time,
    rng: Rng,
    config: NodeConfig,
    agenda: Agenda<Due>,
    members: BTreeMap<NodeId, Member>,
    network: Network,
    checkers: Checkers,
    promises: Promises,
    workload: Workload,
    keys: Clients,
    clockwork: Clockwork,
    /// A member of another version.
    stranger: Option<Peer>,
    undecided: bool,
    told_in_full: bool,
    transcript: Transcript,
    record: bool,
    /// Members that are frozen.
    sleepers: BTreeMap<NodeId, Sleep>,
    ambush: Option<Ambush>,
    ready: Ready,
    steps: u64,
    faults: u64,
    troubled: bool,
    /// One disk is lost in a run, at most.
    replaced: bool,
    disk_latency_max: Duration,
}

/// What is going to happen. `boot` says which process of a member is meant.
enum Due {
    Frame {
        to: NodeId,
        connection: u64,
        from: NodeId,
        postmark: Postmark,
        frame: Frame,
    },
    /// What the relay itself says.
    Told {
        to: NodeId,
        connection: u64,
        news: Input,
    },
    Input {
        node: NodeId,
        boot: u64,
        input: Input,
    },
    Deadline {
        node: NodeId,
        boot: u64,
        number: u64,
    },
    Synced {
        node: NodeId,
        boot: u64,
        sequence: PersistSequence,
    },
    BlockDone {
        node: NodeId,
        boot: u64,
        operation: BlockOp,
    },
    TaskDone {
        node: NodeId,
        boot: u64,
        task: ComputeTask,
    },
    Start {
        node: NodeId,
    },
    Connect {
        node: NodeId,
        boot: u64,
    },
    Thaw {
        node: NodeId,
    },
    Fault,
    Client,
    Turn(Turn),
    Stranger,
    TroubleOver,
}

/// A frozen tab, a stopped process: what it would do waits.
struct Sleep {
    /// Its clock stands still, too.
    stops_clock: bool,
    since: Time,
    until: Time,
    missed: Vec<Due>,
}

impl World {
    fn new(options: Options) -> World {
        let mut config = NodeConfig { task_bytes: TASK_BYTES, ..NodeConfig::default() };
        let mut rng = Rng::from_u64(options.seed);
        // A question that is asked again before it is answered arrives twice.
        config.ask_again_after = rng.between(Duration::from_millis(100), config.ask_again_after);
        config.raft.compact_after_entries = 8 + rng.below(60);
        config.raft.kept_tail_entries = rng.below(10);
        if rng.below(2) == 0 {
            // One entry in each message, so that parts of what an append would carry arrive without the rest.
            config.raft.max_append_bytes = 1;
        }
        // A slow disk makes writes lag far behind the messages that wait for them, and those that do not.
        let disk_latency_max = Duration::from_millis([2, 2, 2, 30][rng.below(4) as usize]);
        if let Some(sabotage) = options.sabotage {
            sabotage.apply(&mut config);
        }
        let keys = Clients::new(&mut rng);
        let clockwork = Clockwork::draw(&mut rng);
        config.raft.lease_reads = rng.below(4) == 0;
        World {
            now: START,
            rng,
            config,
            agenda: Agenda::new(),
            members: BTreeMap::new(),
            network: Network::new(),
            checkers: Checkers::default(),
            promises: Promises::default(),
            workload: Workload::default(),
            keys,
            clockwork,
            stranger: None,
            undecided: false,
            told_in_full: false,
            transcript: Transcript::new(options.transcript),
            record: options.record,
            sleepers: BTreeMap::new(),
            ambush: None,
            ready: Ready::default(),
            steps: 0,
            faults: 0,
            troubled: true,
            replaced: false,
            disk_latency_max,
        }
    }

    fn live(&mut self) -> Result<(), Violation> {
        let servers = 1 + self.rng.below(4);
        let tabs = if servers < 2 { 2 + self.rng.below(2) } else { self.rng.below(3) };
        for _ in 0..servers {
            self.newcomer(Kind::Server);
        }
        for _ in 0..tabs {
            self.newcomer(Kind::Tab);
        }
        // Some clusters are troubled while they are being founded, others when they have settled.
        let first = self.now + self.rng.between(Duration::from_millis(100), Duration::from_secs(4));
        self.agenda.plan(first, Due::Fault);
        self.agenda.plan(self.now + Duration::from_millis(500), Due::Client);
        self.agenda.plan(self.now + TROUBLE, Due::TroubleOver);
        let turns = self.keys.begin(self.now, &mut self.rng);
        self.take_turns(turns);
        let end = self.now + TROUBLE + RECOVERY;
        let mut looked_at = self.now;
        while let Some((at, due)) = self.agenda.next() {
            self.now = at;
            self.happen(due)?;
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(Violation::NoRecovery(format!("{STEPS_MAX} steps, and no end in sight")));
            }
            if !self.troubled && self.now.since(looked_at) > Duration::from_millis(500) {
                looked_at = self.now;
                match self.what_is_missing()? {
                    None => return self.judge(),
                    Some(missing) if self.now > end => {
                        return Err(Violation::NoRecovery(missing));
                    }
                    Some(_) => {}
                }
            }
        }
        Err(Violation::NoRecovery("nothing is going to happen any more".to_owned()))
    }

    /// Whether one order of events explains what clients of the keys were told.
    fn judge(&mut self) -> Result<(), Violation> {
        match self.keys.judge(self.clockwork.apart(self.now.since(START))) {
            Judgement::Linearizable => Ok(()),
            Judgement::Violation(violation) => Err(Violation::NotLinearizable(violation)),
            Judgement::Undecided => {
                self.undecided = true;
                Ok(())
            }
        }
    }

    fn newcomer(&mut self, kind: Kind) {
        let id = NodeId::random(&mut self.rng);
        let domain = self.rng.next_u64();
        let clock = self.clockwork.clock(&mut self.rng);
        let name = self.transcript.next_name();
        let profile = Profile { name, kind, http: None, threads: 2, hidden: false, domain };
        self.transcript.meet(id, &profile);
        self.members.insert(id, Member::new(id, profile, clock));
        let soon = self.now + self.rng.between(Duration::ZERO, Duration::from_millis(300));
        self.agenda.plan(soon, Due::Start { node: id });
    }

    fn note(&mut self, node: NodeId, text: impl FnOnce() -> String) {
        let name = self.transcript.name(node);
        self.transcript.line(self.now, || format!("{name}  {}", text()));
    }

    fn boot_of(&self, node: NodeId) -> u64 {
        self.members.get(&node).map_or(0, |member| member.boot)
    }

    fn send(&mut self, from: NodeId, outgoing: Vec<Outgoing>) -> Result<(), Violation> {
        for Outgoing { to, class: _, frame } in outgoing {
            if let Ok(PeerMessage::Raft(message)) = PeerMessage::from_frame(&frame) {
                self.promises.hear(from, to, &message)?;
            }
            let Some(connection) = self.network.connection_of(to) else { continue };
            let Some(postmark) = self.network.post(from) else { continue };
            for delay in self.network.deliveries(from, to, &mut self.rng) {
                let due = Due::Frame { to, connection, from, postmark, frame: frame.clone() };
                self.agenda.plan(self.now + delay, due);
            }
        }
        Ok(())
    }

    fn recordings(&mut self) -> Vec<Recording> {
        let mut all = Vec::new();
        for member in self.members.values_mut() {
            let name = self.transcript.name(member.id);
            let numbered = std::mem::take(&mut member.recordings).into_iter().zip(1..);
            all.extend(
                numbered.map(|(recording, run)| Recording {
                    name: format!("{name}-{run}"),
                    bytes: recording.bytes,
                }),
            );
        }
        all
    }

    fn frames_ignored(&self) -> u64 {
        let processes = self.members.values().filter_map(|member| member.process.as_ref());
        processes.map(|process| process.node.frames_ignored()).sum()
    }

    /// Where every member stands at the end, and what was wrong with the world, for whoever looks into a violation.
    fn lay_bare(&mut self) {
        for member in self.members.values() {
            let sleeps = if self.sleepers.contains_key(&member.id) { ", frozen" } else { "" };
            let stands = member.process.as_ref().map_or("is down".to_owned(), |process| {
                let raft = process.node.inspect().raft;
                let voters = &raft.membership.voters;
                format!(
                    "{:?} in term {}, leader {:?}, log to {}, committed to {}, voters {voters:?}{sleeps}",
                    raft.role, raft.term, raft.leader, raft.last, raft.commit
                )
            });
            let name = self.transcript.name(member.id);
            self.transcript.line(self.now, || format!("== {name}: {stands}; {:?}", member.clock));
        }
        self.transcript.line(self.now, || format!("== {}", self.network));
    }
}
