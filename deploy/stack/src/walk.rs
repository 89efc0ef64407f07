//! Every operation of a description, called by every kind of caller: what tests of access walk.

use serde_json::Value;
use shared_events::service::auth::Role;

/// The territories that callers have. Tests put what they look at into the first, and what must stay unseen beside it into
/// the second.
pub const TERRITORIES: [&[&str]; 5] = [&["leeds"], &["york"], &["leeds", "york"], &["*"], &[]];

/// One caller at one operation.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The operation's id.
    pub operation: String,
    /// In capitals.
    pub method: String,
    /// As described, with its parameters in braces.
    pub path: String,
    /// The only role of the caller.
    pub role: Role,
    /// The territories of the caller.
    pub territories: &'static [&'static str],
    /// What the operation declares that it takes.
    needs: Option<String>,
}

impl Visit {
    /// Whether the role includes what the operation takes, by the table of the public contract.
    ///
    /// # Panics
    /// When the operation declares something unknown.
    #[must_use]
    pub fn may(&self) -> bool {
        let is_one_of = |roles: &[Role]| roles.contains(&self.role);
        match self.needs.as_deref() {
            None | Some("read") => true,
            Some("follow") => is_one_of(&[Role::Admin, Role::Dispatcher, Role::Manager]),
            Some("write") => is_one_of(&[Role::Admin, Role::Dispatcher]),
            Some("operate") => is_one_of(&[Role::Admin]),
            Some(other) => panic!("{} declares {other}", self.operation),
        }
    }

    /// Whether the caller has to do with `territory`.
    #[must_use]
    pub fn sees(&self, territory: &str) -> bool {
        self.territories
            .iter()
            .any(|own| [territory, "*"].contains(own))
    }
}

/// Every operation of an OpenAPI description, by each role with each of [`TERRITORIES`].
#[must_use]
pub fn visits(description: &Value) -> Vec<Visit> {
    let mut visits = Vec::new();
    for (path, item) in description["paths"].as_object().into_iter().flatten() {
        let operations = item.as_object().into_iter().flatten();
        for (method, operation) in operations.filter(|(_, it)| it["responses"].is_object()) {
            for role in [Role::Admin, Role::Dispatcher, Role::Manager, Role::Service] {
                for territories in TERRITORIES {
                    visits.push(Visit {
                        operation: operation["operationId"]
                            .as_str()
                            .unwrap_or_default()
                            .to_owned(),
                        method: method.to_uppercase(),
                        path: path.clone(),
                        role,
                        territories,
                        needs: operation["security"][0]["token"][0]
                            .as_str()
                            .map(str::to_owned),
                    });
                }
            }
        }
    }
    visits
}
