//! `wordraft status`, `members` and `leader`.

use super::client::Client;
use super::failure::{Failure, Kind};
use super::grid::{Align, Grid};
use super::output::Output;
use super::size::{show, thousands};
use super::{Global, watch};
use ::relay::http::Transfer;
use reqwest::Method;
use shared::ids::NodeId;
use shared::node::api::{ClusterView, MemberView, RoleView};
use shared::wire::session::Kind as NodeKind;
use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;

/// Show the cluster: who is there, who leads, how far everybody is
#[derive(Debug, clap::Args)]
pub struct StatusArguments {
    /// Show it again whenever something changes
    #[arg(long)]
    watch: bool,
}

/// List members, or remove one
#[derive(Debug, clap::Args)]
pub struct MembersArguments {
    #[command(subcommand)]
    command: MembersCommand,
}

#[derive(Debug, clap::Subcommand)]
enum MembersCommand {
    /// List the members
    Ls,
    /// Remove a member; one that is still connected comes back
    Remove {
        /// Its id or its name
        member: String,
    },
}

/// Show the leader, or have another one elected
#[derive(Debug, clap::Args)]
pub struct LeaderArguments {
    #[command(subcommand)]
    command: LeaderCommand,
}

#[derive(Debug, clap::Subcommand)]
enum LeaderCommand {
    /// Show who leads
    Show,
    /// Hand the leadership over
    Transfer {
        /// The id or name of another voter [default: the best one]
        member: Option<String>,
    },
}

const CLEAR_SCREEN: &[u8] = b"\x1b[H\x1b[2J\x1b[3J";

pub async fn status(global: &Global, arguments: StatusArguments, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(global.relay.clone())?;
    if !arguments.watch {
        return write_view(&fetch(&client).await?, output);
    }
    let watched = watch::events(&client, "cluster/events", None, |event| {
        if event.name == "cluster" {
            if std::io::stdout().is_terminal() && !output.is_json() {
                output.bytes(CLEAR_SCREEN)?;
            }
            write_view(&watch::parse(&event.data)?, output)?;
            output.flush()?;
        }
        Ok(ControlFlow::Continue(()))
    });
    watched.await.map(|never: Infallible| match never {})
}

pub async fn members(
    global: &Global,
    arguments: MembersArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let client = Client::new(global.relay.clone())?;
    let view = fetch(&client).await?;
    match arguments.command {
        MembersCommand::Ls if output.is_json() => output.json(&serde_json::json!({"members": view.members})),
        MembersCommand::Ls => write_members(&view, output),
        MembersCommand::Remove { member } => {
            let node = find(&view, &member)?.node;
            client.delete(&format!("cluster/members/{node}")).await?;
            if output.is_json() { output.json(&serde_json::json!({"removed": node})) } else { Ok(()) }
        }
    }
}

pub async fn leader(global: &Global, arguments: LeaderArguments, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(global.relay.clone())?;
    match arguments.command {
        LeaderCommand::Show => write_leader(&fetch(&client).await?, output),
        LeaderCommand::Transfer { member } => {
            let to = match member {
                Some(member) => Some(find(&fetch(&client).await?, &member)?.node),
                None => None,
            };
            let request = client.request(Method::POST, "cluster/transfer").json(&Transfer { to });
            write_leader(&client.fetch(request).await?, output)
        }
    }
}

async fn fetch(client: &Client) -> Result<ClusterView, Failure> {
    client.get("cluster").await
}

fn find<'a>(view: &'a ClusterView, member: &str) -> Result<&'a MemberView, Failure> {
    let id = member.parse::<NodeId>().ok();
    let named: Vec<&MemberView> =
        view.members.iter().filter(|other| Some(other.node) == id || other.name == member).collect();
    match named.as_slice() {
        [found] => Ok(found),
        [] => Err(Failure::new(Kind::NotFound, format!("there is no member \"{member}\""))
            .hint("`wordraft members ls` lists their names and ids")),
        _ => Err(Failure::new(Kind::NotFound, format!("several members are called \"{member}\""))
            .hint("use the id")),
    }
}

fn write_leader(view: &ClusterView, output: &mut Output) -> Result<(), Failure> {
    let leader = view.leader.and_then(|leader| view.members.iter().find(|member| member.node == leader));
    let Some(MemberView { node, name, kind, .. }) = leader else {
        let trouble = view.trouble.clone().unwrap_or_else(|| "an election is under way".to_owned());
        return Err(Failure::new(Kind::Unavailable, format!("there is no leader: {trouble}"))
            .hint("try again in a moment"));
    };
    let term = view.term;
    if output.is_json() {
        return output.json(&serde_json::json!({"node": node, "name": name, "kind": kind, "term": term}));
    }
    output.line(format!("{name} ({}, {node}) leads in term {term}", kind_name(*kind)))
}

fn write_view(view: &ClusterView, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(view);
    }
    let leader = view.leader.and_then(|leader| view.members.iter().find(|member| member.node == leader));
    let leads = leader.map_or_else(|| "no leader".to_owned(), |leader| format!("leader {}", leader.name));
    let quorum = view.quorum;
    output.line(format!(
        "{} voters, {} online, {leads}, term {}, can lose {}",
        quorum.voters, quorum.online, view.term, quorum.can_lose
    ))?;
    if let Some(trouble) = &view.trouble {
        output.line(output.bold(trouble))?;
    }
    output.line("")?;
    write_members(view, output)
}

fn write_members(view: &ClusterView, output: &mut Output) -> Result<(), Failure> {
    let mut grid = Grid::new([
        ("node", Align::Left),
        ("name", Align::Left),
        ("kind", Align::Left),
        ("role", Align::Left),
        ("term", Align::Right),
        ("last", Align::Right),
        ("commit", Align::Right),
        ("applied", Align::Right),
        ("lag", Align::Right),
        ("chunks", Align::Right),
        ("speed", Align::Right),
    ]);
    for member in &view.members {
        let role = role_name(member.role);
        grid.row([
            member.node.to_string(),
            member.name.clone(),
            kind_name(member.kind).to_owned(),
            if member.online { role.to_owned() } else { format!("{role}, away") },
            member.term.to_string(),
            thousands(member.last),
            thousands(member.commit),
            thousands(member.applied),
            thousands(member.lag),
            thousands(member.chunks),
            if member.speed == 0 { "-".to_owned() } else { format!("{}/s", show(member.speed)) },
        ]);
    }
    grid.write("There are no members yet.", output)
}

fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Tab => "tab",
        NodeKind::Server => "server",
    }
}

fn role_name(role: RoleView) -> &'static str {
    match role {
        RoleView::Leader => "leader",
        RoleView::Candidate => "candidate",
        RoleView::Follower => "follower",
        RoleView::Learner => "learner",
        RoleView::Joining => "joining",
    }
}
