//! What stores and reads keys: each kind of server through the interface that it is best at, both with connections that
//! stay open, on the same runtime.

pub mod grpc;
mod http;

use anyhow::Result;
use bytes::Bytes;
use grpc::Grpc;
use http::Http;

#[derive(Clone)]
pub enum Client {
    Wordraft(Http),
    Etcd(Grpc),
}

impl Client {
    /// `keys`: the URL that keys are below.
    pub fn wordraft(keys: &str) -> Client {
        Client::Wordraft(Http::new(keys))
    }

    pub fn etcd(address: &str) -> Client {
        Client::Etcd(Grpc::new(address))
    }

    /// `Ok` when the cluster has acknowledged it. An error says nothing about whether it is stored.
    pub async fn put(&mut self, key: &str, value: Bytes) -> Result<()> {
        match self {
            Client::Wordraft(http) => http.put(key, value).await,
            Client::Etcd(grpc) => grpc.put(key, value).await,
        }
    }

    /// A linearizable read.
    pub async fn get(&mut self, key: &str) -> Result<Option<Bytes>> {
        match self {
            Client::Wordraft(http) => http.get(key).await,
            Client::Etcd(grpc) => grpc.get(key).await,
        }
    }
}
