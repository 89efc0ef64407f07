//! TLS, and HTTP/2 by ALPN.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use stack::{Authority, TestBed};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::event_stream_reader::EventStreamReader;
use crate::running::{DEADLINE, Running};

async fn connect(
    notifier: &Running,
    authority: &Authority,
    protocol: &[u8],
) -> TlsStream<TcpStream> {
    let mut config = authority.client_config().expect("TLS");
    config.alpn_protocols = vec![protocol.to_vec()];
    let socket = TcpStream::connect(notifier.addr).await.expect("a socket");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, socket).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream
}

/// The name of the first event of an answer.
async fn first_event(answer: hyper::Response<hyper::body::Incoming>) -> String {
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut reader = EventStreamReader::default();
    loop {
        let frame = tokio::time::timeout(DEADLINE, body.frame()).await;
        let frame = frame.expect("in time").expect("no end").expect("no error");
        let bytes = frame.into_data().expect("data");
        if let Some(event) = reader.push(&bytes).pop() {
            return event.event;
        }
    }
}

#[tokio::test]
async fn the_stream_is_served_over_tls_by_http_2_and_by_http_1() {
    let bed = TestBed::new().await;
    let authority = Authority::new().expect("an authority");
    let identity = authority.vouch("localhost").expect("a certificate");
    let [certificate, key] = identity.write(bed.folder()).expect("two files");
    let settings = [
        "--tls-certificate",
        &certificate.display().to_string(),
        "--tls-key",
        &key.display().to_string(),
    ];
    // Its readiness is asked for in clear, which is answered to this machine.
    let notifier = Running::start(bed.amqp_url(), &settings).await;

    let request = || {
        hyper::Request::get("https://localhost/v1/events")
            .header("host", "localhost")
            .body(http_body_util::Empty::<Bytes>::new())
            .expect("a request")
    };
    let stream = connect(&notifier, &authority, b"h2").await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let answer = sender.send_request(request()).await.expect("an answer");
    assert_eq!(first_event(answer).await, "ready");

    let stream = connect(&notifier, &authority, b"http/1.1").await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/1.1");
    tokio::spawn(connection);
    let answer = sender.send_request(request()).await.expect("an answer");
    assert_eq!(first_event(answer).await, "ready");
}
