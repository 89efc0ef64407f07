//! An event stream over HTTP/1.1 that has its socket for itself.
//!
//! What hyper keeps for each connection is more than ten times what such a client needs: once its
//! request is answered, nothing is ever read again, and what is written stands in the ring already.
//! So the listener looks at the first bytes of a connection. If they are one plain request for the
//! stream, the application is asked as for any other (routes, limits, metrics and access are
//! the same), and its answer is written here. Everything else is hyper's, which serves the stream
//! as well.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, TRANSFER_ENCODING, UPGRADE};
use axum::http::{HeaderName, HeaderValue, Method, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use http_body::Body as _;
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::line::{Line, MOST_SLICES};

/// A longer head is hyper's.
const MAX_HEAD_BYTES: usize = 4096;

/// A head with more fields is hyper's.
const MAX_HEADERS: usize = 64;

/// So much is taken from the stream before the socket has taken it.
const MOST_BYTES: usize = 256 * 1024;

/// The first bytes of a connection.
pub(super) enum First {
    /// A request for the stream that can be answered here. It has been read.
    Stream(Box<Request>),
    /// Anything else. It has not been read.
    Other,
}

/// Looks at the first bytes, once there are some. `None` where they do not come in time.
pub(super) async fn look(socket: &TcpStream, limit: Duration) -> Option<First> {
    tokio::time::timeout(limit, socket.readable())
        .await
        .ok()?
        .ok()?;
    Some(look_now(socket))
}

/// The room for the bytes is this function's, and not for as long as the connection lasts.
fn look_now(socket: &TcpStream) -> First {
    let mut bytes = [0; MAX_HEAD_BYTES];
    let Some(Ok(count)) = socket.peek(&mut bytes).now_or_never() else {
        return First::Other;
    };
    let peeked = bytes.get(..count).unwrap_or_default();
    let Some(request) = read_head(peeked) else {
        return First::Other;
    };
    // They are there, so this takes all of them.
    let room = bytes.get_mut(..count).unwrap_or_default();
    match socket.try_read(room) {
        Ok(read) if read == count => First::Stream(Box::new(request)),
        _ => First::Other,
    }
}

/// The request, where the bytes are one whole request for the stream, of the plainest kind.
fn read_head(bytes: &[u8]) -> Option<Request> {
    if !bytes.starts_with(b"GET /v1/events") {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let parsed = head.parse(bytes).ok()?;
    if parsed != httparse::Status::Complete(bytes.len()) || head.version != Some(1) {
        return None;
    }
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(head.path?)
        .body(Body::empty())
        .ok()?;
    if request.uri().path() != "/v1/events" {
        return None;
    }
    let fields = request.headers_mut();
    for header in head.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, UPGRADE].contains(&name) {
            return None;
        }
        fields.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    Some(request)
}

/// Answers the request, and ends the connection with the answer.
pub(super) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    mut request: Box<Request>,
    application: Router,
    now: DateTime<Utc>,
) {
    let line = Arc::new(Line::new(socket));
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(peer));
    extensions.insert(Arc::clone(&line));
    let Ok(response) = application.oneshot(*request).await;
    let mut answering = Box::new(Answering::new(line, response, now));
    let ended = std::future::poll_fn(|context| answering.poll(context)).await;
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// An answer under way.
struct Answering {
    line: Arc<Line>,
    body: Body,
    /// Taken from the body and not yet by the socket.
    unsent: VecDeque<Bytes>,
    unsent_bytes: usize,
    has_ended: bool,
}

impl Answering {
    fn new(line: Arc<Line>, response: Response<Body>, now: DateTime<Utc>) -> Self {
        let (mut parts, body) = response.into_parts();
        // The answer ends where the connection does, so it needs no framing of its own.
        let fields = &mut parts.headers;
        fields.insert(CONNECTION, HeaderValue::from_static("close"));
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::from_str(&date) {
            fields.insert(DATE, date);
        }
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(b"HTTP/1.1 ");
        head.extend_from_slice(parts.status.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(
            parts
                .status
                .canonical_reason()
                .unwrap_or_default()
                .as_bytes(),
        );
        head.extend_from_slice(b"\r\n");
        for (name, value) in fields.iter() {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Self {
            line,
            body,
            unsent_bytes: head.len(),
            unsent: VecDeque::from([Bytes::from(head)]),
            has_ended: false,
        }
    }

    /// Ends when all is written, or the client has gone.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        for bytes in self.line.unpark() {
            self.unsent_bytes += bytes.len();
            self.unsent.push_back(bytes);
        }
        // Once the body has nothing more, it wakes this task when it has.
        let mut is_waiting = false;
        loop {
            is_waiting = is_waiting || self.take_from_body(context);
            if self.unsent.is_empty() {
                // An idle client costs no room for what may come.
                self.unsent = VecDeque::new();
                if self.has_ended {
                    return Poll::Ready(self.line.end());
                }
                self.line.park();
                return self.line.poll_gone(context);
            }
            ready!(self.poll_write(context))?;
        }
    }

    /// True where there is nothing more for now.
    fn take_from_body(&mut self, context: &mut Context<'_>) -> bool {
        while !self.has_ended && self.unsent.len() < MOST_SLICES && self.unsent_bytes < MOST_BYTES {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data()
                        && !bytes.is_empty()
                    {
                        self.unsent_bytes += bytes.len();
                        self.unsent.push_back(bytes);
                    }
                }
                Poll::Ready(Some(Err(_)) | None) => self.has_ended = true,
                Poll::Pending => return true,
            }
        }
        false
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = ready!(self.line.poll_write(context, &self.unsent))?;
        self.unsent_bytes -= written;
        while let Some(first) = self.unsent.front_mut() {
            if written < first.len() {
                let _ = first.split_to(written);
                break;
            }
            written -= first.len();
            self.unsent.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::read_head;

    #[test]
    fn one_plain_request_for_the_stream_is_read() {
        let bytes = b"GET /v1/events?territory=leeds HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 5-00000001\r\n\r\n";
        let request = read_head(bytes).expect("a request");
        assert_eq!(request.uri().query(), Some("territory=leeds"));
        assert_eq!(request.headers()["last-event-id"], "5-00000001");
    }

    #[test]
    fn everything_else_is_left_alone() {
        for text in [
            "",
            "GET /v1/events HTTP/1.1\r\nHost: a\r\n",
            "GET /v1/events HTTP/1.0\r\n\r\n",
            "GET /v1/eventsx HTTP/1.1\r\n\r\n",
            "HEAD /v1/events HTTP/1.1\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\nBad Name: 1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            assert!(read_head(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
