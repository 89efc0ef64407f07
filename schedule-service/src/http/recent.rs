//! The schedules that this process has committed last: a request that names the version of one of
//! them in `If-Match` is spared reading it again.
//!
//! It needs no invalidation. A commit is guarded by the version that the change was made from, so an
//! old schedule can never be built upon, and whatever else comes of one that is kept here (a
//! refusal, nothing to change) is not answered but found out again from the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use shared_events::Schedule;
use uuid::Uuid;

/// A schedule with more jobs, time off and overrides than these together is not kept, which bounds
/// what one takes in memory to some ten kilobytes.
const MOST_ENTRIES: usize = 200;

/// As many schedules as it was made for, at most.
#[derive(Debug)]
pub(super) struct Recent {
    /// Half of them: when the younger half is full, the older one makes place for it.
    half: usize,
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    younger: HashMap<Uuid, Kept>,
    older: HashMap<Uuid, Kept>,
}

#[derive(Debug, Clone)]
struct Kept {
    schedule: Arc<Schedule>,
    /// Jobs that were over by then are missing.
    jobs_since: DateTime<Utc>,
}

impl Recent {
    /// For `most` schedules; 0 keeps none.
    pub(super) fn new(most: u32) -> Self {
        Self {
            half: usize::try_from(most.div_ceil(2)).unwrap_or(usize::MAX),
            halves: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schedule as it was committed last, with the jobs that end after `jobs_since`.
    pub(super) fn get(&self, id: Uuid, jobs_since: DateTime<Utc>) -> Option<Arc<Schedule>> {
        let halves = self.lock();
        let kept = halves.younger.get(&id).or_else(|| halves.older.get(&id))?;
        (kept.jobs_since <= jobs_since).then(|| Arc::clone(&kept.schedule))
    }

    /// Keeps what has been committed.
    pub(super) fn put(&self, schedule: Schedule, jobs_since: DateTime<Utc>) {
        let entries = schedule.jobs.len() + schedule.time_off.len() + schedule.date_overrides.len();
        if self.half == 0 || entries > MOST_ENTRIES {
            return;
        }
        let id = schedule.contractor_id;
        let kept = Kept {
            schedule: Arc::new(schedule),
            jobs_since,
        };
        let mut halves = self.lock();
        if halves.younger.len() >= self.half && !halves.younger.contains_key(&id) {
            halves.older = std::mem::take(&mut halves.younger);
        }
        halves.younger.insert(id, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_ENTRIES, Recent};
    use chrono::{DateTime, NaiveDate};
    use shared_events::Schedule;
    use shared_events::schedule::{BookingRules, DateOverride, Status};
    use uuid::Uuid;

    fn schedule(id: u128, version: i64) -> Schedule {
        Schedule {
            contractor_id: Uuid::from_u128(id),
            name: "Ada Byron".to_owned(),
            territory: "leeds".to_owned(),
            skills: Vec::new(),
            status: Status::Active,
            time_zone: "Europe/London".to_owned(),
            working_hours: Vec::new(),
            date_overrides: Vec::new(),
            time_off: Vec::new(),
            jobs: Vec::new(),
            booking_rules: BookingRules::default(),
            version,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn version(recent: &Recent, id: u128) -> Option<i64> {
        let found = recent.get(Uuid::from_u128(id), DateTime::UNIX_EPOCH);
        found.map(|schedule| schedule.version)
    }

    #[test]
    fn the_last_ones_are_kept_and_no_more_than_asked_for() {
        let recent = Recent::new(4);
        for id in 1..=100 {
            recent.put(schedule(id, 1), DateTime::UNIX_EPOCH);
            recent.put(schedule(id, 2), DateTime::UNIX_EPOCH);
        }
        assert_eq!(version(&recent, 100), Some(2));
        let kept = (1..=100).filter(|id| version(&recent, *id).is_some());
        assert!((2..=4).contains(&kept.count()));
        let none = Recent::new(0);
        none.put(schedule(1, 1), DateTime::UNIX_EPOCH);
        assert_eq!(version(&none, 1), None);
    }

    #[test]
    fn one_without_the_jobs_that_are_asked_for_is_not_found() {
        let recent = Recent::new(4);
        let later = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        recent.put(schedule(1, 1), later);
        assert_eq!(version(&recent, 1), None);
        assert!(recent.get(Uuid::from_u128(1), later).is_some());
    }

    #[test]
    fn a_large_one_is_not_kept() {
        let recent = Recent::new(4);
        let mut large = schedule(1, 1);
        large.date_overrides = vec![
            DateOverride {
                date: NaiveDate::MIN,
                windows: Vec::new(),
                reason: None,
            };
            MOST_ENTRIES + 1
        ];
        recent.put(large, DateTime::UNIX_EPOCH);
        assert_eq!(version(&recent, 1), None);
    }
}
