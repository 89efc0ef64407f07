//! One guarded write.

use std::time::{Duration, Instant};

use anyhow::Result;
use redis::Script;

use super::{SCHEDULE_BYTES, document, paced};
use crate::latency::Quantiles;

/// How many documents there are, as many as the benchmark has contractors.
const DOCUMENTS: u64 = 500;

/// Stores a document unless a newer one is there.
const PUT_IF_NEWER: &str = "
    local held = redis.call('HGET', KEYS[1], 'version')
    if held and tonumber(held) >= tonumber(ARGV[1]) then return 0 end
    redis.call('HSET', KEYS[1], 'version', ARGV[1], 'document', ARGV[2])
    return 1";

pub(super) async fn measure(url: &str, each: Duration) -> Result<Quantiles> {
    let client = redis::Client::open(url)?;
    let connection = client.get_multiplexed_async_connection().await?;
    let script = Script::new(PUT_IF_NEWER);
    let quantiles = paced(each, |number| {
        let (mut connection, script) = (connection.clone(), &script);
        async move {
            let body = document(SCHEDULE_BYTES, number);
            let mut call = script.key(key(number));
            call.arg(number + 1).arg(body);
            let begun = Instant::now();
            let written: i64 = call.invoke_async(&mut connection).await?;
            let took = begun.elapsed();
            anyhow::ensure!(written == 1, "a newer version was not written");
            Ok(took)
        }
    })
    .await?;
    let mut connection = connection;
    let keys: Vec<String> = (0..DOCUMENTS).map(key).collect();
    redis::cmd("UNLINK")
        .arg(keys)
        .query_async::<()>(&mut connection)
        .await?;
    Ok(quantiles)
}

fn key(number: u64) -> String {
    format!("floor:{}", number % DOCUMENTS)
}
