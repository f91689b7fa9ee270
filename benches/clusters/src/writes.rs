//! Writes that are on the disks of a majority before they are acknowledged: how many per second?

use crate::client::Client;
use crate::figures::{median, milliseconds, percentile};
use crate::servers::{MEMBERS, Servers};
use crate::wordraft::Layout;
use anyhow::ensure;
use bytes::Bytes;
use futures_util::future::try_join_all;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const CLIENTS: [usize; 3] = [1, 8, 64];
/// Keys of one client, written in turn.
const KEYS: usize = 100;

pub struct Options {
    pub rounds: usize,
    pub seconds: u64,
    pub value_bytes: usize,
}

/// One client with its connection, and what it knows to be stored.
struct Writer {
    name: usize,
    client: Client,
    acknowledged: BTreeMap<String, Bytes>,
    writes: usize,
}

/// One round of one kind of servers.
struct Sample {
    per_second: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of processor time that the client's side took for each write.
    client_cost: f64,
}

pub async fn report(options: &Options) -> anyhow::Result<()> {
    let clusters = [
        Servers::wordraft(Layout::Within).await,
        Servers::wordraft(Layout::Apart).await,
        Servers::etcd().await,
    ];
    let mut leaders = Vec::new();
    for servers in &clusters {
        leaders.push(servers.leader().await);
    }
    println!(
        "| clients | | writes/s | lowest | highest | p50 ms | p99 ms | client µs/write |\n|--:|---|--:|--:|--:|--:|--:|--:|"
    );
    let mut read_back = 0;
    for clients in CLIENTS {
        let mut writers = clusters.each_ref().map(|servers| Writer::connect(servers, clients));
        let mut samples = clusters.each_ref().map(|_| Vec::new());
        for number in 0..options.rounds {
            let each = clusters.iter().zip(&leaders).zip(&mut writers).zip(&mut samples);
            for (((servers, leader), writers), samples) in each {
                Writer::spread(writers, servers, leader + number);
                samples.push(round(writers, options).await?);
            }
        }
        for (servers, samples) in clusters.iter().zip(&samples) {
            print(clients, servers.name(), samples);
        }
        let [ours @ .., theirs] = &samples;
        for (servers, ours) in clusters.iter().zip(ours) {
            let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours.per_second / theirs.per_second);
            let ratios: Vec<f64> = ratios.collect();
            println!(
                "| {clients} | {} / etcd | {:.2} | {:.2} | {:.2} | | | |",
                servers.name(),
                median(&ratios),
                percentile(&ratios, 1),
                percentile(&ratios, 100)
            );
        }
        for writer in writers.iter_mut().flatten() {
            read_back += writer.read_back().await?;
        }
    }
    println!("\n{read_back} keys read back: each holds what was acknowledged last.");
    Ok(())
}

impl Writer {
    fn connect(servers: &Servers, clients: usize) -> Vec<Writer> {
        let writer =
            |name| Writer { name, client: servers.client(0), acknowledged: BTreeMap::new(), writes: 0 };
        (0..clients).map(writer).collect()
    }

    /// Clients are spread over the members, and move on with each round: one that is alone begins at the leader, and is at
    /// every member in turn.
    fn spread(writers: &mut [Writer], servers: &Servers, first: usize) {
        for writer in writers {
            writer.client = servers.client((first + writer.name) % MEMBERS);
        }
    }

    /// Writes one after the other until the time is up; how long each took.
    async fn write(&mut self, until: Instant, value_bytes: usize) -> anyhow::Result<Vec<Duration>> {
        let mut took = Vec::new();
        while Instant::now() < until {
            let key = format!("{}-{}", self.name, self.writes % KEYS);
            let value = Bytes::from(format!("{:0value_bytes$}", self.writes));
            let sent = Instant::now();
            self.client.put(&key, value.clone()).await?;
            took.push(sent.elapsed());
            self.acknowledged.insert(key, value);
            self.writes += 1;
        }
        Ok(took)
    }

    async fn read_back(&mut self) -> anyhow::Result<usize> {
        for (key, value) in &self.acknowledged {
            let found = self.client.get(key).await?;
            ensure!(found.as_ref() == Some(value), "{key} holds {found:?}, but {value:?} was acknowledged");
        }
        Ok(self.acknowledged.len())
    }
}

async fn round(writers: &mut [Writer], options: &Options) -> anyhow::Result<Sample> {
    // The first write of each opens its connection, which is not what is measured.
    let mut took = Vec::new();
    all(writers, Instant::now() + Duration::from_millis(100), options).await?;
    let (begun, cost) = (Instant::now(), processor_time());
    took.extend(all(writers, begun + Duration::from_secs(options.seconds), options).await?);
    let (elapsed, cost) = (begun.elapsed(), processor_time() - cost);
    let took: Vec<f64> = took.into_iter().map(milliseconds).collect();
    Ok(Sample {
        per_second: took.len() as f64 / elapsed.as_secs_f64(),
        p50: percentile(&took, 50),
        p99: percentile(&took, 99),
        client_cost: cost.as_secs_f64() * 1e6 / took.len() as f64,
    })
}

/// All of them at once; how long each write took.
async fn all(writers: &mut [Writer], until: Instant, options: &Options) -> anyhow::Result<Vec<Duration>> {
    let took = writers.iter_mut().map(|writer| writer.write(until, options.value_bytes));
    Ok(try_join_all(took).await?.into_iter().flatten().collect())
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a process has run for some time")
}

fn print(clients: usize, name: &str, samples: &[Sample]) {
    let figure = |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<f64>>();
    let rates = figure(|sample| sample.per_second);
    println!(
        "| {clients} | {name} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.0} |",
        median(&rates),
        percentile(&rates, 1),
        percentile(&rates, 100),
        median(&figure(|sample| sample.p50)),
        median(&figure(|sample| sample.p99)),
        median(&figure(|sample| sample.client_cost)),
    );
}
