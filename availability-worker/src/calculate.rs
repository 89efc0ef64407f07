//! `availability-worker calculate`: answers without any server, line by line.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared_events::schedule::{
    BookingRules, DateOverride, Job, LocalWindow, Status, TimeOff, WorkingHours,
};
use shared_events::{Conflict, Schedule};
use uuid::Uuid;

use crate::bounds::{Asked, MAX_SLOT_INTERVAL};
use crate::engine::availability;
use crate::stamp::{Span, Stamp};

/// Bounds of the command.
#[derive(Debug, Clone, clap::Args)]
pub struct CalculateSettings {
    /// Bytes of a line that are accepted
    #[arg(long, env = "CALCULATE_MAX_LINE_BYTES", default_value_t = 8_388_608, value_parser = clap::value_parser!(u32).range(1_024..=268_435_456))]
    pub calculate_max_line_bytes: u32,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    schedule: ScheduleDocument,
    query: QueryDocument,
}

#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryDocument {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    now: DateTime<Utc>,
    duration_minutes: Option<i64>,
    slot_interval_minutes: Option<i64>,
}

/// A schedule of which only what decides about availability must be there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleDocument {
    #[serde(default)]
    contractor_id: Uuid,
    #[serde(default)]
    name: String,
    #[serde(default)]
    territory: String,
    #[serde(default)]
    skills: Vec<String>,
    #[serde(default = "active")]
    status: Status,
    time_zone: String,
    #[serde(default)]
    working_hours: Vec<WorkingHours>,
    #[serde(default)]
    date_overrides: Vec<OverrideDocument>,
    #[serde(default)]
    time_off: Vec<TimeOffDocument>,
    #[serde(default)]
    jobs: Vec<JobDocument>,
    #[serde(default)]
    booking_rules: BookingRulesDocument,
    #[serde(default)]
    version: i64,
    #[serde(default)]
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct OverrideDocument {
    date: NaiveDate,
    #[serde(default)]
    windows: Vec<LocalWindow>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct TimeOffDocument {
    #[serde(default)]
    id: Uuid,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobDocument {
    id: Uuid,
    #[serde(default)]
    title: String,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    buffer_before_minutes: Option<u32>,
    buffer_after_minutes: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct BookingRulesDocument {
    slot_interval_minutes: Option<u32>,
    min_notice_minutes: Option<u32>,
    buffer_before_minutes: Option<u32>,
    buffer_after_minutes: Option<u32>,
}

fn active() -> Status {
    Status::Active
}

impl From<ScheduleDocument> for Schedule {
    fn from(document: ScheduleDocument) -> Self {
        let (given, usual) = (document.booking_rules, BookingRules::default());
        let booking_rules = BookingRules {
            slot_interval_minutes: given
                .slot_interval_minutes
                .unwrap_or(usual.slot_interval_minutes),
            min_notice_minutes: given.min_notice_minutes.unwrap_or(usual.min_notice_minutes),
            buffer_before_minutes: given
                .buffer_before_minutes
                .unwrap_or(usual.buffer_before_minutes),
            buffer_after_minutes: given
                .buffer_after_minutes
                .unwrap_or(usual.buffer_after_minutes),
        };
        let job = |job: JobDocument| Job {
            id: job.id,
            title: job.title,
            start: job.start,
            end: job.end,
            buffer_before_minutes: job
                .buffer_before_minutes
                .unwrap_or(booking_rules.buffer_before_minutes),
            buffer_after_minutes: job
                .buffer_after_minutes
                .unwrap_or(booking_rules.buffer_after_minutes),
        };
        let time_off = |t: TimeOffDocument| TimeOff {
            id: t.id,
            start: t.start,
            end: t.end,
            reason: t.reason,
        };
        let day = |o: OverrideDocument| DateOverride {
            date: o.date,
            windows: o.windows,
            reason: o.reason,
        };
        Self {
            contractor_id: document.contractor_id,
            name: document.name,
            territory: document.territory,
            skills: document.skills,
            status: document.status,
            time_zone: document.time_zone,
            working_hours: document.working_hours,
            date_overrides: document.date_overrides.into_iter().map(day).collect(),
            time_off: document.time_off.into_iter().map(time_off).collect(),
            jobs: document.jobs.into_iter().map(job).collect(),
            booking_rules,
            version: document.version,
            updated_at: document.updated_at,
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    id: Option<&'a RawValue>,
    windows: Vec<Span>,
    slots: Vec<Stamp>,
    conflicts: Vec<Conflict>,
}

#[derive(Serialize)]
struct Failure<'a> {
    id: Option<&'a RawValue>,
    error: String,
}

/// Answers every line of `input` with one line of `output`, in order, until the input ends.
///
/// What is written is flushed whenever the input has nothing more at hand. An error is one of the
/// streams; a reader that has gone away is not an error.
pub fn run(settings: &CalculateSettings, input: impl Read, output: impl Write) -> io::Result<()> {
    let max_line = usize::try_from(settings.calculate_max_line_bytes).unwrap_or(usize::MAX);
    match answer_lines(
        BufReader::with_capacity(1 << 16, input),
        BufWriter::with_capacity(1 << 16, output),
        max_line,
    ) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn answer_lines<R: Read, W: Write>(
    mut input: BufReader<R>,
    mut output: BufWriter<W>,
    max_line: usize,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut length = 0_usize;
        // Reads one line, keeping no more of it than is accepted.
        let ended = loop {
            if input.buffer().is_empty() {
                output.flush()?;
            }
            let at_hand = input.fill_buf()?;
            if at_hand.is_empty() {
                break true;
            }
            let newline = at_hand.iter().position(|b| *b == b'\n');
            let part = &at_hand[..newline.unwrap_or(at_hand.len())];
            length = length.saturating_add(part.len());
            if length <= max_line {
                line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(newline.is_some());
            input.consume(used);
            if newline.is_some() {
                break false;
            }
        };
        if ended && length == 0 {
            return output.flush();
        }
        if length > max_line {
            let error = format!("the line is longer than {max_line} bytes");
            serde_json::to_writer(&mut output, &Failure { id: None, error })?;
        } else {
            answer_line(&line, &mut output)?;
        }
        output.write_all(b"\n")?;
        if ended {
            return output.flush();
        }
    }
}

fn answer_line(line: &[u8], output: &mut impl Write) -> serde_json::Result<()> {
    match answer(line) {
        Ok(answer) => serde_json::to_writer(output, &answer),
        Err(error) => {
            let id = serde_json::from_slice::<Identified>(line)
                .ok()
                .and_then(|line| line.id);
            serde_json::to_writer(output, &Failure { id, error })
        }
    }
}

fn answer(line: &[u8]) -> Result<Answer<'_>, String> {
    let Line {
        id,
        schedule,
        query,
    } = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let schedule = Schedule::from(schedule);
    let asked = Asked {
        from: query.from,
        to: query.to,
        now: query.now,
        duration: query.duration_minutes,
        slot_interval: query.slot_interval_minutes,
    };
    let query = asked.check().map_err(|wrong| {
        let parts: Vec<String> = wrong
            .iter()
            .map(|w| format!("query.{} {}", w.name, w.detail))
            .collect();
        parts.join("; ")
    })?;
    let own = i64::from(schedule.booking_rules.slot_interval_minutes);
    if query.duration.is_some()
        && query.slot_interval.is_none()
        && !(1..=MAX_SLOT_INTERVAL).contains(&own)
    {
        return Err(format!(
            "schedule.bookingRules.slotIntervalMinutes must be from 1 to {MAX_SLOT_INTERVAL}"
        ));
    }
    let found = availability(&schedule, &query).map_err(|e| format!("schedule.timeZone: {e}"))?;
    Ok(Answer {
        id,
        windows: found.windows.into_iter().map(Span::from).collect(),
        slots: found
            .slots
            .unwrap_or_default()
            .into_iter()
            .map(Stamp)
            .collect(),
        conflicts: found.conflicts,
    })
}

#[cfg(test)]
mod tests {
    use super::{CalculateSettings, run};

    fn lines(input: &str) -> Vec<String> {
        let mut output = Vec::new();
        let settings = CalculateSettings {
            calculate_max_line_bytes: 2_048,
        };
        run(&settings, input.as_bytes(), &mut output).unwrap();
        String::from_utf8(output)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_line_is_answered_in_order_and_bad_ones_say_what_is_wrong() {
        let schedule = r#"{"timeZone":"Europe/London","workingHours":[{"days":["TU"],"start":"08:00","end":"10:00"}],"jobs":[{"id":"018f6b1c-0000-7000-8000-000000000002","start":"2026-12-01T18:00:00Z","end":"2026-12-01T19:00:00Z"}]}"#;
        let range = r#""from":"2026-12-01T00:00:00Z","to":"2026-12-02T00:00:00Z","now":"2026-11-30T00:00:00Z""#;
        let long = "x".repeat(3_000);
        let input = format!(
            "{{\"id\":1,\"schedule\":{schedule},\"query\":{{{range},\"durationMinutes\":60}}}}\n\
             {{\"id\":\"two\",\"schedule\":{schedule},\"query\":{{{range}}}}}\n\
             not json\n\
             {{\"id\":[4],\"schedule\":{schedule},\"query\":{{{range},\"durationMinutes\":0}}}}\n\
             {long}\n\
             {{\"id\":6,\"schedule\":{{\"timeZone\":\"Nowhere\"}},\"query\":{{{range}}}}}\n\
             {{\"schedule\":{{}},\"query\":{{{range}}}}}"
        );
        let found = lines(&input);
        insta::assert_snapshot!(found.join("\n"), @r#"
        {"id":1,"windows":[{"start":"2026-12-01T08:00:00Z","end":"2026-12-01T10:00:00Z"}],"slots":["2026-12-01T08:00:00Z","2026-12-01T08:30:00Z","2026-12-01T09:00:00Z"],"conflicts":[{"jobId":"018f6b1c-0000-7000-8000-000000000002","reason":"outsideWorkingHours"}]}
        {"id":"two","windows":[{"start":"2026-12-01T08:00:00Z","end":"2026-12-01T10:00:00Z"}],"slots":[],"conflicts":[{"jobId":"018f6b1c-0000-7000-8000-000000000002","reason":"outsideWorkingHours"}]}
        {"id":null,"error":"expected ident at line 1 column 2"}
        {"id":[4],"error":"query.durationMinutes must be from 1 to 44640"}
        {"id":null,"error":"the line is longer than 2048 bytes"}
        {"id":6,"error":"schedule.timeZone: unknown time zone \"Nowhere\""}
        {"id":null,"error":"missing field `timeZone` at line 1 column 14"}
        "#);
    }
}
