//! What every route may refuse, for the OpenAPI description.

use shared_events::service::ProblemDocument;
use utoipa::IntoResponses;

/// What a read may refuse.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(super) enum ReadRefusals {
    /// A header or the query cannot be read
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemDocument),
    /// There is no such thing
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemDocument),
    /// A query parameter is unknown or out of bounds; `errors[]` names it
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemDocument),
    /// The database cannot do it now; `Retry-After` says when to try again
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// What a write may refuse.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(super) enum WriteRefusals {
    /// The body is not JSON, or a header cannot be read
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemDocument),
    /// There is no such thing
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemDocument),
    /// The schedule is not at the version that If-Match names; `currentVersion` and ETag say at which
    #[response(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(ProblemDocument),
    /// The body is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemDocument),
    /// The body is of another media type
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(ProblemDocument),
    /// Fields are not acceptable; `errors[]` points at each
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemDocument),
    /// The database cannot do it now; `Retry-After` says when to try again
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}
