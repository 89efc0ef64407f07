//! TLS at a listener as every service has it.

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use clap::Parser;
use reqwest::{Certificate, Client};
use shared_events::service::http::Server;
use shared_events::service::{ServiceSettings, Shutdown, Tls, https_client};
use shared_events::trust::told;
use stack::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    service: ServiceSettings,
}

fn settings(certificate: &Path, key: &Path) -> ServiceSettings {
    let paths = [certificate, key].map(|path| path.to_str().unwrap());
    let [certificate, key] = paths;
    let words = [
        "x",
        "--auth-mode=disabled",
        "--tls-certificate",
        certificate,
    ];
    Settings::parse_from(words.iter().chain(&["--tls-key", key])).service
}

/// A listener that takes each of its connections for one from `peer`.
async fn listening(settings: ServiceSettings, peer: SocketAddr) -> SocketAddr {
    let tls = Tls::read(&settings.tls).unwrap();
    let application = Router::new().fallback(async || "answered");
    let server = Server::new(application, tls, &settings, &Shutdown::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let server = server.clone();
            tokio::spawn(async move { server.serve(socket, peer).await });
        }
    });
    address
}

async fn in_clear(address: SocketAddr) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let question = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    socket.write_all(question).await.unwrap();
    let mut answer = Vec::new();
    // What was not read of the request may break the connection off.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn where_tls_is_set_it_is_spoken_with_everybody_and_clear_text_with_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let identity = authority.vouch("localhost").unwrap();
    let [certificate, key] = identity.write(folder.path()).unwrap();
    let own = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([own]);
    let client = client.build().unwrap();
    for (peer, is_here) in [
        ("127.0.0.1:4000", true),
        ("[::ffff:127.0.0.1]:4000", true),
        ("192.0.2.7:4000", false),
        ("[2001:db8::7]:4000", false),
    ] {
        let settings = settings(&certificate, &key);
        let address = listening(settings, peer.parse().unwrap()).await;
        let url = format!("https://localhost:{}", address.port());
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "answered", "{peer}");
        let answer = in_clear(address).await;
        assert_eq!(answer.is_empty(), !is_here, "{peer}: {answer}");
    }
}

#[tokio::test]
async fn who_asks_over_https_trusts_as_the_settings_say() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let identity = authority.vouch("localhost").unwrap();
    let [certificate, key] = identity.write(folder.path()).unwrap();
    let ca = authority.write(folder.path()).unwrap();
    let mut settings = settings(&certificate, &key);
    let here = "127.0.0.1:4000".parse().unwrap();
    let url = format!(
        "https://localhost:{}",
        listening(settings.clone(), here).await.port()
    );
    let ask = async |settings: &ServiceSettings| {
        let client = https_client(&settings.trust).unwrap().no_proxy();
        client.build().unwrap().get(&url).send().await
    };
    let refused = told(&ask(&settings).await.unwrap_err());
    assert!(refused.contains("TLS_CA"), "{refused}");
    let words = [
        "x",
        "--auth-mode=disabled",
        "--tls-ca",
        ca.to_str().unwrap(),
    ];
    settings.trust = Settings::parse_from(words).service.trust;
    assert_eq!(ask(&settings).await.unwrap().status(), 200);
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_by_its_setting() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let [certificate, key] = authority.vouch("a").unwrap().write(&one).unwrap();
    let [_, foreign] = authority.vouch("a").unwrap().write(&other).unwrap();
    let nowhere = folder.path().join("nowhere.pem");
    for (certificate, key, word) in [
        (&nowhere, &key, "TLS_CERTIFICATE: cannot read"),
        (&key, &key, "there is no certificate in it"),
        (&certificate, &nowhere, "TLS_KEY: cannot read"),
        (&certificate, &foreign, "do not belong together"),
    ] {
        let error = Tls::read(&settings(certificate, key).tls).unwrap_err();
        assert!(format!("{error:#}").contains(word), "{error:#}");
    }
}
