//! Who may do what.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared_events::service::Clock;
use shared_events::service::auth::{Minter, Role, Secret};

use stack::walk::visits;

use crate::service::{NOW, Reply, Service, job_at};

const SECRET: &str = "a secret that is only used by tests";

/// A service that checks tokens, with one contractor in each of two territories, and a job of each.
struct Guarded {
    service: Service,
    leeds: String,
    york: String,
    leeds_job: String,
    york_job: String,
}

struct Token<'a> {
    subject: &'a str,
    roles: &'a [Role],
    territories: &'a [&'a str],
}

const ADMIN: Token<'static> = Token {
    subject: "ada",
    roles: &[Role::Admin],
    territories: &["*"],
};

fn minted(token: &Token<'_>) -> String {
    let territories: Vec<String> = token.territories.iter().map(|t| (*t).to_owned()).collect();
    let now = NOW.parse().expect("an instant");
    Minter::new(&Secret::new(SECRET), "rosterwire", None)
        .mint(
            token.subject,
            token.roles,
            &territories,
            now,
            now + TimeDelta::hours(1),
        )
        .expect("a token")
}

fn dispatcher(territories: &[&str]) -> String {
    minted(&Token {
        subject: "dora",
        roles: &[Role::Dispatcher],
        territories,
    })
}

fn contractor_in(territory: &str) -> Value {
    json!({"name": "Ada Byron", "territory": territory, "timeZone": "Europe/London"})
}

impl Guarded {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[&str]) -> Self {
        let secret = format!("--auth-hs256-secret={SECRET}");
        let settings = [&["--auth-mode=hs256", &secret], more].concat();
        let service = Service::start_with(&settings).await;
        let admin = minted(&ADMIN);
        let (mut contractors, mut jobs) = (Vec::new(), Vec::new());
        for territory in ["leeds", "york"] {
            let made = sent(
                &service,
                "POST",
                "/v1/contractors",
                &admin,
                Some(&contractor_in(territory)),
            )
            .await;
            let id = made.expect(201).id();
            let path = format!("/v1/contractors/{id}/jobs");
            let job = sent(&service, "POST", &path, &admin, Some(&job_at(9))).await;
            jobs.push(job.expect(201).id());
            contractors.push(id);
        }
        let (york, leeds) = (contractors.remove(1), contractors.remove(0));
        let (york_job, leeds_job) = (jobs.remove(1), jobs.remove(0));
        Self {
            service,
            leeds,
            york,
            leeds_job,
            york_job,
        }
    }

    async fn send(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Reply {
        sent(&self.service, method, path, token, body).await
    }
}

async fn sent(
    service: &Service,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Reply {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    if matches!(method, "PATCH" | "PUT") {
        headers.push(("if-match", "*"));
    }
    match body {
        Some(body) => service.json(method, path, &headers, body).await,
        None => service.send(method, path, &headers, None).await,
    }
}

/// A body that an operation would take.
fn body_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "createContractor" => contractor_in("leeds"),
        "patchSchedule" => json!({"name": "Ada"}),
        "putDateOverride" => json!({"windows": []}),
        "addTimeOff" => json!({"start": "2027-01-01T00:00:00Z", "end": "2027-01-02T00:00:00Z"}),
        "bookJob" => job_at(12),
        "patchJob" => json!({"title": "Boiler"}),
        _ => return None,
    })
}

/// A path of the description with what is of a territory.
fn filled(path: &str, contractor: &str, job: &str) -> String {
    path.replace("{id}", contractor)
        .replace("{jobId}", job)
        .replace("{date}", "2026-12-24")
        .replace("{timeOffId}", contractor)
}

/// Every operation of the description, its path filled with what is of a territory; with a body
/// that would be taken.
fn operations(contractor: &str, job: &str) -> Vec<(String, String, Option<Value>)> {
    let document = serde_json::to_value(schedule_service::http::openapi()).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("an id");
            let path = filled(path, contractor, job);
            operations.push((method.to_uppercase(), path, body_of(id)));
        }
    }
    operations
}

#[test]
fn every_route_declares_what_it_takes() {
    let undeclared =
        shared_events::service::auth::Needs::undeclared(&schedule_service::http::openapi());
    assert_eq!(undeclared, Vec::<String>::new());
}

#[tokio::test]
async fn every_route_asks_for_a_token_and_for_a_role_that_includes_it() {
    let guarded = Guarded::start().await;
    let mut walked = 0;
    for (method, path, body) in operations(&guarded.leeds, &guarded.leeds_job) {
        let unknown = guarded.service.send(&method, &path, &[], None).await;
        assert_eq!(unknown.problem(401), "unauthenticated", "{method} {path}");
        assert_eq!(
            unknown.header("www-authenticate"),
            Some("Bearer realm=\"rosterwire\"")
        );
        let writes = method != "GET";
        for (role, may) in [
            (Role::Admin, true),
            (Role::Dispatcher, true),
            (Role::Manager, !writes),
            (Role::Service, !writes),
        ] {
            let token = minted(&Token {
                subject: "x",
                roles: &[role],
                territories: &["leeds"],
            });
            // What may be done is shown with a body that is refused later, so that nothing changes.
            let body = match (may, writes) {
                (true, true) => Some(json!({"nonsense": true})),
                _ => body.clone(),
            };
            if method == "DELETE" && may {
                continue;
            }
            let reply = guarded.send(&method, &path, &token, body.as_ref()).await;
            let refused = reply.status == 401 || reply.status == 403;
            assert_eq!(refused, !may, "{role:?}: {method} {path}: {}", reply.text);
            walked += 1;
        }
        let nobody = minted(&Token {
            subject: "x",
            roles: &[],
            territories: &["*"],
        });
        let reply = guarded.send(&method, &path, &nobody, body.as_ref()).await;
        assert_eq!(reply.problem(403), "forbidden");
    }
    assert!(walked > 40, "{walked}");
}

#[tokio::test]
async fn every_route_role_and_territory_meet_as_they_should() {
    let guarded = Guarded::start().await;
    let description = serde_json::to_value(schedule_service::http::openapi()).expect("JSON");
    let mut walked = 0;
    for visit in visits(&description) {
        let path = filled(&visit.path, &guarded.leeds, &guarded.leeds_job);
        let is_of_leeds = path != visit.path;
        let token = minted(&Token {
            subject: "x",
            roles: &[visit.role],
            territories: visit.territories,
        });
        let (may, sees) = (visit.may(), visit.sees("leeds"));
        if may && sees && visit.method == "DELETE" {
            continue;
        }
        // What may be done is shown with a body that is refused later, so that nothing changes.
        let body = match (may && sees, body_of(&visit.operation)) {
            (true, Some(_)) => Some(json!({"nonsense": true})),
            (_, body) => body,
        };
        let reply = guarded
            .send(&visit.method, &path, &token, body.as_ref())
            .await;
        let reads = visit.method == "GET";
        let expected = match (may, sees, reads) {
            (true, true, false) => 422,
            (true, false, _) if is_of_leeds => 404,
            // Lists may be empty.
            (true, _, true) => 200,
            // The role, or a contractor that is to be made in leeds.
            _ => 403,
        };
        let case = format!(
            "{:?} of {:?}: {} {path}",
            visit.role, visit.territories, visit.method
        );
        assert_eq!(reply.status, expected, "{case}: {}", reply.text);
        // Lists and bulk reads hold what is of the caller's territories, and nothing else.
        let lists = reads && !is_of_leeds && reply.status == 200;
        for (id, territory) in [(&guarded.leeds, "leeds"), (&guarded.york, "york")] {
            let told = reply.text.contains(id);
            assert!(
                !lists || told == visit.sees(territory),
                "{case}: {}",
                reply.text
            );
            assert!(
                visit.sees(territory) || !told || expected == 404,
                "{case}: {}",
                reply.text
            );
        }
        walked += 1;
    }
    assert!(walked > 250, "{walked}");
}

#[tokio::test]
async fn what_is_of_another_territory_is_not_there() {
    let guarded = Guarded::start().await;
    let token = dispatcher(&["leeds"]);
    for (method, path, body) in operations(&guarded.york, &guarded.york_job) {
        if !path.contains(&guarded.york) && !path.contains(&guarded.york_job) {
            continue;
        }
        let refused = guarded.send(&method, &path, &token, body.as_ref()).await;
        assert_eq!(refused.problem(404), "not-found", "{method} {path}");
        // As if there were nothing at all.
        let nobody = uuid::Uuid::from_u128(7).to_string();
        let path = path
            .replace(&guarded.york, &nobody)
            .replace(&guarded.york_job, &nobody);
        let absent = guarded.send(&method, &path, &token, body.as_ref()).await;
        let known = [&guarded.york, &guarded.york_job, &nobody];
        let text = |reply: &Reply| {
            let without = |text: String, id: &&String| text.replace(id.as_str(), "");
            known.iter().fold(reply.text.clone(), without)
        };
        assert_eq!(text(&refused), text(&absent), "{method} {path}");
    }
}

#[tokio::test]
async fn lists_and_streams_hold_only_what_is_of_the_callers_territories() {
    let guarded = Guarded::start().await;
    let token = dispatcher(&["leeds"]);
    let list = guarded.send("GET", "/v1/contractors", &token, None).await;
    let items = list.expect(200).body["items"].clone();
    let ids: Vec<_> = items.as_array().expect("items").iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0]["contractorId"], guarded.leeds.as_str());
    let stream = guarded.send("GET", "/v1/schedules", &token, None).await;
    assert_eq!(stream.expect(200).text.lines().count(), 1);
    let foreign = guarded
        .send("GET", "/v1/contractors?territory=york", &token, None)
        .await;
    assert_eq!(foreign.problem(403), "forbidden");
    for territories in [&["leeds", "york"][..], &["*"]] {
        let token = dispatcher(territories);
        let stream = guarded
            .send("GET", "/v1/schedules?limit=2", &token, None)
            .await;
        assert_eq!(stream.expect(200).text.lines().count(), 2);
    }
    let none = dispatcher(&[]);
    let list = guarded.send("GET", "/v1/contractors", &none, None).await;
    assert_eq!(list.expect(200).body["items"], json!([]));
}

#[tokio::test]
async fn moving_between_territories_needs_both() {
    let guarded = Guarded::start().await;
    let (one, both) = (dispatcher(&["leeds"]), dispatcher(&["leeds", "york"]));
    let made = guarded
        .send(
            "POST",
            "/v1/contractors",
            &one,
            Some(&contractor_in("york")),
        )
        .await;
    assert_eq!(made.problem(403), "forbidden");

    let job = format!("/v1/jobs/{}", guarded.leeds_job);
    let away = json!({"contractorId": guarded.york, "start": "2026-12-01T14:00:00Z", "end": "2026-12-01T15:00:00Z"});
    let refused = guarded.send("PATCH", &job, &one, Some(&away)).await;
    assert_eq!(refused.pointers(), ["/contractorId"]);
    guarded
        .send("PATCH", &job, &both, Some(&away))
        .await
        .expect(200);
    let gone = guarded.send("GET", &job, &one, None).await;
    assert_eq!(gone.problem(404), "not-found");

    let schedule = format!("/v1/contractors/{}/schedule", guarded.leeds);
    let elsewhere = json!({"territory": "york"});
    let refused = guarded
        .send("PATCH", &schedule, &one, Some(&elsewhere))
        .await;
    assert_eq!(refused.problem(403), "forbidden");
    guarded
        .send("PATCH", &schedule, &both, Some(&elsewhere))
        .await
        .expect(200);
    let gone = guarded.send("GET", &schedule, &one, None).await;
    assert_eq!(gone.problem(404), "not-found");
}

#[tokio::test]
async fn the_history_and_the_event_say_who_it_was_and_never_the_token() {
    let guarded = Guarded::start().await;
    let token = dispatcher(&["leeds"]);
    let schedule = format!("/v1/contractors/{}/schedule", guarded.leeds);
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("if-match", "*"),
        ("x-request-id", "ticket-4711"),
    ];
    let reply = guarded
        .service
        .json("PATCH", &schedule, &headers, &json!({"name": "Ada L."}))
        .await;
    assert_eq!(
        reply.expect(200).header("x-request-id"),
        Some("ticket-4711")
    );
    let changes = format!("/v1/contractors/{}/changes", guarded.leeds);
    let changes = guarded
        .send("GET", &changes, &token, None)
        .await
        .expect(200);
    let actors: Vec<_> = changes.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["actor"].as_str().expect("an actor"))
        .collect();
    assert_eq!(actors, ["ada", "ada", "dora"]);
    let requests: BTreeSet<_> = changes.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["requestId"].as_str().expect("a request"))
        .collect();
    // Those that had no name were given one each.
    assert!(requests.contains("ticket-4711") && requests.len() == 3);
    let outbox = guarded.service.outbox().await;
    let last = outbox.last().expect("an event");
    assert_eq!(last["data"]["actor"], "dora");
    assert_eq!(last["data"].get("requestId"), None);
    assert!(!last.to_string().contains(&token));
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_its_caller() {
    let guarded = Guarded::start().await;
    let path = format!("/v1/contractors/{}/jobs", guarded.leeds);
    let mut locations = BTreeSet::new();
    for (subject, hour) in [("one", 11), ("two", 13), ("one", 11)] {
        let token = minted(&Token {
            subject,
            roles: &[Role::Dispatcher],
            territories: &["leeds"],
        });
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
        let reply = guarded
            .service
            .json("POST", &path, &headers, &job_at(hour))
            .await;
        locations.insert(reply.expect(201).header("location").map(str::to_owned));
    }
    assert_eq!(locations.len(), 2);
}

#[tokio::test]
async fn a_token_that_is_not_for_us_is_refused_whatever_is_wrong_with_it() {
    let guarded = Guarded::start().await;
    let good = minted(&ADMIN);
    let now = guarded.service.clock.now();
    let minter = |secret: &str, audience: &str| {
        let minter = Minter::new(&Secret::new(secret), audience, None);
        let all = ["*".to_owned()];
        minter
            .mint("x", &[Role::Admin], &all, now, now + TimeDelta::hours(1))
            .expect("a token")
    };
    let mut tampered = good.clone();
    tampered.replace_range(
        good.len() - 6..good.len() - 5,
        if good.as_bytes()[good.len() - 6] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    let unsigned = format!(
        "eyJhbGciOiJub25lIn0.{}.",
        good.split('.').nth(1).expect("claims")
    );
    for (what, token) in [
        (
            "another secret",
            minter("another secret of thirty-two bytes", "rosterwire"),
        ),
        ("another audience", minter(SECRET, "somebody")),
        ("tampered", tampered),
        ("unsigned", unsigned),
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
        ("huge", "x".repeat(20_000)),
    ] {
        let reply = guarded.send("GET", "/v1/contractors", &token, None).await;
        assert_eq!(reply.problem(401), "unauthenticated", "{what}");
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.contains("error=\"invalid_token\""), "{what}");
    }
    // The leeway is 30 seconds by default.
    guarded
        .service
        .clock
        .advance(TimeDelta::minutes(60) + TimeDelta::seconds(29));
    guarded
        .send("GET", "/v1/contractors", &good, None)
        .await
        .expect(200);
    guarded.service.clock.advance(TimeDelta::seconds(1));
    let expired = guarded.send("GET", "/v1/contractors", &good, None).await;
    assert_eq!(expired.problem(401), "unauthenticated");
    assert!(expired.text.contains("expired"));
}

#[tokio::test]
async fn the_cookie_changes_something_only_for_a_page_of_an_allowed_origin() {
    let guarded = Guarded::start_with(&["--allowed-origins=https://board.example"]).await;
    let service = &guarded.service;
    let cookie = format!("theme=dark; rosterwire_token={}", minted(&ADMIN));
    let own = service.url().to_owned();
    for (origin, allowed) in [
        (Some("https://board.example"), true),
        (Some(own.as_str()), true),
        (Some("http://evil.example"), false),
        (Some("null"), false),
        (None, false),
    ] {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let read = service.send("GET", "/v1/contractors", &headers, None).await;
        read.expect(200);
        let contractor = contractor_in("leeds");
        let written = service
            .json("POST", "/v1/contractors", &headers, &contractor)
            .await;
        if allowed {
            written.expect(201);
        } else {
            assert_eq!(written.problem(403), "forbidden", "{origin:?}");
        }
    }
    // With a header no page is involved.
    let bearer = format!("Bearer {}", minted(&ADMIN));
    let headers = [("authorization", bearer.as_str()), ("origin", "null")];
    let written = service
        .json("POST", "/v1/contractors", &headers, &contractor_in("leeds"))
        .await;
    written.expect(201);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_see_why_they_are_refused() {
    let board = "https://board.example";
    let guarded = Guarded::start_with(&["--allowed-origins=https://board.example"]).await;
    let service = &guarded.service;
    let bearer = format!("Bearer {}", minted(&ADMIN));
    let manager = format!(
        "Bearer {}",
        minted(&Token {
            roles: &[Role::Manager],
            ..ADMIN
        })
    );
    let contractor = contractor_in("leeds").to_string();
    let json = ("content-type", "application/json");
    for (method, path, headers, body, status) in [
        ("GET", "/v1/contractors", vec![], None, 401),
        (
            "GET",
            "/v1/contractors",
            vec![("authorization", &*bearer)],
            None,
            200,
        ),
        (
            "POST",
            "/v1/contractors",
            vec![("authorization", &*manager), json],
            Some(&*contractor),
            403,
        ),
        (
            "POST",
            "/v1/contractors",
            vec![("authorization", &*bearer), json],
            Some(&*contractor),
            201,
        ),
        ("GET", "/v1/nothing", vec![], None, 404),
        ("DELETE", "/v1/contractors", vec![], None, 405),
    ] {
        for (origin, allowed) in [(board, true), ("https://evil.example", false)] {
            let headers = [&headers[..], &[("origin", origin)]].concat();
            let reply = service.send(method, path, &headers, body).await;
            assert_eq!(reply.status, status, "{method} {path} {origin}");
            let told = |name| reply.header(name);
            let expected = |text| allowed.then_some(text);
            assert_eq!(told("access-control-allow-origin"), expected(board));
            assert_eq!(told("access-control-allow-credentials"), expected("true"));
            let shown = told("access-control-expose-headers").unwrap_or_default();
            for name in ["ETag", "Retry-After", "Location"] {
                assert_eq!(shown.contains(name), allowed, "{name}");
            }
            assert_eq!(told("vary"), Some("origin"));
        }
    }
    for (origin, allowed) in [(board, true), ("https://evil.example", false)] {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "content-type,if-match"),
        ];
        let path = format!("/v1/contractors/{}/schedule", guarded.leeds);
        let reply = service.send("OPTIONS", &path, &headers, None).await;
        assert_eq!(reply.status == 204, allowed);
        let methods = reply
            .header("access-control-allow-methods")
            .unwrap_or_default();
        assert_eq!(methods.contains("PATCH"), allowed);
        let names = reply
            .header("access-control-allow-headers")
            .unwrap_or_default();
        assert_eq!(names.contains("if-match"), allowed);
    }
}

#[tokio::test]
async fn what_every_process_shows_needs_no_token() {
    let guarded = Guarded::start().await;
    for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json"] {
        guarded.service.get(path).await.expect(200);
    }
    assert_eq!(
        guarded.service.get("/v1/nothing").await.problem(404),
        "not-found"
    );
}

#[test]
fn the_token_command_makes_tokens_that_are_taken() {
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_schedule-service"))
        .args([
            "token",
            "--role=dispatcher",
            "--territory=leeds",
            "--ttl=1h",
        ])
        .env("AUTH_HS256_SECRET", SECRET)
        .output()
        .expect("the program");
    let token = String::from_utf8(made.stdout).expect("text");
    let settings = <AuthProgram as clap::Parser>::try_parse_from([
        "program",
        "--auth-mode=hs256",
        &format!("--auth-hs256-secret={SECRET}"),
    ])
    .expect("settings");
    let access = shared_events::service::Access::new(
        &settings.auth,
        &shared_events::trust::TrustSettings::default(),
        Clock::system(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let caller = runtime
        .block_on(access.expect("access").caller_of(token.trim()))
        .expect("a caller");
    assert_eq!(caller.subject(), "developer");
    assert!(caller.sees("leeds") && !caller.sees("york"));
    assert!(
        caller
            .expires_at()
            .is_some_and(|at| at > Clock::system().now() + TimeDelta::minutes(59))
    );
}

#[derive(Debug, clap::Parser)]
struct AuthProgram {
    #[command(flatten)]
    auth: shared_events::service::auth::AuthSettings,
}
