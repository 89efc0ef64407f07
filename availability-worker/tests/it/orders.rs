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

/// The territories of each contractor's versions, and what happens.
fn story() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<Step>)> {
    let step = prop_oneof![
        8 => prop::collection::vec((0..CONTRACTORS, 0_usize..8), 1..6).prop_map(Step::Deliver),
        2 => (0..CONTRACTORS).prop_map(Step::Load),
        1 => (0_usize..3, 0_usize..3).prop_map(|(kind, which)| Step::Lose(kind, which)),
        1 => Just(Step::Flush),
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
    let territories = parts.cache.territories().await.unwrap();
    let scan = parts.cache.scan(&territories).await.unwrap();
    let mut live = Vec::new();
    for (territory, values) in territories.into_iter().zip(scan.territories) {
        for (id, held) in values {
            if matches!(held, Held::Live(_)) {
                live.push((id.as_u128(), territory.clone(), held.version()));
            }
        }
    }
    live.sort();
    live
}

#[test]
fn whatever_order_and_whatever_loss_nobody_is_in_two_territories_and_the_truth_wins() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::without_worker(&[]));
    let mut runner = TestRunner::new(Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    });
    let guard = runtime.enter();
    let workers: Vec<_> = (0..3).map(|_| world.parts()).collect();
    drop(guard);
    let told = runner.run(&story(), |(versions, steps)| {
        let newest: Vec<_> = versions
            .iter()
            .enumerate()
            .map(|(contractor, territories)| {
                schedule(contractor, territories.len() - 1, territories)
            })
            .collect();
        for schedule in &newest {
            world.truth.knows(schedule);
        }
        let wanted: Vec<_> = newest
            .iter()
            .map(|s| (s.contractor_id.as_u128(), s.territory.clone(), s.version))
            .collect();
        let (before, differences) = runtime.block_on(async {
            play(&world, &workers, &versions, &[Step::Flush]).await;
            play(&world, &workers, &versions, &steps).await;
            // The last event of each comes last, whatever was lost before; or everything is rebuilt.
            let last = (0..CONTRACTORS).map(|c| (c, versions[c].len() - 1));
            play(
                &world,
                &workers,
                &versions,
                &[Step::Deliver(last.collect())],
            )
            .await;
            let before = live(&workers[0]).await;
            workers[0].fill().await;
            (before, world.verify(0).await.differences)
        });
        // Schedules that were lost beside windows come with the next write of that contractor.
        prop_assert_eq!(&before, &wanted);
        prop_assert_eq!(differences, BTreeMap::new());
        Ok(())
    });
    drop((workers, world));
    told.unwrap();
}
