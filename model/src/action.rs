//! What can happen next.

use crate::world::Letter;
use std::fmt;
use std::sync::Arc;

/// Members are named by their place, from zero.
#[derive(Clone, PartialEq)]
pub enum Action {
    /// A member's patience with its leader, or with an election, ends.
    ElectionTimeout(usize),
    /// A follower is told that its leader's connection closed, and the short patience after that ends.
    Notice(usize),
    Heartbeat(usize),
    /// A leader hears nobody for an election timeout.
    Silence(usize),
    Propose(usize),
    Change(usize),
    Read(usize),
    /// `late`: an election timeout after the receiver last heard its leader.
    Deliver {
        letter: Arc<Letter>,
        late: bool,
    },
    /// Writes pile up from now on.
    SlowDisk(usize),
    /// The oldest write that is under way becomes durable.
    Sync(usize),
    /// Writes that are under way are lost; the member starts again.
    Crash(usize),
}

/// As a transcript shows it, with members counted from one.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::ElectionTimeout(place) => write!(f, "n{}: election timeout", place + 1),
            Action::Notice(place) => write!(f, "n{}: told that its leader is gone", place + 1),
            Action::Heartbeat(place) => write!(f, "n{}: heartbeat", place + 1),
            Action::Silence(place) => write!(f, "n{}: leads and hears nobody", place + 1),
            Action::Propose(place) => write!(f, "n{}: command", place + 1),
            Action::Change(place) => write!(f, "n{}: change of membership", place + 1),
            Action::Read(place) => write!(f, "n{}: read", place + 1),
            Action::Deliver { letter, late } => {
                let Letter { from, to, message, .. } = &**letter;
                let late = if *late { " (late)" } else { "" };
                write!(f, "n{} -> n{}{late}: {message:?}", from + 1, to + 1)
            }
            Action::SlowDisk(place) => write!(f, "n{}: disk turns slow", place + 1),
            Action::Sync(place) => write!(f, "n{}: write becomes durable", place + 1),
            Action::Crash(place) => write!(f, "n{}: crash and restart", place + 1),
        }
    }
}
