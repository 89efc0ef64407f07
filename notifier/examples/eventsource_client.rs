//! Follows the stream with eventsource-client:
//! `cargo run -p notifier --example eventsource_client -- http://localhost:8082`
//!
//! Prints one line of JSON for each event.

use std::time::Duration;

use anyhow::Context;
use eventsource_client::{Client, ClientBuilder, Event, ReconnectOptions, SSE};
use futures::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let base = std::env::args().nth(1).context("the notifier's address")?;
    let transport = HyperTransport::builder()
        .connect_timeout(Duration::from_secs(10))
        // Longer than the 15 s between two heartbeats, so that a dead connection is noticed.
        .read_timeout(Duration::from_secs(40))
        .build_http()?;
    let reconnect = ReconnectOptions::reconnect(true)
        .retry_initial(true)
        // The stream's `retry` stands in a block without data, which this client passes over.
        .delay(Duration::from_secs(2))
        .delay_max(Duration::from_secs(30))
        .build();
    let client = ClientBuilder::for_url(&format!("{base}/v1/events"))?
        .reconnect(reconnect)
        .build_with_transport(transport);
    let mut stream = client.stream();
    while let Some(next) = stream.next().await {
        match next {
            Ok(SSE::Event(event)) => tell(&event)?,
            Ok(SSE::Connected(_) | SSE::Comment(_)) => {}
            // Every cut and every refusal is told of; it comes back by itself.
            Err(error) => eprintln!("cut: {error}"),
        }
    }
    anyhow::bail!("nothing more comes")
}

fn tell(event: &Event) -> anyhow::Result<()> {
    let data: Value = serde_json::from_str(&event.data)?;
    let line = json!({"event": event.event_type, "id": event.id, "version": data["version"]});
    println!("{line}");
    Ok(())
}
