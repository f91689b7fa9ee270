//! One state of a whole cluster, and what may come next.

use crate::action::Action;
use crate::history::{History, Rule};
use crate::member::Member;
use crate::scenario::{Budget, Scenario, WRITES_MAX};
use shared::raft::{Entry, Message, Role};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A message that was sent, and may arrive at any time. Members are named by their place, from zero.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Letter {
    pub from: usize,
    pub to: usize,
    pub message: Message,
}

#[derive(Clone, Debug)]
pub struct World {
    pub(crate) members: Vec<Arc<Member>>,
    /// In the order of their keys, each once.
    mail: Arc<Vec<(u64, Arc<Letter>)>>,
    /// What arrives before anything else happens.
    express: Vec<Letter>,
    pub(crate) history: Arc<History>,
    pub(crate) left: Budget,
    pub(crate) changes_left: usize,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.members.iter().for_each(|member| member.key.hash(hasher));
        self.mail.iter().for_each(|(key, _)| key.hash(hasher));
        (&self.history, self.left, self.changes_left).hash(hasher);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &World) -> bool {
        let same_members = self.members.iter().zip(&other.members).all(|(one, other)| one.key == other.key);
        let keys = |world: &World| world.mail.iter().map(|(key, _)| *key).collect::<Vec<_>>();
        same_members
            && (Arc::ptr_eq(&self.mail, &other.mail) || keys(self) == keys(other))
            && (Arc::ptr_eq(&self.history, &other.history) || self.history == other.history)
            && (self.left, self.changes_left) == (other.left, other.changes_left)
    }
}

impl World {
    pub fn new(scenario: &Scenario) -> World {
        let disks = scenario.disks.iter().enumerate();
        World {
            members: disks
                .map(|(place, disk)| Arc::new(Member::start(scenario, place, disk.clone())))
                .collect(),
            mail: Arc::default(),
            express: Vec::new(),
            history: Arc::default(),
            left: scenario.budget,
            changes_left: scenario.changes.len(),
        }
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn left(&self) -> Budget {
        self.left
    }

    pub fn is_within(&self, scenario: &Scenario) -> bool {
        self.members
            .iter()
            .all(|member| member.term.get() <= scenario.term_max() && member.writes_under_way() <= WRITES_MAX)
    }

    /// All that may happen now. What turns out to change nothing is no step.
    pub fn actions(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        let left = self.left;
        for (place, member) in self.members.iter().enumerate() {
            if member.role == Role::Leader {
                let may = [
                    (left.heartbeats > 0, Action::Heartbeat(place)),
                    (left.silences > 0, Action::Silence(place)),
                    (left.commands > 0, Action::Propose(place)),
                    (self.changes_left > 0, Action::Change(place)),
                    (left.reads > 0 && !self.history.is_read_under_way(), Action::Read(place)),
                ];
                actions.extend(may.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
            } else if member.may_stand && scenario.may_stand(place, member.term.get()) {
                actions.push(Action::ElectionTimeout(place));
                if left.notices > 0 && member.leader.is_some() {
                    actions.push(Action::Notice(place));
                }
            }
            let is_troubled = scenario.troubled.contains(&place);
            if is_troubled && left.slow_disks > 0 && !member.disk_is_slow {
                actions.push(Action::SlowDisk(place));
            }
            if member.writes_under_way() > 0 {
                actions.push(Action::Sync(place));
            }
            if is_troubled && left.crashes > 0 {
                actions.push(Action::Crash(place));
            }
        }
        for (_, letter) in self.mail.iter() {
            actions.push(Action::Deliver { letter: letter.clone(), late: false });
            let asks = matches!(letter.message, Message::Vote { .. } | Message::PreVote { .. });
            let receiver = &self.members[letter.to];
            if asks && left.late_votes > 0 && receiver.role != Role::Leader && receiver.leader.is_some() {
                actions.push(Action::Deliver { letter: letter.clone(), late: true });
            }
        }
    }

    /// A panic of the core is an outcome like others.
    pub fn after(&self, scenario: &Scenario, action: &Action) -> Option<World> {
        let next = catch_unwind(AssertUnwindSafe(|| {
            let mut next = self.clone();
            let happened = next.act(scenario, action);
            while let Some(letter) = next.express.pop() {
                next.arrives_at_once(scenario, letter);
            }
            happened.then_some(next)
        }));
        next.unwrap_or_else(|_| {
            let mut next = self.clone();
            Arc::make_mut(&mut next.history).breaks(Rule::NoPanic);
            Some(next)
        })
    }

    pub(crate) fn post(&mut self, scenario: &Scenario, letter: Letter) {
        if scenario.is_lost(&letter.message) {
            return;
        }
        if scenario.arrives_at_once(&letter.message) {
            return self.express.push(letter);
        }
        let mut hasher = DefaultHasher::new();
        letter.hash(&mut hasher);
        let key = hasher.finish();
        if let Err(at) = self.mail.binary_search_by_key(&key, |(key, _)| *key) {
            Arc::make_mut(&mut self.mail).insert(at, (key, Arc::new(letter)));
        }
    }

    /// What the receiver's disk has left behind can have no effect any more, but for a denial.
    pub(crate) fn drop_stale_mail(&mut self, scenario: &Scenario, to: usize) {
        let term = self.members[to].disk.hard_state.term;
        let is_stale = |letter: &Letter| {
            letter.to == to
                && letter.message.term() < term
                && match letter.message {
                    Message::PreVoteResponse { request, .. } => request <= term,
                    Message::PreVote { .. } => false,
                    Message::Vote { .. } | Message::Append { .. } | Message::Heartbeat { .. } => {
                        !scenario.denials_travel
                    }
                    _ => true,
                }
        };
        if self.mail.iter().any(|(_, letter)| is_stale(letter)) {
            Arc::make_mut(&mut self.mail).retain(|(_, letter)| !is_stale(letter));
        }
    }
}

/// The properties of Figure 3.2 of the dissertation.
impl World {
    pub fn keeps(&self, rule: Rule) -> bool {
        self.history.broken() != Some(rule)
    }

    /// Log Matching: logs that hold the same entry hold the same entries up to it.
    pub fn logs_match(&self) -> bool {
        let logs: Vec<&[Entry]> = self.members.iter().map(|member| member.log()).collect();
        logs.iter().enumerate().all(|(at, one)| logs[..at].iter().all(|other| match_each_other(one, other)))
    }

    /// Leader Completeness: what was committed is in the log of every leader of a later term.
    pub fn leaders_are_complete(&self) -> bool {
        let leaders = self.members.iter().filter(|member| member.role == Role::Leader);
        leaders.into_iter().all(|leader| {
            let before = self.history.committed().iter().filter(|(_, term)| *term < leader.term);
            before
                .into_iter()
                .all(|(entry, _)| leader.log().get(entry.index.get() as usize - 1) == Some(entry))
        })
    }

    /// What a member believes is what its disk says, once all is written.
    pub fn disks_agree(&self) -> bool {
        self.members.iter().all(|member| member.agrees_with_disk())
    }
}

fn match_each_other(one: &[Entry], other: &[Entry]) -> bool {
    let last_common = one.iter().zip(other).rposition(|(one, other)| one.position() == other.position());
    last_common.is_none_or(|last| one[..=last] == other[..=last])
}
