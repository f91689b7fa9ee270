//! The members: a map to see at a glance, and a table with the figures behind it.

use super::format::{bytes, count};
use super::hub::Hub;
use super::map::Map;
use super::model::Model;
use super::place::Place;
use super::text;
use crate::bridge::StorageView;
use shared::node::api::{ClusterView, MemberView, RoleView};
use std::rc::Rc;
use yew::prelude::*;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub model: UseReducerHandle<Model>,
}

#[component]
pub fn Cluster(props: &Props) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let model = &props.model;
    let Some(view) = &model.cluster else { return Html::default() };
    html! {
        <section class="card" aria-labelledby="cluster-title">
            <h2 id="cluster-title">{ "The cluster" }</h2>
            <Map view={view.clone()} me={model.me.as_ref().map(|me| me.node)} />
            <div class="scroll" tabindex="0" role="region" aria-label="Members and their figures">
                <table id="members">
                    <thead>
                        <tr>
                            <th scope="col">{ "Member" }</th>
                            <th scope="col">{ "Role" }</th>
                            <th scope="col" class="number">{ "Term" }</th>
                            <th scope="col" class="number">{ "Last" }</th>
                            <th scope="col" class="number">{ "Commit" }</th>
                            <th scope="col" class="number">{ "Applied" }</th>
                            <th scope="col" class="number">{ "Stored" }</th>
                        </tr>
                    </thead>
                    <tbody>{ for view.members.iter().map(|member| row(&hub, model, view, member)) }</tbody>
                </table>
            </div>
            <StorageLine storage={model.storage.clone().map(Rc::new)} />
            <Recording />
        </section>
    }
}

fn row(hub: &Hub, model: &Model, view: &ClusterView, member: &MemberView) -> Html {
    html! {
        <tr key={member.node.to_string()} data-node={member.node.to_string()} data-role={text::role(member.role)}
            class={classes!((!member.online).then_some("gone"), model.is_me(member.node).then_some("mine"))}>
            <th scope="row">
                { member.name.clone() }
                if model.is_me(member.node) {
                    <span class="pill">{ "you" }</span>
                }
                <span class="quiet" title={format!("Digest of the state: {}", member.digest)}>
                    { format!("{}, {}", text::kind(member.kind), state(view, member)) }
                </span>
            </th>
            <td>{ role(hub, member) }</td>
            <td class="number">{ member.term }</td>
            <td class="number">{ count(member.last) }</td>
            <td class="number">{ count(member.commit) }</td>
            <td class="number">{ count(member.applied) }</td>
            <td class="number" title={format!("{} chunks", member.chunks)}>
                { bytes(member.bytes) }
                if member.speed > 0 {
                    <span class="quiet">{ format!("{}/s", bytes(member.speed)) }</span>
                }
            </td>
        </tr>
    }
}

/// The role; a follower can be made the leader here.
fn role(hub: &Hub, member: &MemberView) -> Html {
    let name = text::role(member.role);
    let (hub, node) = (hub.clone(), member.node);
    match member.role {
        RoleView::Leader => html! { <strong>{ format!("★ {name}") }</strong> },
        RoleView::Follower if member.online => html! {
            <>
                { name }
                <button class="small" onclick={move |_: MouseEvent| hub.transfer(node)}
                    aria-label={format!("Make {} the leader", member.name)}>{ "make leader" }</button>
            </>
        },
        _ => html! { name },
    }
}

/// Members that applied the same log must hold the same state: a difference would be a defect, and is shown.
fn state(view: &ClusterView, member: &MemberView) -> String {
    let differs = |other: &MemberView| {
        other.applied == member.applied && other.online && member.online && other.digest != member.digest
    };
    match member {
        MemberView { online: false, .. } => "away".to_owned(),
        _ if view.members.iter().any(differs) => "state differs!".to_owned(),
        MemberView { lag: 0, hidden: true, .. } => "hidden".to_owned(),
        MemberView { lag: 0, busy: 0, .. } => "up to date".to_owned(),
        MemberView { lag: 0, .. } => "counting".to_owned(),
        MemberView { lag, .. } => format!("{} behind", count(*lag)),
    }
}

/// Where a tab records: the way to what it recorded.
#[component]
pub fn Recording() -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    if !Place::here().is_ok_and(|place| place.record) {
        return Html::default();
    }
    let save = Callback::from(move |_: MouseEvent| hub.download_recording());
    html! {
        <p>
            <button class="small recording" onclick={save}
                title="Everything that this tab's node was told, texts included, for `wordraft replay`">
                { "Save the recording" }
            </button>
        </p>
    }
}

#[derive(PartialEq, Properties)]
struct StorageProps {
    storage: Option<Rc<StorageView>>,
}

#[component]
fn StorageLine(props: &StorageProps) -> Html {
    let Some(storage) = &props.storage else { return Html::default() };
    html! { <p class="quiet" id="storage">{ text::storage(storage) }</p> }
}
