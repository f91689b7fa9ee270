//! The texts that the cluster keeps.

use super::format::bytes;
use super::hub::Hub;
use super::model::Model;
use shared::state_machine::Document;
use shared::words::Mode;
use std::rc::Rc;
use yew::prelude::*;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub model: UseReducerHandle<Model>,
}

#[component]
pub fn Documents(props: &Props) -> Html {
    let mut documents: Vec<Rc<Document>> = props.model.documents.values().cloned().collect();
    if documents.is_empty() {
        return Html::default();
    }
    documents.sort_by_key(|document| std::cmp::Reverse((document.added_at, document.id)));
    html! {
        <section class="card" aria-labelledby="documents-title">
            <h2 id="documents-title">{ "Texts" }</h2>
            <ul class="list" id="documents">
                { for documents.iter().map(|document| html! {
                    <Line key={document.id.to_string()} document={document.clone()} />
                }) }
            </ul>
        </section>
    }
}

#[derive(PartialEq, Properties)]
struct LineProps {
    document: Rc<Document>,
}

#[component]
fn Line(props: &LineProps) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let document = &props.document;
    let id = document.id;
    let again = {
        let hub = hub.clone();
        Callback::from(move |_: MouseEvent| hub.count_again(id, Mode::default()))
    };
    html! {
        <li>
            <span class="name">{ document.name.clone() }</span>
            <span class="quiet">
                { bytes(document.bytes) }
                if document.expires_at.is_some() {
                    { ", kept for a day" }
                }
            </span>
            <span class="actions">
                <button onclick={again} aria-label={format!("Count {} again", document.name)}>{ "Count again" }</button>
                <button onclick={move |_: MouseEvent| hub.delete(id)} aria-label={format!("Delete {}", document.name)}>
                    { "Delete" }
                </button>
            </span>
        </li>
    }
}
