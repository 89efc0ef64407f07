//! The contractor's id in a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use shared_events::service::Problem;
use uuid::Uuid;

/// `{contractorId}`. What is no UUID names no contractor: 404, as with an id that no one has.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContractorId(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for ContractorId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| Problem::not_found(rejection.body_text()))?;
        Uuid::try_parse(&text)
            .map(Self)
            .map_err(|_| Problem::not_found(format!("there is no contractor {text}")))
    }
}
