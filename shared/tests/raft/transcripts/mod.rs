//! The core as people read it: transcripts in the `.txt` files of this folder.
//!
//! A line that begins with `>` is a command, `#` a remark, and the indented lines below a command are what came of it:
//! messages as they are delivered (`→`) or lost (`↛`), and every member that is not as it was. A log is written as in the
//! figures of the paper, a term for each entry: those in brackets are committed, `…9` says that a snapshot stands for all
//! entries up to 9. Nothing happens that no command asks for: messages wait until they are delivered or dropped.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test -p wordraft-shared --test raft transcripts` writes down what comes out now; read the
//! difference before you keep it.

mod script;
mod words;

use script::Script;
use std::fs;
use std::path::Path;

/// Runs the commands of a transcript. Remarks and empty lines stay, all else is written anew.
fn play(text: &str) -> String {
    let mut script = Script::default();
    let mut played = String::new();
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        played += &format!("{line}\n");
        if let Some(command) = line.strip_prefix("> ") {
            for said in script.command(command) {
                played += &format!("    {said}\n");
            }
        }
    }
    played
}

#[test]
fn every_transcript_is_as_it_was_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/raft/transcripts");
    let is_update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut texts: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    texts.sort();
    assert!(texts.len() >= 20, "only {} transcripts", texts.len());
    let mut changed = Vec::new();
    for path in texts {
        let text = fs::read_to_string(&path).unwrap();
        let played = play(&text);
        if played == text {
            continue;
        }
        if is_update {
            fs::write(&path, played).unwrap();
        } else {
            let first = text.lines().zip(played.lines()).find(|(old, new)| old != new);
            changed.push(format!("{}: {first:#?}", path.file_name().unwrap().display()));
        }
    }
    assert!(changed.is_empty(), "not as written down (old line, new line):\n{}", changed.join("\n"));
}

#[test]
fn a_transcript_that_says_something_else_is_noticed() {
    let text = "> start n1 n2 n3\n> timeout n1\n    n1 leads already\n";
    let played = play(text);
    assert!(played.contains("pre-candidate"), "{played}");
    assert_eq!(play(&played), played, "and what was played plays the same again");
}
