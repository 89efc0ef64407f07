//! One worker on a test bed of its own, with a clock that is set by hand.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use availability_worker::app::Application;
use availability_worker::cache::Cache;
use availability_worker::config::Config;
use availability_worker::rebuild::{Rebuild, Rebuilt};
use availability_worker::recalculation::Recalculation;
use availability_worker::source::ScheduleSource;
use availability_worker::verify::{Report, Verification, VerifySettings};
use availability_worker::watchers::Watchers;
use clap::Parser;
use futures::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use shared_events::amqp::{AmqpSettings, Message, Publisher, TraceHeaders, connect};
use shared_events::event::FieldValues;
use shared_events::service::{Clock, Shutdown};
use shared_events::{
    AvailabilityUpdated, Envelope, IntegrationEvent, Schedule, ScheduleUpdated, topology,
};
use stack::{Backends, ServiceKind, TestBed};
use uuid::Uuid;

use crate::truth::Truth;

/// How long anything may take before a test gives up.
const DEADLINE: Duration = Duration::from_secs(30);

/// A Tuesday.
pub(crate) const NOW: &str = "2026-11-24T08:00:00Z";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

#[derive(Parser)]
struct Amqp {
    #[command(flatten)]
    amqp: AmqpSettings,
}

/// The servers of a test bed, as a worker may use them.
pub(crate) fn used(bed: &TestBed) -> Backends {
    bed.backends()
        .as_used_by(ServiceKind::AvailabilityWorker)
        .unwrap()
}

pub(crate) struct World {
    pub(crate) bed: TestBed,
    pub(crate) truth: Arc<Truth>,
    pub(crate) config: Config,
    /// As a user that may do everything.
    amqp: AmqpSettings,
    pub(crate) clock: Clock,
    pub(crate) url: String,
    publisher: Publisher,
    http: reqwest::Client,
    shutdown: Shutdown,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[&str]) -> Self {
        let world = Self::without_worker(settings).await;
        world.start_worker().await
    }

    /// Everything but the worker; the queues are there.
    pub(crate) async fn without_worker(settings: &[&str]) -> Self {
        let bed = TestBed::new().await;
        let used = used(&bed);
        let truth = Truth::start().await;
        let mut arguments = vec![
            "worker",
            "--bind-addr=127.0.0.1:0",
            "--amqp-url",
            &used.amqp_url,
            "--redis-url",
            &used.redis_url,
            "--schedule-service-url",
            &truth.url,
        ];
        if !settings
            .iter()
            .any(|setting| setting.starts_with("--auth-mode"))
        {
            arguments.push("--auth-mode=disabled");
        }
        arguments.extend(settings);
        let config = Cli::parse_from(arguments).config;
        let amqp = Amqp::parse_from(["test", "--amqp-url", bed.amqp_url()]).amqp;
        let publisher = Publisher::new(amqp.clone(), "test", topology::Part::All);
        publisher.connect().await.unwrap();
        Self {
            bed,
            truth,
            publisher,
            amqp,
            config,
            clock: Clock::manual(NOW.parse().unwrap()),
            url: String::new(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            shutdown: Shutdown::new(),
        }
    }

    pub(crate) async fn start_worker(mut self) -> Self {
        let application =
            Application::build(self.config.clone(), self.clock.clone(), &self.shutdown).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move { application.run_until_stopped(listener, &shutdown).await });
        self.until("the worker is ready", async || {
            self.get("/health/ready").await.0 == 200
        })
        .await;
        self
    }

    /// Starts another worker on the same servers.
    pub(crate) async fn start_another(&self) {
        let application =
            Application::build(self.config.clone(), self.clock.clone(), &self.shutdown).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move { application.run_until_stopped(listener, &shutdown).await });
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let holds = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, holds)
            .await
            .unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.get_with(path, &[]).await;
        (status, body)
    }

    pub(crate) async fn get_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, reqwest::header::HeaderMap, Value) {
        let mut request = self.http.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap()
        };
        (status, headers, body)
    }

    pub(crate) async fn publish(&self, schedules: &[&Schedule]) {
        let messages: Vec<Message> = schedules.iter().map(|s| message(s)).collect();
        self.publish_messages(&messages).await;
    }

    pub(crate) async fn publish_messages(&self, messages: &[Message]) {
        for answer in self.publisher.publish(messages).await.unwrap() {
            answer.unwrap();
        }
    }

    /// Reads the stream of updates from its start until `enough` says so of the AvailabilityUpdated
    /// events so far: each with its traceparent.
    pub(crate) async fn told(
        &self,
        mut enough: impl FnMut(&[(AvailabilityUpdated, String)]) -> bool,
    ) -> Vec<(AvailabilityUpdated, String)> {
        let connection = connect(&self.amqp, "test reader", topology::Part::All)
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel
            .basic_qos(100, BasicQosOptions::default())
            .await
            .unwrap();
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-stream-offset".into(),
            AMQPValue::LongString("first".into()),
        );
        let mut stream = channel
            .basic_consume(
                topology::UPDATES_STREAM.into(),
                "".into(),
                BasicConsumeOptions::default(),
                arguments,
            )
            .await
            .unwrap();
        let mut told = Vec::new();
        let read = async {
            while !enough(&told) {
                let delivery = stream.next().await.unwrap().unwrap();
                delivery
                    .acker
                    .ack(BasicAckOptions::default())
                    .await
                    .unwrap();
                let headers = delivery.properties.headers().clone().unwrap_or_default();
                let trace = match headers.inner().get("traceparent") {
                    Some(AMQPValue::LongString(text)) => text.to_string(),
                    _ => String::new(),
                };
                if let Ok(event) =
                    serde_json::from_slice::<Envelope<AvailabilityUpdated>>(&delivery.data)
                {
                    assert_eq!(delivery.routing_key.as_str(), event.data.routing_key());
                    assert_eq!(
                        delivery
                            .properties
                            .message_id()
                            .as_ref()
                            .map(ToString::to_string),
                        Some(event.id.to_string())
                    );
                    told.push((event.data, trace));
                }
            }
        };
        tokio::time::timeout(DEADLINE, read)
            .await
            .expect("the stream has not told it in time");
        told
    }

    /// Waits until a contractor's version is told on the stream.
    pub(crate) async fn told_of(&self, schedule: &Schedule) -> AvailabilityUpdated {
        let (id, version) = (schedule.contractor_id, schedule.version);
        let is_it = |e: &AvailabilityUpdated| e.contractor_id == id && e.version == version;
        let told = self.told(|told| told.iter().any(|(e, _)| is_it(e))).await;
        told.into_iter().map(|(e, _)| e).find(is_it).unwrap()
    }

    /// Waits until these are all told on the stream.
    pub(crate) async fn told_of_all(&self, schedules: &[Schedule]) {
        let mut wanted: HashSet<_> = schedules
            .iter()
            .map(|s| (s.contractor_id, s.version))
            .collect();
        self.told(|told| {
            if let Some((event, _)) = told.last() {
                wanted.remove(&(event.contractor_id, event.version));
            }
            wanted.is_empty()
        })
        .await;
    }

    /// Takes one message out of a queue, waiting for it: its body and its headers.
    pub(crate) async fn take(&self, queue: &str) -> (Vec<u8>, FieldTable) {
        let connection = connect(&self.amqp, "test taker", topology::Part::All)
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        let take = async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
                    let headers = message
                        .delivery
                        .properties
                        .headers()
                        .clone()
                        .unwrap_or_default();
                    return (message.delivery.data, headers);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, take)
            .await
            .expect("no message in time")
    }

    /// Everything that Redis holds of the windows and schedules, sorted.
    pub(crate) async fn cached(&self) -> Vec<(String, String, Vec<u8>)> {
        let mut connection = self.redis().await;
        let mut keys: Vec<String> = redis::cmd("KEYS")
            .arg("rw:[ws]*s:{*}")
            .query_async(&mut connection)
            .await
            .unwrap();
        keys.sort();
        let mut held = Vec::new();
        for key in keys {
            let mut hash: Vec<(String, Vec<u8>)> = redis::cmd("HGETALL")
                .arg(&key)
                .query_async(&mut connection)
                .await
                .unwrap();
            hash.sort();
            held.extend(hash.into_iter().map(|(id, value)| (key.clone(), id, value)));
        }
        held
    }

    /// What a worker stores with, with connections of its own.
    pub(crate) fn parts(&self) -> Parts {
        let cache = Cache::new(&self.config.cache, &self.config.service.trust).unwrap();
        let source = Arc::new(
            ScheduleSource::new(
                &self.config.source,
                &self.config.service.auth.signing,
                &self.config.service.trust,
                self.clock.clone(),
            )
            .unwrap(),
        );
        let recalculation = Arc::new(Recalculation::new(
            cache.clone(),
            Arc::clone(&source),
            Arc::new(Watchers::default()),
            self.clock.clone(),
            self.config.horizon.horizon_days,
        ));
        Parts {
            cache,
            source,
            recalculation,
        }
    }

    /// What differs between the cache and the truth now.
    pub(crate) async fn verify(&self, grace_ms: u64) -> Report {
        let Parts { cache, source, .. } = self.parts();
        let settings = VerifySettings {
            verify_grace_ms: grace_ms,
        };
        let days = self.config.horizon.horizon_days;
        let verification = Verification::new(cache, source, self.clock.clone(), days, &settings);
        verification.run(|_| {}).await.unwrap()
    }

    /// A connection to Redis, past the worker.
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.bed.redis_url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Starts another worker after [`stop`](Self::stop).
    pub(crate) async fn start_again(mut self) -> Self {
        self.shutdown = Shutdown::new();
        self.start_worker().await
    }

    /// Asks the worker to end softly.
    pub(crate) fn stop(&self) {
        self.shutdown.begin();
    }
}

/// What a worker stores with.
pub(crate) struct Parts {
    pub(crate) cache: Cache,
    pub(crate) source: Arc<ScheduleSource>,
    pub(crate) recalculation: Arc<Recalculation>,
}

impl Parts {
    /// Takes everybody into the cache.
    pub(crate) async fn fill(&self) -> Rebuilt {
        let (cache, source) = (self.cache.clone(), Arc::clone(&self.source));
        let rebuild = Rebuild::new(cache, source, Arc::clone(&self.recalculation));
        rebuild.fill(|_| {}).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.end_now();
    }
}

/// A contractor in London who works from Monday to Friday, 08:00 to 17:00.
pub(crate) fn contractor(number: u128, version: i64) -> Schedule {
    serde_json::from_value(json!({
        "contractorId": Uuid::from_u128(number), "name": format!("Contractor {number}"),
        "territory": "north", "skills": ["boiler", "gas"], "status": "active",
        "timeZone": "Europe/London",
        "workingHours": [{"days": ["MO", "TU", "WE", "TH", "FR"], "start": "08:00", "end": "17:00"}],
        "dateOverrides": [], "timeOff": [], "jobs": [],
        "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 0,
                         "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30},
        "version": version, "updatedAt": NOW
    }))
    .unwrap()
}

/// The same with other parts.
pub(crate) fn contractor_with(number: u128, version: i64, parts: &Value) -> Schedule {
    let mut document = serde_json::to_value(contractor(number, version)).unwrap();
    for (key, value) in parts.as_object().unwrap() {
        document[key] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

/// A ScheduleUpdated event.
pub(crate) fn event(schedule: &Schedule) -> Envelope<ScheduleUpdated> {
    let data = ScheduleUpdated {
        contractor_id: schedule.contractor_id,
        updated_fields: Vec::new(),
        previous_values: FieldValues::default(),
        timestamp: schedule.updated_at,
        current_values: FieldValues::default(),
        version: schedule.version,
        actor: "test".to_owned(),
        schedule: schedule.clone(),
    };
    Envelope::new(Uuid::new_v4(), schedule.updated_at, data)
}

/// A ScheduleUpdated event as a message.
pub(crate) fn message(schedule: &Schedule) -> Message {
    let event = event(schedule);
    Message::event(
        event.data.routing_key(),
        event.id.to_string(),
        ScheduleUpdated::TYPE.to_owned(),
        event.time,
        serde_json::to_vec(&event).unwrap(),
        TraceHeaders::default(),
    )
}
