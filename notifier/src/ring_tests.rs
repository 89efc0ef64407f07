//! The ring.

use super::{BLOCK_BYTES, ENTRY_OVERHEAD, Entry, Found, Limits, Ring, Scan, Shown, pack};
use crate::event::Kind;
use crate::filter::{Facts, Filter};
use crate::position::Position;
use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use uuid::Uuid;

pub(crate) const ROOMY: Limits = Limits {
    events: 1000,
    bytes: 1_000_000,
};

fn position(offset: u64) -> Position {
    Position {
        offset,
        fingerprint: 7,
    }
}

pub(crate) fn entry(offset: u64, territory: Option<&str>) -> Entry {
    Entry {
        position: position(offset),
        read_at: DateTime::UNIX_EPOCH,
        shown: territory.map(|territory| Shown {
            frame: Bytes::from(format!("{offset}")).into(),
            facts: Facts {
                kind: Kind::Schedule,
                contractor: Uuid::nil(),
                territory: territory.into(),
                previous_territory: None,
            },
        }),
    }
}

fn ring(limits: Limits, offsets: impl IntoIterator<Item = u64>) -> Ring {
    let mut ring = Ring::new(limits);
    offsets
        .into_iter()
        .for_each(|offset| ring.push(entry(offset, Some("leeds"))));
    ring
}

fn frames(ring: &Ring, mut from: u64, filter: &Filter) -> Vec<String> {
    let mut frames = Vec::new();
    loop {
        match ring.scan(from, 3, filter) {
            Scan::Frames { bytes, next, .. } => {
                frames.push(String::from_utf8_lossy(&bytes).into_owned());
                from = next;
            }
            Scan::Nothing(next) if next == from => return frames,
            Scan::Nothing(next) => from = next,
            Scan::Behind => panic!("behind at {from}"),
        }
    }
}

#[test]
fn a_cursor_sees_what_its_filter_shows_in_order() {
    let mut ring = Ring::new(ROOMY);
    for (offset, territory) in [
        (5, Some("leeds")),
        (6, Some("york")),
        (7, None),
        (8, Some("york")),
        (9, None),
    ] {
        ring.push(entry(offset, territory));
    }
    let york = Filter::parse("territory=york", 10).expect("a filter");
    assert_eq!(frames(&ring, 0, &york), ["6", "8"]);
    assert_eq!(frames(&ring, 2, &Filter::default()), ["8"]);
    assert_eq!(frames(&ring, ring.end(), &york), [""; 0]);
}

#[test]
fn neighbours_that_are_shown_are_one_slice() {
    let mut entries: Vec<Entry> = [
        (1, Some("leeds")),
        (2, None),
        (3, Some("leeds")),
        (4, Some("york")),
        (5, Some("leeds")),
    ]
    .map(|(offset, territory)| entry(offset, territory))
    .into();
    pack(&mut entries);
    let mut ring = Ring::new(ROOMY);
    for entry in entries {
        ring.push(entry);
    }
    // Another batch is another block.
    ring.push(entry(6, Some("leeds")));
    let leeds = Filter::parse("territory=leeds", 10).expect("a filter");
    let scan = |from, filter| match ring.scan(from, 10, filter) {
        Scan::Frames { bytes, count, next } => {
            (String::from_utf8_lossy(&bytes).into_owned(), count, next)
        }
        other => panic!("{other:?}"),
    };
    let all = Filter::default();
    assert_eq!(scan(0, &all), ("1345".to_owned(), 4, 5));
    assert_eq!(scan(2, &all), ("345".to_owned(), 3, 5));
    assert_eq!(scan(5, &all), ("6".to_owned(), 1, 6));
    assert_eq!(scan(0, &leeds), ("13".to_owned(), 2, 3));
    assert_eq!(scan(3, &leeds), ("5".to_owned(), 1, 5));
}

#[test]
fn no_block_is_longer_than_it_may_be() {
    let mut entries: Vec<Entry> = (0..10).map(|n| entry(n, Some("leeds"))).collect();
    for entry in &mut entries {
        let shown = entry.shown.as_mut().expect("a frame");
        shown.frame = Bytes::from(vec![b'x'; BLOCK_BYTES / 3]).into();
    }
    let long = &mut entries[4].shown.as_mut().expect("a frame").frame;
    *long = Bytes::from(vec![b'x'; BLOCK_BYTES + 1]).into();
    pack(&mut entries);
    let mut ring = Ring::new(ROOMY);
    for entry in entries {
        ring.push(entry);
    }
    let (mut from, mut counts) = (0, Vec::new());
    while let Scan::Frames { count, next, .. } = ring.scan(from, 100, &Filter::default()) {
        counts.push(count);
        from = next;
    }
    assert_eq!(counts, [3, 1, 1, 3, 2]);
}

#[test]
fn a_position_is_found_by_offset_and_fingerprint() {
    let ring = ring(ROOMY, [5, 6, 9]);
    assert_eq!(ring.find(position(4)), Found::Older);
    assert_eq!(ring.find(position(5)), Found::Before(1));
    assert_eq!(ring.find(position(9)), Found::Before(3));
    assert_eq!(ring.find(position(10)), Found::Newer);
    assert_eq!(ring.find(position(7)), Found::Unknown);
    assert_eq!(
        ring.find(Position {
            offset: 6,
            fingerprint: 8
        }),
        Found::Unknown
    );
    assert_eq!(Ring::new(ROOMY).find(position(0)), Found::Newer);
}

#[test]
fn a_cursor_that_the_ring_has_passed_is_behind() {
    let ring = ring(Limits { events: 2, ..ROOMY }, 0..5);
    assert_eq!((ring.len(), ring.end()), (2, 5));
    assert_eq!(ring.scan(2, 10, &Filter::default()), Scan::Behind);
    assert_eq!(frames(&ring, 3, &Filter::default()), ["3", "4"]);
}

#[test]
fn one_entry_stays_however_long_it_is() {
    let ring = ring(
        Limits {
            events: 10,
            bytes: 1,
        },
        0..3,
    );
    assert_eq!((ring.len(), ring.head()), (1, Some(position(2))));
}

#[test]
fn a_replay_hands_over_where_the_ring_has_room_behind_it() {
    let ring = ring(ROOMY, 10..20);
    assert!(!ring.can_follow(9) && !ring.can_follow(14) && !ring.can_follow(20));
    assert!(ring.can_follow(15) && ring.can_follow(19));
    assert!(!Ring::new(ROOMY).can_follow(0));
}

#[test]
fn the_heartbeat_is_of_the_newest_entry() {
    let mut ring = ring(ROOMY, [1]);
    assert_eq!(ring.heartbeat(), ":\nid: 1-00000007\n\n");
    ring.push(entry(2, None));
    assert_eq!(ring.heartbeat(), ":\nid: 2-00000007\n\n");
}

proptest! {
    #[test]
    fn a_ring_holds_the_newest_within_its_bounds(
        events in 1_usize..20, bytes in 1_usize..8000, pushed in 1_u64..60,
    ) {
        let ring = ring(Limits { events, bytes }, 0..pushed);
        prop_assert!(ring.len() <= events);
        prop_assert!(ring.len() == 1 || ring.bytes() <= bytes);
        prop_assert_eq!(ring.end(), pushed);
        let sum: usize =
            ring.entries.iter().map(|e| ENTRY_OVERHEAD + e.position.offset.to_string().len()).sum();
        prop_assert_eq!(ring.bytes(), sum);
        let expected: Vec<String> =
            (pushed - ring.len() as u64..pushed).map(|n| n.to_string()).collect();
        prop_assert_eq!(frames(&ring, ring.first, &Filter::default()), expected);
    }
}
