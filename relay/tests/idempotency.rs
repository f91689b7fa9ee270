//! `Idempotency-Key`: a client that does not know what became of its request sends it again.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Http, TestRelay};

async fn post(room: &Http, path: &str, key: &str, body: String) -> Answer {
    let request = room.request(Method::POST, path).header("idempotency-key", key);
    Answer::of(request.header("content-type", "application/json").body(body)).await.expect("an answer")
}

fn refused(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["error"]["code"].clone())
}

#[tokio::test]
async fn a_request_that_is_sent_again_makes_nothing_twice() {
    let relay = TestRelay::start(3).await;
    let room = relay.room();
    let reused = (422, Value::from("key_reused"));

    let first = post(&room, "documents?name=a", "\"one\"", "some words".into()).await;
    let again = post(&room, "documents?name=a", "\"one\"", "some words".into()).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json(), again.json());
    assert_eq!(refused(&post(&room, "documents?name=a", "\"one\"", "other words".into()).await), reused);
    assert_eq!(refused(&post(&room, "documents?name=b", "\"one\"", "some words".into()).await), reused);
    let other = post(&room, "documents?name=a", "\"two\"", "some words".into()).await;
    assert_ne!(other.json()["id"], first.json()["id"], "another key, another document");

    let send = || post(&room, "documents?name=a", "three", "words ".repeat(10_000));
    let (one, other) = tokio::join!(send(), send());
    assert_eq!((one.status, other.status), (201, 201), "at the same time");
    assert_eq!(one.json(), other.json());

    let submission = |mode: &str| json!({"documents": [first.json()["id"]], "mode": mode}).to_string();
    let job = post(&room, "jobs", "one", submission("unicode")).await;
    assert_eq!(job.status, 202);
    assert_eq!(post(&room, "jobs", "one", submission("unicode")).await.json(), job.json());
    assert_eq!(refused(&post(&room, "jobs", "one", submission("ascii")).await), reused);

    let counted = post(&room, "count", "one", "a text and a text".into()).await;
    let again = post(&room, "count", "one", "a text and a text".into()).await;
    assert_eq!((counted.status, &counted.json()["total"]), (200, &5.into()));
    assert_eq!(again.json()["job"], counted.json()["job"]);
    assert_eq!(refused(&post(&room, "count", "one", "a text".into()).await), reused);

    let length = |list: Value| list.as_array().map(Vec::len);
    assert_eq!(length(room.get("documents").await.unwrap().json()["documents"].clone()), Some(4));
    assert_eq!(length(room.get("jobs").await.unwrap().json()["jobs"].clone()), Some(2));

    assert_eq!(post(&room, "jobs", "two words", submission("unicode")).await.status, 400);
    assert_eq!(post(&room, "cluster/transfer", "one", String::new()).await.status, 400, "to whom?");
}
