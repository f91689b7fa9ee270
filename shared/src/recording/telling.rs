//! What a node was told and what it did, in words: for transcripts that people read.

use crate::ids::NodeId;
use crate::limits;
use crate::node::api::{Event, Request};
use crate::node::{
    BlockOp, BlockOutcome, DeadlineReason, Input, Inspection, Outgoing, PersistOp, Ready, RequestId,
    friendly_name,
};
use crate::raft::{self, AppendOutcome, Entry, Payload, Role, StorageOp};
use crate::state_machine::Stamped;
use crate::wire::peer::{BlockMessage, Gossip, PeerMessage};
use crate::wire::session::{Frame, Peer, Presence, Profile};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Characters of a value that is told as it stands in the program.
const SHORT_CHARS: usize = 160;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Raft,
    Members,
    Requests,
    Blocks,
    Tasks,
    Gossip,
    Time,
}

impl Topic {
    pub const ALL: [Topic; 7] = [
        Topic::Raft,
        Topic::Members,
        Topic::Requests,
        Topic::Blocks,
        Topic::Tasks,
        Topic::Gossip,
        Topic::Time,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Topic::Raft => "raft",
            Topic::Members => "members",
            Topic::Requests => "requests",
            Topic::Blocks => "blocks",
            Topic::Tasks => "tasks",
            Topic::Gossip => "gossip",
            Topic::Time => "time",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub topic: Topic,
    /// It happens all the time, and says little.
    pub is_routine: bool,
    pub text: String,
}

impl Told {
    fn news(topic: Topic, text: impl Into<String>) -> Told {
        Told { topic, is_routine: false, text: text.into() }
    }

    fn routine(topic: Topic, text: impl Into<String>) -> Told {
        Told { topic, is_routine: true, text: text.into() }
    }

    fn map(self, text: impl FnOnce(String) -> String) -> Told {
        Told { text: text(self.text), ..self }
    }

    fn and(self, next: Told) -> Told {
        let topic = if self.is_routine { next.topic } else { self.topic };
        let is_routine = self.is_routine && next.is_routine;
        Told { topic, is_routine, text: format!("{}; {}", self.text, next.text) }
    }
}

/// Tells what one node hears and does. It knows everybody's name whose profile it saw.
#[derive(Debug, Default)]
pub struct Teller {
    names: BTreeMap<NodeId, String>,
    /// The same by the start of the id, as values show it.
    starts: BTreeMap<String, String>,
    standing: Option<Standing>,
}

/// What people follow of raft.
#[derive(Clone, Debug, PartialEq)]
struct Standing {
    role: Role,
    term: raft::Term,
    leader: Option<NodeId>,
    commit: raft::Index,
}

impl Teller {
    pub fn meet(&mut self, node: NodeId, profile: &Profile) {
        if !profile.name.is_empty() {
            let name: String = profile.name.chars().take(limits::MEMBER_NAME_BYTES_MAX).collect();
            self.starts.insert(format!("{node:?}"), name.clone());
            self.names.insert(node, name);
        }
    }

    pub fn name(&self, node: NodeId) -> String {
        self.names.get(&node).cloned().unwrap_or_else(|| friendly_name(node))
    }

    fn list(&self, nodes: impl IntoIterator<Item = NodeId>) -> String {
        let names: Vec<String> = nodes.into_iter().map(|node| self.name(node)).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    }

    /// What came in.
    pub fn input(&mut self, input: &Input) -> Told {
        let told = self.came_in(input);
        told.map(|text| self.with_names(&text))
    }

    /// What the node has its driver do. What is sent to several is told once.
    pub fn output(&self, ready: &Ready) -> Vec<Told> {
        self.went_out(ready).into_iter().map(|told| told.map(|text| self.with_names(&text))).collect()
    }

    /// Where the node stands now, if that is news.
    pub fn standing(&mut self, seen: &Inspection) -> Option<Told> {
        let raft::Status { role, term, leader, commit, .. } = seen.raft;
        let now = Standing { role, term, leader, commit };
        let before = self.standing.replace(now.clone());
        if before.as_ref() == Some(&now) {
            return None;
        }
        let leads =
            leader.map_or_else(|| "nobody leads".to_owned(), |leader| format!("{} leads", self.name(leader)));
        let text = format!("== {} in term {term}, {leads}, committed to {commit}", role_name(role));
        let only_commit = before.is_some_and(|before| Standing { commit, ..before } == now);
        Some(Told { topic: Topic::Raft, is_routine: only_commit, text })
    }

    /// Values are told as they stand in the program, with the starts of ids in them.
    fn with_names(&self, text: &str) -> String {
        let is_border = |c: char| !c.is_ascii_alphanumeric();
        let mut told = String::with_capacity(text.len());
        for piece in text.split_inclusive(is_border) {
            let word = piece.trim_end_matches(is_border);
            told.push_str(self.starts.get(word).map_or(word, String::as_str));
            told.push_str(&piece[word.len()..]);
        }
        told
    }

    fn came_in(&mut self, input: &Input) -> Told {
        match input {
            Input::Connected(welcome) => {
                welcome.present.iter().for_each(|peer| self.meet(peer.node, &peer.profile));
                let present = self.list(welcome.present.iter().map(|peer| peer.node));
                let role = if welcome.founder { "founds" } else { "enters" };
                Told::news(Topic::Members, format!("{role} cluster {}; present: {present}", welcome.cluster))
            }
            Input::Founded => Told::news(Topic::Members, "the room is this cluster's"),
            Input::Disconnected => Told::news(Topic::Members, "the connection to the relay is gone"),
            Input::Presence(presence) => self.presence(presence),
            Input::Frames(frames) => {
                let told = frames.iter().map(|(from, frame)| {
                    self.frame(frame).map(|text| format!("<- {}: {text}", self.name(*from)))
                });
                told.reduce(Told::and).unwrap_or_else(|| Told::routine(Topic::Raft, "no frames"))
            }
            Input::Requests(requests) => {
                let texts: Vec<String> =
                    requests.iter().map(|(id, request)| request_text(*id, request)).collect();
                Told::news(Topic::Requests, texts.join("; "))
            }
            Input::Abandoned { id } => Told::news(Topic::Requests, format!("request {} is given up", id.0)),
            Input::Persisted(sequence) => {
                Told::routine(Topic::Raft, format!("write {} is durable", sequence.0))
            }
            Input::Block { result, .. } => {
                let outcome = match result {
                    Ok(BlockOutcome::Stored) => "stored".to_owned(),
                    Ok(BlockOutcome::Data { bytes, total }) => format!("{} of {total} bytes", bytes.len()),
                    Err(error) => error.to_string(),
                };
                Told::news(Topic::Blocks, format!("the store: {outcome}"))
            }
            Input::Computed { result, .. } => {
                Told::news(Topic::Tasks, format!("the pool: {}", short(result)))
            }
            Input::Profile(profile) => Told::news(Topic::Members, format!("own profile: {}", short(profile))),
            Input::Leaving(true) => Told::news(Topic::Members, "may be gone any moment"),
            Input::Leaving(false) => Told::news(Topic::Members, "stays after all"),
            Input::Deadline => Told::routine(Topic::Time, "the deadline has come"),
        }
    }

    fn presence(&mut self, presence: &Presence) -> Told {
        let text = match presence {
            Presence::Joined(Peer { node, profile }) => {
                self.meet(*node, profile);
                format!("{} has come", self.name(*node))
            }
            Presence::Changed(Peer { node, profile }) => {
                let before = self.name(*node);
                self.meet(*node, profile);
                format!("{before} is now {}", short(profile))
            }
            Presence::Left(node) => format!("{} has gone", self.name(*node)),
        };
        Told::news(Topic::Members, text)
    }

    fn frame(&self, frame: &Frame) -> Told {
        match PeerMessage::from_frame(frame) {
            Err(error) => Told::news(Topic::Members, format!("a frame of {} bytes: {error}", frame.bytes())),
            Ok(PeerMessage::Raft(message)) => raft_message(&message),
            Ok(PeerMessage::Proposal(proposal)) => Told::news(Topic::Requests, short(&proposal)),
            Ok(PeerMessage::Block(BlockMessage::Heard { .. })) => {
                Told::routine(Topic::Blocks, "holdings heard")
            }
            Ok(PeerMessage::Block(message)) => {
                let bulk =
                    if frame.bulk.is_empty() { "" } else { &format!(" and {} bytes", frame.bulk.len()) };
                Told::news(Topic::Blocks, short(&message) + bulk)
            }
            Ok(PeerMessage::Task(message)) => Told::news(Topic::Tasks, short(&message)),
            Ok(PeerMessage::Gossip(message)) => {
                let text = match message {
                    Gossip::Status(_) => "its status",
                    Gossip::Statuses(_) => "everybody's status",
                    Gossip::Progress(_) => "progress of jobs",
                };
                Told::routine(Topic::Gossip, text)
            }
        }
    }

    fn went_out(&self, ready: &Ready) -> Vec<Told> {
        let Ready {
            send_now,
            persist,
            send_after_persist,
            to_relay,
            blocks,
            compute,
            replies,
            events,
            deadline,
        } = ready;
        let mut told = self.sent(send_now, "->");
        let writes = persist.iter().flat_map(|persist| &persist.operations);
        told.extend(
            writes.map(|operation| Told::news(Topic::Raft, format!("writes {}", self.written(operation)))),
        );
        told.extend(self.sent(send_after_persist, if persist.is_some() { "-> once written," } else { "->" }));
        told.extend(
            to_relay
                .iter()
                .map(|notice| Told::news(Topic::Members, format!("tells the relay: {}", short(notice)))),
        );
        told.extend(blocks.iter().map(block_operation));
        told.extend(
            compute.iter().map(|task| Told::news(Topic::Tasks, format!("has the pool do {}", short(task)))),
        );
        told.extend(replies.iter().map(|(id, result)| {
            Told::news(Topic::Requests, format!("answers request {}: {}", id.0, short(result)))
        }));
        told.extend(events.iter().map(event));
        told.extend(deadline.iter().filter(|deadline| deadline.reason != DeadlineReason::Gossip).map(
            |deadline| Told::routine(Topic::Time, format!("wants to be woken for {:?}", deadline.reason)),
        ));
        told
    }

    fn written(&self, operation: &PersistOp) -> String {
        match operation {
            PersistOp::Cluster(cluster) => format!("that it belongs to cluster {cluster}"),
            PersistOp::Raft(StorageOp::HardState(state)) => match state.vote {
                Some(vote) => format!("term {} and its vote for {}", state.term, self.name(vote)),
                None => format!("term {}", state.term),
            },
            PersistOp::Raft(StorageOp::Append(entries)) => entry_list(entries),
            PersistOp::Raft(StorageOp::Snapshot(snapshot)) => {
                format!("the leader's snapshot to {}", snapshot.meta.last)
            }
            PersistOp::Raft(StorageOp::CompactTo { snapshot, .. }) => {
                format!("a snapshot to {}", snapshot.meta.last)
            }
        }
    }

    fn sent(&self, messages: &[Outgoing], arrow: &str) -> Vec<Told> {
        let mut told: Vec<(Told, Vec<NodeId>)> = Vec::new();
        for Outgoing { to, class: _, frame } in messages {
            let line = self.frame(frame);
            match told.iter_mut().find(|(known, _)| *known == line) {
                Some((_, receivers)) => receivers.push(*to),
                None => told.push((line, vec![*to])),
            }
        }
        let line =
            |(told, to): (Told, Vec<NodeId>)| told.map(|text| format!("{arrow} {}: {text}", self.list(to)));
        told.into_iter().map(line).collect()
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Learner => "learner",
    }
}

fn raft_message(message: &raft::Message) -> Told {
    use raft::Message;
    let text = match message {
        Message::Heartbeat { term, commit, .. } => {
            return Told::routine(Topic::Raft, format!("heartbeat of term {term}, commit {commit}"));
        }
        Message::HeartbeatResponse { term, .. } => {
            return Told::routine(Topic::Raft, format!("heartbeat heard, term {term}"));
        }
        Message::PreVote { term, last, .. } => format!("would you vote for me in term {term}? log to {last}"),
        Message::Vote { term, last, .. } => format!("vote for me in term {term}! log to {last}"),
        Message::VoteResponse { term, granted, .. } => {
            format!("{} in term {term}", if *granted { "votes" } else { "does not vote" })
        }
        Message::Append { term, previous, entries, commit, .. } => {
            format!("append in term {term} after {previous}: {}; commit {commit}", entry_list(entries))
        }
        Message::AppendResponse { outcome: AppendOutcome::Accepted { matched }, .. } => {
            format!("holds all to {matched}")
        }
        Message::AppendResponse { outcome: AppendOutcome::Rejected { previous, hint }, .. } => {
            format!("does not hold {previous}; try {hint}")
        }
        other => short(other),
    };
    Told::news(Topic::Raft, text)
}

fn entry_list(entries: &[Entry]) -> String {
    match entries {
        [] => "nothing".to_owned(),
        [one] => entry(one),
        [first, .., last] => format!("{} to {}, {} entries", entry(first), last.position(), entries.len()),
    }
}

fn entry(entry: &Entry) -> String {
    let says = match &entry.payload {
        Payload::Noop => "the leader's first".to_owned(),
        Payload::Membership(membership) => short(membership),
        Payload::Command(bytes) => match Stamped::decode(bytes) {
            Ok(stamped) => short(&stamped.command),
            Err(error) => error.to_string(),
        },
    };
    format!("{} ({says})", entry.position())
}

fn block_operation(operation: &BlockOp) -> Told {
    let text = match operation {
        BlockOp::Put { name, bytes, .. } => {
            format!("stores {name:?}, {} bytes", bytes.len())
        }
        BlockOp::Get { name, offset, .. } => {
            format!("reads {name:?} from {offset} on")
        }
        BlockOp::Delete { names } => format!("deletes {} blocks", names.len()),
    };
    Told::news(Topic::Blocks, text)
}

fn event(event: &Event) -> Told {
    match event {
        Event::Cluster(_) => Told::routine(Topic::Gossip, "shows the cluster"),
        Event::Progress(_) => Told::routine(Topic::Gossip, "shows progress"),
        Event::Happened(happening) => {
            Told::news(Topic::Members, format!("tells: {}", short(&happening.what)))
        }
        other => Told::news(Topic::Requests, format!("tells: {}", short(other))),
    }
}

fn request_text(id: RequestId, request: &Request) -> String {
    format!("request {}: {}", id.0, short(request))
}

/// A value as it stands in the program, cut where it gets long. What the rest would have cost is not paid.
fn short(value: &impl fmt::Debug) -> String {
    struct Cut {
        text: String,
        chars_left: usize,
    }
    impl fmt::Write for Cut {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            for c in part.chars() {
                self.chars_left = self.chars_left.checked_sub(1).ok_or(fmt::Error)?;
                self.text.push(c);
            }
            Ok(())
        }
    }
    let mut cut = Cut { text: String::new(), chars_left: SHORT_CHARS };
    if write!(cut, "{value:?}").is_err() {
        cut.text.push('…');
    }
    cut.text
}
