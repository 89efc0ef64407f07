//! Who writes to a socket, and that nothing is lost between them.

use super::{Line, MOST_SLICES};
use crate::fanout::Cursor;
use bytes::Bytes;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// A line, and the other end of its socket.
pub(crate) async fn line() -> (Line, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (socket, _) = accepted.expect("a connection");
    (Line::new(socket), client.expect("a connection"))
}

fn give(line: &Line, slices: &[Bytes]) -> bool {
    let parked = line.parked().expect("parked");
    parked.give(slices, Cursor::default())
}

#[tokio::test]
async fn only_a_client_that_sleeps_with_a_place_is_parked() {
    let (line, _client) = line().await;
    line.park();
    assert!(line.parked().is_none());
    line.put(Cursor::default());
    assert!(line.parked().is_none());
    line.park();
    assert!(line.parked().is_some());
    line.unpark();
    assert!(line.parked().is_none());
    assert_eq!(line.take(), Some(Cursor::default()));
    line.park();
    assert!(line.parked().is_none());
}

#[tokio::test]
async fn a_parked_client_gets_everything_in_order_and_stays_parked() {
    let (line, mut client) = line().await;
    line.put(Cursor::default());
    line.park();
    assert!(give(&line, &[]));
    assert!(give(&line, &[Bytes::from_static(b"one ")]));
    let several = [Bytes::from_static(b"two "), Bytes::from_static(b"three")];
    assert!(give(&line, &several));
    let mut read = [0; 13];
    client.read_exact(&mut read).await.expect("the bytes");
    assert_eq!(&read, b"one two three");
}

#[tokio::test]
async fn what_a_full_socket_does_not_take_is_left_to_the_task() {
    let (line, mut client) = line().await;
    line.put(Cursor::default());
    line.park();
    // More than the buffers of both ends hold.
    let piece = |number: u8| Bytes::from(vec![number; 1 << 20]);
    let slices: Vec<Bytes> = (0..MOST_SLICES)
        .map(|n| piece(u8::try_from(n).expect("small")))
        .collect();
    assert!(!give(&line, &slices));
    assert!(line.parked().is_none());
    let mut rest: VecDeque<Bytes> = line.unpark();
    assert!(!rest.is_empty());

    let writing = async {
        while let Some(mut first) = rest.pop_front() {
            rest.push_front(first.clone());
            let written = poll_fn(|context| line.poll_write(context, &rest)).await;
            let mut written = written.expect("the client takes it");
            rest.pop_front();
            while written >= first.len() {
                written -= first.len();
                match rest.pop_front() {
                    Some(next) => first = next,
                    None => return,
                }
            }
            rest.push_front(first.split_off(written));
        }
    };
    let reading = async {
        for number in 0..MOST_SLICES {
            let mut read = vec![0; 1 << 20];
            client.read_exact(&mut read).await.expect("the bytes");
            assert!(read.iter().all(|byte| usize::from(*byte) == number));
        }
    };
    let both = async { tokio::join!(writing, reading) };
    tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .expect("within the deadline");
}

#[tokio::test]
async fn a_client_that_has_gone_is_noticed() {
    let (line, client) = line().await;
    drop(client);
    let gone = poll_fn(|context| line.poll_gone(context));
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .expect("within the deadline")
        .expect("an orderly end");
}
