//! The top of every view: what this is, who I am, and how the cluster is.

use super::hub::Hub;
use super::model::Model;
use super::{place, text};
use crate::bridge::Connection;
use shared::node::api::ClusterView;
use yew::prelude::*;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub model: UseReducerHandle<Model>,
}

#[component]
pub fn Header(props: &Props) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let model = &props.model;
    let stop = Callback::from(move |_: MouseEvent| hub.stop());
    let name = model.me.as_ref().map_or("…", |me| me.name.as_str());
    let state = match model.connection {
        _ if model.end.is_some() => "bad",
        Some(Connection::Connected) => "good",
        Some(Connection::Refused { .. }) => "bad",
        _ => "waiting",
    };
    html! {
        <header>
            <div class="bar">
                <h1>{ "word" }<span>{ "raft" }</span></h1>
                <p class="me">
                    { "You are " }<strong id="my-name">{ name.to_owned() }</strong>
                    <span id="connection" class={classes!("pill", state)}>
                        { text::connection(model) }
                    </span>
                </p>
                <Theme />
                if model.end.is_none() {
                    <button id="stop" onclick={stop} title="Leave the cluster. The others go on; what is stored here stays.">
                        { "Stop this node" }
                    </button>
                }
            </div>
            if model.end.is_none() {
                <Sentence model={props.model.clone()} />
            }
        </header>
    }
}

/// How the cluster is, in one sentence, and in more when something is wrong.
#[component]
fn Sentence(props: &Props) -> Html {
    let Some(view) = &props.model.cluster else {
        return html! { <p class="sentence" id="cluster-sentence">{ "Looking for the others…" }</p> };
    };
    html! {
        <div aria-live="polite">
            <p class="sentence" id="cluster-sentence">{ text::cluster(&props.model, view) }</p>
            if let Some(trouble) = &view.trouble {
                <div class="trouble" id="trouble" data-code={code(view)}>
                    <p><strong>{ trouble.clone() }</strong></p>
                    if let Some(remedy) = &view.remedy {
                        <p id="remedy">{ remedy.clone() }</p>
                    }
                </div>
            }
        </div>
    }
}

/// The name of the trouble, for tests and styles.
fn code(view: &ClusterView) -> Option<String> {
    view.trouble_code.map(|code| format!("{code:?}"))
}

/// Light, dark, or as the system has it.
#[component]
fn Theme() -> Html {
    let theme = use_state(place::remembered_theme);
    let choose = {
        let theme = theme.clone();
        Callback::from(move |event: Event| {
            let chosen = event.target_unchecked_into::<web_sys::HtmlSelectElement>().value();
            place::set_theme(&chosen);
            theme.set(chosen);
        })
    };
    let option = |value: &'static str, label: &'static str| {
        html! { <option {value} selected={*theme == value}>{ label }</option> }
    };
    html! {
        <label class="theme">
            <span class="unseen">{ "Colours" }</span>
            <select onchange={choose}>
                { option("auto", "As the system") }
                { option("light", "Light") }
                { option("dark", "Dark") }
            </select>
        </label>
    }
}
