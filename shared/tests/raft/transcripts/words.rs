//! How messages and members are written down.

use crate::kit::*;
use std::collections::BTreeSet;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

pub fn message(message: &Message) -> String {
    match message {
        Message::PreVote { term, last } => format!("PreVote(term {term}, last {last})"),
        Message::PreVoteResponse { term, request, refusal } => {
            let outcome = refusal.map_or("yes".to_owned(), |refusal| format!("no: {refusal:?}"));
            format!("PreVoteResponse(for term {request}, {outcome}, own term {term})")
        }
        Message::Vote { term, last, transfer } => {
            let transfer = if *transfer { ", the leader wants it" } else { "" };
            format!("Vote(term {term}, last {last}{transfer})")
        }
        Message::VoteResponse { term, granted } => {
            format!("VoteResponse(term {term}, {})", if *granted { "yes" } else { "no" })
        }
        Message::Append { term, previous, entries, commit } => {
            let entries: Vec<String> = entries.iter().map(|entry| entry.position().to_string()).collect();
            let entries = if entries.is_empty() { "nothing".to_owned() } else { entries.join(" ") };
            format!("Append(term {term}, {entries} after {previous}, commit {commit})")
        }
        Message::AppendResponse { term, outcome: AppendOutcome::Accepted { matched } } => {
            format!("AppendResponse(term {term}, matches to {matched})")
        }
        Message::AppendResponse { term, outcome: AppendOutcome::Rejected { previous, hint } } => {
            format!("AppendResponse(term {term}, no match at {previous}, perhaps at {hint})")
        }
        Message::Heartbeat { term, commit, round } => match round {
            Round(0) => format!("Heartbeat(term {term}, commit {commit})"),
            Round(round) => format!("Heartbeat(term {term}, commit {commit}, round {round})"),
        },
        Message::HeartbeatResponse { term, round } => {
            format!("HeartbeatResponse(term {term}, round {})", round.0)
        }
        Message::Snapshot { term, chunk } => {
            let end = chunk.offset + chunk.data.len() as u64;
            let (last, offset, total) = (chunk.meta.last, chunk.offset, chunk.total);
            format!("Snapshot(term {term}, up to {last}, bytes {offset}..{end} of {total})")
        }
        Message::SnapshotResponse { term, last, received, .. } => {
            format!("SnapshotResponse(term {term}, up to {last}, has {received} bytes)")
        }
        Message::TimeoutNow { term } => format!("TimeoutNow(term {term})"),
    }
}

pub fn role(status: &Status) -> String {
    match (status.role, status.leader) {
        (Role::Leader, _) => "leader".to_owned(),
        (Role::PreCandidate, _) => "pre-candidate".to_owned(),
        (Role::Candidate, _) => "candidate".to_owned(),
        (Role::Follower, Some(leader)) => format!("follower of {}", name(leader)),
        (Role::Follower, None) => "follower".to_owned(),
        (Role::Learner, Some(leader)) => format!("learner of {}", name(leader)),
        (Role::Learner, None) => "learner".to_owned(),
    }
}

/// The terms of the entries, the committed ones in brackets.
pub fn log(status: &Status, disk: &Stored) -> String {
    let terms = |from: Index, to: Index| {
        let range = disk.entries.iter().filter(move |entry| entry.index >= from && entry.index <= to);
        range.map(|entry| entry.term.to_string()).collect::<Vec<_>>().join(" ")
    };
    let mut parts = Vec::new();
    if status.first.get() > 1 {
        parts.push(format!("…{}", status.first.get() - 1));
    }
    parts.push(format!("[{}]", terms(status.first, status.commit)));
    parts.push(terms(Index::new(status.commit.get().max(status.first.get() - 1) + 1), status.last.index));
    let written = disk.entries.last().map(Entry::position);
    if status.last.index >= status.first && written != Some(status.last) {
        parts.push(format!("(writing up to {})", status.last));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

pub fn names<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    ids.into_iter().map(|id| name(*id)).collect::<Vec<_>>().join(" ")
}

pub fn membership(membership: &Membership) -> String {
    let Membership { voters, outgoing, learners, learners_next } = membership;
    let part = |title: &str, ids: &BTreeSet<NodeId>| {
        if ids.is_empty() { String::new() } else { format!("{title} {}", names(ids)) }
    };
    let parts = [
        part("voters", voters),
        part("with", outgoing),
        part("learners", learners),
        part("learners then", learners_next),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Errors name members by their ids; people know them as n1, n2 and so on.
pub fn with_names(text: String) -> String {
    (1..=9).fold(text, |text, number| text.replace(&format!("{:?}", n(number)), &name(n(number))))
}
