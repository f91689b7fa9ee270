//! What scripts in this page can ask its node: `window.wordraft`, for whoever tries things in the browser's console or
//! builds on a tab. `docs/keys.md` describes it.

use super::hub::describe;
use crate::bridge::Client;
use bytes::Bytes;
use js_sys::{Array, Error, Function, Object, Promise, Reflect, Uint8Array};
use shared::node::api::{Consistency, ErrorCode, Reply, Request, RequestError};
use shared::state_machine::{Key, KeyChange};
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
    let bytes = match (value.as_string(), value.dyn_ref::<Uint8Array>()) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(bytes)) => bytes.to_vec(),
        (None, None) => return Err(wrong("a value is a string or a Uint8Array")),
    };
    Ok(Request::ChangeKey { change: KeyChange::put(key_of(key)?, Bytes::from(bytes)) })
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
