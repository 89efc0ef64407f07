//! What a schedule leaves free, as far as a demo needs to know it to propose sensible changes.
//!
//! The word on availability is availability-worker's. This is a client's own small reckoning, so
//! that the demo speaks to schedule-service alone.

use chrono::{DateTime, Utc};
use shared_events::Schedule;
use shared_events::schedule::{DateOverride, Job, LocalWindow, Weekday, WorkingHours};
use shared_events::zones::Zone;

use crate::civil_time::{local_date, next_day, window_span};
use crate::span::{Span, instant_at, merge, subtract};

/// The working spans of a week's hours and its overrides inside `range`, sorted and disjoint.
#[must_use]
pub fn working_spans(
    zone: Zone,
    hours: &[WorkingHours],
    overrides: &[DateOverride],
    range: Span,
) -> Vec<Span> {
    let mut spans = Vec::new();
    let last = local_date(zone, instant_at(range.end));
    // A window of the day before may run past midnight into the range.
    let first = local_date(zone, instant_at(range.start));
    let mut date = first.pred_opt().unwrap_or(first);
    while date <= last {
        let mut add = |window: LocalWindow| {
            spans.extend(window_span(zone, date, window).intersection(range));
        };
        if let Some(day) = overrides.iter().find(|day| day.date == date) {
            day.windows.iter().copied().for_each(&mut add);
        } else {
            let weekday = weekday_of(date);
            hours
                .iter()
                .filter(|hours| hours.days.contains(&weekday))
                .map(|hours| LocalWindow {
                    start: hours.start,
                    end: hours.end,
                })
                .for_each(&mut add);
        }
        date = next_day(date);
    }
    merge(spans)
}

/// The working spans of `schedule` inside `range` without its time off.
#[must_use]
pub fn staffed_spans(schedule: &Schedule, zone: Zone, range: Span) -> Vec<Span> {
    let working = working_spans(
        zone,
        &schedule.working_hours,
        &schedule.date_overrides,
        range,
    );
    let off = schedule
        .time_off
        .iter()
        .map(|off| Span::between(off.start, off.end))
        .collect();
    subtract(&working, &merge(off))
}

/// What is free of `schedule` inside `range`, the job `without` taken for absent.
#[must_use]
pub fn free_spans(
    schedule: &Schedule,
    zone: Zone,
    range: Span,
    without: Option<uuid::Uuid>,
) -> Vec<Span> {
    let jobs = schedule
        .jobs
        .iter()
        .filter(|job| Some(job.id) != without)
        .map(blocked)
        .collect();
    subtract(&staffed_spans(schedule, zone, range), &merge(jobs))
}

/// The span of a job with its buffers.
#[must_use]
pub fn blocked(job: &Job) -> Span {
    let work = Span::between(job.start, job.end);
    Span::new(
        work.start - i64::from(job.buffer_before_minutes),
        work.end + i64::from(job.buffer_after_minutes),
    )
}

/// How much of the staffed time inside `range` is taken by jobs with their buffers: 0 to 1, and
/// none where nobody works.
#[must_use]
pub fn fill(schedule: &Schedule, zone: Zone, range: Span) -> Option<f64> {
    let minutes = |spans: &[Span]| spans.iter().map(|span| span.minutes()).sum::<i64>();
    let staffed = minutes(&staffed_spans(schedule, zone, range));
    let free = minutes(&free_spans(schedule, zone, range, None));
    (staffed > 0).then(|| to_f64(staffed - free) / to_f64(staffed))
}

/// The jobs from `now` on that the schedule does not cover.
pub fn uncovered_jobs(
    schedule: &Schedule,
    zone: Zone,
    now: DateTime<Utc>,
) -> impl Iterator<Item = &Job> {
    schedule.jobs.iter().filter(move |job| {
        let span = Span::between(job.start, job.end);
        job.start > now
            && !staffed_spans(schedule, zone, span)
                .iter()
                .any(|staffed| staffed.contains(span))
    })
}

/// The two-letter day of the week on which `date` falls.
#[must_use]
pub fn weekday_of(date: chrono::NaiveDate) -> Weekday {
    match chrono::Datelike::weekday(&date) {
        chrono::Weekday::Mon => Weekday::Mo,
        chrono::Weekday::Tue => Weekday::Tu,
        chrono::Weekday::Wed => Weekday::We,
        chrono::Weekday::Thu => Weekday::Th,
        chrono::Weekday::Fri => Weekday::Fr,
        chrono::Weekday::Sat => Weekday::Sa,
        chrono::Weekday::Sun => Weekday::Su,
    }
}

/// Minutes as a number to divide; a roster's horizon is far below 2^53.
fn to_f64(minutes: i64) -> f64 {
    i32::try_from(minutes).map_or(f64::MAX, f64::from)
}
