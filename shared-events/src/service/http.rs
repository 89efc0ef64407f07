//! The HTTP side of a process: the routes that all have, and the listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::get;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use super::auth::{Access, Door, Needs, guard};
use super::cors;
use super::headers::protect;
use super::health::Health;
use super::limits::Limits;
use super::observe::observe;
use super::problem::Problem;
use super::request_id::identify;
use super::settings::ServiceSettings;
use super::shutdown::Shutdown;
use super::tls::{Met, Tls};

/// A process's own routes together with those that all processes have: `/health/live`,
/// `/health/ready`, `/metrics`, `/openapi.json` and `/docs`. Under `/v1` a caller needs what the
/// description of the route says; pages of other origins may call where they are listed. What is not found is a problem document. Every
/// answer tells the name of its request (`X-Request-Id`).
pub fn application(
    routes: Router,
    openapi: OpenApi,
    health: Health,
    access: &Arc<Access>,
    settings: &ServiceSettings,
) -> Router {
    super::metrics::install();
    let door = Arc::new(Door {
        access: Arc::clone(access),
        needs: Needs::of(&openapi),
        limits: Limits::new(&settings.limits),
    });
    let routes = routes.layer(middleware::from_fn_with_state(door, guard));
    let timeout = Duration::from_secs(settings.request_timeout_seconds);
    Router::new()
        .route(
            "/health/live",
            get(|| async { axum::Json(serde_json::json!({"status": "live"})) }),
        )
        .route(
            "/health/ready",
            get(move || async move { health.report().await }),
        )
        .route("/metrics", get(metrics))
        .merge(utoipa_swagger_ui::SwaggerUi::new("/docs").url("/openapi.json", openapi))
        .merge(routes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(timeout, observe))
        .layer(middleware::from_fn(protect))
        .layer(middleware::from_fn_with_state(
            access.origins().clone(),
            cors::allow,
        ))
        .layer(middleware::from_fn(identify))
}

async fn metrics() -> impl axum::response::IntoResponse {
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, text)], super::metrics::render())
}

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
    )
    .detail(format!("{} does not take {method}", uri.path()))
}

/// So many connections may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
///
/// A client that finds no room tries again a second later, and then three: when thousands come back
/// at once after a restart, the 128 that are usual would cost most of them that.
const BACKLOG: u32 = 4096;

/// The largest head of a request over HTTP/1.1; a larger one is answered 431. Buffers grow no further.
/// What answers it knows no request, so it tells no name of one.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The largest head of a request over HTTP/2; a larger one is answered 431.
const MAX_HEADER_LIST_BYTES: u32 = 64 << 10;

/// Opens the listener and says in the log where it is.
#[expect(clippy::unused_async, reason = "it needs a runtime, and says so")]
pub async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    use anyhow::Context;
    let listener = listen(addr).with_context(|| format!("BIND_ADDR: cannot listen on {addr}"))?;
    tracing::info!(addr = %listener.local_addr()?, "listening");
    Ok(listener)
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // As `TcpListener::bind` does: what is left of ended connections must not hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves HTTP/1.1 and HTTP/2 (by ALPN; in clear by prior knowledge) until the soft signal, then lets
/// the connections end after the answers in hand; those that are open at the hard signal are dropped.
pub async fn serve(
    listener: TcpListener,
    tls: Tls,
    application: Router,
    settings: &ServiceSettings,
    shutdown: &Shutdown,
) {
    let server = Server::new(application, tls, settings, shutdown);
    accept_each(listener, settings, shutdown, move |socket, peer| {
        let server = server.clone();
        async move { server.serve(socket, peer).await }
    })
    .await;
}

/// Accepts connections until the soft signal and runs `serve` for each, within the bound on their
/// number. Returns when all have ended, or at the hard signal.
pub async fn accept_each<F>(
    listener: TcpListener,
    settings: &ServiceSettings,
    shutdown: &Shutdown,
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(
        usize::try_from(settings.max_connections).unwrap_or(Semaphore::MAX_PERMITS),
    ));
    let connections = TaskTracker::new();
    while let Some(Ok(permit)) = shutdown
        .soft()
        .run_until_cancelled(Arc::clone(&permits).acquire_owned())
        .await
    {
        let Some((socket, peer)) = shutdown.soft().run_until_cancelled(accept(&listener)).await
        else {
            break;
        };
        // Answers and frames are small and awaited: they must not wait for more to send.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "the client is gone already");
            continue;
        }
        let connection = serve(socket, peer);
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    let _ = shutdown
        .hard()
        .run_until_cancelled(connections.wait())
        .await;
}

/// The next connection. When the process is out of file descriptors it waits for some to be freed.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The connection that a request came over, among the request's extensions.
#[derive(Debug, Clone, Default)]
pub struct Connection(CancellationToken);

impl Connection {
    /// Drops the connection with all that goes over it.
    pub fn end_now(&self) {
        self.0.cancel();
    }
}

/// Serves connections that have been accepted.
#[derive(Debug, Clone)]
pub struct Server {
    tls: Tls,
    header_timeout: Duration,
    builder: auto::Builder<TokioExecutor>,
    application: Router,
    shutdown: Shutdown,
}

impl Server {
    /// Serves `application`.
    #[must_use]
    pub fn new(
        application: Router,
        tls: Tls,
        settings: &ServiceSettings,
        shutdown: &Shutdown,
    ) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let header_timeout = Duration::from_secs(settings.header_timeout_seconds);
        builder
            .http1()
            .timer(TokioTimer::new())
            .max_buf_size(MAX_HEAD_BYTES)
            .header_read_timeout(header_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .keep_alive_interval(Some(Duration::from_secs(20)))
            .keep_alive_timeout(Duration::from_secs(20));
        Self {
            tls,
            header_timeout,
            builder,
            application,
            shutdown: shutdown.clone(),
        }
    }

    /// Serves one connection until it ends, gracefully from the soft signal on. By the time for the
    /// head of a request it must have shaken hands, where TLS is spoken, and have asked for something.
    pub async fn serve(&self, socket: TcpStream, peer: SocketAddr) {
        let by = Instant::now() + self.header_timeout;
        let met = tokio::select! {
            biased;
            met = timeout_at(by, self.tls.meet(socket, peer)) => met,
            () = self.shutdown.soft().cancelled() => return,
        };
        match met {
            Ok(Ok(Met::Clear(socket))) => self.converse(socket, peer, by).await,
            // What it takes is a room of its own, which connections in clear do without.
            Ok(Ok(Met::Encrypted(stream))) => Box::pin(self.converse(stream, peer, by)).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "no TLS in time"),
        }
    }

    async fn converse<I>(&self, io: I, peer: SocketAddr, by: Instant)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let this = Connection::default();
        let carried = this.clone();
        let asked = CancellationToken::new();
        let has_asked = asked.clone();
        let service = TowerToHyperService::new(self.application.clone().map_request(
            move |request: Request<Incoming>| {
                asked.cancel();
                let mut request = request.map(axum::body::Body::new);
                let extensions = request.extensions_mut();
                extensions.insert(axum::extract::ConnectInfo(peer));
                extensions.insert(carried.clone());
                request
            },
        ));
        let connection = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(io), service);
        tokio::pin!(connection);
        // Who has asked for nothing by then is not waited for: what the builder reads to tell the
        // versions of HTTP apart has no time-out of its own.
        let silent = async {
            let first = timeout_at(by, has_asked.cancelled());
            if first.await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = this.0.cancelled() => return,
            () = silent => return,
            () = self.shutdown.soft().cancelled() => {
                connection.as_mut().graceful_shutdown();
                let cut = async {
                    tokio::select! {
                        () = this.0.cancelled() => {}
                        () = self.shutdown.hard().cancelled() => {}
                    }
                };
                tokio::select! {
                    ended = connection => ended,
                    () = cut => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error, "connection ended");
        }
    }
}
