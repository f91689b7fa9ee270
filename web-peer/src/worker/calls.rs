//! Requests that the node has not answered yet, and who waits for each.

use super::tell_page;
use crate::bridge::{CallId, ToPage, fits};
use futures_channel::oneshot;
use shared::limits;
use shared::node::RequestId;
use shared::node::api::{ErrorCode, Reply, Request, RequestError};
use shared::wire;
use std::collections::BTreeMap;

/// As many answers as may be waited for fit into one message if none is larger. Those to changes are not.
const SMALL_ANSWER_BYTES_MAX: usize = 2048;

pub type Answer = Result<Reply, RequestError>;

/// Who waits, and whether for a change.
struct Waiting {
    caller: Caller,
    is_change: bool,
}

enum Caller {
    /// The request at this place of a call.
    Page(CallId, usize),
    Upload(oneshot::Sender<Answer>),
}

#[derive(Default)]
pub struct Calls {
    last: u64,
    waiting: BTreeMap<RequestId, Waiting>,
    page: BTreeMap<CallId, PageCall>,
}

/// What the page asked at once is answered at once.
struct PageCall {
    answers: Vec<Option<Answer>>,
    missing: usize,
}

impl Calls {
    /// A name for the request of an upload, or an answer at once when too many wait.
    pub fn add_upload(&mut self, request: &Request, reply: oneshot::Sender<Answer>) -> Option<RequestId> {
        self.add(request, Caller::Upload(reply))
    }

    /// Names for those of the page's requests that the node is to answer.
    pub fn add_page(&mut self, call: CallId, requests: Vec<Request>) -> Vec<(RequestId, Request)> {
        let missing = requests.len();
        if missing == 0 {
            tell_page(&ToPage::Replies { id: call, results: Vec::new() });
        } else {
            self.page.insert(call, PageCall { answers: vec![None; missing], missing });
        }
        let places = requests.into_iter().enumerate();
        places
            .filter_map(|(place, request)| Some((self.add(&request, Caller::Page(call, place))?, request)))
            .collect()
    }

    fn add(&mut self, request: &Request, caller: Caller) -> Option<RequestId> {
        if self.waiting.len() >= limits::REQUESTS_WAITING_MAX {
            let busy = RequestError {
                code: ErrorCode::Busy,
                message: format!("{} requests wait for an answer already", limits::REQUESTS_WAITING_MAX),
                hint: "try again in a moment".to_owned(),
            };
            self.tell(caller, Err(busy));
            return None;
        }
        self.last += 1;
        let id = RequestId(self.last);
        self.waiting.insert(id, Waiting { caller, is_change: request.is_change() });
        Some(id)
    }

    pub fn answer(&mut self, id: RequestId, answer: Answer) {
        if let Some(Waiting { caller, .. }) = self.waiting.remove(&id) {
            self.tell(caller, answer);
        }
    }

    fn tell(&mut self, caller: Caller, answer: Answer) {
        match caller {
            Caller::Upload(reply) => {
                let _upload_has_ended = reply.send(answer);
            }
            Caller::Page(id, place) => {
                let Some(call) = self.page.get_mut(&id) else { return };
                call.answers[place] = Some(answer);
                call.missing -= 1;
                if call.missing == 0 {
                    let results = std::mem::take(&mut call.answers).into_iter().flatten().collect();
                    self.page.remove(&id);
                    tell_page(&replies(id, results));
                }
            }
        }
    }

    /// The page does not wait for this one any more: requests that nobody needs to answer.
    pub fn abandon(&mut self, call: CallId) -> Vec<RequestId> {
        if self.page.remove(&call).is_none() {
            return Vec::new();
        }
        let is_its = |_: &RequestId, waiting: &mut Waiting| matches!(waiting.caller, Caller::Page(id, _) if id == call);
        self.waiting.extract_if(.., is_its).map(|(id, _)| id).collect()
    }
}

/// Answers that are too large for one message together give way to an error, and only those that are large.
pub fn replies(id: CallId, results: Vec<Answer>) -> ToPage {
    let mut message = ToPage::Replies { id, results };
    if !fits(&message)
        && let ToPage::Replies { results, .. } = &mut message
    {
        let is_large = |result: &&mut Answer| wire::encoded_bytes(*result) > SMALL_ANSWER_BYTES_MAX;
        for large in results.iter_mut().filter(is_large) {
            *large = Err(RequestError {
                code: ErrorCode::TooLarge,
                message: "the answers are too large to come together".to_owned(),
                hint: "ask for less at once".to_owned(),
            });
        }
    }
    message
}

/// Whoever waits for a node that has ended is told so.
impl Drop for Calls {
    fn drop(&mut self) {
        for Waiting { caller, is_change } in std::mem::take(&mut self.waiting).into_values() {
            let stopped =
                RequestError::stopped(is_change, "the node that was asked has stopped", "ask again");
            self.tell(caller, Err(stopped));
        }
    }
}
