//! The body of `PUT /contractors/{id}/date-overrides/{date}`, and the same with its date.

use chrono::NaiveDate;
use serde::Deserialize;
use shared_events::schedule::{DateOverride, LocalWindow};

use super::bounds;
use super::json::pointer_to;
use crate::domain::FieldErrors;
use crate::domain::command::OverrideTerms;
use crate::domain::limits::MAX_OVERRIDE_WINDOWS;

/// Replaces one local day whole.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DateOverrideBody {
    /// The windows of that day; empty for a day off.
    #[schema(max_items = 24)]
    pub windows: Vec<LocalWindow>,
    /// Why, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: Option<String>,
}

impl DateOverrideBody {
    /// Checks the values.
    pub fn into_terms(self) -> Result<OverrideTerms, FieldErrors> {
        let mut errors = FieldErrors::default();
        check(&mut errors, "", &self.windows, self.reason.as_deref());
        errors.into_result(OverrideTerms {
            windows: self.windows,
            reason: self.reason,
        })
    }
}

/// A date override with its date, as part of a whole schedule.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatedOverrideBody {
    /// The local day.
    #[schema(format = Date, examples("2026-12-24"))]
    pub date: String,
    /// The windows of that day; empty for a day off.
    #[schema(max_items = 24)]
    pub windows: Vec<LocalWindow>,
    /// Why, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: Option<String>,
}

impl DatedOverrideBody {
    pub(super) fn check(self, errors: &mut FieldErrors, base: &str) -> DateOverride {
        let date = bounds::date(&self.date).unwrap_or_else(|message| {
            errors.add(pointer_to(base, "date"), message);
            NaiveDate::default()
        });
        check(errors, base, &self.windows, self.reason.as_deref());
        DateOverride {
            date,
            windows: self.windows,
            reason: self.reason,
        }
    }
}

/// The date in a path.
pub fn parse_date(text: &str) -> Result<NaiveDate, String> {
    bounds::date(text)
}

fn check(errors: &mut FieldErrors, base: &str, windows: &[LocalWindow], reason: Option<&str>) {
    let list = pointer_to(base, "windows");
    bounds::count(errors, &list, windows.len(), MAX_OVERRIDE_WINDOWS);
    for (index, window) in windows.iter().enumerate() {
        bounds::window_start(errors, &format!("{list}/{index}/start"), window.start);
    }
    if let Some(reason) = reason {
        bounds::text(errors, &pointer_to(base, "reason"), reason);
    }
}
