//! Looks now and then for what nobody does.

use std::time::Duration;

use puna_api::{ErrorKind, Result};
use puna_jobs::NewJob;

use super::{VectorStores, ingestion, now, removal};

/// How often there is a look.
const EVERY: Duration = Duration::from_secs(600);

/// How long a store may take to be made, in seconds.
const MAKING: u64 = 900;

impl VectorStores {
    pub(super) async fn sweep_for_ever(&self) {
        loop {
            let sweep = async {
                match self.may_hold()? {
                    true => self.sweep().await,
                    false => Ok(()),
                }
            };
            if let Err(error) = sweep.await {
                tracing::warn!(?error, "failed to look after vector stores; trying again later");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Has stores expire whose time has come, and sees to it that each piece of work that is to be done has a job.
    pub async fn sweep(&self) -> Result<()> {
        let tables = self.tables().await?;
        for store_id in tables.due_stores(now()).await? {
            let mut transaction = self.jobs().begin().await?;
            let expired = tables.mark_store_expired(&mut transaction, &store_id, now()).await?;
            if let Some(place) = expired {
                let removal = removal::of_expired(&store_id, &place)?;
                self.submit_all(&mut transaction, [removal]).await?;
                transaction.commit().await?;
            }
        }
        for store_id in tables.abandoned_stores(now().saturating_sub(MAKING)).await? {
            self.remove_store(&store_id).await?;
        }
        for store in tables.going_stores().await? {
            self.see_to(removal::of_store(&store.id, &store.place)?).await?;
        }
        for attachment in tables.going_files().await? {
            self.see_to(removal::of_file(&attachment)?).await?;
        }
        let mut after = String::new();
        loop {
            let files = tables.unfinished(&after).await?;
            let Some(last) = files.last() else { break };
            after.clone_from(&last.attachment);
            for file in files {
                self.see_to(ingestion::of_file(&file.attachment)?).await?;
            }
        }
        self.jobs().wake(removal::KIND);
        self.wake_ingestion();
        Ok(())
    }

    /// Submits a job again that is over, although what it was to do is not done, or that is not there.
    async fn see_to(&self, new: NewJob) -> Result<()> {
        match self.jobs().get(&new.id).await {
            Ok(job) if !job.state.is_final() => return Ok(()),
            Ok(job) => self.jobs().delete(&job.id).await?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.jobs().submit(new).await.map(drop)
    }
}
