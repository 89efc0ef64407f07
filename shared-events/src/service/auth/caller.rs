//! Who calls, and what that allows.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::service::problem::Problem;

/// What a caller is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything.
    Admin,
    /// Reads, writes and follows the events of its territories.
    Dispatcher,
    /// Reads and follows the events of its territories.
    Manager,
    /// Another service: reads schedules and availability in bulk.
    Service,
}

/// What it takes to call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To read schedules or availability.
    Read,
    /// To change schedules.
    Write,
    /// To follow events.
    Follow,
    /// To look at the running service itself.
    Operate,
}

impl Permission {
    /// All of them, with the names that OpenAPI descriptions use.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("follow", Self::Follow),
        ("operate", Self::Operate),
    ];
}

impl Role {
    /// Whether the role includes a permission.
    #[must_use]
    pub fn grants(self, permission: Permission) -> bool {
        match self {
            Self::Admin => true,
            Self::Dispatcher => permission != Permission::Operate,
            Self::Manager => matches!(permission, Permission::Read | Permission::Follow),
            Self::Service => permission == Permission::Read,
        }
    }
}

/// The territories that a caller has to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Territories {
    /// All that there are.
    All,
    /// These.
    Only(BTreeSet<String>),
}

/// Who calls. Clones are the same caller.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Identity>);

#[derive(Debug)]
struct Identity {
    subject: String,
    roles: BTreeSet<Role>,
    territories: Territories,
    expires_at: Option<DateTime<Utc>>,
}

impl Caller {
    /// A caller by what its token says.
    #[must_use]
    pub fn new(
        subject: String,
        roles: BTreeSet<Role>,
        territories: Territories,
        expires_at: Option<DateTime<Utc>>,
    ) -> Self {
        Self(Arc::new(Identity {
            subject,
            roles,
            territories,
            expires_at,
        }))
    }

    /// Everybody, where access is not checked.
    #[must_use]
    pub fn anybody() -> Self {
        let roles = BTreeSet::from([Role::Admin]);
        Self::new("anonymous".to_owned(), roles, Territories::All, None)
    }

    /// Who it is, as the history tells it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What it is.
    #[must_use]
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.0.roles
    }

    /// Whether one of the roles includes `permission`.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.0.roles.iter().any(|role| role.grants(permission))
    }

    /// The territories that it has to do with.
    #[must_use]
    pub fn territories(&self) -> &Territories {
        &self.0.territories
    }

    /// The territories that it has to do with, as a list; none where those are all.
    #[must_use]
    pub fn only(&self) -> Option<Vec<String>> {
        match &self.0.territories {
            Territories::All => None,
            Territories::Only(territories) => Some(territories.iter().cloned().collect()),
        }
    }

    /// Whether it has to do with `territory`.
    #[must_use]
    pub fn sees(&self, territory: &str) -> bool {
        match &self.0.territories {
            Territories::All => true,
            Territories::Only(territories) => territories.contains(territory),
        }
    }

    /// 403, unless it has to do with `territory`, which it has named itself.
    pub fn must_see(&self, territory: &str) -> Result<(), Problem> {
        if self.sees(territory) {
            return Ok(());
        }
        Err(forbidden().detail(format!("the territory {territory} is not one of yours")))
    }

    /// From when on the token is no longer good; none where access is not checked.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }
}

/// 403: known, but not allowed.
#[must_use]
pub fn forbidden() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed")
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Absent only where a route is served without the check in front of it.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(forbidden)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Permission, Role};

    #[test]
    fn each_role_grants_what_the_table_says() {
        let table = [
            (Role::Admin, [true, true, true, true]),
            (Role::Dispatcher, [true, true, true, false]),
            (Role::Manager, [true, false, true, false]),
            (Role::Service, [true, false, false, false]),
        ];
        for (role, granted) in table {
            let found = Permission::NAMES.map(|(_, permission)| role.grants(permission));
            assert_eq!(found, granted, "{role:?}");
        }
    }
}
