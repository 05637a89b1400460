//! Takes away what is not wanted any more, and finds out what became of uploads whose end nobody saw.

use std::sync::Arc;
use std::time::Duration;

use puna_api::{Host, Result};
use puna_openai::UpstreamFile;

use super::table::Sending;
use super::{LEASE, OpenAiFiles, Opened, purpose_upstream};

/// How often there is a look at what has to be done.
const EVERY: Duration = Duration::from_secs(600);
/// How far the upstream's clock may be from this one's. Less than half of [`LEASE`], so that what somebody is uploading now is never taken for
/// an upload that was cut off.
const SKEW: u64 = 140;
/// How long the place of a file that went is remembered, for whoever is walking through the list.
const MEMORY: Duration = Duration::from_secs(86_400);

impl OpenAiFiles {
    /// Sweeps now and then until the server ends. As long as nothing was ever kept, nothing is opened.
    pub(crate) fn keep_swept(self: &Arc<Self>, host: &Host) {
        let this = Arc::clone(self);
        let shutdown = host.shutdown();
        let sweeping = async move {
            loop {
                if let Err(error) = this.sweep_if_used().await {
                    tracing::warn!(error = ?error, "failed to bring files and their provider together; trying again later");
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

    pub(super) async fn sweep_if_used(&self) -> Result<()> {
        if self.may_hold()? {
            self.sweep().await?;
        }
        Ok(())
    }

    pub(super) async fn sweep(&self) -> Result<()> {
        let opened = self.opened().await?;
        let now = self.now();
        let abandoned = now.saturating_sub(LEASE.as_secs());
        opened.table.mark_due(now, abandoned).await?;
        opened.table.forget_gone(now.saturating_sub(MEMORY.as_secs())).await?;
        for blob in opened.table.leaving().await? {
            Self::let_bytes_go(opened, &blob).await?;
        }
        self.find_lost(opened, abandoned).await?;
        loop {
            let batch = opened.table.going().await?;
            if batch.is_empty() {
                return Ok(());
            }
            for going in batch {
                if let Err(error) = self.clear(opened, &going).await {
                    // The others go first the next time.
                    opened.table.touch(&going.blob, self.now()).await?;
                    return Err(error);
                }
            }
        }
    }

    /// Asks the upstream for the uploads that were cut off between sending and answering. One that arrived is a file from now on.
    async fn find_lost(&self, opened: &Opened, abandoned: u64) -> Result<()> {
        let sending = opened.table.sending().await?;
        let is_lost = |upload: &Sending| upload.touched_at < abandoned;
        for lost in sending.iter().filter(|upload| is_lost(upload)) {
            let mut alike = sending.iter().filter(|other| other.is_like(lost));
            if alike.clone().any(|other| !is_lost(other)) {
                // Its turn comes when it can be told from the one that is on its way.
                continue;
            }
            let found = self.candidates(opened, lost).await?;
            match found.last() {
                // The oldest one; what is alike is as good for the others.
                Some(kept) if found.len() <= alike.by_ref().count() => {
                    let file = lost.file(kept);
                    let keeps_copy = self.keeps_copy(file.purpose);
                    if opened.table.publish(&lost.blob, &file, keeps_copy, self.now()).await? {
                        tracing::info!(
                            file = file.id,
                            "found an upload at its provider that was cut off before its end"
                        );
                    }
                    continue;
                }
                // To delete one of them could hit a file of somebody else's.
                Some(_) => {
                    let ids: Vec<_> = found.iter().map(|file| file.id.as_str()).collect();
                    tracing::warn!(
                        filename = lost.details.filename,
                        ids = ids.join(", "),
                        "an upload was cut off, and several files at the provider may be what became of it; delete there what nobody needs"
                    );
                }
                None => {}
            }
            opened.table.discard(&lost.blob, None).await?;
        }
        Ok(())
    }

    /// The files of the upstream that can be what became of an upload, the newest first.
    async fn candidates(&self, opened: &Opened, lost: &Sending) -> Result<Vec<UpstreamFile>> {
        let (first, last) = (lost.sent_at.saturating_sub(SKEW), lost.touched_at + SKEW);
        let purpose = purpose_upstream(lost.details.purpose);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.parts.upstream.list(purpose, after.as_deref()).await?;
            let is_beyond = page.data.last().is_none_or(|oldest| oldest.created_at < first);
            after = page.data.last().map(|oldest| oldest.id.clone());
            for file in page.data {
                let is_alike = file.bytes == lost.bytes && file.is_named(&lost.details.filename);
                if is_alike && (first..=last).contains(&file.created_at) && !opened.table.knows(&file.id).await? {
                    found.push(file);
                }
            }
            if is_beyond || !page.has_more {
                return Ok(found);
            }
        }
    }
}
