//! How a command can end other than well: exit codes, and messages that say what to do.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The kinds that scripts can tell apart by the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whoever read the standard output has gone; nobody is left to be told anything.
    OutputClosed,
    Failed,
    Usage,
    /// No relay, no leader or no quorum.
    Unavailable,
    NotAllowed,
    /// Not found, or in conflict with what is there.
    NotFound,
    TimedOut,
    Interrupted,
}

impl Kind {
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::OutputClosed => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unavailable => 3,
            Kind::NotAllowed => 4,
            Kind::NotFound => 5,
            Kind::TimedOut => 6,
            Kind::Interrupted => 130,
        }
    }
}

/// Why a command did not do what it was asked for, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    kind: Kind,
    /// The code of the API's error, where there is one.
    code: Option<String>,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, code: None, message: message.into(), hint: None }
    }

    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Usage, message)
    }

    /// Something else is there already.
    pub fn conflict(message: impl Into<String>) -> Failure {
        Failure::new(Kind::NotFound, message)
    }

    pub fn not_allowed(message: impl Into<String>) -> Failure {
        Failure::new(Kind::NotAllowed, message)
    }

    pub fn interrupted() -> Failure {
        Failure::new(Kind::Interrupted, "interrupted")
    }

    /// Writing to the standard output failed.
    pub fn output(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Kind::OutputClosed, "the output was closed"),
            _ => Failure::failed(format!("the standard output cannot be written: {error}")),
        }
    }

    /// Reading the file or stream called `name` failed.
    pub fn input(name: &str, error: &io::Error) -> Failure {
        let (kind, hint) = match error.kind() {
            io::ErrorKind::NotFound => (Kind::NotFound, "check the path"),
            io::ErrorKind::PermissionDenied => (Kind::NotAllowed, "check who may read it, with ls -l"),
            io::ErrorKind::IsADirectory => {
                (Kind::Failed, "name the files in it, for instance with DIRECTORY/*")
            }
            _ => (Kind::Failed, "try again, or copy it to another disk first"),
        };
        Failure::new(kind, format!("{name} cannot be read: {error}")).hint(hint)
    }

    pub fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()).filter(|hint| !hint.is_empty()), ..self }
    }

    pub fn code(self, code: impl Into<String>) -> Failure {
        Failure { code: Some(code.into()), ..self }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }

    /// Tells the user, in the shape that the API's errors have too when JSON is wanted.
    pub fn report(&self, json: bool) {
        match self.kind {
            Kind::OutputClosed => {}
            _ if json => eprintln!("{}", self.to_json()),
            _ => eprintln!("wordraft: {self}"),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let code = self.code.as_deref().unwrap_or(match self.kind {
            Kind::OutputClosed | Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::Unavailable => "unavailable",
            Kind::NotAllowed => "not_allowed",
            Kind::NotFound => "not_found",
            Kind::TimedOut => "timeout",
            Kind::Interrupted => "interrupted",
        });
        serde_json::json!({"error": {
            "code": code,
            "message": self.message,
            "hint": self.hint.as_deref().unwrap_or_default(),
        }})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}
