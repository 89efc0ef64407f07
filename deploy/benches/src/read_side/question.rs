//! The questions that are asked of the search and of PostgreSQL alike.

use chrono::{DateTime, Days, TimeDelta, Utc};
use serde::Serialize;

use super::roster::Roster;

/// One question: who can take a job.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    /// What it is called in the report.
    pub name: &'static str,
    /// Start of the range.
    pub from: DateTime<Utc>,
    /// End of the range.
    pub to: DateTime<Utc>,
    /// Minutes that the job takes.
    pub duration: u16,
    /// The territory; all without one.
    pub territory: Option<String>,
    /// Skills that are needed.
    pub skills: Vec<&'static str>,
    /// Contractors that are wanted.
    pub limit: u16,
}

impl Question {
    /// The questions of a roster. Ranges begin tomorrow, so that no answer depends on the minute in
    /// which it is asked, and end within the horizon.
    #[must_use]
    pub fn all(roster: &Roster) -> Vec<Self> {
        let midnight = roster
            .now
            .date_naive()
            .and_time(chrono::NaiveTime::MIN)
            .and_utc();
        let day = |ahead| {
            midnight
                .checked_add_days(Days::new(ahead))
                .unwrap_or(midnight)
        };
        let territory = (roster.territories == 1).then(|| Roster::territory(0));
        let question = |name, from, to, duration, skills: &[&'static str]| Self {
            name,
            from: day(from),
            to: day(to),
            duration,
            territory: territory.clone(),
            skills: skills.to_vec(),
            limit: 50,
        };
        let mut from_now_on = question("2 h in the next week", 1, 8, 120, &[]);
        // A moment like any other, not one at which slots start.
        from_now_on.from += TimeDelta::minutes(9 * 60 + 7);
        vec![
            from_now_on,
            question(
                "2 h in the fourth week, two skills",
                20,
                27,
                120,
                &["boiler", "gas"],
            ),
            question("8 h in four weeks", 1, 28, 480, &[]),
        ]
    }

    /// Path and query for the worker.
    #[must_use]
    pub fn path(&self, limit: u16, cursor: Option<&str>) -> String {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let optional = |name: &str, value: Option<String>| {
            value.map_or_else(String::new, |value| format!("&{name}={value}"))
        };
        let skills = (!self.skills.is_empty()).then(|| self.skills.join(","));
        [
            format!("/v1/availability?from={}", instant(self.from)),
            format!("&to={}", instant(self.to)),
            format!("&durationMinutes={}&limit={limit}", self.duration),
            optional("territory", self.territory.clone()),
            optional("skills", skills),
            optional("cursor", cursor.map(str::to_owned)),
        ]
        .concat()
    }
}
