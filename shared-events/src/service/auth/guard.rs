//! The check in front of the routes.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::SCHEME;
use super::access::Access;
use super::caller::{Caller, Permission, forbidden};

/// What it takes to call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing, declared by `security(())`: what it takes to sign in.
    Nothing,
    /// A valid token, whatever its roles, declared by `security(("token" = []))`.
    Token,
    /// A token whose roles include this, declared by its name.
    Permission(Permission),
}

/// What it takes to call each route, as its description says.
#[derive(Debug, Default)]
pub struct Needs(HashMap<(String, String), Need>);

impl Needs {
    /// Reads a description. Operations that declare nothing that is known are left out.
    #[must_use]
    pub fn of(openapi: &OpenApi) -> Self {
        let document = serde_json::to_value(openapi).unwrap_or_default();
        let mut needs = HashMap::new();
        let paths = document["paths"].as_object().into_iter().flatten();
        for (path, item) in paths {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if let Some(need) = Need::declared(&operation["security"]) {
                    needs.insert((method.to_uppercase(), path.clone()), need);
                }
            }
        }
        Self(needs)
    }

    /// What it takes to call a route; what declares nothing is for administrators alone.
    #[must_use]
    pub fn to_call(&self, method: &Method, path: &str) -> Need {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let key = (method.as_str().to_owned(), path.to_owned());
        let need = self.0.get(&key).copied();
        need.unwrap_or(Need::Permission(Permission::Operate))
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

impl Need {
    /// What the security requirements of an operation say; none where that is not understood.
    fn declared(security: &Value) -> Option<Self> {
        let [requirement] = security.as_array()?.as_slice() else {
            return None;
        };
        if requirement.as_object()?.is_empty() {
            return Some(Self::Nothing);
        }
        match requirement[SCHEME].as_array()?.as_slice() {
            [] => Some(Self::Token),
            [name] => Permission::NAMES
                .iter()
                .find(|(known, _)| Some(*known) == name.as_str())
                .map(|(_, permission)| Self::Permission(*permission)),
            _ => None,
        }
    }

    fn is_met_by(self, caller: &Caller) -> bool {
        match self {
            Self::Nothing | Self::Token => true,
            Self::Permission(permission) => caller.may(permission),
        }
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
    if needed == Need::Nothing {
        return next.run(request).await;
    }
    let caller = access.caller(request.method(), request.uri(), request.headers());
    match caller.await {
        Err(problem) => problem.into_response(),
        Ok(caller) if needed.is_met_by(&caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(_) => forbidden()
            .detail("your role does not include this")
            .into_response(),
    }
}
