//! The bodies of requests: parsed once, into values that are known to be acceptable.
//!
//! A body is read in two steps. First its form: the types here say which fields there are and of
//! what type, for the parser and for the OpenAPI description alike; the first thing that does not
//! fit ends it. Then its values: all that is out of bounds is told together, each with its pointer.

mod bounds;
pub mod contractor;
pub mod date_override;
pub mod job;
mod json;
pub mod schedule_patch;
pub mod time_off;

pub use contractor::NewContractorBody;
pub use date_override::{DateOverrideBody, DatedOverrideBody};
pub use job::{JobBody, JobPatchBody};
pub use json::{BodyError, from_slice, from_value, parse};
pub use schedule_patch::{BookingRulesBody, SchedulePatchBody};
pub use time_off::TimeOffBody;
