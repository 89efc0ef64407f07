//! From an event to the cache and on to the stream.

use lapin::types::AMQPValue;
use serde_json::json;
use shared_events::amqp::TraceHeaders;
use shared_events::topology::{DEAD_LETTER_QUEUE, REASON_HEADER};

use crate::world::{World, contractor, contractor_with, message};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_cached_and_then_told_within_the_trace_of_its_cause() {
    let world = World::new().await;
    let schedule = contractor(1, 7);
    let mut message = message(&schedule);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    message.trace = TraceHeaders {
        traceparent: Some(trace.to_owned()),
        tracestate: None,
    };
    world.publish_messages(&[message]).await;

    let told = world.told(|told| !told.is_empty()).await;
    let (event, traceparent) = &told[0];
    assert_eq!(
        (event.contractor_id, event.version),
        (schedule.contractor_id, 7)
    );
    assert_eq!(event.territory, "north");
    assert!(
        traceparent.contains("0af7651916cd43dd8448eb211c80319c"),
        "{traceparent}"
    );
    assert_eq!(event.horizon.from.to_rfc3339(), "2026-11-24T00:00:00+00:00");
    assert_eq!(event.horizon.to.to_rfc3339(), "2026-12-22T00:00:00+00:00");
    // Twenty working days of nine hours, none of them clipped to now.
    assert_eq!(event.windows_epoch_minutes.len(), 20);
    assert!(
        event
            .windows_epoch_minutes
            .iter()
            .all(|(start, end)| end - start == 540)
    );

    let (status, body) = world
        .get(&format!("/v1/availability/{}", schedule.contractor_id))
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["version"], &body["source"]),
        (&json!(7), &json!("cache"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_and_repeated_events_end_in_the_same_cache() {
    let versions = |number: u128| {
        (1..=8).map(move |v| contractor_with(number, v, &json!({"name": format!("v{v}"), "bookingRules":
        {"slotIntervalMinutes": 15, "minNoticeMinutes": v, "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0}})))
    };
    let in_order: Vec<_> = (1..=6).flat_map(versions).collect();
    let newest: Vec<_> = in_order
        .iter()
        .filter(|s| s.version == 8)
        .cloned()
        .collect();
    // A fixed shuffle: 48 and 29 have no common factor. Every third comes twice.
    let shuffled: Vec<_> = (0..in_order.len())
        .flat_map(|i| {
            let schedule = &in_order[i * 29 % in_order.len()];
            std::iter::repeat_n(schedule.clone(), if i % 3 == 0 { 2 } else { 1 })
        })
        .collect();

    let mut caches = Vec::new();
    for events in [in_order, shuffled] {
        let world = World::with(&["--batch=5"]).await;
        world.publish(&events.iter().collect::<Vec<_>>()).await;
        for schedule in &newest {
            world.told_of(schedule).await;
        }
        caches.push(world.cached().await);
    }
    assert_eq!(caches[0].len(), 12);
    assert_eq!(caches[0], caches[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_handled_is_dead_lettered_with_its_reason_and_holds_up_nothing() {
    let world = World::new().await;
    let good = contractor(1, 1);
    let mut garbage = message(&good);
    garbage.body = b"{\"specversion\":\"0.3\"}".to_vec();
    let nowhere = contractor_with(2, 1, &json!({"timeZone": "Europe/Atlantis"}));
    world
        .publish_messages(&[garbage, message(&nowhere), message(&good)])
        .await;

    world.told_of(&good).await;
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let (_, headers) = world.take(DEAD_LETTER_QUEUE).await;
        match headers.inner().get(REASON_HEADER) {
            Some(AMQPValue::LongString(reason)) => reasons.push(reason.to_string()),
            other => panic!("no reason: {other:?}"),
        }
    }
    reasons.sort();
    assert!(reasons[0].contains("0.3"), "{reasons:?}");
    assert_eq!(
        reasons[1],
        "timeZone: unknown time zone \"Europe/Atlantis\""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_event_does_not_get_into_an_emptied_cache() {
    let world = World::new().await;
    let (old, new) = (
        contractor(1, 3),
        contractor_with(1, 9, &json!({"territory": "south"})),
    );
    world.truth.knows(&new);
    world.publish(&[&old]).await;
    let told = world.told_of(&new).await;
    assert_eq!(told.territory, "south");
    let cached = world.cached().await;
    assert!(
        cached.iter().all(|(key, ..)| key.contains("{south}")),
        "{cached:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_contractor_waits_for_the_source_and_holds_up_no_one_else() {
    let world = World::new().await;
    let (known, unknown) = (contractor(1, 1), contractor(2, 4));
    world.publish(&[&known]).await;
    world.told_of(&known).await;

    world.truth.set_broken(true);
    let known = contractor(1, 2);
    world.publish(&[&unknown, &known]).await;
    world.told_of(&known).await;
    world
        .until("the source was asked for both", async || {
            world.truth.asked() >= 2
        })
        .await;
    world.truth.set_broken(false);
    world.told_of(&unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contractor_who_moves_leaves_no_ghost_behind() {
    let world = World::new().await;
    let at =
        |version, territory: &str| contractor_with(1, version, &json!({"territory": territory}));
    let (first, second, third) = (at(1, "north"), at(2, "south"), at(3, "east"));
    world.publish(&[&first]).await;
    world.told_of(&first).await;
    // The second is lost for now, and comes after the third.
    world.publish(&[&third]).await;
    world.told_of(&third).await;
    world.publish(&[&second, &first]).await;
    let after = contractor(2, 1);
    world.publish(&[&after]).await;
    world.told_of(&after).await;

    for (territory, expected) in [("north", vec![2]), ("south", vec![]), ("east", vec![1])] {
        let path = format!("/v1/availability?durationMinutes=60&territory={territory}");
        let (_, body) = world.get(&path).await;
        let found: Vec<u128> = body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                item["contractorId"]
                    .as_str()
                    .unwrap()
                    .parse::<uuid::Uuid>()
                    .unwrap()
                    .as_u128()
            })
            .collect();
        assert_eq!(found, expected, "{territory}");
    }
}
