//! Somebody writes and somebody watches while a test breaks something.

use std::collections::BTreeMap;

use serde_json::json;
use system_tests::rising::{assert_rising, versions};
use system_tests::{Deployment, StreamClient, Writer, Written, eventually, outbox};

const CONTRACTORS: usize = 4;

/// A few contractors that are changed all the time, and a client that follows them.
pub(crate) struct Load {
    pub(crate) client: StreamClient,
    pub(crate) ids: Vec<String>,
    pub(crate) writer: Writer,
}

impl Load {
    /// With a client of the first notifier.
    pub(crate) async fn on(deployment: &Deployment) -> Self {
        Self::watched_by(deployment.stream("").await, deployment).await
    }

    pub(crate) async fn watched_by(client: StreamClient, deployment: &Deployment) -> Self {
        let mut ids = Vec::new();
        for number in 0..CONTRACTORS {
            let contractor = json!({"name": format!("Contractor {number}"), "territory": "leeds",
                "timeZone": "Europe/London"});
            ids.push(deployment.schedules.create(&contractor).await);
        }
        let writer = Writer::start(deployment.schedules.clone(), &ids);
        Self {
            client,
            ids,
            writer,
        }
    }

    /// Waits until so many more writes were answered.
    pub(crate) async fn more(&self, count: usize) {
        self.writer.more(count).await;
    }

    /// Ends, and looks at everything that came of the answered writes.
    pub(crate) async fn nothing_is_lost(
        self,
        deployment: &Deployment,
    ) -> (StreamClient, Vec<String>) {
        let Self {
            client,
            ids,
            writer,
        } = self;
        let written = writer.stop().await;
        let database = &deployment.backends().database_url;
        let drained = async || (outbox::depth(database).await == 0).then_some(());
        eventually("an empty outbox", drained).await;
        for id in &ids {
            let last = assert_history(deployment, id, &written).await;
            deployment.availability.cached(id, last, &[]).await;
            assert_shown(&client, id, last).await;
        }
        assert_rising(&client.frames());
        deployment.assert_sound().await;
        (client, ids)
    }
}

/// Every answered write is in the history, once, at the version that was answered; no version is
/// missing. Says the last version.
async fn assert_history(deployment: &Deployment, id: &str, written: &[Written]) -> i64 {
    let history = deployment.schedules.history(id).await;
    let last = i64::try_from(history.len()).unwrap();
    let recorded: Vec<_> = history.iter().map(|change| &change["version"]).collect();
    assert_eq!(recorded, (1..=last).collect::<Vec<_>>(), "no gap");
    assert_eq!(deployment.schedules.version(id).await, last);

    let mut by_name: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (change, version) in history.iter().zip(1..) {
        let name = change["currentValues"]["name"].as_str().unwrap();
        by_name.entry(name).or_default().push(version);
    }
    for write in written.iter().filter(|write| write.contractor == id) {
        assert_eq!(by_name[write.name.as_str()], [write.version], "{write:?}");
    }
    assert!(by_name.values().all(|versions| versions.len() == 1), "once");
    last
}

/// The client has the last version in both kinds of frames, or was told to read everything again.
async fn assert_shown(client: &StreamClient, id: &str, last: i64) {
    for event in ["schedule.updated", "availability.updated"] {
        let what = format!("{event} of version {last} of {id}, or a reset");
        client
            .wait_for(&what, |frames| {
                let was_reset = frames.iter().any(|frame| frame.event == "reset");
                let newest = versions(frames, event, id).last().copied();
                (was_reset || newest == Some(last)).then_some(())
            })
            .await;
    }
}
