//! The check in front of the routes.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;

use super::SCHEME;
use super::access::Access;
use super::caller::{Permission, forbidden};

/// What it takes to call each route, as its description says.
#[derive(Debug, Default)]
pub struct Needs(HashMap<(String, String), Permission>);

impl Needs {
    /// Reads a description. Operations that declare nothing that is known are left out.
    #[must_use]
    pub fn of(openapi: &OpenApi) -> Self {
        let document = serde_json::to_value(openapi).unwrap_or_default();
        let mut needs = HashMap::new();
        let paths = document["paths"].as_object().into_iter().flatten();
        for (path, item) in paths {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let declared = operation["security"].as_array().into_iter().flatten();
                let names = declared
                    .filter_map(|requirement| requirement[SCHEME].as_array())
                    .flatten()
                    .filter_map(serde_json::Value::as_str);
                let permission = names
                    .filter_map(|name| Permission::NAMES.iter().find(|(n, _)| *n == name))
                    .map(|(_, permission)| *permission)
                    .next();
                if let Some(permission) = permission {
                    needs.insert((method.to_uppercase(), path.clone()), permission);
                }
            }
        }
        Self(needs)
    }

    /// What it takes to call a route; what declares nothing is for administrators alone.
    #[must_use]
    pub fn to_call(&self, method: &Method, path: &str) -> Permission {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let key = (method.as_str().to_owned(), path.to_owned());
        self.0.get(&key).copied().unwrap_or(Permission::Operate)
    }

    /// The operations of `openapi` that declare nothing: there must be none.
    #[must_use]
    pub fn undeclared(openapi: &OpenApi) -> Vec<String> {
        let needs = Self::of(openapi);
        let document = serde_json::to_value(openapi).unwrap_or_default();
        let mut missing = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let methods = item.as_object().into_iter().flatten();
            for (method, _) in methods.filter(|(_, operation)| operation["responses"].is_object()) {
                let key = (method.to_uppercase(), path.clone());
                if !needs.0.contains_key(&key) {
                    missing.push(format!("{} {path}", key.0));
                }
            }
        }
        missing
    }
}

/// Lets a request under `/v1` through whose caller is known and may call that route.
pub(in crate::service) async fn guard(
    State((access, needs)): State<(Arc<Access>, Arc<Needs>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str).to_owned();
    // A browser asks before it sends a token whether it may.
    if !path.starts_with("/v1/") || request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let needed = needs.to_call(request.method(), &path);
    match access.caller(request.method(), request.headers()).await {
        Err(problem) => problem.into_response(),
        Ok(caller) if caller.may(needed) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(_) => forbidden()
            .detail("your role does not include this")
            .into_response(),
    }
}
