//! The page: a view of the node in this tab's worker. It runs on the main thread and never counts, waits or stores.
//!
//! `hub` carries what people do to the node; what the node says becomes `model::Action`s; the views are functions of
//! `model::Model`.

mod chart;
mod cluster;
mod documents;
mod format;
mod header;
mod hub;
mod intake;
mod invite;
mod job;
mod lifecycle;
mod map;
mod model;
mod place;
mod result;
mod script;
mod text;
mod timeline;

use crate::bridge::{Connection, Notice};
use hub::Hub;
use model::{End, Model};
use yew::prelude::*;

/// Shows the page and starts this tab's node.
pub fn run() {
    yew::Renderer::<App>::new().render();
}

#[component]
fn App() -> Html {
    let model = use_reducer(Model::default);
    let hub = use_memo((), |()| Hub::new(model.dispatcher()));
    use_effect_with(hub.clone(), |hub| hub.start());

    let connected = model.connection == Some(Connection::Connected);
    let has_leader = model.cluster.as_ref().is_some_and(|cluster| cluster.leader.is_some());
    use_effect_with((hub.clone(), connected && has_leader), |(hub, ready)| {
        if *ready {
            hub.load();
        }
    });

    html! {
        <ContextProvider<Hub> context={(*hub).clone()}>
            <header::Header model={model.clone()} />
            <main>
                <Ended end={model.end.clone()} />
                // A node that has stopped can be asked for nothing; what it knew stays to be read.
                <div class={classes!("columns", model.end.is_some().then_some("past"))} inert={model.end.is_some()}>
                    <div class="column">
                        <intake::Intake uploads={model.uploads.clone()} problems={model.problems.clone()} />
                        <job::Jobs model={model.clone()} />
                        <documents::Documents model={model.clone()} />
                    </div>
                    <div class="column">
                        <cluster::Cluster model={model.clone()} />
                        <timeline::Timeline model={model.clone()} />
                        <invite::Invite />
                    </div>
                </div>
            </main>
        </ContextProvider<Hub>>
    }
}

#[derive(PartialEq, Properties)]
struct EndedProps {
    end: Option<End>,
}

/// Says that this tab's node runs no more, and how to start it again.
#[component]
fn Ended(props: &EndedProps) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let Some(end) = &props.end else { return Html::default() };
    let restart = Callback::from(move |_: MouseEvent| hub.restart());
    let (title, explanation) = match end {
        End::Stopped => (
            "This tab's node has stopped.",
            "The others go on without it. What it has stored stays on this computer.".to_owned(),
        ),
        End::Failed(message) => ("This tab's node cannot go on.", message.clone()),
    };
    html! {
        <section class="card notice" role="alert">
            <h2>{ title }</h2>
            <p>{ explanation }</p>
            <button class="primary" onclick={restart}>{ "Start it again" }</button>
            <cluster::Recording />
        </section>
    }
}

impl From<Notice> for model::Action {
    fn from(notice: Notice) -> model::Action {
        model::Action::Notice(notice)
    }
}
