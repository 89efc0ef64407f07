//! Jobs that a schedule no longer covers.

use shared_events::schedule::Status;
use shared_events::zones::Zone;
use shared_events::{Conflict, ConflictReason, Schedule};

use super::civil_time::DAY;
use super::intervals::{Interval, Minute, any_overlap, covers, merge};
use super::windows::{FreeTime, job_interval, time_off_interval};

/// Working time that was calculated already: merged, and clipped to its range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Working<'a> {
    pub(super) range: Interval,
    pub(super) windows: &'a [Interval],
}

/// A conflict, and when its job ends: what has ended is not told to readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndingConflict {
    /// The conflict.
    pub conflict: Conflict,
    /// The first minute after the job.
    pub ends: Minute,
}

/// The conflicts of all jobs, one a job, in the schedule's order.
///
/// Where several reasons hold, an inactive contractor comes before time off, and time off before
/// working hours. Buffers need not lie in working time and may touch time off.
#[must_use]
pub fn conflicts(schedule: &Schedule, zone: Zone) -> Vec<EndingConflict> {
    let nothing = Working {
        range: Interval::new(0, 0),
        windows: &[],
    };
    conflicts_beside(schedule, &FreeTime::new(schedule, zone), nothing)
}

/// As [`conflicts`]; jobs within what is known of the working time need no other.
pub(super) fn conflicts_beside(
    schedule: &Schedule,
    free: &FreeTime,
    known: Working<'_>,
) -> Vec<EndingConflict> {
    let jobs = || schedule.jobs.iter().map(|job| (job.id, job_interval(job)));
    let is_known = |own: Interval| known.range.intersection(own) == own;
    let active = schedule.status == Status::Active;
    let time_off = merge(schedule.time_off.iter().map(time_off_interval).collect());
    let elsewhere = if active {
        working_around(
            free,
            jobs().map(|(_, own)| own).filter(|own| !is_known(*own)),
        )
    } else {
        Vec::new()
    };
    jobs()
        .filter_map(|(job_id, own)| {
            let working = if is_known(own) {
                known.windows
            } else {
                &elsewhere
            };
            let reason = if !active {
                ConflictReason::ContractorInactive
            } else if any_overlap(&time_off, own) {
                ConflictReason::TimeOff
            } else if !covers(working, own) {
                ConflictReason::OutsideWorkingHours
            } else {
                return None;
            };
            Some(EndingConflict {
                conflict: Conflict { job_id, reason },
                ends: own.end,
            })
        })
        .collect()
}

/// The merged working time of the stretches in which jobs lie.
fn working_around(free: &FreeTime, jobs: impl Iterator<Item = Interval>) -> Vec<Interval> {
    // Jobs close to each other share one stretch; a day of margin keeps stretches from touching.
    let stretches = merge(
        jobs.filter(|own| !own.is_empty())
            .map(|own| Interval::new(own.start.saturating_sub(DAY), own.end.saturating_add(DAY)))
            .collect(),
    );
    merge(
        stretches
            .into_iter()
            .flat_map(|stretch| free.working(stretch))
            .collect(),
    )
}
