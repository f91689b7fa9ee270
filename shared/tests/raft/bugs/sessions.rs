//! A command that is sent twice (§6.3).

use crate::kit::*;
use bytes::Bytes;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;
use wordraft_shared::state_machine::{
    Call, Change, Command, KeyChange, Outcome, Sequence, SessionId, Stamped, StateMachine,
};

fn send(cluster: &mut Cluster, leader: NodeId, command: &Command) {
    let stamped = Stamped { at: cluster.now, by: NodeId::from_bytes([7; 10]), command: command.clone() };
    let bytes = Bytes::from(stamped.encode());
    cluster.with(leader, |raft, now| raft.propose(now, [bytes])).unwrap();
    cluster.settle();
}

/// What a member's state machine makes of what was committed: every outcome, and every change.
fn replay(cluster: &Cluster, id: NodeId) -> (Vec<Outcome>, Vec<Change>) {
    let mut machine = StateMachine::default();
    #[cfg(feature = "mutations")]
    if cluster.config.mutation == Some(Mutation::RetryAppliedAgain) {
        machine.forget_outcomes();
    }
    let mut changes = Vec::new();
    let commands = cluster.nodes[&id].applied.iter().map(|(_, _, bytes)| Stamped::decode(bytes).unwrap());
    let outcomes = commands.map(|command| machine.apply(command, &mut changes)).collect();
    (outcomes, changes)
}

pub fn a_retry_after_its_leader_died_is_applied_once(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    send(&mut cluster, leader, &Command::OpenSession);
    let call = Call {
        session: first_session(&cluster, leader),
        sequence: Sequence::new(0),
        lowest_open: Sequence::new(0),
    };
    let put = Command::ChangeKey { call, change: KeyChange::put("k".parse().unwrap(), "v".into()) };
    send(&mut cluster, leader, &put);
    // It was committed, and nobody can tell the client so.
    cluster.crash(leader);
    let next = cluster.elect();
    send(&mut cluster, next, &put);
    for id in cluster.nodes.keys().filter(|id| **id != leader) {
        let (outcomes, changes) = replay(&cluster, *id);
        assert_eq!((outcomes.len(), changes.len()), (3, 1), "{changes:?}");
        assert_eq!(outcomes[1], outcomes[2], "and gets the same answer");
    }
}

fn first_session(cluster: &Cluster, leader: NodeId) -> SessionId {
    match replay(cluster, leader).0[..] {
        [Outcome::Opened(session)] => session,
        ref other => panic!("{other:?}"),
    }
}
