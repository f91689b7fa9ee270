//! The driver in a tab: carries out what a [`Node`](shared::node::Node) asks for, with OPFS, workers, timers and a WebSocket.
//!
//! It decides nothing. Its parts mirror those of the native driver and of the simulator: `transport`, `storage`, `clock`,
//! `counting`.

mod blocks;
mod calls;
mod clock;
mod counting;
mod driver;
mod home;
mod recording;
mod signal;
mod slots;
mod socket;
mod storage;
#[cfg(all(test, target_arch = "wasm32"))]
mod tests;
mod transport;
mod upload;
mod usage;

use crate::bridge::{READY, SelfView, Start, ToPage, ToWorker, from_value, post};
use crate::failure::report_panics;
use clock::{Clock, scope};
use counting::{Pool, pool_size};
use driver::{Driver, End, Parts};
use futures_channel::mpsc::UnboundedReceiver;
use futures_util::StreamExt as _;
use home::Home;
use shared::ids::ClusterId;
use shared::node::NodeConfig;
use shared::recording::Start as NodeStart;
use shared::rng::Rng;
use shared::wire::session::{Kind, Profile};
use signal::{Signal, Signals};
use slots::SLOTS_MAX;
use std::ops::Range;
use transport::{Credentials, Link};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

/// What a user should know who expected an earlier node of this browser, with its texts.
const OTHER_CLUSTER: &str = "This room now belongs to another cluster than the one this browser knew. \
    The tab has joined as a new node; what the former one stored is kept.";

/// Starts listening to the page, and runs a node from its first message on.
pub fn run() {
    report_panics(|message| {
        recording::hand_over();
        tell_page(&ToPage::Failed {
            message: format!("a defect of the program has stopped this tab's node: {message}"),
        });
    });
    let (signals, page) = signal::queue();
    listen(signals);
    spawn_local(async move {
        let last_words = match serve(page).await {
            Ok(()) => ToPage::Stopped,
            Err(message) => ToPage::Failed { message },
        };
        // The driver is gone by now: files are closed, and the slot is free for whoever hears this.
        tell_page(&last_words);
    });
}

fn listen(signals: Signals) {
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        match from_value::<ToWorker>(&event.data()) {
            Ok((message, attachment)) => signals.send(Signal::Page(message, attachment)),
            Err(error) => tell_page(&ToPage::Failed {
                message: format!(
                    "the page and its worker do not understand each other ({error}): reload the page"
                ),
            }),
        }
    });
    let scope: DedicatedWorkerGlobalScope = scope().unchecked_into();
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    let _torn_down = scope.post_message(&READY.into());
}

/// Runs a node from its start to its end. `Err`: why it could not go on.
async fn serve(mut page: UnboundedReceiver<Signal>) -> Result<(), String> {
    let mut start = loop {
        match page.next().await {
            Some(Signal::Page(ToWorker::Start(start), _)) => break start,
            Some(Signal::Page(ToWorker::Stop, _)) | None => return Ok(()),
            Some(_) => {}
        }
    };
    let mut slots = 0..SLOTS_MAX;
    loop {
        let (signals, inbox) = signal::queue();
        let (driver, slot) = assemble(&start, &slots, signals).await?;
        let end = driver.run(inbox, &mut page).await;
        recording::end();
        recording::hand_over();
        match end {
            End::Stopped => return Ok(()),
            End::Fatal(reason) => return Err(reason),
            End::Disk(error) => {
                return Err(format!("this tab's storage failed, and its node has stopped: {error}"));
            }
            // What the slot holds stays there, in case its cluster comes back.
            End::OtherCluster { hidden } => {
                slots.start = slot + 1;
                start = Start { slot_before_reload: None, hidden, ..start };
            }
        }
    }
}

/// Puts a node together from what one of these slots holds.
async fn assemble(start: &Start, slots: &Range<u32>, signals: Signals) -> Result<(Driver, u32), String> {
    let random = random_seed().map_err(|_| "this browser gives no randomness".to_owned())?;
    let mut rng = Rng::new(random);
    let home = home::open(start, slots, rng.bytes()).await.map_err(|error| error.to_string())?;
    let Home { identity, name, slot, domain, returned, stored, log, blocks, files, place, remark } = home;
    let remark = remark.or_else(|| (slots.start > 0).then(|| OTHER_CLUSTER.to_owned()));
    let clock = Clock::start().ok_or("this browser gives no clock")?;
    let threads = pool_size();
    let profile = Profile { name, kind: Kind::Tab, http: None, threads, hidden: start.hidden, domain };
    let me = identity.id();
    let cluster = stored.cluster;
    let view = SelfView { node: me, name: profile.name.clone(), slot, threads, returned };
    tell_page(&ToPage::Identity(view.clone()));
    let (config, seed, at) = (NodeConfig::default(), rng.bytes(), clock.now());
    let node_start = NodeStart { me, profile: profile.clone(), config, stored, seed, at };
    let unrecorded = start.record.then(|| recording::begin(&node_start)).and_then(Result::err);
    let remark = remark.or_else(|| unrecorded.map(|error| format!("There is no recording: {error}.")));
    let node = node_start
        .node()
        .map_err(|error| format!("this tab's node cannot start from what it has stored: {error}"))?;
    let credentials = Credentials {
        url: start.url.clone(),
        room: start.room.clone(),
        token: start.token.clone(),
        identity,
        proposed: ClusterId::random(&mut rng),
    };
    usage::watch(signals.clone());
    let driver = Driver::new(Parts {
        node,
        clock,
        log,
        blocks,
        files,
        place,
        remark,
        link: Link::connect(credentials, signals.clone(), rng.fork()),
        pool: Pool::new(threads, signals.clone()),
        profile,
        view,
        cluster,
        signals,
    });
    Ok((driver.map_err(|error| storage::text_of(&error))?, slot))
}

fn random_seed() -> Result<[u8; 32], JsValue> {
    let mut seed = [0; 32];
    scope().crypto()?.get_random_values_with_u8_array(&mut seed)?;
    Ok(seed)
}

fn tell_page(message: &ToPage) {
    let _torn_down = post(&scope(), message);
}
