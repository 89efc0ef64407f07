//! Connections: which of them is served how.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use shared_events::service::http::{Server, accept_each};
use shared_events::service::{Clock, ServiceSettings, Shutdown, Tls};
use tokio::net::{TcpListener, TcpStream};

use super::direct::{self, First};

/// Serves until the soft signal, then lets the connections end; those that are open at the hard
/// signal are dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Tls,
    application: Router,
    settings: &ServiceSettings,
    clock: &Clock,
    shutdown: &Shutdown,
) {
    let doors = Arc::new(Doors {
        server: Server::new(application.clone(), tls.clone(), settings, shutdown),
        application,
        tls,
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
    tls: Tls,
    header_timeout: Duration,
    clock: Clock,
    shutdown: Shutdown,
}

impl Doors {
    async fn serve(self: Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        let first = if self.tls.takes_clear_text(&socket, peer) {
            let looking = direct::look(&socket, self.header_timeout);
            let first = self.shutdown.soft().run_until_cancelled(looking).await;
            first.flatten()
        } else {
            Some(First::Other)
        };
        // The larger future is boxed, so that a client that has its socket for itself does not keep
        // the room that it would need.
        match first {
            Some(First::Stream(request)) => {
                let (application, now) = (self.application.clone(), self.clock.now());
                drop(self);
                direct::serve(socket, peer, request, application, now).await;
            }
            Some(First::Other) => Box::pin(self.server.serve(socket, peer)).await,
            None => {}
        }
    }
}
