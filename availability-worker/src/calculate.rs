//! `availability-worker calculate`: answers without any server, line by line.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

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

    /// Threads that calculate; as many as there are processors without it
    #[arg(long, env = "CALCULATE_THREADS", default_value_t = processors(), hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub calculate_threads: u32,
}

fn processors() -> u32 {
    thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(256).min(256))
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

/// Bytes that are read at a time: the whole lines in them are what one thread answers.
const BATCH_BYTES: usize = 1 << 18;

/// Whole lines on their way to a thread, and where their answers are waited for.
struct Batch {
    lines: Vec<u8>,
    answers: SyncSender<Vec<u8>>,
}

/// Answers every line of `input` with one line of `output`, in order, until the input ends.
///
/// Lines are answered as soon as they are there: a batch is what one read has brought. What is
/// under way is bounded by the queues, two batches a thread. An error is one of the streams; a
/// reader that has gone away is not an error.
pub fn run(
    settings: &CalculateSettings,
    input: impl Read,
    output: impl Write + Send,
) -> io::Result<()> {
    let max_line = usize::try_from(settings.calculate_max_line_bytes).unwrap_or(usize::MAX);
    let threads = usize::try_from(settings.calculate_threads).unwrap_or(1);
    let (to_threads, batches) = mpsc::sync_channel::<Batch>(threads);
    let (in_order, answers) = mpsc::sync_channel(threads);
    let batches = Arc::new(Mutex::new(batches));
    thread::scope(|scope| {
        for _ in 0..threads {
            let batches = Arc::clone(&batches);
            scope.spawn(move || answer_batches(&batches, max_line));
        }
        // Only the threads hold the queue now: it ends with the last of them.
        drop(batches);
        let writer = scope.spawn(move || write_in_order(&answers, output));
        let read = cut(input, max_line, |lines| {
            let (answers, waiting) = mpsc::sync_channel(1);
            in_order.send(waiting).is_ok() && to_threads.send(Batch { lines, answers }).is_ok()
        });
        drop((in_order, to_threads));
        let written = writer
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the writing thread has failed")));
        match read.and(written) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    })
}

/// Reads whole lines into batches, until the input ends or nobody takes them any more.
///
/// Of a line that is too long no more is kept than tells so.
fn cut(
    mut input: impl Read,
    max_line: usize,
    mut take: impl FnMut(Vec<u8>) -> bool,
) -> io::Result<()> {
    let mut read = vec![0; BATCH_BYTES];
    let mut batch = Vec::new();
    let mut line_start = 0;
    loop {
        let length = match input.read(&mut read) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for part in read[..length].split_inclusive(|byte| *byte == b'\n') {
            let room = (max_line + 1).saturating_sub(batch.len() - line_start);
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            batch.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                batch.push(b'\n');
                line_start = batch.len();
            }
        }
        // The rest is a line that waits for its end.
        if line_start > 0 {
            let rest = batch.split_off(line_start);
            if !take(std::mem::replace(&mut batch, rest)) {
                return Ok(());
            }
            line_start = 0;
        }
    }
    if !batch.is_empty() {
        take(batch);
    }
    Ok(())
}

fn answer_batches(batches: &Mutex<Receiver<Batch>>, max_line: usize) {
    loop {
        let next = batches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(Batch { lines, answers }) = next else {
            return;
        };
        let mut output = Vec::with_capacity(lines.len());
        let lines = lines.strip_suffix(b"\n").unwrap_or(&lines);
        let written = lines
            .split(|byte| *byte == b'\n')
            .try_for_each(|line| answer_line(line, max_line, &mut output));
        // Nobody waits for answers where the writer has given up.
        if written.is_err() || answers.send(output).is_err() {
            return;
        }
    }
}

fn write_in_order(answers: &Receiver<Receiver<Vec<u8>>>, mut output: impl Write) -> io::Result<()> {
    while let Ok(waiting) = answers.recv() {
        let answered = waiting
            .recv()
            .map_err(|_| io::Error::other("a thread that answers has failed"))?;
        output.write_all(&answered)?;
        output.flush()?;
    }
    Ok(())
}

fn answer_line(line: &[u8], max_line: usize, output: &mut Vec<u8>) -> serde_json::Result<()> {
    if line.len() > max_line {
        let error = format!("the line is longer than {max_line} bytes");
        serde_json::to_writer(&mut *output, &Failure { id: None, error })?;
    } else {
        match answer(line) {
            Ok(answer) => serde_json::to_writer(&mut *output, &answer)?,
            Err(error) => {
                let id = serde_json::from_slice::<Identified>(line)
                    .ok()
                    .and_then(|line| line.id);
                serde_json::to_writer(&mut *output, &Failure { id, error })?;
            }
        }
    }
    output.push(b'\n');
    Ok(())
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
            calculate_threads: 3,
        };
        run(&settings, input.as_bytes(), &mut output).unwrap();
        String::from_utf8(output)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn many_threads_keep_the_order_and_lines_may_be_cut_anywhere() {
        /// Gives its bytes in pieces of every size up to 4,000.
        struct Pieces<'a>(&'a [u8], usize);
        impl std::io::Read for Pieces<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                self.1 = self.1 % 4_000 + 1;
                let length = self.1.min(self.0.len()).min(into.len());
                into[..length].copy_from_slice(&self.0[..length]);
                self.0 = &self.0[length..];
                Ok(length)
            }
        }
        let lines: Vec<String> = (0..3_000)
            .map(|id| format!("{{\"id\":{id},\"pad\":\"{}\"}}\n", "x".repeat(id % 97)))
            .collect();
        let input = lines.concat();
        let settings = CalculateSettings {
            calculate_max_line_bytes: 1_024,
            calculate_threads: 4,
        };
        let mut output = Vec::new();
        run(&settings, Pieces(input.as_bytes(), 0), &mut output).unwrap();
        let told = String::from_utf8(output).unwrap();
        assert_eq!(told.lines().count(), 3_000);
        for (id, line) in told.lines().enumerate() {
            assert!(
                line.starts_with(&format!("{{\"id\":{id},\"error\":\"missing field")),
                "{line}"
            );
        }
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
