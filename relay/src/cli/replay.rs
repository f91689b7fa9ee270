//! `wordraft replay`: a node lives through its recording again.

use super::failure::Failure;
use super::output::{Output, printable};
use super::size::thousands;
use serde_json::json;
use shared::recording::{End, ReadError, Reader, Record, Replay, Rest, Start, Teller, Told, Topic};
use shared::time::Time;
use std::fs::File;
use std::io::{self, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// What is read of the file at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Step through what `wordraft node --record` recorded, and check that the node does the same again
#[derive(Debug, clap::Args)]
pub struct Arguments {
    file: PathBuf,
    /// Show inputs from this one on
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: u64,
    /// Stop after this input
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    /// Show these topics alone
    #[arg(long, value_name = "TOPIC", value_delimiter = ',', value_parser = topics())]
    only: Vec<Topic>,
    /// Show routine too: heartbeats, timers, gossip
    #[arg(long)]
    all: bool,
    /// Wait for Enter after each input that is shown
    #[arg(long)]
    step: bool,
}

fn topics() -> impl clap::builder::TypedValueParser<Value = Topic> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    PossibleValuesParser::new(Topic::ALL.map(Topic::as_str)).try_map(|name| {
        Topic::ALL.into_iter().find(|topic| topic.as_str() == name).ok_or("no topic is called so")
    })
}

pub fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut tape = Tape::open(&arguments)?;
    let start = tape.start()?;
    let mut transcript = Transcript::new(&arguments, &start, output)?;
    let mut replay =
        Replay::new(start).map_err(|error| Failure::failed(format!("{}: {error}", tape.name)))?;
    let same = |replay: &Replay, before| {
        replay.compare(before).map_err(|divergence| {
            Failure::failed(divergence.to_string()).hint(format!(
                "this build's core is not the one that was recorded; see it with --all --from {0} --to {0}",
                divergence.inputs
            ))
        })
    };
    let ending = loop {
        match tape.record()? {
            Some(Record::Input { before, at, input }) => {
                same(&replay, before)?;
                if arguments.to == Some(replay.inputs()) {
                    break Ending::Enough;
                }
                let mut told = vec![transcript.teller.input(&input)];
                // A recording may be of the very input that brought its node down.
                let handled = catch_unwind(AssertUnwindSafe(|| {
                    let told = transcript.teller.output(replay.step(at, input));
                    (told, replay.inspect())
                }));
                let number = replay.inputs();
                let Ok((output, seen)) = handled else {
                    transcript.show(number, at, told)?;
                    return Err(Failure::failed(format!(
                        "the node fails at input {number}, with a defect of its own"
                    )));
                };
                told.extend(output);
                told.extend(transcript.teller.standing(&seen));
                transcript.show(number, at, told)?;
            }
            Some(Record::End { before, why }) => {
                before.map_or(Ok(()), |before| same(&replay, before))?;
                break Ending::Marked(why);
            }
            None => break Ending::Cut(tape.reader.rest()),
        }
    };
    transcript.finish(&replay, ending)
}

enum Ending {
    Marked(End),
    /// Nobody wrote an end.
    Cut(Rest),
    /// The rest was not asked for.
    Enough,
}

impl Ending {
    fn text(&self) -> String {
        match self {
            Ending::Marked(why) => format!("the recording ends here: {why}"),
            Ending::Cut(Rest::Nothing) => {
                "the recording breaks off here: the node was killed, or still runs".to_owned()
            }
            Ending::Cut(Rest::Cut(bytes)) => format!(
                "the recording breaks off here, with {bytes} bytes of an input that is not whole: the node was killed, or still runs"
            ),
            Ending::Enough => "the recording goes on".to_owned(),
        }
    }
}

/// The file, read as it is needed.
struct Tape {
    name: String,
    file: File,
    reader: Reader,
    piece: Vec<u8>,
    has_ended: bool,
}

impl Tape {
    fn open(arguments: &Arguments) -> Result<Tape, Failure> {
        let name = arguments.file.display().to_string();
        let file = File::open(&arguments.file).map_err(|error| Failure::input(&name, &error))?;
        Ok(Tape { name, file, reader: Reader::default(), piece: vec![0; PIECE_BYTES], has_ended: false })
    }

    fn start(&mut self) -> Result<Start, Failure> {
        self.read(Reader::start)?.ok_or_else(|| self.unreadable(&ReadError::NoStart))
    }

    fn record(&mut self) -> Result<Option<Record>, Failure> {
        self.read(Reader::record)
    }

    fn read<T>(
        &mut self,
        next: impl Fn(&mut Reader) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, Failure> {
        loop {
            let found = next(&mut self.reader).map_err(|error| self.unreadable(&error))?;
            if found.is_some() || self.has_ended {
                return Ok(found);
            }
            let bytes =
                self.file.read(&mut self.piece).map_err(|error| Failure::input(&self.name, &error))?;
            self.has_ended = bytes == 0;
            self.reader.push(&self.piece[..bytes]);
        }
    }

    fn unreadable(&self, error: &ReadError) -> Failure {
        Failure::failed(format!("{}: {error}", self.name))
    }
}

struct Transcript<'a> {
    arguments: &'a Arguments,
    output: &'a mut Output,
    teller: Teller,
    began_at: Time,
    /// Inputs since the last one shown, of which there was nothing to say.
    routine: u64,
    steps: bool,
}

impl<'a> Transcript<'a> {
    fn new(
        arguments: &'a Arguments,
        start: &Start,
        output: &'a mut Output,
    ) -> Result<Transcript<'a>, Failure> {
        let mut teller = Teller::default();
        teller.meet(start.me, &start.profile);
        if !output.is_json() {
            let stored = &start.stored;
            let belongs =
                stored.cluster.map_or("no cluster yet".to_owned(), |cluster| format!("cluster {cluster}"));
            output.line(printable(&format!(
                "{} ({}), of {belongs}, with {} entries in its log and {} blocks",
                teller.name(start.me),
                start.me,
                stored.raft.entries.len(),
                stored.blocks.len()
            )))?;
        }
        let steps = arguments.step;
        Ok(Transcript { arguments, output, teller, began_at: start.at, routine: 0, steps })
    }

    fn show(&mut self, number: u64, at: Time, told: Vec<Told>) -> Result<(), Failure> {
        let Arguments { only, all, from, .. } = self.arguments;
        if number < *from {
            return Ok(());
        }
        let is_wanted =
            |told: &Told| (*all || !told.is_routine) && (only.is_empty() || only.contains(&told.topic));
        if !told.iter().any(is_wanted) {
            self.routine += 1;
            return Ok(());
        }
        // What came in stands before what came of it, even where it is routine itself.
        let lines = told.iter().enumerate().filter(|(line, told)| *line == 0 || is_wanted(told));
        let lines: Vec<&str> = lines.map(|(_, told)| told.text.as_str()).collect();
        let micros = at.since(self.began_at).as_micros() as u64;
        if self.output.is_json() {
            self.output.json(&json!({"input": number, "micros": micros, "told": lines}))?;
        } else {
            self.mention_routine()?;
            let time = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            for (line, text) in lines.into_iter().enumerate() {
                let text = printable(text);
                match line {
                    0 => self.output.line(format!("{number:>8} {time:>12}  {text}"))?,
                    _ => self.output.line(format!("{:21}    {text}", ""))?,
                }
            }
        }
        self.wait()
    }

    fn mention_routine(&mut self) -> Result<(), Failure> {
        match std::mem::take(&mut self.routine) {
            0 => Ok(()),
            inputs => self.output.line(self.output.dim(format!("{:21}  … {} more", "", thousands(inputs)))),
        }
    }

    /// Until somebody presses Enter. Whoever closes the input wants to see the rest.
    fn wait(&mut self) -> Result<(), Failure> {
        if self.steps {
            self.output.flush()?;
            let pressed = io::stdin().read_line(&mut String::new());
            self.steps = pressed.map_err(|error| Failure::input("standard input", &error))? > 0;
        }
        Ok(())
    }

    fn finish(mut self, replay: &Replay, ending: Ending) -> Result<(), Failure> {
        let (inputs, fingerprint) = (replay.inputs(), replay.fingerprint());
        if self.output.is_json() {
            let end = ending.text();
            let fingerprint = fingerprint.to_string();
            return self
                .output
                .json(&json!({"inputs": inputs, "same": true, "fingerprint": fingerprint, "end": end}));
        }
        self.mention_routine()?;
        self.output.line(ending.text())?;
        self.output.line(format!("{} inputs, the same bytes out ({fingerprint})", thousands(inputs)))
    }
}
