//! Every sentence that the page says on its own. Names of controls stand where the controls are.

use super::format::{bytes, count, plural, seconds};
use super::model::Model;
use crate::bridge::{Connection, StoragePlace, StorageView};
use shared::node::api::{ClusterView, RoleView, What};
use shared::state_machine::{Job, JobState};
use shared::wire::peer::{JobProgress, Stage};
use shared::wire::session::Kind;

pub fn connection(model: &Model) -> String {
    match &model.connection {
        _ if model.end.is_some() => "stopped".to_owned(),
        None => "starting".to_owned(),
        Some(Connection::Connecting) => "connecting".to_owned(),
        Some(Connection::Connected) => "connected".to_owned(),
        Some(Connection::Waiting { reason, .. }) => format!("not connected, trying again: {reason}"),
        Some(Connection::Refused { reason }) => format!("refused: {reason}"),
    }
}

/// "5 voters, leader Quiet Heron, can lose 2".
pub fn cluster(model: &Model, view: &ClusterView) -> String {
    let voters = plural(u64::from(view.quorum.voters), "voter", "voters");
    let learners = view.members.iter().filter(|member| member.role == RoleView::Learner).count() as u64;
    let learners = if learners == 0 {
        String::new()
    } else {
        format!(" and {}", plural(learners, "learner", "learners"))
    };
    match model.leader() {
        Some(leader) if model.is_me(leader.node) => {
            format!("{voters}{learners}, this tab leads, can lose {}", view.quorum.can_lose)
        }
        Some(leader) => {
            format!("{voters}{learners}, leader {}, can lose {}", leader.name, view.quorum.can_lose)
        }
        None if view.quorum.voters == 0 => "joining the cluster".to_owned(),
        None => format!("{voters}{learners}, no leader at the moment"),
    }
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Tab => "tab",
        Kind::Server => "server",
    }
}

pub fn role(role: RoleView) -> &'static str {
    match role {
        RoleView::Leader => "leader",
        RoleView::Candidate => "candidate",
        RoleView::Follower => "follower",
        RoleView::Learner => "learner",
        RoleView::Joining => "joining",
    }
}

pub fn storage(storage: &StorageView) -> String {
    let place = match &storage.place {
        StoragePlace::Disk { persistent: true } => "Kept on this computer's disk".to_owned(),
        StoragePlace::Disk { persistent: false } => {
            "Kept on this computer's disk, unless the browser runs short of room".to_owned()
        }
        StoragePlace::Memory { reason } => format!("Kept in memory only, gone with this tab ({reason})"),
    };
    let used = match storage.quota_bytes {
        0 => String::new(),
        quota => format!(": {} of {}", bytes(storage.used_bytes), bytes(quota)),
    };
    let remark = storage.remark.as_ref().map_or_else(String::new, |remark| format!(". {remark}"));
    format!("{place}{used}{remark}")
}

pub fn job_state(job: &Job, progress: Option<&JobProgress>) -> String {
    match &job.state {
        JobState::Running => match progress.map(|progress| progress.stage) {
            None | Some(Stage::Waiting) => "waiting for a worker".to_owned(),
            Some(Stage::Counting) => "counting".to_owned(),
            Some(Stage::Reducing) => "adding up".to_owned(),
            Some(Stage::Committing) => "writing the result down".to_owned(),
        },
        JobState::Done(result) => format!("counted in {}", seconds(result.micros)),
        JobState::Cancelled { .. } => "cancelled".to_owned(),
        JobState::Failed { reason, .. } => format!("failed: {reason}"),
    }
}

pub fn happening(model: &Model, what: &What) -> String {
    match what {
        What::MemberJoined { name, kind: k, .. } => format!("{name} came in, a {}", kind(*k)),
        What::MemberLeft { name, .. } => format!("{name} went away"),
        What::MemberPromoted { name, .. } => format!("{name} is a voter now"),
        What::MemberDemoted { name, .. } => format!("{name} votes no more"),
        What::MemberRemoved { name, .. } => format!("{name} was removed"),
        What::LeaderLost { name, .. } => format!("Leader {name} was lost"),
        What::LeaderElected { name, term, after_micros: 0, .. } => format!("{name} leads in term {term}"),
        What::LeaderElected { name, term, after_micros, .. } => {
            format!("{name} leads in term {term}, after {}", seconds(*after_micros))
        }
        What::QuorumLost => {
            "The quorum is lost: nothing can be written until more voters are back".to_owned()
        }
        What::QuorumRestored => "The quorum is back".to_owned(),
        What::DocumentAdded { name, bytes: size, .. } => format!("{name} is stored, {}", bytes(*size)),
        What::DocumentRemoved { .. } => "A text was deleted".to_owned(),
        What::JobSubmitted { .. } => "A count was asked for".to_owned(),
        What::JobDone { total, unique, micros, .. } => {
            format!("Counted {} words, {} different, in {}", count(*total), count(*unique), seconds(*micros))
        }
        What::JobFailed { reason, .. } => format!("A count failed: {reason}"),
        What::JobCancelled { .. } => "A count was cancelled".to_owned(),
        What::TasksReassigned { node, tasks, .. } => {
            format!(
                "{} of {} given to others",
                plural(u64::from(*tasks), "task", "tasks"),
                model.name_of(*node)
            )
        }
    }
}
