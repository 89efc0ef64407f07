//! Whatever comes from outside: no bytes may panic, and what is accepted keeps its promises. The first
//! byte chooses the parser.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the services use more of their modules"
)]

// The parsers' sources alone, so that nothing else is instrumented and a build takes a minute.
#[path = "../../../schedule-service/src/domain/mod.rs"]
mod domain;
#[path = "../../../availability-worker/src/engine/mod.rs"]
mod engine;
#[path = "../../../notifier/src/position.rs"]
mod position;
#[path = "../../../schedule-service/src/request/mod.rs"]
mod request;

#[path = "."]
mod import {
    #[path = "../../../schedule-service/src/import/compact.rs"]
    mod compact;
    #[path = "../../../schedule-service/src/import/lines.rs"]
    mod lines;
    #[path = "../../../schedule-service/src/import/metered.rs"]
    pub mod metered;
    #[path = "../../../schedule-service/src/import/record.rs"]
    pub mod record;
    #[path = "../../../schedule-service/src/import/table.rs"]
    mod table;

    /// Reads a whole file; lines of up to 2,000 bytes.
    pub fn read(format: Format, file: &[u8]) {
        let source = Box::new(std::io::Cursor::new(file.to_vec()));
        let source = metered::Metered::new(source, std::sync::Arc::default());
        let Ok(mut records) = record::Records::open(format, source, 2_000) else {
            return;
        };
        let mut last = 0;
        while let Ok(Some(record)) = records.next_record() {
            // Not after: a carriage return ends a row of CSV, and no line.
            assert!(record.line >= last, "lines are told in their order");
            last = record.line;
        }
    }

    #[derive(Clone, Copy)]
    pub enum Format {
        Ndjson,
        Csv,
    }
}

#[path = "."]
mod cache {
    #[path = "../../../availability-worker/src/cache/entry.rs"]
    pub mod entry;
    #[path = "../../../availability-worker/src/cache/packed.rs"]
    pub mod packed;
}

#[path = "."]
mod notifier {
    #[path = "../../../notifier/src/event.rs"]
    pub mod event;
}

use cache::entry::Held;
use cache::packed::Peek;
use domain::command::Profile;
use domain::merge_patch;
use libfuzzer_sys::fuzz_target;
use position::Position;
use request::{
    BodyError, DateOverrideBody, JobBody, JobPatchBody, NewContractorBody, SchedulePatchBody,
    TimeOffBody, from_slice, parse,
};
use shared_events::schedule::{BookingRules, Job, Status};
use shared_events::{AvailabilityUpdated, Envelope, IntegrationEvent, ScheduleUpdated};
use uuid::Uuid;

fuzz_target!(|data: &[u8]| {
    let Some((parser, body)) = data.split_first() else {
        return;
    };
    let text = std::str::from_utf8(body).unwrap_or_default();
    match parser {
        b'0' => contractor(body),
        b'1' => schedule_patch(body),
        b'2' => job(body),
        b'3' => job_patch(body),
        b'4' => others(body),
        b'5' => import::read(import::Format::Ndjson, body),
        b'6' => import::read(import::Format::Csv, body),
        b'7' => event::<ScheduleUpdated>(body),
        b'8' => event::<AvailabilityUpdated>(body),
        b'9' => shown(body),
        b'a' => cached(body),
        b'b' => {
            if let Ok(position) = text.parse::<Position>() {
                assert_eq!(position.to_string(), text);
            }
            let _ = request::date_override::parse_date(text);
        }
        _ => {}
    }
});

fn contractor(body: &[u8]) {
    let Ok(body) = from_slice::<NewContractorBody>(body) else {
        return;
    };
    if let Ok(contractor) = body.into_contractor() {
        unchanged(&contractor.profile);
    }
}

/// A profile that is acceptable is so again, and an empty patch changes nothing.
fn unchanged(profile: &Profile) {
    let patch = request::schedule_patch::SchedulePatch::parse(serde_json::json!({}));
    let again = patch.and_then(|patch| patch.apply(profile));
    assert_eq!(again.as_ref().ok(), Some(profile));
}

fn schedule_patch(body: &[u8]) {
    let profile = Profile {
        name: "Ada".to_owned(),
        territory: "leeds".to_owned(),
        skills: vec!["gas".to_owned()],
        status: Status::Active,
        time_zone: "Europe/London".to_owned(),
        working_hours: Vec::new(),
        booking_rules: BookingRules::default(),
    };
    let Ok(patch) = parse(body) else { return };
    let patched = request::schedule_patch::SchedulePatch::parse(patch)
        .and_then(|patch| patch.apply(&profile));
    if let Ok(patched) = patched {
        unchanged(&patched);
    }
}

fn job(body: &[u8]) {
    if let Ok(body) = from_slice::<JobBody>(body)
        && let Ok(terms) = body.into_terms()
    {
        assert!(terms.start < terms.end);
    }
}

fn job_patch(body: &[u8]) {
    let start = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
    let job = Job {
        id: Uuid::nil(),
        title: "Boiler".to_owned(),
        start,
        end: start + chrono::TimeDelta::hours(1),
        buffer_before_minutes: 30,
        buffer_after_minutes: 30,
    };
    if let Ok(patch) = parse(body)
        && let Ok(patch) = request::job::JobPatch::parse(patch)
        && let Ok((_, terms)) = patch.apply(Uuid::nil(), &job)
    {
        assert!(terms.start < terms.end);
    }
}

fn others(body: &[u8]) {
    let _ = from_slice::<DateOverrideBody>(body).map(DateOverrideBody::into_terms);
    if let Ok(body) = from_slice::<TimeOffBody>(body)
        && let Ok(terms) = body.into_terms()
    {
        assert!(terms.start < terms.end);
    }
}

/// An event that is accepted is read again as it is written.
fn event<E: IntegrationEvent + PartialEq + std::fmt::Debug>(body: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<Envelope<E>>(body) {
        let written = serde_json::to_vec(&event).expect("an event can be written");
        let again: Envelope<E> = serde_json::from_slice(&written).expect("and read again");
        assert_eq!(again, event);
    }
}

fn shown(body: &[u8]) {
    let _ = notifier::event::Event::read(body);
}

fn cached(value: &[u8]) {
    let held = Held::read(value);
    assert_eq!(held.version(), held.rank().0);
    if let Ok(Peek::Live(packed)) = Peek::of(value) {
        let _ = (
            packed.has_skills(&["gas".to_owned()]),
            packed.time_zone(),
            packed.rest(),
        );
        let first = packed.windows.first_after(packed.first_start);
        let _ = packed.windows.get(first);
    }
}
