//! Who may ask.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared_events::service::auth::{Minter, Needs, Role, Secret};

use stack::walk::visits;
use uuid::Uuid;

use crate::world::{World, contractor_with};

const SECRET: &str = "a secret that is only used by tests";

fn token(world: &World, roles: &[Role], territories: &[&str]) -> String {
    let territories: Vec<String> = territories.iter().map(|t| (*t).to_owned()).collect();
    let now = world.clock.now();
    Minter::new(&Secret::new(SECRET), "rosterwire", None)
        .mint("test", roles, &territories, now, now + TimeDelta::hours(1))
        .unwrap()
}

async fn get(world: &World, path: &str, token: Option<&str>) -> (u16, Value) {
    let mut request = reqwest::Client::new().get(format!("{}{path}", world.url));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// A world that wants tokens, and one contractor in each of the two territories.
async fn leeds_and_york() -> (World, [Uuid; 2]) {
    let secret = format!("--auth-hs256-secret={SECRET}");
    let world = World::with(&["--auth-mode=hs256", &secret]).await;
    let schedules = [
        contractor_with(1, 1, &json!({"territory": "leeds"})),
        contractor_with(2, 1, &json!({"territory": "york"})),
    ];
    world.publish(&schedules.iter().collect::<Vec<_>>()).await;
    for schedule in &schedules {
        world.told_of(schedule).await;
    }
    let ids = schedules.each_ref().map(|schedule| schedule.contractor_id);
    (world, ids)
}

#[test]
fn every_route_declares_what_it_takes() {
    let undeclared = Needs::undeclared(&availability_worker::http::openapi());
    assert_eq!(undeclared, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_finds_only_what_is_of_its_territories() {
    let (world, [leeds, york]) = leeds_and_york().await;
    let dispatcher = token(&world, &[Role::Dispatcher], &["leeds"]);
    let all = token(&world, &[Role::Service], &["*"]);
    let nobody = token(&world, &[], &["*"]);

    let search = "/v1/availability?durationMinutes=60";
    for path in [
        search.to_owned(),
        format!("/v1/availability/{leeds}"),
        format!("/v1/availability/{leeds}/explain"),
    ] {
        assert_eq!(get(&world, &path, None).await.0, 401, "{path}");
        assert_eq!(get(&world, &path, Some(&nobody)).await.0, 403, "{path}");
        assert_eq!(get(&world, &path, Some(&dispatcher)).await.0, 200, "{path}");
    }
    let unknown = uuid::Uuid::from_u128(99);
    for rest in ["", "/explain", "?minVersion=7"] {
        let path = |id: uuid::Uuid| format!("/v1/availability/{id}{rest}");
        assert_eq!(
            get(&world, &path(york), Some(&all)).await.0 / 100,
            if rest == "?minVersion=7" { 5 } else { 2 }
        );
        let (status, refused) = get(&world, &path(york), Some(&dispatcher)).await;
        assert_eq!(status, 404, "{rest}");
        let (_, absent) = get(&world, &path(unknown), Some(&dispatcher)).await;
        let without =
            |problem: &Value, id: uuid::Uuid| problem.to_string().replace(&id.to_string(), "");
        assert_eq!(without(&refused, york), without(&absent, unknown), "{rest}");
    }
    let items = |body: &Value| body["items"].as_array().unwrap().len();
    let (_, found) = get(&world, search, Some(&dispatcher)).await;
    assert_eq!(items(&found), 1);
    assert_eq!(found["items"][0]["contractorId"], leeds.to_string());
    assert_eq!(items(&get(&world, search, Some(&all)).await.1), 2);
    let foreign = format!("{search}&territory=york");
    assert_eq!(get(&world, &foreign, Some(&dispatcher)).await.0, 403);
    let none = token(&world, &[Role::Manager], &[]);
    assert_eq!(items(&get(&world, search, Some(&none)).await.1), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_role_and_territory_meet_as_they_should() {
    let (world, ids) = leeds_and_york().await;
    let ids = ids.map(|id| id.to_string());
    let description = serde_json::to_value(availability_worker::http::openapi()).unwrap();
    let mut walked = 0;
    for visit in visits(&description) {
        let token = token(&world, &[visit.role], visit.territories);
        assert!(visit.may(), "every role reads");
        let is_of_one = visit.path.contains("{contractorId}");
        let queries: &[&str] = match visit.operation.as_str() {
            "searchAvailability" => &["", "&territory=leeds", "&territory=york"],
            _ => &["", "&minVersion=1"],
        };
        for (query, (number, territory)) in queries.iter().flat_map(|query| {
            ["leeds", "york"]
                .into_iter()
                .enumerate()
                .map(move |of| (query, of))
        }) {
            let path = visit.path.replace("{contractorId}", &ids[number]);
            let explains = path.ends_with("/explain");
            let path = if explains {
                path
            } else {
                format!("{path}?durationMinutes=60{query}")
            };
            let named = query.strip_prefix("&territory=");
            let (status, body) = get(&world, &path, Some(&token)).await;
            let expected = match named {
                Some(named) if !visit.sees(named) => 403,
                None if is_of_one && !visit.sees(territory) => 404,
                _ => 200,
            };
            let case = format!("{:?} of {:?}: {path}", visit.role, visit.territories);
            assert_eq!(status, expected, "{case}: {body}");
            let told = body.to_string();
            for (id, of) in ids.iter().zip(["leeds", "york"]) {
                // A refusal names what was asked for.
                let asked = path.contains(id);
                let shown = visit.sees(of)
                    && status == 200
                    && (asked || !is_of_one && named.is_none_or(|named| named == of));
                assert_eq!(
                    told.contains(id) && (status == 200 || !asked),
                    shown,
                    "{case}: {body}"
                );
            }
            walked += 1;
        }
    }
    assert!(walked > 200, "{walked}");
}
