//! The relay against real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Parser;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::AMQPValue;
use schedule_service::outbox_relay::{Committed, OutboxRelay, OutboxSettings, Place};
use shared_events::amqp::{AmqpSettings, Message, TraceHeaders, connect};
use shared_events::service::Shutdown;
use shared_events::topology::{Part, SCHEDULE_UPDATED_QUEUE, UNROUTED_QUEUE};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use stack::rights::as_user;
use stack::{PrivateServers, ServiceKind, TestBed};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::database;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_mins(1);

/// Poll so seldom that only the database's NOTIFY can wake the relay in time.
const NEVER_POLL: [&str; 2] = ["--outbox-poll-seconds", "86400"];

#[derive(Parser)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) amqp: AmqpSettings,
    #[command(flatten)]
    outbox: OutboxSettings,
}

pub(crate) fn settings(amqp_url: &str, more: &[&str]) -> Settings {
    Settings::parse_from(["relay", "--amqp-url", amqp_url].iter().chain(more))
}

/// A relay, with the queues of its subscribers: before they are there it publishes nothing.
pub(crate) async fn relay(pool: &PgPool, amqp_url: &str, more: &[&str]) -> OutboxRelay {
    let all = settings(amqp_url, &[]).amqp;
    connect(&all, "test", Part::All).await.unwrap();
    let used = as_user(amqp_url, ServiceKind::ScheduleService.name()).unwrap();
    let settings = settings(&used, more);
    OutboxRelay::new(pool.clone(), settings.amqp, settings.outbox)
}

pub(crate) async fn migrated(database_url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(4)
        .connect(&database::migrated(database_url).await)
        .await
        .unwrap()
}

/// Writes events in one transaction, as a change does, and says their ids.
pub(crate) async fn write(pool: &PgPool, routing_key: &str, count: usize) -> Vec<Uuid> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO outbox (event_id, event_type, routing_key, payload, traceparent, tracestate)
         SELECT id, 'rosterwire.schedule.updated.v1', $2, convert_to(id::text, 'UTF8'),
             '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'vendor=1'
         FROM unnest($1) WITH ORDINALITY AS event (id, position) ORDER BY position",
    )
    .bind(&ids)
    .bind(routing_key)
    .execute(&mut *transaction)
    .await
    .unwrap();
    sqlx::query("SELECT pg_notify('outbox', '')")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    ids
}

pub(crate) async fn unsent(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox")
        .fetch_one(pool)
        .await
        .unwrap()
}

pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the relay listens for NOTIFY and has polled for the first and last time.
async fn until_listening(pool: &PgPool) {
    eventually("the relay listens", async || {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
                 WHERE datname = current_database() AND state = 'idle'
                 AND application_name = 'schedule-service outbox' AND query LIKE '%counted%')",
        )
        .fetch_one(pool)
        .await
        .unwrap()
    })
    .await;
}

/// Takes everything off the workers' queue: the messages in their order.
async fn take_all(amqp_url: &str) -> Vec<lapin::message::BasicGetMessage> {
    let connection = connect(&settings(amqp_url, &[]).amqp, "test", Part::All)
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut messages = Vec::new();
    while let Some(message) = channel
        .basic_get(SCHEDULE_UPDATED_QUEUE.into(), BasicGetOptions::default())
        .await
        .unwrap()
    {
        message
            .delivery
            .ack(BasicAckOptions::default())
            .await
            .unwrap();
        messages.push(message);
    }
    connection.close(200, "done".into()).await.unwrap();
    messages
}

fn ids(messages: &[lapin::message::BasicGetMessage]) -> Vec<Uuid> {
    messages
        .iter()
        .map(|message| {
            let id = message
                .delivery
                .properties
                .message_id()
                .as_ref()
                .unwrap()
                .as_str();
            id.parse().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn events_leave_the_outbox_in_order_in_as_many_batches_as_it_takes() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let relay = relay(&pool, bed.amqp_url(), &["--outbox-batch", "200"]).await;
    let written = write(&pool, "schedule.updated.v1.london-north", 450).await;

    assert_eq!(relay.relay_pending().await.unwrap(), 450);

    assert_eq!(unsent(&pool).await, 0);
    assert_eq!(ids(&take_all(bed.amqp_url()).await), written);
}

#[tokio::test]
async fn a_message_carries_the_event_its_identity_and_its_trace() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let relay = relay(&pool, bed.amqp_url(), &[]).await;
    let written = write(&pool, "schedule.updated.v1.london-north", 1).await;
    relay.relay_pending().await.unwrap();

    let messages = take_all(bed.amqp_url()).await;
    let delivery = &messages[0].delivery;
    assert_eq!(
        delivery.routing_key.as_str(),
        "schedule.updated.v1.london-north"
    );
    assert_eq!(delivery.data, written[0].to_string().as_bytes());
    let properties = &delivery.properties;
    assert_eq!(
        properties.message_id().as_ref().unwrap().as_str(),
        written[0].to_string()
    );
    assert_eq!(
        properties.kind().as_ref().unwrap().as_str(),
        "rosterwire.schedule.updated.v1"
    );
    assert_eq!(
        properties.content_type().as_ref().unwrap().as_str(),
        "application/cloudevents+json"
    );
    assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
    let header = |name: &str| {
        let headers = properties.headers().as_ref().unwrap();
        match headers.inner().get(name) {
            Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(
        header("traceparent"),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    );
    assert_eq!(header("tracestate"), "vendor=1");
}

#[tokio::test]
async fn a_batch_takes_no_further_event_once_it_has_its_size() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    // An id as text is 36 bytes: a size of one byte means one event a batch.
    let relay = relay(&pool, bed.amqp_url(), &["--outbox-batch-bytes", "1"]).await;
    let written = write(&pool, "schedule.updated.v1.london-north", 5).await;

    assert_eq!(relay.relay_pending().await.unwrap(), 5);

    assert_eq!(unsent(&pool).await, 0);
    assert_eq!(ids(&take_all(bed.amqp_url()).await), written);
}

#[tokio::test]
async fn an_event_that_no_queue_takes_stays_while_the_others_pass_and_what_was_deleted_is_declared()
{
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let relay = relay(&pool, bed.amqp_url(), &["--outbox-batch", "3"]).await;
    // Once the relay is connected: nothing is bound for this key any more, not even what keeps
    // what nothing is bound for.
    write(&pool, "schedule.updated.v1.london-north", 1).await;
    relay.relay_pending().await.unwrap();
    take_all(bed.amqp_url()).await;
    bed.rabbitmq_management()
        .delete_queue(UNROUTED_QUEUE)
        .await
        .unwrap();
    let refused = write(&pool, "schedule.updated.v0.nobody", 2).await;
    let good = write(&pool, "schedule.updated.v1.london-north", 4).await;
    let before = rows(&pool).await;

    assert_eq!(relay.relay_pending().await.unwrap(), 4);

    let kept = rows(&pool).await;
    assert_eq!(kept, before[..2], "all but the book-keeping is as it was");
    let put_back: Vec<(i32, bool, String)> = sqlx::query_as(
        "SELECT attempts, next_attempt_at > now(), last_error FROM outbox ORDER BY id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(
        put_back,
        vec![(1, true, "unroutable: NO_ROUTE".to_owned()); 2]
    );
    assert_eq!(ids(&take_all(bed.amqp_url()).await), good);

    // The refusal made the relay connect anew, which has declared the queue.
    make_due(&pool).await;
    assert_eq!(relay.relay_pending().await.unwrap(), refused.len());
    assert_eq!(unsent(&pool).await, 0);
}

/// Ends the waits of refused events.
pub(crate) async fn make_due(pool: &PgPool) {
    sqlx::query("UPDATE outbox SET next_attempt_at = now()")
        .execute(pool)
        .await
        .unwrap();
}

/// The rows without the book-keeping of attempts.
async fn rows(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT row(id, event_id, event_type, routing_key, payload, traceparent, tracestate,
             created_at)::text FROM outbox ORDER BY id",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_commit_of_an_event_wakes_the_relay() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let shutdown = Shutdown::new();
    relay(&pool, bed.amqp_url(), &NEVER_POLL)
        .await
        .start(&shutdown);
    until_listening(&pool).await;

    for _ in 0..3 {
        write(&pool, "schedule.updated.v1.london-north", 1).await;
        eventually("the event is published", async || unsent(&pool).await == 0).await;
    }

    assert_eq!(take_all(bed.amqp_url()).await.len(), 3);
    shutdown.begin();
    shutdown.drained().await;
}

/// Commits an event that the relays are not told of and leave alone for `hold`, as a request does
/// that hands it over.
async fn write_held(pool: &PgPool, hold: Duration) -> Committed {
    let event_id = Uuid::now_v7();
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO outbox (event_id, event_type, routing_key, payload, next_attempt_at)
         VALUES ($1, 'rosterwire.schedule.updated.v1', 'schedule.updated.v1.leeds', '{}',
             clock_timestamp() + make_interval(secs => $2))
         RETURNING id",
    )
    .bind(event_id)
    .bind(hold.as_secs_f64())
    .fetch_one(pool)
    .await
    .unwrap();
    let message = Message::event(
        "schedule.updated.v1.leeds".to_owned(),
        event_id.to_string(),
        "rosterwire.schedule.updated.v1".to_owned(),
        chrono::DateTime::UNIX_EPOCH,
        b"{}".to_vec(),
        TraceHeaders::default(),
    );
    Committed { id, message }
}

async fn place(relay: &OutboxRelay) -> Place {
    let mut found = None;
    eventually("events are taken over", async || {
        found = relay.hand_over().place();
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test]
async fn what_is_handed_over_is_published_without_a_hint_and_leaves_the_outbox() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let relay = relay(&pool, bed.amqp_url(), &NEVER_POLL).await;
    assert!(relay.hand_over().place().is_none(), "nobody takes it yet");
    let shutdown = Shutdown::new();
    relay.start(&shutdown);
    let mut written = Vec::new();
    for _ in 0..3 {
        let place = place(&relay).await;
        let committed = write_held(&pool, Duration::from_hours(1)).await;
        written.push(committed.message.message_id.parse::<Uuid>().unwrap());
        place.hand_over(committed);
    }
    eventually("an empty outbox", async || unsent(&pool).await == 0).await;

    // What was taken over before the end is published and deleted before the end, too.
    let last = place(&relay).await;
    let committed = write_held(&pool, Duration::from_hours(1)).await;
    written.push(committed.message.message_id.parse::<Uuid>().unwrap());
    last.hand_over(committed);
    shutdown.begin();
    shutdown.drained().await;
    assert_eq!(unsent(&pool).await, 0);
    assert_eq!(ids(&take_all(bed.amqp_url()).await), written, "in order");
    assert!(
        relay.hand_over().place().is_none(),
        "nobody takes it any more"
    );
}

#[tokio::test]
async fn what_was_committed_but_never_handed_over_is_published_after_the_hold() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let relay = relay(&pool, bed.amqp_url(), &[]).await;
    let lost = write_held(&pool, Duration::from_hours(1)).await;
    let held = write_held(&pool, Duration::from_secs(1)).await;
    let shutdown = Shutdown::new();
    relay.start(&shutdown);
    eventually("the hold is over", async || unsent(&pool).await == 1).await;
    shutdown.begin();
    shutdown.drained().await;
    let published = ids(&take_all(bed.amqp_url()).await);
    assert_eq!(
        published,
        [held.message.message_id.parse::<Uuid>().unwrap()]
    );
    assert!(rows(&pool).await.len() == 1, "{} is held still", lost.id);
}

#[tokio::test]
async fn where_there_is_no_more_room_an_event_goes_through_the_outbox_alone() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let one = [&NEVER_POLL[..], &["--outbox-hand-over", "1"]].concat();
    let relay = relay(&pool, bed.amqp_url(), &one).await;
    let shutdown = Shutdown::new();
    relay.start(&shutdown);
    let only = place(&relay).await;
    assert!(relay.hand_over().place().is_none());
    drop(only);
    assert!(relay.hand_over().place().is_some());
    shutdown.begin();
    shutdown.drained().await;
}

#[tokio::test]
async fn many_relays_at_once_lose_nothing() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let shutdown = Shutdown::new();
    for _ in 0..3 {
        let more = ["--outbox-batch", "7", "--outbox-relays", "3"];
        relay(&pool, bed.amqp_url(), &more).await.start(&shutdown);
    }
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut written = Vec::new();
                for _ in 0..50 {
                    written.extend(write(&pool, "schedule.updated.v1.london-north", 5).await);
                }
                written
            })
        })
        .collect();
    let mut written = BTreeSet::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    eventually("everything is published", async || unsent(&pool).await == 0).await;

    let arrived: BTreeSet<Uuid> = ids(&take_all(bed.amqp_url()).await).into_iter().collect();
    assert_eq!(arrived, written);
    shutdown.begin();
    shutdown.drained().await;
}

#[tokio::test]
async fn what_a_vanished_relay_held_is_published_by_another() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    write(&pool, "schedule.updated.v1.london-north", 3).await;
    let mut vanishing = PgConnection::connect(bed.database_url()).await.unwrap();
    sqlx::raw_sql("BEGIN; DELETE FROM outbox WHERE id = 1")
        .execute(&mut vanishing)
        .await
        .unwrap();
    let relay = relay(&pool, bed.amqp_url(), &[]).await;
    assert_eq!(
        relay.relay_pending().await.unwrap(),
        2,
        "what another holds is left to it"
    );

    vanishing.close_hard().await.unwrap();

    eventually("the claim has ended", async || {
        relay.relay_pending().await.unwrap() == 1
    })
    .await;
    assert_eq!(unsent(&pool).await, 0);
}

#[tokio::test]
async fn at_the_soft_signal_the_relay_ends_and_claims_nothing_more() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let shutdown = Shutdown::new();
    relay(&pool, bed.amqp_url(), &[]).await.start(&shutdown);
    until_listening(&pool).await;

    shutdown.begin();
    shutdown.drained().await;

    write(&pool, "schedule.updated.v1.london-north", 1).await;
    assert_eq!(unsent(&pool).await, 1);
}

#[tokio::test]
async fn a_broker_that_is_killed_and_comes_back_gets_everything_without_a_restart() {
    let servers = PrivateServers::start().await.unwrap();
    let backends = servers.backends();
    let pool = migrated(&backends.database_url).await;
    let shutdown = Shutdown::new();
    let more = [
        "--outbox-max-age-seconds",
        "1",
        "--amqp-publish-timeout-seconds",
        "2",
    ];
    let relay = relay(&pool, &backends.amqp_url, &more).await;
    relay.start(&shutdown);
    let mut written = write(&pool, "schedule.updated.v1.london-north", 20).await;
    eventually("the first are published", async || unsent(&pool).await == 0).await;
    assert_eq!(relay.check().await, Ok(()));

    servers.rabbitmq.kill().await.unwrap();
    written.extend(write(&pool, "schedule.updated.v1.london-north", 450).await);
    eventually("the outbox makes the process unready", async || {
        relay.check().await.is_err()
    })
    .await;
    assert_eq!(unsent(&pool).await, 450, "nothing is let go of unconfirmed");

    servers.rabbitmq.restart().await.unwrap();
    eventually("the rest is published", async || unsent(&pool).await == 0).await;
    assert_eq!(relay.check().await, Ok(()));
    let arrived: BTreeSet<Uuid> = ids(&take_all(&backends.amqp_url).await)
        .into_iter()
        .collect();
    assert_eq!(arrived, written.into_iter().collect());

    shutdown.begin();
    shutdown.drained().await;
    servers.discard().await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_killed_and_comes_back_wakes_the_relay_again() {
    let servers = PrivateServers::start().await.unwrap();
    let backends = servers.backends();
    let pool = migrated(&backends.database_url).await;
    let shutdown = Shutdown::new();
    relay(&pool, &backends.amqp_url, &NEVER_POLL)
        .await
        .start(&shutdown);
    until_listening(&pool).await;
    let mut written = write(&pool, "schedule.updated.v1.london-north", 1).await;
    eventually("the first is published", async || unsent(&pool).await == 0).await;

    servers.postgres.kill().await.unwrap();
    servers.postgres.restart().await.unwrap();
    let pool = migrated(&backends.database_url).await;
    until_listening(&pool).await;

    written.extend(write(&pool, "schedule.updated.v1.london-north", 1).await);
    eventually("the second is published", async || unsent(&pool).await == 0).await;
    let arrived: BTreeSet<Uuid> = ids(&take_all(&backends.amqp_url).await)
        .into_iter()
        .collect();
    assert_eq!(arrived, written.into_iter().collect());

    shutdown.begin();
    shutdown.drained().await;
    servers.discard().await.unwrap();
}
