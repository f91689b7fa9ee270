//! Links that are broken on purpose (`wordraft relay --chaos`): cut, lossy or slow, each direction on its own.
//!
//! Only frames between members suffer. Presence is not touched: a member behind a cut link still looks connected, and the
//! others have to find out by themselves, as they would in a network.

use serde::{Deserialize, Serialize};
use shared::ids::{NodeId, RoomName};
use shared::rng::{Rng, Seed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Faults of one room at a time.
pub const FAULTS_MAX: usize = 256;

/// The longest time that a slow link keeps a frame.
pub const DELAY_MILLIS_MAX: u32 = 60_000;

/// Something wrong with the links of a room. Without `from` or `to`, every sender or every receiver is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Nothing passes between members of different groups. Whoever is in none hears everybody: a bridge.
    Partition { groups: Vec<BTreeSet<NodeId>> },
    /// Nothing passes from one to the other; the way back is as it was.
    Cut { from: Option<NodeId>, to: Option<NodeId> },
    /// So many of a hundred frames are lost.
    Lose { percent: u8, from: Option<NodeId>, to: Option<NodeId> },
    /// Every frame takes so much longer.
    Slow { millis: u32, from: Option<NodeId>, to: Option<NodeId> },
}

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    Late(Duration),
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("{percent} percent are more than all")]
    Percent { percent: u8 },
    #[error("a delay of {millis} ms is longer than {DELAY_MILLIS_MAX}")]
    Delay { millis: u32 },
    #[error("more than {FAULTS_MAX} faults at a time: heal some first")]
    TooMany,
    #[error("{0} is in more than one group")]
    InTwoGroups(NodeId),
}

/// The faults in force, by room.
#[derive(Debug)]
pub struct Chaos(Mutex<Faults>);

#[derive(Debug)]
struct Faults {
    rooms: BTreeMap<RoomName, Vec<Fault>>,
    rng: Rng,
}

impl Chaos {
    pub fn new(seed: Seed) -> Chaos {
        Chaos(Mutex::new(Faults { rooms: BTreeMap::new(), rng: Rng::new(seed) }))
    }

    /// Puts these faults in the place of those before: none at all heals everything.
    pub fn set(&self, room: &RoomName, faults: Vec<Fault>) -> Result<(), FaultError> {
        if faults.len() > FAULTS_MAX {
            return Err(FaultError::TooMany);
        }
        faults.iter().try_for_each(Fault::check)?;
        let rooms = &mut self.faults().rooms;
        if faults.is_empty() {
            rooms.remove(room);
        } else {
            rooms.insert(room.clone(), faults);
        }
        Ok(())
    }

    pub fn of(&self, room: &RoomName) -> Vec<Fault> {
        self.faults().rooms.get(room).cloned().unwrap_or_default()
    }

    pub fn fate(&self, room: &RoomName, from: NodeId, to: NodeId) -> Fate {
        let Faults { rooms, rng } = &mut *self.faults();
        let mut delay = Duration::ZERO;
        for fault in rooms.get(room).into_iter().flatten() {
            match fault {
                Fault::Partition { groups } if divides(groups, from, to) => return Fate::Lost,
                Fault::Cut { from: sender, to: receiver } if is_meant(sender, receiver, from, to) => {
                    return Fate::Lost;
                }
                Fault::Lose { percent, from: sender, to: receiver }
                    if is_meant(sender, receiver, from, to) && rng.below(100) < u64::from(*percent) =>
                {
                    return Fate::Lost;
                }
                Fault::Slow { millis, from: sender, to: receiver }
                    if is_meant(sender, receiver, from, to) =>
                {
                    delay += Duration::from_millis(u64::from(*millis));
                }
                _ => {}
            }
        }
        if delay.is_zero() { Fate::Delivered } else { Fate::Late(delay) }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    fn check(&self) -> Result<(), FaultError> {
        match self {
            Fault::Lose { percent, .. } if *percent > 100 => Err(FaultError::Percent { percent: *percent }),
            Fault::Slow { millis, .. } if *millis > DELAY_MILLIS_MAX => {
                Err(FaultError::Delay { millis: *millis })
            }
            Fault::Partition { groups } => {
                let mut seen = BTreeSet::new();
                match groups.iter().flatten().find(|node| !seen.insert(**node)) {
                    Some(twice) => Err(FaultError::InTwoGroups(*twice)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

fn divides(groups: &[BTreeSet<NodeId>], from: NodeId, to: NodeId) -> bool {
    let group_of = |node: NodeId| groups.iter().position(|group| group.contains(&node));
    matches!((group_of(from), group_of(to)), (Some(one), Some(other)) if one != other)
}

fn is_meant(sender: &Option<NodeId>, receiver: &Option<NodeId>, from: NodeId, to: NodeId) -> bool {
    sender.is_none_or(|sender| sender == from) && receiver.is_none_or(|receiver| receiver == to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u8) -> NodeId {
        NodeId::from_bytes([number; 10])
    }

    fn with(faults: Vec<Fault>) -> Chaos {
        let chaos = Chaos::new([7; 32]);
        chaos.set(&RoomName::default(), faults).unwrap();
        chaos
    }

    fn fate(chaos: &Chaos, from: u8, to: u8) -> Fate {
        chaos.fate(&RoomName::default(), n(from), n(to))
    }

    #[test]
    fn a_partition_divides_groups_and_whoever_is_in_none_is_a_bridge() {
        let chaos = with(vec![Fault::Partition { groups: vec![[n(1), n(2)].into(), [n(3)].into()] }]);
        for (from, to, expected) in [
            (1, 2, Fate::Delivered),
            (1, 3, Fate::Lost),
            (3, 2, Fate::Lost),
            (1, 4, Fate::Delivered),
            (4, 3, Fate::Delivered),
        ] {
            assert_eq!(fate(&chaos, from, to), expected, "{from} to {to}");
        }
        assert_eq!(chaos.fate(&"attic".parse().unwrap(), n(1), n(3)), Fate::Delivered);
        chaos.set(&RoomName::default(), Vec::new()).unwrap();
        assert_eq!(fate(&chaos, 1, 3), Fate::Delivered);
    }

    #[test]
    fn a_cut_has_a_direction() {
        let chaos = with(vec![Fault::Cut { from: Some(n(1)), to: None }]);
        assert_eq!((fate(&chaos, 1, 2), fate(&chaos, 2, 1)), (Fate::Lost, Fate::Delivered));
    }

    #[test]
    fn so_many_of_a_hundred_are_lost() {
        let chaos = with(vec![Fault::Lose { percent: 30, from: None, to: Some(n(2)) }]);
        let lost = (0..10_000).filter(|_| fate(&chaos, 1, 2) == Fate::Lost).count();
        assert!((2_700..3_300).contains(&lost), "{lost}");
        assert!((0..100).all(|_| fate(&chaos, 2, 1) == Fate::Delivered));
    }

    #[test]
    fn delays_add_up() {
        let slow = |millis| Fault::Slow { millis, from: None, to: None };
        let chaos = with(vec![slow(20), slow(5)]);
        assert_eq!(fate(&chaos, 1, 2), Fate::Late(Duration::from_millis(25)));
    }

    #[test]
    fn impossible_faults_change_nothing() {
        let cut = Fault::Cut { from: None, to: None };
        let chaos = with(vec![cut.clone()]);
        let refuse = |faults| chaos.set(&RoomName::default(), faults).expect_err("impossible");
        let lose = |percent| Fault::Lose { percent, from: None, to: None };
        let slow = |millis| Fault::Slow { millis, from: None, to: None };
        assert_eq!(refuse(vec![lose(101)]), FaultError::Percent { percent: 101 });
        assert_eq!(
            refuse(vec![slow(DELAY_MILLIS_MAX + 1)]),
            FaultError::Delay { millis: DELAY_MILLIS_MAX + 1 }
        );
        assert_eq!(refuse(vec![cut.clone(); FAULTS_MAX + 1]), FaultError::TooMany);
        let twice = Fault::Partition { groups: vec![[n(1)].into(), [n(1)].into()] };
        assert_eq!(refuse(vec![twice]), FaultError::InTwoGroups(n(1)));
        assert_eq!(chaos.of(&RoomName::default()), [cut]);
        assert_eq!(chaos.set(&RoomName::default(), vec![lose(100), slow(DELAY_MILLIS_MAX)]), Ok(()));
    }
}
