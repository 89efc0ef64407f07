//! What every client of the stream may rely on.

use std::collections::{BTreeMap, BTreeSet};

use crate::event_stream::Frame;

/// Asserts that the versions of each contractor rise, in each kind of frame, and that no two
/// changes have the same id.
pub fn assert_rising(frames: &[Frame]) {
    let mut seen: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for frame in frames {
        if frame.event == "reset" {
            // The client reads everything again; what follows is newer than what it read then.
            seen.clear();
        }
        if frame.contractor().is_empty() {
            continue;
        }
        assert!(ids.insert(&frame.id), "{} twice", frame.id);
        let key = (frame.event.as_str(), frame.contractor());
        let before = seen.insert(key, frame.version());
        assert!(
            before.is_none_or(|before| before < frame.version()),
            "{} of {} goes from {before:?} to {}",
            frame.event,
            frame.contractor(),
            frame.version()
        );
    }
}

/// The versions of one contractor in the frames of one kind.
#[must_use]
pub fn versions(frames: &[Frame], event: &str, contractor: &str) -> Vec<i64> {
    frames
        .iter()
        .filter(|frame| frame.is_of(event, contractor))
        .map(Frame::version)
        .collect()
}
