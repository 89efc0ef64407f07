//! Booking, moving, handing over and cancelling jobs.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Value, json};
use shared_events::schedule::Job;
use uuid::Uuid;

use super::board::{Board, Seen, days_ahead};
use super::kind::Kind;
use super::proposal::{Action, Proposal};
use crate::civil_time::local_time;
use crate::contractor::NewJob;
use crate::span::{Span, instant_at};
use crate::trades::{TASKS, draw_job};
use crate::working_time::{blocked, free_spans, staffed_spans, uncovered_jobs};

/// Jobs start at a quarter of an hour.
const GRID_MINUTES: i64 = 15;

/// The shortest job that is booked.
const SHORTEST_MINUTES: i64 = 30;

/// How many colleagues are asked to take over a job.
const ASKED: usize = 10;

/// Above this a contractor gets no more jobs.
const FULL: f64 = 0.65;

/// The longest that a job becomes by running late.
const LONGEST_MINUTES: i64 = 10 * 60;

impl Seen {
    pub(super) fn proposal(&self, kind: Kind, action: Action, words: &str) -> Proposal {
        Proposal {
            kind,
            contractor: self.schedule.contractor_id,
            version: self.schedule.version,
            action,
            words: format!(
                "{} ({}): {words}",
                self.schedule.name, self.schedule.territory
            ),
        }
    }

    fn local(&self, minute: i64) -> String {
        local_time(self.zone, instant_at(minute))
            .format("%a %-d %b %H:%M")
            .to_string()
    }

    /// A random job that has not begun.
    fn draw_job_ahead(&self, rng: &mut StdRng, now: DateTime<Utc>) -> Option<&Job> {
        let soon = now + TimeDelta::minutes(30);
        let ahead: Vec<&Job> = self
            .schedule
            .jobs
            .iter()
            .filter(|job| job.start > soon)
            .collect();
        ahead.choose(rng).copied()
    }
}

pub(super) fn book(
    board: &Board,
    who: Option<Uuid>,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    let seen = match who {
        Some(id) => board.get(id)?,
        // The least busy of three.
        None => (0..3)
            .filter_map(|_| board.draw_where(rng, Seen::is_active))
            .min_by(|a, b| a.fill.unwrap_or(1.0).total_cmp(&b.fill.unwrap_or(1.0)))?,
    };
    if !seen.is_active() || seen.fill.is_none_or(|fill| fill > FULL) {
        return None;
    }
    let free = free_spans(&seen.schedule, seen.zone, bookable(seen, now), None);
    propose_booking(seen, Kind::Book, &free, rng)
}

pub(super) fn book_blind(board: &Board, rng: &mut StdRng, now: DateTime<Utc>) -> Option<Proposal> {
    let seen = board.draw_where(rng, Seen::is_active)?;
    let staffed = staffed_spans(&seen.schedule, seen.zone, bookable(seen, now));
    propose_booking(seen, Kind::BookBlind, &staffed, rng)
}

/// From the minimum notice on.
fn bookable(seen: &Seen, now: DateTime<Utc>) -> Span {
    let ahead = days_ahead(now);
    let notice = i64::from(seen.schedule.booking_rules.min_notice_minutes);
    Span::new(ahead.start + notice, ahead.end)
}

fn propose_booking(seen: &Seen, kind: Kind, spans: &[Span], rng: &mut StdRng) -> Option<Proposal> {
    let rules = seen.schedule.booking_rules;
    let buffers = (
        i64::from(rules.buffer_before_minutes),
        i64::from(rules.buffer_after_minutes),
    );
    let room = draw_room(spans, buffers, SHORTEST_MINUTES, rng)?;
    let (title, length) = draw_job(
        rng,
        &seen.schedule.skills,
        seen.city.streets,
        room.minutes(),
    )?;
    let work = place(room, length, rng);
    let words = format!("books {title} at {}", seen.local(work.start));
    Some(seen.proposal(kind, Action::Book(NewJob::at(work, title)), &words))
}

pub(super) fn reschedule(
    board: &Board,
    who: Option<Uuid>,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    let seen = pick(board, who, rng)?;
    let job = seen.draw_job_ahead(rng, now)?;
    move_in_time(seen, Kind::Reschedule, job, now, rng)
}

/// Another time for `job` with the same contractor.
fn move_in_time(
    seen: &Seen,
    kind: Kind,
    job: &Job,
    now: DateTime<Utc>,
    rng: &mut StdRng,
) -> Option<Proposal> {
    if !seen.is_active() {
        return None;
    }
    let free = free_spans(&seen.schedule, seen.zone, bookable(seen, now), Some(job.id));
    let length = Span::between(job.start, job.end).minutes();
    let room = draw_room(&free, buffers_of(job), length, rng)?;
    let work = place(room, length, rng);
    if instant_at(work.start) == job.start {
        return None;
    }
    let words = format!("moves {} to {}", job.title, seen.local(work.start));
    Some(seen.proposal(kind, retime(job, work), &words))
}

pub(super) fn hand_over(
    board: &Board,
    who: Option<Uuid>,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    let seen = pick(board, who, rng)?;
    let job = seen.draw_job_ahead(rng, now)?;
    give_away(board, seen, Kind::HandOver, job, rng)
}

/// A colleague of the same city who can do `job` and is free for it, those of the same territory first.
fn give_away(
    board: &Board,
    seen: &Seen,
    kind: Kind,
    job: &Job,
    rng: &mut StdRng,
) -> Option<Proposal> {
    let needed = TASKS
        .iter()
        .find(|task| job.title.starts_with(task.title))
        .map(|task| task.skill);
    let can = |other: &Seen| match needed {
        Some(skill) => other.schedule.skills.iter().any(|has| has == skill),
        None => other
            .schedule
            .skills
            .iter()
            .any(|has| seen.schedule.skills.contains(has)),
    };
    let mut colleagues: Vec<&Seen> = board
        .all()
        .filter(|other| {
            other.is_active()
                && std::ptr::eq(other.city, seen.city)
                && other.schedule.contractor_id != seen.schedule.contractor_id
                && can(other)
        })
        .collect();
    colleagues.shuffle(rng);
    colleagues.sort_by_key(|other| other.schedule.territory != seen.schedule.territory);
    let span = blocked(job);
    let to = colleagues.into_iter().take(ASKED).find(|other| {
        free_spans(&other.schedule, other.zone, span, None)
            .iter()
            .any(|free| free.contains(span))
    })?;
    let id = to.schedule.contractor_id;
    let patch = json!({ "contractorId": id });
    let action = Action::ChangeJob {
        job: job.id,
        to: Some(id),
        patch,
    };
    let words = format!("hands {} over to {}", job.title, to.schedule.name);
    Some(seen.proposal(kind, action, &words))
}

pub(super) fn cancel(
    board: &Board,
    who: Option<Uuid>,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    let seen = match who {
        Some(id) => board.get(id)?,
        // The busiest of three.
        None => (0..3)
            .filter_map(|_| board.draw(rng))
            .max_by(|a, b| a.fill.unwrap_or(0.0).total_cmp(&b.fill.unwrap_or(0.0)))?,
    };
    let job = seen.draw_job_ahead(rng, now)?;
    Some(cancellation(seen, Kind::Cancel, job))
}

fn cancellation(seen: &Seen, kind: Kind, job: &Job) -> Proposal {
    seen.proposal(
        kind,
        Action::Cancel(job.id),
        &format!("cancels {}", job.title),
    )
}

/// A job that is running, or one of the next hours, takes a quarter of an hour to an hour longer. Where
/// that runs into the next job, the next one moves first.
pub(super) fn run_late(
    board: &Board,
    who: Option<Uuid>,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    let soon = now + TimeDelta::hours(12);
    let current = |seen: &Seen| {
        seen.schedule
            .jobs
            .iter()
            .position(|job| job.end > now && job.start < soon)
    };
    let seen = match who {
        Some(id) => board.get(id)?,
        None => board.draw_where(rng, |seen| seen.is_active() && current(seen).is_some())?,
    };
    let index = current(seen)?;
    let job = &seen.schedule.jobs[index];
    let work = Span::between(job.start, job.end);
    let late = rng.random_range(1..=4) * GRID_MINUTES;
    let longer = Span::new(work.start, work.end + late);
    if longer.minutes() > LONGEST_MINUTES {
        return None;
    }
    if let Some(next) = seen.schedule.jobs.get(index + 1)
        && blocked(next).start < longer.end + i64::from(job.buffer_after_minutes)
    {
        return move_in_time(seen, Kind::RunLate, next, now, rng);
    }
    let words = format!("is {late} minutes late with {}", job.title);
    let action = Action::ChangeJob {
        job: job.id,
        to: None,
        patch: json!({ "end": rfc3339(longer.end) }),
    };
    Some(seen.proposal(Kind::RunLate, action, &words))
}

/// Moves a job that is no longer covered: to a colleague, else to another time, else it is cancelled.
pub(super) fn repair(
    board: &Board,
    who: Option<Uuid>,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    let seen = if let Some(id) = who {
        board.get(id)?
    } else {
        let uncovered: Vec<&Seen> = board.all().filter(|seen| seen.uncovered).collect();
        uncovered.choose(rng).copied()?
    };
    let job = if seen.is_active() {
        uncovered_jobs(&seen.schedule, seen.zone, now).next()?
    } else {
        seen.schedule.jobs.iter().find(|job| job.start > now)?
    };
    give_away(board, seen, Kind::Repair, job, rng)
        .or_else(|| move_in_time(seen, Kind::Repair, job, now, rng))
        .or_else(|| Some(cancellation(seen, Kind::Repair, job)))
}

fn pick<'a>(board: &'a Board, who: Option<Uuid>, rng: &mut StdRng) -> Option<&'a Seen> {
    match who {
        Some(id) => board.get(id),
        None => board.draw_where(rng, |seen| {
            seen.is_active() && !seen.schedule.jobs.is_empty()
        }),
    }
}

/// Where work of at least `least` minutes can lie so that its buffers stay inside a free span too,
/// beginning at the grid; rather soon than late.
fn draw_room(
    free: &[Span],
    (before, after): (i64, i64),
    least: i64,
    rng: &mut StdRng,
) -> Option<Span> {
    let rooms: Vec<Span> = free
        .iter()
        .map(|span| {
            let start = span.start + before;
            let aligned = start + (GRID_MINUTES - start.rem_euclid(GRID_MINUTES)) % GRID_MINUTES;
            Span::new(aligned, span.end - after)
        })
        .filter(|room| room.minutes() >= least)
        .collect();
    let drawn = (0..2)
        .map(|_| rng.random_range(0..rooms.len().max(1)))
        .min()?;
    rooms.get(drawn).copied()
}

/// Work of `length` minutes in `room`: half of the time right at its start.
fn place(room: Span, length: i64, rng: &mut StdRng) -> Span {
    let steps = ((room.minutes() - length) / GRID_MINUTES).max(0);
    let step = if rng.random_bool(0.5) {
        0
    } else {
        rng.random_range(0..=steps)
    };
    let start = room.start + step * GRID_MINUTES;
    Span::new(start, start + length)
}

fn buffers_of(job: &Job) -> (i64, i64) {
    (
        i64::from(job.buffer_before_minutes),
        i64::from(job.buffer_after_minutes),
    )
}

fn retime(job: &Job, work: Span) -> Action {
    let patch = json!({ "start": rfc3339(work.start), "end": rfc3339(work.end) });
    Action::ChangeJob {
        job: job.id,
        to: None,
        patch,
    }
}

fn rfc3339(minute: i64) -> Value {
    Value::String(instant_at(minute).to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}
