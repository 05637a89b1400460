//! The provider.

use std::sync::Arc;

use puna_api::{Api, Error, Host, Provider, Result, Services};
use puna_files::{StoredFiles, StoredFilesSettings};
use puna_storage::{BlobStore, S3Blobs, SqlReference, Storage};

use crate::config::S3Config;

/// Files in an object store that speaks S3.
#[derive(Debug)]
pub struct S3;

impl Provider for S3 {
    const TYPE: &'static str = "remote::s3";
    const SUMMARY: &'static str = "Uploaded files in an object store that speaks S3.";
    const APIS: &'static [Api] = &[Api::Files];
    type Config = S3Config;

    fn sample() -> S3Config {
        S3Config {
            bucket_name: "puna-files".to_owned(),
            region: "us-east-1".to_owned(),
            aws_access_key_id: None,
            aws_secret_access_key: None,
            aws_session_token: None,
            endpoint_url: None,
            auto_create_bucket: false,
            metadata_store: Some(SqlReference {
                backend: Some("sql_default".to_owned()),
                table_name: Some("files_metadata".to_owned()),
            }),
        }
    }

    fn validate(config: &S3Config) -> Result<()> {
        config.validate()
    }

    async fn build(config: S3Config, host: Host) -> Result<Services> {
        let storage = host
            .resource::<Storage>()
            .ok_or_else(|| Error::internal("the server shares no storage with its providers"))?;
        let settings = config.settings();
        let files = Arc::new(StoredFiles::new(StoredFilesSettings {
            storage,
            metadata: config.metadata_store,
            blobs: Box::new(move || {
                let settings = settings.clone();
                Box::pin(async move { Ok(Arc::new(S3Blobs::open(&settings).await?) as Arc<dyn BlobStore>) })
            }),
            ttl: None,
        }));
        files.keep_swept(&host);
        Ok(Services::default().with_files(files))
    }
}
