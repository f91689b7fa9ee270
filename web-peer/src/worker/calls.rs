//! Requests that the node has not answered yet, and who waits for each.

use super::tell_page;
use crate::bridge::{CallId, ToPage};
use futures_channel::oneshot;
use shared::limits;
use shared::node::RequestId;
use shared::node::api::{ErrorCode, Reply, RequestError};
use std::collections::BTreeMap;

pub enum Caller {
    Page(CallId),
    Upload(oneshot::Sender<Result<Reply, RequestError>>),
}

#[derive(Default)]
pub struct Calls {
    last: u64,
    waiting: BTreeMap<RequestId, Caller>,
}

impl Calls {
    /// A name for a request, or an answer at once when too many wait.
    pub fn add(&mut self, caller: Caller) -> Option<RequestId> {
        if self.waiting.len() >= limits::REQUESTS_WAITING_MAX {
            caller.answer(Err(RequestError {
                code: ErrorCode::Busy,
                message: format!("{} requests wait for an answer already", limits::REQUESTS_WAITING_MAX),
                hint: "try again in a moment".to_owned(),
            }));
            return None;
        }
        self.last += 1;
        let id = RequestId(self.last);
        self.waiting.insert(id, caller);
        Some(id)
    }

    pub fn answer(&mut self, id: RequestId, result: Result<Reply, RequestError>) {
        if let Some(caller) = self.waiting.remove(&id) {
            caller.answer(result);
        }
    }

    /// The page does not wait for this one any more.
    pub fn abandon(&mut self, call: CallId) -> Option<RequestId> {
        let is_it = |caller: &Caller| matches!(caller, Caller::Page(id) if *id == call);
        let id = self.waiting.iter().find(|(_, caller)| is_it(caller)).map(|(id, _)| *id)?;
        self.waiting.remove(&id);
        Some(id)
    }
}

/// Whoever waits for a node that has ended is told so.
impl Drop for Calls {
    fn drop(&mut self) {
        for (_, caller) in std::mem::take(&mut self.waiting) {
            caller.answer(Err(RequestError {
                code: ErrorCode::NotReady,
                message: "the node that was asked has stopped".to_owned(),
                hint: "ask again".to_owned(),
            }));
        }
    }
}

impl Caller {
    fn answer(self, result: Result<Reply, RequestError>) {
        match self {
            Caller::Page(id) => tell_page(&ToPage::Reply { id, result }),
            Caller::Upload(reply) => {
                let _upload_has_ended = reply.send(result);
            }
        }
    }
}
