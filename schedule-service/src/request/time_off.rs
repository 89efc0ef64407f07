//! The body of `POST /contractors/{id}/time-off`.

use serde::Deserialize;

use super::bounds;
use super::json::pointer_to;
use crate::domain::FieldErrors;
use crate::domain::command::TimeOffTerms;
use crate::domain::limits::MAX_TIME_OFF_MINUTES;

/// Instants to block.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeOffBody {
    /// The first blocked instant, a whole minute, at any offset.
    #[schema(format = DateTime, examples("2026-12-28T00:00:00Z"))]
    pub start: String,
    /// The first instant after it, a whole minute, at most five years later.
    #[schema(format = DateTime, examples("2026-12-30T00:00:00Z"))]
    pub end: String,
    /// Why, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: Option<String>,
}

impl TimeOffBody {
    /// Checks the values.
    pub fn into_terms(self) -> Result<TimeOffTerms, FieldErrors> {
        let mut errors = FieldErrors::default();
        let terms = self.check(&mut errors, "");
        errors.into_result(terms)
    }

    pub(super) fn check(self, errors: &mut FieldErrors, base: &str) -> TimeOffTerms {
        let given = (self.start.as_str(), self.end.as_str());
        let (start, end) =
            bounds::interval(errors, base, given, (MAX_TIME_OFF_MINUTES, "five years"));
        if let Some(reason) = &self.reason {
            bounds::text(errors, &pointer_to(base, "reason"), reason);
        }
        TimeOffTerms {
            start,
            end,
            reason: self.reason,
        }
    }
}
