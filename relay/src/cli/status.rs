//! `wordraft status`, `members` and `leader`.

use super::client::Client;
use super::failure::{Failure, Kind};
use super::grid::{Align, Grid};
use super::output::{Output, printable};
use super::size::{show, thousands};
use super::{Global, watch};
use ::relay::http::Transfer;
use reqwest::Method;
use shared::ids::NodeId;
use shared::node::api::{ClusterView, MemberView, QuorumView, RoleView};
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
    let leader = leader_of(view).ok_or_else(|| no_leader(view))?;
    if output.is_json() {
        let MemberView { node, name, kind, .. } = leader;
        let leader = serde_json::json!({"node": node, "name": name, "kind": kind, "term": view.term});
        return output.json(&leader);
    }
    output.line(leader_line(leader, view.term))
}

fn leader_line(leader: &MemberView, term: u64) -> String {
    let MemberView { node, name, kind, .. } = leader;
    format!("{} ({}, {node}) leads in term {term}", printable(name), kind_name(*kind))
}

fn no_leader(view: &ClusterView) -> Failure {
    let trouble = printable(view.trouble.as_deref().unwrap_or("an election is under way"));
    let remedy = printable(view.remedy.as_deref().unwrap_or("try again in a moment")).to_string();
    Failure::new(Kind::Unavailable, format!("there is no leader: {trouble}")).hint(remedy)
}

fn write_view(view: &ClusterView, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(view);
    }
    output.line(headline(view))?;
    trouble_lines(view, output).into_iter().try_for_each(|line| output.line(line))?;
    output.line("")?;
    write_members(view, output)
}

fn headline(view: &ClusterView) -> String {
    let leads = leader_of(view)
        .map_or_else(|| "no leader".to_owned(), |leader| format!("leader {}", printable(&leader.name)));
    let QuorumView { voters, online, can_lose, .. } = view.quorum;
    format!("{voters} voters, {online} online, {leads}, term {}, can lose {can_lose}", view.term)
}

/// What is wrong, and what restores it.
fn trouble_lines(view: &ClusterView, output: &Output) -> Vec<String> {
    let trouble = view.trouble.iter().map(|trouble| output.bold(printable(trouble)));
    trouble.chain(view.remedy.iter().map(|remedy| printable(remedy).to_string())).collect()
}

fn leader_of(view: &ClusterView) -> Option<&MemberView> {
    view.leader.and_then(|leader| view.members.iter().find(|member| member.node == leader))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster of one, whose names command terminals.
    fn view(leads: bool) -> ClusterView {
        let (node, evil) = ("aaaaaaaaaaaaaaaa", "\u{1b}[2J");
        let view = serde_json::json!({
            "node": node, "cluster": null, "term": 1, "leader": leads.then_some(node), "trouble": evil,
            "remedy": evil, "trouble_code": "no_majority",
            "quorum": {"voters": 1, "online": 1, "needed": 1, "can_lose": 0, "healthy": leads},
            "members": [{
                "node": node, "name": evil, "kind": "server", "role": "leader", "online": true, "hidden": false,
                "http": null, "term": 1, "last": 1, "commit": 1, "applied": 1, "lag": 0, "chunks": 0, "bytes": 0,
                "speed": 0, "threads": 1, "busy": 0, "digest": "",
            }],
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn names_and_troubles_cannot_command_the_terminal() {
        let output = Output::new(false);
        let [trouble, remedy] = trouble_lines(&view(true), &output).try_into().expect("both");
        let lines = [
            headline(&view(true)),
            trouble,
            remedy,
            leader_line(leader_of(&view(true)).unwrap(), 1),
            no_leader(&view(false)).to_string(),
        ];
        for line in lines {
            assert!(line.contains("\\u{1b}[2J") && !line.contains("\u{1b}[2J"), "{line}");
        }
    }
}
