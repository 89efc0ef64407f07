//! The exchange, the queues and the routing keys: every name and number once.
//!
//! This module names things; `amqp::declare` (feature `amqp`) makes them. Every Rosterwire process
//! declares its own [`Part`] when it connects, and waits for those of the others: schedule-service
//! publishes nothing before the queues of its subscribers are there, so the order in which they start
//! does not matter. What each may do at the broker is in `deploy/rights/rabbitmq.json`.
//! Redeclaring a queue with other arguments closes the channel (406), so a change of any argument
//! here is a migration: give the queue a new name.

/// Whose part of the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The exchange of all events and what is unrouted; binds the subscribers' queues, which must be
    /// there.
    ScheduleService,
    /// The workers' queues, bound to the exchange, which must be there.
    AvailabilityWorker,
    /// The stream, bound to the exchange, which must be there.
    Notifier,
    /// All of it: for a user with all rights, as tests have one.
    All,
}

/// The topic exchange on which every event is published.
pub const EXCHANGE: &str = "rosterwire.events";

/// The fanout exchange that receives what no queue is bound for.
pub const UNROUTED_EXCHANGE: &str = "rosterwire.unrouted";

/// Keeps what nobody was bound for, the newest [`UNROUTED_MAX_LENGTH`] messages of it.
pub const UNROUTED_QUEUE: &str = "rosterwire.unrouted";

/// How many messages [`UNROUTED_QUEUE`] keeps.
pub const UNROUTED_MAX_LENGTH: i32 = 100_000;

/// The quorum queue that the availability workers compete on.
pub const SCHEDULE_UPDATED_QUEUE: &str = "availability-worker.schedule-updated";

/// The direct exchange of the workers, whose routing keys are the names of their queues: for what is
/// retried, suspected and dead-lettered. By the default exchange they could write into any queue.
pub const SETTLEMENT_EXCHANGE: &str = "availability-worker.settlement";

/// How often the broker itself delivers one message again (a worker that dies while it holds it)
/// before it goes to [`DEAD_LETTER_QUEUE`].
pub const DELIVERY_LIMIT: i32 = 20;

/// What has come back too often from workers that ended while they held it, and is tried by one
/// worker holding nothing else: so that a message that ends processes takes no other with it.
pub const SUSPECT_QUEUE: &str = "availability-worker.schedule-updated.suspect";

/// The queues in which a message waits before it is tried again, with the longest wait in
/// milliseconds; each message brings its own wait, from half of that on.
/// The n-th retry waits in the n-th queue; after the last comes [`DEAD_LETTER_QUEUE`].
pub const RETRY_QUEUES: [(&str, i32); 6] = [
    ("availability-worker.schedule-updated.retry.1s", 1_000),
    ("availability-worker.schedule-updated.retry.5s", 5_000),
    ("availability-worker.schedule-updated.retry.30s", 30_000),
    ("availability-worker.schedule-updated.retry.2m", 120_000),
    ("availability-worker.schedule-updated.retry.10m", 600_000),
    ("availability-worker.schedule-updated.retry.1h", 3_600_000),
];

/// What could not be handled, with reason and attempts in the headers.
pub const DEAD_LETTER_QUEUE: &str = "availability-worker.schedule-updated.dead-letter";

/// The stream that every notifier reads at its own offset.
pub const UPDATES_STREAM: &str = "notifier.updates";

/// The fanout exchange of the notifiers' own messages to [`UPDATES_STREAM`].
pub const MARKER_EXCHANGE: &str = "notifier.markers";

/// How long [`UPDATES_STREAM`] keeps events, in RabbitMQ's notation: seven days.
pub const UPDATES_MAX_AGE: &str = "7D";

/// How many bytes [`UPDATES_STREAM`] keeps.
pub const UPDATES_MAX_LENGTH_BYTES: i64 = 5_000_000_000;

/// The size of the stream's segments, the unit in which age and size are enforced.
pub const UPDATES_SEGMENT_BYTES: i64 = 50_000_000;

/// Binding key of all ScheduleUpdated events of version 1.
pub const SCHEDULE_UPDATED_BINDING: &str = "schedule.updated.v1.#";

/// Binding key of all AvailabilityUpdated events of version 1.
pub const AVAILABILITY_UPDATED_BINDING: &str = "availability.updated.v1.#";

/// The routing key of a ScheduleUpdated event of `territory`.
#[must_use]
pub fn schedule_updated_routing_key(territory: &str) -> String {
    format!("schedule.updated.v1.{territory}")
}

/// The routing key of an AvailabilityUpdated event of `territory`.
#[must_use]
pub fn availability_updated_routing_key(territory: &str) -> String {
    format!("availability.updated.v1.{territory}")
}

/// Header: how many times handling a message has failed so far.
pub const ATTEMPTS_HEADER: &str = "x-rosterwire-attempts";

/// Header, set by the broker: how often a message has come back from a consumer.
pub const DELIVERY_COUNT_HEADER: &str = "x-delivery-count";

/// Header: why the last attempt failed, for people.
pub const REASON_HEADER: &str = "x-rosterwire-reason";

/// Header: the routing key under which the message was first published.
pub const ROUTING_KEY_HEADER: &str = "x-rosterwire-routing-key";
