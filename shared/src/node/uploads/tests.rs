use super::*;
use crate::node::api::ErrorCode;
use crate::node::testing::desk::{Desk, node};
use crate::wire::peer::PeerMessage;
use bytes::Bytes;

struct Story {
    desk: Desk,
    uploads: Uploads,
    blocks: Blocks,
    upload: UploadId,
}

const CHUNK: Bytes = Bytes::from_static(b"some words");

impl Story {
    /// A client has opened an upload and sent a chunk.
    fn new() -> Story {
        let desk = Desk::leader_of(2);
        let blocks = Blocks::new(BTreeMap::new(), desk.around.now);
        let upload = UploadId::from_bytes([0; 10]);
        let mut story = Story { desk, uploads: Uploads::default(), blocks, upload };
        story.ask(
            1,
            Request::OpenUpload { name: "a text".into(), retention: Retention::Keep, document: None },
        );
        match story.replies().as_slice() {
            [(RequestId(1), Ok(Reply::UploadOpened { upload }))] => story.upload = *upload,
            other => panic!("{other:?}"),
        }
        let (upload, hash) = (story.upload, Hash::of(&CHUNK));
        story.ask(2, Request::UploadChunk { upload, position: 0, hash, bytes: CHUNK });
        story
    }

    fn ask(&mut self, id: u64, request: Request) {
        self.uploads.request(&mut self.desk.lend(), &mut self.blocks, RequestId(id), request);
    }

    fn replies(&mut self) -> Vec<(RequestId, Result<Reply, RequestError>)> {
        std::mem::take(&mut self.desk.ready.replies)
    }

    /// What the holders hear: the tickets to answer with, and the document to be.
    fn puts(&mut self) -> (Vec<(NodeId, Ticket)>, DocumentId) {
        let mut documents = Vec::new();
        let mut tickets = Vec::new();
        for (to, message, _) in self.desk.sent() {
            match message {
                PeerMessage::Block(BlockMessage::Put {
                    ticket,
                    manifest: Manifest::Document(document),
                    ..
                }) => {
                    tickets.push((to, ticket));
                    documents.push(document);
                }
                other => panic!("{other:?}"),
            }
        }
        (tickets, documents[0])
    }
}

#[test]
fn an_upload_that_became_its_document_is_over() {
    let mut story = Story::new();
    let (puts, document) = story.puts();
    let (upload, me) = (story.upload, node(0));
    story.uploads.kept_here(&mut story.desk.lend(), &mut story.blocks, upload, 0, Ok(()));
    for (holder, ticket) in puts {
        assert_ne!(holder, me);
        story.uploads.answered(&mut story.desk.lend(), &mut story.blocks, holder, ticket, Ok(()));
    }
    assert_eq!(story.replies(), [(RequestId(2), Ok(Reply::Done))]);
    story.ask(3, Request::FinishUpload { upload });
    let [submission] = story.desk.around.submissions.drain(..).collect::<Vec<_>>().try_into().unwrap();
    story.desk.apply(submission.command);
    story.uploads.document_added(&mut story.desk.lend(), document);
    assert_eq!(story.replies(), [], "the log answers");
    story.ask(4, Request::FinishUpload { upload });
    assert!(matches!(&story.replies()[..], [(_, Ok(Reply::Document(found)))] if found.id == document));
}

#[test]
fn somebody_elses_document_does_not_finish_an_upload() {
    let mut story = Story::new();
    let (puts, document) = story.puts();
    assert!(!puts.is_empty() && story.uploads.waiting_bytes == CHUNK.len());
    story.uploads.document_added(&mut story.desk.lend(), document);
    let replies = story.replies();
    assert!(
        matches!(&replies[..], [(RequestId(2), Err(error))] if error.code == ErrorCode::Conflict),
        "its client waits no longer: {replies:?}"
    );
    assert_eq!((story.uploads.waiting_bytes, story.uploads.asked.len()), (0, 0));
    let upload = story.upload;
    story.ask(3, Request::FinishUpload { upload });
    assert!(matches!(&story.replies()[..], [(_, Err(error))] if error.code == ErrorCode::NotFound));
}
