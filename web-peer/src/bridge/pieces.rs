//! What is too much for one message, or for one input of the node.

use serde::Serialize;
use shared::wire;

/// In their order. What has more than `bytes_max` bytes is a piece by itself.
pub fn in_pieces<T: Serialize>(all: Vec<T>, count_max: usize, bytes_max: usize) -> Vec<Vec<T>> {
    let mut pieces: Vec<Vec<T>> = Vec::new();
    let mut bytes_taken = 0;
    for one in all {
        let bytes = wire::encoded_bytes(&one);
        match pieces.last_mut() {
            Some(piece) if piece.len() < count_max && bytes_taken + bytes <= bytes_max => {
                piece.push(one);
                bytes_taken += bytes;
            }
            _ => {
                pieces.push(vec![one]);
                bytes_taken = bytes;
            }
        }
    }
    pieces
}
