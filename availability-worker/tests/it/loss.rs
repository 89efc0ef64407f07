//! Redis loses what it holds, or takes nothing, in the midst of everything else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use serde_json::{Value, json};
use shared_events::Schedule;
use uuid::Uuid;

use crate::world::{World, contractor, contractor_with};

const CONTRACTORS: usize = 40;
const WRITES: usize = 600;
const FLUSHES: usize = 8;
const RANGE: &str = "from=2026-11-25T00:00:00Z&to=2026-11-26T00:00:00Z";

/// A version of a contractor that can be told from its answers: the hour at which it begins to work,
/// and the territory.
fn schedule(number: usize, version: i64) -> Schedule {
    contractor_with(
        number as u128,
        version,
        &json!({
            "timeZone": "Etc/UTC", "territory": territory(number, version),
            "workingHours": [{"days": ["MO", "TU", "WE", "TH", "FR", "SA", "SU"],
                              "start": start(version), "end": "18:00"}],
        }),
    )
}

fn start(version: i64) -> String {
    format!("{:02}:00", 6 + version % 7)
}

fn territory(number: usize, version: i64) -> &'static str {
    let turn = usize::try_from(version / 2).unwrap() + number;
    ["north", "south", "east"][turn % 3]
}

/// Checks one contractor's answer, or one item of a search.
fn version_of(number: usize, answer: &Value) -> i64 {
    let version = answer["version"].as_i64().unwrap();
    assert_eq!(answer["territory"], territory(number, version), "{answer}");
    version
}

/// Checks an answer of a search over all territories; none if there was none.
fn check_search(status: u16, body: &Value) -> Option<()> {
    if status == 503 {
        return None;
    }
    assert_eq!(status, 200, "{body}");
    let mut numbers = Vec::new();
    for item in body["items"].as_array().unwrap() {
        let id: Uuid = item["contractorId"].as_str().unwrap().parse().unwrap();
        let number = usize::try_from(id.as_u128()).unwrap();
        let version = version_of(number, item);
        let wanted = format!("2026-11-25T{}:00Z", start(version));
        assert_eq!(item["earliestStart"], json!(wanted), "{item}");
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=CONTRACTORS).collect::<Vec<_>>());
    Some(())
}

#[expect(
    clippy::too_many_lines,
    reason = "who writes, reads, searches and flushes stand side by side"
)]
#[tokio::test(flavor = "multi_thread")]
async fn flushing_redis_under_reads_and_writes_gives_no_wrong_answer() {
    let world = World::with(&["--min-version-wait-ms=500"]).await;
    world.start_another().await;
    let committed: Vec<AtomicI64> = (0..=CONTRACTORS).map(|_| AtomicI64::new(1)).collect();
    let first: Vec<_> = (1..=CONTRACTORS).map(|n| schedule(n, 1)).collect();
    for schedule in &first {
        world.truth.knows(schedule);
    }
    world.publish(&first.iter().collect::<Vec<_>>()).await;
    world.told_of_all(&first).await;

    let over = AtomicBool::new(false);
    let (reads, searches) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let flushes = AtomicUsize::new(0);
    let writing = async {
        let mut turn = 0;
        while turn < WRITES || flushes.load(Ordering::SeqCst) < FLUSHES {
            let number = turn * 7 % CONTRACTORS + 1;
            let version = committed[number].load(Ordering::SeqCst) + 1;
            let schedule = schedule(number, version);
            world.truth.knows(&schedule);
            committed[number].store(version, Ordering::SeqCst);
            world.publish(&[&schedule]).await;
            turn += 1;
        }
        over.store(true, Ordering::SeqCst);
    };
    let reading = |offset: usize| {
        let (world, over, committed, reads) = (&world, &over, &committed, &reads);
        async move {
            let mut turn = offset;
            while !over.load(Ordering::SeqCst) {
                let number = turn % CONTRACTORS + 1;
                let id = Uuid::from_u128(number as u128);
                let asked = committed[number].load(Ordering::SeqCst);
                let at_least = turn.is_multiple_of(3);
                let mut path = format!("/v1/availability/{id}?{RANGE}");
                if at_least {
                    path = format!("{path}&minVersion={asked}");
                }
                let (status, body) = world.get(&path).await;
                turn += 1;
                if at_least && status == 503 {
                    continue;
                }
                assert_eq!(status, 200, "{body}");
                let version = version_of(number, &body);
                assert!(!at_least || version >= asked, "{version} < {asked}");
                let start = format!("2026-11-25T{}:00Z", start(version));
                let windows = json!([{"start": start, "end": "2026-11-25T18:00:00Z"}]);
                assert_eq!(body["windows"], windows, "{body}");
                reads.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let searching = async {
        while !over.load(Ordering::SeqCst) {
            let path = format!("/v1/availability?durationMinutes=60&limit=200&{RANGE}");
            let (status, body) = world.get(&path).await;
            if check_search(status, &body).is_some() {
                searches.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let flushing = async {
        let mut redis = world.redis().await;
        let cache = world.parts().cache;
        for turn in 0..FLUSHES {
            let before = searches.load(Ordering::SeqCst);
            world
                .until("searches are answered", async || {
                    searches.load(Ordering::SeqCst) > before
                })
                .await;
            // Every second one is flushed again in the midst of the rebuild.
            let again = turn % 2 == 1;
            world.truth.set_further_pages(!again);
            flush(&mut redis).await;
            if again {
                world
                    .until("the rebuild is under way", async || {
                        cache.size().await.unwrap() >= CONTRACTORS as u64
                    })
                    .await;
                assert_eq!(cache.mark().await.unwrap(), None);
                flush(&mut redis).await;
                world.truth.set_further_pages(true);
            }
            flushes.fetch_add(1, Ordering::SeqCst);
        }
    };
    tokio::join!(
        writing,
        reading(0),
        reading(13),
        reading(26),
        searching,
        flushing
    );

    assert!(reads.load(Ordering::SeqCst) >= 100);
    for (number, version) in committed.iter().enumerate().skip(1) {
        let schedule = schedule(number, version.load(Ordering::SeqCst));
        world
            .until("the last version is cached", async || {
                let id = schedule.contractor_id;
                let (_, body) = world.get(&format!("/v1/availability/{id}")).await;
                body["version"] == schedule.version && body["source"] == "cache"
            })
            .await;
    }
    world
        .until("the cache is whole", async || {
            world.parts().cache.mark().await.unwrap().is_some()
        })
        .await;
    assert_eq!(world.verify(5_000).await.differences, BTreeMap::new());
}

async fn flush(redis: &mut redis::aio::MultiplexedConnection) {
    redis::cmd("FLUSHALL")
        .query_async::<()>(redis)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_a_rebuild_is_can_be_seen() {
    let world = World::with(&["--search-wait-ms=0"]).await;
    for number in 1..=450 {
        world.truth.knows(&contractor(number, 1));
    }
    let detail = async || {
        let (status, body) = world.get("/health/ready").await;
        assert_eq!(status, 200, "{body}");
        body["details"]["cache"].as_str().unwrap().to_owned()
    };
    world
        .until("nothing is rebuilt", async || {
            detail().await == "no rebuild under way"
        })
        .await;
    world.truth.set_further_pages(false);
    flush(&mut world.redis().await).await;
    world
        .until("the first page is taken in", async || {
            detail()
                .await
                .starts_with("being rebuilt: 200 contractors so far")
        })
        .await;
    let (status, body) = world.get("/v1/availability?durationMinutes=60").await;
    assert_eq!(
        (status, &body["detail"]),
        (503, &json!("the cache is being rebuilt"))
    );
    world.truth.set_further_pages(true);
    world
        .until("all are taken in", async || {
            detail().await == "no rebuild under way"
        })
        .await;
    let (status, body) = world.get("/v1/availability?durationMinutes=60").await;
    assert_eq!((status, body["items"].as_array().unwrap().len()), (200, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_waits_for_an_emptied_cache_to_be_filled() {
    let world = World::with(&["--search-wait-ms=60000"]).await;
    for number in 1..=250 {
        world.truth.knows(&contractor(number, 1));
    }
    let whole = "/v1/availability?durationMinutes=60&limit=200&territory=north";
    world
        .until("nothing is rebuilt", async || {
            let (_, body) = world.get("/health/ready").await;
            body["details"]["cache"] == "no rebuild under way"
        })
        .await;
    world.truth.set_further_pages(false);
    flush(&mut world.redis().await).await;
    let ((status, body), ()) = tokio::join!(world.get(whole), async {
        world
            .until("the first page is taken in", async || {
                let (_, body) = world.get("/health/ready").await;
                let detail = body["details"]["cache"].as_str().unwrap_or_default();
                detail.starts_with("being rebuilt: 200 contractors so far")
            })
            .await;
        world.truth.set_further_pages(true);
    });
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["items"].as_array().unwrap().len(), 200);
    assert_ne!(body["nextCursor"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_takes_no_writes_it_is_read_and_events_wait() {
    let world = World::with(&["--min-version-wait-ms=50"]).await;
    let mut redis = world.redis().await;
    let unknown = contractor(1_000, 3);
    world.truth.knows(&unknown);
    for (turn, (refuse, allow)) in [
        // A replica whose primary is gone, and then promoted.
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        // Out of memory, and given more.
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    ]
    .into_iter()
    .enumerate()
    {
        let version = 2 * i64::try_from(turn).unwrap() + 1;
        let (before, after) = (contractor(1, version), contractor(1, version + 1));
        world.publish(&[&before]).await;
        world.told_of(&before).await;
        let path = format!("/v1/availability/{}", before.contractor_id);

        command(&mut redis, refuse).await;
        world.publish(&[&after]).await;
        let (status, body) = world.get(&path).await;
        assert_eq!(
            (status, &body["version"], &body["source"]),
            (200, &json!(version), &json!("cache")),
            "{refuse}"
        );
        let newer = format!("{path}?minVersion={}", version + 1);
        assert_eq!(world.get(&newer).await.0, 503, "{refuse}");
        let (status, body) = world.get("/v1/availability?durationMinutes=60").await;
        assert_eq!(status, 200, "{refuse} {body}");
        // Calculated, but not kept.
        if turn == 0 {
            let path = format!("/v1/availability/{}", unknown.contractor_id);
            for _ in 0..2 {
                let (status, body) = world.get(&path).await;
                assert_eq!(
                    (status, &body["source"]),
                    (200, &json!("scheduleService")),
                    "{refuse}"
                );
            }
        }
        command(&mut redis, allow).await;
        world.told_of(&after).await;
        let (_, body) = world.get(&path).await;
        assert_eq!(body["version"], version + 1, "{allow}");
    }
}

async fn command(redis: &mut redis::aio::MultiplexedConnection, text: &str) {
    let mut words = text.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command.query_async::<()>(redis).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_evict_keys_is_named_by_the_readiness() {
    let world = World::new().await;
    let mut redis = world.redis().await;
    let says = async || world.get("/health/ready").await.1["checks"]["redis"].clone();
    assert_eq!(says().await, "ok");
    command(&mut redis, "CONFIG SET maxmemory-policy allkeys-lru").await;
    assert_eq!(says().await, "ok", "without a bound nothing is evicted");
    command(&mut redis, "CONFIG SET maxmemory 1gb").await;
    let told = says().await;
    assert!(told.as_str().unwrap().contains("allkeys-lru"), "{told}");
    command(&mut redis, "CONFIG SET maxmemory-policy noeviction").await;
    assert_eq!(says().await, "ok");
}
