//! Forgetting what is past its time, in small batches.

use shared_events::service::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::RetentionSettings;
use crate::store::{StoreError, history, idempotency};

/// Sweeps every `RETENTION_SWEEP_SECONDS` until `stop`.
pub async fn keep_swept(
    pool: PgPool,
    clock: Clock,
    settings: RetentionSettings,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(settings.sweep());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match stop
            .run_until_cancelled(sweep(&pool, &clock, &settings))
            .await
        {
            Some(Ok(0)) | None => {}
            Some(Ok(forgotten)) => tracing::info!(forgotten, "forgot what was past its time"),
            Some(Err(error)) => {
                tracing::warn!(error = %error, "cannot forget what is past its time; trying again later");
            }
        }
    }
}

/// Forgets all that is past its time now. Says how many rows that was.
pub async fn sweep(
    pool: &PgPool,
    clock: &Clock,
    settings: &RetentionSettings,
) -> Result<u64, StoreError> {
    let now = clock.now();
    let batch = i64::from(settings.retention_batch);
    let mut forgotten = 0;
    loop {
        // The connection goes back after each batch, so that requests never wait for all of it.
        let mut connection = pool.acquire().await?;
        let changes =
            history::forget_before(&mut connection, now - settings.history(), batch).await?;
        let answers =
            idempotency::forget_before(&mut connection, now - settings.idempotency(), batch)
                .await?;
        forgotten += changes + answers;
        if changes.max(answers) < settings.retention_batch.into() {
            return Ok(forgotten);
        }
    }
}
