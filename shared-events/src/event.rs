//! The integration events that travel over the exchange.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::schedule::{
    BookingRules, DateOverride, Job, Schedule, Status, TimeOff, WorkingHours, rfc3339_millis,
    rfc3339_seconds,
};
use crate::topology;

/// What an event's `data` must say of itself to travel in an [`Envelope`](crate::envelope::Envelope).
pub trait IntegrationEvent: Serialize + DeserializeOwned {
    /// The CloudEvents `type`, with its version: `rosterwire.….v1`.
    const TYPE: &'static str;
    /// The CloudEvents `source`: the service that publishes it.
    const SOURCE: &'static str;

    /// The AMQP routing key, which ends in the territory.
    fn routing_key(&self) -> String;
    /// The contractor that it is about: the CloudEvents `subject`.
    fn contractor_id(&self) -> Uuid;
    /// The version of that contractor's schedule. Of two events, the higher version is right.
    fn version(&self) -> i64;
}

/// A contractor's schedule has changed: once per committed change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleUpdated {
    /// Whose schedule has changed.
    pub contractor_id: Uuid,
    /// The names of the changed fields, sorted.
    pub updated_fields: Vec<Field>,
    /// The changed fields as they were.
    pub previous_values: FieldValues,
    /// Commit time of the change.
    #[serde(with = "rfc3339_millis")]
    pub timestamp: DateTime<Utc>,
    /// The changed fields as they are now.
    pub current_values: FieldValues,
    /// The schedule's version after the change.
    pub version: i64,
    /// Who asked for the change.
    pub actor: String,
    /// The whole schedule after the change, jobs and time off that are over left out.
    pub schedule: Schedule,
}

impl IntegrationEvent for ScheduleUpdated {
    const TYPE: &'static str = "rosterwire.schedule.updated.v1";
    const SOURCE: &'static str = "/rosterwire/schedule-service";

    fn routing_key(&self) -> String {
        topology::schedule_updated_routing_key(&self.schedule.territory)
    }
    fn contractor_id(&self) -> Uuid {
        self.contractor_id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

/// A field of the schedule that can change. The order is that of the names on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "each is the schedule's field of that name")]
pub enum Field {
    BookingRules,
    DateOverrides,
    Jobs,
    Name,
    Skills,
    Status,
    Territory,
    TimeOff,
    TimeZone,
    WorkingHours,
}

/// Values of the changed fields, on one side of a change.
///
/// A field that did not change is absent. `null` stands for a field that was not there: every
/// field, before the contractor was created. For `dateOverrides`, `jobs` and `timeOff` only the
/// changed entries are listed, by date or id, with `null` for an entry that is not there on this
/// side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FieldValues {
    /// The booking rules.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub booking_rules: Option<Option<BookingRules>>,
    /// Changed date overrides by date.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(schema_with = entries::<DateOverride>))]
    pub date_overrides: Option<BTreeMap<NaiveDate, Option<DateOverride>>>,
    /// Changed jobs by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(schema_with = entries::<Job>))]
    pub jobs: Option<BTreeMap<Uuid, Option<Job>>>,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub name: Option<Option<String>>,
    /// The skills.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub skills: Option<Option<Vec<String>>>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub status: Option<Option<Status>>,
    /// The territory.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub territory: Option<Option<String>>,
    /// Changed time off by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(schema_with = entries::<TimeOff>))]
    pub time_off: Option<BTreeMap<Uuid, Option<TimeOff>>>,
    /// The IANA time zone.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub time_zone: Option<Option<String>>,
    /// The weekly working hours.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub working_hours: Option<Option<Vec<WorkingHours>>>,
}

/// A map whose values are `T` or null.
#[cfg(feature = "schema")]
fn entries<T: utoipa::ToSchema>() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{
        AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type,
    };
    let nullable = OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .item(utoipa::openapi::Ref::from_schema_name(T::name()));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::RefOr(
            Schema::OneOf(nullable.build()).into(),
        )))
        .into()
}

/// Keeps `null` apart from absent: a field that is there is `Some`, whatever it holds.
#[expect(clippy::option_option, reason = "that is what it is for")]
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// The read side holds a new version of a contractor's availability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AvailabilityUpdated {
    /// Whose availability this is.
    pub contractor_id: Uuid,
    /// The territory that the contractor belongs to at this version.
    pub territory: String,
    /// The version of the schedule that it was calculated from.
    pub version: i64,
    /// When it was calculated.
    #[serde(with = "rfc3339_millis")]
    pub calculated_at: DateTime<Utc>,
    /// The range that the windows cover.
    pub horizon: Horizon,
    /// All free windows of the horizon, ascending, disjoint, half-open, as `[start, end]` in whole
    /// minutes since 1970-01-01T00:00Z. Not clipped to now, nor to the minimum notice.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Vec<i64>>))]
    pub windows_epoch_minutes: Vec<(i64, i64)>,
    /// Jobs that the schedule no longer covers.
    pub conflicts: Vec<Conflict>,
}

impl IntegrationEvent for AvailabilityUpdated {
    const TYPE: &'static str = "rosterwire.availability.updated.v1";
    const SOURCE: &'static str = "/rosterwire/availability-worker";

    fn routing_key(&self) -> String {
        topology::availability_updated_routing_key(&self.territory)
    }
    fn contractor_id(&self) -> Uuid {
        self.contractor_id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

/// A range of instants, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Horizon {
    /// The first instant.
    #[serde(with = "rfc3339_seconds")]
    pub from: DateTime<Utc>,
    /// The first instant after it.
    #[serde(with = "rfc3339_seconds")]
    pub to: DateTime<Utc>,
}

/// A job that the schedule no longer covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Conflict {
    /// The job.
    pub job_id: Uuid,
    /// Why the schedule does not cover it.
    pub reason: ConflictReason,
}

/// Why a schedule does not cover a job. Where several hold, the one that stands first here is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ConflictReason {
    /// The contractor's status is not active.
    ContractorInactive,
    /// The job overlaps time off.
    TimeOff,
    /// The job is not wholly inside working time.
    OutsideWorkingHours,
}
