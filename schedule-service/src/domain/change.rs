//! The difference of two versions of a schedule.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared_events::event::{Field, FieldValues};
use shared_events::schedule::{Schedule, rfc3339_millis};
use uuid::Uuid;

/// A change that is ready to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The version before; none when the contractor is created.
    pub previous_version: Option<i64>,
    /// The schedule after the change, with its new version and commit time.
    pub after: Schedule,
    /// What changed.
    pub data: ChangeData,
}

/// A ScheduleUpdated event without its `schedule`, and with its request: an item of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeData {
    /// Whose schedule has changed.
    pub contractor_id: Uuid,
    /// The names of the changed fields, sorted.
    pub updated_fields: Vec<Field>,
    /// The changed fields as they were.
    pub previous_values: FieldValues,
    /// Commit time of the change.
    #[serde(with = "rfc3339_millis")]
    pub timestamp: DateTime<Utc>,
    /// The changed fields as they were after the change.
    pub current_values: FieldValues,
    /// The schedule's version after the change.
    pub version: i64,
    /// Who asked for the change.
    pub actor: String,
    /// The request that it came of, as its `X-Request-Id` says; none where it came of none. Not in the
    /// event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Who asks for a change, and by which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// See [`ChangeData::actor`].
    pub actor: String,
    /// See [`ChangeData::request_id`].
    pub request_id: Option<String>,
}

impl Change {
    /// The change from `before` to `after`, or none where nothing differs. `after` is given the
    /// next version and the commit time: `now` in whole milliseconds, never before the last change.
    #[must_use]
    pub fn between(
        before: Option<&Schedule>,
        mut after: Schedule,
        now: DateTime<Utc>,
        author: &Author,
    ) -> Option<Self> {
        let difference = diff(before, &after);
        if difference.fields.is_empty() {
            return None;
        }
        let now = chrono::SubsecRound::trunc_subsecs(now, 3);
        after.version = before.map_or(1, |before| before.version + 1);
        after.updated_at = before.map_or(now, |before| before.updated_at.max(now));
        let data = ChangeData {
            contractor_id: after.contractor_id,
            updated_fields: difference.fields,
            previous_values: difference.previous,
            timestamp: after.updated_at,
            current_values: difference.current,
            version: after.version,
            actor: author.actor.clone(),
            request_id: author.request_id.clone(),
        };
        Some(Self {
            previous_version: before.map(|before| before.version),
            after,
            data,
        })
    }
}

#[derive(Debug, Default)]
struct Difference {
    fields: Vec<Field>,
    previous: FieldValues,
    current: FieldValues,
}

/// Compares all but version and commit time. A schedule that was not there yet has every scalar
/// field as null, and no entries.
fn diff(before: Option<&Schedule>, after: &Schedule) -> Difference {
    let mut difference = Difference::default();
    // In the order of the names on the wire, so that the fields come out sorted.
    macro_rules! scalar {
        ($field:ident, $name:ident) => {
            if before.map(|before| &before.$field) != Some(&after.$field) {
                difference.fields.push(Field::$name);
                difference.previous.$field = Some(before.map(|before| before.$field.clone()));
                difference.current.$field = Some(Some(after.$field.clone()));
            }
        };
    }
    macro_rules! entries {
        ($field:ident, $key:ident, $name:ident) => {
            let before = before.map_or(&[][..], |before| &before.$field);
            let (previous, current) = changed_entries(before, &after.$field, |entry| entry.$key);
            if !current.is_empty() {
                difference.fields.push(Field::$name);
                difference.previous.$field = Some(previous);
                difference.current.$field = Some(current);
            }
        };
    }
    scalar!(booking_rules, BookingRules);
    entries!(date_overrides, date, DateOverrides);
    entries!(jobs, id, Jobs);
    scalar!(name, Name);
    scalar!(skills, Skills);
    scalar!(status, Status);
    scalar!(territory, Territory);
    entries!(time_off, id, TimeOff);
    scalar!(time_zone, TimeZone);
    scalar!(working_hours, WorkingHours);
    difference
}

type Entries<K, E> = BTreeMap<K, Option<E>>;

/// The entries that are not the same on both sides, by key, on each side.
fn changed_entries<K: Ord + Copy, E: Clone + PartialEq>(
    before: &[E],
    after: &[E],
    key: impl Fn(&E) -> K,
) -> (Entries<K, E>, Entries<K, E>) {
    if before == after {
        return (BTreeMap::new(), BTreeMap::new());
    }
    let old: BTreeMap<K, &E> = before.iter().map(|entry| (key(entry), entry)).collect();
    let new: BTreeMap<K, &E> = after.iter().map(|entry| (key(entry), entry)).collect();
    let keys = old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(key)));
    keys.filter(|key| old.get(key) != new.get(key))
        .map(|key| {
            let side = |entries: &BTreeMap<K, &E>| entries.get(key).map(|entry| (*entry).clone());
            ((*key, side(&old)), (*key, side(&new)))
        })
        .unzip()
}

#[cfg(test)]
mod tests;
