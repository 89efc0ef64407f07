//! What becomes of deliveries: handled, retried, suspected or dead-lettered, and then settled.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use lapin::message::Delivery as Received;
use lapin::options::BasicAckOptions;
use lapin::types::AMQPValue;
use rand::RngExt;

use super::connection::Backoff;
use super::consumer::{Delivery, Handler, Outcome, SessionError};
use super::headers::Headers;
use super::publisher::{Message, PublishError, Publisher};
use crate::failpoint;
use crate::topology::{
    ATTEMPTS_HEADER, DEAD_LETTER_QUEUE, DELIVERY_COUNT_HEADER, REASON_HEADER, RETRY_QUEUES,
    ROUTING_KEY_HEADER, SETTLEMENT_EXCHANGE, SUSPECT_QUEUE,
};

/// What has come back so often from consumers that ended while holding it becomes a suspect. Far
/// below the broker's own limit, which cannot tell a culprit from those who were with it.
const SUSPECTED_FROM: u32 = 3;

/// What has come back so often while a consumer held nothing else is what ends the consumers.
const CONVICTED_FROM: u32 = 5;

/// How often setting messages aside is tried while the broker does not take them, as during an
/// alarm. Then the consumer is built anew, which counts as a return for all that it holds.
const SET_ASIDE_TRIES: u32 = 20;

/// How deliveries of one queue are settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settlement {
    /// What is larger is dead-lettered unread.
    pub(super) body_bytes: usize,
    /// Whether the consumer holds one message at a time.
    pub(super) alone: bool,
}

/// A message that goes to another queue.
struct SetAside {
    queue: &'static str,
    attempts: u32,
    reason: String,
    /// How long it waits there, in milliseconds.
    wait_ms: Option<i32>,
}

impl SetAside {
    fn dead(delivery: &Delivery, reason: String) -> Self {
        Self {
            queue: DEAD_LETTER_QUEUE,
            attempts: delivery.attempts.saturating_add(1),
            reason,
            wait_ms: None,
        }
    }

    fn later(delivery: &Delivery, reason: String) -> Self {
        let queue = usize::try_from(delivery.attempts)
            .ok()
            .and_then(|attempt| RETRY_QUEUES.get(attempt));
        match queue {
            None => Self::dead(delivery, reason),
            Some((queue, longest_ms)) => Self {
                queue,
                attempts: delivery.attempts.saturating_add(1),
                reason,
                // Not all that failed together is to come back together.
                wait_ms: Some(rand::rng().random_range(longest_ms / 2..=*longest_ms)),
            },
        }
    }
}

impl Settlement {
    /// What is known of a delivery before anybody reads it.
    fn verdict(self, delivery: &Delivery) -> Option<SetAside> {
        let size = delivery.body.len();
        if size > self.body_bytes {
            let reason = format!("{size} bytes, where at most {} are read", self.body_bytes);
            return Some(SetAside::dead(delivery, reason));
        }
        let returns = delivery.returns;
        if self.alone && returns >= CONVICTED_FROM {
            let reason = format!("whoever handled it alone has ended or broken: {returns} times");
            return Some(SetAside::dead(delivery, reason));
        }
        if !self.alone && returns >= SUSPECTED_FROM {
            return Some(SetAside {
                queue: SUSPECT_QUEUE,
                attempts: delivery.attempts,
                reason: format!("whoever held it has ended or broken: {returns} times"),
                wait_ms: None,
            });
        }
        None
    }
}

pub(super) async fn handle_and_settle<H: Handler>(
    handler: &H,
    publisher: &Publisher,
    settlement: Settlement,
    batch: Vec<Received>,
) -> Result<(), SessionError> {
    let (deliveries, received): (Vec<Delivery>, Vec<Received>) =
        batch.into_iter().map(accept).unzip();
    let too_early = failpoint::mutant("ack-before-publish");
    if too_early {
        acknowledge(publisher, &received).await?;
    }
    let mut set_aside = Vec::new();
    let mut fit = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        match settlement.verdict(&delivery) {
            Some(verdict) => set_aside.push(message(&delivery, &verdict)),
            None => fit.push(delivery),
        }
    }
    if !fit.is_empty() {
        let outcomes = outcomes_of(handler, &fit).await;
        for (delivery, outcome) in fit.iter().zip(outcomes) {
            let verdict = match outcome {
                Outcome::Done => continue,
                Outcome::Retry(reason) => SetAside::later(delivery, reason),
                Outcome::DeadLetter(reason) => SetAside::dead(delivery, reason),
            };
            set_aside.push(message(delivery, &verdict));
        }
    }
    publish(publisher, &set_aside).await?;
    if too_early {
        return Ok(());
    }
    acknowledge(publisher, &received).await
}

async fn acknowledge(publisher: &Publisher, received: &[Received]) -> Result<(), SessionError> {
    let limit = publisher.timeout();
    let acks = async {
        for message in received {
            message.ack(BasicAckOptions::default()).await?;
        }
        Ok::<_, lapin::Error>(())
    };
    tokio::time::timeout(limit, acks)
        .await
        .map_err(|_| SessionError::Silent(limit))??;
    Ok(())
}

/// Publishes what is set aside, and waits for a broker that does not take it: giving the deliveries
/// back instead would make suspects of them.
async fn publish(publisher: &Publisher, messages: &[Message]) -> Result<(), SessionError> {
    let mut backoff = Backoff::default();
    let mut last: Option<PublishError> = None;
    for _ in 0..SET_ASIDE_TRIES {
        match publisher.publish(messages).await {
            Ok(answers) if answers.iter().all(Result::is_ok) => return Ok(()),
            // One of the queues is gone; the next session declares it anew.
            Ok(_) => return Err(SessionError::SettleRefused),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
    Err(last.map_or(SessionError::SettleRefused, SessionError::Settle))
}

/// Runs the handler; if it panics, finds the deliveries that make it panic.
async fn outcomes_of<H: Handler>(handler: &H, deliveries: &[Delivery]) -> Vec<Outcome> {
    if let Some(outcomes) = try_handle(handler, deliveries.to_vec()).await {
        return outcomes;
    }
    let mut outcomes = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let outcome = try_handle(handler, vec![delivery.clone()])
            .await
            .and_then(|mut all| all.pop());
        outcomes.push(
            outcome.unwrap_or_else(|| Outcome::DeadLetter("the handler panicked".to_owned())),
        );
    }
    outcomes
}

async fn try_handle<H: Handler>(handler: &H, batch: Vec<Delivery>) -> Option<Vec<Outcome>> {
    let expected = batch.len();
    let outcomes = AssertUnwindSafe(handler.handle(batch))
        .catch_unwind()
        .await
        .ok()?;
    (outcomes.len() == expected).then_some(outcomes)
}

/// What the handler sees of a message, and what is left of it to settle.
fn accept(mut message: Received) -> (Delivery, Received) {
    let body = std::mem::take(&mut message.data).into();
    let properties = &message.properties;
    let headers = Headers::of(properties);
    let delivery = Delivery {
        event_type: properties
            .kind()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        message_id: properties
            .message_id()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        routing_key: headers
            .text(ROUTING_KEY_HEADER)
            .unwrap_or_else(|| message.routing_key.to_string()),
        attempts: headers.count(ATTEMPTS_HEADER),
        returns: headers.count(DELIVERY_COUNT_HEADER),
        redelivered: message.redelivered,
        trace: headers.trace(),
        timestamp: properties.timestamp().unwrap_or(0),
        body,
    };
    (delivery, message)
}

fn message(delivery: &Delivery, aside: &SetAside) -> Message {
    tracing::warn!(
        message_id = delivery.message_id,
        attempts = aside.attempts,
        queue = aside.queue,
        reason = aside.reason,
        "a message could not be handled and is set aside"
    );
    metrics::counter!("amqp_set_aside_total", "queue" => aside.queue).increment(1);
    Message {
        exchange: SETTLEMENT_EXCHANGE,
        routing_key: aside.queue.to_owned(),
        message_id: delivery.message_id.clone(),
        event_type: delivery.event_type.clone(),
        timestamp: i64::try_from(delivery.timestamp)
            .ok()
            .and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0))
            .unwrap_or_default(),
        body: delivery.body.to_vec(),
        trace: delivery.trace.clone(),
        headers: vec![
            (ATTEMPTS_HEADER, AMQPValue::LongUInt(aside.attempts)),
            (
                REASON_HEADER,
                AMQPValue::LongString(aside.reason.as_str().into()),
            ),
            (
                ROUTING_KEY_HEADER,
                AMQPValue::LongString(delivery.routing_key.as_str().into()),
            ),
        ],
        expires_after: aside
            .wait_ms
            .and_then(|wait| u64::try_from(wait).ok())
            .map(Duration::from_millis),
    }
}
