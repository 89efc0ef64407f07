//! Against a real Redis Cluster of one node, which refuses every call whose keys lie in two slots.

use std::collections::BTreeMap;

use serde_json::json;
use stack::rights::as_user;
use stack::{Redis, ServiceKind, ports};

use crate::world::{World, contractor, contractor_with};

async fn slot(redis: &mut redis::aio::MultiplexedConnection, key: &str) -> u16 {
    redis::cmd("CLUSTER")
        .arg(("KEYSLOT", key))
        .query_async(redis)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_territory_is_one_slot_and_the_worker_runs_on_a_cluster_node() {
    let mut world = World::without_worker(&[]).await;
    let folder = world.bed.folder().join("cluster");
    let (port, bus) = (ports::reserve().unwrap(), ports::reserve().unwrap());
    let log = world.bed.folder().join("cluster.log");
    let node = Redis::start_cluster_node(&folder, &log, port, bus)
        .await
        .unwrap();
    let client = redis::Client::open(node.url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("CLUSTER")
        .arg(("ADDSLOTSRANGE", 0, 16_383))
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    world
        .until("the cluster serves", async || {
            let info: String = redis::cmd("CLUSTER")
                .arg("INFO")
                .query_async(&mut redis.clone())
                .await
                .unwrap();
            info.contains("cluster_state:ok")
        })
        .await;

    let used = as_user(&node.url(), ServiceKind::AvailabilityWorker.name()).unwrap();
    world.config.cache.redis_url = redis::IntoConnectionInfo::into_connection_info(used).unwrap();
    let world = world.start_worker().await;
    let at = |number, version, territory: &str| {
        contractor_with(number, version, &json!({"territory": territory}))
    };
    let first: Vec<_> = (1..=30).map(|n| at(n, 1, "london-north")).collect();
    let moved: Vec<_> = (1..=30)
        .map(|n| at(n, 2, ["london-north", "leeds"][usize::from(n % 2 == 0)]))
        .collect();
    for schedules in [first, moved] {
        for schedule in &schedules {
            world.truth.knows(schedule);
        }
        world.publish(&schedules.iter().collect::<Vec<_>>()).await;
        world.told_of_all(&schedules).await;
    }
    let (status, body) = world.get("/v1/availability?durationMinutes=60").await;
    assert_eq!((status, body["items"].as_array().unwrap().len()), (200, 30));
    let leeds = "/v1/availability?durationMinutes=60&territory=leeds&from=2027-02-01T00:00:00Z";
    let (status, body) = world.get(leeds).await;
    assert_eq!((status, body["items"].as_array().unwrap().len()), (200, 15));
    world.truth.knows(&contractor(31, 1));
    assert_eq!(world.parts().fill().await.contractors, 31);
    assert_eq!(world.verify(0).await.differences, BTreeMap::new());

    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("rw:*")
        .query_async(&mut redis)
        .await
        .unwrap();
    for territory in ["london-north", "leeds", "north"] {
        let wanted = slot(&mut redis, territory).await;
        let own = format!("{{{territory}}}");
        let of_it: Vec<_> = keys.iter().filter(|key| key.ends_with(&own)).collect();
        assert_eq!(of_it.len(), 3, "{keys:?}");
        for key in of_it {
            assert_eq!(slot(&mut redis, key).await, wanted, "{key}");
        }
    }
}
