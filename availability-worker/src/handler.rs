//! Handles batches of ScheduleUpdated: write the cache, then say so, then let the consumer ack.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared_events::amqp::{Backoff, Delivery, Handler, Message, Outcome, Publisher};
use shared_events::service::{Clock, failpoint};
use shared_events::trace::TraceHeaders;
use shared_events::{AvailabilityUpdated, Envelope, IntegrationEvent, Schedule, ScheduleUpdated};
use tracing::Instrument;
use uuid::Uuid;

use crate::recalculation::{Calculated, Origin, Recalculation, Stored, acceptable};

/// The longest wait between two attempts while Redis or RabbitMQ is away: what waits here is
/// wanted by people, and one attempt a second harms no server that comes back.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Recalculates what has changed.
#[derive(Debug)]
pub struct ScheduleUpdatedHandler {
    recalculation: Arc<Recalculation>,
    publisher: Arc<Publisher>,
    clock: Clock,
    cache_is_down: Down,
    broker_is_down: Down,
}

/// The newest event of a contractor in a batch, with the places of all of that contractor's events.
struct Newest {
    schedule: Arc<Schedule>,
    trace: TraceHeaders,
    places: Vec<usize>,
}

impl ScheduleUpdatedHandler {
    /// A handler that stores through `recalculation` and tells of it through `publisher`.
    #[must_use]
    pub fn new(recalculation: Arc<Recalculation>, publisher: Arc<Publisher>, clock: Clock) -> Self {
        Self {
            recalculation,
            publisher,
            clock,
            cache_is_down: Down::new("Redis"),
            broker_is_down: Down::new("RabbitMQ"),
        }
    }

    /// Stores until Redis answers. What waits here is not settled, so a crash loses nothing.
    async fn store(&self, schedules: Vec<Arc<Schedule>>) -> Vec<Stored> {
        let mut backoff = Backoff::default();
        loop {
            match self
                .recalculation
                .store(schedules.clone(), Origin::Event)
                .await
            {
                Ok(stored) => {
                    self.cache_is_down.over();
                    return stored;
                }
                Err(error) => self.cache_is_down.begun(&error),
            }
            tokio::time::sleep(backoff.next_wait().min(LONGEST_WAIT)).await;
        }
    }

    /// Publishes until the broker has confirmed every message.
    async fn publish(&self, mut messages: Vec<Message>) {
        let mut backoff = Backoff::default();
        while !messages.is_empty() {
            match self.publisher.publish(&messages).await {
                Ok(answers) => {
                    let mut answers = answers.into_iter();
                    messages.retain(|_| match answers.next() {
                        Some(Ok(())) => false,
                        Some(Err(refused)) => {
                            self.broker_is_down.begun(&refused);
                            true
                        }
                        None => true,
                    });
                }
                Err(error) => self.broker_is_down.begun(&error),
            }
            if !messages.is_empty() {
                tokio::time::sleep(backoff.next_wait().min(LONGEST_WAIT)).await;
            }
        }
        self.broker_is_down.over();
    }

    /// Says that the cache holds these, until the broker has confirmed it.
    pub(crate) async fn tell(&self, held: &[Calculated]) -> serde_json::Result<()> {
        let messages = held
            .iter()
            .map(|calculated| self.message(calculated.event(), TraceHeaders::default()))
            .collect::<serde_json::Result<Vec<_>>>()?;
        self.publish(messages).await;
        Ok(())
    }

    async fn handle_batch(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::Done; batch.len()];
        let newest = self.decode(batch, &mut outcomes);
        let stored = self
            .store(newest.iter().map(|n| Arc::clone(&n.schedule)).collect())
            .await;
        failpoint::reached("worker.cached");

        let mut messages = Vec::new();
        for (newest, stored) in newest.into_iter().zip(stored) {
            let (word, outcome) = match stored {
                Stored::Held(calculated) => match self.message(calculated.event(), newest.trace) {
                    Ok(message) => {
                        messages.push(message);
                        ("handled", Outcome::Done)
                    }
                    Err(error) => ("dead-lettered", Outcome::DeadLetter(error.to_string())),
                },
                Stored::Stale => ("stale", Outcome::Done),
                Stored::Unacceptable(error) => {
                    ("dead-lettered", Outcome::DeadLetter(error.to_string()))
                }
                Stored::SourceFailed(error) => (
                    "retried",
                    Outcome::Retry(format!(
                        "the cache knows nothing of this contractor, and {error}"
                    )),
                ),
                Stored::Unsettled => (
                    "retried",
                    Outcome::Retry(
                        "the cache lost this contractor while it was written".to_owned(),
                    ),
                ),
            };
            let superseded = newest.places.len().saturating_sub(1) as u64;
            count(word, 1);
            count("superseded", superseded);
            for place in newest.places {
                outcomes[place] = outcome.clone();
            }
        }
        self.publish(messages).await;
        failpoint::reached("worker.told");
        outcomes
    }

    /// Reads a batch; of each contractor's events only the newest is kept. What cannot be read gets
    /// its outcome at once.
    fn decode(&self, batch: &[Delivery], outcomes: &mut [Outcome]) -> Vec<Newest> {
        let mut newest: Vec<Newest> = Vec::new();
        let mut of_contractor: HashMap<Uuid, usize> = HashMap::new();
        for (place, delivery) in batch.iter().enumerate() {
            let event = match read(&delivery.body) {
                Ok(event) => event,
                Err(reason) => {
                    count("dead-lettered", 1);
                    outcomes[place] = Outcome::DeadLetter(reason);
                    continue;
                }
            };
            let lag = self.clock.now().signed_duration_since(event.time);
            metrics::histogram!("schedule_updated_lag_seconds")
                .record(lag.to_std().unwrap_or_default().as_secs_f64());
            let schedule = Arc::new(event.data.schedule);
            match of_contractor.get(&schedule.contractor_id) {
                None => {
                    of_contractor.insert(schedule.contractor_id, newest.len());
                    newest.push(Newest {
                        schedule,
                        trace: delivery.trace.clone(),
                        places: vec![place],
                    });
                }
                Some(&known) => {
                    let known = &mut newest[known];
                    known.places.push(place);
                    if schedule.version > known.schedule.version {
                        known.schedule = schedule;
                        known.trace = delivery.trace.clone();
                    }
                }
            }
        }
        newest
    }

    fn message(
        &self,
        event: AvailabilityUpdated,
        cause: TraceHeaders,
    ) -> serde_json::Result<Message> {
        let span = tracing::info_span!("schedule_updated.handle", contractor = %event.contractor_id, version = event.version);
        cause.set_parent_of(&span);
        let mut trace = span.in_scope(TraceHeaders::current);
        if trace.traceparent.is_none() {
            trace = cause;
        }
        let (id, routing_key) = (Uuid::now_v7(), event.routing_key());
        let envelope = Envelope::new(id, self.clock.now(), event);
        let body = serde_json::to_vec(&envelope)?;
        let kind = AvailabilityUpdated::TYPE.to_owned();
        Ok(Message::event(
            routing_key,
            id.to_string(),
            kind,
            envelope.time,
            body,
            trace,
        ))
    }
}

impl Handler for ScheduleUpdatedHandler {
    async fn handle(&self, batch: Vec<Delivery>) -> Vec<Outcome> {
        let span = tracing::debug_span!("schedule_updated.batch", events = batch.len());
        self.handle_batch(&batch).instrument(span).await
    }
}

/// Reads an event and checks that it is of one piece; else the reason, for the dead letter.
fn read(body: &[u8]) -> Result<Envelope<ScheduleUpdated>, String> {
    let event: Envelope<ScheduleUpdated> = serde_json::from_slice(body)
        .map_err(|error| format!("not a ScheduleUpdated event: {error}"))?;
    let data = &event.data;
    if data.schedule.contractor_id != data.contractor_id || event.subject != data.contractor_id {
        return Err(format!(
            "the event is about {}, its data about {}, its schedule is of {}",
            event.subject, data.contractor_id, data.schedule.contractor_id
        ));
    }
    if data.schedule.version != data.version {
        return Err(format!(
            "the event is of version {}, its schedule of version {}",
            data.version, data.schedule.version
        ));
    }
    acceptable(&data.schedule).map_err(|error| error.to_string())?;
    Ok(event)
}

fn count(outcome: &'static str, events: u64) {
    metrics::counter!("schedule_updated_events_total", "outcome" => outcome).increment(events);
}

/// Says once that a dependency is down and once that it is back.
#[derive(Debug)]
struct Down {
    what: &'static str,
    down: AtomicBool,
}

impl Down {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            down: AtomicBool::new(false),
        }
    }

    fn begun(&self, error: &dyn std::error::Error) {
        if !self.down.swap(true, Ordering::Relaxed) {
            tracing::error!(dependency = self.what, %error, "events wait in the queue until it is back");
        }
    }

    fn over(&self) {
        if self.down.load(Ordering::Relaxed) && self.down.swap(false, Ordering::Relaxed) {
            tracing::info!(dependency = self.what, "is back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    const EVENT: &str = include_str!("../../shared-events/fixtures/schedule.updated.v1.json");

    #[test]
    fn an_event_that_is_not_of_one_piece_is_refused_with_the_reason() {
        assert!(read(EVENT.as_bytes()).is_ok());
        for (from, to, reason) in [
            (
                "\"version\": 7,\n    \"actor\"",
                "\"version\": 8,\n    \"actor\"",
                "the event is of version 8, its schedule of version 7",
            ),
            (
                "\"subject\": \"018f6b1c",
                "\"subject\": \"118f6b1c",
                "the event is about 118f6b1c",
            ),
            (
                "Europe/London",
                "Europe/Atlantis",
                "timeZone: unknown time zone \"Europe/Atlantis\"",
            ),
            (
                "london-north",
                "London}",
                "territory: \"London}\" is not of the form",
            ),
            (
                "rosterwire.schedule.updated.v1",
                "rosterwire.schedule.updated.v2",
                "expected \"rosterwire.schedule.updated.v1\"",
            ),
            ("{", "[", "not a ScheduleUpdated event"),
        ] {
            let broken = EVENT.replace(from, to);
            assert_ne!(broken, EVENT, "{from}");
            let told = read(broken.as_bytes()).unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }
}
