//! From a change to the event that tells of it.

use chrono::{DateTime, TimeDelta, Utc};
use shared_events::schedule::{Job, Schedule, TimeOff};
use shared_events::{Envelope, ScheduleUpdated};
use uuid::Uuid;

use super::change::Change;

/// Whether a job still matters at `now`: its time after, too, must be over before it does not.
#[must_use]
pub fn job_is_upcoming(job: &Job, now: DateTime<Utc>) -> bool {
    job.end + TimeDelta::minutes(job.buffer_after_minutes.into()) > now
}

/// Whether time off still matters at `now`.
#[must_use]
pub fn time_off_is_upcoming(time_off: &TimeOff, now: DateTime<Utc>) -> bool {
    time_off.end > now
}

/// The schedule as it is published: without the jobs and the time off that are over at `now`.
#[must_use]
pub fn published(mut schedule: Schedule, now: DateTime<Utc>) -> Schedule {
    schedule.jobs.retain(|job| job_is_upcoming(job, now));
    schedule
        .time_off
        .retain(|time_off| time_off_is_upcoming(time_off, now));
    schedule
}

/// The event that tells of `change`, under the identity `event_id`.
#[must_use]
pub fn schedule_updated(change: &Change, event_id: Uuid) -> Envelope<ScheduleUpdated> {
    let data = change.data.clone();
    let event = ScheduleUpdated {
        contractor_id: data.contractor_id,
        updated_fields: data.updated_fields,
        previous_values: data.previous_values,
        timestamp: data.timestamp,
        current_values: data.current_values,
        version: data.version,
        actor: data.actor,
        schedule: published(change.after.clone(), change.data.timestamp),
    };
    Envelope::new(event_id, change.data.timestamp, event)
}
