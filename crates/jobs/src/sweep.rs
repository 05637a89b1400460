//! Takes jobs away that ended long ago.

use std::time::Duration;

use puna_api::Result;

use crate::jobs::Jobs;

/// How often there is a look.
const EVERY: Duration = Duration::from_secs(3600);
/// How many go in one transaction.
const AT_ONCE: u32 = 200;

/// Looks now and then until the server shuts down.
pub(crate) async fn keep_swept(jobs: Jobs) {
    let mut shutdown = jobs.settings().tasks.shutdown();
    let timing = jobs.settings().timing;
    let pause = EVERY.min(timing.keep).max(timing.look);
    loop {
        let looked = async {
            if let Err(error) = sweep(&jobs, timing.keep).await {
                tracing::warn!(
                    ?error,
                    "failed to take jobs away that ended long ago; trying again later"
                );
            }
            tokio::time::sleep(pause).await;
        };
        tokio::select! {
            () = &mut shutdown => return,
            () = looked => {}
        }
    }
}

async fn sweep(jobs: &Jobs, keep: Duration) -> Result<()> {
    if !jobs.may_be_there() {
        return Ok(());
    }
    let table = jobs.table().await?;
    while table.forget(keep, AT_ONCE).await? == AT_ONCE as usize {}
    Ok(())
}
