//! `wordraft documents`.

use super::client::Client;
use super::failure::Failure;
use super::grid::{Align, Grid};
use super::output::Output;
use super::size::thousands;
use super::{Global, input, moment, upload};
use ::relay::http::{DocumentList, DocumentView};
use reqwest::Method;
use shared::ids::DocumentId;
use std::path::PathBuf;

/// List, store, read and delete texts on the cluster
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the stored texts
    Ls,
    /// Store texts for good
    Add {
        /// Files to store; - is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Another name than the file's
        #[arg(long)]
        name: Option<String>,
    },
    /// Write a text to the standard output
    Get { document: DocumentId },
    /// Delete texts
    Rm {
        #[arg(required = true, value_name = "DOCUMENT")]
        documents: Vec<DocumentId>,
    },
}

pub async fn run(global: &Global, arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(global.relay.clone())?;
    match arguments.command {
        Command::Ls => list(&client, output).await,
        Command::Add { files, name } => add(&client, files, name, output).await,
        Command::Get { document } => get(&client, document, output).await,
        Command::Rm { documents } => remove(&client, documents, output).await,
    }
}

async fn list(client: &Client, output: &mut Output) -> Result<(), Failure> {
    let list: DocumentList = client.get("documents").await?;
    if output.is_json() {
        return output.json(&list);
    }
    let mut grid = Grid::new([
        ("id", Align::Left),
        ("bytes", Align::Right),
        ("chunks", Align::Right),
        ("added", Align::Left),
        ("kept", Align::Left),
        ("name", Align::Left),
    ]);
    for DocumentView { id, name, bytes, chunks, added_at, expires_at } in list.documents {
        let kept =
            expires_at.map_or_else(|| "for good".to_owned(), |at| format!("for {}", moment::until(at)));
        grid.row([id.to_string(), thousands(bytes), thousands(chunks), moment::ago(added_at), kept, name]);
    }
    grid.write("No texts are stored. `wordraft documents add FILE` stores one.", output)
}

async fn add(
    client: &Client,
    files: Vec<PathBuf>,
    name: Option<String>,
    output: &mut Output,
) -> Result<(), Failure> {
    let inputs = input::all(files)?;
    if name.is_some() && inputs.len() > 1 {
        return Err(Failure::usage("--name is for one file").hint("add the files one by one"));
    }
    let mut documents = Vec::with_capacity(inputs.len());
    for input in &inputs {
        let name = name.clone().unwrap_or_else(|| input.document_name());
        let document = upload::upload(client, input, &name, true).await?;
        if !output.is_json() {
            output.line(document.id)?;
            output.flush()?;
        }
        documents.push(document);
    }
    if output.is_json() { output.json(&DocumentList { documents }) } else { Ok(()) }
}

async fn get(client: &Client, document: DocumentId, output: &mut Output) -> Result<(), Failure> {
    let request = client.request(Method::GET, &format!("documents/{document}/content"));
    client.copy(client.send(request).await?, output).await
}

async fn remove(client: &Client, documents: Vec<DocumentId>, output: &mut Output) -> Result<(), Failure> {
    for document in &documents {
        client.delete(&format!("documents/{document}")).await?;
    }
    if output.is_json() { output.json(&serde_json::json!({"removed": documents})) } else { Ok(()) }
}
