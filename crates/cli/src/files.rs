//! `puna files`: files on a running server.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use futures::TryStreamExt;
use puna_api::{Error, File, Result};
use reqwest::Method;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::Invocation;
use crate::args::{FilesArgs, FilesCommand, FilesGetArgs, FilesListArgs, FilesShowArgs, FilesUploadArgs};
use crate::output;
use crate::runtime::block_on;
use crate::server::{Server, broken, segment};
use crate::transfer::{Upload, bytes_bar, size, unreadable};

pub(crate) fn files(invocation: &Invocation, args: FilesArgs) -> Result<()> {
    block_on(async {
        let server = Server::of(invocation, &args.server)?;
        match args.command {
            FilesCommand::Upload(args) => upload(&server, &args).await,
            FilesCommand::List(args) => list(&server, &args).await,
            FilesCommand::Show(args) => show(&server, &args).await,
            FilesCommand::Get(args) => get(&server, &args).await,
            FilesCommand::Rm(args) => {
                for id in &args.ids {
                    server.delete(&format!("/v1/files/{}", segment(id))).await?;
                    output::say(&format!("removed {id}\n"))?;
                }
                Ok(())
            }
        }
    })
}

async fn upload(server: &Server, args: &FilesUploadArgs) -> Result<()> {
    for path in &args.files {
        let about = std::fs::metadata(path).map_err(|error| unreadable(path, error))?;
        if !about.is_file() {
            let message = format!("{} is not a file; `puna stores add` takes folders", path.display());
            return Err(Error::invalid_request(message));
        }
        let name = name(path)?;
        let bar = bytes_bar(about.len()).with_message(name.to_owned());
        let upload = Upload {
            file: path,
            name,
            purpose: &args.purpose,
            expires_after: args.expires_after,
        };
        let uploaded = server.upload(upload, &bar).await;
        bar.finish_and_clear();
        let file = uploaded?;
        output::remark(&format!("{} ({})", path.display(), size(file.bytes)));
        output::say(&format!("{}\n", file.id))?;
    }
    Ok(())
}

async fn list(server: &Server, args: &FilesListArgs) -> Result<()> {
    let purpose = args.purpose.as_deref().map(|purpose| ("purpose", purpose));
    let query: Vec<_> = purpose.into_iter().collect();
    let files: Vec<File> = server.list("/v1/files", &query).await?;
    if args.json {
        return output::json(&files);
    }
    let mut rows = vec![["ID", "SIZE", "PURPOSE", "NAME"].map(str::to_owned).to_vec()];
    rows.extend(files.into_iter().map(|file| {
        vec![
            file.id,
            size(file.bytes),
            file.purpose.name().to_owned(),
            output::printable(&file.filename),
        ]
    }));
    output::say(&output::columns(&rows))
}

async fn show(server: &Server, args: &FilesShowArgs) -> Result<()> {
    let file: Value = server.get(&format!("/v1/files/{}", segment(&args.id)), &[]).await?;
    if args.json {
        return output::json(&file);
    }
    output::say(&output::fields(&file))
}

async fn get(server: &Server, args: &FilesGetArgs) -> Result<()> {
    if args.output.is_none() && io::stdout().is_terminal() {
        let message = "the content may be no text for a terminal; name a file with --output";
        return Err(Error::invalid_request(message));
    }
    let request = server.request(Method::GET, &format!("/v1/files/{}/content", segment(&args.id)));
    let mut pieces = server.send(request).await?.bytes_stream();
    let Some(path) = &args.output else {
        let mut out = io::stdout().lock();
        while let Some(piece) = pieces.try_next().await.map_err(broken)? {
            match out.write_all(&piece) {
                // A reader that has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.map_err(|error| unwritable(Path::new("standard output"), error))?,
            }
        }
        return out
            .flush()
            .map_err(|error| unwritable(Path::new("standard output"), error));
    };
    let failed = |error| unwritable(path, error);
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    while let Some(piece) = pieces.try_next().await.map_err(broken)? {
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

/// What a file is called on the server.
pub(crate) fn name(path: &Path) -> Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Error::invalid_request(format!("{} has no name in UTF-8 to give to the server", path.display())))
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::internal(format!("failed to write {}: {error}", path.display())).with_source(error)
}
