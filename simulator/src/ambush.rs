//! Crashes that lie in wait for a moment which only the core brings about.
//!
//! Faults that strike at random times hardly ever meet the millisecond between a promise and the write that keeps it, or
//! the one between the first entry of a new leader and its way to the others. Several leaders that die young, one
//! after the other, are Figure 3.7 of the dissertation: logs with tails that nobody else has, and an old tail that
//! spreads again under a later leader.

use shared::ids::NodeId;
use shared::node::Inspection;
use shared::raft::{Index, Position, Term};
use shared::rng::Rng;
use shared::time::Duration;

/// A series of deaths, each waiting for its moment. Whoever fell before gets up when the next one falls.
#[derive(Clone, Copy, Debug)]
pub struct Ambush {
    plan: Plan,
    moment: Moment,
    deaths: u64,
    fallen: Option<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    /// Anybody dies, and is soon back: what it was part of still goes on.
    Anybody,
    /// The power goes, and those that come back first begin without the others.
    Everybody,
    /// Leaders die young, and come back to lead again when the one after them is gone.
    Succession,
}

/// What a process has just done when it dies.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// It came to a new term, and maybe voted.
    EntersTerm,
    /// It took entries, or gave up its own for them.
    ChangesLog,
    /// It took another configuration.
    ChangesMembers,
    /// It won an election, and has an entry that nobody else has.
    Wins,
    /// It leads, and moved its commit index before anybody else.
    Commits,
}

/// What moments are told by.
#[derive(Clone, Copy, Debug)]
pub struct Footing {
    term: Term,
    last: Position,
    membership: Index,
    leads: bool,
    commit: Index,
}

impl Ambush {
    pub fn draw(rng: &mut Rng) -> Ambush {
        let plan =
            [Plan::Anybody, Plan::Everybody, Plan::Succession, Plan::Succession][rng.below(4) as usize];
        // A leader that is there dies of a commit: the first of a succession need not be waited for.
        let moment = if plan == Plan::Succession { Moment::Commits } else { plan.draw_moment(rng) };
        Ambush { plan, moment, deaths: 1 + rng.below(30), fallen: None }
    }

    pub fn strikes(&self, before: Footing, after: Footing) -> bool {
        match self.moment {
            Moment::EntersTerm => after.term > before.term,
            Moment::ChangesLog => after.last != before.last,
            Moment::ChangesMembers => after.membership != before.membership,
            Moment::Wins => after.leads && !before.leads,
            Moment::Commits => after.leads && after.commit > before.commit,
        }
    }

    pub fn is_power_cut(&self) -> bool {
        self.plan == Plan::Everybody
    }

    /// How long a victim is away, at most.
    pub fn down(&self, rng: &mut Rng) -> Duration {
        let longest = match self.plan {
            Plan::Anybody => 200,
            Plan::Everybody => 1_000,
            Plan::Succession => 5_000,
        };
        rng.between(Duration::from_millis(5), Duration::from_millis(longest))
    }

    pub fn fallen(&self) -> Option<NodeId> {
        self.fallen
    }

    /// The next of the series, after `node` fell.
    pub fn next(self, node: NodeId, rng: &mut Rng) -> Option<Ambush> {
        let deaths = self.deaths - 1;
        (deaths > 0).then(|| Ambush {
            moment: self.plan.draw_moment(rng),
            deaths,
            fallen: Some(node),
            ..self
        })
    }
}

impl Plan {
    fn draw_moment(self, rng: &mut Rng) -> Moment {
        let moments: &[Moment] = match self {
            Plan::Anybody => &[
                Moment::EntersTerm,
                Moment::ChangesLog,
                Moment::ChangesMembers,
                Moment::Wins,
                Moment::Commits,
            ],
            Plan::Everybody => {
                &[Moment::EntersTerm, Moment::ChangesLog, Moment::ChangesMembers, Moment::Commits]
            }
            Plan::Succession => &[Moment::Wins, Moment::Commits],
        };
        moments[rng.below(moments.len() as u64) as usize]
    }
}

impl Footing {
    pub fn of(seen: &Inspection) -> Footing {
        let raft = &seen.raft;
        Footing {
            term: raft.term,
            last: raft.last,
            membership: raft.membership_index,
            leads: raft.is_leader(),
            commit: raft.commit,
        }
    }
}
