//! Raft consensus, after Diego Ongaro's dissertation, "Consensus: Bridging Theory and Practice" (2014). Section
//! numbers here and in the code are those of the dissertation.
//!
//! # What it does
//!
//! A few members keep the same log of commands. Each applies it in order to its own copy of a state machine, so the
//! copies stay equal. Any minority of the voters may stop, or lose its connections, and the rest goes on.
//!
//! **Terms and votes (§3.3, §3.4).** Time is cut into terms, and each term has at most one leader, because a member
//! votes once per term and a leader needs a majority. A member that hears from no leader for a random time stands for
//! election. Its vote is on its disk before anybody hears of it: a vote that a crash could undo could be given twice.
//!
//! **Replication (§3.5).** Only the leader adds entries. It sends them with the position of the entry before; a follower
//! that does not hold that entry refuses, and the leader goes back until they agree. From there the follower takes
//! over the leader's log and gives up its own. An acknowledgement says that the entries are on the follower's disk.
//!
//! **Commit (§3.6).** An entry is committed once a majority has it on disk and it is of the leader's own term; with it,
//! all entries before it are. Entries of earlier terms must not be counted by themselves: Figure 3.7 shows how they
//! could still be lost. A member votes for no candidate whose log is less up to date than its own, so every later
//! leader holds everything that is committed.
//!
//! # What is added to the core of the paper
//!
//! | what | where | why |
//! |---|---|---|
//! | pre-vote (§9.6) | `election` | a member that was cut off comes back without raising anybody's term |
//! | stickiness (§4.2.3) | `election` | nobody helps to unseat a leader that was heard just now |
//! | check-quorum (§6.2) | `heartbeat` | a leader without a majority makes way, and so does one whose disk hangs |
//! | prompt election | `election` | a notice that the leader's connection closed replaces the wait, and may be wrong |
//! | learners that stand | `election` | one with the newest log refuses its vote to whoever needs it: only itself can win |
//! | priority | `election` | servers stand before tabs; it lengthens patience and never refuses a vote |
//! | pipelining (§10.2.2) | `replication`, `progress` | entries leave ahead of acknowledgements, within a window |
//! | parallel writes (§10.2.1) | `writes` | the leader sends while it writes, and counts itself when it has written |
//! | reads (§6.4) | `reads` | one round of heartbeats instead of a log entry |
//! | lease reads (§6.4.1) | `lease` | no round at all, where clocks can be trusted; off by default |
//! | joint consensus (§4.3) | `membership`, `reconfiguration` | any configuration follows any other in one atomic change |
//! | transfer (§3.10) | `transfer` | leadership moves without waiting for a timeout |
//! | snapshots (§5) | `snapshot`, `log` | the log stays short; a follower that is far behind gets the state instead |
//!
//! Configurations are in force as soon as they are in a log, committed or not (§4.1), and are taken back with the entry
//! if it is replaced. A leader changes none before it has committed an entry of its own term: without that rule two
//! leaders in a row could each change one voter and end up with majorities that do not meet.
//!
//! # How to drive it
//!
//! [`Raft`] is a state machine without clock, disk or network. Every input brings the time with it; the output says
//! what to send, what to write and what is committed. The driver
//!
//! 1. sends `send_now`,
//! 2. makes `persist` durable, in order, and then sends `send_after_persist` and calls [`Raft::persisted`],
//! 3. gives `install` and `committed` to the state machine and answers `reads`,
//! 4. calls [`Raft::compact`] if `want_snapshot` says so,
//! 5. calls [`Raft::tick`] at [`Raft::deadline`].
//!
//! Steps 1 and 3 need not wait for step 2. Messages may be lost, doubled and reordered; they must not be forged: the
//! sender's id is taken on trust. The same inputs and the same seed give the same outputs, on every platform.
//!
//! # What it does not know
//!
//! What commands mean, how members reach each other, who ought to be a member, what time it is elsewhere.

mod config;
mod election;
mod entries;
#[cfg(feature = "mutations")]
mod fingerprint;
mod follower;
mod heartbeat;
mod leadership;
mod lease;
mod log;
mod membership;
mod message;
mod mutation;
mod output;
mod progress;
mod quorum;
mod reads;
mod reconfiguration;
mod replication;
mod snapshot;
mod status;
mod step;
mod storage;
mod transfer;
mod types;
mod writes;

pub use config::{Config, ConfigError, Priority};
pub use election::{Answer, Campaign};
pub use entries::Entries;
pub use membership::{Membership, MembershipChange, MembershipError};
pub use message::{AppendOutcome, Message, Refusal, Round, SnapshotChunk, StepError};
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
#[cfg(not(feature = "mutations"))]
use mutation::Mutation;
pub use output::{
    ChangeError, CompactError, NewError, Output, ProposeError, ReadError, ReadOutcome, TransferError,
};
pub use status::{Arrival, PeerState, PeerStatus, Role, Status};
pub use storage::{Snapshot, SnapshotMeta, StorageOp, Stored};
pub use types::{Entry, HardState, Index, Payload, PersistSequence, Position, ReadToken, Term};

use crate::ids::NodeId;
use crate::rng::Rng;
use crate::time::Time;
use bytes::Bytes;
use leadership::Leadership;
use log::Log;
use snapshot::Incoming;
use std::collections::BTreeMap;
use writes::Writes;

/// The highest index that anybody may claim; nobody gets there in earnest.
const INDEX_MAX: Index = Index::new(u64::MAX / 2);

type Votes = BTreeMap<NodeId, bool>;

/// One member of a cluster.
///
/// Every method is an input; [`Raft::take_output`] gives what the inputs so far led to. Drivers may give several
/// inputs before they take the output: proposals and acknowledgements of a batch then share messages and writes.
#[derive(Debug)]
// Two copies of a member could vote twice: only the model checker, which tries every future of one, may have them.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub struct Raft {
    id: NodeId,
    config: Config,
    priority: Priority,
    rng: Rng,
    /// The latest time that an input brought. It never goes back.
    now: Time,
    hard_state: HardState,
    log: Log,
    writes: Writes,
    state: State,
    leader: Option<NodeId>,
    /// While there is no leader.
    campaign: Option<Campaign>,
    leader_contact: Option<Time>,
    /// Voters whose connections closed, and until when that counts.
    doubted: BTreeMap<NodeId, Time>,
    /// With leases: no vote before this time, because a leader may count on it.
    promised_until: Time,
    election_deadline: Time,
    /// When this member last asked who would vote for it.
    asked_at: Time,
    /// Without a vote, it has refused a candidate for the sake of its own log. Until a leader is heard.
    is_in_the_way: bool,
    prompt_attempts: u8,
    /// A snapshot that was too large is not asked for again before the log has come so far.
    snapshot_not_before: Index,
    incoming: Option<Incoming>,
    output: Output,
}

/// The roles of Figure 3.3, and the one before candidate (§9.6), each with what only it knows.
#[derive(Clone, Debug)]
enum State {
    Follower,
    PreCandidate(Votes),
    Candidate(Votes),
    Leader(Box<Leadership>),
}

impl Raft {
    /// A member as its disk left it. The first output installs the stored snapshot, if there is one; committed
    /// entries follow it again.
    pub fn new(id: NodeId, config: Config, stored: Stored, rng: Rng, now: Time) -> Result<Raft, NewError> {
        config.check()?;
        let install = stored.snapshot.clone();
        #[cfg_attr(not(feature = "mutations"), expect(unused_mut))]
        let mut log = Log::restore(stored.snapshot, stored.entries)?;
        #[cfg(feature = "mutations")]
        {
            log.configuration_at_commit = config.broken(Mutation::ConfigurationAtCommit);
            if config.broken(Mutation::EmptyDiskIsCluster) {
                log.found_if_empty(id);
            }
        }
        if stored.hard_state.term > Term::MAX {
            return Err(NewError::Stored("an impossible term"));
        }
        if log.last().term > stored.hard_state.term {
            return Err(NewError::Stored("an entry of a term that was never entered"));
        }
        // With leases, somebody who led before this configuration may still count on a promise that was made here.
        let is_alone = !config.lease_reads && log.membership().all_voters() == [id].into();
        let mut raft = Raft {
            id,
            config,
            priority: Priority::default(),
            rng,
            now,
            hard_state: stored.hard_state,
            writes: Writes::new(log.last().index),
            log,
            state: State::Follower,
            leader: None,
            campaign: Some(Campaign::new(now)),
            leader_contact: None,
            doubted: BTreeMap::new(),
            promised_until: now,
            election_deadline: now,
            asked_at: Time::ZERO,
            is_in_the_way: false,
            prompt_attempts: 0,
            snapshot_not_before: Index::ZERO,
            incoming: None,
            output: Output { install, state_changed: true, ..Output::default() },
        };
        if !is_alone {
            // What it promised before it stopped is forgotten, and still holds.
            raft.promise_lease();
            raft.reset_election_deadline();
        }
        Ok(raft)
    }

    /// A message came from a peer. Whatever it says, nothing panics; what breaks the rules writes nothing into the log.
    pub fn step(&mut self, now: Time, from: NodeId, message: Message) -> Result<(), StepError> {
        self.advance(now);
        self.dispatch(from, message)
    }

    /// Time went on. May be called at any time, and should be at [`Raft::deadline`].
    pub fn tick(&mut self, now: Time) {
        self.advance(now);
        if self.config.broken(Mutation::PatienceDrawnAtEveryTick) {
            self.reset_election_deadline();
        }
        if !matches!(self.state, State::Leader(_)) && self.now >= self.election_deadline {
            self.election_timeout_passed();
        }
    }

    /// A leader does what is due before anything else: after a pause it must doubt itself before it believes answers
    /// that waited in a queue. Followers are patient: what waits in theirs may be their leader's sign of life.
    fn advance(&mut self, now: Time) {
        let is_dazed = self.config.broken(Mutation::PauseGoesUnnoticed)
            && now.since(self.now) > self.config.election_timeout;
        self.now = self.now.max(now);
        if is_dazed {
            return;
        }
        if let State::Leader(leadership) = &mut self.state {
            leadership.pump |= leadership.tell_at.is_some_and(|at| self.now >= at);
            if self.now >= leadership.heartbeat_at {
                self.heartbeat_due();
            }
        }
        self.give_up_late_transfer();
    }

    /// When [`Raft::tick`] is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        match &self.state {
            State::Leader(leadership) => {
                let transfer = leadership.transfer.map(|transfer| transfer.until);
                [transfer, leadership.tell_at, Some(leadership.heartbeat_at)].into_iter().flatten().min()
            }
            _ => self.may_stand().then_some(self.election_deadline),
        }
    }

    /// The writes up to and including this batch are durable.
    pub fn persisted(&mut self, now: Time, sequence: PersistSequence) {
        self.advance(now);
        if !self.writes.acknowledge(sequence) {
            return;
        }
        if self.writes.is_hard_state_durable() {
            self.own_vote_is_durable();
        }
        self.advance_commit();
    }

    /// Appends commands, all or none, and gives them back as the entries that they are now. They are committed when
    /// `Output::committed` shows the same position: another term at that index means that the command was lost.
    pub fn propose(
        &mut self,
        now: Time,
        commands: impl IntoIterator<Item = Bytes>,
    ) -> Result<Entries, ProposeError> {
        self.advance(now);
        let State::Leader(leadership) = &self.state else {
            return Err(ProposeError::NotLeader { leader: self.leader });
        };
        if leadership.transfer.is_some() {
            return Err(ProposeError::Transferring);
        }
        let term = self.hard_state.term;
        let before = self.log.last().index;
        let entry = |(number, command)| {
            let index = before.plus(number).next();
            Entry { term, index, payload: Payload::Command(command) }
        };
        let entries: Entries = commands.into_iter().enumerate().map(entry).collect();
        self.check_room(&entries)?;
        self.append_run(entries.clone());
        Ok(entries)
    }

    fn check_room(&self, entries: &[Entry]) -> Result<(), ProposeError> {
        let max = self.config.max_command_bytes;
        if let Some(size) = entries.iter().map(|entry| entry.payload.size()).find(|size| *size > max) {
            return Err(ProposeError::TooLarge { size, max });
        }
        let waiting = if self.config.broken(Mutation::UncommittedNeverFreed) {
            self.log.since_snapshot().1
        } else {
            self.log.uncommitted_bytes()
        };
        let size: usize = entries.iter().map(Entry::size).sum();
        let is_alone = waiting == 0 && entries.len() == 1;
        if !is_alone && waiting + size as u64 > self.config.max_uncommitted_bytes as u64 {
            return Err(ProposeError::Busy);
        }
        Ok(())
    }

    /// Starts the change to another configuration, through a joint one if need be. It is complete when
    /// `status().membership` is committed and not joint.
    pub fn change_membership(
        &mut self,
        now: Time,
        change: MembershipChange,
    ) -> Result<Position, ChangeError> {
        self.advance(now);
        self.begin_change(&change)
    }

    /// Asks for an index from which a read is linearizable (§6.4). The answer comes in `Output::reads`.
    pub fn read(&mut self, now: Time, token: ReadToken) {
        self.advance(now);
        self.take_read(token);
    }

    /// Hands leadership over (§3.10). Given up after an election timeout.
    pub fn transfer(&mut self, now: Time, to: NodeId) -> Result<(), TransferError> {
        self.advance(now);
        self.begin_transfer(to)
    }

    /// The same for a leader that may be gone any moment: the target is told at once, right behind the entries that are
    /// on their way to it. Should they be lost, so is the election, and another follows. Refused if the target is not
    /// heard, or lacks more than what is on its way: it could not win.
    pub fn transfer_in_haste(&mut self, now: Time, to: NodeId) -> Result<(), TransferError> {
        self.advance(now);
        self.hurry_transfer(to)
    }

    /// A notice that this peer's connection closed. It may be wrong. A follower whose leader it was stands for
    /// election after a short random delay.
    pub fn peer_lost(&mut self, now: Time, peer: NodeId) {
        self.advance(now);
        self.give_up_transfer_to(peer);
        if let State::Leader(leadership) = &mut self.state
            && let Some(progress) = leadership.peers.get_mut(&peer)
        {
            progress.pause();
        }
        if !self.config.lease_reads {
            self.doubt(peer);
        }
    }

    /// A notice that this peer's connection opened: a leader probes it at once.
    pub fn peer_back(&mut self, now: Time, peer: NodeId) {
        self.advance(now);
        self.doubted.remove(&peer);
        let now = self.now;
        if let State::Leader(leadership) = &mut self.state
            && let Some(progress) = leadership.peers.get_mut(&peer)
        {
            progress.resume(now);
            leadership.pump = true;
        }
    }

    /// The snapshot of the state machine that `Output::want_snapshot` asked for (any other moment is fine too):
    /// `data` is the state after the entry at `applied`.
    pub fn compact(&mut self, now: Time, applied: Index, data: Bytes) -> Result<(), CompactError> {
        self.advance(now);
        self.take_snapshot(applied, data)
    }

    /// How much this member would rather not lead, from the next election on.
    pub fn set_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// What the inputs since the last output led to.
    pub fn take_output(&mut self) -> Output {
        let mut output = Output::default();
        self.fill_output(&mut output);
        output
    }

    /// The same into an output that is used again.
    pub fn fill_output(&mut self, output: &mut Output) {
        if matches!(&self.state, State::Leader(leadership) if leadership.reads.want_round()) {
            self.beat();
        }
        self.pump();
        if let Some((_, ops)) = output.persist.take() {
            self.writes.reuse(ops);
        }
        output.clear();
        std::mem::swap(output, &mut self.output);
        if self.writes.are_backed_up() {
            // What is to be written waits here, for one write later. Whoever misses an answer asks again.
            output.send_after_persist.clear();
        } else {
            let waits = !output.send_after_persist.is_empty();
            output.persist = self.writes.hand_out(self.now, &self.log, self.hard_state, waits);
            if output.persist.is_none() {
                output.send_now.append(&mut output.send_after_persist);
            }
        }
        self.log.deliver(&mut output.committed);
        self.drop_late_snapshot();
        output.want_snapshot = self.wants_snapshot();
    }
}
