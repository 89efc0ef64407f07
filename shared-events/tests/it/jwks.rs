//! Tokens that are signed with published keys, read from a real HTTP server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use axum::http::StatusCode;
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use shared_events::service::auth::AuthSettings;
use shared_events::service::{Access, Clock, Problem};
use shared_events::trust::TrustSettings;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    auth: AuthSettings,
}

struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn rsa(id: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // A PKCS#1 key is what stands in a PKCS#8 one after its head of 26 bytes.
        let key = EncodingKey::from_rsa_der(&der.as_ref()[26..]);
        Self {
            id,
            algorithm: Algorithm::RS256,
            key,
        }
    }

    fn ec(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let key = EncodingKey::from_ec_der(der.as_ref());
        Self {
            id,
            algorithm: Algorithm::ES256,
            key,
        }
    }

    fn ed(id: &'static str) -> Self {
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        let key = EncodingKey::from_ed_der(der.as_ref());
        Self {
            id,
            algorithm: Algorithm::EdDSA,
            key,
        }
    }

    fn published(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        jwk
    }

    fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// An issuer that publishes what it is told to.
struct Issuer {
    url: String,
    published: Arc<Mutex<Option<JwkSet>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let published: Arc<Mutex<Option<JwkSet>>> = Arc::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let (keys, count) = (Arc::clone(&published), Arc::clone(&asked));
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let keys = keys.lock().unwrap().clone();
            async move {
                keys.map(axum::Json)
                    .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        let router = axum::Router::new().route("/jwks.json", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            published,
            asked,
        }
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys = signers.iter().map(|signer| signer.published()).collect();
        *self.published.lock().unwrap() = Some(JwkSet { keys });
    }

    fn access(&self, clock: &Clock) -> Access {
        let arguments = [
            "x",
            "--auth-mode=jwks",
            "--auth-issuer=https://login.test",
            "--auth-jwks-url",
        ];
        let settings = Settings::parse_from(arguments.iter().chain([&self.url.as_str()]));
        Access::new(&settings.auth, &TrustSettings::default(), clock.clone()).unwrap()
    }
}

fn clock() -> Clock {
    Clock::manual("2026-11-24T08:00:00Z".parse::<DateTime<Utc>>().unwrap())
}

fn claims(clock: &Clock) -> Value {
    let expires = (clock.now() + TimeDelta::hours(1)).timestamp();
    json!({"sub": "ada", "aud": "rosterwire", "iss": "https://login.test", "exp": expires,
           "roles": ["dispatcher"], "territories": ["leeds"]})
}

async fn known(access: &Access, token: &str) -> Result<String, Problem> {
    let caller = access.caller_of(token).await?;
    Ok(caller.subject().to_owned())
}

#[tokio::test]
async fn each_algorithm_is_taken_with_its_own_key_alone() {
    let issuer = Issuer::start().await;
    let signers = [Signer::rsa("rsa"), Signer::ec("ec"), Signer::ed("ed")];
    issuer.publish(&signers.iter().collect::<Vec<_>>());
    let clock = clock();
    let access = issuer.access(&clock);
    for signer in &signers {
        assert_eq!(
            known(&access, &signer.token(&claims(&clock)))
                .await
                .as_deref(),
            Ok("ada")
        );
        let elsewhere = Signer {
            id: "ec",
            algorithm: signer.algorithm,
            key: Signer::ed("x").key,
        };
        if signer.id == "ed" {
            let refused = known(&access, &elsewhere.token(&claims(&clock)))
                .await
                .unwrap_err();
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        }
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1, "read once for all");

    // What is published is no secret to sign with, whatever the token says.
    let key = EncodingKey::from_secret(
        serde_json::to_string(&signers[0].published())
            .unwrap()
            .as_bytes(),
    );
    let forged = Signer {
        id: "rsa",
        algorithm: Algorithm::HS256,
        key,
    };
    let refused = known(&access, &forged.token(&claims(&clock)))
        .await
        .unwrap_err();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    for (name, value) in [
        ("iss", json!("https://other.test")),
        ("aud", json!("other")),
        ("exp", json!(1)),
        ("nbf", json!(9_999_999_999_i64)),
    ] {
        let mut wrong = claims(&clock);
        wrong[name] = value;
        let refused = known(&access, &signers[1].token(&wrong)).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_rotated_without_a_restart_and_kept_while_the_issuer_is_away() {
    let issuer = Issuer::start().await;
    let clock = clock();
    let access = issuer.access(&clock);
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let (by_old, by_new) = (old.token(&claims(&clock)), new.token(&claims(&clock)));
    let away = known(&access, &by_old).await.unwrap_err();
    assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);

    issuer.publish(&[&old]);
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    assert!(known(&access, &by_old).await.is_ok());
    issuer.publish(&[&new]);
    // A flood of tokens with unknown keys asks the issuer no more often than every 10 seconds.
    for _ in 0..50 {
        assert!(known(&access, &by_new).await.is_err());
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    assert!(known(&access, &by_new).await.is_ok());
    assert!(known(&access, &by_old).await.is_err(), "withdrawn");

    *issuer.published.lock().unwrap() = None;
    tokio::time::advance(std::time::Duration::from_secs(301)).await;
    assert!(known(&access, &by_new).await.is_ok(), "kept");
    assert_eq!(
        issuer.asked.load(Ordering::SeqCst),
        4,
        "asked again, in vain"
    );
}
