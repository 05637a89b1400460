//! What other servers over the same PostgreSQL tell.

use puna_api::{Error, Result};
use sqlx::postgres::{PgListener, PgPool};

use crate::jobs::Jobs;

/// A pool of fewer connections has none to spare for listening; the table is looked at all the same.
const CONNECTIONS: u32 = 4;

/// Listens until the server shuts down, where there is something to listen to.
pub(crate) async fn listen(jobs: Jobs) {
    let mut shutdown = jobs.settings().tasks.shutdown();
    let look = jobs.settings().timing.look;
    loop {
        let listening = async {
            if !jobs.may_be_there() {
                return Ok(());
            }
            let table = jobs.table().await?;
            match table.database.postgres() {
                Some(pool) if pool.options().get_max_connections() >= CONNECTIONS => {
                    hear(&jobs, pool, &table.channel()).await
                }
                // Nobody ever tells anything: that is for SQLite to wait for, and for the others to look for.
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut shutdown => return,
            heard = listening => if let Err(error) = heard {
                tracing::warn!(?error, "failed to listen to the other servers' jobs");
            }
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(look) => {}
        }
    }
}

async fn hear(jobs: &Jobs, pool: &PgPool, channel: &str) -> Result<()> {
    let unheard =
        |error: sqlx::Error| Error::unavailable("the server's database cannot be listened to").with_source(error);
    let mut listener = PgListener::connect_with(pool).await.map_err(unheard)?;
    listener.listen(channel).await.map_err(unheard)?;
    loop {
        // What was told before, or while the connection was gone.
        jobs.wake_all();
        while let Some(told) = listener.try_recv().await.map_err(unheard)? {
            match told.payload().split_once(' ') {
                Some(("due", kind)) => jobs.wake(kind),
                Some(("cancelled", id)) => jobs.cancel_here(id),
                _ => {}
            }
        }
    }
}
