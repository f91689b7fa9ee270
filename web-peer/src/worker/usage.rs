//! What the browser says about this origin's storage, asked again and again.

use super::clock::scope;
use super::signal::{Signal, Signals, Usage};
use super::slots::pause;
use shared::time::Duration;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::StorageEstimate;

const INTERVAL: Duration = Duration::from_secs(5);

pub fn watch(signals: Signals) {
    spawn_local(async move {
        // A browser that does not say is not asked again.
        while let Ok(usage) = ask().await
            && !signals.are_unheard()
        {
            signals.send(Signal::Usage(usage));
            pause(INTERVAL).await;
        }
    });
}

async fn ask() -> Result<Usage, JsValue> {
    let storage = scope().navigator().storage();
    if storage.is_undefined() {
        return Err(JsValue::UNDEFINED);
    }
    let estimate: StorageEstimate = JsFuture::from(storage.estimate()?).await?.unchecked_into();
    let persistent = JsFuture::from(storage.persisted()?).await?.is_truthy();
    let bytes = |figure: Option<f64>| figure.unwrap_or_default() as u64;
    Ok(Usage {
        persistent,
        used_bytes: bytes(estimate.get_usage()),
        quota_bytes: bytes(estimate.get_quota()),
    })
}
