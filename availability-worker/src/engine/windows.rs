//! From a schedule to working time and to free windows.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use shared_events::Schedule;
use shared_events::schedule::{Job, Status, TimeOff};

use super::civil_time::{
    DAY, Edge, FIRST_MINUTE, LAST_MINUTE, date_of, day_number, resolve, weekday,
};
use super::intervals::{Interval, Minute, clip, merge, subtract};

/// How far back the start of a free window is looked for: 366 days, in minutes.
pub const LOOKBACK: i64 = 366 * DAY;

/// The free windows of a range, and where the first of them really begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeWindows {
    /// The range to which the windows are clipped.
    pub range: Interval,
    /// Merged free windows: not clipped to now, nor to the minimum notice.
    pub windows: Vec<Interval>,
    /// The unclipped start of the first window: before the range where the window reaches into it,
    /// 0 where no start lies within [`LOOKBACK`] before the range. Without windows it means nothing.
    pub first_start: Minute,
}

/// A window of one local day, by its wall-clock minutes: the end may lie past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayWindow {
    /// The local day that it starts on.
    pub day: i64,
    /// The wall-clock minute of that day at which it starts.
    pub start: i64,
    /// The wall-clock minute, counted from the same midnight, at which it ends.
    pub end: i64,
    /// Whether it comes from a date override.
    pub overridden: bool,
}

impl DayWindow {
    /// The instants that it covers; none if it lies wholly in a gap or ends where it starts.
    #[must_use]
    pub fn resolve(self, zone: Tz) -> Option<Interval> {
        let midnight = self.day.checked_mul(DAY)?;
        let start = resolve(zone, midnight.checked_add(self.start)?, Edge::Start)?;
        let end = resolve(zone, midnight.checked_add(self.end)?, Edge::End)?;
        if start.gap.is_some() && start.gap == end.gap {
            return None;
        }
        let interval = Interval::new(start.minute, end.minute);
        (!interval.is_empty()).then_some(interval)
    }
}

/// The weekly hours and overrides of a schedule, by day.
#[derive(Debug)]
pub struct DayPlan {
    weekly: [Vec<(i64, i64)>; 7],
    overrides: BTreeMap<i64, Vec<(i64, i64)>>,
}

impl DayPlan {
    /// Sorts a schedule's hours by weekday and its overrides by date.
    #[must_use]
    pub fn new(schedule: &Schedule) -> Self {
        let mut weekly: [Vec<(i64, i64)>; 7] = Default::default();
        for hours in &schedule.working_hours {
            let window = wall_clock(hours.start.minutes(), hours.end.minutes());
            for day in &hours.days {
                weekly[*day as usize].push(window);
            }
        }
        let overrides = schedule
            .date_overrides
            .iter()
            .map(|o| {
                let windows = o
                    .windows
                    .iter()
                    .map(|w| wall_clock(w.start.minutes(), w.end.minutes()));
                (day_number(o.date), windows.collect())
            })
            .collect();
        Self { weekly, overrides }
    }

    /// The windows that start on a local day, in no particular order.
    pub fn windows_of(&self, day: i64) -> impl Iterator<Item = DayWindow> + '_ {
        let (windows, overridden) = match self.overrides.get(&day) {
            Some(windows) => (windows, true),
            None => (&self.weekly[weekday(day)], false),
        };
        windows.iter().map(move |&(start, end)| DayWindow {
            day,
            start,
            end,
            overridden,
        })
    }

    /// Whether a local day is replaced by an override.
    #[must_use]
    pub fn is_overridden(&self, day: i64) -> bool {
        self.overrides.contains_key(&day)
    }
}

fn wall_clock(start: u16, end: u16) -> (i64, i64) {
    let (start, end) = (i64::from(start), i64::from(end));
    (start, if end <= start { end + DAY } else { end })
}

/// The local days whose windows can reach into a range: a window ends at most two days after its
/// day's midnight, and a wall clock is at most 26 hours away from UTC.
#[must_use]
pub fn days_reaching(range: Interval) -> std::ops::RangeInclusive<i64> {
    range.start.div_euclid(DAY) - 4..=range.end.div_euclid(DAY) + 2
}

/// The merged working time of a range, whatever the status: weekly hours and overrides.
#[must_use]
pub fn working(plan: &DayPlan, zone: Tz, range: Interval) -> Vec<Interval> {
    let range = range.intersection(Interval::new(FIRST_MINUTE, LAST_MINUTE));
    if range.is_empty() {
        return Vec::new();
    }
    let windows = days_reaching(range)
        .filter(|&day| date_of(day).is_some())
        .flat_map(|day| plan.windows_of(day))
        .filter_map(|window| window.resolve(zone))
        .map(|window| window.intersection(range))
        .collect();
    merge(windows)
}

/// Minutes of a time off; finer instants block the whole minute.
#[must_use]
pub fn time_off_interval(time_off: &TimeOff) -> Interval {
    outward(time_off.start.timestamp(), time_off.end.timestamp())
}

/// Minutes of a job without its buffers; finer instants count the whole minute.
#[must_use]
pub fn job_interval(job: &Job) -> Interval {
    outward(job.start.timestamp(), job.end.timestamp())
}

/// Minutes that a job blocks: itself and its buffers.
#[must_use]
pub fn blocked_by_job(job: &Job) -> Interval {
    let own = job_interval(job);
    if own.is_empty() {
        return own;
    }
    Interval::new(
        own.start
            .saturating_sub(i64::from(job.buffer_before_minutes)),
        own.end.saturating_add(i64::from(job.buffer_after_minutes)),
    )
}

fn outward(start_seconds: i64, end_seconds: i64) -> Interval {
    let end = end_seconds.div_euclid(60) + i64::from(end_seconds.rem_euclid(60) > 0);
    Interval::new(start_seconds.div_euclid(60), end)
}

/// Free time of a schedule, computed range by range.
#[derive(Debug)]
pub struct FreeTime {
    zone: Tz,
    plan: DayPlan,
    active: bool,
    blocked: Vec<Interval>,
}

impl FreeTime {
    /// Prepares a schedule.
    #[must_use]
    pub fn new(schedule: &Schedule, zone: Tz) -> Self {
        let time_off = schedule.time_off.iter().map(time_off_interval);
        let jobs = schedule.jobs.iter().map(blocked_by_job);
        Self {
            zone,
            plan: DayPlan::new(schedule),
            active: schedule.status == Status::Active,
            blocked: merge(time_off.chain(jobs).collect()),
        }
    }

    /// The free windows of `range`, clipped to it.
    #[must_use]
    pub fn windows(&self, range: Interval) -> Vec<Interval> {
        if !self.active {
            return Vec::new();
        }
        subtract(
            &working(&self.plan, self.zone, range),
            &clip(&self.blocked, range),
        )
    }

    /// The free windows of `range` with the unclipped start of the first.
    #[must_use]
    pub fn in_range(&self, range: Interval) -> FreeWindows {
        let windows = self.windows(range);
        let first_start = match windows.first() {
            Some(first) if first.start <= range.start => self.start_before(range.start),
            Some(first) => first.start,
            None => range.start,
        };
        FreeWindows {
            range,
            windows,
            first_start,
        }
    }

    /// Where the free window that holds `minute` begins; 0 if not within [`LOOKBACK`] before it.
    fn start_before(&self, minute: Minute) -> Minute {
        for days in [2, 16, 366] {
            // One minute more, to tell a window that starts at the limit from one that crosses it.
            let limit = minute.saturating_sub(days * DAY).saturating_sub(1);
            let before = self.windows(Interval::new(limit, minute));
            match before.last() {
                Some(last) if last.end == minute => {
                    if last.start > limit.max(FIRST_MINUTE) {
                        return last.start;
                    }
                }
                _ => return minute,
            }
        }
        FIRST_MINUTE
    }
}
