//! Publishing and consuming against a real RabbitMQ.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chrono::DateTime;
use clap::Parser;
use shared_events::amqp::consumer::Limits;
use shared_events::amqp::{
    AmqpSettings, Consumer, Delivery, Handler, Message, Outcome, Publisher, Refused, TraceHeaders,
    connect,
};
use shared_events::topology::{
    DEAD_LETTER_QUEUE, Part, RETRY_QUEUES, SCHEDULE_UPDATED_QUEUE, UNROUTED_QUEUE,
};
use stack::{ServiceKind, TestBed};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Long enough for a loaded machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    amqp: AmqpSettings,
}

fn settings(bed: &TestBed) -> AmqpSettings {
    Cli::parse_from(["test", "--amqp-url", bed.amqp_url()]).amqp
}

fn event(id: &str, routing_key: &str) -> Message {
    Message::event(
        routing_key.to_owned(),
        id.to_owned(),
        "rosterwire.schedule.updated.v1".to_owned(),
        DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
        id.as_bytes().to_vec(),
        TraceHeaders {
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            tracestate: None,
        },
    )
}

/// Answers by a rule, and tells the test what it saw.
struct ByRule {
    rule: fn(&Delivery) -> Outcome,
    seen: mpsc::UnboundedSender<Delivery>,
}

impl Handler for ByRule {
    async fn handle(&self, batch: Vec<Delivery>) -> Vec<Outcome> {
        batch
            .into_iter()
            .map(|delivery| {
                let outcome = (self.rule)(&delivery);
                let _ = self.seen.send(delivery);
                outcome
            })
            .collect()
    }
}

/// A consumer that runs until it is stopped.
struct Running {
    publisher: Arc<Publisher>,
    seen: mpsc::UnboundedReceiver<Delivery>,
    consuming: tokio::sync::watch::Receiver<bool>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(bed: &TestBed, rule: fn(&Delivery) -> Outcome) -> Self {
        let publisher = Arc::new(Publisher::new(settings(bed), "test publisher", Part::All));
        let (send, seen) = mpsc::unbounded_channel();
        let limits = Limits {
            prefetch: 100,
            batch: 10,
            concurrency: 2,
            body_bytes: 1_000,
        };
        let consumer = Arc::new(Consumer::of_schedule_updates(
            settings(bed),
            "test consumer",
            limits,
            Arc::clone(&publisher),
        ));
        let mut consuming = consumer.watch_consuming();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (stop, handler) = (stop.clone(), Arc::new(ByRule { rule, seen: send }));
            async move { consumer.run(handler, stop).await }
        });
        within(consuming.wait_for(|now| *now)).await.unwrap();
        Self {
            publisher,
            seen,
            consuming,
            stop,
            task,
        }
    }

    async fn publish(&self, ids: &[&str]) {
        let messages: Vec<_> = ids
            .iter()
            .map(|id| event(id, "schedule.updated.v1.x"))
            .collect();
        let answers = within(self.publisher.publish(&messages)).await.unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    async fn next(&mut self) -> Delivery {
        within(self.seen.recv()).await.expect("the consumer runs")
    }

    async fn stop(self) {
        self.stop.cancel();
        within(self.task).await.unwrap();
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("within the deadline")
}

/// Takes the next message of a queue, waiting for it.
async fn take(bed: &TestBed, queue: &str) -> lapin::message::BasicGetMessage {
    let connection = connect(&settings(bed), "test", Part::All).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    within(async {
        loop {
            let options = lapin::options::BasicGetOptions { no_ack: true };
            if let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
                return message;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn header(message: &lapin::message::BasicGetMessage, name: &str) -> String {
    match message
        .properties
        .headers()
        .as_ref()
        .and_then(|h| h.inner().get(name))
    {
        Some(lapin::types::AMQPValue::LongString(text)) => text.to_string(),
        Some(lapin::types::AMQPValue::LongUInt(number)) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn a_published_event_reaches_the_handler_with_its_properties() {
    let bed = TestBed::new().await;
    let mut consumer = Running::start(&bed, |_| Outcome::Done).await;
    consumer.publish(&["one"]).await;
    let delivery = consumer.next().await;
    assert_eq!(&*delivery.body, b"one");
    assert_eq!(delivery.message_id, "one");
    assert_eq!(delivery.event_type, "rosterwire.schedule.updated.v1");
    assert_eq!(delivery.routing_key, "schedule.updated.v1.x");
    assert_eq!(delivery.attempts, 0);
    assert_eq!(
        delivery.trace.traceparent.as_deref(),
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    );
    consumer.stop().await;
}

#[tokio::test]
async fn what_no_queue_takes_is_refused_and_does_not_hold_up_the_rest() {
    let bed = TestBed::new().await;
    let publisher = Publisher::new(settings(&bed), "test", Part::All);
    let mut lost = event("lost", "there is no such queue");
    lost.exchange = "";
    let batch = [
        event("a", "schedule.updated.v1.x"),
        lost,
        event("b", "schedule.updated.v1.x"),
    ];
    let answers = within(publisher.publish(&batch)).await.unwrap();
    assert_eq!(answers[0], Ok(()));
    assert!(
        matches!(answers[1], Err(Refused::Unroutable(_))),
        "{answers:?}"
    );
    assert_eq!(answers[2], Ok(()));
}

#[tokio::test]
async fn an_event_that_nobody_is_bound_for_is_kept() {
    let bed = TestBed::new().await;
    let publisher = Publisher::new(settings(&bed), "test", Part::All);
    let answers = within(publisher.publish(&[event("odd", "some.other.v1.x")]))
        .await
        .unwrap();
    assert_eq!(answers, [Ok(())]);
    assert_eq!(take(&bed, UNROUTED_QUEUE).await.data, b"odd");
}

#[tokio::test]
async fn a_retry_waits_in_the_queue_of_its_attempt_with_the_reason() {
    let bed = TestBed::new().await;
    let consumer = Running::start(&bed, |_| Outcome::Retry("the cache is busy".into())).await;
    consumer.publish(&["slow"]).await;
    let message = take(&bed, RETRY_QUEUES[0].0).await;
    assert_eq!(message.data, b"slow");
    assert_eq!(header(&message, "x-rosterwire-attempts"), "1");
    assert_eq!(header(&message, "x-rosterwire-reason"), "the cache is busy");
    assert_eq!(
        header(&message, "x-rosterwire-routing-key"),
        "schedule.updated.v1.x"
    );
    consumer.stop().await;
}

#[tokio::test]
async fn a_retry_comes_back_after_its_wait_and_knows_its_attempts() {
    let bed = TestBed::new().await;
    let mut consumer = Running::start(&bed, |delivery| match delivery.attempts {
        0 => Outcome::Retry("not yet".into()),
        _ => Outcome::Done,
    })
    .await;
    consumer.publish(&["again"]).await;
    assert_eq!(consumer.next().await.attempts, 0);
    let second = consumer.next().await;
    assert_eq!(
        (second.attempts, second.routing_key.as_str()),
        (1, "schedule.updated.v1.x")
    );
    consumer.stop().await;
}

#[tokio::test]
async fn what_can_never_succeed_is_dead_lettered_at_once_with_its_reason() {
    let bed = TestBed::new().await;
    let consumer = Running::start(&bed, |_| Outcome::DeadLetter("not JSON".into())).await;
    consumer.publish(&["bad"]).await;
    let message = take(&bed, DEAD_LETTER_QUEUE).await;
    assert_eq!(message.data, b"bad");
    assert_eq!(header(&message, "x-rosterwire-reason"), "not JSON");
    consumer.stop().await;
}

#[tokio::test]
async fn what_has_used_up_its_attempts_is_dead_lettered() {
    let bed = TestBed::new().await;
    let consumer = Running::start(&bed, |_| Outcome::Retry("still not".into())).await;
    let mut last = event("tired", "schedule.updated.v1.x");
    let attempts = u32::try_from(RETRY_QUEUES.len()).unwrap();
    last.headers = vec![(
        "x-rosterwire-attempts",
        lapin::types::AMQPValue::LongUInt(attempts),
    )];
    within(consumer.publisher.publish(&[last])).await.unwrap();
    let message = take(&bed, DEAD_LETTER_QUEUE).await;
    assert_eq!(
        header(&message, "x-rosterwire-attempts"),
        (attempts + 1).to_string()
    );
    consumer.stop().await;
}

#[tokio::test]
async fn a_message_that_makes_the_handler_panic_does_not_take_others_with_it() {
    let bed = TestBed::new().await;
    let mut consumer = Running::start(&bed, |delivery| {
        assert!(
            &*delivery.body != b"poison",
            "the handler cannot stand this one"
        );
        Outcome::Done
    })
    .await;
    consumer.publish(&["fine", "poison", "fine too"]).await;
    let mut handled = vec![];
    while handled.len() < 2 {
        let delivery = consumer.next().await;
        if !handled.contains(&delivery.message_id) {
            handled.push(delivery.message_id);
        }
    }
    assert_eq!(take(&bed, DEAD_LETTER_QUEUE).await.data, b"poison");
    consumer.stop().await;
}

#[tokio::test]
async fn a_body_of_absurd_size_is_dead_lettered_unread() {
    let bed = TestBed::new().await;
    let mut consumer = Running::start(&bed, |_| Outcome::Done).await;
    let mut large = event("large", "schedule.updated.v1.x");
    large.body = vec![b'['; 1_001];
    let answers = within(consumer.publisher.publish(&[large])).await.unwrap();
    assert_eq!(answers, [Ok(())]);
    consumer.publish(&["fine"]).await;
    assert_eq!(consumer.next().await.message_id, "fine");
    let dead = take(&bed, DEAD_LETTER_QUEUE).await;
    assert_eq!(dead.data.len(), 1_001);
    assert_eq!(
        header(&dead, "x-rosterwire-reason"),
        "1001 bytes, where at most 1000 are read"
    );
    consumer.stop().await;
}

/// Never answers for a batch with a killer in it, and says so: its process is to be ended then.
struct Mortal {
    killed: mpsc::UnboundedSender<usize>,
    done: mpsc::UnboundedSender<String>,
}

impl Handler for Mortal {
    async fn handle(&self, batch: Vec<Delivery>) -> Vec<Outcome> {
        if batch.iter().any(|delivery| &*delivery.body == b"killer") {
            let _ = self.killed.send(batch.len());
            std::future::pending::<()>().await;
        }
        for delivery in &batch {
            let _ = self.done.send(delivery.message_id.clone());
        }
        vec![Outcome::Done; batch.len()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_every_process_is_dead_lettered_and_takes_no_other_with_it() {
    let bed = TestBed::new().await;
    let publisher = Arc::new(Publisher::new(settings(&bed), "test publisher", Part::All));
    let ids = ["one", "killer", "two", "three"];
    let messages = ids.map(|id| event(id, "schedule.updated.v1.x"));
    within(publisher.publish(&messages)).await.unwrap();

    let (killed, mut deaths) = mpsc::unbounded_channel();
    let (done, mut lives) = mpsc::unbounded_channel();
    let handler = Arc::new(Mortal { killed, done });
    let mut alone = 0;
    let mut survivors = std::collections::BTreeSet::new();
    // The others may all be handled long before the killer is convicted, or after.
    let conviction = take(&bed, DEAD_LETTER_QUEUE);
    tokio::pin!(conviction);
    let mut letter = None;
    while survivors.len() < 3 || letter.is_none() {
        let limits = Limits {
            prefetch: 100,
            batch: 10,
            concurrency: 1,
            body_bytes: 1_000,
        };
        let publisher = Arc::clone(&publisher);
        let consumer = Consumer::of_schedule_updates(settings(&bed), "mortal", limits, publisher);
        let suspects = consumer.of_suspects();
        let stop = CancellationToken::new();
        let running = async {
            tokio::join!(
                consumer.run(Arc::clone(&handler), stop.clone()),
                suspects.run(Arc::clone(&handler), stop.clone())
            )
        };
        tokio::pin!(running);
        // Dropping what runs leaves everything in hand unsettled, as the end of a process does.
        let process = async {
            while survivors.len() < 3 || letter.is_none() {
                tokio::select! {
                    _ = &mut running => panic!("nobody stops it"),
                    batch = deaths.recv() => {
                        alone += usize::from(batch == Some(1));
                        return;
                    }
                    id = lives.recv() => {
                        survivors.insert(id.unwrap());
                    }
                    dead = &mut conviction, if letter.is_none() => letter = Some(dead),
                }
            }
        };
        within(process).await;
    }
    assert_eq!(
        survivors.into_iter().collect::<Vec<_>>(),
        ["one", "three", "two"]
    );
    let letter = letter.expect("the loop ends with it");
    assert_eq!(letter.data, b"killer");
    let reason = header(&letter, "x-rosterwire-reason");
    assert!(reason.contains("handled it alone"), "{reason}");
    assert!(alone >= 5, "it was convicted by what it did alone");
}

/// What is dropped in the midst of connecting must not consume on behind everybody's back.
#[tokio::test]
async fn a_consumer_that_is_dropped_at_any_moment_leaves_no_other_behind() {
    let bed = TestBed::new().await;
    let publisher = Arc::new(Publisher::new(settings(&bed), "test publisher", Part::All));
    let limits = Limits {
        prefetch: 100,
        batch: 10,
        concurrency: 1,
        body_bytes: 1_000,
    };
    let (killed, _deaths) = mpsc::unbounded_channel();
    let (done, _lives) = mpsc::unbounded_channel();
    let handler = Arc::new(Mortal { killed, done });
    for moment in 1.. {
        let publisher = Arc::clone(&publisher);
        let consumer = Consumer::of_schedule_updates(settings(&bed), "dropped", limits, publisher);
        let mut running = pin!(consumer.run(Arc::clone(&handler), CancellationToken::new()));
        let mut polls = 0;
        within(poll_fn(|context| {
            polls += 1;
            let ended = running.as_mut().poll(context);
            assert!(ended.is_pending(), "nobody stops it");
            if polls == moment {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }))
        .await;
        if consumer.is_consuming() {
            break;
        }
    }
    within(publisher.publish(&[event("killer", "schedule.updated.v1.x")]))
        .await
        .unwrap();
    assert_eq!(take(&bed, SCHEDULE_UPDATED_QUEUE).await.data, b"killer");
    let management = bed.rabbitmq_management();
    within(async {
        // The publisher's own stays.
        while management.connections().await.unwrap().len() > 1 {}
    })
    .await;
}

#[tokio::test]
async fn a_process_that_the_broker_refuses_is_told_so() {
    let bed = TestBed::new().await;
    let url = bed.amqp_url().replace("guest:guest", "guest:wrong");
    let amqp = Cli::parse_from(["test", "--amqp-url", &url, "--amqp-refused-seconds=1"]).amqp;
    let publisher = Publisher::new(amqp.clone(), "test", Part::All);
    let trying = async {
        loop {
            assert!(publisher.connect().await.is_err());
        }
    };
    let told = tokio::select! {
        told = within(amqp.refused_for_good()) => told,
        () = trying => unreachable!(),
    };
    assert!(told.contains("ACCESS"), "{told}");
}

fn settings_of(bed: &TestBed, kind: ServiceKind) -> AmqpSettings {
    let url = bed.backends().as_used_by(kind).unwrap().amqp_url;
    Cli::parse_from(["test", "--amqp-url", &url, "--amqp-refused-seconds=1"]).amqp
}

/// What each process is and declares.
const PARTS: [(ServiceKind, Part); 3] = [
    (ServiceKind::ScheduleService, Part::ScheduleService),
    (ServiceKind::AvailabilityWorker, Part::AvailabilityWorker),
    (ServiceKind::Notifier, Part::Notifier),
];

#[tokio::test]
async fn the_topology_comes_from_nothing_in_any_order_of_its_parts() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let bed = TestBed::new().await;
        let mut failures = 0;
        for (kind, part) in [order, order].concat().into_iter().map(|n| PARTS[n]) {
            let connected = connect(&settings_of(&bed, kind), "test", part).await;
            if let Err(error) = connected {
                failures += 1;
                assert!(error.to_string().contains("NOT_FOUND"), "{error}");
            }
        }
        assert!(failures <= 3, "the second time all is there: {order:?}");
        let (kind, part) = PARTS[0];
        let publisher = Publisher::new(settings_of(&bed, kind), "test", part);
        let sent = [event("a", "schedule.updated.v1.x")];
        assert_eq!(publisher.publish(&sent).await.unwrap(), [Ok(())]);
        assert_eq!(take(&bed, SCHEDULE_UPDATED_QUEUE).await.data, b"a");
        let unrouted = bed.rabbitmq_management().queue(UNROUTED_QUEUE).await;
        assert!(unrouted.unwrap().is_some());
    }
}

/// The user of the notifiers, who is let in and declares its part.
#[tokio::test]
async fn a_process_that_lacks_a_right_is_told_which() {
    let bed = TestBed::new().await;
    connect(&settings(&bed), "test", Part::All).await.unwrap();
    let of_another = settings_of(&bed, ServiceKind::Notifier);
    let declaring = connect(&of_another, "test", Part::AvailabilityWorker).await;
    let told = declaring.unwrap_err().to_string();
    assert!(told.contains("availability-worker.settlement"), "{told}");

    let amqp = settings_of(&bed, ServiceKind::Notifier);
    let publisher = Arc::new(Publisher::new(amqp.clone(), "test", Part::Notifier));
    let limits = Limits {
        prefetch: 1,
        batch: 1,
        concurrency: 1,
        body_bytes: 1_000,
    };
    let shared = Arc::clone(&publisher);
    let consumer = Consumer::of_schedule_updates(amqp.clone(), "test", limits, shared);
    let (seen, _) = mpsc::unbounded_channel();
    let rule = |_: &Delivery| Outcome::Done;
    let running = consumer.run(Arc::new(ByRule { rule, seen }), CancellationToken::new());
    let told = tokio::select! {
        told = within(amqp.refused_for_good()) => told,
        () = running => unreachable!(),
    };
    assert!(told.contains("ACCESS_REFUSED"), "{told}");
    assert!(told.contains(SCHEDULE_UPDATED_QUEUE), "{told}");

    let amqp = settings_of(&bed, ServiceKind::Notifier);
    let publisher = Publisher::new(amqp.clone(), "test", Part::Notifier);
    let publishing = async {
        loop {
            let sent = [event("a", "schedule.updated.v1.x")];
            publisher.publish(&sent).await.unwrap_err();
        }
    };
    let told = tokio::select! {
        told = within(amqp.refused_for_good()) => told,
        () = publishing => unreachable!(),
    };
    assert!(told.contains("ACCESS_REFUSED"), "{told}");
    assert!(told.contains("rosterwire.events"), "{told}");
}

#[tokio::test]
async fn a_consumer_comes_back_after_its_connection_is_closed_by_the_operator() {
    let bed = TestBed::new().await;
    let mut consumer = Running::start(&bed, |_| Outcome::Done).await;
    consumer.publish(&["before"]).await;
    consumer.next().await;
    // The management API learns of a connection some seconds after it was opened.
    within(async {
        while bed.rabbitmq_management().close_connections().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let again = [event("after", "schedule.updated.v1.x")];
    within(async { while consumer.publisher.publish(&again).await.is_err() {} }).await;
    assert_eq!(consumer.next().await.message_id, "after");
    consumer.stop().await;
}

#[tokio::test]
async fn a_consumer_comes_back_after_its_queue_is_deleted() {
    let bed = TestBed::new().await;
    let mut consumer = Running::start(&bed, |_| Outcome::Done).await;
    bed.rabbitmq_management()
        .delete_queue(SCHEDULE_UPDATED_QUEUE)
        .await
        .unwrap();
    within(consumer.consuming.wait_for(|now| !*now))
        .await
        .unwrap();
    within(consumer.consuming.wait_for(|now| *now))
        .await
        .unwrap();
    consumer.publish(&["after"]).await;
    assert_eq!(consumer.next().await.message_id, "after");
    consumer.stop().await;
}

#[tokio::test]
async fn stopping_settles_what_is_in_hand_and_leaves_the_rest_in_the_queue() {
    let bed = TestBed::new().await;
    let mut consumer = Running::start(&bed, |_| Outcome::Done).await;
    consumer.publish(&["done"]).await;
    consumer.next().await;
    let publisher = Arc::clone(&consumer.publisher);
    consumer.stop().await;
    within(publisher.publish(&[event("left", "schedule.updated.v1.x")]))
        .await
        .unwrap();
    let left = take(&bed, SCHEDULE_UPDATED_QUEUE).await;
    assert_eq!(
        (left.data.as_slice(), left.redelivered),
        (b"left".as_slice(), false)
    );
}
