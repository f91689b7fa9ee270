//! Messages as JavaScript values.

use js_sys::{Array, Uint8Array};
use serde::{Serialize, de::DeserializeOwned};
use shared::wire::{self, DecodeError};
use wasm_bindgen::prelude::*;
use web_sys::Blob;

/// What a worker posts, as a plain string, once its Wasm runs and listens. Messages before that would be lost.
pub const READY: &str = "ready";

const BRIDGE_VERSION: u8 = 1;

/// Tabs and their workers trust each other; this only keeps a mistake from eating all memory.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

#[wasm_bindgen]
extern "C" {
    /// A `Worker`, or a worker's own global scope: whatever can be posted to.
    type Target;

    #[wasm_bindgen(method, catch, js_name = postMessage)]
    fn post_message(this: &Target, message: &JsValue, transfer: &Array) -> Result<(), JsValue>;
}

/// What rides beside a message.
#[derive(Clone, Debug)]
pub enum Attachment {
    None,
    /// A reference: the content stays where it is until it is read.
    Blob(Blob),
    /// Transferred. Its receiver copies it into its own memory when it wants to, or never.
    Bytes(Uint8Array),
}

/// Posts a message. Fails only when the receiver is being torn down.
pub fn post<T: Serialize>(target: &JsValue, message: &T) -> Result<(), JsValue> {
    post_with(target, message, Attachment::None)
}

pub fn post_with<T: Serialize>(target: &JsValue, message: &T, attachment: Attachment) -> Result<(), JsValue> {
    let target = target.unchecked_ref::<Target>();
    let head = Uint8Array::from(wire::encode(BRIDGE_VERSION, message).as_slice());
    let transfer = Array::of1(&head.buffer());
    match attachment {
        Attachment::None => target.post_message(&head, &transfer),
        Attachment::Blob(blob) => target.post_message(&Array::of2(&head, &blob), &transfer),
        Attachment::Bytes(bytes) => {
            transfer.push(&bytes.buffer());
            target.post_message(&Array::of2(&head, &bytes), &transfer)
        }
    }
}

/// Whether the receiver will read it, with its version's byte.
pub fn fits<T: Serialize>(message: &T) -> bool {
    wire::encoded_bytes(message) < MESSAGE_BYTES_MAX
}

/// Reads what [`post`] or [`post_with`] sent.
pub fn from_value<T: DeserializeOwned>(value: &JsValue) -> Result<(T, Attachment), DecodeError> {
    let Some(pair) = value.dyn_ref::<Array>() else { return Ok((decode(value)?, Attachment::None)) };
    let attached = pair.get(1);
    let attachment = match attached.dyn_into::<Blob>() {
        Ok(blob) => Attachment::Blob(blob),
        Err(other) => Attachment::Bytes(other.dyn_into().map_err(|_| DecodeError::Malformed)?),
    };
    Ok((decode(&pair.get(0))?, attachment))
}

fn decode<T: DeserializeOwned>(value: &JsValue) -> Result<T, DecodeError> {
    let bytes = value.dyn_ref::<Uint8Array>().ok_or(DecodeError::Malformed)?;
    wire::decode(BRIDGE_VERSION, &bytes.to_vec(), MESSAGE_BYTES_MAX)
}
