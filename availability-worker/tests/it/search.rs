//! Who can take a job.

use serde_json::{Value, json};

use crate::world::{World, contractor, contractor_with};

fn found(body: &Value) -> Vec<(u64, String)> {
    body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let id: uuid::Uuid = item["contractorId"].as_str().unwrap().parse().unwrap();
            let start = item["earliestStart"].as_str().unwrap()[5..16].to_owned();
            (u64::try_from(id.as_u128()).unwrap(), start)
        })
        .collect()
}

fn expected(pairs: &[(u64, &str)]) -> Vec<(u64, String)> {
    pairs
        .iter()
        .map(|(n, start)| (*n, (*start).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_earliest_come_first_and_ties_go_by_id() {
    let world = World::with(&["--horizon-days=7"]).await;
    let rules = |notice: i64| json!({"slotIntervalMinutes": 30, "minNoticeMinutes": notice, "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0});
    let late = json!({"workingHours": [{"days": ["SU"], "start": "10:00", "end": "12:00"}],
                      "dateOverrides": [{"date": "2026-11-29", "windows": []}]});
    let schedules = [
        contractor_with(1, 1, &json!({"bookingRules": rules(95)})),
        contractor(2, 1),
        contractor_with(
            3,
            1,
            &json!({"territory": "south", "timeZone": "America/New_York"}),
        ),
        contractor(4, 1),
        contractor_with(5, 1, &json!({"status": "inactive"})),
        contractor_with(6, 1, &json!({"skills": ["gas"]})),
        // Free only beyond the horizon, which ends on 1 December.
        contractor_with(7, 1, &late),
    ];
    world.publish(&schedules.iter().collect::<Vec<_>>()).await;
    for schedule in &schedules {
        world.told_of(schedule).await;
    }

    let (_, body) = world
        .get("/v1/availability?durationMinutes=120&to=2026-12-10T00:00:00Z")
        .await;
    let all = expected(&[
        (2, "11-24T08:00"),
        (4, "11-24T08:00"),
        (6, "11-24T08:00"),
        (1, "11-24T10:00"),
        (3, "11-24T13:00"),
        (7, "12-06T10:00"),
    ]);
    assert_eq!(found(&body), all);
    assert_eq!(body["nextCursor"], Value::Null);

    let (_, body) = world.get("/v1/availability?durationMinutes=120&territory=north&skills=gas,boiler&to=2026-11-25T00:00:00Z").await;
    assert_eq!(
        found(&body),
        expected(&[(2, "11-24T08:00"), (4, "11-24T08:00"), (1, "11-24T10:00")])
    );
    let (_, body) = world.get("/v1/availability?durationMinutes=541").await;
    assert!(found(&body).is_empty());
    let (_, body) = world
        .get("/v1/availability?durationMinutes=60&territory=nowhere")
        .await;
    assert!(found(&body).is_empty());

    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, body) = world
            .get(&format!(
                "/v1/availability?durationMinutes=120&to=2026-12-10T00:00:00Z&limit=2{cursor}"
            ))
            .await;
        assert_eq!(status, 200);
        pages.extend(found(&body));
        let Some(next) = body["nextCursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, all);
}
