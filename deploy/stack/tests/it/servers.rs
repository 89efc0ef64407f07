//! The private servers are killed, paused and restarted, and keep what they have promised to keep.

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection as AmqpConnection, ConnectionProperties};
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection, Row};
use stack::scratch::Scratch;
use stack::servers::rabbitmq::{self, Statistics};
use stack::{Postgres, RabbitMq, Redis, TestBed, ports, procfs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::eventually;

async fn postgres(scratch: &Scratch) -> Postgres {
    let (folder, log) = (
        scratch.path().join("postgres"),
        scratch.path().join("postgres.log"),
    );
    Postgres::start(&folder, &log, ports::reserve().unwrap())
        .await
        .unwrap()
}

async fn run(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn count(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let row = sqlx::query("SELECT count(*) FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn postgres_keeps_committed_rows_when_its_postmaster_alone_is_killed() {
    let scratch = Scratch::make().unwrap();
    let server = postgres(&scratch).await;
    run(
        &server.url(),
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)",
    )
    .await;
    // A session in the middle of something keeps its process alive for a while.
    let mut open = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; INSERT INTO kept VALUES (2)")
        .execute(&mut open)
        .await
        .unwrap();

    let (pid, url) = (server.pid(), server.url());
    server.process().signal(Signal::SIGKILL);
    server.exited().await;
    server.restart().await.unwrap();

    assert_ne!(server.pid(), pid);
    assert_eq!(server.url(), url);
    assert_eq!(count(&url).await, 1);
}

#[tokio::test]
async fn postgres_stopped_in_order_leaves_no_process_and_starts_again_elsewhere() {
    let scratch = Scratch::make().unwrap();
    let server = postgres(&scratch).await;
    run(
        &server.url(),
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)",
    )
    .await;
    server.stop().await.unwrap();
    assert!(!server.is_running());
    assert!(procfs::working_in(&scratch.path().join("postgres/data")).is_empty());
    let old = server.url();
    // The old server still holds its port.
    let server = postgres(&scratch).await;
    assert_ne!(server.url(), old);
    assert_eq!(count(&server.url()).await, 1);
}

#[tokio::test]
async fn a_killed_broker_comes_back_with_the_messages_of_a_quorum_queue() {
    let scratch = Scratch::make().unwrap();
    let (folder, log) = (
        scratch.path().join("rabbitmq"),
        scratch.path().join("rabbitmq.log"),
    );
    let ports = rabbitmq::Ports::reserve().unwrap();
    let server = RabbitMq::start(&folder, &log, ports, Statistics::Fast)
        .await
        .unwrap();

    let url = format!("{}/%2f", server.url());
    let connect = || AmqpConnection::connect(&url, ConnectionProperties::default());
    let channel = connect().await.unwrap().create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("kept".into(), durable, arguments)
        .await
        .unwrap();
    channel
        .basic_publish(
            "".into(),
            "kept".into(),
            BasicPublishOptions::default(),
            b"still here",
            BasicProperties::default().with_delivery_mode(2),
        )
        .await
        .unwrap()
        .await
        .unwrap();

    server.kill().await.unwrap();
    server.restart().await.unwrap();

    // The queue elects its leader after the broker answers; a failed get closes its channel.
    let connection = connect().await.unwrap();
    let message = eventually("the message", async || {
        let channel = connection.create_channel().await.unwrap();
        let get = BasicGetOptions { no_ack: true };
        channel.basic_get("kept".into(), get).await.ok().flatten()
    })
    .await;
    assert_eq!(message.delivery.data, b"still here");

    server.stop().await.unwrap();
    let folder = folder.canonicalize().unwrap();
    // A program that the broker has just called may need a moment to see that it is gone.
    eventually(
        "the end of the broker's helpers and its name server",
        async || {
            procfs::marked_with(stack::process::MARK, &folder)
                .is_empty()
                .then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn redis_comes_back_on_its_port_without_its_data() {
    let scratch = Scratch::make().unwrap();
    let (folder, log) = (
        scratch.path().join("redis"),
        scratch.path().join("redis.log"),
    );
    let server = Redis::start(&folder, &log, ports::reserve().unwrap())
        .await
        .unwrap();
    let (url, pid) = (server.url(), server.pid());
    assert_eq!(ask(&url, "SET a 1\r\n").await, "+OK\r\n");
    server.kill().await.unwrap();
    assert!(procfs::entry(pid).is_none());
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(ask(&url, "EXISTS a\r\n").await, ":0\r\n");
}

#[tokio::test]
async fn a_paused_server_takes_connections_and_answers_once_it_is_resumed() {
    let bed = TestBed::new().await;
    let server = bed.redis_process();
    server.pause();
    eventually("the stopped process", async || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).ok()?;
        stat.contains(") T ").then_some(())
    })
    .await;
    let mut stream = TcpStream::connect(bed.redis_url().trim_start_matches("redis://"))
        .await
        .unwrap();
    stream.write_all(b"PING\r\n").await.unwrap();
    server.resume();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why_with_the_end_of_its_log() {
    let scratch = Scratch::make().unwrap();
    let (folder, log) = (
        scratch.path().join("postgres"),
        scratch.path().join("postgres.log"),
    );
    drop(postgres(&scratch).await);
    std::fs::write(folder.join("data/PG_VERSION"), "9.4\n").unwrap();
    let error = Postgres::start(&folder, &log, ports::reserve().unwrap())
        .await
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("postgres ended while it started (exit status 1)"),
        "{text}"
    );
    assert!(text.contains("incompatible"), "{text}");
}

async fn ask(url: &str, command: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://"))
        .await
        .unwrap();
    stream.write_all(command.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}
