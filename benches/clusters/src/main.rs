//! Clusters of real processes side by side, on the same machine and by turns. What is measured and what came out is in
//! `docs/benchmarks.md`.

mod client;
mod etcd;
mod failover;
mod figures;
mod servers;
mod tabs;
mod wordraft;
mod writes;

use anyhow::{Context, bail};

/// One thread: the client shall take as little as possible of the machine that the servers share with it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((benchmark, options)) = arguments.split_first() else {
        bail!("usage: clusters failover|writes|tabs [--OPTION N]…")
    };
    match benchmark.as_str() {
        "failover" => {
            let [rounds] = numbers(options, [("--rounds", 20)])?;
            failover::report(rounds).await
        }
        "writes" | "tabs" => {
            // As often at each of the three members.
            let names = [("--rounds", 6), ("--seconds", 3), ("--value-bytes", 64)];
            let [rounds, seconds, value_bytes] = numbers(options, names)?;
            let options = writes::Options { rounds, seconds: seconds as u64, value_bytes };
            if benchmark == "tabs" { tabs::report(&options).await } else { writes::report(&options).await }
        }
        unknown => bail!("there is no benchmark {unknown}"),
    }
}

/// The values of options, which are names and numbers in turn; else their defaults.
fn numbers<const N: usize>(words: &[String], names: [(&str, usize); N]) -> anyhow::Result<[usize; N]> {
    let mut values = names.map(|(_, default)| default);
    for pair in words.chunks(2) {
        let place = names.iter().position(|(name, _)| *name == pair[0]);
        let place = place.with_context(|| format!("there is no option {}", pair[0]))?;
        let number = pair.get(1).and_then(|number| number.parse().ok()).filter(|number| *number > 0);
        values[place] = number.with_context(|| format!("{} wants a number above 0", pair[0]))?;
    }
    Ok(values)
}
