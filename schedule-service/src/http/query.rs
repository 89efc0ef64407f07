//! Query parameters: known ones, once each.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use shared_events::service::Problem;
use uuid::Uuid;

/// For routes that take no query parameters: there is none.
#[derive(Debug)]
pub(super) struct NoParameters;

impl<S: Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Parameters::read(&parts.uri, &[]).map(|_| Self)
    }
}

/// The query parameters of one request.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the parameters; refuses those that are not `known`, and repeats.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-query",
                "The query cannot be read",
            )
            .detail(error.body_text())
        })?;
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let reason = match known {
                    [] => "no such parameter; there are none".to_owned(),
                    _ => format!("no such parameter; there are: {}", known.join(", ")),
                };
                return Err(refused(name, reason));
            }
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(refused(name, "must be given once".to_owned()));
            }
        }
        Ok(Self(pairs))
    }

    /// A parameter as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// How many items: 1 to `most`.
    pub(super) fn limit(&self, default: i64, most: i64) -> Result<i64, Problem> {
        self.integer("limit", default, 1, most)
    }

    /// A whole number between two bounds.
    pub(super) fn integer(
        &self,
        name: &str,
        default: i64,
        least: i64,
        most: i64,
    ) -> Result<i64, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| {
                refused(
                    name,
                    format!("must be a whole number from {least} to {most}"),
                )
            })
    }

    /// An id.
    pub(super) fn id(&self, name: &str) -> Result<Option<Uuid>, Problem> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| refused(name, "must be a UUID".to_owned()))
            })
            .transpose()
    }
}

/// 422 for one parameter.
pub(super) fn refused(name: &str, reason: String) -> Problem {
    Problem::invalid().field(format!("/{name}"), reason)
}
