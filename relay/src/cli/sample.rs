//! `wordraft sample`: text to try things with.

use super::failure::Failure;
use super::output::Output;
use super::size;
use shared::limits;
use shared::words::sample::{Sample, SampleOptions};

/// Write a made-up text in many scripts, the same for the same arguments
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Length of the text, exactly; kB, MB, GB and KiB, MiB, GiB are understood
    #[arg(long, value_name = "SIZE", default_value = "50MB", value_parser = size::parse)]
    bytes: u64,
    /// Another seed makes another text
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Different words to draw from
    #[arg(long, value_name = "N", default_value_t = SampleOptions::default().words,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::SAMPLE_WORDS_MAX)))]
    words: u32,
}

/// Lines are generated and written in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

pub fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let Arguments { bytes, seed, words } = arguments;
    let mut sample = Sample::new(SampleOptions { bytes, seed, words });
    let mut piece = Vec::with_capacity(PIECE_BYTES + 4096);
    loop {
        piece.clear();
        let more = sample.fill(&mut piece, PIECE_BYTES);
        output.bytes(&piece)?;
        if !more {
            return Ok(());
        }
    }
}
