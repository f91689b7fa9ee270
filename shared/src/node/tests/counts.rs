//! Counting together: the same result whatever happens on the way.

use super::stories::{
    assert_exact, job, result, submit, text_of_words, upload, wait_for_the_middle, with_servers,
};
use crate::node::api::{Event, Reply, Request, What};
use crate::state_machine::{Document, JobState};
use crate::time::Duration;
use crate::wire::session::Kind;
use crate::words::Mode;

const TEXT_BYTES: usize = 120_000;

#[test]
fn a_text_that_came_in_at_one_node_is_counted_by_all_for_another() {
    let (mut cluster, nodes) = with_servers(201, 4);
    let text = text_of_words(1, TEXT_BYTES);
    let document = upload(&mut cluster, nodes[0], &text);
    for mode in Mode::ALL {
        let id = submit(&mut cluster, nodes[1], &[document.id], mode);
        let result = result(&mut cluster, nodes[2], id);
        assert_exact(&mut cluster, nodes[3], &result, mode, &[&text]);
        assert!(result.workers.len() > 1, "{:?}", result.workers);
    }
}

#[test]
fn whoever_waits_for_a_job_hears_of_its_end() {
    let (mut cluster, nodes) = with_servers(202, 3);
    let document = upload(&mut cluster, nodes[0], &text_of_words(2, TEXT_BYTES));
    let id = submit(&mut cluster, nodes[1], &[document.id], Mode::Unicode);
    match cluster.ask(nodes[2], Request::AwaitJob { job: id }) {
        Ok(Reply::Job(job)) => assert!(matches!(job.state, JobState::Done(_)), "{job:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn several_documents_and_an_empty_one_count_together_and_words_do_not_join() {
    let (mut cluster, nodes) = with_servers(203, 3);
    let texts: [&[u8]; 4] = [b"one tw", b"", b"o three\nfour", b"one"];
    let documents: Vec<Document> = texts.iter().map(|text| upload(&mut cluster, nodes[0], text)).collect();
    let ids: Vec<_> = documents.iter().map(|document| document.id).collect();
    let id = submit(&mut cluster, nodes[0], &ids, Mode::Unicode);
    let whole = result(&mut cluster, nodes[0], id);
    assert_exact(&mut cluster, nodes[0], &whole, Mode::Unicode, &texts);
    let id = submit(&mut cluster, nodes[0], &ids[1..2], Mode::Ascii);
    let empty = result(&mut cluster, nodes[0], id);
    assert_exact(&mut cluster, nodes[0], &empty, Mode::Ascii, &[b""]);
}

#[test]
fn a_second_count_of_the_same_text_computes_no_task_again() {
    let (mut cluster, nodes) = with_servers(204, 3);
    let text = text_of_words(4, TEXT_BYTES);
    let document = upload(&mut cluster, nodes[0], &text);
    let first = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    let first = result(&mut cluster, nodes[0], first);
    let partials = |cluster: &crate::node::testing::Cluster| -> usize {
        let is_partial = |name: &&crate::node::BlockName| matches!(name, crate::node::BlockName::Partial(_));
        nodes.iter().map(|node| cluster.blocks_of(*node).keys().filter(is_partial).count()).sum()
    };
    let second = submit(&mut cluster, nodes[1], &[document.id], Mode::Unicode);
    let second = result(&mut cluster, nodes[1], second);
    assert_eq!((first.summary, first.table), (second.summary, second.table));
    assert!(partials(&cluster) > 0);
}

#[test]
fn a_worker_that_dies_in_the_middle_changes_nothing() {
    for seed in 0..4 {
        let (mut cluster, nodes) = with_servers(210 + seed, 4);
        let text = text_of_words(seed, TEXT_BYTES);
        let document = upload(&mut cluster, nodes[0], &text);
        let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
        wait_for_the_middle(&mut cluster, id);
        let leader = cluster.leader().unwrap();
        cluster.crash(cluster.follower());
        let result = result(&mut cluster, leader, id);
        assert_exact(&mut cluster, leader, &result, Mode::Unicode, &[&text]);
        let is_told = |what: &&What| matches!(what, What::TasksReassigned { tasks, .. } if *tasks > 0);
        assert!(cluster.told_by(leader).iter().any(is_told), "seed {seed}");
    }
}

#[test]
fn a_leader_that_dies_in_the_middle_changes_nothing() {
    for seed in 0..4 {
        let (mut cluster, nodes) = with_servers(220 + seed, 5);
        let text = text_of_words(seed, TEXT_BYTES);
        let document = upload(&mut cluster, nodes[0], &text);
        let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
        wait_for_the_middle(&mut cluster, id);
        let at = cluster.follower();
        cluster.crash(cluster.leader().unwrap());
        let result = result(&mut cluster, at, id);
        assert_exact(&mut cluster, at, &result, Mode::Unicode, &[&text]);
    }
}

#[test]
fn the_leader_dies_while_the_partials_are_put_together() {
    let (mut cluster, nodes) = with_servers(230, 5);
    let text = text_of_words(30, TEXT_BYTES);
    let document = upload(&mut cluster, nodes[0], &text);
    let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    cluster.wait("the last stage", |cluster| {
        let leader = cluster.leader().unwrap();
        let progress = cluster.node(leader).text.progress();
        progress.iter().any(|run| run.job == id && run.tasks_done == run.tasks)
    });
    let at = cluster.follower();
    cluster.crash(cluster.leader().unwrap());
    let result = result(&mut cluster, at, id);
    assert_exact(&mut cluster, at, &result, Mode::Unicode, &[&text]);
}

#[test]
fn one_that_joins_in_the_middle_helps() {
    let (mut cluster, nodes) = with_servers(240, 2);
    let text = text_of_words(40, 6 * TEXT_BYTES);
    let document = upload(&mut cluster, nodes[0], &text);
    let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    let joiner = cluster.start(Kind::Tab);
    let result = result(&mut cluster, nodes[1], id);
    assert_exact(&mut cluster, nodes[1], &result, Mode::Unicode, &[&text]);
    assert!(result.workers.iter().any(|share| share.node == joiner && share.kind == Kind::Tab));
}

#[test]
fn a_frozen_tab_loses_its_tasks() {
    let (mut cluster, nodes) = with_servers(250, 3);
    let tab = cluster.start(Kind::Tab);
    cluster.wait("the tab to be a member", |cluster| cluster.is_settled(3, 4));
    let text = text_of_words(50, TEXT_BYTES);
    let document = upload(&mut cluster, nodes[0], &text);
    let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    cluster.freeze(tab);
    let result = result(&mut cluster, nodes[0], id);
    assert_exact(&mut cluster, nodes[0], &result, Mode::Unicode, &[&text]);
    cluster.thaw(tab);
    cluster.run_for(Duration::from_secs(2));
    assert!(job(&cluster, tab, id).is_some_and(|job| matches!(job.state, JobState::Done(_))));
}

#[test]
fn members_that_restart_find_their_blocks_and_the_job_goes_on() {
    let (mut cluster, nodes) = with_servers(260, 3);
    let text = text_of_words(60, TEXT_BYTES);
    let document = upload(&mut cluster, nodes[0], &text);
    let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    wait_for_the_middle(&mut cluster, id);
    for node in &nodes {
        cluster.crash(*node);
    }
    cluster.run_for(Duration::from_secs(1));
    for node in &nodes {
        cluster.restart(*node);
    }
    let result = result(&mut cluster, nodes[1], id);
    assert_exact(&mut cluster, nodes[1], &result, Mode::Unicode, &[&text]);
}

#[test]
fn several_jobs_share_the_members() {
    let (mut cluster, nodes) = with_servers(270, 3);
    let texts: Vec<Vec<u8>> = (0..3).map(|n| text_of_words(70 + n, TEXT_BYTES / 2)).collect();
    let documents: Vec<Document> = texts.iter().map(|text| upload(&mut cluster, nodes[0], text)).collect();
    let ids: Vec<_> = documents
        .iter()
        .map(|document| submit(&mut cluster, nodes[1], &[document.id], Mode::Unicode))
        .collect();
    for (id, text) in ids.into_iter().zip(&texts) {
        let result = result(&mut cluster, nodes[2], id);
        assert_exact(&mut cluster, nodes[2], &result, Mode::Unicode, &[text]);
    }
}

#[test]
fn a_cancelled_job_ends_and_occupies_nobody() {
    let (mut cluster, nodes) = with_servers(280, 3);
    let document = upload(&mut cluster, nodes[0], &text_of_words(80, TEXT_BYTES));
    let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    wait_for_the_middle(&mut cluster, id);
    assert!(cluster.ask(nodes[1], Request::CancelJob { job: id }).is_ok());
    cluster.run_for(Duration::from_secs(1));
    assert!(matches!(job(&cluster, nodes[2], id).unwrap().state, JobState::Cancelled { .. }));
    for node in nodes {
        assert_eq!(cluster.node(node).text.load().busy, 0);
        assert_eq!(cluster.node(node).text.progress(), []);
    }
}

#[test]
fn progress_is_told_to_everybody() {
    let (mut cluster, nodes) = with_servers(290, 3);
    let document = upload(&mut cluster, nodes[0], &text_of_words(90, 4 * TEXT_BYTES));
    let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    result(&mut cluster, nodes[0], id);
    for node in nodes {
        let is_told = cluster.events.iter().any(|(at, event)| match event {
            Event::Progress(progress) => *at == node && progress.iter().any(|run| run.job == id),
            _ => false,
        });
        assert!(is_told, "{node:?}");
    }
}

#[cfg(feature = "mutations")]
#[test]
fn without_reassignment_a_dead_worker_is_noticed() {
    let mut cluster = crate::node::testing::Cluster::new(299);
    cluster.config.task_bytes = 2_000;
    cluster.config.mutation = Some(crate::node::Mutation::NoReassignment);
    let nodes: Vec<_> = (0..3).map(|_| cluster.start(Kind::Server)).collect();
    cluster.wait("every server to be a member", |cluster| cluster.is_settled(3, 3));
    let document = upload(&mut cluster, nodes[0], &text_of_words(99, TEXT_BYTES));
    let id = submit(&mut cluster, nodes[0], &[document.id], Mode::Unicode);
    wait_for_the_middle(&mut cluster, id);
    let leader = cluster.leader().unwrap();
    cluster.crash(cluster.follower());
    cluster.run_for(Duration::from_secs(120));
    assert_eq!(
        job(&cluster, leader, id).unwrap().state,
        JobState::Running,
        "its tasks are waited for in vain"
    );
}
