//! What keeps a relay or a node from starting, in words that help.

mod kit;

use kit::{TestRelay, options};
use relay::driver::{
    Connection, DataError, NodeEnd, NodeHandle, NodeOptions, RelayAddress, StartError, start_node,
};
use relay::host::{self, HostError};
use shared::ids::RoomName;
use shared::node::NodeConfig;
use shared::node::api::{Reply, Request, RoleView};
use shared::wire::identity::RoomToken;
use shared::wire::session::Refusal;
use testkit::until;

fn node_options(relay: RelayAddress, directory: &std::path::Path) -> NodeOptions {
    NodeOptions {
        relay,
        data: Some(directory.to_owned()),
        name: None,
        http: None,
        threads: Some(1),
        record: None,
        config: NodeConfig::default(),
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = TestRelay::start(0).await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(0, directory.path());
    options.listen = first.relay.addr;
    let error = host::start(options).await.expect_err("two relays on one port");
    assert!(matches!(&error, HostError::AddressInUse { address } if *address == first.relay.addr), "{error}");
}

#[tokio::test]
async fn a_directory_in_use_is_named() {
    let first = TestRelay::start(1).await;
    let error =
        host::start(options(1, first.directory.path())).await.expect_err("two relays in one directory");
    assert!(matches!(error, HostError::Data(DataError::InUse { .. })), "{error}");

    let node = first.directory.path().join("node-1");
    let error =
        start_node(node_options(first.address(), &node)).await.expect_err("two nodes in one directory");
    assert!(matches!(error, StartError::Data(DataError::InUse { .. })), "{error}");
}

#[tokio::test]
async fn a_damaged_store_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("node.key"), [1; 32]).unwrap();
    std::fs::write(directory.path().join("log.journal"), vec![b'#'; 100_000]).unwrap();
    let relay =
        RelayAddress { origin: "http://127.0.0.1:9".to_owned(), room: RoomName::default(), token: None };
    let error = start_node(node_options(relay, directory.path())).await.expect_err("a damaged log");
    assert!(matches!(error, StartError::Data(DataError::DamagedLog { .. })), "{error}");
    assert!(error.to_string().contains("log.journal"), "{error}");
}

#[tokio::test]
async fn a_wrong_secret_ends_the_node() {
    let relay = TestRelay::start_with(0, |options, directory| {
        let file = directory.join("mine");
        std::fs::write(&file, "open sesame").unwrap();
        options.secret_file = Some(file);
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let address = RelayAddress { token: Some(RoomToken::member("open barley")), ..relay.address() };
    let node = start_node(node_options(address, directory.path())).await.unwrap();
    assert_eq!(node.ended().await, NodeEnd::Refused(Refusal::WrongSecret));
    let error = node.request(Request::Cluster).await.expect_err("a node that has ended");
    assert!(error.message.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_node_without_a_relay_keeps_trying_and_says_why() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = port.local_addr().unwrap();
    drop(port);
    let directory = tempfile::tempdir().unwrap();
    let address = RelayAddress { origin: format!("http://{addr}"), room: RoomName::default(), token: None };
    let node = start_node(node_options(address, directory.path())).await.unwrap();
    let mut connection = node.connection();
    let trouble =
        connection.wait_for(|state| matches!(state, Connection::Connecting { trouble: Some(_) })).await;
    assert!(format!("{:?}", *trouble.unwrap()).contains("cannot be reached"));

    // The relay comes up late, and the node finds it.
    let home = tempfile::tempdir().unwrap();
    let mut options = options(0, home.path());
    options.listen = addr;
    let relay = host::start(options).await.unwrap();
    let connected = connection.wait_for(|state| *state == Connection::Connected);
    tokio::time::timeout(kit::PATIENCE, connected).await.expect("in time").unwrap();
    assert_eq!(node.shutdown().await, NodeEnd::ShutDown);
    relay.shutdown().await;
}

/// A log that is lost takes votes and acknowledgements with it. Under its old id the node could vote twice in a term, and be
/// counted for what it does not have.
#[tokio::test]
async fn a_node_that_lost_its_data_comes_back_under_a_new_id() {
    let relay = TestRelay::start(1).await;
    let directory = tempfile::tempdir().unwrap();
    let is_member = async |node: &NodeHandle| {
        let id = node.id();
        until("it to be a member", kit::PATIENCE, async || {
            let reply = relay.relay.nodes[0].request(Request::Cluster).await;
            match reply {
                Ok(Reply::Cluster(view)) => {
                    let role = view.members.iter().find(|member| member.node == id).map(|member| member.role);
                    if role == Some(RoleView::Learner) { Ok(()) } else { Err(format!("{role:?}")) }
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };
    let before = start_node(node_options(relay.address(), directory.path())).await.unwrap();
    is_member(&before).await;
    before.shutdown().await;

    let again = start_node(node_options(relay.address(), directory.path())).await.unwrap();
    assert_eq!(again.id(), before.id(), "nothing was lost");
    is_member(&again).await;
    again.shutdown().await;

    std::fs::remove_file(directory.path().join("log.journal")).unwrap();
    let wiped = start_node(node_options(relay.address(), directory.path())).await.unwrap();
    assert_ne!(wiped.id(), before.id());
    is_member(&wiped).await;
    wiped.shutdown().await;
    relay.relay.shutdown().await;
}
