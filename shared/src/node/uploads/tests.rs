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
        Story::of(None)
    }

    fn of(document: Option<DocumentId>) -> Story {
        let desk = Desk::leader_of(2);
        let blocks = Blocks::new(BTreeMap::new(), desk.around.now);
        let upload = UploadId::from_bytes([0; 10]);
        let mut story = Story { desk, uploads: Uploads::default(), blocks, upload };
        story.upload = story.open(document);
        story
    }

    fn open(&mut self, document: Option<DocumentId>) -> UploadId {
        let (name, retention) = ("a text".into(), Retention::Keep);
        self.ask(1, Request::OpenUpload { name, retention, document });
        let upload = match self.replies().as_slice() {
            [(RequestId(1), Ok(Reply::UploadOpened { upload }))] => *upload,
            other => panic!("{other:?}"),
        };
        self.ask(2, Request::UploadChunk { upload, position: 0, hash: Hash::of(&CHUNK), bytes: CHUNK });
        upload
    }

    /// All holders have the chunk.
    fn store(&mut self, upload: UploadId) -> DocumentId {
        let (puts, document) = self.puts();
        self.uploads.kept_here(&mut self.desk.lend(), &mut self.blocks, upload, 0, Ok(()));
        for (holder, ticket) in puts {
            assert_ne!(holder, node(0));
            self.uploads.answered(&mut self.desk.lend(), &mut self.blocks, holder, ticket, Ok(()));
        }
        assert_eq!(self.replies(), [(RequestId(2), Ok(Reply::Done))]);
        document
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
    let upload = story.upload;
    let document = story.store(upload);
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

#[test]
fn a_text_that_is_sent_again_before_the_first_is_there_comes_to_the_same() {
    let document = DocumentId::from_bytes([9; 10]);
    let mut story = Story::of(Some(document));
    let first = story.upload;
    assert_eq!(story.store(first), document);
    let again = story.open(Some(document));
    story.ask(3, Request::FinishUpload { upload: first });
    let [submission] = story.desk.around.submissions.drain(..).collect::<Vec<_>>().try_into().unwrap();
    let command = submission.command.clone();
    story.desk.apply(submission.command);
    story.uploads.document_added(&mut story.desk.lend(), document);
    assert_eq!(story.replies(), [], "the second goes on");
    assert_eq!(story.store(again), document);
    story.ask(4, Request::FinishUpload { upload: again });
    assert_eq!(story.replies(), [], "the log answers");
    let [submission] = story.desk.around.submissions.drain(..).collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((submission.command, submission.request), (command, Some(RequestId(4))));
    assert!(story.uploads.uploads.is_empty());
}

#[test]
fn all_uploads_that_became_one_document_are_over() {
    let document = DocumentId::from_bytes([9; 10]);
    let mut story = Story::of(Some(document));
    let uploads = [story.upload, {
        story.store(story.upload);
        story.open(Some(document))
    }];
    story.store(uploads[1]);
    for upload in uploads {
        story.ask(3, Request::FinishUpload { upload });
    }
    story.uploads.document_added(&mut story.desk.lend(), document);
    assert!(story.uploads.uploads.is_empty() && story.uploads.finished.len() == 2);
}
