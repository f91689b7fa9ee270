//! Links that are broken on purpose, through the API of a relay that allows it.

use serde_json::json;
use testkit::TestRelay;
use testkit::cluster::members;

#[tokio::test]
async fn a_leader_that_nobody_hears_is_replaced_and_follows_once_the_links_are_healed() {
    let relay = TestRelay::start_with(3, &["--chaos"]).await;
    let cluster = relay.cluster();
    let view = cluster.see_voters(3).await;
    let former = view["leader"].as_str().expect("a healthy quorum has a leader").to_owned();
    let cut = json!({"faults": [{"fault": "cut", "from": former, "to": null}]});
    let set = relay.room().post_json("cluster/faults", &cut).await.unwrap().ok().json();
    assert_eq!(set, cut);
    assert_eq!(relay.room().get("cluster/faults").await.unwrap().ok().json(), cut);

    let other = cluster
        .see("another leader", |view| view["leader"].as_str().is_some_and(|leader| leader != former))
        .await;
    assert!(other["term"].as_u64() > view["term"].as_u64());
    // To the relay it was there all the time: it is the members who found out.
    let is_it = |member: &&serde_json::Value| member["node"] == *former;
    assert_eq!(members(&other).iter().find(is_it).map(|member| &member["online"]), Some(&json!(true)));

    relay.room().post_json("cluster/faults", &json!({"faults": []})).await.unwrap().ok();
    relay.room().post("documents?name=after", "all is well").await.unwrap().ok();
    cluster
        .see("everybody at the same place", |view| {
            let applied = |member: &serde_json::Value| member["applied"].as_u64();
            let first = applied(&members(view)[0]);
            members(view).len() == 3 && members(view).iter().all(|member| applied(member) == first)
        })
        .await;
}

#[tokio::test]
async fn nobody_breaks_links_where_that_was_not_asked_for_and_nonsense_is_refused() {
    let cut = json!({"faults": [{"fault": "cut", "from": null, "to": null}]});
    let plain = TestRelay::start(0).await;
    let refused = plain.room().post_json("cluster/faults", &cut).await.unwrap();
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &json!("no_chaos")));

    let relay = TestRelay::start_with(0, &["--chaos"]).await;
    for nonsense in [
        json!({"faults": [{"fault": "lose", "percent": 101, "from": null, "to": null}]}),
        json!({"faults": [{"fault": "explode"}]}),
        json!({"faults": 7}),
        json!({}),
    ] {
        let refused = relay.room().post_json("cluster/faults", &nonsense).await.unwrap();
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("bad_request")));
    }
    assert_eq!(relay.room().get("cluster/faults").await.unwrap().ok().json(), json!({"faults": []}));
}
