//! Connections: which of them is served how.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use shared_events::service::http::{Server, accept_each};
use shared_events::service::{Clock, ServiceSettings, Shutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::direct::{self, First};

/// Serves until the soft signal, then lets the connections end; those that are open at the hard
/// signal are dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    application: Router,
    tls: Option<Arc<ServerConfig>>,
    settings: &ServiceSettings,
    clock: &Clock,
    shutdown: &Shutdown,
) {
    let doors = Arc::new(Doors {
        server: Server::new(application.clone(), settings, shutdown),
        application,
        tls: tls.map(TlsAcceptor::from),
        header_timeout: Duration::from_secs(settings.header_timeout_seconds),
        clock: clock.clone(),
        shutdown: shutdown.clone(),
    });
    let serve = |socket, peer| Arc::clone(&doors).serve(socket, peer);
    accept_each(listener, settings, shutdown, serve).await;
}

struct Doors {
    server: Server,
    application: Router,
    tls: Option<TlsAcceptor>,
    header_timeout: Duration,
    clock: Clock,
    shutdown: Shutdown,
}

impl Doors {
    async fn serve(self: Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        let looking = direct::look(&socket, self.header_timeout);
        let first = self.shutdown.soft().run_until_cancelled(looking).await;
        // The larger futures are boxed, so that a client that has its socket for itself does not
        // keep the room that they would need.
        match first.flatten() {
            Some(First::Stream(request)) => {
                let (application, now) = (self.application.clone(), self.clock.now());
                drop(self);
                direct::serve(socket, peer, request, application, now).await;
            }
            Some(First::Tls) if self.tls.is_some() => Box::pin(self.serve_tls(socket, peer)).await,
            // With TLS set, only this machine is answered in clear: its health checks.
            Some(First::Tls | First::Other) if self.tls.is_none() || peer.ip().is_loopback() => {
                Box::pin(self.server.serve(socket, peer)).await;
            }
            Some(First::Tls | First::Other) | None => {}
        }
    }

    async fn serve_tls(&self, socket: TcpStream, peer: SocketAddr) {
        let Some(tls) = &self.tls else { return };
        match tokio::time::timeout(self.header_timeout, tls.accept(socket)).await {
            Ok(Ok(stream)) => self.server.serve(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "no TLS in time"),
        }
    }
}
