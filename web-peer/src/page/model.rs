//! What the page knows: everything on it is derived from this, and this changes only by [`Action`]s.

use crate::bridge::{Connection, Notice, SelfView, StorageView, UploadProgress};
use shared::ids::{DocumentId, JobId, NodeId};
use shared::node::api::{ClusterView, Event, Happening, MemberView};
use shared::state_machine::{Document, Job, JobState};
use shared::wire::peer::JobProgress;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use yew::Reducible;

/// Lines of the time line that the page keeps.
const HAPPENINGS_MAX: usize = 200;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub me: Option<SelfView>,
    pub connection: Option<Connection>,
    pub storage: Option<StorageView>,
    pub cluster: Option<Rc<ClusterView>>,
    pub documents: BTreeMap<DocumentId, Rc<Document>>,
    pub jobs: BTreeMap<JobId, Rc<Job>>,
    /// Of jobs that run.
    pub progress: BTreeMap<JobId, Rc<JobProgress>>,
    /// The newest first.
    pub happenings: VecDeque<Happening>,
    pub uploads: Vec<Upload>,
    /// What went wrong, until somebody has read it.
    pub problems: Vec<Problem>,
    pub selected: Option<JobId>,
    pub end: Option<End>,
}

/// A text on its way into the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    pub key: u32,
    pub name: String,
    pub progress: UploadProgress,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub key: u32,
    pub message: String,
}

/// Why this tab's node runs no more.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Stopped,
    Failed(String),
}

pub enum Action {
    Notice(Notice),
    /// The state as the cluster has it, asked for after joining.
    Loaded {
        documents: Vec<Document>,
        jobs: Vec<Job>,
    },
    UploadStarted {
        key: u32,
        name: String,
        bytes: u64,
    },
    UploadProgress {
        key: u32,
        progress: UploadProgress,
    },
    UploadEnded {
        key: u32,
    },
    Problem(Problem),
    ProblemRead {
        key: u32,
    },
    Select(JobId),
}

impl Model {
    pub fn leader(&self) -> Option<&MemberView> {
        let cluster = self.cluster.as_ref()?;
        let leader = cluster.leader?;
        cluster.members.iter().find(|member| member.node == leader)
    }

    /// A member's name, or the start of its id where nobody has told the name.
    pub fn name_of(&self, node: NodeId) -> String {
        (self.cluster.as_ref())
            .and_then(|cluster| cluster.members.iter().find(|member| member.node == node))
            .map_or_else(|| format!("{node:?}"), |member| member.name.clone())
    }

    pub fn is_me(&self, node: NodeId) -> bool {
        self.me.as_ref().is_some_and(|me| me.node == node)
    }

    /// The job on show: the one chosen, else the newest.
    pub fn shown_job(&self) -> Option<&Rc<Job>> {
        (self.selected.and_then(|id| self.jobs.get(&id)))
            .or_else(|| self.jobs.values().max_by_key(|job| (job.submitted_at, job.id)))
    }

    pub fn title_of(&self, job: &Job) -> String {
        let first = job.documents.first().and_then(|id| self.documents.get(id));
        let name =
            first.map_or_else(|| "a text that was deleted".to_owned(), |document| document.name.clone());
        match job.documents.len() {
            0 | 1 => name,
            count => format!("{name} and {} more", count - 1),
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Identity(me) => self.me = Some(me),
            Notice::Connection(connection) => self.connection = Some(connection),
            Notice::Storage(storage) => self.storage = Some(storage),
            Notice::Event(event) => self.event(event),
            Notice::Failed(message) => self.end = Some(End::Failed(message)),
            Notice::Stopped => self.end = Some(End::Stopped),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Cluster(view) => self.cluster = Some(Rc::new(*view)),
            Event::Progress(progress) => {
                self.progress = progress.into_iter().map(|job| (job.job, Rc::new(job))).collect();
            }
            Event::Job(job) => self.job(*job),
            Event::DocumentAdded(document) => {
                self.documents.insert(document.id, Rc::new(*document));
            }
            Event::DocumentRemoved(id) => {
                self.documents.remove(&id);
            }
            Event::Happened(happening) => {
                self.happenings.push_front(happening);
                self.happenings.truncate(HAPPENINGS_MAX);
            }
            Event::Fatal(message) => self.end = Some(End::Failed(message)),
        }
    }

    fn job(&mut self, job: Job) {
        if job.state == JobState::Running {
            self.selected = Some(job.id);
        } else {
            self.progress.remove(&job.id);
        }
        self.jobs.insert(job.id, Rc::new(job));
    }

    fn upload(&mut self, key: u32) -> Option<&mut Upload> {
        self.uploads.iter_mut().find(|upload| upload.key == key)
    }
}

impl Reducible for Model {
    type Action = Action;

    fn reduce(self: Rc<Self>, action: Action) -> Rc<Self> {
        let mut model = Rc::unwrap_or_clone(self);
        match action {
            Action::Notice(notice) => model.notice(notice),
            Action::Loaded { documents, jobs } => {
                model.documents =
                    documents.into_iter().map(|document| (document.id, Rc::new(document))).collect();
                model.jobs = jobs.into_iter().map(|job| (job.id, Rc::new(job))).collect();
            }
            Action::UploadStarted { key, name, bytes } => {
                let progress = UploadProgress { bytes, bytes_stored: 0 };
                model.uploads.push(Upload { key, name, progress });
            }
            Action::UploadProgress { key, progress } => {
                if let Some(upload) = model.upload(key) {
                    upload.progress = progress;
                }
            }
            Action::UploadEnded { key } => model.uploads.retain(|upload| upload.key != key),
            Action::Problem(problem) => model.problems.push(problem),
            Action::ProblemRead { key } => model.problems.retain(|problem| problem.key != key),
            Action::Select(job) => model.selected = Some(job),
        }
        Rc::new(model)
    }
}
