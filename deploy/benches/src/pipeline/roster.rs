//! The contractors of the benchmark and the changes made to them.

use anyhow::{Result, bail};
use chrono::{DateTime, Datelike, Days, Utc, Weekday};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http_client::{authority, connect, request};

/// Into how many territories the contractors are spread.
const TERRITORIES: usize = 10;

/// How many contractors are created at once.
const SEEDERS: usize = 8;

/// How large the benchmark's roster is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How many contractors.
    pub contractors: usize,
    /// How many jobs each has, one on each of the next working days.
    pub jobs: usize,
}

/// The body of `POST /v1/contractors`.
#[must_use]
pub fn contractor(id: Uuid, number: usize, jobs: usize, now: DateTime<Utc>) -> Value {
    let days = (1..).filter_map(|ahead| now.date_naive().checked_add_days(Days::new(ahead)));
    let jobs: Vec<Value> = days
        .filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
        .take(jobs)
        .enumerate()
        .map(|(job, day)| {
            json!({
                "title": format!("Boiler service at {} Mill Lane", job + 1),
                "start": format!("{day}T10:00:00Z"),
                "end": format!("{day}T11:30:00Z"),
            })
        })
        .collect();
    json!({
        "contractorId": id,
        "name": format!("Contractor {number}"),
        "territory": format!("bench-{}", number % TERRITORIES),
        "timeZone": "Europe/London",
        "skills": ["boiler", "gas", "heat-pump"],
        "workingHours": week(0),
        "jobs": jobs,
    })
}

/// The body of the change that makes version `version` + 1: weekly hours that differ from those
/// before.
#[must_use]
pub fn change(version: i64) -> Vec<u8> {
    let change = json!({ "workingHours": week(version) });
    change.to_string().into_bytes()
}

fn week(version: i64) -> Value {
    let end = if version % 2 == 0 { "17:00" } else { "18:00" };
    json!([
        {"days": ["MO", "TU", "WE", "TH"], "start": "08:00", "end": end},
        {"days": ["FR"], "start": "08:00", "end": "15:30"},
    ])
}

/// Creates the contractors, several at once; the first version of each is 1.
///
/// # Errors
/// When one is refused.
pub async fn seed(schedule_url: &str, size: Size, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = (0..size.contractors).map(|_| Uuid::new_v4()).collect();
    let host = authority(schedule_url)?;
    let numbered: Vec<(usize, Uuid)> = ids.iter().copied().enumerate().collect();
    let share = numbered.len().div_ceil(SEEDERS).max(1);
    futures::future::try_join_all(numbered.chunks(share).map(|share| async move {
        let (mut answers, writer) = connect(host).await?;
        for (number, id) in share {
            let body = contractor(*id, *number, size.jobs, now).to_string();
            let bytes = request("POST", "/v1/contractors", host, None, body.as_bytes());
            send(&writer, &bytes).await?;
            let answer = answers.next().await?;
            if answer.status != 201 || answer.version != Some(1) {
                bail!("creating a contractor is answered {answer:?}");
            }
        }
        Ok(())
    }))
    .await?;
    Ok(ids)
}

async fn send(socket: &tokio::net::tcp::OwnedWriteHalf, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{change, contractor};
    use chrono::DateTime;
    use uuid::Uuid;

    #[test]
    fn jobs_are_on_different_working_days_and_the_same_seed_makes_the_same_contractor() {
        let now = DateTime::from_timestamp(1_795_500_000, 0).unwrap();
        let body = contractor(Uuid::from_u128(1), 7, 20, now);
        let starts: std::collections::BTreeSet<&str> = body["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["start"].as_str().unwrap())
            .collect();
        assert_eq!(starts.len(), 20);
        assert_eq!(body, contractor(Uuid::from_u128(1), 7, 20, now));
    }

    #[test]
    fn each_change_differs_from_the_state_before_it() {
        assert_ne!(change(1), change(2));
        let created = contractor(Uuid::nil(), 0, 0, DateTime::UNIX_EPOCH);
        let first: serde_json::Value = serde_json::from_slice(&change(1)).unwrap();
        assert_ne!(created["workingHours"], first["workingHours"]);
    }
}
