//! The schedule as it travels: in HTTP answers, in events and in the read side's cache.
//!
//! These types carry no behaviour beyond reading and writing their wire form. Whether a schedule
//! is acceptable (limits, whole minutes, known zones) is decided by schedule-service before it is
//! stored, so a consumer may rely on it.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize, de};
use uuid::Uuid;

/// All that decides when one contractor can work: one aggregate with one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// The contractor whose schedule this is.
    pub contractor_id: Uuid,
    /// The contractor's name, for people.
    pub name: String,
    /// The territory's slug: `[a-z0-9-]{1,64}`.
    pub territory: String,
    /// Skill slugs, sorted, without repeats.
    pub skills: Vec<String>,
    /// Whether the contractor takes work at all.
    pub status: Status,
    /// IANA name of the zone in which the local times of this schedule are meant.
    pub time_zone: String,
    /// Weekly local working hours; windows may overlap, and then count once.
    pub working_hours: Vec<WorkingHours>,
    /// Local days that are replaced whole, ascending by date, one a date.
    pub date_overrides: Vec<DateOverride>,
    /// Blocked instants, ascending by start.
    pub time_off: Vec<TimeOff>,
    /// Booked jobs, ascending by start; no two overlap.
    pub jobs: Vec<Job>,
    /// How jobs are offered and spaced.
    pub booking_rules: BookingRules,
    /// Grows by one with each committed change; the first is 1.
    pub version: i64,
    /// Commit time of the last change, UTC, in milliseconds.
    #[serde(with = "rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

/// Whether a contractor takes work. Only `active` has free windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Status {
    /// Takes work.
    Active,
    /// Does not work for the company at present.
    Inactive,
    /// On leave for an open time.
    OnLeave,
}

/// A day of the week, by its two-letter iCalendar name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Weekday {
    /// Monday.
    Mo,
    /// Tuesday.
    Tu,
    /// Wednesday.
    We,
    /// Thursday.
    Th,
    /// Friday.
    Fr,
    /// Saturday.
    Sa,
    /// Sunday.
    Su,
}

/// A local wall-clock time in whole minutes, `00:00` to `24:00`; `24:00` only as an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(u16);

impl LocalTime {
    /// The end of the day.
    pub const END_OF_DAY: Self = Self(24 * 60);

    /// The time that lies `minutes` after midnight, or none past 24:00 (1,440 minutes).
    #[must_use]
    pub const fn from_minutes(minutes: u16) -> Option<Self> {
        if minutes <= Self::END_OF_DAY.0 {
            Some(Self(minutes))
        } else {
            None
        }
    }

    /// Whole minutes since midnight, 0 to 1,440.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// Reads `HH:MM`, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let [h1, h2, b':', m1, m2] = *text.as_bytes() else {
            return None;
        };
        let digit = |b: u8| b.is_ascii_digit().then(|| u16::from(b - b'0'));
        let minute = digit(m1)? * 10 + digit(m2)?;
        if minute > 59 {
            return None;
        }
        Self::from_minutes((digit(h1)? * 10 + digit(h2)?) * 60 + minute)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for LocalTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = LocalTime;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a local time HH:MM from 00:00 to 24:00")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<LocalTime, E> {
                LocalTime::parse(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for LocalTime {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))
            .description(Some(
                "A local wall-clock time, HH:MM; 24:00 only as an end.",
            ))
            .examples(["08:00"])
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for LocalTime {}

/// Weekly local working hours on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WorkingHours {
    /// The days on which the window starts.
    pub days: Vec<Weekday>,
    /// Where the window starts, local time.
    pub start: LocalTime,
    /// Where the window ends, local time, exclusive. At or before `start` it means the next day.
    pub end: LocalTime,
}

/// A local wall-clock window of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LocalWindow {
    /// Where the window starts, local time.
    pub start: LocalTime,
    /// Where the window ends, local time, exclusive. At or before `start` it means the next day.
    pub end: LocalTime,
}

/// Replaces the working hours that start on one local day. No windows: a day off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DateOverride {
    /// The local day.
    pub date: NaiveDate,
    /// The windows of that day; empty for a day off.
    pub windows: Vec<LocalWindow>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Blocked instants: leave, sickness, training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TimeOff {
    /// Identifies this time off.
    pub id: Uuid,
    /// The first blocked instant, a whole minute.
    #[serde(with = "rfc3339_seconds")]
    pub start: DateTime<Utc>,
    /// The first instant after it, a whole minute.
    #[serde(with = "rfc3339_seconds")]
    pub end: DateTime<Utc>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A booked job with the time around it that must stay free of other jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Job {
    /// Identifies this job, also after it has moved to another contractor.
    pub id: Uuid,
    /// What is to be done, for people.
    pub title: String,
    /// When the work starts, a whole minute.
    #[serde(with = "rfc3339_seconds")]
    pub start: DateTime<Utc>,
    /// When the work has ended, a whole minute, exclusive.
    #[serde(with = "rfc3339_seconds")]
    pub end: DateTime<Utc>,
    /// Minutes before `start` that are blocked too.
    pub buffer_before_minutes: u32,
    /// Minutes after `end` that are blocked too.
    pub buffer_after_minutes: u32,
}

/// How jobs are offered and spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BookingRules {
    /// Minutes between the start times that are offered.
    pub slot_interval_minutes: u32,
    /// Minutes from now before which nothing is offered.
    pub min_notice_minutes: u32,
    /// Buffer before a job that names none, in minutes.
    pub buffer_before_minutes: u32,
    /// Buffer after a job that names none, in minutes.
    pub buffer_after_minutes: u32,
}

impl Default for BookingRules {
    fn default() -> Self {
        Self {
            slot_interval_minutes: 30,
            min_notice_minutes: 0,
            buffer_before_minutes: 30,
            buffer_after_minutes: 30,
        }
    }
}

/// The most characters of a slug.
pub const MAX_SLUG_CHARS: usize = 64;

/// Whether a text is the slug of a territory or of a skill: `[a-z0-9-]{1,64}`.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    (1..=MAX_SLUG_CHARS).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// RFC 3339 in UTC with `Z` and milliseconds: the wire form of commit times.
pub mod rfc3339_millis {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes `2026-11-24T08:00:00.123Z`.
    pub fn serialize<S: Serializer>(
        instant: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&instant.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    /// Reads any RFC 3339 instant.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        DateTime::<Utc>::deserialize(deserializer)
    }
}

/// RFC 3339 in UTC with `Z` and whole seconds: the wire form of planned instants.
pub mod rfc3339_seconds {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes `2026-12-01T09:00:00Z`.
    pub fn serialize<S: Serializer>(
        instant: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&instant.to_rfc3339_opts(SecondsFormat::Secs, true))
    }

    /// Reads any RFC 3339 instant.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        DateTime::<Utc>::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::LocalTime;

    #[test]
    fn local_time_reads_hours_and_minutes_and_nothing_else() {
        assert_eq!(LocalTime::parse("08:30").map(LocalTime::minutes), Some(510));
        assert_eq!(LocalTime::parse("00:00").map(LocalTime::minutes), Some(0));
        assert_eq!(LocalTime::parse("24:00"), Some(LocalTime::END_OF_DAY));
        for bad in [
            "24:01", "8:30", "08:60", "08:30:00", "-1:30", "aa:bb", "", "08-30", "99:00",
        ] {
            assert_eq!(LocalTime::parse(bad), None, "{bad}");
        }
    }
}
