//! Everything put together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use shared_events::service::auth::Minter;
use shared_events::service::{Access, Clock, Health, Shutdown, Tls, http};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::fanout::Fanout;
use crate::feed::Feed;
use crate::http::{AppState, Board, SignIn, document, listener, routes};
use crate::metrics;
use crate::replay::Replayer;
use crate::ring::Ring;
use crate::subscriptions::Subscriptions;
use crate::wakers::Wakers;

/// A notifier that listens and is ready to run.
#[derive(Debug)]
pub struct Application {
    config: Config,
    clock: Clock,
    listener: TcpListener,
    tls: Tls,
}

impl Application {
    /// Takes the port.
    pub async fn build(mut config: Config, clock: Clock) -> anyhow::Result<Self> {
        config.amqp = config.amqp.trusting(&config.service.trust);
        // Counters count from the moment they are made, if there is a recorder by then.
        shared_events::service::metrics::install();
        metrics::describe();
        let listener = http::bind(config.bind_addr).await?;
        // Each accepted socket takes this over from the listener. It also ends a connection whose
        // client answers and yet takes nothing for so long.
        let write_timeout = Duration::from_secs(config.clients.write_timeout_seconds);
        socket2::SockRef::from(&listener)
            .set_tcp_user_timeout(Some(write_timeout))
            .context("WRITE_TIMEOUT_SECONDS: cannot be set on the listener")?;
        Ok(Self {
            tls: Tls::read(&config.service.tls)?,
            config,
            clock,
            listener,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the soft signal, ends the streams over the drain time, and returns when all
    /// connections have ended.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self {
            config,
            clock,
            listener,
            tls,
        } = self;
        // The feed and the tickers outlive the soft signal: streams are fed until they end.
        let stop = CancellationToken::new();
        // Dropped or done: a thread is not ended with the task that has begun it.
        let _stops_with_this = stop.clone().drop_guard();
        // The other half of the processors is for the kernel's side of the sockets, the feed and who connects.
        let shards =
            std::thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2));
        let limits = config.ring.limits();
        let wakers = Wakers::new(shards, config.clients.schedule_wait());
        let fanout = Arc::new(Fanout::new(Ring::new(limits), wakers, clock.clone()));
        for shard in 0..fanout.wakers().shards() {
            let (fanout, stop) = (Arc::clone(&fanout), stop.clone());
            shutdown.spawn_on_thread(async move {
                let _ = stop.run_until_cancelled(fanout.serve_shard(shard)).await;
            });
        }
        let ticking = (Arc::clone(&fanout), stop.clone(), config.clients.clone());
        shutdown.spawn_on_thread(async move {
            let (fanout, stop, clients) = ticking;
            let ticks = fanout.tick(clients.heartbeat(), clients.patience());
            let _ = stop.run_until_cancelled(ticks).await;
        });
        let feed = Feed::new(
            config.amqp.clone(),
            config.feed.clone(),
            limits,
            Arc::clone(&fanout),
            clock.clone(),
        );
        shutdown.spawn(feed.run(stop.clone()));
        shutdown.fail_on({
            let amqp = config.amqp.clone();
            async move { amqp.refused_for_good().await }
        });
        let draining = (Arc::clone(&fanout), stop.clone(), shutdown.soft().clone());
        let drain = config.service.drain();
        shutdown.spawn(async move {
            let (fanout, stop, soft) = draining;
            soft.cancelled().await;
            // The rest of the time is for the last bytes to reach slow clients. Where all streams
            // have ended sooner, nobody is waited for.
            let _ = stop
                .run_until_cancelled(fanout.end_streams(drain.mul_f64(0.7)))
                .await;
        });

        let access = Arc::new(Access::new(
            &config.service.auth,
            &config.service.trust,
            clock.clone(),
        )?);
        let (asked, ending) = (clock.clone(), stop.clone());
        let board = Board::new(config.board_document())?;
        let router = router(&config, &fanout, board, asked, &access, &shutdown, ending);
        listener::serve(listener, tls, router, &config.service, &clock, &shutdown).await;
        Ok(())
    }
}

fn router(
    config: &Config,
    fanout: &Arc<Fanout>,
    board: Board,
    clock: Clock,
    access: &Arc<Access>,
    shutdown: &Shutdown,
    stop: CancellationToken,
) -> Router {
    let replayer = Replayer::new(
        config.amqp.clone(),
        config.replay.clone(),
        config.feed.clone(),
        Arc::clone(fanout),
        stop,
    );
    let clients = config.clients.clone();
    let automatic = config
        .board
        .board_automatic_sign_in
        .then(|| Minter::of(&config.service.auth.signing))
        .flatten();
    let state = AppState {
        max_filter_values: clients.max_filter_values,
        subscriptions: Subscriptions::new(
            Arc::clone(fanout),
            Arc::new(replayer),
            clients,
            clock.clone(),
        ),
        sign_in: SignIn {
            access: Arc::clone(access),
            automatic,
            clock: clock.clone(),
        },
        clock,
        shutdown: shutdown.clone(),
    };
    let feed = Arc::clone(fanout);
    let health = Health::new(shutdown.soft().clone()).check("rabbitmq", move || {
        let is_current = feed.progress().status().is_current;
        async move {
            let word = "the feed does not follow the stream: connecting or catching up";
            if is_current {
                Ok(())
            } else {
                Err(word.to_owned())
            }
        }
    });
    http::application(
        routes(state, board),
        document(),
        health,
        access,
        &config.service,
    )
}
