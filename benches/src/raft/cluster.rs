//! Three members in one thread, and a closed loop that keeps a number of proposals in flight. The same for each
//! implementation: only what [`Member`] hides differs.

use bytes::Bytes;

pub const MEMBERS: usize = 3;

/// Virtual time: nothing here waits.
const TURN_MICROS: u64 = 100;
/// For implementations that count ticks.
pub const TURNS_PER_TICK: u64 = 100;
/// Both implementations' settings, in ticks of 10 ms.
pub const HEARTBEAT_TICKS: usize = 6;
pub const ELECTION_TICKS: usize = 30;
/// The log gives up what is older than this, so that a long run does not measure the machine's memory.
pub const COMPACT_AFTER_ENTRIES: u64 = 10_000;
pub const KEPT_TAIL_ENTRIES: u64 = 1_000;

/// One member of one implementation, with a disk that is memory.
pub trait Member {
    type Message: PartialEq;

    fn new(number: usize) -> Self;
    fn leads(&self) -> bool;
    /// Once a turn.
    fn time_passed(&mut self, turn: u64, now_micros: u64);
    /// As many proposals at once.
    fn propose(&mut self, payload: &Bytes, count: usize);
    fn step(&mut self, from: usize, message: Self::Message);
    /// Writes what is to be written, and gives out what is to be sent and what is committed.
    fn output(&mut self, sent: &mut Vec<(usize, Self::Message)>, committed: impl FnMut(&Bytes));
    fn encode(message: &Self::Message) -> Bytes;
    fn decode(bytes: Bytes) -> Self::Message;
}

pub struct Cluster<M: Member> {
    members: Vec<M>,
    inboxes: [Vec<(usize, M::Message)>; MEMBERS],
    reading: Vec<(usize, M::Message)>,
    sent: Vec<(usize, M::Message)>,
    is_encoded: bool,
    turn: u64,
    leader: usize,
    pub messages: u64,
}

impl<M: Member> Cluster<M> {
    /// Elects a leader, and waits until everybody follows it.
    pub fn new(is_encoded: bool) -> Cluster<M> {
        let mut cluster = Cluster {
            members: (0..MEMBERS).map(M::new).collect(),
            inboxes: [const { Vec::new() }; MEMBERS],
            reading: Vec::new(),
            sent: Vec::new(),
            is_encoded,
            turn: 0,
            leader: 0,
            messages: 0,
        };
        while !cluster.members.iter().any(M::leads) {
            cluster.turn(|_, _| {});
        }
        cluster.leader = cluster.members.iter().position(M::leads).expect("one leads");
        for _ in 0..2 * TURNS_PER_TICK * HEARTBEAT_TICKS as u64 {
            cluster.turn(|_, _| {});
        }
        cluster.messages = 0;
        cluster
    }

    /// Commits `total` proposals with at most `in_flight` of them open, until every member has got all of them.
    /// `committed` is told who got what.
    pub fn commit(
        &mut self,
        total: u64,
        in_flight: u64,
        payload: &Bytes,
        mut committed: impl FnMut(usize, &Bytes),
    ) {
        let mut proposed = 0;
        let mut delivered = [0; MEMBERS];
        while delivered != [total; MEMBERS] {
            let room = (in_flight - (proposed - delivered[self.leader])).min(total - proposed);
            if room > 0 {
                self.members[self.leader].propose(payload, room as usize);
                proposed += room;
            }
            self.turn(|member, bytes| {
                delivered[member] += 1;
                committed(member, bytes);
            });
        }
    }

    /// Every member reads what has come, and says what follows from it.
    fn turn(&mut self, mut committed: impl FnMut(usize, &Bytes)) {
        self.turn += 1;
        for (number, member) in self.members.iter_mut().enumerate() {
            member.time_passed(self.turn, self.turn * TURN_MICROS);
            std::mem::swap(&mut self.reading, &mut self.inboxes[number]);
            for (from, message) in self.reading.drain(..) {
                member.step(from, message);
            }
            member.output(&mut self.sent, |bytes| committed(number, bytes));
            self.messages += self.sent.len() as u64;
            if !self.is_encoded {
                self.sent.drain(..).for_each(|(to, message)| self.inboxes[to].push((number, message)));
                continue;
            }
            // What goes to several members as it is gets encoded once.
            for same in self.sent.chunk_by(|(_, one), (_, next)| one == next) {
                let bytes = M::encode(&same[0].1);
                for (to, _) in &same[1..] {
                    self.inboxes[*to].push((number, M::decode(bytes.clone())));
                }
                self.inboxes[same[0].0].push((number, M::decode(bytes)));
            }
            self.sent.clear();
        }
    }
}
