//! What happened, the newest first.

use super::model::Model;
use super::{format, text};
use shared::node::api::What;
use yew::prelude::*;

/// Lines on show; the rest is behind a button.
const SHOWN: usize = 12;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub model: UseReducerHandle<Model>,
}

#[component]
pub fn Timeline(props: &Props) -> Html {
    let all = use_state(|| false);
    let model = &props.model;
    let shown = if *all { usize::MAX } else { SHOWN };
    let toggle = {
        let all = all.clone();
        Callback::from(move |_: MouseEvent| all.set(!*all))
    };
    html! {
        <section class="card" aria-labelledby="timeline-title">
            <h2 id="timeline-title">{ "What happened" }</h2>
            <ol class="timeline" id="timeline" aria-live="polite" aria-relevant="additions">
                { for model.happenings.iter().take(shown).map(|happening| html! {
                    <li class={weight(&happening.what)}>
                        <time>{ format::clock(happening.at) }</time>
                        <span>{ text::happening(model, &happening.what) }</span>
                    </li>
                }) }
            </ol>
            if model.happenings.is_empty() {
                <p class="quiet">{ "Nothing yet." }</p>
            }
            if model.happenings.len() > SHOWN {
                <button class="link" onclick={toggle}>{ if *all { "Fewer" } else { "All of it" } }</button>
            }
        </section>
    }
}

/// How much a line should catch the eye; the words say it too.
fn weight(what: &What) -> &'static str {
    match what {
        What::LeaderLost { .. } | What::QuorumLost | What::JobFailed { .. } => "bad",
        What::LeaderElected { .. } | What::QuorumRestored | What::JobDone { .. } => "good",
        _ => "plain",
    }
}
