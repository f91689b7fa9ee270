//! The project's own commands. `cargo xtask run` sets up and starts everything; `cargo xtask test` is all that CI runs.

mod apt;
mod bench;
mod chromium;
mod dist;
mod duplicates;
mod layers;
mod network_tools;
mod page;
mod run;
mod server;
mod step;
mod test;
mod tools;
mod wasm_target;
mod workspace;

use std::process::ExitCode;
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  run [--nodes N] [--port P]   set up what is missing, build, start a relay with nodes, count a sample, print the link
  test                         everything that CI runs
  ci                           the same as test
  check                        only what needs no tests to run: format, clippy, layers, documentation, dependencies
  tools                        only install the Wasm target and the pinned tools
  page                         only build the page into dist/
  sim [ARGS]                   the simulator, in release (for instance: sim --seeds 1000)
  bench raft [--rounds N]      the consensus core beside raft-rs
  bench size                   what the core weighs as a Wasm module beside raft-rs, and the page's files
  bench failover [--rounds N]  how long nobody can write when the leader is killed, beside etcd
  bench writes [--rounds N] [--seconds N] [--value-bytes N]
                               durable writes per second of 1, 8 and 64 clients, beside etcd
  bench writes --tabs [...]    the same in a cluster of three tabs of Chromium, by itself
  dist                         an archive with the optimised binary and its checksum, in target/package";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return Ok(ExitCode::from(2));
    };
    let workspace = Workspace::find()?;
    match command.as_str() {
        "run" => match run::Options::parse(rest) {
            Ok(options) => run::run(&workspace, &options)?,
            Err(message) => return Ok(usage_error(&message)),
        },
        "test" | "ci" => return test::test(&workspace),
        "check" => return test::static_checks_only(&workspace),
        "tools" => {
            tools::ensure(&workspace)?;
        }
        "page" => page::build(&workspace, &tools::ensure(&workspace)?)?,
        "sim" => workspace.cargo_run_release("simulator", "simulator", rest)?,
        "bench" if bench::bench(&workspace, rest)? => {}
        "dist" => dist::dist(&workspace)?,
        "help" | "--help" | "-h" => println!("{USAGE}"),
        "bench" => return Ok(usage_error("there is no such benchmark")),
        unknown => return Ok(usage_error(&format!("there is no command \"{unknown}\""))),
    }
    Ok(ExitCode::SUCCESS)
}

fn usage_error(message: &str) -> ExitCode {
    eprintln!("error: {message}\n\n{USAGE}");
    ExitCode::from(2)
}
