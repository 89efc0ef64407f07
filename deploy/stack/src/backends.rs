//! The addresses of the three servers that a service needs.

/// Where PostgreSQL, RabbitMQ and Redis are, as the services want it told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backends {
    /// `DATABASE_URL`.
    pub database_url: String,
    /// `AMQP_URL`, with the virtual host.
    pub amqp_url: String,
    /// `REDIS_URL`.
    pub redis_url: String,
}

impl Backends {
    /// The three as environment variables.
    #[must_use]
    pub fn env(&self) -> [(&'static str, &str); 3] {
        [
            ("DATABASE_URL", &self.database_url),
            ("AMQP_URL", &self.amqp_url),
            ("REDIS_URL", &self.redis_url),
        ]
    }
}
