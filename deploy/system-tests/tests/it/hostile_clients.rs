//! Clients that mean no good, at the listener of each real service: who means well is served meanwhile.

use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::{Certificate, Client, ClientBuilder};
use rustls::pki_types::ServerName;
use stack::{AccessKey, Authority, ServiceKind};
use system_tests::Deployment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// How long it may take until the last of the slow ones is cut off.
const DEADLINE: Duration = Duration::from_secs(30);

/// Between two bytes of those that send one at a time.
const DRIP: Duration = Duration::from_millis(50);

/// How long a good caller may wait, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many connections that say nothing.
const IDLE: usize = 10_000;

/// What never ends asking has sent so much.
const BEGINNINGS: [&str; 9] = [
    "",
    "G",
    "GET /v1/events",
    "GET /v1/events HTTP/1.1\r\nhost: a\r\nx: ",
    "GET /health/live HTTP/1.1\r\nhost: a\r\n",
    "GET /health/live HTTP/1.1\r\nhost: a\r\n\r\nGET /health/live HTTP/1.1\r\nx: ",
    "PRI * HTTP/2.0\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    // How TLS begins.
    "\u{16}",
];

/// A route of each service that takes a token.
fn routes(deployment: &Deployment) -> [String; 3] {
    let system = &deployment.system;
    [
        format!("{}/v1/contractors", system.schedule_url()),
        format!(
            "{}/v1/availability?durationMinutes=60",
            system.availability_url()
        ),
        format!("{}/v1/session", system.notifier_url()),
    ]
}

fn address(url: &str) -> SocketAddr {
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let host = rest.split('/').next().expect("a host");
    host.parse().expect("an address")
}

/// Each over a connection of its own.
fn client() -> Client {
    client_builder().build().expect("a client")
}

fn client_builder() -> ClientBuilder {
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0);
    client.timeout(PATIENCE)
}

/// For this process and those that it starts, each of which holds one end of every connection.
fn allow_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit");
    let needed = u64::try_from(IDLE).expect("small") + 1_000;
    assert!(most > needed, "this test needs {needed} open files");
}

async fn assert_served(client: &Client, url: &str) {
    let token = AccessKey::of_this_process().admin();
    let answer = client.get(url).bearer_auth(token).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!(answer.status(), 200, "{url}");
}

async fn has_ended(mut socket: impl AsyncRead + AsyncWrite + Unpin, drips: bool) {
    let mut room = [0; 1024];
    loop {
        tokio::select! {
            read = socket.read(&mut room) => if !matches!(read, Ok(1..)) { return },
            () = tokio::time::sleep(DRIP), if drips => {
                if socket.write_all(b"x").await.is_err() { return }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_slowly_is_cut_off_at_every_listener_even_if_it_goes_on() {
    let deployment = Deployment::start_with(|builder| {
        ServiceKind::ALL.into_iter().fold(builder, |builder, kind| {
            let builder = builder.env(kind, "HEADER_TIMEOUT_SECONDS", "1");
            builder.env(kind, "REQUEST_TIMEOUT_SECONDS", "2")
        })
    })
    .await;
    let client = client();
    let token = AccessKey::of_this_process().admin();
    let mut ends = JoinSet::new();
    for url in routes(&deployment) {
        // The body of this one never ends.
        let path = if url.ends_with("/v1/session") {
            "/v1/session"
        } else {
            "/v1/contractors"
        };
        let body = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
        );
        for beginning in BEGINNINGS.into_iter().chain([body.as_str()]) {
            for drips in [false, true] {
                let mut socket = TcpStream::connect(address(&url))
                    .await
                    .expect("a connection");
                socket
                    .write_all(beginning.as_bytes())
                    .await
                    .expect("a beginning");
                let what = format!(
                    "{url}: {:?}, {drips}",
                    beginning.get(..40).unwrap_or(beginning)
                );
                ends.spawn(async move {
                    let in_time = tokio::time::timeout(DEADLINE, has_ended(socket, drips)).await;
                    assert!(in_time.is_ok(), "{what} is open still");
                });
            }
        }
        assert_served(&client, &url).await;
    }
    while let Some(ended) = ends.join_next().await {
        ended.expect("it is cut off");
    }
    for url in routes(&deployment) {
        assert_served(&client, &url).await;
    }
    deployment.assert_sound().await;
}

/// What never ends shaking hands has sent so much.
const HANDSHAKES: [&[u8]; 5] = [
    b"\x16",
    b"\x16\x03\x01",
    // A handshake of 512 bytes, of which the first say that a greeting of the client begins.
    b"\x16\x03\x01\x02\x00",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_within_a_handshake_or_after_it_is_cut_off_at_every_listener() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new().expect("an authority");
    let identity = authority.vouch("localhost").expect("a certificate");
    let [certificate, key] = identity.write(folder.path()).expect("two files");
    let deployment = Deployment::start_with(|builder| {
        ServiceKind::ALL.into_iter().fold(builder, |builder, kind| {
            let builder = builder.env(kind, "HEADER_TIMEOUT_SECONDS", "1");
            let builder = builder.env(kind, "TLS_CERTIFICATE", certificate.to_str().expect("text"));
            builder.env(kind, "TLS_KEY", key.to_str().expect("text"))
        })
    })
    .await;
    let own = Certificate::from_pem(authority.pem().as_bytes()).expect("a certificate");
    let client = client_builder().tls_certs_only([own]);
    let client = client.build().expect("a client");
    let config = authority.client_config().expect("TLS");
    let connector = TlsConnector::from(Arc::new(config));
    let mut ends = JoinSet::new();
    let urls = routes(&deployment).map(|url| {
        let encrypted = url.replace("http://127.0.0.1", "https://localhost");
        (address(&url), encrypted)
    });
    for (address, url) in &urls {
        for beginning in HANDSHAKES {
            for drips in [false, true] {
                let mut socket = TcpStream::connect(address).await.expect("a connection");
                socket.write_all(beginning).await.expect("a beginning");
                let what = format!("{url}: {beginning:?}, {drips}");
                ends.spawn(async move {
                    let in_time = tokio::time::timeout(DEADLINE, has_ended(socket, drips)).await;
                    assert!(in_time.is_ok(), "{what} is open still");
                });
            }
        }
        // This one shakes hands, and then says nothing.
        let socket = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let silent = connector.connect(name, socket).await.expect("TLS");
        let what = format!("{url}: a silent client");
        ends.spawn(async move {
            let in_time = tokio::time::timeout(DEADLINE, has_ended(silent, false)).await;
            assert!(in_time.is_ok(), "{what} is open still");
        });
        assert_served(&client, url).await;
    }
    while let Some(ended) = ends.join_next().await {
        ended.expect("it is cut off");
    }
    for (_, url) in &urls {
        assert_served(&client, url).await;
    }
    deployment.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_that_say_nothing_keep_nobody_out() {
    allow_many_files();
    let deployment = Deployment::start().await;
    let client = client();
    for url in routes(&deployment) {
        let address = address(&url);
        let mut silent = Vec::with_capacity(IDLE);
        for number in 0..IDLE {
            let opened = StdStream::connect_timeout(&address, PATIENCE);
            silent.push(opened.unwrap_or_else(|error| panic!("{url}: {number}: {error}")));
            if number % 1_000 == 0 {
                assert_served(&client, &url).await;
            }
        }
        assert_served(&client, &url).await;
        drop(silent);
    }
    deployment.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_tokens_at_every_listener_keeps_nobody_out() {
    let deployment = Deployment::start().await;
    let client = client();
    let bad = format!("{}x", AccessKey::of_this_process().admin());
    for url in routes(&deployment) {
        let mut flood = JoinSet::new();
        for _ in 0..16 {
            let (client, url, bad) = (client.clone(), url.clone(), bad.clone());
            flood.spawn(async move {
                let mut refused = [0; 2];
                for _ in 0..100 {
                    let answer = client.get(&url).bearer_auth(&bad).send().await;
                    match answer.expect("an answer").status().as_u16() {
                        401 => refused[0] += 1,
                        429 => refused[1] += 1,
                        other => panic!("{url}: {other}"),
                    }
                }
                refused
            });
        }
        let mut refused = [0; 2];
        // Between any two of the flood that have ended, and at least so often.
        for _ in 0..20 {
            assert_served(&client, &url).await;
        }
        while let Some(ended) = flood.join_next().await {
            let [unknown, too_many] = ended.expect("the flood");
            refused[0] += unknown;
            refused[1] += too_many;
            assert_served(&client, &url).await;
        }
        assert_eq!(refused[0] + refused[1], 1_600, "{url}");
        assert!(refused[1] > 0, "{url}: {refused:?}");
    }
    deployment.assert_sound().await;
}
