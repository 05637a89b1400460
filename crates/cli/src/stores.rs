//! `puna stores`: vector stores on a running server.

use puna_api::{Error, Result};
use serde_json::{Value, json};

use crate::Invocation;
use crate::args::{
    StoresArgs, StoresCommand, StoresCreateArgs, StoresListArgs, StoresRmArgs, StoresSearchArgs, StoresShowArgs,
};
use crate::output;
use crate::runtime::block_on;
use crate::server::{Server, segment};
use crate::stores::wire::{Passages, Store, StoreFile};
use crate::transfer::size;

mod add;
mod documents;
mod wire;

/// How much of a passage is shown, in characters.
const SHOWN: usize = 400;

pub(crate) fn stores(invocation: &Invocation, args: StoresArgs) -> Result<()> {
    block_on(async {
        let server = Server::of(invocation, &args.server)?;
        match args.command {
            StoresCommand::Create(args) => create(&server, &args).await,
            StoresCommand::Add(args) => add::add(&server, &args).await,
            StoresCommand::Search(args) => search(&server, &args).await,
            StoresCommand::List(args) => list(&server, &args).await,
            StoresCommand::Show(args) => show(&server, &args).await,
            StoresCommand::Rm(args) => remove(&server, &args).await,
        }
    })
}

async fn create(server: &Server, args: &StoresCreateArgs) -> Result<()> {
    let mut body = json!({ "name": args.name });
    if let Some(model) = &args.embedding_model {
        body["embedding_model"] = model.as_str().into();
    }
    if let Some(days) = args.expires_after {
        body["expires_after"] = json!({ "anchor": "last_active_at", "days": days });
    }
    let store: Store = server.post("/v1/vector_stores", &body).await?;
    output::say(&format!("{}\n", store.id))
}

async fn search(server: &Server, args: &StoresSearchArgs) -> Result<()> {
    let store = find(server, &args.store).await?;
    let mut body = json!({ "query": args.query, "max_num_results": args.limit });
    if let Some(mode) = &args.mode {
        body["search_mode"] = mode.as_str().into();
    }
    if let Some(filter) = &args.filter {
        body["filters"] = serde_json::from_str(filter)
            .map_err(|error| Error::invalid_request(format!("--filter is not JSON: {error}")))?;
    }
    let found: Value = server.post(&format!("{}/search", path(&store)), &body).await?;
    if args.json {
        return output::json(&found);
    }
    let found: Passages = serde_json::from_value(found)
        .map_err(|error| Error::unavailable("the server's answer cannot be read").with_source(error))?;
    if found.data.is_empty() {
        output::remark("nothing found");
    }
    for passage in found.data {
        let name = passage.attributes.path().unwrap_or(&passage.filename);
        let text: Vec<_> = passage
            .content
            .iter()
            .flat_map(|piece| piece.text.split_whitespace())
            .collect();
        let text = text.join(" ");
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let name = output::printable(name);
        let shown = output::printable(&shown);
        output::say(&format!("{:.3}  {name}\n  {shown}\n\n", passage.score))?;
    }
    Ok(())
}

async fn list(server: &Server, args: &StoresListArgs) -> Result<()> {
    if args.json {
        let stores: Vec<Value> = server.list("/v1/vector_stores", &[]).await?;
        return output::json(&stores);
    }
    let stores: Vec<Store> = server.list("/v1/vector_stores", &[]).await?;
    let mut rows = vec![["ID", "STATUS", "FILES", "SIZE", "NAME"].map(str::to_owned).to_vec()];
    rows.extend(stores.into_iter().map(|store| {
        vec![
            store.id,
            store.status,
            store.file_counts.total.to_string(),
            size(store.usage_bytes),
            output::printable(&store.name.unwrap_or_default()),
        ]
    }));
    output::say(&output::columns(&rows))
}

async fn show(server: &Server, args: &StoresShowArgs) -> Result<()> {
    let store = find(server, &args.store).await?;
    let about: Value = server.get(&path(&store), &[]).await?;
    let files = format!("{}/files", path(&store));
    if args.json {
        let files: Vec<Value> = server.list(&files, &[]).await?;
        return output::json(&json!({ "store": about, "files": files }));
    }
    let files: Vec<StoreFile> = server.list(&files, &[]).await?;
    let rows: Vec<_> = files
        .into_iter()
        .map(|file| {
            let error = file.last_error.map(|error| error.message).unwrap_or_default();
            let name = file.attributes.path().unwrap_or_default().to_owned();
            vec![
                format!("  {}", file.id),
                file.status,
                output::printable(&name),
                output::printable(&error),
            ]
        })
        .collect();
    output::say(&format!("{}files\n{}", output::fields(&about), output::columns(&rows)))
}

async fn remove(server: &Server, args: &StoresRmArgs) -> Result<()> {
    let store = find(server, &args.store).await?;
    server.delete(&path(&store)).await?;
    output::say(&format!("removed {store}\n"))
}

fn path(store: &str) -> String {
    format!("/v1/vector_stores/{}", segment(store))
}

/// The id of the store that is named by its id or its name.
async fn find(server: &Server, store: &str) -> Result<String> {
    if store.starts_with("vs_") {
        return Ok(store.to_owned());
    }
    let stores: Vec<Store> = server.list("/v1/vector_stores", &[]).await?;
    let mut same = stores.into_iter().filter(|other| other.name.as_deref() == Some(store));
    match (same.next(), same.next()) {
        (Some(found), None) => Ok(found.id),
        (Some(one), Some(other)) => Err(Error::invalid_request(format!(
            "several stores are called `{store}`, such as {} and {}; name one by its id",
            one.id, other.id
        ))),
        _ => Err(Error::not_found(format!(
            "no store is called `{store}`; make one with `puna stores create {store}`"
        ))),
    }
}
