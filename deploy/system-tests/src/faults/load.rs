//! Writers that go on whatever happens, and know what was answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use stack::ServiceKind;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::site::Site;
use crate::ScheduleApi;

/// How many write at once.
const WRITERS: usize = 4;
/// How many contractors each of them has.
const CONTRACTORS_EACH: usize = 10;
/// The longest pause of a writer between two writes.
const LONGEST_PAUSE_MS: u64 = 60;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where contractors live, and move.
pub const TERRITORIES: [&str; 4] = ["north", "south", "east", "west"];
/// Their zone: no clock change, so that anybody can calculate their windows.
pub const ZONE: &str = "Asia/Kolkata";

/// The version at which a name was answered, by contractor and name.
pub type Answered = BTreeMap<(String, String), i64>;

/// A load that can be paused.
#[derive(Debug)]
pub struct Load {
    contractors: Vec<String>,
    probed: String,
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    answered: Mutex<Answered>,
    refused: Mutex<Option<String>>,
    unanswered: AtomicUsize,
    paused: watch::Sender<bool>,
    resting: watch::Sender<usize>,
    probes: AtomicUsize,
}

impl Load {
    /// Creates the contractors and starts to change them.
    pub async fn start(site: &Site, seed: u64) -> Self {
        let urls = site.urls(ServiceKind::ScheduleService);
        let apis: Vec<ScheduleApi> = urls.iter().map(|url| ScheduleApi::new(url)).collect();
        let mut contractors = Vec::new();
        for number in 0..=WRITERS * CONTRACTORS_EACH {
            let contractor = json!({"name": format!("Contractor {number}"), "timeZone": ZONE,
                "territory": TERRITORIES[number % TERRITORIES.len()],
                "workingHours": hours(12 * 60)});
            contractors.push(apis[0].create(&contractor).await);
        }
        let probed = contractors[WRITERS * CONTRACTORS_EACH].clone();
        let shared = Arc::new(Shared {
            answered: Mutex::default(),
            refused: Mutex::default(),
            unanswered: AtomicUsize::new(0),
            paused: watch::Sender::new(false),
            resting: watch::Sender::new(0),
            probes: AtomicUsize::new(0),
        });
        let writers = (0..WRITERS)
            .map(|number| {
                let own = &contractors[number * CONTRACTORS_EACH..(number + 1) * CONTRACTORS_EACH];
                let rng = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(number as u64));
                tokio::spawn(write(
                    apis.clone(),
                    own.to_vec(),
                    number,
                    rng,
                    Arc::clone(&shared),
                ))
            })
            .collect();
        Self {
            contractors,
            probed,
            shared,
            writers,
        }
    }

    /// Everybody, with the one that is probed.
    #[must_use]
    pub fn contractors(&self) -> &[String] {
        &self.contractors
    }

    /// The contractor that only probes change.
    #[must_use]
    pub fn probed(&self) -> &str {
        &self.probed
    }

    /// Every write that was answered with success.
    #[must_use]
    pub fn answered(&self) -> Answered {
        self.shared.answered.lock().clone()
    }

    /// How many writes were answered, and how many were not or with an error of the server's.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (
            self.shared.answered.lock().len(),
            self.shared.unanswered.load(Ordering::Relaxed),
        )
    }

    /// An answer that no fault excuses, if there was one.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.shared.refused.lock().clone()
    }

    /// No further write begins.
    pub fn hold(&self) {
        self.shared.paused.send_replace(true);
    }

    /// Holds, and waits until every write in hand has ended.
    pub async fn pause(&self) {
        self.hold();
        let mut resting = self.shared.resting.subscribe();
        let _ = resting.wait_for(|count| *count == WRITERS).await;
    }

    /// Writes go on.
    pub fn go_on(&self) {
        self.shared.paused.send_replace(false);
    }

    /// Changes the probed contractor through each schedule-service until each has answered: the
    /// version of the last change.
    pub async fn probe(&self, site: &Site) -> i64 {
        let mut version = 0;
        for url in site.urls(ServiceKind::ScheduleService) {
            version = self.change_through(&url).await;
        }
        version
    }

    /// Changes the probed contractor through this schedule-service until it has answered.
    pub async fn change_through(&self, url: &str) -> i64 {
        loop {
            if let Some(version) = self.try_change_through(url).await {
                return version;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tries that once.
    pub async fn try_change_through(&self, url: &str) -> Option<i64> {
        let number = self.shared.probes.fetch_add(1, Ordering::Relaxed);
        let name = format!("Probe {number}");
        let patch = json!({"name": &name});
        let api = ScheduleApi::new(url);
        note(&self.shared, &api, &self.probed, name, &patch).await
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for writer in &self.writers {
            writer.abort();
        }
    }
}

async fn write(
    apis: Vec<ScheduleApi>,
    contractors: Vec<String>,
    writer: usize,
    mut rng: StdRng,
    shared: Arc<Shared>,
) {
    let mut paused = shared.paused.subscribe();
    for number in 0_usize.. {
        if *paused.borrow_and_update() {
            shared.resting.send_modify(|count| *count += 1);
            let _ = paused.wait_for(|paused| !paused).await;
            shared.resting.send_modify(|count| *count -= 1);
        }
        let contractor = &contractors[rng.random_range(0..contractors.len())];
        let name = format!("Change {writer}.{number}");
        // A name and an end that no other write gives.
        let mut patch = json!({"name": &name, "workingHours": hours(9 * 60 + (number * 7) % 840)});
        if rng.random_bool(0.1) {
            patch["territory"] = TERRITORIES[rng.random_range(0..TERRITORIES.len())].into();
        }
        let api = &apis[rng.random_range(0..apis.len())];
        note(&shared, api, contractor, name, &patch).await;
        sleep(Duration::from_millis(
            rng.random_range(0..=LONGEST_PAUSE_MS),
        ))
        .await;
    }
}

/// Writes once, and notes what comes of it: the version, if it was answered.
async fn note(
    shared: &Shared,
    api: &ScheduleApi,
    contractor: &str,
    name: String,
    patch: &Value,
) -> Option<i64> {
    match timeout(PATIENCE, api.try_patch(contractor, patch)).await {
        Ok(Ok(answer)) if answer.status == 200 => {
            let version = answer.version();
            let key = (contractor.to_owned(), name);
            shared.answered.lock().insert(key, version);
            return Some(version);
        }
        Ok(Ok(answer)) if answer.status < 500 => {
            let told = format!("a write was answered {}: {}", answer.status, answer.body);
            shared.refused.lock().get_or_insert(told);
        }
        // It may have been committed all the same.
        _ => {}
    }
    shared.unanswered.fetch_add(1, Ordering::Relaxed);
    None
}

/// Every day from 08:00 to so many minutes after midnight.
fn hours(end: usize) -> Value {
    json!([{"days": ["MO", "TU", "WE", "TH", "FR", "SA", "SU"], "start": "08:00",
        "end": format!("{:02}:{:02}", end / 60, end % 60)}])
}
