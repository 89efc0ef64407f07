//! The version guard under every order of events, losses and crashes, against a real Redis.

use std::collections::BTreeSet;

use availability_worker::cache::Entry;
use availability_worker::cache::{
    Cache, CacheSettings, Claim, Held, Put, Registration, Settlement, Write,
};
use availability_worker::engine::{FreeWindows, Interval};
use clap::Parser;
use proptest::prelude::*;
use proptest::test_runner::{Config as PropConfig, TestRunner};
use shared_events::schedule::Status;
use shared_events::trust::TrustSettings;
use stack::TestBed;
use uuid::Uuid;

use crate::world::used;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    cache: CacheSettings,
}

pub(crate) fn cache(bed: &TestBed) -> Cache {
    let url = used(bed).redis_url;
    let settings = Cli::parse_from(["x", "--redis-url", &url]);
    Cache::new(&settings.cache, &TrustSettings::default()).unwrap()
}

fn entry(version: i64) -> Entry {
    Entry {
        version,
        calculated_at: chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        status: Status::Active,
        min_notice_minutes: 0,
        slot_interval_minutes: 30,
        time_zone: "Etc/UTC".to_owned(),
        skills: Vec::new(),
        free: FreeWindows {
            range: Interval::new(14_400, 28_800),
            windows: Vec::new(),
            first_start: 14_400,
        },
        conflicts: Vec::new(),
    }
}

pub(crate) fn write(
    id: Uuid,
    version: i64,
    territory: &str,
    at: i64,
    others: Vec<String>,
) -> Write {
    let entry = entry(version);
    Write {
        id,
        version,
        territory: territory.to_owned(),
        registered_at: at,
        horizon_day: entry.horizon_day(),
        entry: entry.encode(),
        schedule: b"{}".to_vec(),
        others,
        replace: false,
    }
}

/// One move of the test: what a worker does next.
#[derive(Debug, Clone)]
enum Step {
    /// This worker takes a delivery of this version, if it is idle.
    Take(usize, usize),
    /// This worker goes on.
    GoOn(usize),
    /// This worker dies; what it had in hand is delivered again.
    Die(usize),
    /// The contractor's home is evicted.
    Evict,
}

/// What a worker has in hand.
#[derive(Debug, Clone)]
enum Hand {
    Idle,
    Taken(usize),
    Registered(usize, Write),
}

struct Play {
    cache: Cache,
    redis: redis::aio::MultiplexedConnection,
    id: Uuid,
    territories: Vec<String>,
    hands: Vec<Hand>,
    /// Deliveries that were given back.
    again: Vec<usize>,
    highest: usize,
    /// The newest version that was taken so far, and so was committed.
    committed: usize,
}

impl Play {
    fn claim(&self, index: usize) -> Claim<'_> {
        (
            self.id,
            i64::try_from(index).unwrap() + 1,
            &self.territories[index],
        )
    }

    /// Moves one worker as far as its next call of Redis.
    async fn go_on(&mut self, worker: usize) {
        self.hands[worker] = match self.hands[worker].clone() {
            Hand::Idle => Hand::Idle,
            Hand::Taken(index) => {
                let mut index = index;
                let mut registration = self
                    .cache
                    .register(&[self.claim(index)])
                    .await
                    .unwrap()
                    .remove(0);
                if registration == Registration::Missing {
                    // The source of truth has at least what was ever delivered.
                    index = index.max(self.committed);
                    registration = self.cache.register_anew(self.claim(index)).await.unwrap();
                }
                match registration {
                    Registration::Registered { at, others } => {
                        self.highest = self.highest.max(index);
                        let (id, version, territory) = self.claim(index);
                        Hand::Registered(index, write(id, version, territory, at, others))
                    }
                    Registration::Stale { version, territory } => {
                        self.clear(index, version, &territory).await;
                        Hand::Idle
                    }
                    Registration::Missing => unreachable!("it was registered anew"),
                }
            }
            Hand::Registered(index, write) => {
                let (put, settlement) = self
                    .cache
                    .put(std::slice::from_ref(&write))
                    .await
                    .unwrap()
                    .remove(0);
                match settlement {
                    Settlement::Settled if put != Put::Late => Hand::Idle,
                    Settlement::Superseded { version, territory } => {
                        self.clear(index, version, &territory).await;
                        Hand::Idle
                    }
                    _ => Hand::Taken(index),
                }
            }
        };
    }

    async fn clear(&self, index: usize, version: i64, territory: &str) {
        if territory != self.territories[index] {
            self.cache
                .remove(self.id, version, &self.territories[index])
                .await
                .unwrap();
        }
    }

    async fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Take(worker, index) => {
                    if matches!(self.hands[*worker], Hand::Idle) {
                        let index = index % self.territories.len();
                        self.committed = self.committed.max(index);
                        self.hands[*worker] = Hand::Taken(index);
                    }
                }
                Step::GoOn(worker) => self.go_on(*worker).await,
                Step::Die(worker) => {
                    match std::mem::replace(&mut self.hands[*worker], Hand::Idle) {
                        Hand::Idle => {}
                        Hand::Taken(index) | Hand::Registered(index, _) => self.again.push(index),
                    }
                }
                Step::Evict => {
                    let key = format!("rw:home:{{{}}}", self.id);
                    redis::cmd("DEL")
                        .arg(key)
                        .query_async::<()>(&mut self.redis)
                        .await
                        .unwrap();
                }
            }
        }
        // Whoever lives finishes, and what was given back is delivered again.
        for worker in 0..self.hands.len() {
            while !matches!(self.hands[worker], Hand::Idle) {
                self.go_on(worker).await;
            }
        }
        for index in std::mem::take(&mut self.again) {
            self.hands[0] = Hand::Taken(index);
            while !matches!(self.hands[0], Hand::Idle) {
                self.go_on(0).await;
            }
        }
    }

    /// Where the contractor is live, with the versions, and what the home lists.
    async fn state(&mut self) -> (Vec<(String, i64)>, BTreeSet<String>) {
        let mut live = Vec::new();
        for name in self.cache.territories().await.unwrap() {
            for (_, held) in self.cache.scan(&name).await.unwrap() {
                if let Held::Live(entry) = held {
                    live.push((name.clone(), entry.version));
                }
            }
        }
        let home = format!("rw:home:{{{}}}", self.id);
        let fields: Vec<String> = redis::cmd("HKEYS")
            .arg(home)
            .query_async(&mut self.redis)
            .await
            .unwrap();
        (
            live,
            fields
                .into_iter()
                .filter_map(|f| f.strip_prefix("t:").map(str::to_owned))
                .collect(),
        )
    }
}

fn steps(evictions: bool) -> impl Strategy<Value = (Vec<usize>, Vec<Step>)> {
    let step = prop_oneof![
        4 => (0_usize..3, 0_usize..8).prop_map(|(w, v)| Step::Take(w, v)),
        8 => (0_usize..3).prop_map(Step::GoOn),
        1 => (0_usize..3).prop_map(Step::Die),
        u32::from(evictions) => Just(Step::Evict),
    ];
    (
        prop::collection::vec(0_usize..3, 2..8),
        prop::collection::vec(step, 1..50),
    )
}

fn check(evictions: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let bed = runtime.block_on(TestBed::new());
    let mut runner = TestRunner::new(PropConfig {
        cases: 300,
        failure_persistence: None,
        ..PropConfig::default()
    });
    let redis = redis::Client::open(bed.redis_url()).unwrap();
    runner
        .run(&steps(evictions), |(territories, steps)| {
            let (live, home, play) = runtime.block_on(async {
                let mut connection = redis.get_multiplexed_async_connection().await.unwrap();
                redis::cmd("FLUSHDB")
                    .query_async::<()>(&mut connection)
                    .await
                    .unwrap();
                let mut play = Play {
                    cache: cache(&bed),
                    redis: connection,
                    id: Uuid::from_u128(1),
                    territories: territories.iter().map(|t| format!("t{t}")).collect(),
                    hands: vec![Hand::Idle; 3],
                    again: Vec::new(),
                    highest: 0,
                    committed: 0,
                };
                play.play(&steps).await;
                let (live, home) = play.state().await;
                (live, home, play)
            });
            let index = play.highest;
            if live.is_empty() {
                prop_assert!(home.is_empty() || evictions, "nothing was delivered");
                return Ok(());
            }
            let expected = (
                play.territories[index].clone(),
                i64::try_from(index).unwrap() + 1,
            );
            prop_assert_eq!(&live, &vec![expected.clone()]);
            if !evictions {
                prop_assert_eq!(home, BTreeSet::from([expected.0]));
            }
            Ok(())
        })
        .unwrap();
    drop(bed);
}

#[test]
fn no_order_of_events_losses_and_crashes_leaves_a_ghost_or_an_old_version() {
    check(false);
}

#[test]
fn neither_does_the_loss_of_the_home() {
    check(true);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_come_back_by_themselves_and_a_late_write_is_refused() {
    let bed = TestBed::new().await;
    let cache = cache(&bed);
    let id = Uuid::from_u128(1);
    let registered = cache.register_anew((id, 1, "north")).await.unwrap();
    let Registration::Registered { at, others } = registered else {
        panic!("{registered:?}")
    };
    let put = cache
        .put(&[write(id, 1, "north", at - 601, others.clone())])
        .await
        .unwrap();
    assert_eq!(put[0].0, Put::Late);
    bed.redis_process().restart().await.unwrap();
    // The connection that broke is noticed by the first call.
    let _ = cache.check().await;
    let registered = cache.register(&[(id, 1, "north")]).await.unwrap();
    assert_eq!(registered, [Registration::Missing]);
    let registered = cache.register_anew((id, 1, "north")).await.unwrap();
    assert!(matches!(registered, Registration::Registered { .. }));
    let put = cache
        .put(&[write(id, 1, "north", at + 60, others)])
        .await
        .unwrap();
    assert_eq!(put[0], (Put::Written, Settlement::Settled));
    assert_eq!(cache.find(id).await.unwrap().unwrap().territory, "north");
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_purged_only_when_they_are_old() {
    let bed = TestBed::new().await;
    let cache = cache(&bed);
    let id = Uuid::from_u128(1);
    cache.remove(id, (1 << 53) - 1, "north").await.unwrap();
    let Held::Tombstone { version, set_at } = cache.scan("north").await.unwrap()[0].1 else {
        panic!("no tombstone")
    };
    assert_eq!(version, (1 << 53) - 1);
    let drop_before = async |seconds| cache.behind("north", 0, 100, 0, seconds).await.unwrap();
    assert_eq!(drop_before(set_at).await, (0, Vec::new()));
    assert_eq!(cache.scan("north").await.unwrap().len(), 1);
    drop_before(set_at + 1).await;
    assert!(cache.scan("north").await.unwrap().is_empty());
}
