//! The bodies of `POST /contractors/{id}/jobs` and `PATCH /jobs/{id}`.

use serde::Deserialize;
use serde_json::{Value, json};
use shared_events::schedule::{Job, rfc3339_seconds};
use uuid::Uuid;

use super::bounds;
use super::json::{from_value, pointer_to};
use super::schedule_patch::refuse_unknown;
use crate::domain::command::JobTerms;
use crate::domain::limits::MAX_JOB_MINUTES;
use crate::domain::{FieldErrors, merge_patch};

/// A job to be booked.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobBody {
    /// What is to be done, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// When the work starts, a whole minute, at any offset.
    #[schema(format = DateTime, examples("2026-12-01T09:00:00Z"))]
    pub start: String,
    /// When the work has ended, a whole minute, one minute to 31 days later.
    #[schema(format = DateTime, examples("2026-12-01T11:00:00Z"))]
    pub end: String,
    /// Minutes before `start` that are blocked too; as the booking rules say where none is given.
    #[schema(maximum = 1440)]
    pub buffer_before_minutes: Option<u32>,
    /// Minutes after `end` that are blocked too; as the booking rules say where none is given.
    #[schema(maximum = 1440)]
    pub buffer_after_minutes: Option<u32>,
}

impl JobBody {
    /// Checks the values.
    pub fn into_terms(self) -> Result<JobTerms, FieldErrors> {
        let mut errors = FieldErrors::default();
        let terms = self.check(&mut errors, "");
        errors.into_result(terms)
    }

    pub(super) fn check(self, errors: &mut FieldErrors, base: &str) -> JobTerms {
        bounds::text(errors, &pointer_to(base, "title"), &self.title);
        let given = (self.start.as_str(), self.end.as_str());
        let (start, end) = bounds::interval(errors, base, given, (MAX_JOB_MINUTES, "31 days"));
        for (name, minutes) in [
            ("bufferBeforeMinutes", self.buffer_before_minutes),
            ("bufferAfterMinutes", self.buffer_after_minutes),
        ] {
            if let Some(minutes) = minutes {
                bounds::buffer(errors, &pointer_to(base, name), minutes);
            }
        }
        JobTerms {
            title: self.title,
            start,
            end,
            buffer_before_minutes: self.buffer_before_minutes,
            buffer_after_minutes: self.buffer_after_minutes,
        }
    }
}

/// A merge patch (RFC 7396) of a job. What is left out stays; a buffer that is `null` becomes what
/// the booking rules say; nothing else can be removed.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobPatchBody {
    /// Another contractor, to whom the job moves.
    pub contractor_id: Option<Uuid>,
    /// What is to be done, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// When the work starts, a whole minute, at any offset.
    #[schema(format = DateTime, examples("2026-12-01T09:00:00Z"))]
    pub start: Option<String>,
    /// When the work has ended, a whole minute, one minute to 31 days later.
    #[schema(format = DateTime, examples("2026-12-01T11:00:00Z"))]
    pub end: Option<String>,
    /// Minutes before `start` that are blocked too.
    #[schema(maximum = 1440)]
    pub buffer_before_minutes: Option<u32>,
    /// Minutes after `end` that are blocked too.
    #[schema(maximum = 1440)]
    pub buffer_after_minutes: Option<u32>,
}

/// The fields of [`JobPatchBody`].
const PATCHABLE: [&str; 6] = [
    "bufferAfterMinutes",
    "bufferBeforeMinutes",
    "contractorId",
    "end",
    "start",
    "title",
];

/// A merge patch of a job, known to name only fields that there are, with values of their types.
#[derive(Debug, Clone)]
pub struct JobPatch(Value);

impl JobPatch {
    /// Reads the patch on its own, before it is known what it is applied to.
    pub fn parse(patch: Value) -> Result<Self, FieldErrors> {
        refuse_unknown(&patch, "", &PATCHABLE)?;
        from_value::<JobPatchBody>(&patch)?;
        Ok(Self(patch))
    }

    /// The contractor that the job moves to, if the patch names one.
    #[must_use]
    pub fn contractor_id(&self) -> Option<Uuid> {
        self.0
            .get("contractorId")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok())
    }

    /// The job's contractor and terms after the patch.
    pub fn apply(self, contractor_id: Uuid, job: &Job) -> Result<(Uuid, JobTerms), FieldErrors> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Patched {
            contractor_id: Uuid,
        }
        let mut document = json!({
            "contractorId": contractor_id,
            "title": job.title,
            "start": rfc3339(job.start),
            "end": rfc3339(job.end),
            "bufferBeforeMinutes": job.buffer_before_minutes,
            "bufferAfterMinutes": job.buffer_after_minutes,
        });
        merge_patch::apply(&mut document, self.0);
        let Patched { contractor_id } = from_value(&document)?;
        if let Value::Object(members) = &mut document {
            members.remove("contractorId");
        }
        let terms = from_value::<JobBody>(&document)?.into_terms()?;
        Ok((contractor_id, terms))
    }
}

fn rfc3339(instant: chrono::DateTime<chrono::Utc>) -> Value {
    rfc3339_seconds::serialize(&instant, serde_json::value::Serializer).unwrap_or(Value::Null)
}
