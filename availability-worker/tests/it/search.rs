//! Who can take a job.

use availability_worker::cache::Copies;
use availability_worker::engine::{Interval, Query};
use availability_worker::search::Search;
use serde_json::{Value, json};

use crate::copies::settings;
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
    world.told_of_all(&schedules).await;

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

#[tokio::test(flavor = "multi_thread")]
async fn pages_keep_the_range_and_the_now_of_the_first_while_the_clock_and_the_data_change() {
    let world = World::new().await;
    let schedules: Vec<_> = (1..=6).map(|n| contractor(n, 1)).collect();
    world.publish(&schedules.iter().collect::<Vec<_>>()).await;
    world.told_of_all(&schedules).await;
    world.clock.advance(chrono::TimeDelta::seconds(90));
    let path = "/v1/availability?durationMinutes=60&limit=2";
    let (_, first) = world.get(path).await;
    let start = "11-24T08:30";
    assert_eq!(found(&first), expected(&[(1, start), (2, start)]));
    assert_eq!(first["asOf"], "2026-11-24T08:02:00Z");
    assert_eq!(first["oldestCalculatedAt"], "2026-11-24T08:00:00.000Z");
    assert_eq!(
        first["items"][0]["calculatedAt"],
        "2026-11-24T08:00:00.000Z"
    );
    let cursor = first["nextCursor"].as_str().unwrap();

    // By the clock of the second page nobody starts before nine any more, the first page's included.
    // Meanwhile the third is booked until noon, and the second, shown already, is of a new version.
    world.clock.advance(chrono::TimeDelta::minutes(10));
    let booked = json!({"jobs": [{"id": uuid::Uuid::from_u128(9), "title": "Boiler", "start": "2026-11-24T08:00:00Z",
        "end": "2026-11-24T12:00:00Z", "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0}]});
    let (second, third) = (contractor(2, 2), contractor_with(3, 2, &booked));
    world.publish(&[&second, &third]).await;
    world.told_of(&second).await;
    world.told_of(&third).await;
    let (_, page) = world.get(&format!("{path}&cursor={cursor}")).await;
    assert_eq!(found(&page), expected(&[(4, start), (5, start)]));
    assert_eq!(
        [&page["asOf"], &page["from"], &page["to"]],
        [&first["asOf"], &first["from"], &first["to"]]
    );
    let next = page["nextCursor"].as_str().unwrap();
    let (_, page) = world.get(&format!("{path}&cursor={next}")).await;
    assert_eq!(found(&page), expected(&[(6, start), (3, "11-24T12:00")]));
    assert_eq!(page["nextCursor"], Value::Null);

    let other = format!("{path}&cursor={cursor}&to=2026-11-30T00:00:00Z");
    world.clock.advance(chrono::TimeDelta::minutes(20));
    for (path, told) in [
        (other, "is of a search of another range"),
        (
            format!("{path}&cursor={cursor}"),
            "is older than 15 minutes: search anew",
        ),
    ] {
        let (status, body) = world.get(&path).await;
        assert_eq!(status, 422);
        let errors = body["errors"].to_string();
        assert!(errors.contains(told), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_while_the_territories_are_read_is_found_all_the_same() {
    let world = World::with(&["--horizon-days=7"]).await;
    let at =
        |version, territory: &str| contractor_with(1, version, &json!({"territory": territory}));
    for schedule in [at(1, "north"), at(2, "south")] {
        world.publish(&[&schedule]).await;
        world.told_of(&schedule).await;
    }
    // What a search sees that read the names of the territories before the move, and north after it.
    redis::cmd("SREM")
        .arg("rw:territories")
        .arg("south")
        .query_async::<()>(&mut world.redis().await)
        .await
        .unwrap();
    for (range, start) in [
        ("", "11-24T08:00"),
        (
            "&from=2026-12-05T00:00:00Z&to=2026-12-10T00:00:00Z",
            "12-07T08:00",
        ),
    ] {
        let path = format!("/v1/availability?durationMinutes=60{range}");
        assert_eq!(found(&world.get(&path).await.1), expected(&[(1, start)]));
        let north = format!("{path}&territory=north");
        assert!(found(&world.get(&north).await.1).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_build_has_packed_is_answered_from_the_schedule_beside_it() {
    let world = World::new().await;
    let schedules = [
        contractor(1, 3),
        contractor_with(2, 3, &json!({"skills": ["gas"]})),
        contractor_with(3, 3, &json!({"status": "onLeave"})),
        contractor(4, 3),
    ];
    world.publish(&schedules.iter().collect::<Vec<_>>()).await;
    for schedule in &schedules {
        world.truth.knows(schedule);
        world.told_of(schedule).await;
    }
    let path = "/v1/availability?durationMinutes=60&skills=boiler";
    let (_, before) = world.get(path).await;
    assert_eq!(found(&before).len(), 2);
    for schedule in &schedules[..3] {
        let id = schedule.contractor_id.to_string();
        let mut value = vec![255];
        value.extend(3_i64.to_be_bytes());
        value.extend([0xff; 4]);
        redis::cmd("HSET")
            .arg(("rw:windows:{north}", id, value))
            .query_async::<()>(&mut world.redis().await)
            .await
            .unwrap();
    }
    assert_eq!(found(&world.get(path).await.1), found(&before));
    let one = format!("/v1/availability/{}", schedules[0].contractor_id);
    let (status, body) = world.get(&one).await;
    assert_eq!((status, &body["source"]), (200, &json!("scheduleService")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_moved_out_of_the_territories_that_may_be_seen_is_not_followed() {
    let world = World::without_worker(&[]).await;
    let parts = world.parts();
    for (version, territory) in [(1, "north"), (2, "south")] {
        let schedule = contractor_with(1, version, &json!({"territory": territory}));
        world.truth.knows(&schedule);
        parts.fill().await;
    }
    let copies = Copies::new(parts.cache.clone(), settings(1 << 20));
    let now = world.clock.now();
    let start = now.timestamp() / 60;
    for (only, wanted) in [
        (Some(vec!["north".to_owned()]), 0),
        (Some(vec!["south".to_owned()]), 1),
        (None, 1),
    ] {
        let search = Search {
            query: Query {
                range: Interval::new(start, start + 1_440),
                now: start,
                duration: Some(60),
                slot_interval: None,
            },
            territory: None,
            only,
            skills: Vec::new(),
            limit: 10,
            after: None,
        };
        let page = search.run(&copies, now).await.unwrap();
        assert_eq!(page.candidates.len(), wanted, "{:?}", search.only);
    }
}
