//! What the servers alone take for one change's share of work, measured in the same minutes, with
//! the same sizes, by one client that waits for each step: no pipeline on them can be faster than
//! their sum.

mod broker;
mod database;
mod redis_write;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use stack::Backends;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::latency::{Latencies, Quantiles};

/// How many times a second each floor is measured.
const PER_SECOND: u32 = 200;

/// The size of a ScheduleUpdated event with 20 jobs, in bytes.
pub const SCHEDULE_BYTES: usize = 5_000;

/// The size of an AvailabilityUpdated event, in bytes, as the peers had it.
pub const AVAILABILITY_BYTES: usize = 4_000;

/// What each step takes at least.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Floors {
    /// PostgreSQL: one transaction of an UPDATE and an INSERT, each of a document.
    pub transaction: Quantiles,
    /// RabbitMQ: from publishing to a quorum queue to the consumer's having it.
    pub queue: Quantiles,
    /// RabbitMQ: from publishing to a stream to the consumer's having it.
    pub stream: Quantiles,
    /// Redis: one write that a version guards.
    pub redis: Quantiles,
}

impl Floors {
    /// Measures each for `each`, one after the other.
    ///
    /// # Errors
    /// When a server does not do as asked.
    pub async fn measure(backends: &Backends, each: Duration) -> Result<Self> {
        Ok(Self {
            transaction: database::measure(&backends.database_url, each).await?,
            queue: broker::queue(&backends.amqp_url, each).await?,
            stream: broker::stream(&backends.amqp_url, each).await?,
            redis: redis_write::measure(&backends.redis_url, each).await?,
        })
    }

    /// Each with its name.
    #[must_use]
    pub fn steps(&self) -> [(&'static str, Quantiles); 4] {
        [
            (
                "PostgreSQL, UPDATE + INSERT of 5 KB documents in one transaction",
                self.transaction,
            ),
            ("quorum queue, 5 KB, publish to consume", self.queue),
            ("stream, 4 KB, publish to consume", self.stream),
            ("Redis, guarded write of 5 KB", self.redis),
        ]
    }

    /// The sum of one of their quantiles.
    #[must_use]
    pub fn sum(&self, quantile: impl Fn(&Quantiles) -> f64) -> f64 {
        self.steps().iter().map(|(_, step)| quantile(step)).sum()
    }
}

/// A JSON document of `size` bytes that compresses about as well as a schedule does.
fn document(size: usize, number: u64) -> Vec<u8> {
    let mut text = format!("{{\"version\":{number},\"jobs\":[");
    let end = "\"\"]}";
    loop {
        let job = format!(
            "{{\"id\":\"{}\",\"title\":\"Boiler service\",\"start\":\"2026-12-01T09:00:00Z\",\
             \"end\":\"2026-12-01T11:00:00Z\",\"bufferBeforeMinutes\":30,\"bufferAfterMinutes\":30}},",
            uuid::Uuid::new_v4()
        );
        if text.len() + job.len() + end.len() > size {
            break;
        }
        text += &job;
    }
    // One more entry, a string, fills it up.
    text.push('"');
    while text.len() + end.len() - 1 < size {
        text.push('-');
    }
    text += &end[1..];
    text.into_bytes()
}

/// Runs `step` at the rate of the floors for `each`; the first second is not counted.
async fn paced<F>(each: Duration, mut step: impl FnMut(u64) -> F) -> Result<Quantiles>
where
    F: Future<Output = Result<Duration>>,
{
    let mut latencies = Latencies::new();
    let mut ticks = interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let counted_from = Instant::now() + Duration::from_secs(1);
    for number in 0.. {
        let now = ticks.tick().await;
        if now >= counted_from + each {
            break;
        }
        let took = step(number).await?;
        if now >= counted_from {
            latencies.record(took);
        }
    }
    Ok(latencies.quantiles())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_document_is_json_of_its_size() {
        let document = super::document(5_000, 1);
        assert_eq!(document.len(), 5_000);
        assert!(serde_json::from_slice::<serde_json::Value>(&document).is_ok());
    }
}
