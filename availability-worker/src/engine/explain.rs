//! In words: why a contractor is or is not free at an instant.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use shared_events::Schedule;
use shared_events::schedule::Status;
use shared_events::zones::{UnknownZone, Zone};

use super::civil_time::{
    DAY, FIRST_MINUTE, LAST_MINUTE, WallClock, date_of, local_minute, weekday,
};
use super::intervals::{Interval, Minute};
use super::windows::{
    DayPlan, DayWindow, FreeTime, blocked_by_job, days_reaching, job_interval, time_off_interval,
};
use super::{instant, minute_ceil, minute_floor};

/// Whether a contractor is free in one minute, and every reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Who and when, with the local time.
    pub subject: String,
    /// Whether the minute lies in a free window.
    pub free: bool,
    /// Sentences: where several reasons hold, all are told.
    pub reasons: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {}",
            self.subject,
            if self.free { "free" } else { "not free" }
        )?;
        self.reasons
            .iter()
            .try_for_each(|reason| writeln!(f, "- {reason}"))
    }
}

const DAY_NAMES: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Explains the minute that holds `at`, as seen at `now`.
pub fn explain(
    schedule: &Schedule,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Explanation, UnknownZone> {
    let zone = Zone::named(&schedule.time_zone)?;
    let minute = minute_floor(at);
    let who = if schedule.name.is_empty() {
        schedule.contractor_id.to_string()
    } else {
        schedule.name.clone()
    };
    if !(FIRST_MINUTE..LAST_MINUTE).contains(&minute) {
        return Ok(Explanation {
            subject: format!("{who} at {}", utc(minute)),
            free: false,
            reasons: vec!["availability is known for the years 1970 to 2200 only".to_owned()],
        });
    }
    let mut reasons = Vec::new();
    let active = schedule.status == Status::Active;
    if !active {
        let status = if schedule.status == Status::OnLeave {
            "on leave"
        } else {
            "inactive"
        };
        reasons.push(format!(
            "the contractor is {status}, and only active contractors are offered"
        ));
    }
    let works = working_reason(schedule, zone, minute, &mut reasons);
    let blocked = blocked_reasons(schedule, zone, minute, &mut reasons);
    let too_soon = notice_reason(schedule, zone, minute, now, &mut reasons);

    let free = active && works && !blocked && !too_soon;
    if free {
        reasons.push(free_reason(schedule, zone, minute));
    }
    let subject = format!(
        "{who} at {} ({} {})",
        utc(minute),
        local(zone, minute),
        schedule.time_zone
    );
    Ok(Explanation {
        subject,
        free,
        reasons,
    })
}

fn working_reason(
    schedule: &Schedule,
    zone: Zone,
    minute: Minute,
    reasons: &mut Vec<String>,
) -> bool {
    let plan = DayPlan::new(schedule);
    let here = Interval::new(minute, minute.saturating_add(1));
    let clock = WallClock::over(zone, here);
    let covers = |window: &DayWindow| window.resolve(&clock).contains(minute);
    if let Some(window) = days_reaching(here)
        .flat_map(|day| plan.windows_of(day))
        .find(covers)
    {
        reasons.push(format!("working time: {}", window_words(schedule, window)));
        return true;
    }
    let hours_of = |day| {
        let windows: Vec<String> = plan.windows_of(day).map(clock_words).collect();
        if windows.is_empty() {
            "no working time".to_owned()
        } else {
            windows.join(", ")
        }
    };
    let replaced = days_reaching(here)
        .filter(|&day| plan.is_overridden(day))
        .flat_map(|day| plan.weekly_windows_of(day))
        .find(covers);
    let day = local_minute(zone, minute).div_euclid(DAY);
    reasons.push(if let Some(window) = replaced {
        format!(
            "outside working time: the date override of {} gives {} in place of {}",
            override_words(schedule, window.day),
            hours_of(window.day),
            clock_words(window)
        )
    } else if plan.is_overridden(day) {
        format!(
            "outside working time: the date override of {} gives {}",
            override_words(schedule, day),
            hours_of(day)
        )
    } else {
        format!(
            "outside working time: the weekly hours give {} on {}",
            hours_of(day),
            DAY_NAMES[weekday(day)]
        )
    });
    false
}

fn blocked_reasons(
    schedule: &Schedule,
    zone: Zone,
    minute: Minute,
    reasons: &mut Vec<String>,
) -> bool {
    let before = reasons.len();
    for time_off in schedule
        .time_off
        .iter()
        .filter(|t| time_off_interval(t).contains(minute))
    {
        let span = span_words(zone, time_off_interval(time_off));
        let why = time_off
            .reason
            .as_deref()
            .map(|r| format!(" ({r})"))
            .unwrap_or_default();
        reasons.push(format!("time off {span}{why}"));
    }
    for job in schedule
        .jobs
        .iter()
        .filter(|j| blocked_by_job(j).contains(minute))
    {
        let own = job_interval(job);
        let part = if minute < own.start {
            format!("the buffer of {} minutes before", job.buffer_before_minutes)
        } else if minute >= own.end {
            format!("the buffer of {} minutes after", job.buffer_after_minutes)
        } else {
            "booked for".to_owned()
        };
        reasons.push(format!(
            "{part} job {:?} {}, {}",
            job.title,
            job.id,
            span_words(zone, own)
        ));
    }
    reasons.len() > before
}

fn notice_reason(
    schedule: &Schedule,
    zone: Zone,
    minute: Minute,
    now: DateTime<Utc>,
    reasons: &mut Vec<String>,
) -> bool {
    let (now, notice) = (minute_ceil(now), schedule.booking_rules.min_notice_minutes);
    if minute < now {
        reasons.push(format!("in the past: it is {} now", both(zone, now)));
        return true;
    }
    let earliest = now.saturating_add(i64::from(notice));
    if minute < earliest {
        reasons.push(format!(
            "too soon: the minimum notice of {notice} minutes allows nothing before {}",
            both(zone, earliest)
        ));
        return true;
    }
    false
}

fn free_reason(schedule: &Schedule, zone: Zone, minute: Minute) -> String {
    let around = Interval::new(minute - 7 * DAY, minute + 7 * DAY);
    let window = FreeTime::new(schedule, zone)
        .windows(around)
        .into_iter()
        .find(|window| window.contains(minute));
    match window {
        Some(w) if w.start > around.start && w.end < around.end => {
            format!(
                "nothing blocks it; the free window is {}",
                span_words(zone, w)
            )
        }
        _ => "nothing blocks it".to_owned(),
    }
}

fn window_words(schedule: &Schedule, window: DayWindow) -> String {
    let date = date_of(window.day)
        .map(|d| d.to_string())
        .unwrap_or_default();
    let clock = clock_words(window);
    if window.overridden {
        format!(
            "{clock} of the date override of {}",
            override_words(schedule, window.day)
        )
    } else {
        format!(
            "{clock} of the weekly hours of {}, {date}",
            DAY_NAMES[weekday(window.day)]
        )
    }
}

fn override_words(schedule: &Schedule, day: i64) -> String {
    let Some(date) = date_of(day) else {
        return String::new();
    };
    let reason = schedule
        .date_overrides
        .iter()
        .rev()
        .find(|o| o.date == date);
    match reason.and_then(|o| o.reason.as_deref()) {
        Some(reason) => format!("{date} ({reason})"),
        None => date.to_string(),
    }
}

fn clock_words(window: DayWindow) -> String {
    let clock = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    if window.end > DAY {
        format!(
            "{}-{} of the next day",
            clock(window.start),
            clock(window.end - DAY)
        )
    } else {
        format!("{}-{}", clock(window.start), clock(window.end))
    }
}

fn span_words(zone: Zone, interval: Interval) -> String {
    format!(
        "from {} to {}",
        both(zone, interval.start),
        both(zone, interval.end)
    )
}

/// What a dispatcher's clock shows, and what cannot be misread where clocks change.
fn both(zone: Zone, minute: Minute) -> String {
    format!("{} ({})", local(zone, minute), utc(minute))
}

fn utc(minute: Minute) -> String {
    instant(minute).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn local(zone: Zone, minute: Minute) -> String {
    instant(local_minute(zone, minute))
        .format("%Y-%m-%d %H:%M")
        .to_string()
}
