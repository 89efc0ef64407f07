//! From a schedule to working time and to free windows.

use std::collections::BTreeMap;

use shared_events::Schedule;
use shared_events::schedule::{Job, Status, TimeOff};
use shared_events::zones::Zone;

use super::civil_time::{
    DAY, Edge, FIRST_MINUTE, LAST_MINUTE, WallClock, day_number, local_minute, weekday,
};
use super::intervals::{Interval, Minute, merge, overlapping, subtract};

/// The free windows of a range, and where the first of them really begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeWindows {
    /// The range to which the windows are clipped.
    pub range: Interval,
    /// Merged free windows: not clipped to now, nor to the minimum notice.
    pub windows: Vec<Interval>,
    /// The unclipped start of the first window: before the range where the window reaches into it,
    /// [`FIRST_MINUTE`] where it has been open ever since. Without windows it means nothing.
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
    /// The instants that it covers; empty if it lies wholly in a gap or ends where it starts.
    #[must_use]
    pub fn resolve(self, clock: &WallClock) -> Interval {
        let midnight = self.day.saturating_mul(DAY);
        let start = clock.resolve(midnight.saturating_add(self.start), Edge::Start);
        let end = clock.resolve(midnight.saturating_add(self.end), Edge::End);
        if start.gap.is_some() && start.gap == end.gap {
            return Interval::new(start.minute, start.minute);
        }
        Interval::new(start.minute, end.minute)
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
        let overrides = self.overrides.get(&day);
        let windows = overrides.unwrap_or(&self.weekly[weekday(day)]);
        windows.iter().map(move |&(start, end)| DayWindow {
            day,
            start,
            end,
            overridden: overrides.is_some(),
        })
    }

    /// The windows that start on a local day by the weekly hours, whatever replaces them.
    pub fn weekly_windows_of(&self, day: i64) -> impl Iterator<Item = DayWindow> + '_ {
        self.weekly[weekday(day)]
            .iter()
            .map(move |&(start, end)| DayWindow {
                day,
                start,
                end,
                overridden: false,
            })
    }

    /// Whether every day of the week has a window from midnight to midnight. Such windows touch
    /// whatever the clocks do: the end of one day and the start of the next are the same local time.
    fn is_always_open(&self) -> bool {
        self.weekly.iter().all(|day| day.contains(&(0, DAY)))
    }

    /// The last day up to `day` that is replaced by an override.
    fn last_override(&self, day: i64) -> Option<i64> {
        Some(*self.overrides.range(..=day).next_back()?.0)
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
pub fn working(plan: &DayPlan, zone: Zone, range: Interval) -> Vec<Interval> {
    let range = range.intersection(Interval::new(FIRST_MINUTE, LAST_MINUTE));
    if range.is_empty() {
        return Vec::new();
    }
    let clock = WallClock::over(zone, range);
    let mut windows = Vec::new();
    for day in days_reaching(range) {
        for window in plan.windows_of(day) {
            let window = window.resolve(&clock).intersection(range);
            if !window.is_empty() {
                windows.push(window);
            }
        }
    }
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
    zone: Zone,
    plan: DayPlan,
    active: bool,
    blocked: Vec<Interval>,
}

impl FreeTime {
    /// The first stretch in which the start of a window is looked for; each further one is
    /// [`Self::LOOKBACK_GROWTH`] times as long, up to [`Self::LONGEST_LOOKBACK`].
    const LOOKBACK: i64 = 2 * DAY;
    const LOOKBACK_GROWTH: i64 = 8;
    const LONGEST_LOOKBACK: i64 = 1_024 * DAY;

    /// Prepares a schedule.
    #[must_use]
    pub fn new(schedule: &Schedule, zone: Zone) -> Self {
        let mut blocked = Vec::with_capacity(schedule.time_off.len() + schedule.jobs.len());
        blocked.extend(schedule.time_off.iter().map(time_off_interval));
        blocked.extend(schedule.jobs.iter().map(blocked_by_job));
        Self {
            zone,
            plan: DayPlan::new(schedule),
            active: schedule.status == Status::Active,
            blocked: merge(blocked),
        }
    }

    /// The merged working time of `range`, whatever is booked in it and whatever the status.
    #[must_use]
    pub fn working(&self, range: Interval) -> Vec<Interval> {
        working(&self.plan, self.zone, range)
    }

    /// The free windows of `range`, clipped to it.
    #[must_use]
    pub fn windows(&self, range: Interval) -> Vec<Interval> {
        if !self.active {
            return Vec::new();
        }
        self.free_of(&self.working(range), range)
    }

    /// The free windows of `range` with the unclipped start of the first.
    #[must_use]
    pub fn in_range(&self, range: Interval) -> FreeWindows {
        self.with_first_start(self.windows(range), range)
    }

    /// What of the working time of `range` is free.
    pub(super) fn free_of(&self, working: &[Interval], range: Interval) -> Vec<Interval> {
        if !self.active {
            return Vec::new();
        }
        subtract(working, overlapping(&self.blocked, range))
    }

    /// Adds where the first of the free windows of `range` really begins.
    pub(super) fn with_first_start(&self, windows: Vec<Interval>, range: Interval) -> FreeWindows {
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

    /// Where the free window that holds `minute` begins, or [`FIRST_MINUTE`].
    fn start_before(&self, minute: Minute) -> Minute {
        let (mut start, mut stretch) = (self.last_possible_start(minute), Self::LOOKBACK);
        while start > FIRST_MINUTE {
            let limit = start.saturating_sub(stretch).max(FIRST_MINUTE);
            match self.windows(Interval::new(limit, start)).last() {
                Some(last) if last.end == start && last.start == limit => start = limit,
                Some(last) if last.end == start => return last.start,
                _ => return start,
            }
            stretch = (stretch * Self::LOOKBACK_GROWTH).min(Self::LONGEST_LOOKBACK);
        }
        FIRST_MINUTE
    }

    /// A minute from which on all is free up to `minute`, which is free: itself, or much earlier
    /// where a plan is open round the clock and nothing but a block or an override can end that.
    fn last_possible_start(&self, minute: Minute) -> Minute {
        if !self.plan.is_always_open() {
            return minute;
        }
        let blocks = self.blocked.partition_point(|b| b.end <= minute);
        let block = blocks.checked_sub(1).map(|last| self.blocked[last].end);
        let day = local_minute(self.zone, minute).div_euclid(DAY);
        // Its windows end two days after its midnight, and zones are far from UTC.
        let overridden = self.plan.last_override(day + 1).map(|day| (day + 4) * DAY);
        block.max(overridden).unwrap_or(FIRST_MINUTE).min(minute)
    }
}
