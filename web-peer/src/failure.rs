//! Panics of a worker. They are defects of ours, and whoever started the worker has to hear of them: a trap inside a promise
//! never reaches the parent's `onerror`.

use std::cell::RefCell;
use std::panic;
use wasm_bindgen::prelude::*;

type Report = Box<dyn Fn(String)>;

thread_local! {
    static REPORT: RefCell<Option<Report>> = const { RefCell::new(None) };
}

/// From now on a panic is told to `report` and to the console, and ends this worker once the present event is over.
/// A worker that has panicked half-way through an input must not take another one.
pub fn report_panics(report: impl Fn(String) + 'static) {
    REPORT.set(Some(Box::new(report)));
    panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        web_sys::console::error_1(&JsValue::from_str(&message));
        // A second panic while the first is reported finds nothing here, and is only logged.
        if let Some(report) = REPORT.take() {
            report(message);
        }
        js_sys::global().unchecked_into::<web_sys::DedicatedWorkerGlobalScope>().close();
    }));
}
