//! A week that is still to come, whenever the test runs.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use shared_events::service::Clock;

/// A week from Monday 00:00 UTC on, wholly inside the horizon and clear of today.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Week {
    monday: NaiveDate,
}

impl Week {
    /// The first week that begins a week from now or later.
    pub(crate) fn ahead() -> Self {
        let today = Clock::system().now().date_naive();
        let first = today + TimeDelta::days(8);
        let after_monday = i64::from(first.weekday().num_days_from_monday());
        Self {
            monday: first + TimeDelta::days((7 - after_monday) % 7),
        }
    }

    /// The date of a day, Monday being 0.
    pub(crate) fn date(self, day: i64) -> String {
        (self.monday + TimeDelta::days(day)).to_string()
    }

    /// The instant so many minutes after the beginning of a day.
    pub(crate) fn at(self, day: i64, minutes: i64) -> String {
        rfc3339(self.start() + TimeDelta::days(day) + TimeDelta::minutes(minutes))
    }

    /// The same instant in minutes since the epoch.
    pub(crate) fn epoch_minutes(self, day: i64, minutes: i64) -> i64 {
        self.start().timestamp() / 60 + day * 1440 + minutes
    }

    /// The query of the whole week.
    pub(crate) fn range(self) -> [(&'static str, String); 2] {
        [("from", self.at(0, 0)), ("to", self.at(7, 0))]
    }

    /// A job on one of its days.
    pub(crate) fn job(self, title: &str, day: i64, start: i64, end: i64) -> Value {
        json!({"title": title, "start": self.at(day, start), "end": self.at(day, end)})
    }

    fn start(self) -> DateTime<Utc> {
        self.monday.and_time(chrono::NaiveTime::MIN).and_utc()
    }
}

/// As the services write planned instants.
pub(crate) fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
