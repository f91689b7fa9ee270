//! What a leader knows about one follower's log, and what is under way to it (§3.5, §10.2.2).

use super::config::Config;
use super::message::Round;
use super::status::PeerState;
use super::storage::Snapshot;
use super::types::Index;
use crate::ids::Hash;
use crate::time::{Duration, Time};
use std::collections::VecDeque;

#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// Durable there and equal to ours. Only rises: within a term, a follower never takes back what it acknowledged.
    pub matched: Index,
    /// The next entry that goes there.
    pub next: Index,
    pub flow: Flow,
    pub heard_at: Time,
    /// A heartbeat has become due since a question was last repeated. Rounds for reads come much more often.
    pub may_repeat: bool,
    /// The latest round of heartbeats that it answered.
    pub round: Round,
    /// What it knows to be committed, unless the message was lost.
    pub told_commit: Index,
    /// Up to here it is told at once.
    pub asked_commit: Index,
    pub departure: Option<Departure>,
}

/// A peer that left the configuration gets the news of it, for a while.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    pub index: Index,
    /// The round that told it first. The answer to it, or to a later one, shows that the news arrived.
    pub told_in: Option<Round>,
    pub until: Time,
}

/// How entries flow to a follower.
#[derive(Clone, Debug, Hash)]
pub(super) enum Flow {
    /// One message at a time until the logs are known to agree somewhere.
    Probe {
        waiting: bool,
    },
    /// Entries go out ahead of their acknowledgements, within a window.
    Replicate(Window),
    Snapshot(SnapshotTransfer),
}

impl Progress {
    pub fn new(next: Index, now: Time) -> Progress {
        Progress {
            matched: Index::ZERO,
            next,
            flow: Flow::Probe { waiting: false },
            heard_at: now,
            may_repeat: false,
            round: Round::default(),
            told_commit: Index::ZERO,
            asked_commit: Index::ZERO,
            departure: None,
        }
    }

    /// Looks for agreement from what is known for certain.
    pub fn probe(&mut self) {
        self.flow = Flow::Probe { waiting: false };
        self.next = self.matched.next();
    }

    pub fn replicate(&mut self) {
        self.flow = Flow::Replicate(Window::default());
        self.next = self.matched.next();
    }

    /// Its connection closed: nothing but heartbeats goes there until it is heard again.
    pub fn pause(&mut self) {
        if !matches!(self.flow, Flow::Snapshot(_)) {
            self.probe();
            self.flow = Flow::Probe { waiting: true };
        }
    }

    /// Its connection opened: whatever was under way is lost.
    pub fn resume(&mut self, now: Time) {
        match &mut self.flow {
            Flow::Snapshot(transfer) => {
                (transfer.slowest, transfer.repetitions) = (Duration::ZERO, 0);
                transfer.rewind(now);
            }
            Flow::Probe { .. } | Flow::Replicate(_) => self.probe(),
        }
    }

    pub fn state(&self) -> PeerState {
        match self.flow {
            Flow::Probe { .. } => PeerState::Probe,
            Flow::Replicate(_) => PeerState::Replicate,
            Flow::Snapshot(_) => PeerState::Snapshot,
        }
    }

    /// Whether a peer that left has been told so, or has had its time.
    pub fn has_departed(&self, now: Time) -> bool {
        self.departure.as_ref().is_some_and(|departure| {
            departure.told_in.is_some_and(|round| self.round >= round) || now >= departure.until
        })
    }
}

/// Messages with entries that are under way: the last index of each and its bytes.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Window {
    messages: VecDeque<(Index, usize)>,
    bytes: usize,
}

impl Window {
    pub fn is_full(&self, config: &Config) -> bool {
        self.messages.len() >= config.max_inflight_messages || self.bytes >= config.max_inflight_bytes
    }

    pub fn add(&mut self, last: Index, bytes: usize) {
        self.messages.push_back((last, bytes));
        self.bytes += bytes;
    }

    pub fn free_to(&mut self, matched: Index) {
        while let Some((_, bytes)) = self.messages.front().filter(|(last, _)| *last <= matched) {
            self.bytes -= bytes;
            self.messages.pop_front();
        }
    }
}

/// A piece of a snapshot is repeated after up to so many doublings of the time that the first one was given.
const REPETITIONS_COUNTED_MAX: u32 = 6;

/// A piece that takes longer was not on its way all the time: its receiver slept.
const SLOWEST_MAX: Duration = Duration::from_secs(30);

/// A snapshot on its way, piece by piece. It stays the same one even if a newer is made meanwhile, or a state that
/// changes faster than it travels would never arrive.
#[derive(Clone, Debug, Hash)]
pub(super) struct SnapshotTransfer {
    pub snapshot: Snapshot,
    pub digest: Hash,
    /// Bytes that arrived.
    acked: u64,
    /// Where the next piece begins; none when all have been sent.
    next: Option<u64>,
    moved_at: Time,
    /// The answer to a repeated piece tells where the follower really is, which may be further back.
    asking: bool,
    /// The longest wait for the answer to a piece that was not repeated: how slow the link is.
    slowest: Duration,
    /// Since the last such answer.
    repetitions: u32,
}

impl SnapshotTransfer {
    pub fn new(snapshot: Snapshot, digest: Hash, now: Time) -> SnapshotTransfer {
        SnapshotTransfer {
            snapshot,
            digest,
            acked: 0,
            next: Some(0),
            moved_at: now,
            asking: false,
            slowest: Duration::ZERO,
            repetitions: 0,
        }
    }

    pub fn total(&self) -> u64 {
        self.snapshot.data.len() as u64
    }

    /// The range of the next piece, if the window has room for it.
    pub fn next_chunk(&mut self, config: &Config) -> Option<std::ops::Range<usize>> {
        let start = self.next?;
        let chunk = config.snapshot_chunk_bytes as u64;
        let window = if self.asking { 1 } else { config.snapshot_window_chunks as u64 };
        if start >= self.acked.saturating_add(window.saturating_mul(chunk)) {
            return None;
        }
        let end = start.saturating_add(chunk).min(self.total());
        self.next = Some(end).filter(|end| *end < self.total());
        Some(start as usize..end as usize)
    }

    /// The follower holds `received` bytes.
    pub fn acknowledge(&mut self, received: u64, now: Time) {
        if received > self.total() || (received <= self.acked && !self.asking) {
            return;
        }
        if self.asking {
            self.next = Some(received);
        } else {
            self.slowest = now.since(self.moved_at).max(self.slowest).min(SLOWEST_MAX);
            self.repetitions = 0;
        }
        self.asking = false;
        self.acked = received;
        self.next = self.next.map(|next| next.max(received));
        self.moved_at = now;
    }

    /// Sends the oldest piece without an acknowledgement again.
    pub fn rewind(&mut self, now: Time) {
        self.next = Some(self.acked);
        self.asking = true;
        self.moved_at = now;
    }

    /// A piece or its answer seems to be lost: it took much longer than any so far. Each time it gets longer, or a slow link
    /// would be filled with repetitions.
    pub fn is_late(&self, patience: Duration, now: Time) -> bool {
        let patience = patience.max(self.slowest.saturating_mul(3));
        now.since(self.moved_at)
            >= patience.saturating_mul(1 << self.repetitions.min(REPETITIONS_COUNTED_MAX))
    }

    pub fn repeat(&mut self, now: Time) {
        self.repetitions += 1;
        self.rewind(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const CHUNK: u64 = 256 << 10;

    /// A snapshot over a link that carries so many bytes per second, one after the other, and loses each piece that `is_lost`
    /// names; the leader looks every 60 ms. Returns how long it takes and how many bytes were sent.
    fn transfer(total: u64, per_second: u64, is_lost: impl Fn(u64) -> bool) -> (Duration, u64) {
        let snapshot = Snapshot { data: Bytes::from(vec![0; total as usize]), ..Snapshot::default() };
        let mut transfer = SnapshotTransfer::new(snapshot, Hash::of(&[]), Time::ZERO);
        let config = Config::default();
        let (mut now, mut received, mut sent, mut pieces) = (Time::ZERO, 0, 0, 0);
        let mut under_way: VecDeque<(Time, u64, u64)> = VecDeque::new();
        let mut free_at = Time::ZERO;
        let mut heartbeat_at = Time::from_millis(60);
        while received < total {
            while let Some(range) = transfer.next_chunk(&config) {
                let (offset, bytes) = (range.start as u64, range.len() as u64);
                sent += bytes;
                pieces += 1;
                free_at = free_at.max(now) + Duration::from_micros(bytes * 1_000_000 / per_second);
                if !is_lost(pieces) {
                    under_way.push_back((free_at, offset, bytes));
                }
            }
            match under_way.front().copied() {
                Some((at, offset, bytes)) if at <= heartbeat_at => {
                    under_way.pop_front();
                    now = at;
                    received += if offset == received { bytes } else { 0 };
                    transfer.acknowledge(received, now);
                }
                _ => {
                    now = heartbeat_at;
                    heartbeat_at = now + config.heartbeat_interval;
                    if transfer.is_late(config.heartbeat_interval * 2, now) {
                        transfer.repeat(now);
                    }
                }
            }
            assert!(now < Time::from_millis(3_600_000), "{received} of {total} bytes in an hour");
        }
        (now.since(Time::ZERO), sent)
    }

    #[test]
    fn a_slow_link_is_not_filled_with_repetitions() {
        for per_second in [50_000, 250_000, 1_000_000, 5_000_000] {
            let total = 64 * CHUNK;
            let (took, sent) = transfer(total, per_second, |_| false);
            let least = Duration::from_micros(total * 1_000_000 / per_second);
            assert!(sent * 2 < total * 3 && took * 2 < least * 3, "{per_second} B/s: {sent} bytes, {took:?}");
        }
    }

    #[test]
    fn a_fast_link_with_losses_is_not_waited_for() {
        let total = 64 * CHUNK;
        let (took, _) = transfer(total, 100_000_000, |piece| piece % 4 == 0);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}
