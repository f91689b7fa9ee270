//! What the browser does with this tab, told to its node: a tab that is hidden, frozen, low on battery or closed should not
//! lead, and has only milliseconds to say so.

use super::place;
use crate::bridge::Client;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{EventTarget, window};
use yew::platform::spawn_local;

/// Share of a battery that is not being charged, below which the browser or its user may soon stop the tab.
const BATTERY_LOW: f64 = 0.15;

#[wasm_bindgen]
extern "C" {
    /// The Battery Status API, which only some browsers have.
    #[wasm_bindgen(extends = EventTarget)]
    #[derive(Clone)]
    type Battery;

    #[wasm_bindgen(method, getter)]
    fn charging(this: &Battery) -> bool;

    #[wasm_bindgen(method, getter)]
    fn level(this: &Battery) -> f64;

    type Navigator;

    #[wasm_bindgen(method, catch, js_name = getBattery)]
    fn get_battery(this: &Navigator) -> Result<js_sys::Promise, JsValue>;
}

/// Listens as long as it lives.
pub struct Watch {
    _listeners: Vec<Closure<dyn FnMut()>>,
}

struct Tab {
    client: Client,
    battery_low: Cell<bool>,
}

impl Tab {
    fn tell_hidden(&self) {
        self.client.set_hidden(place::is_hidden() || self.battery_low.get());
    }

    fn look_at(&self, battery: &Battery) {
        self.battery_low.set(!battery.charging() && battery.level() <= BATTERY_LOW);
        self.tell_hidden();
    }
}

pub fn watch(client: Client) -> Watch {
    let tab = Rc::new(Tab { client, battery_low: Cell::new(false) });
    let mut listeners = Vec::new();
    if let Some(window) = window() {
        let leaving = |leaving: bool| {
            let tab = tab.clone();
            move || tab.client.set_leaving(leaving)
        };
        listeners.push(listen(&window, &["pagehide"], leaving(true)));
        // A page that was kept, to be shown again when somebody goes back.
        listeners.push(listen(&window, &["pageshow"], leaving(false)));
        if let Some(document) = window.document() {
            listeners.push(listen(&document, &["freeze"], leaving(true)));
            listeners.push(listen(&document, &["resume"], leaving(false)));
            let tab = tab.clone();
            listeners.push(listen(&document, &["visibilitychange"], move || tab.tell_hidden()));
        }
        let navigator: Navigator = JsValue::from(window.navigator()).unchecked_into();
        // A browser without the interface throws here, and its tab counts as well supplied.
        if let Ok(promise) = navigator.get_battery() {
            watch_battery(tab, promise);
        }
    }
    Watch { _listeners: listeners }
}

fn watch_battery(tab: Rc<Tab>, promise: js_sys::Promise) {
    spawn_local(async move {
        let Ok(battery) = JsFuture::from(promise).await else { return };
        let battery: Battery = battery.unchecked_into();
        tab.look_at(&battery);
        let watched = battery.clone();
        let listener = listen(&battery, &["levelchange", "chargingchange"], move || tab.look_at(&watched));
        // It lives as long as the page does.
        listener.forget();
    });
}

fn listen(target: &EventTarget, events: &[&str], on_event: impl FnMut() + 'static) -> Closure<dyn FnMut()> {
    let listener = Closure::<dyn FnMut()>::new(on_event);
    for event in events {
        // Fails only for a target that is being torn down.
        let _torn_down = target.add_event_listener_with_callback(event, listener.as_ref().unchecked_ref());
    }
    listener
}
