//! The few calls of etcd's gRPC interface that are needed, from its `rpc.proto`, written down here so that nobody needs a
//! compiler for it. Fields that are not read are left out.

use anyhow::Result;
use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// Clones share a connection, as HTTP/2 is made for.
#[derive(Clone)]
pub struct Grpc {
    calls: tonic::client::Grpc<Channel>,
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct StatusRequest {}

/// How one member sees its cluster.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    /// 0 while there is none.
    #[prost(uint64, tag = "4")]
    pub leader: u64,
    #[prost(uint64, tag = "7")]
    pub applied: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member: u64,
}

impl Status {
    pub fn is_leader(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.member == self.leader)
    }
}

impl Grpc {
    /// It connects with its first call, and again when the connection is lost.
    pub fn new(address: &str) -> Grpc {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address makes a URL");
        Grpc { calls: tonic::client::Grpc::new(endpoint.tcp_nodelay(true).connect_lazy()) }
    }

    pub async fn put(&mut self, key: &str, value: Bytes) -> Result<()> {
        let request = PutRequest { key: Bytes::copy_from_slice(key.as_bytes()), value };
        let PutResponse {} = self.call("/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }

    pub async fn get(&mut self, key: &str) -> Result<Option<Bytes>> {
        let request = RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()) };
        let RangeResponse { kvs } = self.call("/etcdserverpb.KV/Range", request).await?;
        Ok(kvs.into_iter().next().map(|found| found.value))
    }

    pub async fn status(&mut self) -> Result<Status> {
        self.call("/etcdserverpb.Maintenance/Status", StatusRequest {}).await
    }

    async fn call<T, U>(&mut self, method: &'static str, request: T) -> Result<U>
    where
        T: Message + Send + 'static,
        U: Message + Default + Send + 'static,
    {
        self.calls.ready().await?;
        let path = PathAndQuery::from_static(method);
        let answer = self.calls.unary(Request::new(request), path, ProstCodec::<T, U>::default()).await?;
        Ok(answer.into_inner())
    }
}
