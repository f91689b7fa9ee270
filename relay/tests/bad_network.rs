//! Five servers on hosts of their own, clients that write and read keys, and a network that does its worst: what the
//! clients saw is linearizable, so nothing that was acknowledged is lost.

mod story;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use story::{Scene, World};
use testkit::network::{Loss, Way, is_inside, run_inside};

/// `ROUNDS=5` goes through all scenes five times.
fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

#[test]
fn keys_stay_linearizable_in_a_network_that_does_its_worst() {
    if !is_inside() {
        return run_inside("keys_stay_linearizable_in_a_network_that_does_its_worst");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::start(5).await;
        for _ in 0..rounds() {
            go_through_all(&mut world).await;
        }
        world.end().await;
    });
}

async fn go_through_all(world: &mut World) {
    world.scene("nothing is wrong", Scene::Calm).await;

    let leader = world.leader().await;
    let cut = [Way::ToCentre, Way::FromCentre].map(|way| world.loss(leader, way, 100));
    world.scene("the leader's cable is pulled", Scene::Packets(cut.to_vec())).await;
    for way in [Way::ToCentre, Way::FromCentre] {
        let leader = world.leader().await;
        let losses: Vec<Loss> = vec![world.loss(leader, way, 100)];
        world
            .scene(
                &format!("packets pass the leader's cable one way only, none {way:?}"),
                Scene::Packets(losses),
            )
            .await;
    }
    let everywhere: Vec<Loss> = (0..world.servers.len())
        .flat_map(|at| [Way::ToCentre, Way::FromCentre].map(|way| world.loss(at, way, 30)))
        .collect();
    world.scene("30 of 100 packets are lost on every cable", Scene::Packets(everywhere)).await;

    let leader = world.id(world.leader().await);
    let mute = json!({"fault": "cut", "from": leader, "to": null});
    world.scene("nobody hears the leader", Scene::Frames(vec![mute])).await;
    let leader = world.id(world.leader().await);
    let deaf = json!({"fault": "cut", "from": null, "to": leader});
    world.scene("the leader hears nobody", Scene::Frames(vec![deaf])).await;
    world
        .scene(
            "two halves and a bridge between them, the leader in a half",
            Scene::Frames(vec![bridge(world).await]),
        )
        .await;
    let lossy = json!({"fault": "lose", "percent": 30, "from": null, "to": null});
    world.scene("30 of 100 frames are lost", Scene::Frames(vec![lossy])).await;
    let slow = json!({"fault": "slow", "millis": 40, "from": null, "to": null});
    world.scene("every frame takes 40 ms longer", Scene::Frames(vec![slow])).await;

    let leader = world.leader().await;
    world.scene("the leader stands still, and comes back", Scene::Paused(vec![leader])).await;
    let leader = world.leader().await;
    world.scene("kill -9 of the leader", Scene::Killed(vec![leader])).await;
    let leader = world.leader().await;
    let two = (0..world.servers.len()).filter(|at| *at != leader).take(2).collect();
    world.scene("kill -9 of two followers", Scene::Killed(two)).await;
    world.scene("kill -9 of the relay", Scene::RelayKilled).await;
}

/// One member hears everybody, and the others only their half.
async fn bridge(world: &World) -> Value {
    let leader = world.leader().await;
    let ids: Vec<String> = (0..5).map(|step| world.id((leader + step) % 5)).collect();
    let groups = [&ids[..2], &ids[2..4]].map(|half| half.iter().collect::<BTreeSet<_>>());
    json!({"fault": "partition", "groups": groups})
}
