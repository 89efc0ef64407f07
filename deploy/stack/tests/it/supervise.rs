//! What dies is started again.

use std::sync::Arc;

use nix::sys::signal::Signal;
use stack::TestBed;
use stack::process::{Launch, describe};
use stack::supervise::{Event, supervise};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_killed_server_is_started_again_until_supervision_stops() {
    let bed = TestBed::new().await;
    let server = bed.redis_process().handle();
    let first = server.pid();
    let (events, mut told) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let supervising = tokio::spawn(supervise(Arc::clone(&server), stop.clone(), move |event| {
        let _ = events.send(event);
    }));

    server.process().signal(Signal::SIGKILL);
    let Some(Event::Ended { pid, status, .. }) = told.recv().await else {
        panic!("no end")
    };
    assert_eq!(pid, first);
    assert_eq!(describe(status), "signal SIGKILL");
    let Some(Event::Started { pid: second }) = told.recv().await else {
        panic!("no start")
    };
    assert_ne!(second, first);
    assert!(matches!(told.recv().await, Some(Event::Healthy { .. })));

    stop.cancel();
    supervising.await.unwrap();
    server.kill().await.unwrap();
    assert!(told.recv().await.is_none(), "nobody watches any more");
    assert!(!server.is_running());
}

#[tokio::test]
async fn a_program_that_keeps_ending_is_started_again_after_growing_waits() {
    let scratch = stack::scratch::Scratch::make().unwrap();
    let log = scratch.path().join("false.log");
    let launch = Launch::new("false", "/bin/false".as_ref(), scratch.path(), &log);
    let server = Arc::new(stack::Server::run(launch).unwrap());
    let (events, mut told) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let supervising = tokio::spawn(supervise(server, stop.clone(), move |event| {
        let _ = events.send(event);
    }));
    let mut waits = Vec::new();
    while waits.len() < 3 {
        if let Some(Event::Ended { wait, status, .. }) = told.recv().await {
            assert_eq!(describe(status), "exit status 1");
            waits.push(wait.as_millis());
        }
    }
    assert_eq!(waits, [200, 400, 800]);
    stop.cancel();
    supervising.await.unwrap();
}
