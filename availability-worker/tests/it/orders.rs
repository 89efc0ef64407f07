//! Several workers at once, through the real write path, under random orders, duplicates and losses of
//! events and of keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use availability_worker::cache::Held;
use availability_worker::recalculation::Origin;
use futures::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use shared_events::Schedule;
use uuid::Uuid;

use crate::world::{Parts, World, contractor_with};

/// What is done next.
#[derive(Debug, Clone)]
enum Step {
    /// These events, by contractor and version, reach the workers at once.
    Deliver(Vec<(usize, usize)>),
    /// A reader has the contractor loaded from the source.
    Load(usize),
    /// A key goes: the home of a contractor, or a territory's windows or schedules.
    Lose(usize, usize),
    /// Everything goes.
    Flush,
}

const CONTRACTORS: usize = 3;

/// The territories of each contractor's versions, and what happens; with or without losses.
fn story(losses: u32) -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<Step>)> {
    let step = prop_oneof![
        8 => prop::collection::vec((0..CONTRACTORS, 0_usize..8), 1..6).prop_map(Step::Deliver),
        2 * losses => (0..CONTRACTORS).prop_map(Step::Load),
        losses => (0_usize..3, 0_usize..3).prop_map(|(kind, which)| Step::Lose(kind, which)),
        losses => Just(Step::Flush),
    ];
    (
        prop::collection::vec(prop::collection::vec(0_usize..3, 1..8), CONTRACTORS),
        prop::collection::vec(step, 1..12),
    )
}

fn schedule(contractor: usize, index: usize, territories: &[usize]) -> Arc<Schedule> {
    let territory = format!("t{}", territories[index]);
    let (number, version) = (contractor as u128 + 1, i64::try_from(index).unwrap() + 1);
    let parts = json!({"territory": territory, "name": format!("v{version}")});
    Arc::new(contractor_with(number, version, &parts))
}

async fn play(world: &World, workers: &[Parts], versions: &[Vec<usize>], steps: &[Step]) {
    let mut redis = world.redis().await;
    for step in steps {
        match step {
            Step::Deliver(events) => {
                let deliveries = events.iter().enumerate().map(|(n, &(contractor, index))| {
                    let territories = &versions[contractor];
                    let event = schedule(contractor, index % territories.len(), territories);
                    let recalculation = &workers[n % workers.len()].recalculation;
                    recalculation.store(vec![event], Origin::Event)
                });
                for stored in join_all(deliveries).await {
                    stored.unwrap();
                }
            }
            Step::Load(contractor) => {
                let source = &workers[0].source;
                let id = Uuid::from_u128(*contractor as u128 + 1);
                let truth = Arc::new(source.schedule(id).await.unwrap().unwrap());
                let recalculation = &workers[0].recalculation;
                recalculation
                    .store(vec![truth], Origin::SourceOfTruth)
                    .await
                    .unwrap();
            }
            Step::Lose(kind, which) => {
                let key = match kind {
                    0 => format!("rw:home:{{{}}}", Uuid::from_u128(*which as u128 + 1)),
                    1 => format!("rw:windows:{{t{which}}}"),
                    _ => format!("rw:schedules:{{t{which}}}"),
                };
                redis::cmd("DEL")
                    .arg(key)
                    .query_async::<()>(&mut redis)
                    .await
                    .unwrap();
            }
            Step::Flush => {
                redis::cmd("FLUSHALL")
                    .query_async::<()>(&mut redis)
                    .await
                    .unwrap();
            }
        }
    }
}

/// Where everybody is live.
async fn live(parts: &Parts) -> Vec<(u128, String, i64)> {
    let mut live = Vec::new();
    for territory in parts.cache.territories().await.unwrap() {
        for (id, held) in parts.cache.scan(&territory).await.unwrap() {
            if matches!(held, Held::Live(_)) {
                live.push((id.as_u128(), territory.clone(), held.version()));
            }
        }
    }
    live.sort();
    live
}

/// Plays many stories with three workers, and checks each by `check`.
fn play_all(losses: u32, check: &impl AsyncFn(&World, &[Parts], &Story) -> Result<(), String>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::without_worker(&[]));
    let workers: Vec<_> = runtime.block_on(async { (0..3).map(|_| world.parts()).collect() });
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let told = runner.run(&story(losses), |story| {
        let (versions, steps) = &story;
        let know = |index: fn(usize) -> usize| {
            for (contractor, territories) in versions.iter().enumerate() {
                let known = schedule(contractor, index(territories.len()), territories);
                world.truth.knows(&known);
            }
        };
        runtime
            .block_on(async {
                // Everybody is known from the first version on. Then all have happened, in truth.
                know(|_| 0);
                let first = (0..CONTRACTORS).map(|contractor| (contractor, 0));
                let first = Step::Deliver(first.collect());
                play(&world, &workers, versions, &[Step::Flush, first]).await;
                know(|length| length - 1);
                play(&world, &workers, versions, steps).await;
                check(&world, &workers, &story).await
            })
            .map_err(TestCaseError::fail)
    });
    // They end their connections within the runtime.
    drop((workers, world));
    told.unwrap();
}

/// What [`story`] tells.
type Story = (Vec<Vec<usize>>, Vec<Step>);

fn equal<T: PartialEq + std::fmt::Debug>(found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{found:?} is there, not {wanted:?}"))
}

#[test]
fn without_losses_the_highest_version_that_was_delivered_stays() {
    play_all(0, &async |_, workers, (versions, steps)| {
        let mut highest = [0; CONTRACTORS];
        for step in steps {
            if let Step::Deliver(events) = step {
                for &(contractor, index) in events {
                    let index = index % versions[contractor].len();
                    highest[contractor] = index.max(highest[contractor]);
                }
            }
        }
        let wanted: Vec<_> = (0..CONTRACTORS)
            .map(|contractor| place(contractor, highest[contractor], &versions[contractor]))
            .collect();
        equal(&live(&workers[0]).await, &wanted)
    });
}

#[test]
fn whatever_order_and_whatever_loss_nobody_is_in_two_territories_and_the_truth_wins() {
    play_all(1, &async |world, workers, (versions, _)| {
        // The last event of each comes last, whatever was lost before.
        let last = (0..CONTRACTORS).map(|c| (c, versions[c].len() - 1));
        play(world, workers, versions, &[Step::Deliver(last.collect())]).await;
        let wanted: Vec<_> = (0..CONTRACTORS)
            .map(|c| place(c, versions[c].len() - 1, &versions[c]))
            .collect();
        equal(&live(&workers[0]).await, &wanted)?;
        // Schedules that were lost from beside the windows come with a rebuild.
        workers[0].fill().await;
        equal(&world.verify(0).await.differences, &BTreeMap::new())
    });
}

/// Where a contractor belongs by a version.
fn place(contractor: usize, index: usize, territories: &[usize]) -> (u128, String, i64) {
    let schedule = schedule(contractor, index, territories);
    let id = schedule.contractor_id.as_u128();
    (id, schedule.territory.clone(), schedule.version)
}
