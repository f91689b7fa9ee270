//! A cluster as it shows itself over HTTP, through a relay or a node.

use crate::http::Http;
use crate::text::Text;
use crate::wait::until;
use serde_json::{Value, json};
use std::time::Duration;

/// Elections, joining and counting on a machine that is busy with browsers.
pub const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Cluster {
    room: Http,
}

impl Cluster {
    /// `room` is `…/api/v1/rooms/ROOM`.
    pub fn new(room: Http) -> Cluster {
        Cluster { room }
    }

    pub fn room(&self) -> &Http {
        &self.room
    }

    /// Waits until the cluster looks like that, and returns how it looks.
    pub async fn see(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(what, PATIENCE, async || match self.room.get("cluster").await {
            Ok(answer) if answer.status == 200 => Some(answer.json()).filter(&holds).ok_or(answer.text()),
            Ok(answer) => Err(answer.text()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    pub async fn see_voters(&self, voters: usize) -> Value {
        self.see(&format!("{voters} voters"), |view| {
            view["quorum"]["voters"] == voters && view["quorum"]["healthy"] == true
        })
        .await
    }

    /// Waits until a member is online, caught up and called so; its id.
    pub async fn see_member(&self, name: &str) -> String {
        let is_it = |member: &Value| {
            member["name"] == name && member["online"] == true && member["role"] != "joining"
        };
        let view = self.see(name, |view| members(view).iter().any(is_it)).await;
        let member = members(&view).iter().find(|member| is_it(member)).expect("just seen");
        member["node"].as_str().expect("an id is a text").to_owned()
    }

    /// Hands leadership over and waits until everybody asked here knows. A refusal may pass: a voter that is too new.
    pub async fn make_leader(&self, node: &str) {
        until("a transfer of leadership", PATIENCE, async || {
            let answer = self.room.post_json("cluster/transfer", &json!({ "to": node })).await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
        })
        .await;
        self.see("the new leader", |view| view["leader"] == node).await;
    }

    /// The job's state and figures.
    pub async fn job(&self, job: &str) -> Result<Value, String> {
        let answer = self.room.get(&format!("jobs/{job}")).await.map_err(|error| error.to_string())?;
        if answer.status == 200 { Ok(answer.json()) } else { Err(answer.text()) }
    }

    /// Waits for the end of a job, which must be a good one; its result.
    pub async fn result(&self, job: &str) -> Value {
        let done = until("the end of the job", PATIENCE, async || {
            let view = self.job(job).await?;
            if view["state"] == "running" { Err(view.to_string()) } else { Ok(view) }
        })
        .await;
        assert_eq!(done["state"], "done", "{done}");
        done["result"].clone()
    }

    /// The result is the text's, to the last row of its table.
    pub async fn assert_exact(&self, job: &str, text: &Text) -> Value {
        let result = self.result(job).await;
        for (key, expected) in
            [("total", text.total), ("unique", text.unique()), ("bytes", text.bytes), ("lines", text.lines)]
        {
            assert_eq!(result[key], expected, "{key}: {result}");
        }
        let counted = result["workers"].as_array().expect("a list").iter().map(|worker| &worker["bytes"]);
        assert_eq!(counted.filter_map(Value::as_u64).sum::<u64>(), text.bytes, "each byte counted once");
        let path = format!("jobs/{job}/words?format=csv");
        let table = until("the complete table", PATIENCE, async || {
            let answer = self.room.get(&path).await.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(answer.text()) } else { Err(answer.text()) }
        })
        .await;
        assert!(table == text.csv(), "the table differs from the reference: {} bytes", table.len());
        result
    }
}

pub fn members(view: &Value) -> &[Value] {
    view["members"].as_array().map(Vec::as_slice).unwrap_or_default()
}
