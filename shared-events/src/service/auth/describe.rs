//! Access in an OpenAPI description.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
};

use super::SCHEME;

/// Adds the security scheme, and to each operation that declares it what a caller is told who has
/// no valid token (401), may not do this (403) or asks too much (429).
pub fn describe(openapi: &mut OpenApi) {
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.bearer_format = Some("JWT".to_owned());
    http.description = Some(
        "A JSON Web Token with `exp`, `aud`, `roles` and `territories`. It is also taken from the \
         cookie `rosterwire_token`, for what is no GET with an `Origin` that is allowed. Each operation names what it takes: `read` (admin, \
         dispatcher, manager, service), `write` (admin, dispatcher), `follow` (admin, dispatcher, \
         manager), `operate` (admin). What lies outside of the token's territories is not found."
            .to_owned(),
    );
    let components = openapi
        .components
        .get_or_insert_with(|| ComponentsBuilder::new().build());
    components.add_security_scheme(SCHEME, SecurityScheme::Http(http));
    for item in openapi.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().filter_map(Option::as_mut) {
            describe_operation(operation);
        }
    }
}

fn describe_operation(operation: &mut Operation) {
    let declared = operation.security.as_ref();
    // A requirement without a scheme: nothing is asked for.
    if declared.is_none_or(|security| security.contains(&SecurityRequirement::default())) {
        return;
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in [
        (
            "401",
            "There is no valid token; `WWW-Authenticate` says what is wanted",
        ),
        (
            "403",
            "The token's role does not include this, or a territory is not one of its",
        ),
        (
            "429",
            "The caller asks too fast or too much at once, or too many tokens that are not valid come from \
             its address; `Retry-After` says when to come again",
        ),
    ] {
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(description)));
    }
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name("ProblemDocument");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}
