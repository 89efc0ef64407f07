//! A TCP balancer in front of notifiers.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Passes each connection on to one of the notifiers that take it, in turn.
pub(crate) struct Balancer {
    addr: SocketAddr,
    notifiers: Arc<Mutex<Vec<SocketAddr>>>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Balancer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let notifiers = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let (known, passing) = (Arc::clone(&notifiers), Arc::clone(&connections));
        tokio::spawn(async move {
            let mut turn = 0_usize;
            while let Ok((client, _)) = listener.accept().await {
                turn += 1;
                let mut those = known.lock().clone();
                if !those.is_empty() {
                    let first = turn % those.len();
                    those.rotate_left(first);
                }
                let connection = tokio::spawn(pass(client, those));
                passing.lock().push(connection.abort_handle());
            }
        });
        Self {
            addr,
            notifiers,
            connections,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Takes a notifier in, in the place of another.
    pub(crate) fn put(&self, gone: Option<SocketAddr>, come: SocketAddr) {
        let mut notifiers = self.notifiers.lock();
        notifiers.retain(|addr| Some(*addr) != gone);
        notifiers.push(come);
    }

    /// Breaks all connections off.
    pub(crate) fn cut(&self) {
        self.connections.lock().drain(..).for_each(|c| c.abort());
    }
}

async fn pass(mut client: TcpStream, notifiers: Vec<SocketAddr>) {
    for addr in notifiers {
        if let Ok(mut notifier) = TcpStream::connect(addr).await {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut notifier).await;
            return;
        }
    }
}
