//! What can be asked of a schedule. Each command takes the schedule as it is and changes it in
//! place; [`Change::between`](super::Change::between) then says what, if anything, is different.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use shared_events::schedule::{
    BookingRules, DateOverride, Job, LocalWindow, Schedule, Status, TimeOff, WorkingHours,
};
use uuid::Uuid;

use super::event::{job_is_upcoming, time_off_is_upcoming};
use super::field_errors::FieldErrors;
use super::limits::{MAX_DATE_OVERRIDES, MAX_TIME_OFF, MAX_UPCOMING_JOBS, MAX_UPCOMING_TIME_OFF};

/// The part of a schedule that a merge patch may change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the schedule's field of that name")]
pub struct Profile {
    pub name: String,
    pub territory: String,
    pub skills: Vec<String>,
    pub status: Status,
    pub time_zone: String,
    pub working_hours: Vec<WorkingHours>,
    pub booking_rules: BookingRules,
}

/// What a date override says of its day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideTerms {
    /// The windows of that day; empty for a day off.
    pub windows: Vec<LocalWindow>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// Instants to block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeOffTerms {
    /// The first blocked instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What is to be booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTerms {
    /// What is to be done, for people.
    pub title: String,
    /// When the work starts.
    pub start: DateTime<Utc>,
    /// When it has ended.
    pub end: DateTime<Utc>,
    /// Minutes blocked before; none: as the contractor's booking rules say now.
    pub buffer_before_minutes: Option<u32>,
    /// Minutes blocked after; none: as the contractor's booking rules say now.
    pub buffer_after_minutes: Option<u32>,
}

impl JobTerms {
    /// The job with these terms, under these booking rules.
    #[must_use]
    pub fn into_job(self, id: Uuid, rules: &BookingRules) -> Job {
        Job {
            id,
            title: self.title,
            start: self.start,
            end: self.end,
            buffer_before_minutes: self
                .buffer_before_minutes
                .unwrap_or(rules.buffer_before_minutes),
            buffer_after_minutes: self
                .buffer_after_minutes
                .unwrap_or(rules.buffer_after_minutes),
        }
    }
}

/// A contractor to be created, with the whole schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContractor {
    /// The id that the contractor brings along; none: a new one.
    pub contractor_id: Option<Uuid>,
    /// What a merge patch may change later.
    pub profile: Profile,
    /// Date overrides, one a date.
    pub date_overrides: Vec<DateOverride>,
    /// Time off.
    pub time_off: Vec<TimeOffTerms>,
    /// Jobs, no two of which overlap.
    pub jobs: Vec<JobTerms>,
}

impl NewContractor {
    /// The schedule of this contractor under the id `contractor_id`. Version and commit time are
    /// those of nothing yet.
    #[must_use]
    pub fn into_schedule(self, contractor_id: Uuid, mut new_id: impl FnMut() -> Uuid) -> Schedule {
        let profile = self.profile;
        let mut schedule = Schedule {
            contractor_id,
            name: profile.name,
            territory: profile.territory,
            skills: profile.skills,
            status: profile.status,
            time_zone: profile.time_zone,
            working_hours: profile.working_hours,
            date_overrides: self.date_overrides,
            time_off: Vec::with_capacity(self.time_off.len()),
            jobs: Vec::with_capacity(self.jobs.len()),
            booking_rules: profile.booking_rules,
            version: 0,
            updated_at: DateTime::UNIX_EPOCH,
        };
        for terms in self.time_off {
            let TimeOffTerms { start, end, reason } = terms;
            schedule.time_off.push(TimeOff {
                id: new_id(),
                start,
                end,
                reason,
            });
        }
        for terms in self.jobs {
            schedule
                .jobs
                .push(terms.into_job(new_id(), &profile.booking_rules));
        }
        sort(&mut schedule);
        schedule
    }
}

/// The part of `schedule` that a merge patch may change.
#[must_use]
pub fn profile_of(schedule: &Schedule) -> Profile {
    Profile {
        name: schedule.name.clone(),
        territory: schedule.territory.clone(),
        skills: schedule.skills.clone(),
        status: schedule.status,
        time_zone: schedule.time_zone.clone(),
        working_hours: schedule.working_hours.clone(),
        booking_rules: schedule.booking_rules,
    }
}

/// Puts `profile` in the place of the one that `schedule` has.
pub fn set_profile(schedule: &mut Schedule, profile: Profile) {
    schedule.name = profile.name;
    schedule.territory = profile.territory;
    schedule.skills = profile.skills;
    schedule.status = profile.status;
    schedule.time_zone = profile.time_zone;
    schedule.working_hours = profile.working_hours;
    schedule.booking_rules = profile.booking_rules;
}

/// Replaces the local day `date` whole, and forgets overrides of days before `forget_before`.
/// Says whether the day had no override yet; refuses one more than fits.
pub fn put_date_override(
    schedule: &mut Schedule,
    date: NaiveDate,
    terms: OverrideTerms,
    forget_before: NaiveDate,
) -> Result<bool, FieldErrors> {
    let entry = DateOverride {
        date,
        windows: terms.windows,
        reason: terms.reason,
    };
    let existing = schedule
        .date_overrides
        .iter_mut()
        .find(|existing| existing.date == date);
    let is_new = existing.is_none();
    if let Some(existing) = existing {
        *existing = entry;
    } else {
        schedule
            .date_overrides
            .retain(|existing| existing.date >= forget_before);
        if schedule.date_overrides.len() >= MAX_DATE_OVERRIDES {
            return Err(too_many("date overrides", MAX_DATE_OVERRIDES));
        }
        schedule.date_overrides.push(entry);
        sort(schedule);
    }
    Ok(is_new)
}

/// Takes the override of `date` away. Says whether there was one.
pub fn remove_date_override(schedule: &mut Schedule, date: NaiveDate) -> bool {
    let count = schedule.date_overrides.len();
    schedule
        .date_overrides
        .retain(|existing| existing.date != date);
    schedule.date_overrides.len() < count
}

/// Blocks instants under the id `id`, and forgets time off that was over before `forget_before`.
/// Refuses more than fits.
pub fn add_time_off(
    schedule: &mut Schedule,
    id: Uuid,
    terms: TimeOffTerms,
    now: DateTime<Utc>,
    forget_before: DateTime<Utc>,
) -> Result<TimeOff, FieldErrors> {
    let time_off = TimeOff {
        id,
        start: terms.start,
        end: terms.end,
        reason: terms.reason,
    };
    schedule
        .time_off
        .retain(|existing| existing.end > forget_before);
    let upcoming = schedule
        .time_off
        .iter()
        .filter(|item| time_off_is_upcoming(item, now))
        .count();
    if time_off_is_upcoming(&time_off, now) && upcoming >= MAX_UPCOMING_TIME_OFF {
        return Err(too_many("upcoming time off", MAX_UPCOMING_TIME_OFF));
    }
    if schedule.time_off.len() >= MAX_TIME_OFF {
        return Err(too_many("time off", MAX_TIME_OFF));
    }
    schedule.time_off.push(time_off.clone());
    sort(schedule);
    Ok(time_off)
}

/// Takes time off away. Says whether there was any of that id.
pub fn remove_time_off(schedule: &mut Schedule, id: Uuid) -> bool {
    let count = schedule.time_off.len();
    schedule.time_off.retain(|existing| existing.id != id);
    schedule.time_off.len() < count
}

/// Books a job, or puts it in the place of the one of the same id. Overlaps are not looked at: the
/// database forbids them. Refuses more upcoming jobs than fit.
pub fn put_job(schedule: &mut Schedule, job: Job, now: DateTime<Utc>) -> Result<(), FieldErrors> {
    schedule.jobs.retain(|existing| existing.id != job.id);
    let upcoming = schedule
        .jobs
        .iter()
        .filter(|job| job_is_upcoming(job, now))
        .count();
    if job_is_upcoming(&job, now) && upcoming >= MAX_UPCOMING_JOBS {
        return Err(too_many("upcoming jobs", MAX_UPCOMING_JOBS));
    }
    schedule.jobs.push(job);
    sort(schedule);
    Ok(())
}

/// Takes a job away, because it is cancelled or moves to another contractor.
pub fn remove_job(schedule: &mut Schedule, id: Uuid) -> Option<Job> {
    let at = schedule.jobs.iter().position(|job| job.id == id)?;
    Some(schedule.jobs.remove(at))
}

/// Before which day overrides are forgotten: one day is left for the zones that are behind.
#[must_use]
pub fn forget_dates_before(now: DateTime<Utc>, past: TimeDelta) -> NaiveDate {
    (now - past - TimeDelta::days(1)).date_naive()
}

fn too_many(what: &str, limit: usize) -> FieldErrors {
    FieldErrors::one(
        "",
        format!("the contractor has {limit} {what} already, which is the most"),
    )
}

fn sort(schedule: &mut Schedule) {
    schedule.date_overrides.sort_by_key(|entry| entry.date);
    schedule
        .time_off
        .sort_by_key(|entry| (entry.start, entry.id));
    schedule.jobs.sort_by_key(|entry| (entry.start, entry.id));
}
