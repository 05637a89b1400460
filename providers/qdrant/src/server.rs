//! The server: how it is called, and what its collections are called.

use puna_api::{Result, VectorIndex};
use qdrant_client::Qdrant as Client;
use std::time::Duration;

use crate::config::QdrantConfig;
use crate::error::from_qdrant;

/// How long it may take to connect, if a request may take so long.
const MAX_CONNECTING: Duration = Duration::from_secs(5);

/// A server with indexes. Nothing is connected to before it is called.
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) names: Names,
}

/// The names of collections. Those that several indexes share, and their list, have a character that no id of an index has.
pub(crate) struct Names {
    prefix: String,
    pub(crate) is_shared: bool,
}

impl Server {
    pub(crate) fn new(config: &QdrantConfig) -> Result<Self> {
        let address = config.address()?;
        if config.shows_key(&address) {
            tracing::warn!(%address, "`api_key` is sent without encryption; use `https`");
        }
        let timeout = config.timeout();
        let client = Client::from_url(address.as_str())
            .api_key(config.api_key.as_ref().map(|key| key.expose().clone()))
            .timeout(timeout)
            .connect_timeout(timeout.min(MAX_CONNECTING))
            .skip_compatibility_check()
            .build()
            .map_err(from_qdrant)?;
        Ok(Self {
            client,
            names: Names {
                prefix: config.collection_prefix.clone(),
                is_shared: config.share_collections,
            },
        })
    }

    /// Asks whether it is there.
    pub(crate) async fn check(&self) -> Result<()> {
        self.client.health_check().await.map(drop).map_err(from_qdrant)
    }
}

impl Names {
    /// The collection of an index alone.
    pub(crate) fn own(&self, index_id: &str) -> String {
        format!("{}{index_id}", self.prefix)
    }

    /// The collection that an index is made in.
    pub(crate) fn of_new(&self, index: &VectorIndex) -> String {
        match self.is_shared {
            true => format!("{}~{}-{}", self.prefix, index.dimension, index.metric.name()),
            false => self.own(&index.index_id),
        }
    }

    /// The collection that lists the indexes which share collections.
    pub(crate) fn list(&self) -> String {
        format!("{}~indexes", self.prefix)
    }
}
