//! The service put together.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chrono::TimeDelta;
use shared_events::amqp::{Consumer, Publisher};
use shared_events::service::{Access, Clock, Health, Shutdown, Tls, http};
use shared_events::topology::Part;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::cache::{Cache, Copies};
use crate::config::Config;
use crate::handler::ScheduleUpdatedHandler;
use crate::horizon::HorizonRoll;
use crate::http::{ReadSide, routes};
use crate::loads::Loads;
use crate::readings::Readings;
use crate::rebuild::{Filling, Rebuild};
use crate::recalculation::Recalculation;
use crate::reconciliation::Reconciliation;
use crate::source::ScheduleSource;
use crate::watchers::Watchers;

/// The consumer and the HTTP side, ready to run.
#[derive(Debug)]
pub struct Application {
    config: Config,
    consumer: Arc<Consumer>,
    handler: Arc<ScheduleUpdatedHandler>,
    rebuild: Rebuild,
    reconciliation: Reconciliation,
    roll: HorizonRoll,
    router: Router,
    tls: Tls,
}

impl Application {
    /// Builds everything; connections are made when they are first used. Needs a tokio runtime.
    pub fn build(mut config: Config, clock: Clock, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let trust = &config.service.trust;
        config.amqp = config.amqp.trusting(trust);
        let tls = Tls::read(&config.service.tls)?;
        let cache = Cache::new(&config.cache, trust)?;
        let auth = &config.service.auth;
        let access = Arc::new(Access::new(auth, trust, clock.clone())?);
        let source = Arc::new(ScheduleSource::new(
            &config.source,
            &auth.signing,
            trust,
            clock.clone(),
        )?);
        let watchers = Arc::new(Watchers::default());
        let recalculation = Arc::new(Recalculation::new(
            cache.clone(),
            Arc::clone(&source),
            Arc::clone(&watchers),
            clock.clone(),
            config.horizon.horizon_days,
        ));
        let rebuild = Rebuild::new(
            cache.clone(),
            Arc::clone(&source),
            Arc::clone(&recalculation),
        );
        let reconciled = Arc::clone(&source);
        let filling = rebuild.filling();
        let roll = HorizonRoll::new(
            cache.clone(),
            Arc::clone(&source),
            Arc::clone(&recalculation),
            clock.clone(),
            config.roll.clone(),
        );
        let loads = Arc::new(Loads::new(
            source,
            Arc::clone(&recalculation),
            config.max_loads,
        ));
        let publisher = Arc::new(Publisher::new(
            config.amqp.clone(),
            "availability-worker publisher",
            Part::AvailabilityWorker,
        ));
        let consumer = Arc::new(Consumer::of_schedule_updates(
            config.amqp.clone(),
            "availability-worker consumer",
            config.limits(),
            Arc::clone(&publisher),
        ));
        let handler = Arc::new(ScheduleUpdatedHandler::new(
            Arc::clone(&recalculation),
            Arc::clone(&publisher),
            clock.clone(),
        ));
        let reconciliation = Reconciliation {
            cache: cache.clone(),
            source: reconciled,
            recalculation,
            handler: Arc::clone(&handler),
            every: Duration::from_secs(config.reconcile_seconds),
        };

        let health = health(shutdown, filling, &cache, &consumer, publisher);
        let wait = Duration::from_millis(config.min_version_wait_ms);
        let searches = usize::try_from(config.max_searches).unwrap_or(Semaphore::MAX_PERMITS);
        let (own, openapi) = routes(Arc::new(ReadSide {
            readings: Readings::new(cache.clone(), loads, watchers, wait),
            copies: Copies::new(cache, config.copies),
            searches: Semaphore::new(searches),
            search_wait: Duration::from_millis(config.search_wait_ms),
            cursor_age: TimeDelta::minutes(config.search_cursor_minutes.into()),
            clock,
        }));
        let router = http::application(own, openapi, health, &access, &config.service);
        Ok(Self {
            config,
            consumer,
            handler,
            rebuild,
            reconciliation,
            roll,
            router,
            tls,
        })
    }

    /// Consumes and serves until the soft signal, then finishes what is in hand.
    pub async fn run_until_stopped(self, listener: TcpListener, shutdown: &Shutdown) {
        let (consumer, stop) = (self.consumer, shutdown.soft().clone());
        shutdown.spawn(self.rebuild.run(stop.clone()));
        let renewals = consumer.watch_renewals();
        shutdown.spawn(self.reconciliation.run(renewals, stop.clone()));
        let (suspects, handler) = (consumer.of_suspects(), Arc::clone(&self.handler));
        let also_stop = stop.clone();
        shutdown.spawn(async move { suspects.run(handler, also_stop).await });
        shutdown.spawn(self.roll.run(stop.clone()));
        shutdown.spawn(async move { consumer.run(self.handler, stop).await });
        shutdown.fail_on({
            let amqp = self.config.amqp.clone();
            async move { amqp.refused_for_good().await }
        });
        http::serve(
            listener,
            self.tls,
            self.router,
            &self.config.service,
            shutdown,
        )
        .await;
    }
}

/// What readiness depends on.
fn health(
    shutdown: &Shutdown,
    filling: Arc<Filling>,
    cache: &Cache,
    consumer: &Arc<Consumer>,
    publisher: Arc<Publisher>,
) -> Health {
    Health::new(shutdown.soft().clone())
        .detail("cache", move || filling.to_string())
        .check("redis", {
            let cache = cache.clone();
            move || {
                let cache = cache.clone();
                async move { cache.check().await }
            }
        })
        .check("rabbitmq", {
            let consumer = Arc::clone(consumer);
            move || {
                let (consumer, publisher) = (Arc::clone(&consumer), Arc::clone(&publisher));
                async move {
                    publisher
                        .connect()
                        .await
                        .map_err(|error| error.to_string())?;
                    if consumer.is_consuming() {
                        Ok(())
                    } else {
                        Err("not consuming".to_owned())
                    }
                }
            }
        })
}
