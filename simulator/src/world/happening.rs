//! What is due, happens.

use super::{Due, World};
use crate::checker::Violation;
use crate::keys::Turn;
use crate::workload::Call;
use shared::ids::NodeId;
use shared::node::Input;
use shared::time::Duration;
use shared::wire::session::{Peer, Presence};

impl World {
    pub(super) fn happen(&mut self, due: Due) -> Result<(), Violation> {
        let Some(due) = self.unless_frozen(due) else { return Ok(()) };
        match due {
            Due::Frame { to, connection, from, postmark, frame }
                if self.network.arrives(from, postmark)
                    && self.network.connection_of(to) == Some(connection) =>
            {
                self.handle(to, Input::frame(from, frame))
            }
            Due::Told { to, connection, news } if self.network.connection_of(to) == Some(connection) => {
                self.handle(to, news)
            }
            Due::Input { node, boot, input } if self.boot_of(node) == boot => self.handle(node, input),
            Due::Deadline { node, boot, number } if self.is_deadline(node, boot, number) => {
                self.handle(node, Input::Deadline)
            }
            Due::Synced { node, boot, sequence } if self.boot_of(node) == boot => {
                let Some(member) = self.members.get_mut(&node) else { return Ok(()) };
                member.disk.sync(sequence);
                let Some(process) = &mut member.process else { return Ok(()) };
                let outgoing = process.held.remove(&sequence).unwrap_or_default();
                self.send(node, outgoing)?;
                self.handle(node, Input::Persisted(sequence))
            }
            Due::BlockDone { node, boot, operation } if self.boot_of(node) == boot => {
                self.block_done(node, operation)
            }
            Due::TaskDone { node, boot, task } if self.boot_of(node) == boot => self.task_done(node, task),
            Due::Start { node } => self.start(node),
            Due::Connect { node, boot } if self.boot_of(node) == boot => self.connect(node),
            Due::Thaw { node } => self.thaw(node),
            Due::Fault => {
                self.fault();
                Ok(())
            }
            Due::Client => self.client(),
            Due::Turn(turn) => {
                let (calls, next) = self.keys.act(turn, &self.up(), &mut self.rng);
                calls.into_iter().for_each(|call| self.call(call));
                self.take_turns(next);
                Ok(())
            }
            Due::Stranger => self.stranger_speaks(),
            Due::TroubleOver => self.end_trouble(),
            // Meant for a process or a connection that is gone.
            _ => Ok(()),
        }
    }

    fn is_deadline(&self, node: NodeId, boot: u64, number: u64) -> bool {
        let process = self.members.get(&node).filter(|member| member.boot == boot);
        process.and_then(|member| member.process.as_ref()).is_some_and(|process| process.deadline == number)
    }

    pub(super) fn start(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(&node).filter(|member| !member.is_up()) else {
            return Ok(());
        };
        self.promises.check(node, member.disk.log())?;
        member
            .start(&self.config, &mut self.rng, self.now, self.record)
            .map_err(|error| Violation::NoStart { node, message: error.to_string() })?;
        let boot = member.boot;
        self.checkers.started(node);
        self.note(node, || "starts".to_owned());
        self.handle(node, Input::Deadline)?;
        self.agenda.plan(self.now + Duration::from_millis(1), Due::Connect { node, boot });
        Ok(())
    }

    /// A connection begins with the handshake of a running process, so a member that is down has none: the timer of a
    /// process that died in between rings for nobody.
    fn connect(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(member) = self.members.get(&node).filter(|member| member.is_up()) else { return Ok(()) };
        if self.network.connection_of(node).is_some() {
            return Ok(());
        }
        let (boot, profile) = (member.boot, member.profile.clone());
        let claim = member.claim(&mut self.rng);
        let Some(welcome) = self.admit(node, claim) else {
            self.agenda.plan(self.now + Duration::from_millis(20), Due::Connect { node, boot });
            return Ok(());
        };
        self.network.connect(node);
        self.tell(node, &Presence::Joined(Peer { node, profile }));
        self.handle(node, Input::Connected(welcome))
    }

    fn client(&mut self) -> Result<(), Violation> {
        if !self.troubled {
            return Ok(());
        }
        let next = self.now + self.rng.between(Duration::from_millis(100), Duration::from_millis(900));
        self.agenda.plan(next, Due::Client);
        let up = self.up();
        if up.is_empty() {
            return Ok(());
        }
        let node = up[self.rng.below(up.len() as u64) as usize];
        let call = if self.rng.below(10) == 0 {
            self.workload.delete(node, &mut self.rng)
        } else {
            Some(self.workload.begin(node, &mut self.rng))
        };
        if let Some(call) = call {
            self.call(call);
        }
        Ok(())
    }

    /// Where clients may ask: members that run, also a founder whose cluster may never come to be, which acknowledges nothing.
    fn up(&self) -> Vec<NodeId> {
        self.members.values().filter(|member| member.is_up()).map(|member| member.id).collect()
    }

    pub(super) fn take_turns(&mut self, turns: impl IntoIterator<Item = Turn>) {
        turns.into_iter().for_each(|turn| self.agenda.plan(turn.at, Due::Turn(turn)));
    }

    pub(super) fn call(&mut self, call: Call) {
        let Call { node, input } = call;
        let boot = self.boot_of(node);
        let at = self.now + Duration::from_micros(100);
        self.agenda.plan(at, Due::Input { node, boot, input });
    }
}
