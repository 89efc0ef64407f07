//! What the demo sends to schedule-service.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared_events::schedule::{
    BookingRules, DateOverride, LocalWindow, Status, WorkingHours, rfc3339_seconds,
};

use crate::span::{Span, instant_at};

/// The body that creates a contractor with the whole schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is the schedule's field of that name")]
pub struct NewContractor {
    pub name: String,
    pub territory: String,
    pub skills: Vec<String>,
    pub status: Status,
    pub time_zone: String,
    pub working_hours: Vec<WorkingHours>,
    pub date_overrides: Vec<DateOverride>,
    pub time_off: Vec<NewTimeOff>,
    pub jobs: Vec<NewJob>,
    pub booking_rules: BookingRules,
}

/// The body that blocks instants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewTimeOff {
    /// The first blocked instant.
    #[serde(with = "rfc3339_seconds")]
    pub start: DateTime<Utc>,
    /// The first instant after it.
    #[serde(with = "rfc3339_seconds")]
    pub end: DateTime<Utc>,
    /// Why.
    pub reason: &'static str,
}

/// The body that books a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    /// What is to be done.
    pub title: String,
    /// When the work starts.
    #[serde(with = "rfc3339_seconds")]
    pub start: DateTime<Utc>,
    /// When the work has ended.
    #[serde(with = "rfc3339_seconds")]
    pub end: DateTime<Utc>,
    /// Minutes kept free before it; the booking rules' when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_before_minutes: Option<u32>,
    /// Minutes kept free after it; the booking rules' when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_after_minutes: Option<u32>,
}

impl NewJob {
    /// A job with the booking rules' buffers.
    #[must_use]
    pub fn at(work: Span, title: String) -> Self {
        Self {
            title,
            start: instant_at(work.start),
            end: instant_at(work.end),
            buffer_before_minutes: None,
            buffer_after_minutes: None,
        }
    }
}

/// The body that replaces one local day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewDay {
    /// The windows of that day.
    pub windows: Vec<LocalWindow>,
    /// Why.
    pub reason: &'static str,
}
