//! As many as there is time for, several at once.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use super::asking::Asking;
use super::bare_read::BareRead;

/// Searches a second over `clients` connections.
///
/// # Errors
/// When one is refused.
pub async fn searches(url: &str, path: &str, clients: u16, time: Duration) -> Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Asking::connect(url).await?);
    }
    let until = Instant::now() + time;
    let tasks = connections.into_iter().map(|mut asking| {
        let path = path.to_owned();
        tokio::spawn(async move {
            let mut done = 0_u32;
            while Instant::now() < until {
                asking.ask(&path).await?;
                done += 1;
            }
            anyhow::Ok(done)
        })
    });
    let done = try_join_all(tasks).await?;
    per_second(done, time)
}

/// Bare reads a second, as many at once as there are clients, over the one connection that a worker
/// has.
///
/// # Errors
/// When Redis does not answer.
pub async fn bare_reads(bare: &BareRead, clients: u16, time: Duration) -> Result<f64> {
    let until = Instant::now() + time;
    let tasks = (0..clients).map(|_| {
        let bare = bare.clone();
        tokio::spawn(async move {
            let mut done = 0_u32;
            while Instant::now() < until {
                bare.read().await?;
                done += 1;
            }
            anyhow::Ok(done)
        })
    });
    let done = try_join_all(tasks).await?;
    per_second(done, time)
}

fn per_second(done: Vec<Result<u32>>, time: Duration) -> Result<f64> {
    let done: Vec<u32> = done.into_iter().collect::<Result<_>>()?;
    Ok(f64::from(done.iter().sum::<u32>()) / time.as_secs_f64())
}
