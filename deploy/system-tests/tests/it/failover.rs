//! A server's work goes over to another server at another address, while somebody writes.

use stack::{Backends, PrivateServers, Proxy, Redis, ports};
use system_tests::{Deployment, Writer};

use crate::kills::{contractors, nothing_is_lost};

/// `host:port` of a server's URL.
fn address(url: &str) -> &str {
    let after_user = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    let after_scheme = after_user
        .rsplit_once("//")
        .map_or(after_user, |(_, rest)| rest);
    after_scheme.split('/').next().unwrap()
}

/// A link to the server at `url`, and the URL that leads over it.
async fn link(url: &str) -> (Proxy, String) {
    let link = Proxy::start(address(url)).await.unwrap();
    let over = url.replace(address(url), &link.address());
    (link, over)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_for_the_database_has_every_answered_write() {
    let servers = PrivateServers::start().await.unwrap();
    let direct = servers.backends();
    let (link, database_url) = link(&direct.database_url).await;
    let backends = Backends {
        database_url,
        ..direct
    };
    let deployment = Deployment::on(backends, |builder| builder).await;
    let client = deployment.stream("").await;
    let ids = contractors(&deployment).await;
    let writer = Writer::start(deployment.schedules.clone(), &ids);
    writer.more(15).await;

    let folder = servers.folder().join("standby");
    let log = servers.folder().join("standby.log");
    let port = ports::reserve().unwrap();
    let standby = servers.postgres.standby(&folder, &log, port).await.unwrap();
    writer.more(15).await;
    servers.postgres.kill().await.unwrap();
    standby.promote().await.unwrap();
    link.retarget(address(&standby.url()));
    writer.more(30).await;

    let written = writer.stop().await;
    nothing_is_lost(&deployment, &client, &ids, &written).await;
    standby.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_redis_at_another_address_is_filled() {
    let servers = PrivateServers::start().await.unwrap();
    let direct = servers.backends();
    let (link, redis_url) = link(&direct.redis_url).await;
    let backends = Backends {
        redis_url,
        ..direct
    };
    let deployment = Deployment::on(backends, |builder| builder).await;
    let client = deployment.stream("").await;
    let ids = contractors(&deployment).await;
    let writer = Writer::start(deployment.schedules.clone(), &ids);
    writer.more(15).await;

    let folder = servers.folder().join("other-redis");
    let log = servers.folder().join("other-redis.log");
    let other = Redis::start(&folder, &log, ports::reserve().unwrap())
        .await
        .unwrap();
    servers.redis.kill().await.unwrap();
    link.retarget(address(&other.url()));
    writer.more(30).await;

    let written = writer.stop().await;
    nothing_is_lost(&deployment, &client, &ids, &written).await;
    other.kill().await.unwrap();
}
