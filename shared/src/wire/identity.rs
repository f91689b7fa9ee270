//! Who a node is: an Ed25519 key, the id derived from it, and the proof of possession in the handshake.

use crate::ids::{NodeId, RoomName};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Keeps a signature made for this handshake from meaning anything elsewhere.
const HANDSHAKE_DOMAIN: &[u8] = b"wordraft handshake 1";

/// What a relay sends first, drawn anew for every connection.
pub type Nonce = [u8; 32];

/// A node's secret key, kept with its store and never sent.
#[derive(Clone)]
pub struct Identity(SigningKey);

impl Identity {
    /// `seed` comes from the operating system's or the browser's cryptographic randomness.
    pub fn from_seed(seed: [u8; 32]) -> Identity {
        Identity(SigningKey::from_bytes(&seed))
    }

    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub fn id(&self) -> NodeId {
        self.public_key().id()
    }

    pub fn prove(&self, room: &RoomName, nonce: &Nonce) -> Proof {
        Proof { signature: self.0.sign(&statement(room, nonce)).to_bytes().to_vec() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The id of the node that holds this key.
    pub fn id(&self) -> NodeId {
        let hash = blake3::hash(&self.0);
        let mut id = [0; 10];
        id.copy_from_slice(&hash.as_bytes()[..10]);
        NodeId::from_bytes(id)
    }

    /// Whether `proof` was made for this room and nonce by the holder of this key.
    pub fn verify(&self, room: &RoomName, nonce: &Nonce, proof: &Proof) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        let Ok(signature) = Signature::from_slice(&proof.signature) else { return false };
        key.verify_strict(&statement(room, nonce), &signature).is_ok()
    }
}

/// A signature over the room and the relay's nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    signature: Vec<u8>,
}

fn statement(room: &RoomName, nonce: &Nonce) -> Vec<u8> {
    [HANDSHAKE_DOMAIN, nonce, room.as_str().as_bytes()].concat()
}

/// Right to join a room, derived from the secret in its link. The secret itself never travels.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomToken([u8; 32]);

impl RoomToken {
    pub fn member(secret: &str) -> RoomToken {
        RoomToken(blake3::derive_key("wordraft 2026 room token: member", secret.as_bytes()))
    }

    /// The token as it stands in `Authorization: Bearer`.
    pub fn to_text(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    pub fn from_text(text: &str) -> Option<RoomToken> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(RoomToken)
    }

    /// Compares in constant time, so that a guess learns nothing from how long the answer takes.
    pub fn admits(&self, other: &RoomToken) -> bool {
        self.0.iter().zip(&other.0).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl fmt::Debug for RoomToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_one_key_room_and_nonce() {
        let identity = Identity::from_seed([7; 32]);
        let room = RoomName::default();
        let other_room: RoomName = "attic".parse().unwrap();
        let proof = identity.prove(&room, &[1; 32]);
        let key = identity.public_key();
        assert!(key.verify(&room, &[1; 32], &proof));
        assert!(!key.verify(&room, &[2; 32], &proof));
        assert!(!key.verify(&other_room, &[1; 32], &proof));
        assert!(!Identity::from_seed([8; 32]).public_key().verify(&room, &[1; 32], &proof));
        assert!(!key.verify(&room, &[1; 32], &Proof { signature: vec![0; 3] }));
    }

    #[test]
    fn tokens_admit_only_themselves() {
        let token = RoomToken::member("correct horse");
        assert!(token.admits(&RoomToken::from_text(&token.to_text()).unwrap()));
        assert!(!token.admits(&RoomToken::member("correct horsf")));
        assert_eq!(RoomToken::from_text("zz"), None);
    }
}
