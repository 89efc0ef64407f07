//! The horizon rolls forward, by a clock that is set by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use availability_worker::cache::Held;
use availability_worker::horizon::{HorizonRoll, RollSettings};
use availability_worker::recalculation::Origin;
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::world::{Parts, World, contractor, contractor_with};

/// The day of the worlds' clock, days since the epoch.
const TODAY: i64 = 20_781;

fn roll(world: &World, parts: Parts, spread_minutes: u16) -> HorizonRoll {
    let settings = RollSettings {
        roll_interval_seconds: 60,
        roll_spread_minutes: spread_minutes,
        roll_batch: 7,
    };
    let Parts {
        cache,
        source,
        recalculation,
    } = parts;
    HorizonRoll::new(cache, source, recalculation, world.clock.clone(), settings)
}

/// Versions and first days of the horizon, from Redis.
async fn days(parts: &Parts) -> BTreeMap<u128, (i64, i64)> {
    let mut days = BTreeMap::new();
    for territory in parts.cache.territories().await.unwrap() {
        for (id, held) in parts.cache.scan(&territory).await.unwrap() {
            if let Held::Live(entry) = held {
                let (day, version) = (i64::from(entry.horizon_day()), entry.version);
                let twice = days.insert(id.as_u128(), (version, day));
                assert_eq!(twice, None, "{id} is in two territories");
            }
        }
    }
    days
}

#[tokio::test(flavor = "multi_thread")]
async fn every_contractor_is_rolled_after_midnight_at_a_time_of_its_own_by_any_number_of_workers() {
    let world = World::without_worker(&[]).await;
    let mut schedules = Vec::new();
    for number in 1..=120_u128 {
        let territory = format!("t{}", number % 3);
        // Random ids, as they are in use.
        let mut schedule = contractor_with(number, 1, &json!({"territory": territory}));
        schedule.contractor_id = Uuid::new_v4();
        world.truth.knows(&schedule);
        schedules.push(schedule);
    }
    let parts = world.parts();
    assert_eq!(parts.fill().await.contractors, 120);
    let workers: Vec<_> = (0..4).map(|_| roll(&world, world.parts(), 60)).collect();
    let sweep = async || {
        for done in join_all(workers.iter().map(HorizonRoll::sweep)).await {
            done.unwrap();
        }
        let days = days(&parts).await;
        assert_eq!(days.len(), 120);
        assert!(days.values().all(|(version, _)| *version == 1));
        days.into_values().map(|(_, day)| day).collect::<Vec<_>>()
    };
    assert!(sweep().await.iter().all(|day| *day == TODAY));

    // Midnight, and then ten minutes at a time.
    world.clock.advance(TimeDelta::hours(16));
    let mut rolled = Vec::new();
    for _ in 0..7 {
        let days = sweep().await;
        assert!(days.iter().all(|day| [TODAY, TODAY + 1].contains(day)));
        rolled.push(days.iter().filter(|day| **day == TODAY + 1).count());
        world.clock.advance(TimeDelta::minutes(10));
    }
    assert!(rolled[0] <= 2, "{rolled:?}");
    assert_eq!(rolled[6], 120);
    // Twenty are expected each time.
    assert!(
        rolled.windows(2).all(|w| (5..=40).contains(&(w[1] - w[0]))),
        "{rolled:?}"
    );
    assert!(world.verify(0).await.differences.is_empty());

    // After days without any worker nobody waits for a time of its own.
    world
        .clock
        .advance(TimeDelta::days(3) - TimeDelta::minutes(70));
    assert!(sweep().await.iter().all(|day| *day == TODAY + 4));
    assert!(world.verify(0).await.differences.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rolls_and_changes_and_moves_at_once_end_in_the_newest_version_and_the_newest_day() {
    let world = World::without_worker(&[]).await;
    let parts = world.parts();
    for number in 1..=10 {
        world.truth.knows(&contractor(number, 1));
    }
    parts.fill().await;
    let workers: Vec<_> = (0..3).map(|_| roll(&world, world.parts(), 0)).collect();
    for round in 1..=20_i64 {
        world.clock.advance(TimeDelta::days(1));
        let territory = ["north", "south"][usize::try_from(round % 2).unwrap()];
        let changed: Vec<_> = (1..=5)
            .map(|n| contractor_with(n, round + 1, &json!({"territory": territory})))
            .collect();
        for schedule in &changed {
            world.truth.knows(schedule);
        }
        let writes = changed.into_iter().map(|schedule| {
            let schedules = vec![Arc::new(schedule)];
            parts.recalculation.store(schedules, Origin::Event)
        });
        let (sweeps, stored) = futures::future::join(
            join_all(workers.iter().map(HorizonRoll::sweep)),
            join_all(writes),
        )
        .await;
        assert!(sweeps.iter().all(Result::is_ok) && stored.iter().all(Result::is_ok));
        // Who moved after one territory was swept and before the other was, was calculated today.
        let expected: BTreeMap<_, _> = (1..=10_u128)
            .map(|n| (n, (if n <= 5 { round + 1 } else { 1 }, TODAY + round)))
            .collect();
        assert_eq!(days(&parts).await, expected);
    }
    assert!(world.verify(0).await.differences.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_short_to_be_an_entry_is_written_anew_and_old_tombstones_go() {
    let world = World::without_worker(&[]).await;
    let parts = world.parts();
    let schedule = contractor(1, 1);
    world.truth.knows(&schedule);
    parts.fill().await;
    let mut redis = world.redis().await;
    let id = schedule.contractor_id.to_string();
    redis::cmd("HSET")
        .arg(("rw:windows:{north}", &id, "x"))
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    parts
        .cache
        .remove(Uuid::from_u128(2), 5, "north")
        .await
        .unwrap();
    let worker = roll(&world, world.parts(), 60);
    worker.sweep().await.unwrap();
    assert_eq!(days(&parts).await, BTreeMap::from([(1, (1, TODAY))]));
    // Redis stamps tombstones by its own clock; a day later by any clock they are old.
    let size = parts.cache.size().await.unwrap();
    assert_eq!(size, 2);
    world.clock.advance(TimeDelta::days(40_000));
    worker.sweep().await.unwrap();
    assert_eq!(parts.cache.size().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_worker_rolls_by_itself_and_tells_no_one_of_it() {
    let world = World::with(&["--roll-interval-seconds=1", "--roll-spread-minutes=0"]).await;
    let schedule = contractor(1, 1);
    world.publish(&[&schedule]).await;
    world.told_of(&schedule).await;
    world.clock.advance(TimeDelta::days(1));
    let parts = world.parts();
    world
        .until("the horizon is rolled", async || {
            days(&parts).await == BTreeMap::from([(1, (1, TODAY + 1))])
        })
        .await;
    let after = contractor(2, 1);
    world.publish(&[&after]).await;
    let told = world.told(|told| {
        told.iter()
            .any(|(e, _)| e.contractor_id == after.contractor_id)
    });
    assert_eq!(told.await.len(), 2);
}
