//! `raft` 0.7.0 with its own storage in memory, driven as its documentation says.

use super::cluster::{
    COMPACT_AFTER_ENTRIES, ELECTION_TICKS, HEARTBEAT_TICKS, KEPT_TAIL_ENTRIES, MEMBERS, Member,
    TURNS_PER_TICK,
};
use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};
use slog::{Discard, Logger, o};

pub struct RaftRs {
    node: RawNode<MemStorage>,
    compacted: u64,
}

/// Its ids begin with 1.
fn id(number: usize) -> u64 {
    number as u64 + 1
}

fn send(messages: Vec<Message>, sent: &mut Vec<(usize, Message)>) {
    sent.extend(messages.into_iter().map(|message| (message.to as usize - 1, message)));
}

/// Its entries of a new leader are empty, as proposals may be: they differ in their context.
const PROPOSAL: &[u8] = b"p";

fn give_out(entries: &[Entry], mut committed: impl FnMut(&Bytes)) {
    entries.iter().filter(|entry| !entry.context.is_empty()).for_each(|entry| committed(&entry.data));
}

impl Member for RaftRs {
    type Message = Message;

    fn new(number: usize) -> RaftRs {
        let config = Config {
            id: id(number),
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            ..Config::default()
        };
        let voters: Vec<u64> = (0..MEMBERS).map(id).collect();
        let storage = MemStorage::new_with_conf_state((voters, Vec::new()));
        let node =
            RawNode::new(&config, storage, &Logger::root(Discard, o!())).expect("settings that fit together");
        RaftRs { node, compacted: 0 }
    }

    fn leads(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    fn time_passed(&mut self, turn: u64, _now_micros: u64) {
        if turn.is_multiple_of(TURNS_PER_TICK) {
            self.node.tick();
        }
    }

    fn propose(&mut self, payload: &Bytes, count: usize) {
        let entry =
            Entry { data: payload.clone(), context: Bytes::from_static(PROPOSAL), ..Entry::default() };
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.node.raft.id;
        message.entries = vec![entry; count].into();
        self.node.step(message).expect("the leader takes proposals");
    }

    fn step(&mut self, _from: usize, message: Message) {
        let _ = self.node.step(message);
    }

    fn output(&mut self, sent: &mut Vec<(usize, Message)>, mut committed: impl FnMut(&Bytes)) {
        if !self.node.has_ready() {
            return;
        }
        let mut ready = self.node.ready();
        send(ready.take_messages(), sent);
        give_out(ready.committed_entries(), &mut committed);
        let mut store = self.node.store().wl();
        store.append(ready.entries()).expect("entries that follow each other");
        if let Some(hard_state) = ready.hs() {
            store.set_hardstate(hard_state.clone());
        }
        drop(store);
        send(ready.take_persisted_messages(), sent);
        let mut rest = self.node.advance(ready);
        if let Some(commit) = rest.commit_index() {
            self.node.store().wl().mut_hard_state().set_commit(commit);
        }
        send(rest.take_messages(), sent);
        give_out(rest.committed_entries(), &mut committed);
        self.node.advance_apply();
        let applied = self.node.raft.raft_log.applied;
        if applied >= self.compacted + COMPACT_AFTER_ENTRIES {
            self.compacted = applied;
            self.node
                .store()
                .wl()
                .compact(applied - KEPT_TAIL_ENTRIES)
                .expect("what was applied can be compacted");
        }
    }

    fn encode(message: &Message) -> Bytes {
        message.write_to_bytes().expect("every message can be written").into()
    }

    fn decode(bytes: Bytes) -> Message {
        Message::parse_from_carllerche_bytes(&bytes).expect("what was encoded")
    }
}
