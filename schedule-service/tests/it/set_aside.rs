//! Events that the broker does not take, however often it is asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Output};

use lapin::Channel;
use lapin::options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use shared_events::amqp::connect;
use shared_events::service::Shutdown;
use shared_events::topology::{EXCHANGE, Part};
use sqlx::PgPool;
use stack::rights::as_user;
use stack::{PrivateServers, TestBed};
use uuid::Uuid;

use crate::database::ROLE;
use crate::outbox_relay::{eventually, make_due, migrated, relay, settings, unsent, write};

const GOOD: &str = "schedule.updated.v1.leeds";
const NACKED: &str = "schedule.updated.v1.full";

/// A queue that is always full, beside the one of the workers: who publishes for it gets a nack.
async fn full_queue(amqp_url: &str) -> Channel {
    let connection = connect(&settings(amqp_url, &[]).amqp, "test", Part::All)
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(0));
    let overflow = AMQPValue::LongString("reject-publish".into());
    arguments.insert("x-overflow".into(), overflow);
    let options = QueueDeclareOptions::default();
    channel
        .queue_declare("full".into(), options, arguments)
        .await
        .unwrap();
    let options = QueueBindOptions::default();
    let none = FieldTable::default();
    channel
        .queue_bind("full".into(), EXCHANGE.into(), NACKED.into(), options, none)
        .await
        .unwrap();
    channel
}

async fn set_aside(pool: &PgPool) -> Vec<(Uuid, i32, String)> {
    sqlx::query_as("SELECT event_id, attempts, reason FROM outbox_set_aside ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

async fn attempts(pool: &PgPool) -> Vec<i32> {
    sqlx::query_scalar("SELECT attempts FROM outbox ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// `schedule-service outbox …`
fn outbox(database_url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_schedule-service"))
        .arg("outbox")
        .args(arguments)
        .env("DATABASE_URL", database_url)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn what_is_refused_for_ever_is_set_aside_holds_up_nobody_and_goes_once_the_operator_says_so()
{
    let bed = TestBed::new().await;
    let database = &as_user(bed.database_url(), ROLE).unwrap();
    let pool = migrated(bed.database_url()).await;
    let full = full_queue(bed.amqp_url()).await;
    let two = [
        "--outbox-max-attempts",
        "2",
        "--outbox-max-age-seconds",
        "1",
    ];
    let relay = relay(&pool, bed.amqp_url(), &two).await;
    let refused = write(&pool, NACKED, 2).await;
    write(&pool, GOOD, 3).await;

    assert_eq!(relay.relay_pending().await.unwrap(), 3);
    assert_eq!(attempts(&pool).await, [1, 1]);
    make_due(&pool).await;
    assert_eq!(relay.relay_pending().await.unwrap(), 0);
    assert_eq!(unsent(&pool).await, 0);
    let reason = "refused by the broker (basic.nack)".to_owned();
    let both = [(refused[0], 2, reason.clone()), (refused[1], 2, reason)];
    assert_eq!(set_aside(&pool).await, both);

    // It is told, and does not make the process unready.
    let shutdown = Shutdown::new();
    relay.start(&shutdown);
    eventually("the report tells of both", async || {
        relay.refused().contains("2 set aside")
    })
    .await;
    assert_eq!(relay.check().await, Ok(()));
    shutdown.begin();
    shutdown.drained().await;

    let listed = text(&outbox(database, &["list"]).stdout);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let first: Vec<&str> = listed.lines().next().unwrap().split('\t').collect();
    // The id stands for the event, which is no envelope in this test.
    assert_eq!(first[..4], [&refused[0].to_string(), "-", "-", "2"]);
    assert_eq!(
        first[5..],
        ["36", NACKED, "refused by the broker (basic.nack)"]
    );
    let nothing = outbox(database, &["list", "--reason", "too large"]);
    assert!(nothing.stdout.is_empty());

    let unsaid = outbox(database, &["retry"]);
    assert_eq!(unsaid.status.code(), Some(2));
    assert!(text(&unsaid.stderr).contains("--all"), "{unsaid:?}");
    let dry = outbox(database, &["retry", "--all", "--dry-run"]);
    assert_eq!(text(&dry.stdout), listed);
    assert_eq!(set_aside(&pool).await.len(), 2);

    let options = QueueDeleteOptions::default();
    full.queue_delete("full".into(), options).await.unwrap();
    let id = refused[1].to_string();
    let retried = outbox(database, &["retry", "--event-id", &id]);
    assert!(retried.status.success(), "{retried:?}");
    assert_eq!(text(&retried.stderr), "1 events retried\n");
    assert_eq!(attempts(&pool).await, [0]);
    assert_eq!(relay.relay_pending().await.unwrap(), 1);
    assert_eq!(set_aside(&pool).await, both[..1]);

    let discarded = outbox(database, &["discard", "--reason", "nack"]);
    assert_eq!(text(&discarded.stderr), "1 events discarded\n");
    assert_eq!(set_aside(&pool).await, []);
}

#[tokio::test]
async fn what_amqp_cannot_carry_is_refused_before_it_is_sent() {
    let bed = TestBed::new().await;
    let pool = migrated(bed.database_url()).await;
    let relay = relay(&pool, bed.amqp_url(), &["--outbox-max-attempts", "1"]).await;
    let odd = write(&pool, &"x".repeat(300), 1).await;
    write(&pool, GOOD, 1).await;
    assert_eq!(relay.relay_pending().await.unwrap(), 1);
    let reason = "its routing key has 300 bytes, and AMQP carries 255";
    assert_eq!(set_aside(&pool).await, [(odd[0], 1, reason.to_owned())]);
}

#[tokio::test]
async fn a_body_that_the_broker_closes_the_channel_over_is_the_only_one_to_pay_and_an_outage_costs_nothing()
 {
    let servers = PrivateServers::start().await.unwrap();
    let configuration = servers.folder().join("rabbitmq/rabbitmq.conf");
    let mut configuration = OpenOptions::new().append(true).open(configuration).unwrap();
    writeln!(configuration, "max_message_size = 10000").unwrap();
    servers.rabbitmq.restart().await.unwrap();
    let backends = servers.backends();
    let pool = migrated(&backends.database_url).await;
    let more = [
        "--outbox-max-attempts",
        "3",
        "--amqp-connect-timeout-seconds",
        "2",
    ];
    let relay = relay(&pool, &backends.amqp_url, &more).await;
    write(&pool, GOOD, 20).await;
    let large = write(&pool, GOOD, 1).await;
    write(&pool, GOOD, 20).await;
    sqlx::query(
        "UPDATE outbox SET payload = decode(repeat('ff', 10001), 'hex') WHERE event_id = $1",
    )
    .bind(large[0])
    .execute(&pool)
    .await
    .unwrap();

    assert_eq!(relay.relay_pending().await.unwrap(), 40);
    assert_eq!(attempts(&pool).await, [1]);

    servers.rabbitmq.kill().await.unwrap();
    write(&pool, GOOD, 3).await;
    for _ in 0..5 {
        make_due(&pool).await;
        relay.relay_pending().await.unwrap_err();
    }
    assert_eq!(attempts(&pool).await, [1, 0, 0, 0]);

    servers.rabbitmq.restart().await.unwrap();
    let mut confirmed = 0;
    eventually("the broker is well again, and refuses one", async || {
        make_due(&pool).await;
        confirmed += relay.relay_pending().await.unwrap_or(0);
        unsent(&pool).await == 0
    })
    .await;
    assert_eq!(confirmed, 3);
    let kept = set_aside(&pool).await;
    assert_eq!((kept[0].0, kept[0].1), (large[0], 3));
    assert!(kept[0].2.contains("PRECONDITION"), "{}", kept[0].2);
    servers.discard().await.unwrap();
}
