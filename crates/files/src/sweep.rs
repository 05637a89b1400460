//! Takes away what is not wanted any more.

use std::sync::Arc;
use std::time::Duration;

use puna_api::{Host, Result};

use crate::stored::StoredFiles;

/// How often there is a look at what has to go.
const EVERY: Duration = Duration::from_secs(600);

impl StoredFiles {
    /// Sweeps now and then until the server ends. As long as nothing was ever kept, nothing is opened.
    pub fn keep_swept(self: &Arc<Self>, host: &Host) {
        let this = Arc::clone(self);
        let shutdown = host.shutdown();
        let sweeping = async move {
            loop {
                if let Err(error) = this.sweep_if_used().await {
                    tracing::warn!(error = ?error, "failed to take expired files away; trying again later");
                }
                tokio::time::sleep(EVERY).await;
            }
        };
        host.spawn(async move {
            tokio::select! {
                () = shutdown => {}
                () = sweeping => {}
            }
        });
    }

    pub(crate) async fn sweep_if_used(&self) -> Result<()> {
        if self.may_hold()? {
            let gone = self.sweep().await?;
            if gone > 0 {
                tracing::info!(gone, "took away files that expired, and uploads that were cut off");
            }
        }
        Ok(())
    }

    /// Takes away files whose time has come, uploads that were cut off, and the rest of deletions that were. Says how many.
    pub async fn sweep(&self) -> Result<u64> {
        let parts = self.parts().await?;
        let now = self.now();
        parts
            .table
            .mark_due(now, now.saturating_sub(crate::stored::LEASE.as_secs()))
            .await?;
        let mut gone = 0;
        loop {
            let going = parts.table.going().await?;
            if going.is_empty() {
                return Ok(gone);
            }
            for blob in going {
                parts.blobs.delete(&blob).await?;
                parts.table.forget(&blob).await?;
                gone += 1;
            }
        }
    }
}
