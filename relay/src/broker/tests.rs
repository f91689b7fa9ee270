//! Transcripts: what happens, and what every connection gets to read.

use super::*;
use shared::wire::session::Kind;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

/// A connection that keeps what it was sent until the test reads it.
#[derive(Clone, Debug, Default)]
struct Desk(Rc<RefCell<(Outbox<RelayFrame>, Option<Refusal>)>>);

impl Link for Desk {
    fn offer(&self, class: Class, frame: RelayFrame) -> bool {
        let bytes = match &frame {
            RelayFrame::Deliver { frame, .. } => frame.bytes(),
            _ => 0,
        };
        self.0.borrow_mut().0.offer(class, bytes, frame) != Offered::TooSlow
    }

    fn cut(&self, reason: Refusal) {
        self.0.borrow_mut().1 = Some(reason);
    }
}

/// A broker, and people who are called by a letter.
struct Scene {
    broker: Broker<Desk>,
    room: RoomName,
    desks: BTreeMap<char, (ConnectionId, Desk)>,
    log: String,
}

fn node(letter: char) -> NodeId {
    NodeId::from_bytes([letter as u8; 10])
}

fn letter(node: NodeId) -> char {
    node.as_bytes()[0] as char
}

fn cluster(number: u8) -> ClusterId {
    ClusterId::from_bytes([number; 10])
}

fn profile(letter: char) -> Profile {
    Profile { name: letter.to_string(), kind: Kind::Tab, http: None, threads: 1, hidden: false, domain: 0 }
}

fn fresh(number: u8) -> Claim {
    Claim::Fresh { proposed: cluster(number) }
}

fn member(number: u8) -> Claim {
    Claim::Member(cluster(number))
}

impl Scene {
    fn new() -> Scene {
        Scene::with_rooms([])
    }

    fn with_rooms(rooms: impl IntoIterator<Item = (RoomName, ClusterId)>) -> Scene {
        let broker = Broker::new(rooms);
        Scene { broker, room: RoomName::default(), desks: BTreeMap::new(), log: String::new() }
    }

    fn enter(&mut self, who: char, claim: Claim) -> &mut Scene {
        let desk = Desk::default();
        if let Some(cluster) = self.broker.settles(&self.room, claim) {
            self.note(&format!("record {}", cluster.as_bytes()[0]));
        }
        let outcome = self.broker.admit(&self.room, node(who), claim, profile(who), desk.clone());
        match outcome {
            Ok(connection) => {
                self.desks.insert(who, (connection, desk));
            }
            Err(refusal) => self.note(&format!("{who} refused: {refusal:?}")),
        }
        self.read()
    }

    fn leave(&mut self, who: char) -> &mut Scene {
        let (connection, _) = self.desks.remove(&who).expect("somebody who is there");
        self.broker.leave(connection);
        self.read()
    }

    fn founded(&mut self, who: char) -> &mut Scene {
        let connection = self.desks[&who].0;
        if let Some(cluster) = self.broker.founds(connection) {
            self.note(&format!("record {}", cluster.as_bytes()[0]));
        }
        self.broker.founded(connection);
        self.read()
    }

    fn send(&mut self, from: char, to: char, class: Class, bytes: usize) -> &mut Scene {
        let frame = Frame { head: vec![0; bytes].into(), ..Frame::default() };
        self.broker.route(self.desks[&from].0, node(to), class, frame);
        self
    }

    fn frozen(&mut self, who: char, frozen: bool) -> &mut Scene {
        self.broker.frozen(self.desks[&who].0, frozen);
        self.read()
    }

    /// Everybody reads everything.
    fn read(&mut self) -> &mut Scene {
        let mut lines = Vec::new();
        for (who, (_, desk)) in &self.desks {
            let mut desk = desk.0.borrow_mut();
            while let Some(frame) = desk.0.take() {
                lines.push(format!("{who} < {}", describe(&frame)));
            }
            if let Some(reason) = desk.1.take() {
                lines.push(format!("{who} cut: {reason:?}"));
            }
        }
        lines.iter().for_each(|line| self.note(line));
        self
    }

    fn note(&mut self, line: &str) {
        writeln!(self.log, "{line}").expect("a string takes everything");
    }

    #[track_caller]
    fn expect(&mut self, lines: &[&str]) -> &mut Scene {
        let log = std::mem::take(&mut self.log);
        assert_eq!(log.lines().collect::<Vec<_>>(), lines);
        self
    }
}

fn describe(frame: &RelayFrame) -> String {
    match frame {
        RelayFrame::Welcome(welcome) => {
            let present: String = welcome.present.iter().map(|peer| letter(peer.node)).collect();
            let part = if welcome.founder { "founder of" } else { "member of" };
            format!("welcome, {part} {}, present [{present}]", welcome.cluster.as_bytes()[0])
        }
        RelayFrame::Founded => "it is recorded".to_owned(),
        RelayFrame::Presence(Presence::Joined(peer)) => format!("{} joined", letter(peer.node)),
        RelayFrame::Presence(Presence::Left(node)) => format!("{} left", letter(*node)),
        RelayFrame::Presence(Presence::Changed(peer)) => {
            let state = if peer.profile.hidden { "hidden" } else { "shown" };
            format!("{} is {} and {state}", letter(peer.node), peer.profile.name)
        }
        RelayFrame::Deliver { from, frame } => format!("{} bytes from {}", frame.bytes(), letter(*from)),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_first_in_a_room_founds_it_and_others_wait_for_its_disk() {
    let mut scene = Scene::new();
    scene.enter('a', fresh(1)).expect(&["a < welcome, founder of 1, present []"]);
    scene.enter('b', fresh(2)).expect(&["b refused: Founding"]);
    scene.founded('a').expect(&["record 1", "a < it is recorded"]);
    scene.founded('a').expect(&[]);
    scene.enter('b', fresh(2)).expect(&["a < b joined", "b < welcome, member of 1, present [a]"]);
}

#[test]
fn a_founder_that_leaves_too_early_leaves_an_unfounded_room() {
    let mut scene = Scene::new();
    scene.enter('a', fresh(1)).leave('a').expect(&["a < welcome, founder of 1, present []"]);
    scene.enter('b', fresh(2)).expect(&["b < welcome, founder of 2, present []"]);
    scene.founded('b').expect(&["record 2", "b < it is recorded"]);
    scene.enter('a', member(1));
    scene
        .expect(&[&format!("a refused: {:?}", Refusal::OtherCluster { node: cluster(1), room: cluster(2) })]);
}

#[test]
fn a_member_brings_its_cluster_to_a_relay_that_has_forgotten_it() {
    let mut scene = Scene::new();
    scene.enter('a', member(7)).expect(&["record 7", "a < welcome, member of 7, present []"]);
    scene.enter('b', member(7)).expect(&["a < b joined", "b < welcome, member of 7, present [a]"]);
}

#[test]
fn a_recorded_room_keeps_its_cluster_when_everybody_has_left() {
    let mut scene = Scene::with_rooms([(RoomName::default(), cluster(3))]);
    scene.enter('a', fresh(1)).leave('a').enter('b', fresh(2));
    scene.expect(&["a < welcome, member of 3, present []", "b < welcome, member of 3, present []"]);
}

#[test]
fn an_identity_connects_once_at_a_time() {
    let mut scene = Scene::new();
    scene.enter('a', member(1)).log.clear();
    scene.enter('a', member(1)).expect(&["a refused: AlreadyConnected"]);
    scene.leave('a').enter('a', member(1)).expect(&["a < welcome, member of 1, present []"]);
}

#[test]
fn the_end_of_a_former_connection_does_not_touch_the_present_one() {
    let mut scene = Scene::new();
    scene.enter('a', member(1)).enter('b', member(1));
    let former = scene.desks[&'b'].0;
    scene.leave('b').enter('b', member(1)).log.clear();
    scene.broker.leave(former);
    scene.broker.route(former, node('a'), Class::Control, Frame::default());
    scene.read().expect(&[]);
    scene.send('b', 'a', Class::Control, 3).read().expect(&["a < 3 bytes from b"]);
}

#[test]
fn frames_go_to_one_node_of_the_same_room() {
    let mut scene = Scene::new();
    scene.enter('a', member(1)).enter('b', member(1)).enter('c', member(1));
    scene.room = "attic".parse().unwrap();
    scene.enter('d', member(2)).log.clear();
    scene.send('a', 'b', Class::Bulk, 5).send('a', 'b', Class::Control, 2).read();
    scene.expect(&["b < 2 bytes from a", "b < 5 bytes from a"]);
    scene.send('a', 'd', Class::Control, 9).send('a', 'x', Class::Control, 9).read().expect(&[]);
}

#[test]
fn everybody_hears_at_once_who_comes_goes_hides_and_freezes() {
    let mut scene = Scene::new();
    scene.enter('a', member(1)).enter('b', member(1)).log.clear();
    scene.frozen('b', true).expect(&["a < b is b and hidden"]);
    scene.frozen('b', true).expect(&[]);
    scene.frozen('b', false).expect(&["a < b is b and shown"]);
    let renamed = Profile { name: "Bea".to_owned(), ..profile('b') };
    scene.broker.profile(scene.desks[&'b'].0, renamed.clone());
    scene.broker.profile(scene.desks[&'b'].0, renamed);
    scene.read().expect(&["a < b is Bea and shown"]);
    scene.leave('b').expect(&["a < b left"]);
}

#[test]
fn a_slow_reader_loses_bulk_and_is_cut_when_control_does_not_fit() {
    let mut scene = Scene::new();
    scene.enter('a', member(1)).enter('b', member(1)).enter('c', member(1)).log.clear();
    let megabyte = 1 << 20;
    for _ in 0..40 {
        scene.send('a', 'b', Class::Bulk, megabyte);
    }
    let waiting = std::iter::from_fn(|| scene.desks[&'b'].1.0.borrow_mut().0.take()).count();
    assert_eq!(waiting, 31, "as many as fit below the limit");

    for _ in 0..15 {
        scene.send('a', 'b', Class::Control, megabyte);
    }
    assert!(scene.desks[&'b'].1.0.borrow().1.is_none());
    scene.send('a', 'b', Class::Control, megabyte);
    let (_, desk) = scene.desks.remove(&'b').unwrap();
    assert_eq!(desk.0.borrow().1, Some(Refusal::TooSlow));
    scene.read().expect(&["a < b left", "c < b left"]);
    scene.enter('b', member(1)).expect(&[
        "a < b joined",
        "b < welcome, member of 1, present [ac]",
        "c < b joined",
    ]);
}

#[test]
fn rooms_and_members_are_bounded() {
    let mut scene = Scene::new();
    for number in 0..limits::ROOM_MEMBERS_MAX {
        let mut id = [0; 10];
        id[..2].copy_from_slice(&(number as u16).to_be_bytes());
        let desk = Desk::default();
        let id = NodeId::from_bytes(id);
        scene.broker.admit(&scene.room, id, member(1), profile('x'), desk).expect("a place");
    }
    scene.enter('z', member(1)).expect(&["z refused: RoomFull { members_max: 256 }"]);

    for number in 1..limits::ROOMS_MAX {
        scene.room = format!("room-{number}").parse().unwrap();
        scene.broker.admit(&scene.room, node('a'), member(1), profile('a'), Desk::default()).expect("a room");
    }
    scene.room = "one-more".parse().unwrap();
    scene.enter('z', member(1)).expect(&["z refused: TooManyRooms { rooms_max: 1024 }"]);
}

#[test]
fn a_room_that_nobody_founded_is_forgotten_with_its_last_visitor() {
    let mut scene = Scene::new();
    for number in 0..=limits::ROOMS_MAX {
        scene.room = format!("room-{number}").parse().unwrap();
        scene.enter('a', fresh(1)).leave('a');
    }
    assert!(scene.broker.rooms.is_empty() && scene.broker.connections.is_empty());
}

#[test]
fn everybody_is_told_when_the_relay_stops() {
    let mut scene = Scene::new();
    scene.enter('a', member(1)).enter('b', member(1)).log.clear();
    scene.broker.shut_down();
    scene.read().expect(&["a cut: ShuttingDown", "b cut: ShuttingDown"]);
    // Whoever is late would find a room that nobody founded.
    scene.enter('c', fresh(2)).expect(&["c refused: ShuttingDown"]);
}
