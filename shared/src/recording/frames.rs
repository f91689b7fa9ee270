//! Bytes that say where they end, and whether they are whole.

use super::first_bytes;
use serde::Serialize;

/// The first line of every recording; the number is the version of its form.
pub const MAGIC: &[u8] = b"wordraft recording 1\n";

const HEAD_BYTES: usize = 16;

/// A frame that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

pub(super) fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    let mut frame = postcard::to_extend(body, vec![0; HEAD_BYTES])
        .expect("postcard writes every type of a recording to a Vec");
    put_head(&mut frame);
    frame
}

fn put_head(frame: &mut [u8]) {
    let (head, body) = frame.split_at_mut(HEAD_BYTES);
    // Readers refuse a frame that is longer than its limit; its maker refuses it first.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..8].copy_from_slice(&(!length).to_le_bytes());
    head[8..].copy_from_slice(&first_bytes(blake3::hash(body)));
}

#[cfg(test)]
pub(super) fn encode_body(body: &[u8]) -> Vec<u8> {
    let mut frame = [&[0; HEAD_BYTES], body].concat();
    put_head(&mut frame);
    frame
}

/// The bytes of a frame's body.
pub(super) fn body_bytes(frame: &[u8]) -> usize {
    frame.len() - HEAD_BYTES
}

/// The first frame's body in `bytes`, and how many bytes it takes with its head. `None`: it is not all there yet.
pub(super) fn first(bytes: &[u8], body_bytes_max: usize) -> Result<Option<(&[u8], usize)>, Damaged> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let (length, rest_of_head) = head.split_at(4);
    let (complement, check) = rest_of_head.split_at(4);
    let length: u32 = length.try_into().map(u32::from_le_bytes).map_err(|_| Damaged)?;
    if complement != (!length).to_le_bytes() || length as usize > body_bytes_max {
        return Err(Damaged);
    }
    let Some(body) = rest.get(..length as usize) else { return Ok(None) };
    if check != first_bytes(blake3::hash(body)) {
        return Err(Damaged);
    }
    Ok(Some((body, HEAD_BYTES + body.len())))
}
