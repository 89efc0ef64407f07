//! A server's work goes over to another server at another address, while somebody writes.

use stack::{Backends, PrivateServers, Proxy, Redis, ports};
use system_tests::Deployment;

use crate::load::Load;

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_for_the_database_has_every_answered_write() {
    let servers = PrivateServers::start().await.unwrap();
    let direct = servers.backends();
    let (link, database_url) = Proxy::before(&direct.database_url).await.unwrap();
    let backends = Backends {
        database_url,
        ..direct
    };
    let deployment = Deployment::on(backends, |builder| builder).await;
    let load = Load::on(&deployment).await;
    load.more(15).await;

    let folder = servers.folder().join("standby");
    let log = servers.folder().join("standby.log");
    let port = ports::reserve().unwrap();
    let standby = servers.postgres.standby(&folder, &log, port).await.unwrap();
    load.more(15).await;
    servers.postgres.kill().await.unwrap();
    standby.promote().await.unwrap();
    link.retarget(&standby.url()).unwrap();
    load.more(30).await;

    load.nothing_is_lost(&deployment).await;
    standby.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_redis_at_another_address_is_filled() {
    let servers = PrivateServers::start().await.unwrap();
    let direct = servers.backends();
    let (link, redis_url) = Proxy::before(&direct.redis_url).await.unwrap();
    let backends = Backends {
        redis_url,
        ..direct
    };
    let deployment = Deployment::on(backends, |builder| builder).await;
    let load = Load::on(&deployment).await;
    load.more(15).await;

    let folder = servers.folder().join("other-redis");
    let log = servers.folder().join("other-redis.log");
    let other = Redis::start(&folder, &log, ports::reserve().unwrap())
        .await
        .unwrap();
    servers.redis.kill().await.unwrap();
    link.retarget(&other.url()).unwrap();
    load.more(30).await;

    load.nothing_is_lost(&deployment).await;
    other.kill().await.unwrap();
}
