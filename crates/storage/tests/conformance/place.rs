//! Where a trial runs.

use std::sync::Arc;

use puna_api::Secret;
use puna_storage::{
    BlobStore, Database, KvStore, LocalBlobs, Location, PostgresSettings, S3Blobs, S3Settings, TableName,
};
use puna_testkit::S3Server;
use tempfile::TempDir;

/// A database for one trial.
pub(crate) struct Place {
    pub(crate) location: Location,
    /// Of its own, since trials share a server.
    pub(crate) table: TableName,
    _folder: TempDir,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("made/on/the/way.db"));
        Self::at(location, folder)
    }

    pub(crate) fn postgres(url: &str) -> Self {
        let location = Location::Postgres(Box::new(PostgresSettings {
            connection_string: Some(Secret::new(url.to_owned())),
            max_connections: 4,
            ..PostgresSettings::default()
        }));
        Self::at(location, tempfile::tempdir().unwrap())
    }

    fn at(location: Location, folder: TempDir) -> Self {
        let table = format!("t_{:x}", fastrand::u64(..));
        Self {
            location,
            table: TableName::new(table).unwrap(),
            _folder: folder,
        }
    }

    /// The database, opened anew.
    pub(crate) async fn open(&self) -> Database {
        Database::open(&self.location).await.unwrap()
    }

    /// A namespace for keys and values.
    pub(crate) async fn kv(&self, namespace: &str) -> KvStore {
        KvStore::open(self.open().await, self.table.clone(), namespace.to_owned())
            .await
            .unwrap()
    }
}

/// A store of blobs for one trial.
pub(crate) struct BlobPlace {
    folder: TempDir,
    server: Option<S3Server>,
}

impl BlobPlace {
    pub(crate) fn local() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
        }
    }

    pub(crate) fn s3() -> Self {
        Self {
            server: Some(S3Server::start().unwrap()),
            ..Self::local()
        }
    }

    /// The store, opened anew.
    pub(crate) async fn open(&self) -> Arc<dyn BlobStore> {
        match &self.server {
            None => Arc::new(LocalBlobs::open(self.folder.path().join("blobs")).await.unwrap()),
            Some(server) => Arc::new(S3Blobs::open(&s3_settings(server)).await.unwrap()),
        }
    }

    /// How many files there are in all, blobs or not.
    pub(crate) fn files(&self) -> usize {
        let root = self.server.as_ref().map_or(self.folder.path(), S3Server::folder);
        let mut waiting = vec![root.to_owned()];
        let mut count = 0;
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => waiting.push(entry.path()),
                    false => count += 1,
                }
            }
        }
        count
    }
}

pub(crate) fn s3_settings(server: &S3Server) -> S3Settings {
    S3Settings {
        bucket: "blobs".to_owned(),
        region: "us-east-1".to_owned(),
        credentials: Some((
            S3Server::ACCESS_KEY_ID.to_owned(),
            Secret::new(S3Server::SECRET_ACCESS_KEY.to_owned()),
        )),
        session_token: None,
        endpoint: Some(server.url().to_owned()),
        create_bucket: true,
    }
}
