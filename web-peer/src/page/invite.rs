//! How others come in.

use super::place::Place;
use web_sys::window;
use yew::prelude::*;

#[component]
pub fn Invite() -> Html {
    let Ok(place) = Place::here() else { return Html::default() };
    let link = place.link();
    let command = format!("wordraft node --relay {link}");
    html! {
        <section class="card" aria-labelledby="invite-title">
            <h2 id="invite-title">{ "Add a machine" }</h2>
            <p>{ "Open this link in another tab or browser: it becomes a member." }</p>
            <Copyable text={link} what="link" />
            <p>{ "Or start a server that joins:" }</p>
            <Copyable text={command} what="command" />
        </section>
    }
}

#[derive(PartialEq, Properties)]
struct CopyableProps {
    text: String,
    what: &'static str,
}

#[component]
fn Copyable(props: &CopyableProps) -> Html {
    let copied = use_state(|| false);
    let copy = {
        let (text, copied) = (props.text.clone(), copied.clone());
        Callback::from(move |_: MouseEvent| {
            let Some(window) = window() else { return };
            let clipboard = window.navigator().clipboard();
            // Pages of an insecure origin have none. The text is on show, to be copied by hand.
            if !clipboard.is_undefined() {
                let _may_be_refused = clipboard.write_text(&text);
                copied.set(true);
            }
        })
    };
    html! {
        <p class="copyable">
            <code>{ props.text.clone() }</code>
            <button onclick={copy} aria-label={format!("Copy the {}", props.what)}>
                { if *copied { "Copied" } else { "Copy" } }
            </button>
        </p>
    }
}
