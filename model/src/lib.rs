//! Model checking of the consensus core: [`Raft`](shared::raft::Raft) as it is shipped, driven through every order of
//! events that small bounds allow, with the safety properties of Figure 3.2 of the dissertation checked in each state.
//!
//! Nothing of Raft is written here a second time. A [`World`] holds the members themselves, their disks, the messages
//! and what was once true; an [`Action`] is one thing that can happen next. `stateright` walks the graph.
//!
//! # What can happen
//!
//! Every message may arrive at any time, in any order, again and again, or never: a message that was sent stays
//! there to be delivered. A disk may turn slow: then messages come in and go out while writes are under way. A member may
//! crash, which loses the writes that are under way, and starts again at once from its disk; that it stays away for a
//! while looks to all others as if it were slow. Bounds are a [`Scenario`].
//!
//! # What time is
//!
//! Each member has a clock of its own, and no clock knows another. A clock stands still but for three leaps: to the
//! next heartbeat (a microsecond, here), past the prompt patience after a notice (microseconds), and past an election
//! timeout (hours). So a moment is either just now or long ago, and the core's fingerprint keeps only that.
//! An election timeout of a follower, the doubts of a leader and votes that come after the leader was last heard
//! (`late`) are leaps, taken at any moment.
//!
//! # What is left out
//!
//! - Snapshots and log compaction, leadership transfer on request, priorities, pauses of single peers. The fault
//!   simulator has them.
//! - The random draw of patience: any patience may end next.
//! - A driver that forgets a `persist` or sends early: the drivers' own tests are about that.
//! - Answers of a term that the receiver's disk has left behind are dropped: the core refuses them and stays as it is.
//!
//! States are told apart by the core's own fingerprint, which takes every structure apart field by field, and by disks,
//! writes under way, messages, what was committed, who led, and what is left of the bounds.

mod action;
pub mod catalogue;
mod history;
mod member;
mod scenario;
mod world;

pub use action::Action;
pub use history::{History, Rule};
pub use scenario::{Budget, Scenario, disk, n};
pub use world::World;

use stateright::{Model, Property};

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(self, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        world.after(self, &action).filter(|next| next != world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.is_within(self)
    }

    fn properties(&self) -> Vec<Property<Scenario>> {
        vec![
            Property::<Scenario>::always("election safety", |_, world| world.keeps(Rule::ElectionSafety)),
            Property::<Scenario>::always("log matching", |_, world| world.logs_match()),
            Property::<Scenario>::always("leader completeness", |_, world| world.leaders_are_complete()),
            Property::<Scenario>::always("state machine safety", |_, world| {
                world.keeps(Rule::StateMachineSafety)
            }),
            Property::<Scenario>::always("no stale read", |_, world| world.keeps(Rule::NoStaleRead)),
            Property::<Scenario>::always("disk and memory agree", |_, world| world.disks_agree()),
            Property::<Scenario>::always("honest members obey", |_, world| {
                world.keeps(Rule::HonestMembersObey)
            }),
            Property::<Scenario>::always("no panic", |_, world| world.keeps(Rule::NoPanic)),
            // What must be reached, or the rest means little.
            Property::<Scenario>::sometimes("leaders follow each other", |scenario, world| {
                world.history().leaders() >= scenario.stands.len()
            }),
            Property::<Scenario>::sometimes("commands are committed", |scenario, world| {
                world.history().commands() >= usize::from(scenario.budget.commands)
            }),
            Property::<Scenario>::sometimes("the configuration is changed", |scenario, world| {
                scenario.changes.is_empty() || world.history().has_changed_membership()
            }),
            Property::<Scenario>::sometimes("everything happened", |_, world| {
                world.left() == Budget::default()
            }),
        ]
    }
}
