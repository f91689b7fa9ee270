//! Jobs: how far the running ones are, and the results of those that are done.

use super::format::{bytes, percent, plural};
use super::hub::Hub;
use super::model::Model;
use super::result::ResultView;
use super::text;
use shared::ids::JobId;
use shared::state_machine::{Job, JobState};
use shared::wire::peer::{JobProgress, WorkerProgress};
use std::rc::Rc;
use yew::prelude::*;

/// Jobs in the list below the one on show.
const LISTED_MAX: usize = 12;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub model: UseReducerHandle<Model>,
}

#[component]
pub fn Jobs(props: &Props) -> Html {
    let model = &props.model;
    let Some(shown) = model.shown_job() else { return Html::default() };
    let mut others: Vec<Rc<Job>> = model.jobs.values().filter(|job| job.id != shown.id).cloned().collect();
    others.sort_by_key(|job| std::cmp::Reverse((job.submitted_at, job.id)));
    html! {
        <>
            <JobCard model={model.clone()} job={shown.clone()} />
            if !others.is_empty() {
                <section class="card" aria-labelledby="jobs-title">
                    <h2 id="jobs-title">{ "Other counts" }</h2>
                    <ul class="list">
                        { for others.iter().take(LISTED_MAX).map(|job| html! {
                            <JobLine key={job.id.to_string()} model={model.clone()} job={job.clone()} />
                        }) }
                    </ul>
                </section>
            }
        </>
    }
}

#[derive(PartialEq, Properties)]
struct JobProps {
    model: UseReducerHandle<Model>,
    job: Rc<Job>,
}

#[component]
fn JobCard(props: &JobProps) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let JobProps { model, job } = props;
    let progress = model.progress.get(&job.id);
    let id: JobId = job.id;
    let running = job.state == JobState::Running;
    let title = model.title_of(job);
    let state = match &job.state {
        JobState::Running => "running",
        JobState::Done(_) => "done",
        JobState::Cancelled { .. } => "cancelled",
        JobState::Failed { .. } => "failed",
    };
    html! {
        <section class="card" id="job" data-job={id.to_string()} data-state={state} aria-labelledby="job-title">
            <div class="title">
                <h2 id="job-title">{ title.clone() }</h2>
                <p aria-live="polite" id="job-state">
                    { format!("{} · {} words", text::job_state(job, progress.map(Rc::as_ref)), job.options.mode) }
                </p>
                if running {
                    <button onclick={move |_: MouseEvent| hub.cancel(id)}>{ "Cancel" }</button>
                }
            </div>
            if let (true, Some(progress)) = (running, progress) {
                <Progress model={model.clone()} progress={progress.clone()} />
            }
            if let JobState::Done(result) = &job.state {
                <ResultView result={Rc::new((**result).clone())} name={title} />
            }
        </section>
    }
}

#[derive(PartialEq, Properties)]
struct ProgressProps {
    model: UseReducerHandle<Model>,
    progress: Rc<JobProgress>,
}

/// A bar for the job and a bar for each worker.
#[component]
fn Progress(props: &ProgressProps) -> Html {
    let progress = &props.progress;
    let tasks = plural(u64::from(progress.tasks), "task", "tasks");
    let share = |worker: &WorkerProgress| {
        let name = props.model.name_of(worker.node);
        let id = format!("worker-{}", worker.node);
        let running = match worker.running {
            0 => "idle".to_owned(),
            running => format!("{running} running"),
        };
        html! {
            <div class="progress worker" key={worker.node.to_string()}>
                <label for={id.clone()}>
                    { format!("{name}: {}", bytes(worker.bytes_done)) }<span>{ running }</span>
                </label>
                <progress {id} max={progress.bytes.max(1).to_string()} value={worker.bytes_done.to_string()} />
            </div>
        }
    };
    html! {
        <>
            <div class="progress">
                <label for="job-progress">
                    { format!("{} of {tasks}, {} of {}", progress.tasks_done, bytes(progress.bytes_done), bytes(progress.bytes)) }
                    <span>{ percent(progress.bytes_done, progress.bytes) }</span>
                </label>
                <progress id="job-progress" max={progress.bytes.max(1).to_string()} value={progress.bytes_done.to_string()} />
            </div>
            { for progress.workers.iter().map(share) }
            if progress.reassigned > 0 {
                <p class="quiet">
                    { format!("{} given to others because a member went away", plural(u64::from(progress.reassigned), "task", "tasks")) }
                </p>
            }
        </>
    }
}

#[component]
fn JobLine(props: &JobProps) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let JobProps { model, job } = props;
    let id = job.id;
    html! {
        <li>
            <button class="link" onclick={move |_: MouseEvent| hub.select(id)}>{ model.title_of(job) }</button>
            <span class="quiet">{ text::job_state(job, model.progress.get(&id).map(Rc::as_ref)) }</span>
        </li>
    }
}
