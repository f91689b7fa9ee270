//! Random faults over many seeds: loss, doubling, reordering, cuts, pauses, crashes that lose what was not synced,
//! changes of the configuration. The checker looks at every step; in the end all faults stop and the cluster serves.

use crate::kit::*;
use std::collections::BTreeSet;
use std::time::Duration;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;
use wordraft_shared::rng::Rng;

const MEMBERS: u8 = 5;

pub struct Storm {
    cluster: Cluster,
    rng: Rng,
    commands: u64,
    reads: u64,
}

impl Storm {
    fn new(seed: u64, config: Config) -> Storm {
        let disks = (1..=MEMBERS).map(|number| {
            let stored = if number <= 3 { disk(&[1, 2, 3], &[1], 1) } else { Stored::default() };
            (number, stored)
        });
        let mut cluster = Cluster::from_disks(config, disks.collect::<Vec<_>>()).seeded(seed);
        cluster.disk_delay = ms(seed % 5 * 6);
        cluster.network.jitter = ms(seed % 7 * 3);
        cluster.network.lost_percent = seed % 4 * 8;
        cluster.network.doubled_percent = seed % 3 * 20;
        Storm { cluster, rng: Rng::from_u64(seed ^ 0xfa17), commands: 0, reads: 0 }
    }

    fn anybody(&mut self) -> NodeId {
        n(1 + self.rng.below(u64::from(MEMBERS)) as u8)
    }

    fn runs(&self, id: NodeId) -> bool {
        let node = &self.cluster.nodes[&id];
        node.raft.is_some() && !node.is_frozen
    }

    fn one_thing_happens(&mut self) {
        let id = self.anybody();
        let other = self.anybody();
        match self.rng.below(100) {
            0..50 => self.propose(),
            50..58 => self.read(),
            58..62 => self.cluster.crash(id),
            62..63 => self.power_fails(),
            63..66 => self.leader_dies_in_the_middle(),
            66..67 => self.fresh_leader_changes_members(),
            67..73 => self.everybody_back(),
            73..78 => self.cluster.network.cut_one_way(id, other),
            78..80 => self.cluster.network.isolate(id, (1..=MEMBERS).map(n)),
            80..85 => self.cluster.network.heal(),
            85..88 => self.cluster.nodes.get_mut(&id).unwrap().is_frozen = true,
            88..90 => self.cluster.nodes.get_mut(&id).unwrap().disk_hangs = true,
            90..94 => self.change_membership(),
            94..96 => self.transfer(other),
            _ => self.notice(id, other),
        }
        self.compact_where_wanted();
        let pause = ms(self.rng.below(60));
        self.cluster.run_for(pause);
    }

    fn propose(&mut self) {
        let leaders: Vec<NodeId> = self.cluster.nodes.keys().copied().filter(|id| self.runs(*id)).collect();
        for leader in leaders {
            self.commands += 1;
            let _not_leader = self.cluster.propose(leader, &format!("command {}", self.commands));
        }
    }

    fn read(&mut self) {
        let id = self.anybody();
        if self.runs(id) {
            self.reads += 1;
            let token = ReadToken(self.reads);
            self.cluster.checker.asked(token);
            self.cluster.with(id, |raft, now| raft.read(now, token));
        }
    }

    /// All stop at the same moment, some come back at once.
    fn power_fails(&mut self) {
        (1..=MEMBERS).for_each(|number| self.cluster.crash(n(number)));
        for _ in 0..MEMBERS {
            let back = self.anybody();
            if self.cluster.nodes[&back].raft.is_none() {
                self.cluster.restart(back);
            }
        }
    }

    /// A leader crashes when some followers, but not all, may have what it sent; the others hear of it at once.
    fn leader_dies_in_the_middle(&mut self) {
        let Some(leader) = self.cluster.leader().filter(|leader| self.runs(*leader)) else { return };
        let missed = self.anybody();
        self.cluster.network.cut_one_way(leader, missed);
        self.propose();
        let moment = ms(self.rng.below(12));
        self.cluster.run_for(moment);
        self.cluster.crash(leader);
        let survivors: Vec<NodeId> = self.cluster.nodes.keys().copied().filter(|id| self.runs(*id)).collect();
        for survivor in survivors {
            self.cluster.with(survivor, |raft, now| raft.peer_lost(now, leader));
        }
        let moment = ms(self.rng.below(40));
        self.cluster.run_for(moment);
        self.cluster.restart(leader);
    }

    /// The first thing that a new leader is asked for is another configuration, and then it is cut off.
    fn fresh_leader_changes_members(&mut self) {
        self.leader_dies_in_the_middle();
        for _ in 0..100 {
            self.cluster.run_for(ms(1));
            let leads = |id: &NodeId| self.runs(*id) && self.cluster.role(*id) == Role::Leader;
            let fresh = (1..=MEMBERS).map(n).filter(leads).find(|id| !self.cluster.status(*id).ready);
            if let Some(fresh) = fresh {
                self.change_membership();
                self.cluster.network.isolate(fresh, (1..=MEMBERS).map(n));
                return;
            }
        }
    }

    fn everybody_back(&mut self) {
        for number in 1..=MEMBERS {
            let node = self.cluster.nodes.get_mut(&n(number)).unwrap();
            node.is_frozen = false;
            node.disk_hangs = false;
            if node.raft.is_none() {
                self.cluster.restart(n(number));
            }
        }
    }

    fn change_membership(&mut self) {
        let mut voters: BTreeSet<NodeId> = (0..4).map(|_| self.anybody()).collect();
        let learners: BTreeSet<NodeId> = [self.anybody()].into();
        voters = voters.difference(&learners).copied().collect();
        if let Some(leader) = self.cluster.leader().filter(|leader| self.runs(*leader)) {
            let change = MembershipChange { voters, learners };
            let _refused = self.cluster.with(leader, |raft, now| raft.change_membership(now, change));
        }
    }

    fn transfer(&mut self, to: NodeId) {
        if let Some(leader) = self.cluster.leader().filter(|leader| self.runs(*leader)) {
            let _refused = self.cluster.with(leader, |raft, now| raft.transfer(now, to));
        }
    }

    /// True or not, a notice does no harm.
    fn notice(&mut self, id: NodeId, about: NodeId) {
        if self.runs(id) {
            self.cluster.with(id, |raft, now| raft.peer_lost(now, about));
            self.cluster.with(id, |raft, now| raft.peer_back(now, about));
        }
    }

    fn compact_where_wanted(&mut self) {
        for number in 1..=MEMBERS {
            if self.runs(n(number)) && self.cluster.nodes[&n(number)].wants_snapshot {
                self.cluster.compact(n(number));
            }
        }
    }

    /// All faults stop: the cluster must find a leader, serve, and agree.
    fn calm(&mut self) {
        self.everybody_back();
        self.cluster.network.heal();
        self.cluster.network.lost_percent = 0;
        self.cluster.network.doubled_percent = 0;
        self.cluster.network.jitter = ms(0);
        self.cluster.run_for(ms(4_000));
        let leader = self.cluster.leader();
        let leader = leader.unwrap_or_else(|| panic!("no leader\n{}", self.cluster.story.join("\n")));
        self.cluster.propose(leader, "the end").unwrap();
        self.cluster.run_for(ms(1_000));
        let status = self.cluster.status(leader);
        assert!(!status.membership.is_joint() && status.membership_index <= status.commit);
        for member in status.membership.members() {
            let (found, expected) =
                (&self.cluster.nodes[&member].applied, &self.cluster.nodes[&leader].applied);
            assert_eq!(found, expected, "{} differs", name(member));
            assert!(self.cluster.has_applied(member, "the end"));
        }
        assert_eq!(self.cluster.checker.committed_up_to(), status.commit, "nothing committed is lost");
    }
}

/// Small limits, so that a short storm reaches all of them.
pub fn tight() -> Config {
    Config {
        commit_delay: Duration::from_millis(3),
        max_append_bytes: 60,
        max_inflight_messages: 3,
        compact_after_entries: 12,
        kept_tail_entries: 3,
        snapshot_chunk_bytes: 100,
        ..Config::default()
    }
}

fn weather(seed: u64) -> Storm {
    storm(seed, tight())
}

/// A storm and the calm after it. Panics when something breaks.
pub fn storm(seed: u64, config: Config) -> Storm {
    let mut storm = Storm::new(seed, config);
    for _ in 0..150 {
        storm.one_thing_happens();
    }
    storm.calm();
    storm
}

#[test]
fn three_hundred_storms_break_nothing() {
    for seed in 0..300 {
        let outcome = std::panic::catch_unwind(|| weather(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_hundred_storms_make_no_lease_read_stale() {
    for seed in 0..100 {
        let outcome = std::panic::catch_unwind(|| storm(seed, Config { lease_reads: true, ..tight() }));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let (one, other) = (weather(7), weather(7));
    assert!(!one.cluster.story.is_empty());
    assert_eq!(one.cluster.story, other.cluster.story);
    for (id, node) in &one.cluster.nodes {
        assert_eq!(node.disk, other.cluster.nodes[id].disk);
    }
}

#[test]
fn storms_do_get_work_done() {
    let storms: Vec<Storm> = (0..10).map(weather).collect();
    let applied: usize =
        storms.iter().map(|storm| storm.cluster.checker.committed_up_to().get() as usize).sum();
    assert!(applied > 250, "only {applied} entries were committed in ten storms");
}
