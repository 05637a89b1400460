//! The provider.

use std::sync::Arc;

use puna_api::{Api, Error, Host, Provider, Result, Services};
use puna_files::{StoredFiles, StoredFilesSettings};
use puna_storage::{BlobStore, LocalBlobs, SqlReference, Storage};

use crate::config::LocalFsConfig;

/// Files on the server's own disk.
#[derive(Debug)]
pub struct LocalFs;

impl Provider for LocalFs {
    const TYPE: &'static str = "inline::localfs";
    const SUMMARY: &'static str = "Uploaded files on the server's own disk.";
    const APIS: &'static [Api] = &[Api::Files];
    type Config = LocalFsConfig;

    fn sample() -> LocalFsConfig {
        LocalFsConfig {
            storage_dir: Some("/var/lib/puna/files".into()),
            metadata_store: Some(SqlReference {
                backend: Some("sql_default".to_owned()),
                table_name: Some("files_metadata".to_owned()),
            }),
            ttl_secs: None,
        }
    }

    fn validate(config: &LocalFsConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: LocalFsConfig, host: Host) -> Result<Services> {
        let storage = host
            .resource::<Storage>()
            .ok_or_else(|| Error::internal("the server shares no storage with its providers"))?;
        let ttl = config.ttl();
        let (folder, owner) = (config.storage_dir, host.clone());
        let files = Arc::new(StoredFiles::new(StoredFilesSettings {
            storage,
            metadata: config.metadata_store,
            blobs: Box::new(move || {
                let (folder, owner) = (folder.clone(), owner.clone());
                Box::pin(async move {
                    let folder = match folder {
                        Some(folder) => folder,
                        None => owner.data_dir()?.to_owned(),
                    };
                    Ok(Arc::new(LocalBlobs::open(folder).await?) as Arc<dyn BlobStore>)
                })
            }),
            ttl,
        }));
        files.keep_swept(&host);
        Ok(Services::default().with_files(files))
    }
}
