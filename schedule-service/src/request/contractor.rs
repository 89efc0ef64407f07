//! The body of `POST /contractors`, which is also a line of an import.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Deserialize;
use shared_events::schedule::{Status, WorkingHours};
use uuid::Uuid;

use super::bounds;
use super::date_override::DatedOverrideBody;
use super::job::JobBody;
use super::schedule_patch::{BookingRulesBody, SchedulePatchBody};
use super::time_off::TimeOffBody;
use crate::domain::FieldErrors;
use crate::domain::command::{JobTerms, NewContractor};
use crate::domain::limits::{MAX_DATE_OVERRIDES, MAX_UPCOMING_JOBS, MAX_UPCOMING_TIME_OFF};

/// A contractor to be created, with the whole schedule.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewContractorBody {
    /// The id to create the contractor under, for who brings ids along; a new one if left out.
    pub contractor_id: Option<Uuid>,
    /// The contractor's name, for people.
    #[schema(min_length = 1, max_length = 200, examples("Ada Byron"))]
    pub name: String,
    /// The territory's slug.
    #[schema(pattern = "^[a-z0-9-]{1,64}$", examples("london-north"))]
    pub territory: String,
    /// IANA name of the zone in which the local times are meant.
    #[schema(examples("Europe/London"))]
    pub time_zone: String,
    /// Skill slugs; none if left out.
    #[schema(max_items = 50)]
    pub skills: Option<Vec<String>>,
    /// Whether the contractor takes work; `active` if left out.
    pub status: Option<Status>,
    /// Weekly local working hours; Monday to Friday, 08:00 to 17:00, if left out.
    #[schema(max_items = 50)]
    pub working_hours: Option<Vec<WorkingHours>>,
    /// Local days that are replaced whole, one entry a date.
    #[schema(max_items = 400)]
    pub date_overrides: Option<Vec<DatedOverrideBody>>,
    /// Blocked instants.
    #[schema(max_items = 400)]
    pub time_off: Option<Vec<TimeOffBody>>,
    /// Jobs that are booked already; no two may overlap.
    #[schema(max_items = 1000)]
    pub jobs: Option<Vec<JobBody>>,
    /// How jobs are offered and spaced; 30-minute slots and buffers if left out.
    pub booking_rules: Option<BookingRulesBody>,
}

impl NewContractorBody {
    /// Checks the values.
    pub fn into_contractor(self) -> Result<NewContractor, FieldErrors> {
        let mut errors = FieldErrors::default();
        errors.require(
            self.contractor_id != Some(Uuid::nil()),
            "/contractorId",
            || "must not be the nil UUID".to_owned(),
        );
        let profile = SchedulePatchBody {
            name: Some(self.name),
            territory: Some(self.territory),
            skills: self.skills,
            status: self.status,
            time_zone: Some(self.time_zone),
            working_hours: self.working_hours,
            booking_rules: self.booking_rules,
        }
        .into_profile(&mut errors);
        let overrides = self.date_overrides.unwrap_or_default();
        let time_off = self.time_off.unwrap_or_default();
        let jobs = self.jobs.unwrap_or_default();
        bounds::count(
            &mut errors,
            "/dateOverrides",
            overrides.len(),
            MAX_DATE_OVERRIDES,
        );
        bounds::count(
            &mut errors,
            "/timeOff",
            time_off.len(),
            MAX_UPCOMING_TIME_OFF,
        );
        bounds::count(&mut errors, "/jobs", jobs.len(), MAX_UPCOMING_JOBS);

        let mut dates = BTreeMap::new();
        let mut date_overrides = Vec::with_capacity(overrides.len());
        for (index, body) in overrides.into_iter().enumerate() {
            let pointer = format!("/dateOverrides/{index}");
            let entry = body.check(&mut errors, &pointer);
            // A date that could not be read has been told already.
            let known = entry.date != NaiveDate::default();
            if known && let Some(first) = dates.insert(entry.date, index) {
                errors.add(
                    pointer + "/date",
                    format!("is the date of /dateOverrides/{first} too"),
                );
            }
            date_overrides.push(entry);
        }
        let mut checked_time_off = Vec::with_capacity(time_off.len());
        for (index, body) in time_off.into_iter().enumerate() {
            checked_time_off.push(body.check(&mut errors, &format!("/timeOff/{index}")));
        }
        let mut checked_jobs = Vec::with_capacity(jobs.len());
        for (index, body) in jobs.into_iter().enumerate() {
            checked_jobs.push(body.check(&mut errors, &format!("/jobs/{index}")));
        }
        refuse_overlaps(&mut errors, &checked_jobs);

        errors.into_result(NewContractor {
            contractor_id: self.contractor_id,
            profile,
            date_overrides,
            time_off: checked_time_off,
            jobs: checked_jobs,
        })
    }
}

/// Refuses jobs of one body that overlap each other. This is no guard against double booking, which
/// the database is; it tells which entries of the body are wrong.
fn refuse_overlaps(errors: &mut FieldErrors, jobs: &[JobTerms]) {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&index| jobs[index].start);
    for pair in order.windows(2) {
        if let [earlier, later] = *pair
            && jobs[later].start < jobs[earlier].end
        {
            errors.add(
                format!("/jobs/{later}/start"),
                format!("overlaps /jobs/{earlier}"),
            );
        }
    }
}
