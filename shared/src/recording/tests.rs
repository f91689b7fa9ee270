//! Recordings of a node that founds a cluster alone and takes a text in.

use super::*;
use crate::ids::{ClusterId, Hash};
use crate::node::api::Request;
use crate::node::{BlockOp, BlockOutcome, RelayNotice, RequestId};
use crate::state_machine::Retention;
use crate::time::Duration;
use crate::wire::session::{Kind, Welcome};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::VecDeque;

const SEED: Seed = [7; 32];

/// More than anything here takes.
const LIMIT: u64 = 1 << 30;

fn start() -> Start {
    let me = NodeId::from_bytes([1; 10]);
    let name = "Amber Otter".to_owned();
    let profile = Profile { name, kind: Kind::Server, http: None, threads: 1, hidden: false, domain: 1 };
    let (config, stored, at) = (NodeConfig::default(), Stored::default(), Time::from_millis(1_000));
    Start { me, profile, config, stored, seed: SEED, at }
}

/// What happens to the node of [`start`], each input a millisecond after the one before; writes and blocks are
/// answered at once.
fn live(recorder: &mut Recorder, file: &mut Vec<u8>) {
    let mut node = start().node().unwrap();
    let cluster = ClusterId::from_bytes([9; 10]);
    let (upload, retention) = (RequestId(1), Retention::Keep);
    let mut coming = VecDeque::from([
        Input::Connected(Welcome { node: node.id(), cluster, founder: true, present: Vec::new() }),
        Input::Deadline,
        Input::request(upload, Request::OpenUpload { name: "a text".to_owned(), retention, document: None }),
        Input::request(RequestId(2), Request::Cluster),
    ]);
    let mut now = start().at;
    let mut ready = Ready::default();
    let mut inputs = 0;
    while let Some(input) = coming.pop_front() {
        inputs += 1;
        now = now + Duration::from_millis(1);
        file.extend(recorder.input(now, &input));
        node.handle(now, input, &mut ready);
        recorder.output(&ready);
        coming.extend(ready.persist.iter().map(|persist| Input::Persisted(persist.sequence)));
        coming.extend(ready.to_relay.contains(&RelayNotice::Founded).then_some(Input::Founded));
        for operation in &ready.blocks {
            if let BlockOp::Put { ticket, .. } = operation {
                coming.push_back(Input::Block { ticket: *ticket, result: Ok(BlockOutcome::Stored) });
            }
        }
        for (_, reply) in &ready.replies {
            if let Ok(crate::node::api::Reply::UploadOpened { upload }) = reply {
                let bytes = Bytes::from_static(b"one two three");
                let request =
                    Request::UploadChunk { upload: *upload, position: 0, hash: Hash::of(&bytes), bytes };
                coming.push_back(Input::request(RequestId(3), request));
            }
        }
        if let (Some(deadline), true) = (ready.deadline, inputs < 200) {
            now = now.max(deadline.at);
            if coming.is_empty() {
                coming.push_back(Input::Deadline);
            }
        }
    }
    assert!(node.inspect().raft.is_leader() && inputs >= 200, "the story went as told");
}

fn recorded(bytes_max: u64) -> Vec<u8> {
    let (mut recorder, mut file) = Recorder::begin(&start(), bytes_max).unwrap();
    live(&mut recorder, &mut file);
    file.extend(recorder.end(End::NodeStopped));
    assert!(recorder.has_ended() && recorder.end(End::Limit).is_empty(), "there is one end");
    file
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Same { inputs: u64, end: Option<End>, rest: Rest },
    Other(Divergence),
    Unreadable { inputs: u64, error: ReadError },
}

/// Replays a file that comes in pieces of so many bytes.
fn replay(file: &[u8], piece_bytes: usize) -> Outcome {
    let mut reader = Reader::default();
    let mut replay = None;
    let mut pieces = file.chunks(piece_bytes);
    loop {
        let inputs = replay.as_ref().map_or(0, Replay::inputs);
        let unreadable = |error| Outcome::Unreadable { inputs, error };
        let Some(running) = &mut replay else {
            match (reader.start(), pieces.next()) {
                (Err(error), _) => return unreadable(error),
                (Ok(Some(start)), next) => {
                    replay = Some(Replay::new(start).unwrap());
                    reader.push(next.unwrap_or_default());
                }
                (Ok(None), Some(next)) => reader.push(next),
                (Ok(None), None) => return unreadable(ReadError::NoStart),
            }
            continue;
        };
        match reader.record() {
            Err(error) => return unreadable(error),
            Ok(Some(Record::Input { before, at, input })) => {
                if let Err(divergence) = running.compare(before) {
                    return Outcome::Other(divergence);
                }
                let _told_elsewhere = running.step(at, input);
            }
            Ok(Some(Record::End { before, why })) => {
                return match before.map_or(Ok(()), |before| running.compare(before)) {
                    Ok(()) => Outcome::Same { inputs, end: Some(why), rest: reader.rest() },
                    Err(divergence) => Outcome::Other(divergence),
                };
            }
            Ok(None) => match pieces.next() {
                Some(next) => reader.push(next),
                None => return Outcome::Same { inputs, end: None, rest: reader.rest() },
            },
        }
    }
}

#[test]
fn a_node_that_is_told_the_same_again_says_the_same() {
    let file = recorded(LIMIT);
    for piece_bytes in [1, 1000, file.len()] {
        let Outcome::Same { inputs, end: Some(End::NodeStopped), rest: Rest::Nothing } =
            replay(&file, piece_bytes)
        else {
            panic!("{:?}", replay(&file, piece_bytes));
        };
        assert!(inputs >= 200);
    }
}

#[test]
fn another_seed_shows_at_the_first_input_that_it_touches() {
    let (mut recorder, mut file) = Recorder::begin(&Start { seed: [8; 32], ..start() }, LIMIT).unwrap();
    live(&mut recorder, &mut file);
    assert!(matches!(replay(&file, 4096), Outcome::Other(Divergence { inputs: 1.., .. })));
}

#[test]
fn a_file_that_breaks_off_is_read_as_far_as_it_goes() {
    let file = recorded(LIMIT);
    let Outcome::Same { inputs: all, .. } = replay(&file, 4096) else { panic!("a whole file") };
    let mut seen = 0;
    for cut in (0..file.len()).rev().step_by(101) {
        match replay(&file[..cut], 4096) {
            Outcome::Same { inputs, end: None, .. } if inputs <= all => seen += 1,
            Outcome::Unreadable { inputs: 0, error: ReadError::NoStart } => {}
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    assert!(seen > 10);
    let cut = replay(&file[..file.len() - 1], 4096);
    assert!(matches!(cut, Outcome::Same { end: None, rest: Rest::Cut(1..), .. }), "{cut:?}");
}

#[test]
fn a_full_recording_ends_within_its_limit_and_the_node_goes_on() {
    let whole = recorded(LIMIT);
    let bytes_max = whole.len() as u64 / 2;
    let half = recorded(bytes_max);
    assert!((half.len() as u64) < bytes_max + 100, "the end's own bytes come on top");
    let Outcome::Same { end: Some(End::Limit), inputs: 1.., .. } = replay(&half, 4096) else {
        panic!("{:?}", replay(&half, 4096));
    };
    let error = Recorder::begin(&start(), 100).unwrap_err();
    assert!(matches!(error, StartError::StoreTooLarge { bytes_max: 100, .. }));
}

#[test]
fn an_end_that_only_the_file_knew_of_is_one() {
    let (mut recorder, mut file) = Recorder::begin(&start(), LIMIT).unwrap();
    live(&mut recorder, &mut file);
    file.extend(broken_off(End::DiskFailed));
    assert!(matches!(replay(&file, 4096), Outcome::Same { end: Some(End::DiskFailed), .. }));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let file = recorded(LIMIT);
    for place in (0..file.len()).step_by(37).chain(0..200) {
        let mut damaged = file.clone();
        damaged[place] ^= 0x40;
        let outcome = replay(&damaged, file.len());
        assert!(
            matches!(
                outcome,
                Outcome::Unreadable { error: ReadError::Damaged { .. } | ReadError::NoRecording, .. }
            ),
            "byte {place}: {outcome:?}"
        );
    }
}

#[test]
fn recordings_of_other_programs_are_refused_by_name() {
    let other = Maker { program: "9.9.9".to_owned(), ..Maker::this_program() };
    let file = [MAGIC, &frames::encode(&other), &frames::encode(&start())].concat();
    let Outcome::Unreadable { error, .. } = replay(&file, 4096) else { panic!("refused") };
    assert!(error.to_string().contains("9.9.9"), "{error}");
    let other = replay(b"wordraft recording 2\n", 4096);
    assert_eq!(other, Outcome::Unreadable { inputs: 0, error: ReadError::NoRecording });
    let frame = frames::encode(&"something else");
    let file = [MAGIC, &frames::encode(&Maker::this_program()), &frame].concat();
    assert!(matches!(
        replay(&file, 4096),
        Outcome::Unreadable { error: ReadError::NotUnderstood { .. }, .. }
    ));
}

#[test]
fn frames_are_read_up_to_their_limit() {
    let frame = frames::encode_body(&[5; 100]);
    assert_eq!(frames::first(&frame, 100), Ok(Some((&[5; 100][..], frame.len()))));
    assert_eq!(frames::first(&frame, 99), Err(frames::Damaged));
}

proptest! {
    #[test]
    fn anything_can_be_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), keep in 0usize..3) {
        let maker = frames::encode(&Maker::this_program());
        let begin = frames::encode(&start());
        let whole: [&[u8]; 3] = [MAGIC, &maker, &begin];
        let file = [&whole[..=keep].concat(), &bytes[..]].concat();
        let read = match replay(&file, 50) {
            Outcome::Unreadable { inputs, .. } | Outcome::Same { inputs, .. } => inputs,
            Outcome::Other(divergence) => divergence.inputs,
        };
        prop_assert_eq!(read, 0);
    }

    /// The frame is whole, and what is in it is not.
    #[test]
    fn any_body_can_be_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = Reader::default();
        reader.push(&[&recorded_start()[..], &frames::encode_body(&body)].concat());
        prop_assert!(reader.start().unwrap().is_some());
        let _any_answer_will_do = reader.record();
    }
}

fn recorded_start() -> Vec<u8> {
    Recorder::begin(&start(), LIMIT).unwrap().1
}

#[test]
fn a_transcript_tells_the_story_by_names() {
    let file = recorded(LIMIT);
    let mut reader = Reader::default();
    reader.push(&file);
    let begin = reader.start().unwrap().unwrap();
    let mut teller = Teller::default();
    teller.meet(begin.me, &begin.profile);
    let mut replay = Replay::new(begin).unwrap();
    let mut told = Vec::new();
    while let Some(Record::Input { at, input, .. }) = reader.record().unwrap() {
        told.push(teller.input(&input));
        told.extend(teller.output(replay.step(at, input)));
        told.extend(teller.standing(&replay.inspect()));
    }
    let news: Vec<&str> =
        told.iter().filter(|told| !told.is_routine).map(|told| told.text.as_str()).collect();
    let story = news.join("\n");
    for line in ["founds cluster", "== leader in term 2, Amber Otter leads", "OpenUpload", "13 bytes"] {
        assert!(story.contains(line), "no \"{line}\" in\n{story}");
    }
    assert!(told.iter().any(|told| told.is_routine));
}
