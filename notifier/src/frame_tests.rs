//! The encoder against a strict reader of the event stream format.

use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MAX_FRAME_BYTES, ResetReason, event, heartbeat_at, ready, reset};
use crate::event::{Event, Kind};
use crate::event_stream_reader::{Dispatched, EventStreamReader};
use crate::filter::Filter;
use crate::position::Position;

const AT: Position = Position {
    offset: 12,
    fingerprint: 0xab,
};

fn read_all(frames: &[Bytes]) -> (EventStreamReader, Vec<Dispatched>) {
    let mut reader = EventStreamReader::default();
    let mut events = Vec::new();
    for byte in frames.iter().flatten() {
        events.extend(reader.push(&[*byte]));
    }
    (reader, events)
}

fn encode(body: &Value) -> Bytes {
    let body = body.to_string();
    event(AT, &Event::read(body.as_bytes()).expect("an event"))
}

fn only(frame: Bytes) -> (Dispatched, Value) {
    let (_, mut events) = read_all(&[frame]);
    assert_eq!(events.len(), 1, "one event a frame");
    let event = events.remove(0);
    let data = serde_json::from_str(&event.data).expect("JSON");
    (event, data)
}

fn schedule_updated(previous: &Value, extra: &Value) -> Value {
    json!({"specversion": "1.0", "type": "rosterwire.schedule.updated.v1", "data": {
        "contractorId": "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01", "updatedFields": ["name"],
        "previousValues": previous, "timestamp": "2026-11-24T08:00:00.123Z",
        "currentValues": {"name": "new"}, "version": 7, "actor": extra,
        "schedule": {"territory": "leeds", "name": "x"}}})
}

#[test]
fn a_schedule_frame_leaves_out_the_schedule_and_names_the_territory() {
    let (read, data) = only(encode(&schedule_updated(
        &json!({"name": "old"}),
        &json!("me"),
    )));
    assert_eq!(
        (read.id.as_str(), read.event.as_str()),
        ("12-000000ab", "schedule.updated")
    );
    let keys: Vec<&String> = data.as_object().expect("an object").keys().collect();
    assert!(
        !keys
            .iter()
            .any(|key| *key == "schedule" || *key == "truncated"),
        "{keys:?}"
    );
    assert_eq!(data["territory"], "leeds");
    assert_eq!(data["previousValues"], json!({"name": "old"}));
}

#[test]
fn members_keep_their_order_and_numbers_their_form() {
    let body = r#"{"type":"rosterwire.availability.updated.v1","data":{"z":1.0e2,"version":7,
        "territory":"york","new":{"b":1,
        "a":12345678901234567890123},"contractorId":"018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01"}}"#;
    let frame = event(AT, &Event::read(body.as_bytes()).expect("an event"));
    let (_, events) = read_all(&[frame]);
    assert_eq!(
        events.first().map(|event| event.data.as_str()),
        Some(concat!(
            r#"{"z":1.0e2,"version":7,"territory":"york","new":{"b":1,"#,
            r#"        "a":12345678901234567890123},"#,
            r#""contractorId":"018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01"}"#
        ))
    );
}

#[test]
fn the_golden_events_become_one_line_each() {
    for (kind, body) in [
        (
            Kind::Schedule,
            include_str!("../../shared-events/fixtures/schedule.updated.v1.json"),
        ),
        (
            Kind::Availability,
            include_str!("../../shared-events/fixtures/availability.updated.v1.json"),
        ),
    ] {
        let (read, data) = only(event(AT, &Event::read(body.as_bytes()).expect("golden")));
        assert_eq!(read.event, kind.name());
        let mut expected = serde_json::from_str::<Value>(body).expect("JSON")["data"].take();
        if let Some(schedule) = expected
            .as_object_mut()
            .and_then(|data| data.remove("schedule"))
        {
            expected["territory"] = schedule["territory"].clone();
        }
        assert_eq!(data, expected);
    }
}

#[test]
fn a_frame_that_would_be_too_long_says_so_and_drops_the_values() {
    let (_, data) = only(encode(&schedule_updated(
        &json!({"name": "x".repeat(70_000)}),
        &json!("me"),
    )));
    assert_eq!(data["truncated"], true);
    assert_eq!(
        (data.get("previousValues"), data.get("currentValues")),
        (None, None)
    );
    assert_eq!(
        (&data["version"], &data["actor"]),
        (&json!(7), &json!("me"))
    );

    let long = json!("y".repeat(70_000));
    let (_, data) = only(encode(&schedule_updated(&json!({}), &long)));
    let expected = json!({"contractorId": "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01", "version": 7,
        "territory": "leeds", "truncated": true});
    assert_eq!(data, expected);
}

#[test]
fn every_length_around_the_bound_stays_below_it() {
    for length in 65_000..65_600 {
        let body = schedule_updated(&json!({"name": "x".repeat(length)}), &json!("me"));
        assert!(encode(&body).len() <= MAX_FRAME_BYTES);
    }
}

#[test]
fn a_heartbeat_is_no_event_and_may_move_the_id() {
    let (reader, events) = read_all(&[
        reset(AT, ResetReason::TooOld),
        Bytes::from_static(super::HEARTBEAT),
        heartbeat_at(Position {
            offset: 13,
            fingerprint: 1,
        }),
        Bytes::from_static(super::HEARTBEAT),
    ]);
    assert_eq!(events.len(), 1);
    assert_eq!(reader.last_event_id(), "13-00000001");
    assert_eq!((reader.comments(), reader.blocks_without_data()), (3, 1));
}

#[test]
fn the_first_frames_set_the_reconnection_time_and_name_the_position() {
    let now = DateTime::from_timestamp_millis(1_790_000_000_123).expect("an instant");
    let filter = Filter::parse("territory=leeds&type=schedule.updated", 100).expect("a filter");
    let id = AT.to_string();
    let frames = [
        Bytes::from_static(super::RETRY.as_bytes()),
        ready(Some(&id), &id, now, &filter, 15),
    ];
    let (reader, events) = read_all(&frames);
    assert_eq!(reader.retry_ms(), Some(2000));
    assert_eq!(
        (events[0].event.as_str(), events[0].id.as_str()),
        ("ready", "12-000000ab")
    );
    let data: Value = serde_json::from_str(&events[0].data).expect("JSON");
    assert_eq!(
        data,
        json!({"position": "12-000000ab", "serverTime": "2026-09-21T14:13:20.123Z",
            "filters": {"territory": ["leeds"], "contractor": [], "type": ["schedule.updated"]},
            "heartbeatSeconds": 15})
    );
}

/// Text with all that a line, a block or JSON could break at.
const AWKWARD: &str = "\r\n\r\r\n\ndata: x\n\nid: 9\n:\0\u{85}\u{2028}\u{2029}\u{feff}👩‍🔧🇬🇧\"\\";

#[test]
fn a_frame_is_the_same_event_with_every_line_end_and_in_pieces_of_any_size() {
    let frame = encode(&schedule_updated(
        &json!({"name": AWKWARD}),
        &json!(AWKWARD),
    ));
    let text = std::str::from_utf8(&frame).expect("UTF-8");
    let (expected, data) = only(frame.clone());
    assert_eq!(data["previousValues"]["name"], AWKWARD);
    assert_eq!(text.matches(['\r', '\0']).count(), 0);
    assert_eq!(text.lines().count(), 4, "id, event, data and a blank line");
    for line_end in ["\n", "\r", "\r\n"] {
        for mark in ["", "\u{feff}"] {
            let sent = format!("{mark}{}", text.replace('\n', line_end));
            for cut in 0..=sent.len() {
                let (head, tail) = sent.as_bytes().split_at(cut);
                let mut reader = EventStreamReader::default();
                let mut events = reader.push(head);
                events.extend(reader.push(tail));
                // The LF after a CR may come later, and is no line of its own.
                assert_eq!(
                    events,
                    std::slice::from_ref(&expected),
                    "{line_end:?} {cut}"
                );
            }
        }
    }
}

#[test]
fn a_block_that_is_cut_off_is_no_event() {
    let frame = encode(&schedule_updated(&json!({}), &json!("me")));
    for length in 0..frame.len() {
        let (reader, events) = read_all(&[frame.slice(..length)]);
        assert_eq!((events.len(), reader.last_event_id()), (0, ""), "{length}");
    }
}

#[test]
fn the_reader_of_these_tests_notices_what_no_server_may_send() {
    for bytes in [
        &b"id: 1\0\ndata: x\n\n"[..],
        b"retry: 2s\n\n",
        b"retry: -1\n\n",
        b"retry:\n\n",
        b"event: ready\n\n",
        b"data: caf\xe9\n\n",
        b"Data: x\n\n",
        b" data: x\n\n",
        b"data: {\"a\":\n1}\n\n",
        // The mark counts at the very beginning alone.
        b":\n\xef\xbb\xbfdata: x\n\n",
    ] {
        let read = std::panic::catch_unwind(|| EventStreamReader::default().push(bytes));
        assert!(read.is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
}

fn awkward() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n\r\ndata: x\n\n".to_owned()),
        Just("\0".to_owned()),
        Just("\u{2028}\u{2029}\u{85}\u{feff}".to_owned()),
        Just("👩‍🔧🇬🇧".to_owned()),
        Just(":\"\\".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_arrives_as_it_was_sent(text in awkward(), pretty: bool, offset: u64, mark: u32) {
        let body = schedule_updated(&json!({"name": text}), &json!(text));
        let body = if pretty {
            serde_json::to_string_pretty(&body).expect("JSON").replace('\n', "\r\n")
        } else {
            body.to_string()
        };
        let position = Position { offset, fingerprint: mark };
        let (read, data) = only(event(position, &Event::read(body.as_bytes()).expect("an event")));
        prop_assert_eq!(read.id, position.to_string());
        prop_assert_eq!(data["actor"].as_str(), Some(text.as_str()));
        prop_assert_eq!(data["previousValues"]["name"].as_str(), Some(text.as_str()));
    }
}
