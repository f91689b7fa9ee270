//! Why there is no leader, or no progress: in plain words, with what restores it.

use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What keeps this node, or its whole cluster, from going on. Members are named as people call them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This node may not take part.
    Refused { reason: String },
    /// This node has no connection to its relay.
    NotConnected,
    /// Two members applied the same log and came to different states: a defect, or a damaged memory.
    StatesDiffer { members: [String; 2], applied: u64 },
    /// This node's disk owes an acknowledgement.
    DiskStalled { lasting: Duration },
    /// No leader is there that could make this node a member.
    NotLetIn { lasting: Duration },
    /// The replicated state is on its way to this node.
    Installing { percent: u8 },
    /// This node has applied less than the leader has committed; `None` while it cannot know how much less.
    CatchingUp { behind: Option<u64> },
    /// Too few voters are connected.
    NoMajority(NoMajority),
    /// Enough voters are connected, and too few of them answer.
    Mute { silent: Vec<String>, answering: u32, voters: u32, needed: u32, lasting: Duration },
    /// There is no term left to elect a leader in.
    NoTermLeft,
    /// Nobody leads yet.
    Electing { lasting: Duration, rounds: u32, refusals: Vec<(String, Reason)> },
    /// Leadership is on its way to another member.
    HandingOver { to: String },
    /// A leader is there, and what it was given is not confirmed by a majority.
    NotCommitting { lasting: Duration, lagging: Vec<String> },
    /// The leader has not taken what this node asks of it.
    TurnedAway { lasting: Duration },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoMajority {
    pub of: Half,
    pub online: u32,
    pub voters: u32,
    pub needed: u32,
    pub missing: Vec<String>,
}

/// While voters are being changed, a majority of the old ones and one of the new ones have to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    All,
    Old,
    New,
}

/// Why a voter does not help this node to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It knows changes that this node does not.
    KnowsMore,
    HearsLeader,
    /// It helps another, or stands itself.
    HelpsAnother,
}

/// The same for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleCode {
    Refused,
    NotConnected,
    StatesDiffer,
    DiskStalled,
    NotLetIn,
    Installing,
    CatchingUp,
    NoMajority,
    Mute,
    NoTermLeft,
    Electing,
    HandingOver,
    NotCommitting,
    TurnedAway,
}

impl TroubleCode {
    /// Nobody should be sent to this node as long as it lasts. The others pass, or leave it able to serve.
    pub fn is_unready(self) -> bool {
        !matches!(
            self,
            TroubleCode::Installing
                | TroubleCode::CatchingUp
                | TroubleCode::HandingOver
                | TroubleCode::TurnedAway
        )
    }
}

impl Trouble {
    pub fn code(&self) -> TroubleCode {
        match self {
            Trouble::Refused { .. } => TroubleCode::Refused,
            Trouble::NotConnected => TroubleCode::NotConnected,
            Trouble::StatesDiffer { .. } => TroubleCode::StatesDiffer,
            Trouble::DiskStalled { .. } => TroubleCode::DiskStalled,
            Trouble::NotLetIn { .. } => TroubleCode::NotLetIn,
            Trouble::Installing { .. } => TroubleCode::Installing,
            Trouble::CatchingUp { .. } => TroubleCode::CatchingUp,
            Trouble::NoMajority(_) => TroubleCode::NoMajority,
            Trouble::Mute { .. } => TroubleCode::Mute,
            Trouble::NoTermLeft => TroubleCode::NoTermLeft,
            Trouble::Electing { .. } => TroubleCode::Electing,
            Trouble::HandingOver { .. } => TroubleCode::HandingOver,
            Trouble::NotCommitting { .. } => TroubleCode::NotCommitting,
            Trouble::TurnedAway { .. } => TroubleCode::TurnedAway,
        }
    }

    /// What restores it: what comes by itself, and what a person can do.
    pub fn remedy(&self) -> String {
        match self {
            Trouble::Refused { .. } => {
                "Open the link of this node's own room, or start it with another data directory.".to_owned()
            }
            Trouble::NotConnected => {
                "It keeps trying, and nothing is lost meanwhile. See that the relay runs and can be reached.".to_owned()
            }
            Trouble::StatesDiffer { members: [one, other], .. } => format!(
                "Please report it: it is a defect of wordraft, or a computer's memory is damaged. Do not trust results of {one} or {other} until you know which of them is wrong; that one comes back right if it joins with an empty data directory."
            ),
            Trouble::DiskStalled { .. } => {
                "It goes on as soon as the disk does; another member leads meanwhile, if there is one. See whether the disk is full, failing or overloaded.".to_owned()
            }
            Trouble::NotLetIn { .. } => {
                "It is let in as soon as the cluster has a leader. Start the members that were here before.".to_owned()
            }
            Trouble::Installing { .. } | Trouble::CatchingUp { .. } => {
                "This ends by itself; the others can be asked meanwhile.".to_owned()
            }
            Trouble::NoMajority(lack) => lack.remedy(),
            Trouble::Mute { silent, .. } => format!(
                "They may be tabs that the browser has stopped, or messages from or to them get lost. Bring those tabs to the front, or restart {}; nothing is lost meanwhile.",
                any_of(silent)
            ),
            Trouble::NoTermLeft => {
                "This cluster cannot go on. Open a new room for its members, without the one that lies.".to_owned()
            }
            Trouble::Electing { lasting, .. } if *lasting < LONG => {
                "This takes less than a second.".to_owned()
            }
            Trouble::Electing { refusals, .. } if refusals.iter().any(|(_, why)| *why == Reason::HearsLeader) => {
                "The others go on. This node follows again as soon as the leader's messages reach it.".to_owned()
            }
            Trouble::Electing { .. } => {
                "It ends when a majority of the voters hear each other. `wordraft status` on another member may know more.".to_owned()
            }
            Trouble::HandingOver { .. } => "This takes less than a second.".to_owned(),
            Trouble::NotCommitting { lagging, .. } if lagging.is_empty() => {
                "It goes on as soon as enough voters confirm; the leader's `wordraft status` names those who lag.".to_owned()
            }
            Trouble::NotCommitting { lagging, .. } => format!(
                "It goes on as soon as enough of them confirm. See whether the disk or the connection of {} is slow.",
                any_of(lagging)
            ),
            Trouble::TurnedAway { .. } => {
                "It is asked again and again, and takes more as soon as some of what waits is confirmed. Send less at a time.".to_owned()
            }
        }
    }
}

/// An election that takes longer is worth a word of who does not help.
const LONG: Duration = Duration::from_secs(1);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Refused { reason } => write!(f, "This node cannot take part: {reason}."),
            Trouble::NotConnected => f.write_str("This node has no connection to the relay."),
            Trouble::StatesDiffer { members: [one, other], applied } => write!(
                f,
                "{one} and {other} have applied the same {applied} entries and hold different states. This should never happen."
            ),
            Trouble::DiskStalled { lasting } => {
                write!(f, "This node's disk has not confirmed a write for {}.", long(*lasting))
            }
            Trouble::NotLetIn { lasting } => {
                write!(f, "This node has waited {} for a leader to let it in.", long(*lasting))
            }
            Trouble::Installing { percent } => {
                write!(f, "This node is taking in the cluster's state: {percent} % is here.")
            }
            Trouble::CatchingUp { behind: None } => f.write_str("This node is catching up with the cluster."),
            Trouble::CatchingUp { behind: Some(behind) } => {
                write!(f, "This node is catching up with the cluster: it is {behind} entries behind.")
            }
            Trouble::NoMajority(lack) => write!(f, "{lack}"),
            Trouble::Mute { silent, answering, voters, needed, lasting } => write!(
                f,
                "{} connected and {} not answered for {}. Only {answering} of {voters} voters {}, and {needed} are needed.",
                list(silent, "is", "are"),
                if silent.len() == 1 { "has" } else { "have" },
                long(*lasting),
                if *answering == 1 { "answers" } else { "answer" },
            ),
            Trouble::NoTermLeft => f.write_str(
                "No leader can be elected any more: there is no term left. Only a member that lies brings a cluster there.",
            ),
            Trouble::Electing { lasting, rounds, refusals } => {
                write!(f, "The members are electing a leader")?;
                if *lasting < LONG {
                    return f.write_str(".");
                }
                write!(f, ", for {} now", long(*lasting))?;
                if *rounds > 1 {
                    write!(f, ": this node has asked {rounds} times")?;
                }
                f.write_str(".")?;
                refusals.iter().try_for_each(|(name, reason)| write!(f, " {name} {reason}."))
            }
            Trouble::HandingOver { to } => write!(f, "The leader is handing over to {to}."),
            Trouble::NotCommitting { lasting, lagging } => {
                write!(
                    f,
                    "There is a leader, but changes have waited {} for a majority to confirm them",
                    long(*lasting)
                )?;
                if lagging.is_empty() {
                    return f.write_str(".");
                }
                write!(f, ". {} behind.", list(lagging, "is", "are"))
            }
            Trouble::TurnedAway { lasting } => write!(
                f,
                "The leader has not taken a change for {}: it holds as many unconfirmed ones as it may.",
                long(*lasting)
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::KnowsMore => "knows changes that this node does not have, so this node cannot lead",
            Reason::HearsLeader => "hears a leader that this node does not hear",
            Reason::HelpsAnother => "helps another member to lead",
        })
    }
}

impl fmt::Display for NoMajority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoMajority { of, online, voters, needed, .. } = self;
        let of = match of {
            Half::All => "",
            Half::Old => "The voters are being changed, and the old ones have to agree. ",
            Half::New => "The voters are being changed, and the new ones have to agree. ",
        };
        let is = if *online == 1 { "is" } else { "are" };
        write!(f, "{of}Only {online} of {voters} voters {is} online, and {needed} are needed.")
    }
}

impl NoMajority {
    fn remedy(&self) -> String {
        let short = self.needed.saturating_sub(self.online) as usize;
        let who = match self.missing.as_slice() {
            several if several.len() <= short => list(several, "is", "are"),
            several => {
                let is = if short == 1 { "is" } else { "are" };
                format!("{short} of {} {is}", several.join(", "))
            }
        };
        format!("Nothing is lost: the cluster goes on as soon as {who} back.")
    }
}

/// "Amber Otter is", "Amber Otter and Quiet Heron are".
fn list(names: &[String], one: &str, several: &str) -> String {
    match names {
        [] => format!("Nobody {one}"),
        [name] => format!("{name} {one}"),
        [first @ .., last] => format!("{} and {last} {several}", first.join(", ")),
    }
}

/// "Amber Otter", "one of Amber Otter, Quiet Heron".
fn any_of(names: &[String]) -> String {
    match names {
        [name] => name.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

/// Coarse, so that what is shown changes once a second at most.
fn long(duration: Duration) -> String {
    match duration.as_secs() {
        0 => "less than a second".to_owned(),
        1 => "a second".to_owned(),
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
