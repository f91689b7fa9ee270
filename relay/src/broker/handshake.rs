//! Who gets in: the checks on a `Hello` before the broker hears of it.

use shared::ids::{NodeId, RoomName};
use shared::limits;
use shared::wire::DecodeError;
use shared::wire::identity::{Nonce, RoomToken};
use shared::wire::session::{Claim, ClientFrame, Profile, Refusal};

/// What a relay asks of everybody who wants in.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// `None`: the relay listens on this machine only and asks for no secret.
    token: Option<RoomToken>,
}

/// An identity that was proven, and what it says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    pub node: NodeId,
    pub claim: Claim,
    pub profile: Profile,
}

impl Gate {
    pub fn new(token: Option<RoomToken>) -> Gate {
        Gate { token }
    }

    /// Judges the first message of a connection that was challenged with `nonce`.
    pub fn check(&self, room: &RoomName, nonce: &Nonce, message: &[u8]) -> Result<Admitted, Refusal> {
        if message.len() > limits::HELLO_BYTES_MAX {
            return Err(protocol("the first message is over its limit"));
        }
        let hello = match decode(message)? {
            ClientFrame::Hello(hello) => hello,
            _ => return Err(protocol("the first frame is not a Hello")),
        };
        match (&self.token, &hello.token) {
            (None, _) => {}
            (Some(_), None) => return Err(Refusal::SecretNeeded),
            (Some(ours), Some(theirs)) if !ours.admits(theirs) => return Err(Refusal::WrongSecret),
            (Some(_), Some(_)) => {}
        }
        if !hello.public_key.verify(room, nonce, &hello.proof) {
            return Err(Refusal::BadProof);
        }
        check_profile(&hello.profile)?;
        Ok(Admitted { node: hello.public_key.id(), claim: hello.claim, profile: hello.profile })
    }
}

/// Reads a frame from a node. The refusal says whose fault it was, and closes the connection.
pub(crate) fn decode(message: &[u8]) -> Result<ClientFrame, Refusal> {
    let frame = ClientFrame::decode(message).map_err(|error| match error {
        DecodeError::Version { ours, theirs } => Refusal::Version { relay: ours, node: theirs },
        other => protocol(&other.to_string()),
    })?;
    match &frame {
        ClientFrame::Send { frame, .. } if frame.head.len() > limits::FRAME_HEAD_BYTES_MAX => {
            Err(protocol("the head of a frame is over its limit"))
        }
        ClientFrame::Send { frame, .. } if frame.bulk.len() > limits::FRAME_BULK_BYTES_MAX => {
            Err(protocol("the bulk of a frame is over its limit"))
        }
        ClientFrame::Profile(profile) => check_profile(profile).map(|()| frame),
        _ => Ok(frame),
    }
}

pub(crate) fn protocol(reason: &str) -> Refusal {
    Refusal::Protocol { reason: reason.to_owned() }
}

fn check_profile(profile: &Profile) -> Result<(), Refusal> {
    if profile.name.len() > limits::MEMBER_NAME_BYTES_MAX {
        return Err(protocol("the name is too long"));
    }
    if profile.name.chars().any(char::is_control) {
        return Err(protocol("the name has control characters in it: choose one without"));
    }
    if profile.http.as_ref().is_some_and(|address| address.len() > limits::ADDRESS_BYTES_MAX) {
        return Err(protocol("the HTTP address is too long"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::ClusterId;
    use shared::wire::SESSION_VERSION;
    use shared::wire::identity::Identity;
    use shared::wire::session::{Frame, Hello, Kind};

    const NONCE: Nonce = [5; 32];

    fn profile() -> Profile {
        Profile {
            name: "Ada".to_owned(),
            kind: Kind::Server,
            http: None,
            threads: 1,
            hidden: false,
            domain: 0,
        }
    }

    fn hello(secret: Option<&str>) -> Hello {
        let identity = Identity::from_seed([1; 32]);
        Hello {
            public_key: identity.public_key(),
            proof: identity.prove(&RoomName::default(), &NONCE),
            token: secret.map(RoomToken::member),
            claim: Claim::Fresh { proposed: ClusterId::from_bytes([1; 10]) },
            profile: profile(),
        }
    }

    fn check(secret: Option<&str>, hello: Hello) -> Result<Admitted, Refusal> {
        let gate = Gate::new(secret.map(RoomToken::member));
        gate.check(&RoomName::default(), &NONCE, &ClientFrame::Hello(hello).encode())
    }

    #[test]
    fn the_secret_opens_the_room_and_nothing_else_does() {
        assert!(check(None, hello(None)).is_ok());
        assert!(check(None, hello(Some("needless"))).is_ok());
        assert!(check(Some("sesame"), hello(Some("sesame"))).is_ok());
        assert_eq!(check(Some("sesame"), hello(None)), Err(Refusal::SecretNeeded));
        assert_eq!(check(Some("sesame"), hello(Some("Sesame"))), Err(Refusal::WrongSecret));
    }

    #[test]
    fn nobody_gets_in_with_the_key_of_another() {
        let stolen = Hello { public_key: Identity::from_seed([2; 32]).public_key(), ..hello(None) };
        assert_eq!(check(None, stolen), Err(Refusal::BadProof));
    }

    #[test]
    fn versions_and_garbage_are_told_apart() {
        let gate = Gate::default();
        let room = RoomName::default();
        let mut bytes = ClientFrame::Hello(hello(None)).encode();
        bytes[0] = 77;
        assert_eq!(
            gate.check(&room, &NONCE, &bytes),
            Err(Refusal::Version { relay: SESSION_VERSION, node: 77 })
        );
        for garbage in [
            &[][..],
            &[SESSION_VERSION],
            &[SESSION_VERSION, 255, 255, 255, 255],
            &ClientFrame::Founded.encode(),
        ] {
            let refusal = gate.check(&room, &NONCE, garbage).expect_err("garbage");
            assert!(matches!(refusal, Refusal::Protocol { .. }), "{garbage:?}: {refusal}");
        }
    }

    #[test]
    fn the_first_message_is_short() {
        let gate = Gate::default();
        let padded = |bytes: usize| {
            let mut message = ClientFrame::Founded.encode();
            message.resize(bytes, 0);
            gate.check(&RoomName::default(), &NONCE, &message)
        };
        let over = Err(protocol("the first message is over its limit"));
        assert_ne!(padded(limits::HELLO_BYTES_MAX), over);
        assert_eq!(padded(limits::HELLO_BYTES_MAX + 1), over);
        let address = Some("a".repeat(limits::ADDRESS_BYTES_MAX));
        let name = "n".repeat(limits::MEMBER_NAME_BYTES_MAX);
        let longest =
            Hello { profile: Profile { name, http: address, ..profile() }, ..hello(Some("sesame")) };
        assert!(check(Some("sesame"), longest).is_ok());
    }

    #[test]
    fn every_limit_of_a_frame_holds() {
        let send = |head: usize, bulk: usize| {
            let frame = Frame { head: vec![0; head].into(), bulk: vec![0; bulk].into() };
            let to = NodeId::from_bytes([0; 10]);
            decode(&ClientFrame::Send { to, class: shared::wire::session::Class::Bulk, frame }.encode())
        };
        assert!(send(limits::FRAME_HEAD_BYTES_MAX, limits::FRAME_BULK_BYTES_MAX).is_ok());
        assert!(send(limits::FRAME_HEAD_BYTES_MAX + 1, 0).is_err());
        assert!(send(0, limits::FRAME_BULK_BYTES_MAX + 1).is_err());
        assert!(matches!(named(&"n".repeat(limits::MEMBER_NAME_BYTES_MAX)), (Ok(_), Ok(_))));
        assert!(matches!(named(&"n".repeat(limits::MEMBER_NAME_BYTES_MAX + 1)), (Err(_), Err(_))));
    }

    /// Whether a name is let in, and whether one may change to it.
    fn named(name: &str) -> (Result<Admitted, Refusal>, Result<ClientFrame, Refusal>) {
        let profile = Profile { name: name.to_owned(), ..profile() };
        (
            check(None, Hello { profile: profile.clone(), ..hello(None) }),
            decode(&ClientFrame::Profile(profile).encode()),
        )
    }

    #[test]
    fn a_name_commands_no_terminal() {
        assert!(matches!(named("Zoë 中 👍🏽"), (Ok(_), Ok(_))));
        for name in ["\x1b[31mred", "two\nlines", "\u{9b}2J"] {
            assert!(matches!(named(name), (Err(_), Err(_))), "{name:?}");
        }
    }
}
