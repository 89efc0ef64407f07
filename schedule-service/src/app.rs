//! The serving process, put together.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use shared_events::service::{Access, Clock, Health, Shutdown, Tls, http};
use shared_events::trust::told;
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::config::Settings;
use crate::http::{Api, routes};
use crate::outbox_relay::OutboxRelay;
use crate::{retention, store};

/// The serving process: built with its database migrated and its listener bound, then run.
#[derive(Debug)]
pub struct Application {
    settings: Settings,
    clock: Clock,
    pool: PgPool,
    listener: TcpListener,
    tls: Tls,
    relay: OutboxRelay,
}

impl Application {
    /// Connects, migrates the database and binds the listener.
    pub async fn build(mut settings: Settings, clock: Clock) -> anyhow::Result<Self> {
        let trust = &settings.service.trust;
        settings.amqp = settings.amqp.trusting(trust);
        let tls = Tls::read(&settings.service.tls)?;
        store::migrate(&settings.database, trust).await?;
        let pool = store::connect(&settings.database, trust)?;
        let listener = http::bind(settings.bind_addr).await?;
        let relay = OutboxRelay::new(pool.clone(), settings.amqp.clone(), settings.outbox.clone());
        Ok(Self {
            settings,
            clock,
            pool,
            listener,
            tls,
            relay,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> anyhow::Result<std::net::SocketAddr> {
        self.listener
            .local_addr()
            .context("the listener has no address")
    }

    /// The relay, so that tests can drain the outbox.
    #[must_use]
    pub fn relay(&self) -> &OutboxRelay {
        &self.relay
    }

    /// Serves until the soft shutdown, then drains.
    pub async fn run_until_stopped(self, shutdown: Shutdown) -> anyhow::Result<()> {
        self.relay.start(&shutdown);
        shutdown.fail_on({
            let amqp = self.settings.amqp.clone();
            async move { amqp.refused_for_good().await }
        });
        shutdown.spawn(retention::keep_swept(
            self.pool.clone(),
            self.clock.clone(),
            self.settings.retention.clone(),
            shutdown.soft().clone(),
        ));
        let access = Arc::new(Access::new(
            &self.settings.service.auth,
            &self.settings.service.trust,
            self.clock.clone(),
        )?);
        let router = self.router(&access, &shutdown);
        let service = &self.settings.service;
        http::serve(self.listener, self.tls, router, service, &shutdown).await;
        Ok(())
    }

    fn router(&self, access: &Arc<Access>, shutdown: &Shutdown) -> Router {
        let pool = self.pool.clone();
        let relay = self.relay.clone();
        let refused = self.relay.clone();
        let health = Health::new(shutdown.soft().clone())
            .check("postgres", move || {
                let pool = pool.clone();
                async move {
                    let answer = sqlx::query("SELECT 1").execute(&pool).await;
                    answer.map(|_| ()).map_err(|error| told(&error))
                }
            })
            .check("outbox", move || {
                let relay = relay.clone();
                async move { relay.check().await }
            })
            .detail("outbox", move || refused.refused());
        let api = Api::new(
            self.pool.clone(),
            self.clock.clone(),
            self.settings.http.clone(),
            self.relay.hand_over().clone(),
        );
        let (router, openapi) = routes(api);
        http::application(router, openapi, health, access, &self.settings.service)
    }
}
