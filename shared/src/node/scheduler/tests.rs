use super::*;
use crate::ids::{DocumentId, Hash};
use crate::node::testing::desk::{Desk, node};
use crate::words::Totals;

/// A leader, node 0, with three workers of one thread each. Everybody holds every block unless it is said otherwise.
struct Story {
    desk: Desk,
    scheduler: Scheduler,
    map: HolderMap,
}

/// Who got which task.
type Given = (u8, Attempt);

impl Story {
    fn new() -> Story {
        Story { desk: Desk::leader_of(3), scheduler: Scheduler::default(), map: HolderMap::default() }
    }

    fn job(&mut self, n: u8, blocks: u8, holders: &[u8]) -> JobId {
        let (document, job) = self.desk.job(n, blocks);
        self.hold(document, blocks, holders);
        self.scheduler.add(&mut self.desk.lend(), job);
        job
    }

    fn hold(&mut self, document: DocumentId, blocks: u8, holders: &[u8]) {
        for holder in holders {
            for block in 0..blocks {
                self.map.add(node(*holder), Manifest::Document(document), block.into());
            }
        }
    }

    /// Lets the scheduler give out what it can, and returns to whom.
    fn give(&mut self) -> Vec<Given> {
        self.scheduler.stir();
        self.scheduler.tick(&mut self.desk.lend(), &self.map);
        self.scheduler.assign(&mut self.desk.lend(), &self.map);
        let orders = self.scheduler.take_outbox().into_iter();
        orders
            .filter_map(|(to, message)| match message {
                TaskMessage::Assign { attempt, .. } => Some((to.as_bytes()[0], attempt)),
                _ => None,
            })
            .collect()
    }

    fn say(&mut self, from: u8, message: TaskMessage) {
        self.scheduler.message(&mut self.desk.lend(), node(from), message);
    }

    fn counted(&mut self, (from, attempt): Given) {
        let input_bytes = self.desk.around.config.task_bytes;
        let digest = Hash::of(b"");
        let output = TaskOutput::Counted { digest, partial_bytes: 1, input_bytes, micros: 1 };
        self.say(from, TaskMessage::Finished { attempt, output });
    }

    fn reduced(&mut self, (from, attempt): Given, blocks: u64) {
        let bytes = blocks * self.desk.around.config.task_bytes;
        let summary = Summary { totals: Totals { bytes, ..Totals::default() }, ..Summary::default() };
        let output = TaskOutput::Reduced { summary: Box::new(summary), table: Vec::new() };
        self.say(from, TaskMessage::Finished { attempt, output });
    }

    fn failed(&mut self, (from, attempt): Given, failure: TaskFailure) {
        self.say(from, TaskMessage::Failed { attempt, failure });
    }

    fn leave(&mut self, n: u8) {
        self.desk.around.peers.remove(&node(n));
        self.scheduler.peer_left(&mut self.desk.lend(), node(n));
    }

    fn pass(&mut self, seconds: u64) {
        self.desk.pass(Duration::from_secs(seconds));
    }

    /// Everybody does what is asked until nothing more is.
    fn do_all(&mut self, mut given: Vec<Given>) -> Vec<Given> {
        let mut last = Vec::new();
        while !given.is_empty() {
            last = given;
            for order in &last {
                self.counted(*order);
            }
            given = self.give();
        }
        last
    }

    fn submitted(&mut self) -> Vec<Command> {
        self.desk.around.submissions.drain(..).map(|submission| submission.command).collect()
    }
}

fn tasks(given: &[Given]) -> Vec<u32> {
    let mut tasks: Vec<u32> = given.iter().map(|(_, attempt)| attempt.task).collect();
    tasks.sort_unstable();
    tasks
}

#[test]
fn every_hand_gets_a_task_more_than_it_has_threads() {
    let mut story = Story::new();
    story.job(1, 20, &[0, 1, 2, 3]);
    let given = story.give();
    assert_eq!(tasks(&given), [0, 1, 2, 3, 4, 5, 6, 7]);
    for n in 0..4 {
        assert_eq!(given.iter().filter(|(to, _)| *to == n).count(), 2, "node {n}");
    }
    assert_eq!(story.give(), []);
    story.counted(given[0]);
    let next = story.give();
    assert_eq!((tasks(&next), next[0].0), (vec![8], given[0].0));
}

#[test]
fn tasks_go_to_whoever_holds_their_blocks_and_else_only_to_the_idle() {
    let mut story = Story::new();
    story.job(1, 6, &[1]);
    let given = story.give();
    let mut to: Vec<u8> = given.iter().map(|(to, _)| *to).collect();
    to.sort_unstable();
    assert_eq!(to, [0, 1, 1, 2, 3]);
}

#[test]
fn blocks_that_nobody_here_holds_are_waited_for() {
    let mut story = Story::new();
    let job = story.job(1, 2, &[]);
    assert_eq!(story.give(), []);
    assert_eq!(story.scheduler.progress()[0].stage, crate::wire::peer::Stage::Waiting);
    story.map.add(node(2), Manifest::Document(DocumentId::from_bytes([1; 10])), 1);
    assert_eq!(tasks(&story.give()), [1]);
    story.map.add(node(3), Manifest::Partials(job), 0);
    let cached = story.give();
    assert_eq!((tasks(&cached), cached[0].0), (vec![0], 3), "a partial makes up for the block");
}

#[test]
fn jobs_take_turns() {
    let mut story = Story::new();
    let jobs = [story.job(1, 20, &[0, 1, 2, 3]), story.job(2, 20, &[0, 1, 2, 3])];
    let given = story.give();
    for job in jobs {
        assert_eq!(given.iter().filter(|(_, attempt)| attempt.job == job).count(), 4);
    }
}

#[test]
fn when_all_is_counted_one_puts_it_together_and_the_result_is_committed() {
    let mut story = Story::new();
    let job = story.job(1, 10, &[0, 1, 2, 3]);
    let given = story.give();
    let last = story.do_all(given);
    assert_eq!(tasks(&last), [10], "the reduce comes after the counting tasks");
    story.reduced(last[0], 10);
    let commands = story.submitted();
    let [Command::FinishJob { id, result }] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(*id, job);
    assert_eq!(result.workers.iter().map(|share| share.tasks).sum::<u32>(), 10);
    story.reduced(last[0], 10);
    assert_eq!(story.submitted(), [], "once");
    story.pass(6);
    story.give();
    assert!(matches!(story.submitted().as_slice(), [Command::FinishJob { .. }]), "until the log has it");
    story.scheduler.job_ended(job);
    assert_eq!(story.scheduler.progress(), []);
}

#[test]
fn a_result_about_other_bytes_is_none() {
    let mut story = Story::new();
    story.job(1, 2, &[1]);
    let given = story.give();
    let last = story.do_all(given);
    story.reduced(last[0], 1);
    assert_eq!(story.submitted(), []);
    story.pass(1);
    let again = story.give();
    assert!(again.len() == 1 && again[0].0 != last[0].0, "somebody else");
    story.reduced(again[0], 2);
    assert_eq!(story.submitted().len(), 1);
}

#[test]
fn what_a_lost_member_was_at_or_alone_had_done_is_done_by_others() {
    let mut story = Story::new();
    story.job(1, 8, &[0, 1, 2, 3]);
    let given = story.give();
    let of_one: Vec<Given> = given.iter().copied().filter(|(to, _)| *to == 1).collect();
    story.counted(of_one[0]);
    for order in given.iter().filter(|(to, _)| *to != 1) {
        story.counted(*order);
    }
    story.leave(1);
    assert_eq!(tasks(&story.give()), tasks(&of_one));
    let told = &story.desk.ready.events;
    let [Event::Happened(Happening { what, .. })] = told.as_slice() else { panic!("{told:?}") };
    assert!(matches!(what, What::TasksReassigned { tasks: 2, node: gone, .. } if *gone == node(1)));
    assert_eq!(story.scheduler.progress()[0].reassigned, 2);
}

#[test]
fn a_slow_task_gets_a_second_hand_and_the_first_answer_counts() {
    let mut story = Story::new();
    story.job(1, 2, &[1, 2]);
    let given = story.give();
    assert_eq!(given.len(), 2);
    story.counted(given[0]);
    story.pass(6);
    let second = story.give();
    assert_eq!(tasks(&second), tasks(&given[1..]));
    assert_ne!(second[0].0, given[1].0);
    story.counted(second[0]);
    let outbox = story.scheduler.take_outbox();
    assert_eq!(outbox, [(node(given[1].0), TaskMessage::Cancel { attempt: given[1].1 })]);
    story.counted(given[1]);
    assert_eq!(story.scheduler.progress()[0].tasks_done, 2);
}

#[test]
fn who_does_not_answer_loses_its_tasks_and_gets_no_more() {
    let mut story = Story::new();
    story.job(1, 4, &[0, 1, 2, 3]);
    let given = story.give();
    let (silent, prompt): (Vec<Given>, Vec<Given>) = given.iter().partition(|(to, _)| *to == given[0].0);
    for order in &prompt {
        story.counted(*order);
    }
    story.pass(20);
    let again = story.give();
    assert_eq!(tasks(&again), tasks(&silent));
    assert!(again.iter().all(|(to, _)| *to != silent[0].0));
}

#[test]
fn a_task_that_fails_is_tried_elsewhere_a_little_later() {
    let mut story = Story::new();
    story.job(1, 1, &[1]);
    let given = story.give();
    story.failed(given[0], TaskFailure::Unable("no room".into()));
    assert_eq!(story.give(), [], "not at once");
    story.pass(1);
    let again = story.give();
    assert!(tasks(&again) == [0] && again[0].0 != given[0].0);
    story.failed(given[0], TaskFailure::Impossible("late news of an attempt that is over".into()));
    assert_eq!(story.submitted(), []);
    story.failed(again[0], TaskFailure::Impossible("a word of 65 MiB".into()));
    let reason = "a word of 65 MiB".to_owned();
    assert_eq!(story.submitted(), [Command::FailJob { id: again[0].1.job, reason }]);
}

#[test]
fn a_task_that_always_fails_ends_its_job_with_the_reason() {
    let mut story = Story::new();
    let job = story.job(1, 1, &[1]);
    for _ in 0..=limits::TASK_FAILURES_MAX {
        story.pass(10);
        let given = story.give();
        story.failed(given[0], TaskFailure::Unable("no room".into()));
    }
    assert_eq!(story.submitted(), [Command::FailJob { id: job, reason: "no room".into() }]);
}

#[test]
fn a_partial_that_cannot_be_had_is_counted_again() {
    let mut story = Story::new();
    story.job(1, 3, &[1, 2]);
    let given = story.give();
    let last = story.do_all(given);
    let lost = story.scheduler.runs.values().next().unwrap().cut.slices[1].partial();
    story.failed(last[0], TaskFailure::InputMissing(lost));
    let again = story.give();
    assert_eq!(tasks(&again), [1]);
    story.counted(again[0]);
    story.pass(1);
    assert_eq!(tasks(&story.give()), [3]);
}

#[test]
fn answers_of_another_term_or_about_nothing_change_nothing() {
    let mut story = Story::new();
    story.job(1, 2, &[1]);
    let (to, attempt) = story.give()[0];
    let before = story.scheduler.progress();
    story.counted((to, Attempt { term: crate::raft::Term::ZERO, ..attempt }));
    story.counted((to, Attempt { job: JobId::from_bytes([9; 10]), ..attempt }));
    story.counted((to, Attempt { task: 2, ..attempt }));
    story.counted((to, Attempt { task: u32::MAX, ..attempt }));
    story.counted((9, attempt));
    story.reduced((to, attempt), 2);
    story.failed((3, Attempt { number: 77, ..attempt }), TaskFailure::Impossible("a lie".into()));
    assert_eq!(story.scheduler.progress(), before);
    assert_eq!(story.submitted(), []);
}

#[test]
fn a_job_without_text_goes_straight_to_its_end() {
    let mut story = Story::new();
    let job = story.job(1, 0, &[]);
    let given = story.give();
    assert_eq!(tasks(&given), [0]);
    story.reduced(given[0], 0);
    assert!(matches!(story.submitted().as_slice(), [Command::FinishJob { id, .. }] if *id == job));
}
