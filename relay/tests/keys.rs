//! Keys over HTTP and on the command line, with real processes.

use reqwest::Method;
use reqwest::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;
use shared::limits;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use testkit::cluster::{PATIENCE, members};
use testkit::{Answer, Cluster, Finished, Http, TestNode, TestRelay, until, wordraft};

async fn send(room: &Http, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = headers
        .iter()
        .fold(room.request(method, path), |request, (name, value)| request.header(*name, *value));
    Answer::of(request.body(body.to_owned())).await.expect("an answer")
}

fn tag(answer: &Answer) -> &str {
    answer.headers[ETAG].to_str().expect("digits between quotes")
}

/// The status, the error's code, and that it says what to do.
fn error(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert!(body["error"]["message"].is_string() && body["error"]["hint"].is_string(), "{body}");
    (answer.status, body["error"]["code"].as_str().expect("a code").to_owned())
}

#[tokio::test]
async fn keys_are_put_read_compared_and_deleted_over_http() {
    let relay = TestRelay::start(1).await;
    let room = relay.room();
    let put = async |path: &str, headers: &[(&str, &str)], body: &str| {
        send(&room, Method::PUT, path, headers, body).await
    };
    let created = put("kv/colour", &[], "red").await;
    assert_eq!((created.status, tag(&created)), (201, "\"1\""));
    assert_eq!(created.json(), serde_json::json!({"key": "colour", "version": 1}));
    let replaced = put("kv/colour", &[("if-match", "\"1\"")], "green").await;
    assert_eq!((replaced.status, tag(&replaced)), (200, "\"2\""));

    let found = room.get("kv/colour").await.unwrap();
    assert_eq!((found.status, found.text().as_str(), tag(&found)), (200, "green", "\"2\""));
    assert_eq!(found.headers["content-type"], "application/octet-stream");
    let known = send(&room, Method::GET, "kv/colour", &[("if-none-match", "\"2\"")], "").await;
    assert_eq!((known.status, known.body.len(), tag(&known)), (304, 0, "\"2\""));
    let known = send(&room, Method::GET, "kv/colour", &[("if-none-match", "\"1\", W/\"2\"")], "").await;
    assert_eq!((known.status, known.body.len()), (304, 0), "weak, and one of several");
    let other = send(&room, Method::GET, "kv/colour", &[("if-match", "\"1\"")], "").await;
    assert_eq!((error(&other), tag(&other)), ((412, "conflict".to_owned()), "\"2\""));
    let head = send(&room, Method::HEAD, "kv/colour", &[], "").await;
    assert_eq!(
        (head.status, head.body.len(), &head.headers["content-length"]),
        (200, 0, &"5".parse().unwrap())
    );
    assert_eq!(room.get("kv/colour?consistency=stale").await.unwrap().text(), "green");

    let late = put("kv/colour", &[("if-match", "\"1\"")], "blue").await;
    assert_eq!((error(&late), tag(&late)), ((412, "conflict".to_owned()), "\"2\""));
    assert_eq!(error(&put("kv/colour", &[(IF_NONE_MATCH.as_str(), "*")], "blue").await).0, 412);
    assert_eq!(error(&put("kv/none", &[(IF_MATCH.as_str(), "*")], "blue").await).0, 412);
    assert_eq!(error(&put("kv/colour", &[("if-match", "2")], "blue").await).0, 400);
    assert_eq!(error(&put("kv/colour", &[("origin", "https://evil.example")], "blue").await).0, 403);
    let misspelt = put("kv/colour?tll=30s", &[], "blue").await;
    assert_eq!(error(&misspelt), (400, "bad_request".to_owned()));
    assert_eq!(misspelt.json()["error"]["message"], "this route has no parameter tll");
    assert_eq!(error(&room.delete("kv/colour?if-match=1").await.unwrap()).0, 400);
    assert_eq!(error(&put("kv/colour?ttl=soon", &[], "blue").await).0, 400);
    assert_eq!(error(&put(&format!("kv/{}", "k".repeat(513)), &[], "").await).0, 400);
    let too_long = format!("kv?prefix={}", "k".repeat(limits::KEY_BYTES_MAX + 1));
    assert_eq!(error(&room.get(&too_long).await.unwrap()), (400, "bad_request".to_owned()));
    assert_eq!(error(&room.get(&format!("{too_long}&watch=true")).await.unwrap()).0, 400);
    assert_eq!(room.get(too_long.strip_suffix('k').unwrap()).await.unwrap().status, 200);
    let large = "v".repeat(limits::VALUE_BYTES_MAX + 1);
    assert_eq!(error(&put("kv/large", &[], &large).await), (413, "too_large".to_owned()));
    assert_eq!(put("kv/largest", &[], &large[1..]).await.status, 201);
    assert_eq!(room.delete("kv/largest").await.unwrap().status, 204);
    assert_eq!(error(&put("kv/larger", &[], &"v".repeat(3 << 20)).await), (413, "too_large".to_owned()));

    assert_eq!(room.delete("kv/colour").await.unwrap().status, 204);
    assert_eq!(error(&room.delete("kv/colour").await.unwrap()), (404, "not_found".to_owned()));
    assert_eq!(error(&room.get("kv/colour").await.unwrap()), (404, "not_found".to_owned()));
    assert_eq!(tag(&put("kv/colour", &[], "red").await), "\"6\"", "the deletions were changes too");
}

#[tokio::test]
async fn keys_of_any_characters_are_listed_page_by_page() {
    let relay = TestRelay::start(1).await;
    let room = relay.room();
    let names = [("a/1", "a%2F1"), ("a/2", "a/2"), ("a/ü ?", "a/%C3%BC%20%3F"), ("/", "/"), ("b", "b")];
    for (_, path) in names {
        assert_eq!(room.put(&format!("kv/{path}"), path.to_owned()).await.unwrap().status, 201, "{path}");
        assert_eq!(room.get(&format!("kv/{path}")).await.unwrap().text(), path);
    }
    room.put("kv/b", vec![0xff, 0x00]).await.unwrap().ok();
    let listed = async |query: &str| room.get(&format!("kv{query}")).await.unwrap().ok().json();
    let keys = |list: &Value| -> Vec<String> {
        let rows = list["keys"].as_array().expect("a list").iter();
        rows.map(|row| row["key"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(keys(&listed("").await), ["/", "a/1", "a/2", "a/ü ?", "b"]);
    let first = listed("?prefix=a/&limit=2").await;
    assert_eq!((keys(&first), &first["cursor"]), (vec!["a/1".to_owned(), "a/2".to_owned()], &"a/2".into()));
    let second = listed("?prefix=a/&limit=2&cursor=a/2").await;
    assert_eq!((keys(&second), &second["cursor"]), (vec!["a/ü ?".to_owned()], &Value::Null));
    let values = listed("?values=true").await;
    assert_eq!(
        (&values["keys"][1]["value"], &values["keys"][4]["base64"]),
        (&"a%2F1".into(), &"/wA=".into())
    );
    assert_eq!(error(&room.get("kv?limit=1001").await.unwrap()).0, 400);
}

#[tokio::test]
async fn a_key_with_a_time_to_live_goes_by_itself_and_a_watch_tells() {
    let relay = TestRelay::start(1).await;
    let room = relay.room();
    let mut stream = Stream::open(&room, "kv?watch=true&values=true&prefix=k", None).await;
    assert_eq!(stream.next().await.0, "watching");
    room.put("kv/other", "v").await.unwrap().ok();
    room.put("kv/k?ttl=1s", "v").await.unwrap().ok();
    assert_eq!(room.get("kv/k").await.unwrap().headers["wordraft-ttl"], "1");
    let (name, id, data) = stream.next().await;
    assert_eq!((name.as_str(), id.as_str(), &data["value"]), ("put", "2", &"v".into()));
    assert_eq!(stream.next().await.0, "expire");
    assert_eq!(room.get("kv/k").await.unwrap().status, 404);
    room.put("kv/k", "again").await.unwrap().ok();
    room.delete("kv/k").await.unwrap().ok();
    // Whoever lost the connection goes on after the last event.
    let mut again = Stream::open(&room, "kv?watch=true&prefix=k", Some("2")).await;
    assert_eq!(again.next().await.0, "watching");
    for (name, id) in [("expire", "3"), ("put", "4"), ("delete", "5")] {
        let (happened, version, data) = again.next().await;
        assert_eq!((happened.as_str(), version.as_str(), &data["value"]), (name, id, &Value::Null));
    }
}

#[tokio::test]
async fn a_watch_after_a_change_that_never_happened_is_refused() {
    let relay = TestRelay::start(3).await;
    let room = relay.room();
    room.put("kv/k", "v").await.unwrap().ok();
    let refused = room.get("kv?watch=true&after=2").await.unwrap();
    assert_eq!(error(&refused), (409, "conflict".to_owned()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().ends_with("the latest is 1"));
    let again = [("last-event-id", "2")];
    assert_eq!(error(&send(&room, Method::GET, "kv?watch=true", &again, "").await).0, 409);
    assert_eq!(Stream::open(&room, "kv?watch=true", Some("1")).await.next().await.0, "watching");
}

/// Server-sent events as they come.
struct Stream {
    response: reqwest::Response,
    read: String,
}

impl Stream {
    async fn open(room: &Http, path: &str, last_id: Option<&str>) -> Stream {
        let request = room.request(Method::GET, path).header("accept", "text/event-stream");
        let request = last_id.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        let response = request.send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Stream { response, read: String::new() }
    }

    /// Name, id and data of the next.
    async fn next(&mut self) -> (String, String, Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                let found = (field("event:"), field("id:"), field("data:"));
                self.read = rest.to_owned();
                if let (Some(name), Some(id), Some(data)) = found {
                    return (name, id, serde_json::from_str(&data).expect("JSON"));
                }
                continue;
            }
            let piece =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event in time");
            let piece = piece.expect("no failure").expect("no end");
            self.read.push_str(std::str::from_utf8(&piece).expect("ASCII"));
        }
    }
}

#[tokio::test]
async fn keys_on_the_command_line() {
    let relay = TestRelay::start(1).await;
    let link = relay.link();
    let kv = async |arguments: &[&str], stdin: &[u8]| -> Finished {
        wordraft(&[&["kv", "--relay", &link], arguments].concat(), stdin).await
    };
    assert_eq!(kv(&["put", "a/ü", "one"], b"").await.output(), "1\n");
    assert_eq!(kv(&["put", "a/b", "-"], &[0xff, 0, b'\n']).await.output(), "2\n");
    assert_eq!(kv(&["get", "a/b"], b"").await.stdout, [0xff, 0, b'\n'], "every byte, and no more");
    assert_eq!(kv(&["cas", "a/ü", "1", "two"], b"").await.output(), "3\n");
    assert_eq!(kv(&["cas", "new", "absent", "v", "--ttl", "5m"], b"").await.output(), "4\n");
    let row = kv(&["get", "a/ü", "--json", "--stale"], b"").await.json();
    assert_eq!(row, serde_json::json!({"key": "a/ü", "version": 3, "bytes": 3, "value": "two"}));
    let check = |finished: Finished, code: i32, said: &str| {
        assert!(finished.code == Some(code) && finished.stderr.contains(said), "{finished:?}");
    };
    check(kv(&["cas", "a/ü", "1", "three"], b"").await, 5, "version 3");
    check(kv(&["cas", "a/ü", "absent", "three"], b"").await, 5, "version 3");
    check(kv(&["get", "nothing"], b"").await, 5, "no such key");
    check(kv(&["delete", "a/ü", "--if-version", "1"], b"").await, 5, "version 3");
    check(kv(&["cas", "a/ü", "x", "three"], b"").await, 2, "absent");
    check(kv(&["put", "a/ü"], b"").await, 2, "--file");
    check(kv(&["put", "..", "v"], b"").await, 2, "choose another");
    check(kv(&["put", "a/ü", "v", "--ttl", "soon"], b"").await, 2, "30s");
    let list = kv(&["ls", "a/"], b"").await.output();
    assert!(list.contains("a/ü") && list.contains("a/b") && !list.contains("new"), "{list}");
    let list = kv(&["ls", "--json", "--values"], b"").await.json();
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(3), "{list}");
    assert!((299..=300).contains(&list["keys"][2]["ttl"].as_u64().unwrap()), "{list}");
    assert_eq!(kv(&["delete", "a/ü", "--if-version", "3"], b"").await.output(), "");
    check(kv(&["get", "a/ü"], b"").await, 5, "no such key");
}

/// What the clients of a counter know of it.
#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    stop: AtomicBool,
}

/// Adds one to the counter if nobody else does meanwhile.
async fn increment(room: &Http, tally: &Tally) -> Result<(), reqwest::Error> {
    let found = room.get("kv/counter").await?;
    if found.status != 200 {
        return Ok(());
    }
    let next = (found.text().parse::<u64>().expect("a number") + 1).to_string();
    let request = room.request(Method::PUT, "kv/counter").header(IF_MATCH, tag(&found)).body(next);
    let count = match Answer::of(request).await {
        Ok(answer) => match answer.status {
            200 => &tally.acknowledged,
            // It says that nothing was changed.
            412 | 429 | 503 => return Ok(()),
            504 => &tally.unknown,
            other => panic!("status {other}: {}", answer.text()),
        },
        Err(error) if error.is_connect() => return Ok(()),
        Err(_) => &tally.unknown,
    };
    count.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

#[tokio::test]
async fn no_increment_is_lost_or_made_twice_when_leaders_are_killed() {
    const NAMES: [&str; 3] = ["Ash", "Birch", "Cedar"];
    let relay = TestRelay::start(0).await;
    let mut servers: Vec<TestNode> = NAMES
        .iter()
        .map(|name| TestNode::start_with(&relay.link(), name, &["--http", "127.0.0.1:0"]))
        .collect();
    let mut clusters: Vec<Cluster> = Vec::new();
    for server in &mut servers {
        clusters.push(server.cluster().await);
    }
    clusters[0].see_voters(NAMES.len()).await;
    until("the counter", PATIENCE, async || {
        let answer = clusters[0].room().put("kv/counter", "0").await.map_err(|error| error.to_string())?;
        if answer.status < 300 { Ok(()) } else { Err(answer.text()) }
    })
    .await;

    let tally = Arc::new(Tally::default());
    let rooms =
        Arc::new(Mutex::new(clusters.iter().map(|cluster| cluster.room().clone()).collect::<Vec<_>>()));
    let clients: Vec<_> = (0..NAMES.len())
        .map(|mut at| {
            let (tally, rooms) = (tally.clone(), rooms.clone());
            tokio::spawn(async move {
                while !tally.stop.load(Ordering::SeqCst) {
                    let room = rooms.lock().expect("nobody panics with it in hand")[at].clone();
                    if increment(&room, &tally).await.is_err() {
                        at = (at + 1) % NAMES.len();
                    }
                }
            })
        })
        .collect();
    let more = async |wanted: u64| {
        let before = tally.acknowledged.load(Ordering::SeqCst);
        until("more increments", PATIENCE, async || {
            let made = tally.acknowledged.load(Ordering::SeqCst) - before;
            if made >= wanted { Ok(()) } else { Err(made.to_string()) }
        })
        .await;
    };
    for _ in 0..3 {
        let view = clusters[0].see_voters(NAMES.len()).await;
        let leader =
            view["members"].as_array().expect("a list").iter().find(|member| member["role"] == "leader");
        let name = leader.and_then(|leader| leader["name"].as_str()).expect("a healthy quorum has a leader");
        let at = NAMES.iter().position(|other| name == *other).expect("one of ours");
        more(20).await;
        servers[at].kill();
        more(20).await;
        servers[at].restart();
        clusters[at] = servers[at].cluster().await;
        rooms.lock().expect("nobody panics with it in hand")[at] = clusters[at].room().clone();
    }
    tally.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no client panics");
    }
    let found = until("the counter", PATIENCE, async || {
        let found = clusters[0].room().get("kv/counter").await.map_err(|error| error.to_string())?;
        if found.status == 200 { Ok(found) } else { Err(found.text()) }
    })
    .await;
    let counter: u64 = found.text().parse().expect("a number");
    let (acknowledged, unknown) =
        (tally.acknowledged.load(Ordering::SeqCst), tally.unknown.load(Ordering::SeqCst));
    println!("{counter} increments: {acknowledged} acknowledged, {unknown} of unknown outcome");
    assert!(acknowledged <= counter && counter <= acknowledged + unknown, "{acknowledged} and {unknown}");
    let version: u64 = tag(&found).trim_matches('"').parse().expect("a number");
    assert_eq!(version, counter + 1, "nobody else changed anything");
}

#[tokio::test]
async fn whoever_asks_for_the_leader_itself_is_sent_there() {
    let relay = TestRelay::start(0).await;
    let mut nodes = Vec::new();
    for name in ["Ash", "Birch"] {
        let mut process = TestNode::start_with(&relay.link(), name, &["--http", "127.0.0.1:0"]);
        let cluster = process.cluster().await;
        let member = cluster.see_member(name).await;
        nodes.push((process, cluster, member));
    }
    let view = nodes[1]
        .1
        .see("a leader, and both members", |view| view["leader"].is_string() && members(view).len() == 2);
    let leader = view.await["leader"].clone();
    let (leads, follows): (Vec<_>, Vec<_>) = nodes.iter().partition(|(_, _, member)| leader == **member);
    let (leads, follows) = (leads[0].1.room(), follows[0].1.room());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let put = async |room: &Http, path: &str| {
        let answer = client.put(room.url(path)).body("red").send().await.expect("an answer");
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location)
    };
    let there = leads.url("kv/a/colour?ttl=1h");
    assert_eq!(put(follows, "kv/a/colour?redirect=1&ttl=1h").await, (307, Some(there)));
    assert_eq!(put(leads, "kv/a/colour?redirect=1").await, (201, None), "it is there already");
    assert_eq!(put(follows, "kv/a/colour").await, (200, None), "carried out for the client");
}
