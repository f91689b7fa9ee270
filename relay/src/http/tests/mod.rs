//! Stories of clients, told over real sockets to a node that is made up.

mod fake;

use super::{AppState, router};
use crate::driver::NodeHandle;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use shared::ids::RoomName;
use shared::wire::identity::RoomToken;
use shared::words::{ByCount, CSV_HEADER, CountReport, Mode, count_all, put_csv_line};

/// Longer than anything here takes on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A server on a free port, and a client that talks to its room.
struct Server {
    origin: String,
    http: reqwest::Client,
    _server: crate::serve::Server,
}

impl Server {
    async fn with(token: Option<RoomToken>, node: Option<NodeHandle>) -> Server {
        // The second test of a process finds the provider installed.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let nodes = node.into_iter().collect();
        let routes =
            router(AppState { nodes, room: RoomName::default(), token, loopback: true, chaos: None });
        Server {
            _server: crate::serve::Server::start(listener, routes),
            origin,
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
        }
    }

    async fn start() -> Server {
        Server::with(None, Some(fake::node(true))).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/api/v1/rooms/lobby/{path}", self.origin))
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    async fn add(&self, name: &str, text: impl Into<reqwest::Body>) -> String {
        let response =
            self.request(Method::POST, "documents").query(&[("name", name)]).body(text).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let document: Value = response.json().await.unwrap();
        let id = document["id"].as_str().unwrap().to_owned();
        assert!(location.ends_with(&format!("/documents/{id}")), "{location}");
        id
    }

    /// Counts texts to the end and returns the job's id.
    async fn count(&self, texts: &[&str], mode: &str) -> String {
        let mut documents = Vec::new();
        for text in texts {
            documents.push(self.add("text", (*text).to_owned()).await);
        }
        let body = json!({"documents": documents, "mode": mode});
        let response = self.request(Method::POST, "jobs").json(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        let events = self.get(&format!("jobs/{id}/events")).await.text().await.unwrap();
        assert!(events.contains("event: progress"), "{events}");
        assert!(events.trim_end().ends_with('}') && events.contains("\"state\":\"done\""), "{events}");
        id
    }
}

async fn error_of(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert!(error["message"].is_string() && error["hint"].is_string(), "{body}");
    (status, error["code"].as_str().unwrap().to_owned())
}

/// Long enough for several chunks, in words that repeat.
fn long_text() -> String {
    (0..400_000).map(|number| format!("w{} ", number % 3_000)).collect()
}

#[tokio::test]
async fn a_text_sent_to_count_comes_back_as_its_report() {
    let server = Server::start().await;
    let text = long_text();
    let response =
        server.request(Method::POST, "count?mode=ascii&top=3").body(text.clone()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let report: CountReport = response.json().await.unwrap();
    let totals = count_all(Mode::Ascii, [text.as_bytes()]).unwrap().totals();
    assert_eq!((report.total, report.unique, report.bytes), (totals.total, totals.unique, totals.bytes));
    assert_eq!((report.top.len(), report.mode, report.seconds), (3, Mode::Ascii, 1.5));
    assert_eq!(report.max.as_ref(), report.top.first());
    assert!(report.job.is_some() && report.workers[0].kind == "server");
}

#[tokio::test]
async fn documents_are_stored_listed_read_and_deleted() {
    let server = Server::start().await;
    let text = long_text();
    let id = server.add("a name / with ünusual \"characters\"", text.clone()).await;
    let list = server.json("documents").await;
    assert_eq!(list["documents"][0]["bytes"], text.len());
    assert!(list["documents"][0]["chunks"].as_u64().unwrap() > 1, "{list}");
    assert_eq!(list["documents"][0]["expires_at"], Value::Null, "it stays for good");
    assert_eq!(server.json(&format!("documents/{id}")).await["id"], id);

    let content = server.get(&format!("documents/{id}/content")).await;
    assert_eq!(content.headers()["content-length"], text.len().to_string().as_str());
    assert!(content.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(content.text().await.unwrap(), text);

    let gone = server.request(Method::DELETE, &format!("documents/{id}")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(error_of(server.get(&format!("documents/{id}")).await).await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn an_empty_text_is_a_text() {
    let server = Server::start().await;
    let id = server.add("empty", "").await;
    assert_eq!(server.get(&format!("documents/{id}/content")).await.text().await.unwrap(), "");
    let report: CountReport =
        server.request(Method::POST, "count").send().await.unwrap().json().await.unwrap();
    assert_eq!((report.total, report.max), (0, None));
}

#[tokio::test]
async fn a_table_is_read_page_by_page_in_either_order() {
    let server = Server::start().await;
    let text = (1..=50).flat_map(|n| std::iter::repeat_n(format!("word{} ", n % 40), n)).collect::<String>();
    let job = server.count(&[&text, "other words"], "unicode").await;
    for order in ["count", "word"] {
        let whole = server.json(&format!("jobs/{job}/words?order={order}")).await;
        assert_eq!(whole["cursor"], Value::Null);
        let mut pages = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server.json(&format!("jobs/{job}/words?order={order}&limit=7{cursor}")).await;
            pages.extend(page["words"].as_array().unwrap().clone());
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(Value::from(pages), whole["words"], "{order}");
        assert_eq!(whole["words"].as_array().unwrap().len(), 42);
    }
    let some = server.json(&format!("jobs/{job}/words?order=word&prefix=WORD1")).await;
    let words: Vec<&str> =
        some["words"].as_array().unwrap().iter().map(|w| w["word"].as_str().unwrap()).collect();
    assert_eq!(
        words,
        [
            "word1", "word10", "word11", "word12", "word13", "word14", "word15", "word16", "word17",
            "word18", "word19"
        ]
    );
    let frequent = server.json(&format!("jobs/{job}/words?prefix=word1&limit=2")).await;
    assert_eq!(frequent["words"], json!([{"word": "word10", "count": 60}, {"word": "word1", "count": 42}]));
}

#[tokio::test]
async fn the_table_as_csv_has_every_word_as_its_bytes() {
    let server = Server::start().await;
    let text = "b,b \"a\" \"a\" c c c z\u{1}";
    let job = server.count(&[text], "ascii").await;
    let response = server.get(&format!("jobs/{job}/words?format=csv")).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let mut expected = CSV_HEADER.to_vec();
    let table = count_all(Mode::Ascii, [text.as_bytes()]).unwrap();
    ByCount::of(&mut table.entries())
        .iter()
        .for_each(|(word, count)| put_csv_line(&mut expected, word, count));
    assert_eq!(response.bytes().await.unwrap(), expected);
    let two = server.get(&format!("jobs/{job}/words?format=csv&limit=2")).await.text().await.unwrap();
    assert_eq!(two, "word,count\nc,3\n\"\"\"a\"\"\",2\n");
}

#[tokio::test]
async fn words_longer_than_a_summary_are_shown_whole() {
    let server = Server::start().await;
    let long = "x".repeat(5_000);
    let text = format!("{long} {long} a b c");
    let report: CountReport =
        server.request(Method::POST, "count").body(text).send().await.unwrap().json().await.unwrap();
    assert_eq!(report.max.unwrap().word, long);
    assert_eq!((&report.top[0].word, report.top[0].length), (&long, None));
}

#[tokio::test]
async fn a_top_longer_than_a_summary_comes_from_the_table() {
    let server = Server::start().await;
    let text: String = (0..3_000).map(|number| format!("w{number} ")).collect();
    let response = server.request(Method::POST, "count?top=2500").body(text).send().await.unwrap();
    let report: CountReport = response.json().await.unwrap();
    assert_eq!(report.top.len(), 2_500);
    let too_many = server.request(Method::POST, "count?top=100001").send().await.unwrap();
    assert_eq!(error_of(too_many).await, (400, "bad_request".to_owned()));
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let server = Server::start().await;
    let check = async |method: Method, path: &str, body: &'static str, expected: (u16, &str)| {
        let url = format!("{}{path}", server.origin);
        let request = server.http.request(method, url).header("content-type", "application/json").body(body);
        let (status, code) = error_of(request.send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), expected, "{path}");
    };
    let lobby = "/api/v1/rooms/lobby";
    check(Method::GET, "/api/v1/nothing", "", (404, "not_found")).await;
    check(Method::GET, "/no/such/file.js", "", (404, "not_found")).await;
    check(Method::GET, "/api/v1/rooms/attic/documents", "", (404, "not_found")).await;
    check(Method::GET, "/api/v1/rooms/NO-ROOM/documents", "", (404, "not_found")).await;
    check(Method::GET, "/api/v1/rooms/%ff/jobs", "", (400, "bad_request")).await;
    check(Method::GET, &format!("{lobby}/jobs/%ff"), "", (400, "bad_request")).await;
    for path in ["cluster/transfer", "jobs"] {
        check(Method::POST, &format!("{lobby}/{path}"), "[", (400, "bad_request")).await;
        // One byte more than a body that is read at once may have.
        let long = " ".repeat((2 << 20) + 1);
        let request = server.request(Method::POST, path).header("content-type", "application/json");
        let error = error_of(request.body(long).send().await.unwrap()).await;
        assert_eq!(error, (413, "too_large".to_owned()), "{path}");
    }
    check(Method::PATCH, &format!("{lobby}/documents"), "", (405, "method_not_allowed")).await;
    check(Method::POST, "/livez", "", (405, "method_not_allowed")).await;
    check(Method::GET, &format!("{lobby}/documents/xyz"), "", (404, "not_found")).await;
    check(Method::GET, &format!("{lobby}/jobs/aaaaaaaaaaaaaaaa"), "", (404, "not_found")).await;
    check(Method::POST, &format!("{lobby}/jobs"), "{", (400, "bad_request")).await;
    check(
        Method::POST,
        &format!("{lobby}/jobs"),
        r#"{"documents":["aaaaaaaaaaaaaaaa"]}"#,
        (404, "not_found"),
    )
    .await;
    check(Method::POST, &format!("{lobby}/jobs"), r#"{"documents":[],"verify":3}"#, (400, "bad_request"))
        .await;
    check(Method::POST, &format!("{lobby}/count?mode=klingon"), "", (400, "bad_request")).await;
    check(Method::POST, &format!("{lobby}/count?top=many"), "", (400, "bad_request")).await;
    let name = "n".repeat(1_025);
    check(Method::POST, &format!("{lobby}/documents?name={name}"), "", (400, "bad_request")).await;
    let job = server.count(&["a b"], "unicode").await;
    check(Method::GET, &format!("{lobby}/jobs/{job}/words?cursor=x"), "", (400, "bad_request")).await;
    check(Method::GET, &format!("{lobby}/jobs/{job}/words?limit=0"), "", (400, "bad_request")).await;
    check(Method::GET, &format!("{lobby}/jobs/{job}/words?limit=10001"), "", (400, "bad_request")).await;
}

#[tokio::test]
async fn a_room_with_a_secret_asks_for_its_token() {
    let token = RoomToken::member("correct horse");
    let server = Server::with(Some(token.clone()), Some(fake::node(true))).await;
    assert_eq!(error_of(server.get("cluster").await).await, (401, "secret_needed".to_owned()));
    let with = |token: &RoomToken| server.request(Method::GET, "cluster").bearer_auth(token.to_text()).send();
    let wrong = with(&RoomToken::member("wrong horse")).await.unwrap();
    assert_eq!(error_of(wrong).await, (403, "wrong_secret".to_owned()));
    assert_eq!(with(&token).await.unwrap().status(), StatusCode::OK);
    let live = server.http.get(format!("{}/livez", server.origin)).send().await.unwrap();
    assert_eq!(live.status(), StatusCode::OK, "health is nobody's secret");
}

#[tokio::test]
async fn pages_of_other_sites_may_not_write() {
    let server = Server::start().await;
    let from = |origin: &str| server.request(Method::POST, "documents").header("origin", origin).send();
    assert_eq!(error_of(from("https://evil.example").await.unwrap()).await, (403, "wrong_origin".to_owned()));
    assert_eq!(from(&server.origin).await.unwrap().status(), StatusCode::CREATED);
    let rebound =
        server.request(Method::GET, "documents").header("host", "evil.example").send().await.unwrap();
    assert_eq!(error_of(rebound).await, (403, "wrong_origin".to_owned()));
}

#[tokio::test]
async fn streams_of_events_end_with_their_node() {
    let node = fake::node(true);
    let server = Server::with(None, Some(node.clone())).await;
    let body = json!({"documents": [server.add("text", "a b").await]});
    let job = server.request(Method::POST, "jobs").json(&body).send().await.unwrap();
    let job: Value = job.json().await.unwrap();
    let of_job = server.get(&format!("jobs/{}/events", job["id"].as_str().unwrap())).await;
    let of_cluster = server.get("cluster/events").await;
    node.shutdown().await;
    for (stream, told) in [(of_job, "event: job"), (of_cluster, "event: cluster")] {
        let told_all = tokio::time::timeout(PATIENCE, stream.text()).await.expect("the stream ends").unwrap();
        assert!(told_all.contains(told), "{told_all}");
    }
}

#[tokio::test]
async fn a_lost_quorum_is_told_and_costs_readiness_but_not_life() {
    let server = Server::with(None, Some(fake::node(false))).await;
    let lost = server.get("documents").await;
    assert_eq!(lost.headers()["retry-after"], "1");
    assert_eq!(error_of(lost).await, (503, "no_quorum".to_owned()));
    let alive = server.http.get(format!("{}/livez", server.origin)).send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    let ready = server.http.get(format!("{}/readyz", server.origin)).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let why: Value = ready.json().await.unwrap();
    let expected = json!({
        "ready": false, "reason": "one of three voters is online", "remedy": "start the others",
        "code": "no_majority",
    });
    assert_eq!(why, expected);
}

#[tokio::test]
async fn a_relay_without_nodes_says_so() {
    let server = Server::with(None, None).await;
    assert_eq!(error_of(server.get("documents").await).await, (503, "no_node".to_owned()));
    let ready = server.http.get(format!("{}/readyz", server.origin)).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK, "it carries messages");
}

#[tokio::test]
async fn links_to_rooms_are_answered_with_the_page_under_a_strict_policy() {
    let server = Server::start().await;
    for path in ["", "r/lobby", "r/attic"] {
        let page = server.http.get(format!("{}/{path}", server.origin)).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert_eq!(page.headers()["cache-control"], "no-cache");
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("'wasm-unsafe-eval'"), "{policy}");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    }
}
