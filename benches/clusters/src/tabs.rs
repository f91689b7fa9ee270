//! Three tabs of a real Chromium are the cluster. Writes through what scripts in a tab can use, on the disks of a majority
//! before they are acknowledged: how many per second?

use crate::figures::{median, percentile};
use crate::writes::Options;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use testkit::cluster::PATIENCE;
use testkit::{Browser, Tab, TestRelay, until};

const TABS: usize = 3;

/// Calls under way at a time, and puts in each.
const SHAPES: [(usize, usize); 3] = [(1, 1), (64, 1), (4, 500)];

/// So many calls are under way at a time; each has keys of its own, and puts all of them again and again until the time is up.
/// Every put has to have a version.
const WRITE: &str = "
    const [seconds, calls, keys, valueBytes, round] = arguments;
    const begun = performance.now(), until = begun + seconds * 1000, took = [];
    const caller = async (call) => {
        for (let number = 0; performance.now() < until; number++) {
            const value = `${round} ${number} `.padEnd(valueBytes, 'x');
            const entries = Array.from({ length: keys }, (_, key) => [`${calls}-${keys}/${call}/${key}`, value]);
            const sent = performance.now();
            const versions = keys == 1 ? [await wordraft.put(...entries[0])] : await wordraft.putAll(entries);
            took.push(performance.now() - sent);
            const failed = versions.find((version) => !Number.isInteger(version));
            if (failed) throw failed;
            window.stored.set(call, [entries, value]);
        }
    };
    window.stored = new Map();
    await Promise.all(Array.from({ length: calls }, (_, call) => caller(call)));
    return { puts: took.length * keys, seconds: (performance.now() - begun) / 1000, took };";

/// What this tab put last, as it should be found.
const EXPECTED: &str = "
    return [...window.stored.values()].flatMap(([entries]) => entries);";

/// The entries that another tab does not find as they were acknowledged.
const MISSING: &str = "
    const [expected] = arguments;
    const text = new TextDecoder();
    const found = await Promise.all(expected.map(([key]) => wordraft.get(key)));
    return expected.filter(([, value], at) => !found[at] || text.decode(found[at]) != value);";

struct Sample {
    per_second: f64,
    p50: f64,
    p99: f64,
}

pub async fn report(options: &Options) -> anyhow::Result<()> {
    let relay = TestRelay::start(0).await;
    let browser = Browser::start().await;
    let mut tabs = Vec::new();
    for _ in 0..TABS {
        tabs.push(browser.open(&relay.link()).await);
    }
    let leader = leader(&tabs).await;
    println!("| writer | calls under way | puts in each | puts/s | lowest | highest | p50 ms | p99 ms |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut read_back = 0;
    for (calls, puts) in SHAPES {
        for (name, writer) in [("leader", leader), ("follower", (leader + 1) % TABS)] {
            let mut samples = Vec::new();
            for round in 0..options.rounds {
                let arguments = [options.seconds as usize, calls, puts, options.value_bytes, round];
                samples.push(Sample::of(
                    &tabs[writer].run_with(WRITE, arguments.map(Value::from).into()).await,
                )?);
            }
            print(name, calls, puts, &samples);
            read_back += self::read_back(&tabs[writer], &tabs[(leader + 2) % TABS]).await?;
        }
    }
    let errors = browser.console_errors().await;
    ensure!(errors.is_empty(), "errors in the console: {errors:?}");
    println!("\n{read_back} keys read back in the third tab: each holds what was acknowledged last.");
    Ok(())
}

/// Waits until all tabs vote and keep their logs on the disk; which of them leads.
async fn leader(tabs: &[Tab]) -> usize {
    until("three voting tabs", PATIENCE, async || {
        let mut found = Vec::new();
        for tab in tabs {
            let seen = "const own = document.querySelector('#members tr.mine')?.dataset;
                const voters = document.querySelectorAll('#members [data-role=leader], #members [data-role=follower]');
                return [own?.role ?? null, voters.length, Boolean(window.wordraft),
                    document.body.textContent.includes(\"this computer's disk\")];";
            found.push(tab.run(seen).await);
        }
        let all_are_ready = found.iter().all(|seen| seen[1] == TABS && seen[2] == true && seen[3] == true);
        let leader = found.iter().position(|seen| seen[0] == "leader");
        leader.filter(|_| all_are_ready).ok_or(found)
    })
    .await
}

async fn read_back(writer: &Tab, reader: &Tab) -> anyhow::Result<usize> {
    let expected = writer.run(EXPECTED).await;
    let missing = reader.run_with(MISSING, vec![expected.clone()]).await;
    ensure!(missing == json!([]), "acknowledged and not found: {missing}");
    Ok(expected.as_array().context("a list")?.len())
}

impl Sample {
    fn of(answer: &Value) -> anyhow::Result<Sample> {
        let number = |value: &Value| value.as_f64().context("a number");
        let took: Result<Vec<f64>, _> =
            answer["took"].as_array().context("a list")?.iter().map(number).collect();
        let took = took?;
        Ok(Sample {
            per_second: number(&answer["puts"])? / number(&answer["seconds"])?,
            p50: percentile(&took, 50),
            p99: percentile(&took, 99),
        })
    }
}

fn print(name: &str, calls: usize, puts: usize, samples: &[Sample]) {
    let figure = |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<f64>>();
    let rates = figure(|sample| sample.per_second);
    println!(
        "| {name} | {calls} | {puts} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
        median(&rates),
        percentile(&rates, 1),
        percentile(&rates, 100),
        median(&figure(|sample| sample.p50)),
        median(&figure(|sample| sample.p99)),
    );
}
