//! The wire that can be cut.

use std::time::Duration;

use stack::{Proxy, TestBed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn ping(stream: &mut TcpStream) -> std::io::Result<[u8; 7]> {
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_proxy_passes_falls_silent_and_cuts() {
    let bed = TestBed::new().await;
    let (proxy, _) = Proxy::before(bed.redis_url()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(&ping(&mut stream).await.unwrap(), b"+PONG\r\n");

    proxy.silence();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 7];
    // Nothing comes, however long one waits; mended, the same bytes come through.
    let silent = tokio::time::timeout(Duration::from_millis(100), stream.read_exact(&mut answer));
    assert!(silent.await.is_err());
    proxy.mend();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+PONG\r\n");

    proxy.cut();
    assert!(ping(&mut stream).await.is_err());
    proxy.mend();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(&ping(&mut stream).await.unwrap(), b"+PONG\r\n");
}
