//! Query parameters: read strictly, all faults told at once.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use shared_events::service::{FieldError, Problem};

/// The parameters of one request, and what is wrong with them.
#[derive(Debug)]
pub(super) struct Parameters {
    values: HashMap<String, String>,
    faults: Vec<FieldError>,
}

impl Parameters {
    /// Takes a query string apart. Names that are not `known` and names that come twice are faults.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Self {
        let mut parameters = Self {
            values: HashMap::new(),
            faults: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let name: String = name.chars().take(64).collect();
                parameters.fault(
                    &name,
                    format!(
                        "is not a parameter of this route, which are {}",
                        known.join(", ")
                    ),
                );
            } else if parameters
                .values
                .insert(name.clone().into_owned(), value.into_owned())
                .is_some()
            {
                parameters.fault(&name, "must be given once only");
            }
        }
        parameters
    }

    /// Adds a fault of a parameter.
    pub(super) fn fault(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        self.faults.push(FieldError {
            pointer,
            detail: detail.into(),
        });
    }

    /// An RFC 3339 instant.
    pub(super) fn instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        // A "+" of an offset that was not escaped reads as a space.
        let text = self.values.remove(name)?.replace(' ', "+");
        let at = DateTime::parse_from_rfc3339(&text)
            .ok()
            .map(|at| at.to_utc());
        if at.is_none() {
            self.fault(
                name,
                "is not an RFC 3339 instant, such as 2026-12-01T09:00:00Z",
            );
        }
        at
    }

    /// A whole number within `bounds`.
    pub(super) fn integer(&mut self, name: &str, bounds: RangeInclusive<i64>) -> Option<i64> {
        let number = self
            .values
            .remove(name)?
            .parse::<i64>()
            .ok()
            .filter(|n| bounds.contains(n));
        if number.is_none() {
            self.fault(
                name,
                format!(
                    "must be a whole number from {} to {}",
                    bounds.start(),
                    bounds.end()
                ),
            );
        }
        number
    }

    /// Text as it is.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }

    /// The problem, if anything was wrong.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.faults.is_empty() {
            return Ok(());
        }
        Err(Problem::invalid().fields(self.faults))
    }
}
