//! The users that the services run as, with the rights that `deploy/rights` gives them everywhere.

use anyhow::{Context, Result, anyhow};
use reqwest::Url;
use serde_json::{Value, json};

use crate::backends::Backends;
use crate::service::ServiceKind;

/// They are called as the services are. The password of each on servers that are started from here, which only this machine reaches.
const PASSWORD: &str = "limited";

/// Makes the roles of PostgreSQL.
pub(crate) const POSTGRES: &str = include_str!("../../rights/postgres.sql");

/// Owns the database of schedule-service and runs its migrations.
pub const OWNER: &str = "rosterwire";

impl Backends {
    /// The same servers, as one service may use them.
    ///
    /// # Errors
    /// When an address is none.
    pub fn as_used_by(&self, kind: ServiceKind) -> Result<Self> {
        Ok(Self {
            database_url: as_user(&self.database_url, "schedule_service")?,
            amqp_url: as_user(&self.amqp_url, kind.name())?,
            redis_url: as_user(&self.redis_url, kind.name())?,
        })
    }
}

/// The same address, with another user.
///
/// # Errors
/// When it is none.
pub fn as_user(url: &str, user: &str) -> Result<String> {
    let mut url = Url::parse(url).context("not an URL")?;
    url.set_username(user)
        .and_then(|()| url.set_password(Some(PASSWORD)))
        .map_err(|()| anyhow!("an URL without a place for a user"))?;
    Ok(url.to_string())
}

/// The definitions that give the users of RabbitMQ their rights in a virtual host.
pub(crate) fn rabbitmq(vhost: &str) -> Result<Value> {
    let mut rights: Value = serde_json::from_str(include_str!("../../rights/rabbitmq.json"))?;
    for part in ["permissions", "topic_permissions"] {
        for right in rights[part].as_array_mut().into_iter().flatten() {
            right["vhost"] = vhost.into();
        }
    }
    rights["vhosts"] = json!([{"name": vhost}]);
    let users =
        ServiceKind::ALL.map(|kind| json!({"name": kind.name(), "password": PASSWORD, "tags": []}));
    rights["users"] = json!(users);
    Ok(rights)
}

/// The user of Redis, as words of its configuration.
pub(crate) fn redis() -> Vec<String> {
    let rules = include_str!("../../rights/redis.acl");
    let rules = rules.lines().filter(|line| !line.starts_with('#'));
    let user = ServiceKind::AvailabilityWorker.name();
    let mut words = vec![user.to_owned(), "on".to_owned(), format!(">{PASSWORD}")];
    words.extend(rules.flat_map(str::split_whitespace).map(str::to_owned));
    words
}
