//! What one test gets: a database, a virtual host and a Redis server that nobody else sees.

use anyhow::{Context, Result};
use uuid::Uuid;

use crate::backends::Backends;
use crate::database;
use crate::management::Management;
use crate::ports;
use crate::scratch::Scratch;
use crate::servers::redis::Redis;

/// Names the maintenance database of the PostgreSQL server that tests share.
pub const POSTGRES_URL: &str = "STACK_POSTGRES_URL";
/// Names the RabbitMQ broker that tests share, without a virtual host.
pub const AMQP_URL: &str = "STACK_AMQP_URL";
/// Names the management API of that broker.
pub const MANAGEMENT_URL: &str = "STACK_MANAGEMENT_URL";
/// Names a Redis server. Tests have one of their own each; this is for programs that need just one.
pub const REDIS_URL: &str = "STACK_REDIS_URL";

/// An empty database and virtual host on the servers that `stack exec` has started, and a Redis
/// server of its own. All of it goes on drop.
#[derive(Debug)]
pub struct TestBed {
    backends: Backends,
    postgres_url: String,
    name: String,
    management: Management,
    redis: Redis,
    scratch: Scratch,
}

impl TestBed {
    /// Makes one.
    ///
    /// # Panics
    /// When the servers are not there: tests that need them run under `stack exec`.
    pub async fn new() -> Self {
        match Self::make().await {
            Ok(bed) => bed,
            Err(error) => panic!(
                "no test bed: {error:#}\n\
                 (run tests with: cargo run -q -p stack -- exec -- cargo nextest run)"
            ),
        }
    }

    async fn make() -> Result<Self> {
        let postgres_url = variable(POSTGRES_URL)?;
        let amqp_url = variable(AMQP_URL)?;
        let name = format!("test_{}", Uuid::new_v4().simple());
        let management = Management::new(&variable(MANAGEMENT_URL)?, &name)?;
        let scratch = Scratch::make()?;
        let (redis_folder, redis_log) = (
            scratch.path().join("redis"),
            scratch.path().join("redis.log"),
        );
        let (redis, (), ()) = tokio::try_join!(
            Box::pin(Redis::start(&redis_folder, &redis_log, ports::reserve()?)),
            Box::pin(database::create(&postgres_url, &name)),
            Box::pin(management.create_vhost()),
        )?;
        let server = postgres_url
            .rsplit_once('/')
            .map_or(postgres_url.as_str(), |(s, _)| s);
        let backends = Backends {
            database_url: format!("{server}/{name}"),
            amqp_url: format!("{amqp_url}/{name}"),
            redis_url: redis.url(),
        };
        Ok(Self {
            backends,
            postgres_url,
            name,
            management,
            redis,
            scratch,
        })
    }

    /// The URL of the test's own database.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.backends.database_url
    }

    /// The URL of the test's own virtual host.
    #[must_use]
    pub fn amqp_url(&self) -> &str {
        &self.backends.amqp_url
    }

    /// The URL of the test's own Redis server.
    #[must_use]
    pub fn redis_url(&self) -> &str {
        &self.backends.redis_url
    }

    /// All three.
    #[must_use]
    pub fn backends(&self) -> Backends {
        self.backends.clone()
    }

    /// The test's own Redis server, to kill, pause and restart.
    #[must_use]
    pub fn redis_process(&self) -> &Redis {
        &self.redis
    }

    /// The management API for the test's own virtual host.
    #[must_use]
    pub fn rabbitmq_management(&self) -> &Management {
        &self.management
    }

    /// A folder of the test's own, for logs and the like.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.scratch.path()
    }
}

impl Drop for TestBed {
    fn drop(&mut self) {
        let (url, name) = (self.postgres_url.clone(), self.name.clone());
        let management_url = self.management.url().to_owned();
        // A thread and a runtime of its own: the test's runtime may be going down, or be busy with
        // this very drop; so are the connections of the test's clients. Best effort: the servers
        // end with the whole run.
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    let _ = tokio::join!(
                        database::drop(&url, &name),
                        delete_vhost(&management_url, &name)
                    );
                });
            }
        });
        let _ = cleaner.join();
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

async fn delete_vhost(management_url: &str, name: &str) -> Result<()> {
    Management::new(management_url, name)?.delete_vhost().await
}
