//! The cluster as a drawing: members on a circle around the relay.

use super::text;
use shared::ids::NodeId;
use shared::node::api::{ClusterView, MemberView, RoleView};
use shared::wire::session::Kind;
use std::f64::consts::TAU;
use std::rc::Rc;
use yew::prelude::*;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 250.0;
const CENTER: (f64, f64) = (WIDTH / 2.0, HEIGHT / 2.0 - 8.0);
const RADII: (f64, f64) = (178.0, 84.0);

/// Names longer than this are cut; the table has them whole.
const LABEL_CHARS_MAX: usize = 16;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub view: Rc<ClusterView>,
    pub me: Option<NodeId>,
}

#[component]
pub fn Map(props: &Props) -> Html {
    let members = &props.view.members;
    let places: Vec<(f64, f64)> = (0..members.len()).map(|at| place(at, members.len())).collect();
    let description = format!("{} members around a relay; the table below has the figures", members.len());
    html! {
        <svg class="map" viewBox={format!("0 0 {WIDTH} {HEIGHT}")} role="img" aria-label={description}>
            { for members.iter().zip(&places).map(|(member, &at)| link(member, at)) }
            <circle class="relay" cx={CENTER.0.to_string()} cy={CENTER.1.to_string()} r="17" />
            <text class="relay-label" x={CENTER.0.to_string()} y={(CENTER.1 + 3.5).to_string()}>{ "relay" }</text>
            { for members.iter().zip(&places).map(|(member, &at)| figure(member, at, props.me)) }
        </svg>
    }
}

fn place(at: usize, of: usize) -> (f64, f64) {
    let angle = TAU * (at as f64 / of.max(1) as f64 - 0.25);
    (CENTER.0 + RADII.0 * angle.cos(), CENTER.1 + RADII.1 * angle.sin())
}

fn link(member: &MemberView, (x, y): (f64, f64)) -> Html {
    let class = match member {
        MemberView { online: false, .. } => "link gone",
        MemberView { role: RoleView::Leader, .. } => "link leader",
        _ => "link",
    };
    html! { <line {class} x1={CENTER.0.to_string()} y1={CENTER.1.to_string()} x2={x.to_string()} y2={y.to_string()} /> }
}

/// A server is a square, a tab a circle; the leader wears a star and learners a broken line, so that no colour has to
/// be told from another.
fn figure(member: &MemberView, (x, y): (f64, f64), me: Option<NodeId>) -> Html {
    let mut label: String = member.name.chars().take(LABEL_CHARS_MAX).collect();
    if label.len() < member.name.len() {
        label.push('…');
    }
    let class = classes!(
        "member",
        text::role(member.role),
        (!member.online).then_some("gone"),
        (me == Some(member.node)).then_some("mine"),
    );
    let shape = match member.kind {
        Kind::Server => html! { <rect x="-15" y="-15" width="30" height="30" rx="6" /> },
        Kind::Tab => html! { <circle r="16" /> },
    };
    let sign = match (member.online, member.role) {
        (false, _) => "×",
        (_, RoleView::Leader) => "★",
        (_, RoleView::Candidate) => "?",
        (_, RoleView::Learner | RoleView::Joining) => "+",
        (_, RoleView::Follower) => "",
    };
    html! {
        <g {class} key={member.node.to_string()} transform={format!("translate({x:.1} {y:.1})")}>
            <title>{ format!("{}: {}, {}", member.name, text::kind(member.kind), text::role(member.role)) }</title>
            { shape }
            <text class="sign" y="6">{ sign }</text>
            <text class="label" y="31">{ label }</text>
        </g>
    }
}
