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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use super::health::Health;
use super::observe::observe;
use super::problem::Problem;
use super::settings::ServiceSettings;
use super::shutdown::Shutdown;

/// A process's own routes together with those that all processes have: `/health/live`,
/// `/health/ready`, `/metrics`, `/openapi.json` and `/docs`. What is not found is a problem document.
pub fn application(
    routes: Router,
    openapi: OpenApi,
    health: Health,
    settings: &ServiceSettings,
) -> Router {
    super::metrics::install();
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

/// Opens the listener and says in the log where it is.
pub async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    use anyhow::Context;
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("BIND_ADDR: cannot listen on {addr}"))?;
    tracing::info!(addr = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) until the soft signal, then lets the connections end
/// after the answers in hand; those that are open at the hard signal are dropped.
pub async fn serve(
    listener: TcpListener,
    application: Router,
    settings: &ServiceSettings,
    shutdown: &Shutdown,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let header_timeout = Duration::from_secs(settings.header_timeout_seconds);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20));
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
        let application = application.clone();
        let builder = builder.clone();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            let _permit = permit;
            serve_connection(&builder, socket, peer, application, &shutdown).await;
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

async fn serve_connection(
    builder: &auto::Builder<TokioExecutor>,
    socket: TcpStream,
    peer: SocketAddr,
    application: Router,
    shutdown: &Shutdown,
) {
    // Answers and frames are small and awaited: they must not wait for more to send.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "the client is gone already");
        return;
    }
    let service =
        TowerToHyperService::new(application.map_request(move |request: Request<Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request
                .extensions_mut()
                .insert(axum::extract::ConnectInfo(peer));
            request
        }));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.soft().cancelled() => {
            connection.as_mut().graceful_shutdown();
            match shutdown.hard().run_until_cancelled(connection).await {
                Some(ended) => ended,
                None => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "connection ended");
    }
}
