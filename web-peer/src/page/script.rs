//! What scripts in this page can ask its node: `window.wordraft`, for whoever tries things in the browser's console or
//! builds on a tab. `docs/keys.md` describes it.

use super::hub::describe;
use crate::bridge::Client;
use bytes::Bytes;
use js_sys::{Array, Error, Function, JsString, Object, Promise, Reflect, Uint8Array};
use shared::limits;
use shared::node::api::{Consistency, ErrorCode, Reply, Request, RequestError};
use shared::state_machine::{Key, KeyChange, Rejection};
use std::future::Future;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::window;

/// Puts `wordraft` into the window.
pub fn offer(client: &Client) {
    let wordraft = Object::new();
    let method = |name: &str, function: Function| {
        // Nothing but a frozen object refuses a property.
        let _cannot_fail = Reflect::set(&wordraft, &name.into(), &function);
    };
    method("putAll", asking(client, |client, entries, _| put_all(client, entries)));
    method("put", asking(client, put));
    method("get", asking(client, |client, key, _| get(client, key)));
    if let Some(window) = window() {
        let _cannot_fail = Reflect::set(&window, &"wordraft".into(), &wordraft);
    }
}

/// A function of up to two values that asks the node and gives a promise.
fn asking<F, T>(client: &Client, ask: F) -> Function
where
    F: Fn(Client, JsValue, JsValue) -> T + 'static,
    T: Future<Output = Result<JsValue, JsValue>> + 'static,
{
    let client = client.clone();
    let function = move |one, two| future_to_promise(ask(client.clone(), one, two));
    // It lives as long as the page.
    Closure::<dyn Fn(JsValue, JsValue) -> Promise>::new(function).into_js_value().unchecked_into()
}

async fn put(client: Client, key: JsValue, value: JsValue) -> Result<JsValue, JsValue> {
    version(client.request(change(&key, &value)?).await)
}

/// The versions in the order of the entries, an `Error` for each that was not stored.
async fn put_all(client: Client, entries: JsValue) -> Result<JsValue, JsValue> {
    let entries: Array = entries.dyn_into().map_err(|_| wrong("putAll wants a list of [key, value]"))?;
    let requests: Result<Vec<Request>, JsValue> = (entries.iter())
        .map(|entry| {
            let pair: Array = entry.dyn_into().map_err(|_| wrong("putAll wants a list of [key, value]"))?;
            change(&pair.get(0), &pair.get(1))
        })
        .collect();
    let results = client.requests(requests?).await;
    let versions: Array =
        results.into_iter().map(|result| version(result).unwrap_or_else(|error| error)).collect();
    Ok(versions.into())
}

/// The value's bytes; `null` where there is no such key.
async fn get(client: Client, key: JsValue) -> Result<JsValue, JsValue> {
    let request = Request::GetKey { key: key_of(&key)?, consistency: Consistency::Linearizable };
    match client.request(request).await {
        Ok(Reply::Key(view)) => Ok(Uint8Array::from(view.value.unwrap_or_default().as_ref()).into()),
        Err(RequestError { code: ErrorCode::NotFound, .. }) => Ok(JsValue::NULL),
        Err(error) => Err(thrown(&error)),
        Ok(_) => Err(wrong("the node answered another question")),
    }
}

fn change(key: &JsValue, value: &JsValue) -> Result<Request, JsValue> {
    Ok(Request::ChangeKey { change: KeyChange::put(key_of(key)?, value_of(value)?) })
}

/// Looks at the size before it copies anything.
fn value_of(value: &JsValue) -> Result<Bytes, JsValue> {
    let bytes = if let Some(text) = value.dyn_ref::<JsString>() {
        // In UTF-16 units, of which there are never more than bytes in UTF-8.
        allow(text.length() as usize)?;
        String::from(text).into_bytes()
    } else if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        allow(bytes.length() as usize)?;
        bytes.to_vec()
    } else {
        return Err(wrong("a value is a string or a Uint8Array"));
    };
    allow(bytes.len())?;
    Ok(bytes.into())
}

fn allow(bytes: usize) -> Result<(), JsValue> {
    if bytes <= limits::VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(thrown(&RequestError {
        code: ErrorCode::TooLarge,
        message: Rejection::ValueTooLarge { bytes_max: limits::VALUE_BYTES_MAX as u32 }.to_string(),
        hint: "store it as a document, or in several keys".to_owned(),
    }))
}

fn key_of(key: &JsValue) -> Result<Key, JsValue> {
    let key = key.as_string().ok_or_else(|| wrong("a key is a string"))?;
    key.parse().map_err(|error| wrong(&format!("{error}")))
}

fn version(result: Result<Reply, RequestError>) -> Result<JsValue, JsValue> {
    match result {
        Ok(Reply::KeyPut { version, .. }) => Ok(JsValue::from_f64(version.get() as f64)),
        Ok(_) => Err(wrong("the node answered another question")),
        Err(error) => Err(thrown(&error)),
    }
}

fn wrong(message: &str) -> JsValue {
    Error::new(message).into()
}

/// An `Error` that says what to do as well. Its name is that of the code: `NoQuorum`, `UnknownOutcome`.
fn thrown(error: &RequestError) -> JsValue {
    let thrown = Error::new(&describe(error));
    thrown.set_name(&format!("{:?}", error.code));
    thrown.into()
}

#[cfg(all(test, target_arch = "wasm32"))]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn a_value_is_as_large_as_the_cluster_takes_it_and_no_larger() {
        let name_of = |value: JsValue| {
            value_of(&value)
                .map(|bytes| bytes.len())
                .map_err(|error| String::from(error.unchecked_into::<Error>().name()))
        };
        let bytes_max = limits::VALUE_BYTES_MAX;
        let too_large = Err("TooLarge".to_owned());
        let bytes = |length| JsValue::from(Uint8Array::new_with_length(length as u32));
        assert_eq!(name_of(bytes(bytes_max)), Ok(bytes_max));
        assert_eq!(name_of(bytes(bytes_max + 1)), too_large);
        let text = |length| JsValue::from("x".repeat(length));
        assert_eq!(name_of(text(bytes_max)), Ok(bytes_max));
        assert_eq!(name_of(text(bytes_max + 1)), too_large);
        assert_eq!(name_of("é".repeat(bytes_max / 2 + 1).into()), too_large, "bytes count, not letters");
    }
}
