//! The worker as a process.

use anyhow::Result;
use stack::system::declare_all;
use stack::{PrivateServers, Service, ServiceKind, ServiceSettings};

/// Starts a worker whose schedule-service is at `schedule_url`.
///
/// # Errors
/// When it does not become ready.
pub async fn start(
    servers: &PrivateServers,
    schedule_url: &str,
    environment: &[(String, String)],
) -> Result<Service> {
    let kind = ServiceKind::AvailabilityWorker;
    let backends = servers.backends();
    declare_all(&backends.amqp_url).await?;
    let mut settings = ServiceSettings::new(kind, servers.folder(), &backends)?
        .env("SCHEDULE_SERVICE_URL", schedule_url);
    for (name, value) in environment {
        settings = settings.env(name, value);
    }
    Service::spawn(kind, settings).await
}
