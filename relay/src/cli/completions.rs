//! `wordraft completions`.

use super::failure::Failure;
use super::output::Output;
use clap::CommandFactory as _;

/// Print the completions for a shell, to be put where it looks for them
#[derive(Debug, clap::Args)]
pub struct Arguments {
    shell: clap_complete::Shell,
}

pub fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Cli::command(), "wordraft", &mut script);
    output.bytes(&script)
}
