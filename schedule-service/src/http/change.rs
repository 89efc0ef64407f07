//! From a request to a committed change of one schedule.
//!
//! The first attempt takes no lock: it reads the schedule, applies the command and commits in one
//! statement that is guarded by the version that was read, two round trips in all; one, where this
//! process has committed that version itself (`recent.rs`). Where somebody was faster, the next
//! attempts hold the row first, so that they cannot lose again.

use chrono::{DateTime, TimeDelta, Utc};
use metrics::counter;
use shared_events::event::Field;
use shared_events::schedule::{Job, Schedule};
use shared_events::service::{Caller, Problem, current_request_id};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::Api;
use super::answer::Answer;
use super::idempotency::KeyedRequest;
use super::precondition::IfMatch;
use crate::domain::limits::MAX_BUFFER_MINUTES;
use crate::domain::{Author, Change};
use crate::error::{busy, from_store, job_overlap};
use crate::outbox_relay::{Committed, Place};
use crate::store::schedules::{Which, load, lock};
use crate::store::{StoreError, commit, idempotency, jobs};

/// How often a change is tried. The second attempt holds the row; more are for a job that moved, or
/// an overlap that went away, between two looks.
pub(super) const ATTEMPTS: usize = 5;

/// A change that was asked for.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) api: &'a Api,
    pub(super) caller: &'a Caller,
    /// Which schedule.
    pub(super) which: Target,
    /// What to say if there is none.
    pub(super) missing: Problem,
    pub(super) if_match: &'a IfMatch,
    pub(super) key: Option<&'a KeyedRequest>,
    /// From when on jobs that are over are read too; none: only what is still to come.
    pub(super) jobs_since: Option<DateTime<Utc>>,
}

/// Which schedule is to change.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Contractor(Uuid),
    HolderOf(Uuid),
}

/// Why an attempt did not end in a change.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is refused.
    Problem(Problem),
    /// A job overlaps another: these are the contractor and the jobs that were to be booked.
    Overlap(Uuid, Vec<Job>),
    /// The database.
    Store(StoreError),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Changes a schedule by `command` and answers what `answer` makes of the outcome and the schedule
/// after it. Where nothing changes, nothing is committed and the version stays. Both may be called
/// again when an attempt is repeated.
pub(super) async fn change<T: Send>(
    write: Write<'_>,
    command: impl Fn(&mut Schedule, DateTime<Utc>) -> Result<T, Problem> + Send + Sync,
    answer: impl Fn(&T, &Schedule) -> Result<Answer, Problem> + Send + Sync,
) -> Result<Answer, Problem> {
    for attempt in 0..ATTEMPTS {
        let mut connection = write.api.connection().await?;
        if let Some(key) = write.key
            && let Some(answer) = key.replay(&mut connection).await?
        {
            return Ok(answer);
        }
        let tried = if attempt == 0 {
            try_at_once(&mut connection, &write, &command, &answer).await
        } else {
            try_locked(&mut connection, &write, &command, &answer).await
        };
        let problem = match tried {
            Ok(done) => return Ok(done.committed(write.api)),
            Err(failure) => match settle(&mut connection, failure).await? {
                Some(problem) => problem,
                None => continue,
            },
        };
        drop(connection);
        return refuse(write.api, write.key, problem).await;
    }
    Err(busy())
}

/// Answers a refusal; one that came of looking things up is remembered under the request's key.
pub(super) async fn refuse(
    api: &Api,
    key: Option<&KeyedRequest>,
    problem: Problem,
) -> Result<Answer, Problem> {
    match key {
        Some(key) if matches!(problem.status().as_u16(), 404 | 409 | 412) => {
            key.settle(api, Answer::of_problem(&problem)?).await
        }
        _ => Err(problem),
    }
}

/// What a failure comes to: a refusal, or none where it is to be tried again.
pub(super) async fn settle(
    connection: &mut PgConnection,
    failure: Failure,
) -> Result<Option<Problem>, Problem> {
    match failure {
        Failure::Problem(problem) => Ok(Some(problem)),
        Failure::Store(StoreError::Stale | StoreError::KeyTaken) => Ok(None),
        Failure::Store(error) => Err(from_store(error)),
        Failure::Overlap(contractor_id, jobs) => {
            // The database has said that there is one; which one it was is a second look, by which
            // time it may have gone, and then the job fits.
            for job in jobs {
                let found =
                    jobs::overlapping(connection, contractor_id, job.start, job.end, job.id).await;
                if let Some(conflicting) = found.map_err(from_store)? {
                    counter!("job_overlaps_refused_total").increment(1);
                    return Ok(Some(job_overlap(conflicting)));
                }
            }
            Ok(None)
        }
    }
}

async fn try_locked<T: Send>(
    connection: &mut PgConnection,
    write: &Write<'_>,
    command: &(impl Fn(&mut Schedule, DateTime<Utc>) -> Result<T, Problem> + Send + Sync),
    answer: &(impl Fn(&T, &Schedule) -> Result<Answer, Problem> + Send + Sync),
) -> Result<Done, Failure> {
    let mut transaction = connection.begin().await?;
    let holder = match write.which {
        Target::Contractor(id) => Some(id),
        Target::HolderOf(job) => jobs::find(&mut transaction, job)
            .await?
            .map(|job| job.contractor_id),
    };
    lock(&mut transaction, holder.as_slice()).await?;
    // Where the job has moved in between, the version guards what the lock does not.
    let done = try_change(&mut transaction, write, command, answer).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn try_change<T: Send>(
    connection: &mut PgConnection,
    write: &Write<'_>,
    command: &(impl Fn(&mut Schedule, DateTime<Utc>) -> Result<T, Problem> + Send + Sync),
    answer: &(impl Fn(&T, &Schedule) -> Result<Answer, Problem> + Send + Sync),
) -> Result<Done, Failure> {
    let now = write.api.now();
    let since = write.jobs_since.unwrap_or_else(|| upcoming_since(now));
    let id;
    let which = match write.which {
        Target::Contractor(contractor) => {
            id = [contractor];
            Which::Contractors(&id)
        }
        Target::HolderOf(job) => Which::HolderOf(job),
    };
    let found = load(connection, which, since).await?.pop();
    let Some(before) = found.filter(|before| write.caller.sees(&before.territory)) else {
        return Err(write.missing.clone().into());
    };
    write.if_match.check(before.version)?;
    match made(&before, write.caller, now, command, answer)? {
        Made::Nothing(answer) => {
            if let Some(key) = write.key {
                idempotency::remember(connection, &key.remembered(&answer), now).await?;
            }
            Ok(Done {
                answer,
                handing: None,
                after: None,
            })
        }
        Made::Change(change, answer) => commit_made(connection, write, since, change, answer).await,
    }
}

/// Like [`try_change`], outside of any transaction, and without reading the schedule where the
/// request names the version that was committed last. Only a commit comes of that: its guard says
/// whether the version was right. All else is found out again from the database.
async fn try_at_once<T: Send>(
    connection: &mut PgConnection,
    write: &Write<'_>,
    command: &(impl Fn(&mut Schedule, DateTime<Utc>) -> Result<T, Problem> + Send + Sync),
    answer: &(impl Fn(&T, &Schedule) -> Result<Answer, Problem> + Send + Sync),
) -> Result<Done, Failure> {
    let now = write.api.now();
    let since = write.jobs_since.unwrap_or_else(|| upcoming_since(now));
    if let Target::Contractor(id) = write.which
        && let Some(before) = write.api.recent().get(id, since)
        && write.if_match.names_only(before.version)
        && write.caller.sees(&before.territory)
        && let Ok(Made::Change(change, answer)) = made(&before, write.caller, now, command, answer)
    {
        match commit_made(connection, write, since, change, answer).await {
            Err(Failure::Store(StoreError::Stale)) => {}
            other => return other,
        }
    }
    try_change(connection, write, command, answer).await
}

/// What a command comes to.
enum Made {
    /// Nothing changes.
    Nothing(Answer),
    /// A change, and what is answered once it is committed.
    Change(Box<Change>, Answer),
}

fn made<T>(
    before: &Schedule,
    caller: &Caller,
    now: DateTime<Utc>,
    command: &impl Fn(&mut Schedule, DateTime<Utc>) -> Result<T, Problem>,
    answer: &impl Fn(&T, &Schedule) -> Result<Answer, Problem>,
) -> Result<Made, Problem> {
    let mut after = before.clone();
    let outcome = command(&mut after, now)?;
    caller.must_see(&after.territory)?;
    Ok(
        match Change::between(Some(before), after, now, &author(caller)) {
            None => Made::Nothing(answer(&outcome, before)?),
            Some(change) => {
                let answer = answer(&outcome, &change.after)?;
                Made::Change(Box::new(change), answer)
            }
        },
    )
}

async fn commit_made(
    connection: &mut PgConnection,
    write: &Write<'_>,
    since: DateTime<Utc>,
    change: Box<Change>,
    answer: Answer,
) -> Result<Done, Failure> {
    let remembered = write.key.map(|key| key.remembered(&answer));
    let handing = update(connection, write.api, &change, remembered.as_ref()).await?;
    observe(&change);
    Ok(Done {
        answer,
        handing,
        after: Some((change.after, since)),
    })
}

/// Who asks for the change that this task is making.
pub(super) fn author(caller: &Caller) -> Author {
    Author {
        actor: caller.subject().to_owned(),
        request_id: current_request_id(),
    }
}

/// What was done in the database, and what is to be done once that is committed.
struct Done {
    answer: Answer,
    handing: Option<Handing>,
    /// The schedule after the change, and from when on its jobs are there.
    after: Option<(Schedule, DateTime<Utc>)>,
}

impl Done {
    fn committed(self, api: &Api) -> Answer {
        if let Some(handing) = self.handing {
            handing.hand_over();
        }
        if let Some((schedule, since)) = self.after {
            api.recent().put(schedule, since);
        }
        self.answer
    }
}

/// A written event with a place to hand it over at, once it is committed.
#[derive(Debug)]
pub(super) struct Handing(Place, Committed);

impl Handing {
    pub(super) fn hand_over(self) {
        self.0.hand_over(self.1);
    }
}

/// Commits a change; an overlap takes along what it needs to be told.
pub(super) async fn update(
    connection: &mut PgConnection,
    api: &Api,
    change: &Change,
    answer: Option<&idempotency::Remembered<'_>>,
) -> Result<Option<Handing>, Failure> {
    let place = api.hand_over().place();
    let hold = place.as_ref().map(Place::hold);
    commit::update(connection, change, answer, hold)
        .await
        .map(|committed| place.map(|place| Handing(place, committed)))
        .map_err(|error| match error {
            StoreError::Overlap => {
                let jobs = change.data.current_values.jobs.iter().flatten();
                let booked = jobs.filter_map(|(_, job)| job.clone()).collect();
                Failure::Overlap(change.after.contractor_id, booked)
            }
            other => Failure::Store(other),
        })
}

/// From when on the jobs must be read so that none is missing that still matters at `now`.
pub(super) fn upcoming_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::minutes(MAX_BUFFER_MINUTES.into())
}

/// Counts a committed change and writes it into the log.
pub(super) fn observe(change: &Change) {
    for field in &change.data.updated_fields {
        counter!("schedule_changes_total", "field" => field_name(*field)).increment(1);
    }
    tracing::debug!(
        contractor_id = %change.data.contractor_id,
        version = change.data.version,
        fields = ?change.data.updated_fields,
        "schedule changed"
    );
}

/// The name of a field as it is on the wire.
const fn field_name(field: Field) -> &'static str {
    match field {
        Field::BookingRules => "bookingRules",
        Field::DateOverrides => "dateOverrides",
        Field::Jobs => "jobs",
        Field::Name => "name",
        Field::Skills => "skills",
        Field::Status => "status",
        Field::Territory => "territory",
        Field::TimeOff => "timeOff",
        Field::TimeZone => "timeZone",
        Field::WorkingHours => "workingHours",
    }
}
