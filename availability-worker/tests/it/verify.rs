//! What differs between the cache and its source is found, and nothing else is.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use availability_worker::cache::Held;
use availability_worker::recalculation::Origin;
use availability_worker::verify::Difference;
use chrono::TimeDelta;
use redis::AsyncCommands;
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, contractor, contractor_with, used};

const NORTH: &str = "rw:windows:{north}";

#[expect(
    clippy::too_many_lines,
    reason = "one cache with one difference of each kind"
)]
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_difference_is_found_and_a_rebuild_mends_it() {
    let world = World::without_worker(&[]).await;
    let parts = world.parts();
    for number in 1..=12 {
        world.truth.knows(&contractor(number, 3));
    }
    parts.fill().await;
    let report = world.verify(0).await;
    assert_eq!(
        (report.contractors, report.differences),
        (12, BTreeMap::new())
    );

    let id = Uuid::from_u128;
    let mut redis = world.redis().await;
    let reader = redis.clone();
    let value = |number| {
        let mut redis = reader.clone();
        async move {
            let field = id(number).to_string();
            redis.hget::<_, _, Vec<u8>>(NORTH, field).await.unwrap()
        }
    };
    let entry = |bytes: &[u8]| match Held::read(bytes) {
        Held::Live(entry) => *entry,
        other => panic!("{other:?}"),
    };
    // 1 is missing.
    redis
        .hdel::<_, _, ()>(NORTH, id(1).to_string())
        .await
        .unwrap();
    // 2 is of an earlier version, 3 of one that the source does not have, 4 is not in the source.
    world.truth.knows(&contractor(2, 4));
    for schedule in [contractor(3, 9), contractor(40, 1)] {
        let schedules = vec![Arc::new(schedule)];
        parts
            .recalculation
            .store(schedules, Origin::Event)
            .await
            .unwrap();
    }
    // 5 has lost a window and a skill, and kept its version.
    let mut changed = entry(&value(5).await);
    changed.free.windows.pop();
    changed.skills.pop();
    redis
        .hset::<_, _, _, ()>(NORTH, id(5).to_string(), changed.encode())
        .await
        .unwrap();
    // 6 is right, but not the schedule beside it.
    let other = serde_json::to_vec(&contractor_with(6, 3, &json!({"name": "Another"}))).unwrap();
    redis
        .hset::<_, _, _, ()>("rw:schedules:{north}", id(6).to_string(), other)
        .await
        .unwrap();
    // 7 cannot be read.
    let mut damaged = value(7).await;
    damaged.truncate(20);
    redis
        .hset::<_, _, _, ()>(NORTH, id(7).to_string(), damaged)
        .await
        .unwrap();
    // 8 haunts another territory.
    let mut ghost = entry(&value(8).await);
    ghost.version = 2;
    redis
        .hset::<_, _, _, ()>("rw:windows:{south}", id(8).to_string(), ghost.encode())
        .await
        .unwrap();
    redis
        .sadd::<_, _, ()>("rw:territories", "south")
        .await
        .unwrap();
    // 9 is in a territory that is not its own.
    world
        .truth
        .knows(&contractor_with(9, 3, &json!({"territory": "south"})));
    // 10 was calculated three days ago.
    let mut early = entry(&value(10).await);
    early.free.range.start -= 3 * 1440;
    early.free.range.end -= 3 * 1440;
    let end = early.free.range.end;
    early.free.windows.retain(|w| w.end <= end);
    redis
        .hset::<_, _, _, ()>(NORTH, id(10).to_string(), early.encode())
        .await
        .unwrap();
    redis.del::<_, ()>("rw:{complete}").await.unwrap();

    let ghost = |territory: &str, version| Difference::Ghost {
        territory: territory.to_owned(),
        version,
    };
    let beyond_mending = [
        (Some(id(3)), vec![Difference::Ahead { held: 9, known: 3 }]),
        (
            Some(id(40)),
            vec![Difference::Unknown {
                territory: "north".to_owned(),
            }],
        ),
    ];
    let mut expected = BTreeMap::from([
        (None, vec![Difference::Unmarked]),
        (Some(id(1)), vec![Difference::Missing]),
        (Some(id(2)), vec![Difference::Stale { held: 3, wanted: 4 }]),
        (
            Some(id(5)),
            vec![Difference::Different {
                what: vec!["skills", "windows"],
            }],
        ),
        (
            Some(id(6)),
            vec![Difference::Different {
                what: vec!["schedule beside it"],
            }],
        ),
        (Some(id(7)), vec![Difference::Unreadable]),
        (Some(id(8)), vec![ghost("south", 2)]),
        (
            Some(id(9)),
            vec![
                ghost("north", 3),
                Difference::Different {
                    what: vec!["schedule beside it"],
                },
            ],
        ),
        (
            Some(id(10)),
            vec![Difference::HorizonShort {
                end,
                wanted: end + 2 * 1440,
            }],
        ),
    ]);
    expected.extend(beyond_mending.clone());
    assert_eq!(world.verify(0).await.differences, expected);
    // A grace changes nothing about what stays as it is.
    assert_eq!(world.verify(300).await.differences, expected);

    world.truth.knows(&contractor(9, 3));
    let rebuilt = parts.fill().await;
    assert_eq!((rebuilt.contractors, rebuilt.ghosts), (12, 1));
    let differences = world.verify(0).await.differences;
    assert_eq!(differences, BTreeMap::from(beyond_mending));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_meanwhile_is_no_difference() {
    let world = World::without_worker(&[]).await;
    let parts = world.parts();
    for number in 1..=30 {
        world.truth.knows(&contractor(number, 1));
    }
    parts.fill().await;
    // The writer goes from version to version until the verifier has seen enough.
    let (written, enough) = (AtomicI64::new(1), AtomicI64::new(i64::MAX));
    let writing = async {
        while written.load(Ordering::SeqCst) < enough.load(Ordering::SeqCst) {
            let version = written.fetch_add(1, Ordering::SeqCst) + 1;
            let territory = ["north", "south", "east"][usize::try_from(version % 3).unwrap()];
            for number in 1..=30 {
                let parts_of = json!({"territory": territory, "name": format!("v{version}")});
                let schedule = contractor_with(number, version, &parts_of);
                // Committed first, cached a moment later.
                world.truth.knows(&schedule);
                let schedules = vec![Arc::new(schedule)];
                parts
                    .recalculation
                    .store(schedules, Origin::Event)
                    .await
                    .unwrap();
            }
        }
    };
    let verifying = async {
        while written.load(Ordering::SeqCst) < 20 {
            let differences = world.verify(500).await.differences;
            assert_eq!(differences, BTreeMap::new());
        }
        enough.store(0, Ordering::SeqCst);
    };
    futures::future::join(writing, verifying).await;
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(world.verify(0).await.differences, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_fill_the_cache_and_tell_what_differs_by_their_exit_code() {
    let world = World::without_worker(&[]).await;
    for number in 1..=450 {
        world.truth.knows(&contractor(number, 1));
    }
    let run = async |command: &str, redis_url: &str| {
        let mut process = Command::new(env!("CARGO_BIN_EXE_availability-worker"));
        process
            .args([command])
            .env("REDIS_URL", redis_url)
            .env("SCHEDULE_SERVICE_URL", &world.truth.url)
            .env("VERIFY_GRACE_MS", "0");
        let output = tokio::task::spawn_blocking(move || process.output().unwrap())
            .await
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let url = &used(&world.bed).redis_url;
    let (code, out, _) = run("verify", url).await;
    assert_eq!((code, out.lines().count()), (Some(1), 451));
    assert!(out.starts_with("incomplete: "), "{out}");
    let (code, out, _) = run("rebuild", url).await;
    assert_eq!(code, Some(0));
    assert!(out.starts_with("450 contractors taken in; 0 "), "{out}");
    let (code, out, err) = run("verify", url).await;
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(
        err.ends_with("450 contractors compared, 0 differences\n"),
        "{err}"
    );
    world.truth.knows(&contractor(7, 2));
    let (code, out, _) = run("verify", url).await;
    let line = format!(
        "{} stale: version 1 is cached, 2 is there\n",
        Uuid::from_u128(7)
    );
    assert_eq!((code, out), (Some(1), line));
    let (code, _, err) = run("verify", "redis://127.0.0.1:1/0").await;
    assert_eq!((code, err.lines().count()), (Some(2), 1), "{err}");
}
