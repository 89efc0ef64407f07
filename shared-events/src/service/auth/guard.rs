//! The check in front of the routes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::SCHEME;
use super::access::Access;
use super::caller::{Caller, Permission, forbidden};
use crate::service::limits::Limits;
use crate::service::problem::Problem;

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

/// What the check asks.
#[derive(Debug)]
pub(in crate::service) struct Door {
    pub(in crate::service) access: Arc<Access>,
    pub(in crate::service) needs: Needs,
    pub(in crate::service) limits: Limits,
}

/// Lets a request under `/v1` through whose caller is known, may call that route and has room for it.
pub(in crate::service) async fn guard(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str).to_owned();
    // A browser asks before it sends a token whether it may.
    if !path.starts_with("/v1/") || request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let needed = door.needs.to_call(request.method(), &path);
    if needed == Need::Nothing {
        let peer = address_of(&request);
        let response = next.run(request).await;
        // Signing in is a place to try tokens, too.
        if response.status() == StatusCode::UNAUTHORIZED
            && let Err(problem) = door.limits.bad_token(peer)
        {
            return problem.into_response();
        }
        return response;
    }
    let caller = door
        .access
        .caller(request.method(), request.uri(), request.headers());
    let caller = match caller.await {
        Ok(caller) => caller,
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            let counted = door.limits.bad_token(address_of(&request));
            return counted.map_or_else(Problem::into_response, |()| problem.into_response());
        }
        Err(problem) => return problem.into_response(),
    };
    if !needed.is_met_by(&caller) {
        return forbidden()
            .detail("your role does not include this")
            .into_response();
    }
    match door.limits.admit(&caller) {
        Ok(_place) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn address_of(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |peer| peer.0.ip())
}
