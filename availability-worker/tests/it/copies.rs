//! The copies that searches keep of territories, against a real Redis that changes under them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use availability_worker::cache::copies::Read;
use availability_worker::cache::{Cache, Copies, CopySettings, Held, Put, Registration, rank};
use proptest::prelude::*;
use proptest::test_runner::{Config as PropConfig, RngSeed, TestRunner};
use stack::TestBed;
use uuid::Uuid;

use crate::guard::{cache, write};

const TERRITORIES: [&str; 3] = ["north", "south", "west"];

fn names() -> Vec<String> {
    TERRITORIES.map(str::to_owned).into()
}

pub(crate) fn settings(search_copy_bytes: u64) -> CopySettings {
    CopySettings {
        search_copy_bytes,
        search_copy_seconds: 3_600,
    }
}

/// Writes a version of a contractor as a worker does.
async fn store(cache: &Cache, id: Uuid, version: i64, territory: &str) {
    let claim = (id, version, territory);
    let registration = cache.register_anew(claim).await.unwrap();
    let Registration::Registered { at, others } = registration else {
        panic!("{registration:?}");
    };
    let written = cache
        .put(&[write(id, version, territory, at, others)])
        .await;
    assert_eq!(written.unwrap()[0].0, Put::Written);
}

async fn mark(cache: &Cache) {
    let token = Uuid::new_v4();
    cache.begin_rebuild(token).await.unwrap();
    assert!(cache.finish_rebuild(token).await.unwrap());
}

/// Who is where. A copy may have tombstones that have been dropped since, which say no more than that
/// someone is not there.
fn live(read: &Read) -> Vec<BTreeMap<Uuid, Vec<u8>>> {
    let territories = read.territories.iter();
    territories
        .map(|territory| {
            let values = territory.values().map(|(id, value)| (id, value.to_vec()));
            let mut values: BTreeMap<_, _> = values.collect();
            for (id, value) in &values {
                assert_eq!(territory.value(*id), Some(value.as_slice()));
            }
            values.retain(|_, value| !matches!(Held::read(value), Held::Tombstone { .. }));
            values
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// A contractor's next version, in this territory.
    Store(u128, usize),
    /// Old tombstones are dropped.
    DropTombstones(usize),
    /// Everything is lost and taken in anew.
    Flush,
    /// A value is lost; it is noticed when the territory is read next.
    Lose(u128, usize),
    /// The copies are read.
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_u128..6, 0..TERRITORIES.len()).prop_map(|(id, at)| Step::Store(id, at)),
        1 => (0..TERRITORIES.len()).prop_map(Step::DropTombstones),
        1 => Just(Step::Flush),
        1 => (1_u128..6, 0..TERRITORIES.len()).prop_map(|(id, at)| Step::Lose(id, at)),
        6 => Just(Step::Look),
    ]
}

struct Play {
    cache: Cache,
    redis: redis::aio::MultiplexedConnection,
    copies: [Copies; 3],
    version: i64,
}

impl Play {
    async fn act(&mut self, step: &Step) {
        match *step {
            Step::Store(id, at) => {
                self.version += 1;
                let id = Uuid::from_u128(id);
                store(&self.cache, id, self.version, TERRITORIES[at]).await;
            }
            Step::DropTombstones(at) => {
                let dropped = self
                    .cache
                    .behind(TERRITORIES[at], 0, 100, 0, i64::from(u32::MAX));
                dropped.await.unwrap();
            }
            Step::Flush => {
                redis::cmd("FLUSHALL")
                    .query_async::<()>(&mut self.redis)
                    .await
                    .unwrap();
                assert_eq!(self.copies[0].read(&names()).await.unwrap().mark, None);
                mark(&self.cache).await;
            }
            Step::Lose(id, at) => {
                self.look().await;
                redis::cmd("HDEL")
                    .arg(format!("rw:windows:{{{}}}", TERRITORIES[at]))
                    .arg(Uuid::from_u128(id).to_string())
                    .query_async::<()>(&mut self.redis)
                    .await
                    .unwrap();
                self.look().await;
            }
            Step::Look => self.look().await,
        }
    }

    async fn look(&self) {
        let whole = Copies::new(self.cache.clone(), settings(0));
        let wanted = live(&whole.read(&names()).await.unwrap());
        for copies in &self.copies {
            assert_eq!(live(&copies.read(&names()).await.unwrap()), wanted);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_is_not_kept_when_the_tombstone_is_gone_before_it_was_seen() {
    let bed = TestBed::new().await;
    let cache = cache(&bed);
    mark(&cache).await;
    let copies = Copies::new(cache.clone(), settings(1 << 20));
    let id = Uuid::from_u128(1);
    store(&cache, id, 1, "north").await;
    assert_eq!(live(&copies.read(&names()).await.unwrap())[0].len(), 1);
    store(&cache, id, 2, "south").await;
    let dropped = cache.behind("north", 0, 100, 0, i64::from(u32::MAX)).await;
    dropped.unwrap();
    assert_eq!(live(&copies.read(&names()).await.unwrap())[0].len(), 0);
}

#[test]
fn a_copy_is_what_a_whole_read_gives_whatever_has_happened_in_between() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bed = runtime.block_on(TestBed::new());
    let config = PropConfig {
        cases: 60,
        rng_seed: RngSeed::Fixed(1),
        ..PropConfig::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(async {
                let cache = cache(&bed);
                let client = redis::Client::open(bed.redis_url()).unwrap();
                let redis = client.get_multiplexed_async_connection().await.unwrap();
                // With room for all, for some of the territories, and none.
                let copies = [1 << 20, 600, 0];
                let mut play = Play {
                    copies: copies.map(|bytes| Copies::new(cache.clone(), settings(bytes))),
                    cache,
                    redis,
                    version: 0,
                };
                play.act(&Step::Flush).await;
                for step in &steps {
                    play.act(step).await;
                }
                play.look().await;
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_has_all_that_was_written_before_it_however_many_read() {
    const WRITES: i64 = 300;
    let bed = TestBed::new().await;
    let cache = cache(&bed);
    mark(&cache).await;
    let copies = Arc::new(Copies::new(cache.clone(), settings(1 << 20)));
    let written = Arc::new(AtomicI64::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (copies, written) = (Arc::clone(&copies), Arc::clone(&written));
            tokio::spawn(async move {
                let north = ["north".to_owned()];
                loop {
                    let before = written.load(Ordering::SeqCst);
                    let read = copies.read(&north).await.unwrap();
                    let newest = read.territories[0].values().map(|(_, value)| rank(value).0);
                    assert!(newest.max().unwrap_or(0) >= before);
                    if before == WRITES {
                        return;
                    }
                }
            })
        })
        .collect();
    for version in 1..=WRITES {
        let id = Uuid::from_u128(u128::try_from(version % 7).unwrap());
        store(&cache, id, version, "north").await;
        written.store(version, Ordering::SeqCst);
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_more_changes_than_are_told_at_once_and_after_its_time_a_copy_is_read_whole() {
    let bed = TestBed::new().await;
    let cache = cache(&bed);
    mark(&cache).await;
    let north = ["north".to_owned()];
    let copies = Copies::new(cache.clone(), settings(1 << 30));
    let forgetful = CopySettings {
        search_copy_seconds: 0,
        ..settings(1 << 30)
    };
    let forgetful = Copies::new(cache.clone(), forgetful);
    store(&cache, Uuid::from_u128(1), 1, "north").await;
    let mut writes = Vec::new();
    for number in 2..=1_500_u128 {
        let id = Uuid::from_u128(number);
        let registration = cache.register_anew((id, 1, "north")).await.unwrap();
        let Registration::Registered { at, others } = registration else {
            panic!("{registration:?}");
        };
        writes.push(write(id, 1, "north", at, others));
    }
    for copies in [&copies, &forgetful] {
        assert_eq!(
            copies.read(&north).await.unwrap().territories[0]
                .values()
                .count(),
            1
        );
    }
    cache.put(&writes).await.unwrap();
    for copies in [&copies, &forgetful] {
        assert_eq!(
            copies.read(&north).await.unwrap().territories[0]
                .values()
                .count(),
            1_500
        );
    }
    // By hand, so that no number tells.
    let client = redis::Client::open(bed.redis_url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("HSET")
        .arg("rw:windows:{north}")
        .arg(Uuid::from_u128(1).to_string())
        .arg("by hand")
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    let read = forgetful.read(&north).await.unwrap();
    assert_eq!(
        read.territories[0].value(Uuid::from_u128(1)),
        Some(b"by hand".as_slice())
    );
}
