//! What the page does with too much, and with a node that is gone.

use super::{CallId, Client, Notice, Start, ToWorker, UploadOptions, fits, in_pieces};
use bytes::Bytes;
use futures_channel::oneshot;
use shared::limits;
use shared::node::api::{ErrorCode, Reply, Request, RequestError};
use shared::state_machine::{KeyChange, Retention};
use std::cell::Cell;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::Blob;

fn puts(count: usize, value_bytes: usize) -> Vec<Request> {
    let value = Bytes::from(vec![7; value_bytes]);
    let put = |number| KeyChange::put(format!("k/{number}").parse().expect("a plain key"), value.clone());
    (0..count).map(|number| Request::ChangeKey { change: put(number) }).collect()
}

fn message(requests: Vec<Request>) -> ToWorker {
    ToWorker::Requests { id: CallId(0), requests }
}

#[wasm_bindgen_test]
fn what_is_too_much_for_one_message_fits_into_several_in_order() {
    let puts = puts(65, limits::VALUE_BYTES_MAX);
    assert!(!fits(&message(puts.clone())));
    let pieces = in_pieces(puts.clone(), usize::MAX, 1 << 20);
    assert_eq!(pieces.len(), 65, "two such values are more than 1 MiB");
    assert_eq!(pieces.concat(), puts);
    assert!(pieces.into_iter().all(|piece| fits(&message(piece))));
}

#[wasm_bindgen_test]
fn pieces_are_bounded_in_number_and_in_bytes() {
    let lengths = |all: Vec<&str>, count_max, bytes_max| -> Vec<usize> {
        in_pieces(all, count_max, bytes_max).iter().map(Vec::len).collect()
    };
    assert_eq!(lengths(vec!["1"; 7], 3, 100), [3, 3, 1]);
    // A length takes a byte.
    assert_eq!(lengths(vec!["123"; 5], 100, 8), [2, 2, 1]);
    assert_eq!(lengths(vec!["123"; 3], 100, 7), [1, 1, 1]);
    assert_eq!(lengths(vec!["1", "larger than a piece", "1"], 100, 8), [1, 1, 1]);
    assert!(lengths(Vec::new(), 3, 100).is_empty());
}

#[wasm_bindgen_test]
async fn a_node_that_has_stopped_was_not_asked_and_nobody_waits_for_it() {
    let start = Start {
        url: String::new(),
        room: "stopped".parse().expect("a plain name"),
        token: None,
        name: None,
        hidden: false,
        slot_before_reload: None,
        record: false,
    };
    let (failed, failure) = oneshot::channel();
    let failed = Cell::new(Some(failed));
    // Nobody serves the worker's script here.
    let client = Client::start(start, move |notice| {
        if let (Notice::Failed(_), Some(failed)) = (notice, failed.take()) {
            failed.send(()).expect("the test waits");
        }
    })
    .expect("a worker");
    let asked_before = client.requests(puts(3, limits::VALUE_BYTES_MAX)).await;
    failure.await.expect("the node has failed");

    let codes = |results: Vec<Result<Reply, RequestError>>| -> Vec<ErrorCode> {
        results.into_iter().map(|result| result.expect_err("no node").code).collect()
    };
    assert_eq!(codes(asked_before), [ErrorCode::UnknownOutcome; 3]);
    assert_eq!(codes(client.requests(puts(2, 1)).await), [ErrorCode::NotReady; 2]);
    let options = UploadOptions { name: String::new(), retention: Retention::Keep, count: None };
    let uploaded = client.upload(&Blob::new().expect("an empty blob"), options, |_| {}).await;
    assert_eq!(uploaded.expect_err("no node").code, ErrorCode::NotReady);
}
