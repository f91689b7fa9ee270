use super::cluster::{
    COMPACT_AFTER_ENTRIES, ELECTION_TICKS, HEARTBEAT_TICKS, KEPT_TAIL_ENTRIES, MEMBERS, Member,
};
use bytes::Bytes;
use shared::ids::NodeId;
use shared::limits;
use shared::raft::{
    Config, Entry, HardState, Index, Membership, Message, Output, Payload, Raft, Stored, Term,
};
use shared::rng::Rng;
use shared::time::{Duration, Time};
use shared::wire;
use std::sync::Arc;

pub struct Ours {
    raft: Raft,
    now: Time,
    output: Output,
}

fn id(number: usize) -> NodeId {
    NodeId::from_bytes([number as u8; 10])
}

fn number(id: NodeId) -> usize {
    usize::from(id.as_bytes()[0])
}

impl Member for Ours {
    type Message = Message;

    fn new(number: usize) -> Ours {
        let config = Config {
            election_timeout: Duration::from_millis(10 * ELECTION_TICKS as u64),
            heartbeat_interval: Duration::from_millis(10 * HEARTBEAT_TICKS as u64),
            max_append_bytes: 1 << 20,
            max_inflight_messages: 256,
            max_inflight_bytes: 256 << 20,
            compact_after_entries: COMPACT_AFTER_ENTRIES,
            compact_after_bytes: u64::MAX,
            kept_tail_entries: KEPT_TAIL_ENTRIES,
            ..Config::default()
        };
        let term = Term::new(1);
        let membership = Arc::new(Membership::of_voters((0..MEMBERS).map(id)));
        let stored = Stored {
            hard_state: HardState { term, vote: None },
            snapshot: None,
            entries: vec![Entry { term, index: Index::new(1), payload: Payload::Membership(membership) }],
        };
        let rng = Rng::from_u64(number as u64);
        let raft =
            Raft::new(id(number), config, stored, rng, Time::ZERO).expect("settings that fit together");
        Ours { raft, now: Time::ZERO, output: Output::default() }
    }

    fn leads(&self) -> bool {
        self.raft.status().is_leader()
    }

    fn time_passed(&mut self, _turn: u64, now_micros: u64) {
        self.now = Time::from_micros(now_micros);
        if self.raft.deadline().is_some_and(|at| at <= self.now) {
            self.raft.tick(self.now);
        }
    }

    fn propose(&mut self, payload: &Bytes, count: usize) {
        self.raft
            .propose(self.now, std::iter::repeat_n(payload.clone(), count))
            .expect("the leader takes proposals");
    }

    fn step(&mut self, from: usize, message: Message) {
        // A vote that comes after the election was won is refused, for one.
        let _ = self.raft.step(self.now, id(from), message);
    }

    fn output(&mut self, sent: &mut Vec<(usize, Message)>, mut committed: impl FnMut(&Bytes)) {
        self.raft.fill_output(&mut self.output);
        sent.extend(self.output.send_now.drain(..).map(|(to, message)| (number(to), message)));
        if let Some((sequence, _)) = &self.output.persist {
            sent.extend(self.output.send_after_persist.drain(..).map(|(to, message)| (number(to), message)));
            self.raft.persisted(self.now, *sequence);
        }
        for entry in &self.output.committed {
            if let Payload::Command(command) = &entry.payload {
                committed(command);
            }
        }
        if self.output.want_snapshot {
            let delivered = self.raft.status().delivered;
            self.raft
                .compact(self.now, delivered, Bytes::new())
                .expect("what was delivered can be compacted");
        }
    }

    fn encode(message: &Message) -> Bytes {
        wire::encode(wire::PEER_VERSION, message).into()
    }

    fn decode(bytes: Bytes) -> Message {
        wire::decode_in_place(wire::PEER_VERSION, bytes, limits::FRAME_HEAD_BYTES_MAX)
            .expect("what was encoded")
    }
}
