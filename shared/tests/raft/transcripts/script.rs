//! The commands of transcripts.

use super::words;
use crate::kit::*;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Display;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;
use wordraft_shared::time::Time;

type Parcel = (NodeId, NodeId, Message);

pub struct Script {
    cluster: Cluster,
    voters: Vec<u8>,
    under_way: Vec<Parcel>,
    held: Vec<Parcel>,
    /// What was last said about each member.
    known: BTreeMap<NodeId, (String, String)>,
    said: Vec<String>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            cluster: Cluster::from_disks(Config::default(), []),
            voters: Vec::new(),
            under_way: Vec::new(),
            held: Vec::new(),
            known: BTreeMap::new(),
            said: Vec::new(),
        }
    }
}

fn number(word: &str) -> u8 {
    let digits = word.strip_prefix('n').unwrap_or_else(|| panic!("no member: {word}"));
    digits.parse().unwrap_or_else(|_| panic!("no member: {word}"))
}

fn member(word: &str) -> NodeId {
    n(number(word))
}

/// `n1->n2`, `n1->*` or `*->n2`; without a pattern everything fits.
fn fits(pattern: Option<&str>, parcel: &Parcel) -> bool {
    let Some((from, to)) = pattern.map(|pattern| pattern.split_once("->").expect("FROM->TO")) else {
        return true;
    };
    (from == "*" || member(from) == parcel.0) && (to == "*" || member(to) == parcel.1)
}

impl Script {
    pub fn command(&mut self, line: &str) -> Vec<String> {
        let mut words = line.split_whitespace();
        let verb = words.next().expect("a command");
        let rest: Vec<&str> = words.collect();
        match (verb, &rest[..]) {
            ("config", settings) => settings.iter().for_each(|setting| self.configure(setting)),
            ("voters", names) => self.voters = names.iter().map(|name| number(name)).collect(),
            ("start", [name, "log", terms @ .., "term", term]) => self.start_with_log(name, terms, term),
            ("start", [name, "empty"]) => self.start(member(name), Stored::default()),
            ("start", names) => self.start_fresh(names),
            ("wait", [millis]) => self.cluster.now = self.cluster.now + ms(parse(millis)),
            ("timeout", [name]) => self.timeout(member(name)),
            ("elect", [name]) => self.elect(member(name)),
            ("deliver", ["once"]) => self.deliver_those_that_fit(None),
            ("deliver", []) => self.deliver_all(),
            ("deliver", [pattern]) => self.deliver_those_that_fit(Some(pattern)),
            ("drop", pattern) => self.drop_those_that_fit(pattern.first().copied()),
            ("hold", pattern) => {
                let taken = self.take(pattern.first().copied());
                self.held.extend(taken);
            }
            ("release", []) => self.under_way.append(&mut self.held),
            ("propose", [name, commands @ ..]) => self.propose(member(name), commands),
            ("change", [name, "voters", members @ ..]) => self.change(member(name), members),
            ("transfer", [name, to]) => {
                let answer = self.cluster.with(member(name), |raft, now| raft.transfer(now, member(to)));
                self.answer(answer.map(|()| "begun"));
            }
            ("read", [name]) => self.read(member(name)),
            ("lost", [name, peer]) => {
                self.cluster.with(member(name), |raft, now| raft.peer_lost(now, member(peer)))
            }
            ("crash", [name]) => {
                self.cluster.crash(member(name));
                self.known.remove(&member(name));
            }
            ("restart", [name]) => self.cluster.restart(member(name)),
            ("compact", [name]) => self.cluster.compact(member(name)),
            ("disk", [name, "hangs"]) => self.cluster.nodes.get_mut(&member(name)).unwrap().disk_hangs = true,
            ("disk", [name, "writes"]) => self.cluster.write_next(member(name)),
            ("progress", [name]) => self.progress(member(name)),
            _ => panic!("no such command: {line}"),
        }
        self.collect();
        self.tell_changes();
        std::mem::take(&mut self.said)
    }

    fn configure(&mut self, setting: &str) {
        let (key, value) = setting.split_once('=').expect("KEY=VALUE");
        let config = &mut self.cluster.config;
        match key {
            "append-bytes" => config.max_append_bytes = parse(value),
            "inflight-messages" => config.max_inflight_messages = parse(value),
            "chunk-bytes" => config.snapshot_chunk_bytes = parse(value),
            "kept-tail" => config.kept_tail_entries = parse(value),
            _ => panic!("no such setting: {key}"),
        }
    }

    fn start(&mut self, id: NodeId, stored: Stored) {
        self.cluster.add(id, stored);
    }

    fn start_fresh(&mut self, names: &[&str]) {
        if self.voters.is_empty() {
            self.voters = names.iter().map(|name| number(name)).collect();
        }
        for name in names {
            self.start(member(name), disk(&self.voters, &[1], 1));
        }
    }

    fn start_with_log(&mut self, name: &str, terms: &[&str], term: &str) {
        let terms: Vec<u64> = terms.iter().map(|term| parse(term)).collect();
        self.start(member(name), disk(&self.voters, &terms, parse(term)));
    }

    /// Time goes on until this member has something to do by itself, and only it looks at the clock.
    fn timeout(&mut self, id: NodeId) {
        let deadline = self.cluster.nodes[&id].raft.as_ref().and_then(Raft::deadline);
        let deadline: Time = deadline.expect("it waits for something");
        self.cluster.now = self.cluster.now.max(deadline);
        self.cluster.with(id, |raft, now| raft.tick(now));
    }

    /// An election that is not what the transcript is about: only its outcome is told.
    fn elect(&mut self, id: NodeId) {
        self.timeout(id);
        self.collect();
        self.deliver_all();
        self.said.clear();
        assert_eq!(self.cluster.role(id), Role::Leader);
    }

    fn take(&mut self, pattern: Option<&str>) -> Vec<Parcel> {
        let (taken, left) = std::mem::take(&mut self.under_way).into_iter().partition(|it| fits(pattern, it));
        self.under_way = left;
        taken
    }

    fn deliver_those_that_fit(&mut self, pattern: Option<&str>) {
        for (from, to, message) in self.take(pattern) {
            self.deliver(from, to, message);
        }
    }

    fn deliver_all(&mut self) {
        for _ in 0..1_000 {
            if self.under_way.is_empty() {
                return;
            }
            let (from, to, message) = self.under_way.remove(0);
            self.deliver(from, to, message);
            self.collect();
        }
        panic!("they never stop talking");
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, message: Message) {
        let said = format!("{} → {}  {}", name(from), name(to), words::message(&message));
        if self.cluster.nodes.get(&to).is_none_or(|node| node.raft.is_none()) {
            return self.said.push(format!("{said}   nobody is there"));
        }
        let remark = match self.cluster.step(to, from, message) {
            Ok(()) => String::new(),
            Err(StepError::NotExpected) => "   nobody waits for it".to_owned(),
            Err(error) => words::with_names(format!("   refused: {error}")),
        };
        self.said.push(said + &remark);
    }

    fn drop_those_that_fit(&mut self, pattern: Option<&str>) {
        for (from, to, message) in self.take(pattern) {
            self.said.push(format!("{} ↛ {}  {}", name(from), name(to), words::message(&message)));
        }
    }

    fn answer(&mut self, answer: Result<impl Display, impl Display>) {
        let text = match answer {
            Ok(answer) => answer.to_string(),
            Err(error) => format!("refused: {error}"),
        };
        self.said.push(words::with_names(text));
    }

    fn propose(&mut self, id: NodeId, commands: &[&str]) {
        let commands = commands.iter().map(|command| Bytes::copy_from_slice(command.as_bytes()));
        let answer = self.cluster.with(id, |raft, now| raft.propose(now, commands));
        let positions = answer.map(|entries| {
            entries.iter().map(|entry| entry.position().to_string()).collect::<Vec<_>>().join(" ")
        });
        self.answer(positions.map(|positions| format!("accepted as {positions}")));
    }

    fn change(&mut self, id: NodeId, members: &[&str]) {
        let mut halves = members.split(|word| *word == "learners");
        let mut half =
            || halves.next().unwrap_or_default().iter().map(|name| number(name)).collect::<Vec<_>>();
        let change = change(&half(), &half());
        let answer = self.cluster.with(id, |raft, now| raft.change_membership(now, change));
        self.answer(answer.map(|position| format!("accepted as {position}")));
    }

    fn read(&mut self, id: NodeId) {
        let token = ReadToken(1);
        self.cluster.checker.asked(token);
        self.cluster.with(id, |raft, now| raft.read(now, token));
    }

    fn progress(&mut self, id: NodeId) {
        for (peer, progress) in self.cluster.status(id).peers {
            let PeerStatus { matched, next, state, .. } = progress;
            let state = format!("{state:?}").to_lowercase();
            self.said.push(format!("{}  {state}, matches to {matched}, next {next}", name(peer)));
        }
    }

    fn collect(&mut self) {
        self.under_way.extend(self.cluster.network.intercept());
    }

    fn tell_changes(&mut self) {
        for (id, node) in &mut self.cluster.nodes {
            let Some(raft) = &node.raft else { continue };
            let status = raft.status();
            let log = words::log(&status, &node.disk);
            let state = format!("{:<15} term {:<3} {log}", words::role(&status), status.term);
            let membership = words::membership(&status.membership);
            let (old_state, old_membership) = self.known.get(id).cloned().unwrap_or_default();
            if old_state != state {
                self.said.push(format!("{}  {state}", name(*id)));
            }
            // What everybody began with is no news.
            if old_membership != membership && !old_state.is_empty() {
                self.said.push(format!("{}  {membership}", name(*id)));
            }
            self.known.insert(*id, (state, membership));
            for outcome in node.reads.drain(..) {
                let answer = match outcome.result {
                    Ok(index) => format!("the read sees everything up to {index}"),
                    Err(error) => format!("the read is refused: {error}"),
                };
                self.said.push(format!("{}  {answer}", name(*id)));
            }
        }
    }
}

fn parse<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("no number: {word}"))
}
