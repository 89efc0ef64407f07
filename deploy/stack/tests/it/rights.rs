//! What the users of the services may not do: `deploy/rights`. That each may do what its service does is
//! shown by every other test, since the services run as these users.

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind};
use shared_events::amqp::declare_topology;
use shared_events::topology::{
    DEAD_LETTER_QUEUE, EXCHANGE, MARKER_EXCHANGE, Part, SCHEDULE_UPDATED_BINDING,
    SCHEDULE_UPDATED_QUEUE, SETTLEMENT_EXCHANGE, UNROUTED_QUEUE, UPDATES_STREAM,
};
use stack::{ServiceKind, TestBed};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[derive(Debug, Clone, Copy)]
enum Act {
    /// Into an exchange, by a routing key.
    Publish(&'static str, &'static str),
    Consume(&'static str),
    Purge(&'static str),
    DeclareQueue(&'static str),
    DeleteQueue(&'static str),
    DeleteExchange(&'static str),
    /// A queue to the exchange of all events, by a key.
    Bind(&'static str, &'static str),
}

use Act::{Bind, Consume, DeclareQueue, DeleteExchange, DeleteQueue, Publish, Purge};

const SCHEDULE: &str = "schedule.updated.v1.leeds";
const AVAILABILITY: &str = "availability.updated.v1.leeds";

const SCHEDULE_SERVICE: [Act; 12] = [
    Publish(EXCHANGE, AVAILABILITY),
    Publish("", SCHEDULE_UPDATED_QUEUE),
    Publish(SETTLEMENT_EXCHANGE, SCHEDULE_UPDATED_QUEUE),
    Publish(MARKER_EXCHANGE, ""),
    Consume(SCHEDULE_UPDATED_QUEUE),
    Consume(UPDATES_STREAM),
    Purge(SCHEDULE_UPDATED_QUEUE),
    DeclareQueue("one.more"),
    DeleteQueue(SCHEDULE_UPDATED_QUEUE),
    DeleteQueue(UPDATES_STREAM),
    Bind(SCHEDULE_UPDATED_QUEUE, "#"),
    Bind(DEAD_LETTER_QUEUE, SCHEDULE_UPDATED_BINDING),
];
const AVAILABILITY_WORKER: [Act; 10] = [
    Publish(EXCHANGE, SCHEDULE),
    Publish("", UPDATES_STREAM),
    Publish(MARKER_EXCHANGE, ""),
    Consume(UPDATES_STREAM),
    Consume(UNROUTED_QUEUE),
    DeclareQueue("one.more"),
    DeleteQueue(UPDATES_STREAM),
    DeleteExchange(EXCHANGE),
    Bind(UPDATES_STREAM, SCHEDULE_UPDATED_BINDING),
    Bind(SCHEDULE_UPDATED_QUEUE, "#"),
];
const NOTIFIER: [Act; 13] = [
    Publish(EXCHANGE, SCHEDULE),
    Publish(EXCHANGE, AVAILABILITY),
    Publish("", SCHEDULE_UPDATED_QUEUE),
    Publish(SETTLEMENT_EXCHANGE, DEAD_LETTER_QUEUE),
    Consume(SCHEDULE_UPDATED_QUEUE),
    Consume(DEAD_LETTER_QUEUE),
    Consume(UNROUTED_QUEUE),
    Purge(SCHEDULE_UPDATED_QUEUE),
    DeclareQueue("one.more"),
    DeleteQueue(SCHEDULE_UPDATED_QUEUE),
    DeleteExchange(EXCHANGE),
    Bind(SCHEDULE_UPDATED_QUEUE, SCHEDULE_UPDATED_BINDING),
    Bind(UPDATES_STREAM, "#"),
];

async fn act(channel: &Channel, act: Act) -> lapin::Result<()> {
    let none = FieldTable::default();
    match act {
        Publish(exchange, key) => {
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default();
            let sent = channel.basic_publish(exchange.into(), key.into(), options, b"", properties);
            sent.await?.await.map(|_| ())
        }
        Consume(queue) => {
            let options = BasicConsumeOptions::default();
            let consumer = channel.basic_consume(queue.into(), "".into(), options, none);
            consumer.await.map(|_| ())
        }
        Purge(queue) => {
            let options = QueuePurgeOptions::default();
            channel.queue_purge(queue.into(), options).await.map(|_| ())
        }
        DeclareQueue(queue) => {
            let options = QueueDeclareOptions::default();
            let declared = channel.queue_declare(queue.into(), options, none);
            declared.await.map(|_| ())
        }
        DeleteQueue(queue) => {
            let options = QueueDeleteOptions::default();
            let deleted = channel.queue_delete(queue.into(), options);
            deleted.await.map(|_| ())
        }
        DeleteExchange(exchange) => {
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(exchange.into(), options).await
        }
        Bind(queue, key) => {
            let options = QueueBindOptions::default();
            let bound =
                channel.queue_bind(queue.into(), EXCHANGE.into(), key.into(), options, none);
            bound.await
        }
    }
}

async fn connected(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn at_the_broker_each_service_is_refused_what_is_of_the_others() {
    let bed = TestBed::new().await;
    let all = connected(bed.amqp_url()).await;
    let channel = all.create_channel().await.unwrap();
    declare_topology(&channel, Part::All).await.unwrap();
    for (kind, acts) in [
        (ServiceKind::ScheduleService, &SCHEDULE_SERVICE[..]),
        (ServiceKind::AvailabilityWorker, &AVAILABILITY_WORKER),
        (ServiceKind::Notifier, &NOTIFIER),
    ] {
        let used = bed.backends().as_used_by(kind).unwrap();
        let connection = connected(&used.amqp_url).await;
        for &what in acts {
            let channel = connection.create_channel().await.unwrap();
            let error = act(&channel, what)
                .await
                .expect_err(&format!("{kind:?} {what:?}"));
            let ErrorKind::ProtocolError(protocol) = error.kind() else {
                panic!("{kind:?} {what:?}: {error}")
            };
            let refused = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
            assert_eq!(*protocol.kind(), refused, "{kind:?} {what:?}: {error}");
        }
    }
}

/// One command of Redis after the other, as one user: the first line of each answer.
pub(crate) async fn redis(url: &str, commands: &[&str]) -> Vec<String> {
    let (user, address) = url.trim_start_matches("redis://").split_once('@').unwrap();
    let (user, password) = user.split_once(':').unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut answers = Vec::new();
    for command in [&[format!("AUTH {user} {password}").as_str()], commands].concat() {
        stream.write_all(command.as_bytes()).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        answers.push(answer.trim_end().to_owned());
    }
    answers
}

#[tokio::test]
async fn in_redis_the_worker_is_refused_other_keys_and_what_it_does_not_use() {
    let bed = TestBed::new().await;
    let used = bed.backends().as_used_by(ServiceKind::AvailabilityWorker);
    let refused = [
        "GET somebody:else",
        "SET somebody:else 1",
        "RENAME rw:x somebody:else",
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "SCAN 0",
        "DEL rw:territories",
        "CONFIG GET requirepass",
        "ACL LIST",
        "FUNCTION FLUSH",
        "FUNCTION DELETE rosterwire",
        "EVAL return 0",
        "MONITOR",
        "CLIENT LIST",
        "SHUTDOWN",
        "REPLICAOF NO ONE",
        "SUBSCRIBE x",
    ];
    let mut answers = redis(&used.unwrap().redis_url, &refused).await.into_iter();
    assert_eq!(answers.next().as_deref(), Some("+OK"));
    for (command, answer) in refused.iter().zip(answers) {
        assert!(answer.starts_with("-NOPERM"), "{command}: {answer}");
    }
}
