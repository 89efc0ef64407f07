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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use stack::Authority;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        service: ServiceSettings,
    }

    /// What is answered to a request for the stream in clear, which comes from `peer`.
    async fn answer(settings: &ServiceSettings, peer: &str) -> String {
        let application = Router::new().fallback(async || "answered");
        let tls = Tls::read(&settings.tls).expect("a certificate");
        let shutdown = Shutdown::new();
        let doors = Arc::new(Doors {
            server: Server::new(application.clone(), tls.clone(), settings, &shutdown),
            application,
            tls,
            header_timeout: Duration::from_secs(settings.header_timeout_seconds),
            clock: Clock::system(),
            shutdown,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).await.expect("a connection");
        let question = b"GET /v1/events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.write_all(question).await.expect("a request");
        let (socket, _) = listener.accept().await.expect("a connection");
        doors.serve(socket, peer.parse().expect("an address")).await;
        let mut text = Vec::new();
        // What was not read of the request may break the connection off.
        let _ = client.read_to_end(&mut text).await;
        String::from_utf8(text).expect("text")
    }

    #[tokio::test]
    async fn where_tls_is_set_the_stream_is_read_in_clear_by_this_machine_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new().expect("an authority");
        let identity = authority.vouch("localhost").expect("a certificate");
        let [certificate, key] = identity.write(folder.path()).expect("two files");
        let plain = Settings::parse_from(["x", "--auth-mode=disabled"]).service;
        let mut encrypted = plain.clone();
        encrypted.tls.tls_certificate = Some(certificate);
        encrypted.tls.tls_key = Some(key);
        for (settings, peer, is_answered) in [
            (&plain, "192.0.2.7:4000", true),
            (&encrypted, "127.0.0.1:4000", true),
            (&encrypted, "192.0.2.7:4000", false),
        ] {
            let text = answer(settings, peer).await;
            assert_eq!(text.ends_with("answered"), is_answered, "{peer}: {text}");
            assert_eq!(text.is_empty(), !is_answered, "{peer}: {text}");
        }
    }
}
