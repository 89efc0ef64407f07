//! The version settles it: events that come shuffled and twice end in the same read side.

use std::collections::BTreeSet;

use futures::future::join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use reqwest::Method;
use serde_json::{Value, json};
use stack::{ServiceKind, System, TestBed};
use system_tests::subscriber::{DEAD_LETTER_QUEUE, Publishing, SCHEDULE_UPDATED};
use system_tests::{AvailabilityApi, Deployment, Received, ScheduleApi, eventually};

use crate::week::Week;

const TERRITORIES: [&str; 3] = ["north", "south", "east"];
const CONTRACTORS: usize = 6;
/// One shuffle each.
const SEEDS: [u64; 3] = [1, 2, 3];

/// A worker with a cache and queues of its own, which gets what a test delivers.
struct ReadSide {
    publishing: Publishing,
    api: AvailabilityApi,
    delivered: usize,
    system: System,
    _bed: TestBed,
}

impl ReadSide {
    async fn start(schedule_url: &str) -> Self {
        let bed = TestBed::new().await;
        let builder = System::builder(bed.backends())
            .count(ServiceKind::ScheduleService, 0)
            .count(ServiceKind::Notifier, 0)
            .env(
                ServiceKind::AvailabilityWorker,
                "SCHEDULE_SERVICE_URL",
                schedule_url,
            );
        let system = Box::pin(builder.start()).await.unwrap();
        Self {
            publishing: Publishing::connect(bed.amqp_url()).await,
            api: AvailabilityApi::new(system.availability_url()),
            delivered: 0,
            system,
            _bed: bed,
        }
    }

    /// Delivers events in this order and waits until the worker has handled every one of them.
    async fn deliver(&mut self, events: &[Received]) {
        self.publishing.deliver(events).await;
        self.delivered += events.len();
        let url = format!("{}/metrics", self.system.availability_url());
        eventually("every event in the worker's count", async || {
            let metrics = reqwest::get(&url).await.unwrap().text().await.unwrap();
            let handled: usize = metrics
                .lines()
                .filter(|line| line.starts_with("schedule_updated_events_total{"))
                .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
                .sum();
            (handled == self.delivered).then_some(())
        })
        .await;
        assert_eq!(self.publishing.waiting(DEAD_LETTER_QUEUE).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_and_doubled_events_end_in_the_same_cache_without_ghosts() {
    let deployment = Deployment::start().await;
    let exchange = deployment.subscriber("schedule.updated.v1.#").await;
    let api = &deployment.schedules;
    let week = Week::ahead();

    let mut ids = Vec::new();
    for number in 0..CONTRACTORS {
        let contractor = json!({
            "name": format!("Contractor {number}"), "timeZone": "Asia/Kolkata",
            "territory": TERRITORIES[number % TERRITORIES.len()],
        });
        ids.push(api.create(&contractor).await);
    }
    // The other workers know everybody, so that from here on they never ask schedule-service, which
    // would tell them the end of the story.
    for id in &ids {
        exchange.event(SCHEDULE_UPDATED, id, 1).await;
    }
    let created = exchange.received();
    assert_eq!(created.len(), CONTRACTORS);
    let url = deployment.system.schedule_url();
    let mut others = join_all(SEEDS.map(|_| ReadSide::start(url))).await;
    join_all(others.iter_mut().map(|other| other.deliver(&created))).await;

    for (number, id) in ids.iter().enumerate() {
        story(api, id, number, week).await;
    }
    let mut lasts = Vec::new();
    for id in &ids {
        let last = api.version(id).await;
        exchange.event(SCHEDULE_UPDATED, id, last).await;
        lasts.push(last);
    }
    let total = usize::try_from(lasts.iter().sum::<i64>()).unwrap();
    let events = exchange.events(total).await;
    let later: Vec<Received> = events.into_iter().filter(|e| e.version() > 1).collect();
    join_all(others.iter_mut().zip(SEEDS).map(|(other, seed)| {
        let mut shuffled = [later.clone(), later.clone()].concat();
        shuffled.shuffle(&mut StdRng::seed_from_u64(seed));
        async move { other.deliver(&shuffled).await }
    }))
    .await;

    for (id, last) in ids.iter().zip(&lasts) {
        let expected = reading(&deployment.availability, id, *last, week).await;
        assert_eq!(expected["version"], *last);
        for (other, seed) in others.iter().zip(SEEDS) {
            let told = reading(&other.api, id, *last, week).await;
            assert_eq!(told, expected, "shuffle {seed}");
        }
    }
    let mut found = BTreeSet::new();
    for territory in TERRITORIES {
        let expected = who_can_work(&deployment.availability, territory, week).await;
        for (other, seed) in others.iter().zip(SEEDS) {
            let told = who_can_work(&other.api, territory, week).await;
            assert_eq!(told, expected, "{territory}, shuffle {seed}");
        }
        for item in &expected {
            let id = item["contractorId"].as_str().unwrap().to_owned();
            assert_eq!(item["territory"], territory);
            assert!(found.insert(id), "nobody is in two territories");
        }
    }
    assert_eq!(found, ids.iter().cloned().collect(), "nobody is missing");
    deployment.assert_sound().await;
}

/// Changes of all kinds, between which the contractor moves about.
async fn story(api: &ScheduleApi, id: &str, number: usize, week: Week) {
    for step in 0..4 {
        let territory = TERRITORIES[(number + step + 1) % TERRITORIES.len()];
        let end = 13 + (number + step) % 6;
        let hours = json!([{"days": ["MO", "TU", "WE", "TH", "FR"],
            "start": "08:00", "end": format!("{end}:00")}]);
        api.patch(id, &json!({"territory": territory})).await;
        api.patch(id, &json!({"workingHours": hours, "status": "onLeave"}))
            .await;
        let day = i64::try_from(step).unwrap();
        let start = 180 + 10 * i64::try_from(number).unwrap();
        let job = week.job("Repair", day, start, start + 60);
        api.book(id, &job).await.assert_status(201);
        let path = format!("/contractors/{id}/date-overrides/{}", week.date(day + 1));
        let body = json!({"windows": [{"start": "07:00", "end": "10:15"}]});
        let headers = [("if-match", "*")];
        let answer = api.send(Method::PUT, &path, &headers, Some(&body)).await;
        answer.unwrap().assert_status(201);
        api.patch(id, &json!({"status": "active"})).await;
    }
}

/// What the read side says of a contractor, but for when it was calculated.
async fn reading(api: &AvailabilityApi, id: &str, version: i64, week: Week) -> Value {
    let [from, to] = week.range();
    let query = [
        (from.0, from.1.as_str()),
        (to.0, to.1.as_str()),
        ("durationMinutes", "45"),
    ];
    let mut reading = api.cached(id, version, &query).await;
    reading.as_object_mut().unwrap().remove("calculatedAt");
    assert!(!reading["windows"].as_array().unwrap().is_empty());
    reading
}

async fn who_can_work(api: &AvailabilityApi, territory: &str, week: Week) -> Vec<Value> {
    let [from, to] = week.range();
    let query = [
        (from.0, from.1.as_str()),
        (to.0, to.1.as_str()),
        ("durationMinutes", "45"),
        ("territory", territory),
    ];
    let found = api.search(&query).await;
    assert_eq!(found["nextCursor"], Value::Null);
    let mut items = found["items"].as_array().unwrap().clone();
    for item in &mut items {
        // Each worker says when it has calculated it.
        item.as_object_mut().unwrap().remove("calculatedAt");
    }
    items
}
