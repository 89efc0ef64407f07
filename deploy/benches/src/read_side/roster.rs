//! Contractors with a full calendar, the same ones in every run.

use chrono::{DateTime, Days, NaiveTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use shared_events::Schedule;
use uuid::Uuid;

/// Zones whose offsets are multiples of half an hour, so that their slots are on the same grid in
/// UTC and a query in SQL needs no time zone; and about how many half hours they are ahead of UTC.
const ZONES: [(&str, i32); 4] = [
    ("Europe/London", 0),
    ("Europe/Berlin", 2),
    ("America/New_York", -10),
    ("Asia/Kolkata", 11),
];

/// How the contractors are spread and what they have to do.
#[derive(Debug, Clone, Copy)]
pub struct Roster {
    /// How many contractors.
    pub contractors: usize,
    /// Over how many territories.
    pub territories: usize,
    /// Jobs of each: two on each of the next days.
    pub jobs: usize,
    /// The day before the first job is the one of this instant.
    pub now: DateTime<Utc>,
}

impl Roster {
    /// The name of a territory.
    #[must_use]
    pub fn territory(number: usize) -> String {
        format!("territory-{number}")
    }

    /// The names of all territories.
    #[must_use]
    pub fn territories(&self) -> Vec<String> {
        (0..self.territories).map(Self::territory).collect()
    }

    /// The body of `POST /v1/contractors` of one contractor.
    #[must_use]
    pub fn body(&self, number: usize) -> Value {
        let mut dice = Dice::new(number);
        let id = dice.uuid();
        let (zone, ahead) = ZONES[dice.below(ZONES.len())];
        let jobs: Vec<Value> = (0..self.jobs)
            .map(|job| self.job(job, ahead, &mut dice))
            .collect();
        let skills: Vec<&str> = ["boiler", "gas", "heat-pump", "solar"]
            .into_iter()
            .filter(|_| dice.below(2) == 0)
            .collect();
        json!({
            "contractorId": id,
            "name": format!("Contractor {number}"),
            "territory": Self::territory(number % self.territories.max(1)),
            "skills": skills,
            "status": if dice.below(50) == 0 { "onLeave" } else { "active" },
            "timeZone": zone,
            "workingHours": [
                {"days": ["MO", "TU", "WE", "TH", "FR"], "start": "07:00", "end": "19:00"},
                {"days": ["SA", "SU"], "start": "08:00", "end": "17:00"},
            ],
            "jobs": jobs,
            "bookingRules": {
                "slotIntervalMinutes": if dice.below(2) == 0 { 30 } else { 15 },
                "minNoticeMinutes": 0, "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30,
            },
        })
    }

    /// The same contractor as schedule-service would tell of it.
    ///
    /// # Errors
    /// When it is no schedule.
    pub fn schedule(&self, number: usize) -> serde_json::Result<Schedule> {
        let mut document = self.body(number);
        document["dateOverrides"] = json!([]);
        document["timeOff"] = json!([]);
        document["version"] = json!(1);
        document["updatedAt"] = json!(self.now.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        serde_json::from_value(document)
    }

    /// Two jobs a day, one in the morning and one in the afternoon of the contractor's own zone.
    fn job(&self, job: usize, half_hours: i32, dice: &mut Dice) -> Value {
        let ahead = u64::try_from(job / 2).unwrap_or(u64::MAX).saturating_add(1);
        let day = self.now.date_naive().checked_add_days(Days::new(ahead));
        let midnight = day.unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
            - TimeDelta::minutes(30 * i64::from(half_hours));
        let first = if job.is_multiple_of(2) {
            8 * 60
        } else {
            13 * 60
        };
        let start = first + 15 * dice.below(9);
        let end = start + 45 + 15 * dice.below(6);
        let at = |minute: usize| {
            let at = midnight + TimeDelta::minutes(i64::try_from(minute).unwrap_or(0));
            at.to_rfc3339_opts(SecondsFormat::Secs, true)
        };
        json!({
            "id": dice.uuid(),
            "title": format!("Boiler service at {} Mill Lane", dice.below(200) + 1),
            "start": at(start),
            "end": at(end),
            "bufferBeforeMinutes": 30,
            "bufferAfterMinutes": 30,
        })
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn new(seed: usize) -> Self {
        Self(u64::try_from(seed).unwrap_or(u64::MAX) << 20)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(1).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn uuid(&mut self) -> Uuid {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::Roster;
    use chrono::DateTime;

    #[test]
    fn the_same_number_is_the_same_contractor_whose_jobs_do_not_meet() {
        let roster = Roster {
            contractors: 10,
            territories: 8,
            jobs: 56,
            now: DateTime::from_timestamp(1_795_500_000, 0).unwrap(),
        };
        for number in 0..200 {
            let schedule = roster.schedule(number).unwrap();
            assert_eq!(schedule, roster.schedule(number).unwrap());
            assert_eq!(schedule.jobs.len(), 56);
            assert!(
                schedule
                    .jobs
                    .windows(2)
                    .all(|pair| pair[0].end <= pair[1].start)
            );
        }
    }
}
