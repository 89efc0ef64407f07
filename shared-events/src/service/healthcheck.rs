//! Asking a process of this machine whether it is ready, for a container's health check: the image
//! then needs no other program for it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the whole question may take. `/health/ready` itself answers within 2 s.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer is read, in bytes.
const MAX_ANSWER: u64 = 16 * 1024;

/// Asks `GET /health/ready` of the process that was started with `bind_addr`, and says on standard
/// error what is wrong. It succeeds only where the answer is 200, within 5 s.
pub async fn healthcheck(bind_addr: SocketAddr) -> ExitCode {
    let addr = reachable(bind_addr);
    let complaint = match tokio::time::timeout(TIMEOUT, ask(addr)).await {
        Ok(Ok(answer)) if is_ok(&answer) => return ExitCode::SUCCESS,
        Ok(Ok(answer)) => answer
            .split_once("\r\n\r\n")
            .map_or("it does not answer in HTTP", |(_, body)| body)
            .to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {TIMEOUT:?}"),
    };
    eprintln!("{addr} is not ready: {complaint}");
    ExitCode::FAILURE
}

/// Where a listener on `bind_addr` is reached from the same machine: "all addresses" is no address.
fn reachable(bind_addr: SocketAddr) -> SocketAddr {
    let ip = match bind_addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind_addr.port())
}

async fn ask(addr: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect(addr).await?;
    // Version 1.0, so that the answer ends with the connection and is never in chunks.
    let question = format!("GET /health/ready HTTP/1.0\r\nhost: {addr}\r\n\r\n");
    socket.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_ok(answer: &str) -> bool {
    let mut words = answer.lines().next().unwrap_or_default().split(' ');
    words.next().is_some_and(|word| word.starts_with("HTTP/1.")) && words.next() == Some("200")
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::{healthcheck, is_ok, reachable};
    use crate::service::Health;

    async fn serving(health: Health) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let ready = get(move || async move { health.report().await });
        let routes = Router::new().route("/health/ready", ready);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        addr
    }

    #[tokio::test]
    async fn a_ready_process_is_healthy_and_a_draining_one_is_not() {
        let draining = CancellationToken::new();
        let addr = serving(Health::new(draining.clone())).await;
        assert_eq!(healthcheck(addr).await, ExitCode::SUCCESS);
        draining.cancel();
        assert_eq!(healthcheck(addr).await, ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn nobody_there_and_an_answer_that_is_not_http_are_failures() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let talker = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            socket.write_all(b"220 mail\r\n").await.expect("to write");
        });
        assert_eq!(healthcheck(addr).await, ExitCode::FAILURE);
        talker.await.expect("an end");
        assert_eq!(healthcheck(addr).await, ExitCode::FAILURE);
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_the_loopback_one() {
        for (bound, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            assert_eq!(reachable(bound.parse().expect(bound)).to_string(), asked);
        }
    }

    #[test]
    fn only_a_200_is_an_answer_that_counts() {
        assert!(is_ok("HTTP/1.1 200 OK\r\n\r\n"));
        for answer in [
            "",
            "HTTP/1.1 503 Service Unavailable\r\n",
            "SSH-2.0 200\r\n",
        ] {
            assert!(!is_ok(answer), "{answer}");
        }
    }
}
