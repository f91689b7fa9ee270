//! The leader is killed while somebody writes: how long until a write is acknowledged again?

use crate::client::Client;
use crate::figures::{milliseconds, percentile};
use crate::servers::{MEMBERS, Servers};
use crate::wordraft::Layout;
use anyhow::ensure;
use bytes::Bytes;
use std::time::{Duration, Instant};
use testkit::cluster::PATIENCE;
use tokio::task::JoinSet;

/// Every so often another request sets out, to the survivors in turn, whatever became of those before.
const REQUEST_EVERY: Duration = Duration::from_millis(5);

/// A request and what became of it.
struct Request {
    key: String,
    took: Duration,
    is_acknowledged: bool,
}

#[derive(Default)]
struct Measured {
    outages: Vec<Duration>,
    requests: Vec<Request>,
}

pub async fn report(rounds: usize) -> anyhow::Result<()> {
    let mut clusters = [Servers::wordraft(Layout::Apart).await, Servers::etcd().await];
    let mut measured = [Measured::default(), Measured::default()];
    for round in 0..rounds {
        for (servers, measured) in clusters.iter_mut().zip(&mut measured) {
            let (outage, requests) = fail_over(servers, round).await;
            println!("{round:>3}  {:<8}  {:>6.0} ms", servers.name(), milliseconds(outage));
            measured.outages.push(outage);
            measured.requests.extend(requests);
        }
    }
    for (servers, measured) in clusters.iter().zip(&measured) {
        servers.leader().await;
        let mut client = servers.client(0);
        for Request { key, .. } in measured.requests.iter().filter(|request| request.is_acknowledged) {
            let found = client.get(key).await?;
            ensure!(found.is_some(), "{key} was acknowledged by {} and is gone", servers.name());
        }
    }
    print(&clusters, &measured);
    Ok(())
}

/// Kills the leader; the time until a write is acknowledged, and all requests, each of which waited for its answer.
async fn fail_over(servers: &mut Servers, round: usize) -> (Duration, Vec<Request>) {
    let leader = servers.leader().await;
    let survivors: Vec<Client> = (1..MEMBERS).map(|step| servers.client((leader + step) % MEMBERS)).collect();
    servers.kill(leader);
    let killed = Instant::now();
    let mut clients = survivors.iter().cycle().cloned();
    let mut clock = tokio::time::interval(REQUEST_EVERY);
    let (mut under_way, mut requests, mut outage) = (JoinSet::new(), Vec::new(), None);
    while outage.is_none() {
        assert!(killed.elapsed() < PATIENCE, "{} acknowledges nothing", servers.name());
        tokio::select! {
            _ = clock.tick() => {
                let (client, key) = (clients.next(), format!("round-{round}-{}", under_way.len() + requests.len()));
                under_way.spawn(request(client.expect("an endless cycle"), key));
            }
            Some(request) = under_way.join_next() => {
                let request: Request = request.expect("a request does not panic");
                outage = request.is_acknowledged.then(|| killed.elapsed());
                requests.push(request);
            }
        }
    }
    requests.extend(under_way.join_all().await);
    servers.restart(leader).await;
    (outage.expect("the loop's condition"), requests)
}

async fn request(mut client: Client, key: String) -> Request {
    let asked = Instant::now();
    let is_acknowledged = client.put(&key, Bytes::from_static(b"x")).await.is_ok();
    Request { key, took: asked.elapsed(), is_acknowledged }
}

fn print(clusters: &[Servers; 2], measured: &[Measured; 2]) {
    println!(
        "\n| milliseconds | rounds | p50 | p90 | p99 | max | longest request |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let rows = measured.each_ref().map(|measured| {
        let outages: Vec<f64> = measured.outages.iter().copied().map(milliseconds).collect();
        let request = measured.requests.iter().map(|request| request.took).max().unwrap_or_default();
        [50, 90, 99, 100].map(|share| percentile(&outages, share)).into_iter().chain([milliseconds(request)])
    });
    let [ours, theirs] = rows.map(Iterator::collect::<Vec<f64>>);
    for (servers, row) in clusters.iter().zip([&ours, &theirs]) {
        let cells: Vec<String> = row.iter().map(|value| format!("{value:.0}")).collect();
        println!("| {} | {} | {} |", servers.name(), measured[0].outages.len(), cells.join(" | "));
    }
    let ratios: Vec<String> =
        ours.iter().zip(&theirs).map(|(ours, theirs)| format!("{:.3}", ours / theirs)).collect();
    println!("| ratio | | {} |", ratios.join(" | "));
}
