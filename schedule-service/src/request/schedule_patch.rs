//! The body of `PATCH /contractors/{id}/schedule`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};
use shared_events::schedule::{BookingRules, LocalTime, Status, Weekday, WorkingHours};
use shared_events::zones::Zone;

use super::bounds;
use super::json::{from_value, pointer_to};
use crate::domain::command::Profile;
use crate::domain::limits::{
    MAX_MIN_NOTICE_MINUTES, MAX_SKILLS, MAX_SLOT_INTERVAL_MINUTES, MAX_WORKING_HOURS,
};
use crate::domain::{FieldErrors, merge_patch};

/// A merge patch (RFC 7396) of a schedule. What is left out stays. `null` sets `skills`, `status`,
/// `workingHours`, `bookingRules` and its members back to their defaults; name, territory and time
/// zone cannot be removed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchedulePatchBody {
    /// The contractor's name, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// The territory's slug.
    #[schema(pattern = "^[a-z0-9-]{1,64}$", examples("london-north"))]
    pub territory: Option<String>,
    /// Skill slugs.
    #[schema(max_items = 50)]
    pub skills: Option<Vec<String>>,
    /// Whether the contractor takes work.
    pub status: Option<Status>,
    /// IANA name of a time zone.
    #[schema(examples("Europe/London"))]
    pub time_zone: Option<String>,
    /// Weekly local working hours.
    #[schema(max_items = 50)]
    pub working_hours: Option<Vec<WorkingHours>>,
    /// How jobs are offered and spaced.
    pub booking_rules: Option<BookingRulesBody>,
}

/// How jobs are offered and spaced; what is left out has its default, or stays in a merge patch.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BookingRulesBody {
    /// Minutes between the start times that are offered; 30 by default.
    #[schema(minimum = 1, maximum = 1440)]
    pub slot_interval_minutes: Option<u32>,
    /// Minutes from now before which nothing is offered; 0 by default.
    #[schema(maximum = 525_600)]
    pub min_notice_minutes: Option<u32>,
    /// Buffer before a job that names none, in minutes; 30 by default.
    #[schema(maximum = 1440)]
    pub buffer_before_minutes: Option<u32>,
    /// Buffer after a job that names none, in minutes; 30 by default.
    #[schema(maximum = 1440)]
    pub buffer_after_minutes: Option<u32>,
}

/// The fields of [`SchedulePatchBody`].
const PATCHABLE: [&str; 7] = [
    "bookingRules",
    "name",
    "skills",
    "status",
    "territory",
    "timeZone",
    "workingHours",
];

/// The fields of [`BookingRulesBody`].
const BOOKING_RULES: [&str; 4] = [
    "bufferAfterMinutes",
    "bufferBeforeMinutes",
    "minNoticeMinutes",
    "slotIntervalMinutes",
];

/// A merge patch of a schedule, known to name only fields that there are, with values of their
/// types.
#[derive(Debug, Clone)]
pub struct SchedulePatch(Value);

impl SchedulePatch {
    /// Reads the patch on its own, before it is known what it is applied to.
    pub fn parse(patch: Value) -> Result<Self, FieldErrors> {
        refuse_unknown(&patch, "", &PATCHABLE)?;
        if let Some(rules) = patch.get("bookingRules").filter(|rules| !rules.is_null()) {
            refuse_unknown(rules, "/bookingRules", &BOOKING_RULES)?;
        }
        let body: SchedulePatchBody = from_value(&patch)?;
        // Values are checked here too, so that a patch that is out of bounds is told as such
        // whatever it would be applied to.
        let mut errors = FieldErrors::default();
        check(&mut errors, &body);
        errors.into_result(Self(patch))
    }

    /// The profile after the patch.
    pub fn apply(self, profile: &Profile) -> Result<Profile, FieldErrors> {
        let mut document = json!({
            "name": profile.name,
            "territory": profile.territory,
            "skills": profile.skills,
            "status": profile.status,
            "timeZone": profile.time_zone,
            "workingHours": profile.working_hours,
            "bookingRules": profile.booking_rules,
        });
        merge_patch::apply(&mut document, self.0);
        let body: SchedulePatchBody = from_value(&document)?;
        let mut errors = FieldErrors::default();
        let profile = body.into_profile(&mut errors);
        errors.into_result(profile)
    }
}

impl SchedulePatchBody {
    /// The whole profile, with defaults for what can have one.
    pub(super) fn into_profile(self, errors: &mut FieldErrors) -> Profile {
        check(errors, &self);
        let mut required = |value: Option<String>, pointer: &str| {
            value.unwrap_or_else(|| {
                errors.add(pointer, "must be given");
                String::new()
            })
        };
        let name = required(self.name, "/name");
        let territory = required(self.territory, "/territory");
        let time_zone = required(self.time_zone, "/timeZone");
        let skills: BTreeSet<String> = self.skills.unwrap_or_default().into_iter().collect();
        let rules = self.booking_rules.unwrap_or_default();
        let default = BookingRules::default();
        Profile {
            name,
            territory,
            skills: skills.into_iter().collect(),
            status: self.status.unwrap_or(Status::Active),
            time_zone,
            working_hours: self.working_hours.unwrap_or_else(default_working_hours),
            booking_rules: BookingRules {
                slot_interval_minutes: rules
                    .slot_interval_minutes
                    .unwrap_or(default.slot_interval_minutes),
                min_notice_minutes: rules
                    .min_notice_minutes
                    .unwrap_or(default.min_notice_minutes),
                buffer_before_minutes: rules
                    .buffer_before_minutes
                    .unwrap_or(default.buffer_before_minutes),
                buffer_after_minutes: rules
                    .buffer_after_minutes
                    .unwrap_or(default.buffer_after_minutes),
            },
        }
    }
}

/// Checks the values that are there.
fn check(errors: &mut FieldErrors, body: &SchedulePatchBody) {
    if let Some(name) = &body.name {
        bounds::text(errors, "/name", name);
    }
    if let Some(territory) = &body.territory {
        bounds::slug(errors, "/territory", territory);
    }
    if let Some(skills) = &body.skills {
        bounds::count(errors, "/skills", skills.len(), MAX_SKILLS);
        for (index, skill) in skills.iter().enumerate() {
            bounds::slug(errors, &format!("/skills/{index}"), skill);
        }
    }
    if let Some(zone) = &body.time_zone {
        errors.require(Zone::named(zone).is_ok(), "/timeZone", || {
            "must be the IANA name of a time zone, such as Europe/London".to_owned()
        });
    }
    if let Some(hours) = &body.working_hours {
        bounds::count(errors, "/workingHours", hours.len(), MAX_WORKING_HOURS);
        for (index, entry) in hours.iter().enumerate() {
            check_hours(errors, &format!("/workingHours/{index}"), entry);
        }
    }
    if let Some(rules) = &body.booking_rules {
        let bounds = [
            (
                "slotIntervalMinutes",
                rules.slot_interval_minutes,
                1,
                MAX_SLOT_INTERVAL_MINUTES,
            ),
            (
                "minNoticeMinutes",
                rules.min_notice_minutes,
                0,
                MAX_MIN_NOTICE_MINUTES,
            ),
        ];
        for (name, minutes, least, most) in bounds {
            if let Some(minutes) = minutes {
                let pointer = format!("/bookingRules/{name}");
                bounds::at_most(errors, &pointer, minutes, least, most);
            }
        }
        let buffers = [
            ("bufferBeforeMinutes", rules.buffer_before_minutes),
            ("bufferAfterMinutes", rules.buffer_after_minutes),
        ];
        for (name, minutes) in buffers {
            if let Some(minutes) = minutes {
                bounds::buffer(errors, &format!("/bookingRules/{name}"), minutes);
            }
        }
    }
}

fn check_hours(errors: &mut FieldErrors, base: &str, hours: &WorkingHours) {
    let days: BTreeSet<Weekday> = hours.days.iter().copied().collect();
    errors.require(!days.is_empty(), &pointer_to(base, "days"), || {
        "must name a day".to_owned()
    });
    errors.require(
        days.len() == hours.days.len(),
        &pointer_to(base, "days"),
        || "must name no day twice".to_owned(),
    );
    bounds::window_start(errors, &pointer_to(base, "start"), hours.start);
}

/// Monday to Friday, 08:00 to 17:00.
fn default_working_hours() -> Vec<WorkingHours> {
    let time = |hour: u16| LocalTime::from_minutes(hour * 60).unwrap_or(LocalTime::END_OF_DAY);
    vec![WorkingHours {
        days: vec![
            Weekday::Mo,
            Weekday::Tu,
            Weekday::We,
            Weekday::Th,
            Weekday::Fr,
        ],
        start: time(8),
        end: time(17),
    }]
}

/// Refuses names that are not `known`. A merge patch would lose an unknown name whose value is
/// null, so the parser alone does not see all of them.
pub(super) fn refuse_unknown(patch: &Value, base: &str, known: &[&str]) -> Result<(), FieldErrors> {
    let Value::Object(members) = patch else {
        return Err(FieldErrors::one(base, "must be an object"));
    };
    let mut errors = FieldErrors::default();
    for name in members
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
    {
        errors.add(
            pointer_to(base, name),
            format!("cannot be patched; there are: {}", known.join(", ")),
        );
    }
    errors.into_result(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let body: SchedulePatchBody = from_value(&json!({
            "name": "Ada Byron", "territory": "london-north", "timeZone": "Europe/London",
            "skills": ["gas", "boiler", "gas"], "bookingRules": {"slotIntervalMinutes": 15},
        }))
        .unwrap();
        let mut errors = FieldErrors::default();
        let profile = body.into_profile(&mut errors);
        errors.into_result(profile).unwrap()
    }

    fn patched(patch: Value) -> Result<Profile, FieldErrors> {
        SchedulePatch::parse(patch)?.apply(&profile())
    }

    fn pointer(patch: &Value) -> String {
        let errors = patched(patch.clone()).expect_err(&patch.to_string());
        errors
            .iter()
            .map(|error| error.pointer.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn what_is_left_out_stays_and_null_resets_to_the_default() {
        assert_eq!(profile().skills, ["boiler", "gas"]);
        assert_eq!(patched(json!({})).unwrap(), profile());
        let rules = patched(json!({"bookingRules": {"bufferAfterMinutes": 5}})).unwrap();
        assert_eq!(rules.booking_rules.buffer_after_minutes, 5);
        assert_eq!(rules.booking_rules.slot_interval_minutes, 15);
        let reset = patched(json!({"skills": null, "bookingRules": {"slotIntervalMinutes": null}}));
        let reset = reset.unwrap();
        assert!(reset.skills.is_empty());
        assert_eq!(reset.booking_rules, BookingRules::default());
        let hours = patched(json!({"workingHours": []})).unwrap().working_hours;
        assert!(hours.is_empty());
    }

    #[test]
    fn what_cannot_be_removed_or_is_not_there_is_refused() {
        assert_eq!(pointer(&json!({"name": null})), "/name");
        assert_eq!(pointer(&json!({"timeZone": null})), "/timeZone");
        assert_eq!(
            pointer(&json!({"jobs": null, "version": 3})),
            "/jobs /version"
        );
        assert_eq!(
            pointer(&json!({"bookingRules": {"foo": null}})),
            "/bookingRules/foo"
        );
        assert_eq!(pointer(&json!({"bookingRules": 3})), "/bookingRules");
        assert_eq!(pointer(&json!([])), "");
    }

    #[test]
    fn every_value_out_of_bounds_is_told() {
        let patch = json!({
            "name": "", "territory": "London", "timeZone": "Mars/Olympus",
            "skills": ["ok", "not ok"],
            "workingHours": [
                {"days": [], "start": "08:00", "end": "17:00"},
                {"days": ["MO", "MO"], "start": "24:00", "end": "17:00"},
            ],
            "bookingRules": {"slotIntervalMinutes": 0, "minNoticeMinutes": 525_601,
                             "bufferBeforeMinutes": 1441},
        });
        let expected = [
            "/name",
            "/territory",
            "/skills/1",
            "/timeZone",
            "/workingHours/0/days",
            "/workingHours/1/days",
            "/workingHours/1/start",
            "/bookingRules/slotIntervalMinutes",
            "/bookingRules/minNoticeMinutes",
            "/bookingRules/bufferBeforeMinutes",
        ];
        assert_eq!(pointer(&patch), expected.join(" "));
    }
}
