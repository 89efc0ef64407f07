//! The bounds of what a schedule may hold. They keep every event, answer and calculation bounded.

/// The longest name, title or reason, in characters.
pub const MAX_TEXT_CHARS: usize = 200;
/// The most skills of one contractor.
pub const MAX_SKILLS: usize = 50;
/// The most entries of the weekly working hours.
pub const MAX_WORKING_HOURS: usize = 50;
/// The most windows of one date override.
pub const MAX_OVERRIDE_WINDOWS: usize = 24;
/// The most date overrides of one contractor.
pub const MAX_DATE_OVERRIDES: usize = 400;
/// The most time off of one contractor that is not over.
pub const MAX_UPCOMING_TIME_OFF: usize = 400;
/// The most time off that is kept of one contractor, with what is over.
pub const MAX_TIME_OFF: usize = 1_000;
/// The most jobs of one contractor that are not over.
pub const MAX_UPCOMING_JOBS: usize = 1_000;
/// The longest job, in minutes: 31 days.
pub const MAX_JOB_MINUTES: i64 = 31 * 24 * 60;
/// The longest time off, in minutes: five years, one of them a leap year and one more day.
pub const MAX_TIME_OFF_MINUTES: i64 = (5 * 365 + 2) * 24 * 60;
/// The longest buffer, in minutes: a day.
pub const MAX_BUFFER_MINUTES: u32 = 24 * 60;
/// The longest slot interval, in minutes: a day.
pub const MAX_SLOT_INTERVAL_MINUTES: u32 = 24 * 60;
/// The longest minimum notice, in minutes: a year.
pub const MAX_MIN_NOTICE_MINUTES: u32 = 365 * 24 * 60;
/// The first and the last year of any date or instant.
pub const YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;
