//! The conformance suite of files, against a server that speaks S3.

#![expect(clippy::unwrap_used, reason = "without a server there is nothing to try")]

use std::process::ExitCode;
use std::sync::Arc;

use puna_storage::Storage;
use puna_testkit::S3Server;
use puna_testkit::conformance::{self, FilesTarget};
use serde_json::json;

fn main() -> ExitCode {
    let server = S3Server::start().unwrap();
    let url = server.url().to_owned();
    let target = FilesTarget::new("stub", puna_provider_s3::PROVIDER, move |folder| {
        // Trials run at the same time, so each has a bucket of its own.
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        json!({
            "bucket_name": format!("files-{}", name.trim_start_matches('.').to_lowercase()),
            "endpoint_url": url,
            "aws_access_key_id": S3Server::ACCESS_KEY_ID,
            "aws_secret_access_key": S3Server::SECRET_ACCESS_KEY,
            "auto_create_bucket": true,
        })
    })
    .host(|host, folder| host.resource(Arc::new(Storage::in_folder(folder))));
    conformance::files(&[target])
}
