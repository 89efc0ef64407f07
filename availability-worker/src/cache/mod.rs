//! The availability cache in Redis: its keys, and the only ways to read and write it.
//!
//! | key | kind | what |
//! |---|---|---|
//! | `rw:windows:{territory}` | hash | contractor id → packed windows ([`entry`]) or a tombstone |
//! | `rw:schedules:{territory}` | hash | contractor id → the schedule as JSON, of the same version |
//! | `rw:changes:{territory}` | sorted set | contractor id → number of the last change of its windows; see [`copies`] |
//! | `rw:home:{id}` | hash | `v` highest version, `c` its territory, `t:<territory>` wherever it may be stored |
//! | `rw:territories` | set | territories that were ever written |
//! | `rw:{complete}` | string | there once every contractor has been taken in, a random token; see [`crate::rebuild`] |
//! | `rw:{compared}` | string | a comparison with the source of truth was begun lately; see [`crate::reconciliation`] |
//! | `rw:{complete}:<token>` | string | a rebuild under way, for an hour at most |
//!
//! The braces are Redis Cluster hash tags: all keys of a territory lie in one slot, so one function
//! updates them together. Nothing expires, and nothing is written but by the functions in
//! `functions.lua`, which let no lower version in.

mod comparison;
pub mod copies;
pub mod entry;
mod guard;
pub mod packed;

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ConnectionAddr, FromRedisValue, Pipeline, TlsCertificates};
use shared_events::Schedule;
use shared_events::trust::{TrustSettings, told};
use uuid::Uuid;

pub use copies::{Copies, CopySettings, Territory};
pub use entry::{Entry, Held, Unreadable};
pub use guard::{Behind, Claim, Put, Registration, Settlement, Write};
pub use packed::{Packed, Peek, rank};

/// The largest version that the guard compares exactly, 2^53 - 1.
pub const MAX_VERSION: i64 = (1 << 53) - 1;

/// Tombstones older than this may be dropped: far longer than a write can lag behind its
/// registration (see `functions.lua`).
pub const TOMBSTONE_SECONDS: i64 = 24 * 60 * 60;

/// Redis did not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Redis: {}", told(.0))]
pub struct CacheError(#[from] redis::RedisError);

/// How to reach Redis.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Redis")]
pub struct CacheSettings {
    /// Redis: `redis://user:password@host:port/database`, or `rediss://…`
    #[arg(long, env = "REDIS_URL", hide_env_values = true, default_value = "redis://127.0.0.1:6379/0", value_parser = parse_url)]
    pub redis_url: redis::ConnectionInfo,

    /// Milliseconds to wait for a connection to Redis
    #[arg(long, env = "REDIS_CONNECT_TIMEOUT_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub redis_connect_timeout_ms: u64,

    /// Milliseconds to wait for an answer of Redis
    #[arg(long, env = "REDIS_RESPONSE_TIMEOUT_MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub redis_response_timeout_ms: u64,
}

fn parse_url(text: &str) -> Result<redis::ConnectionInfo, String> {
    use redis::IntoConnectionInfo;
    // The text may hold a password, so the error does not repeat it.
    text.into_connection_info()
        .map_err(|_| "not a Redis URL, such as redis://user:password@host:6379/0".to_owned())
}

/// A contractor's availability as found in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The territory that the contractor belongs to at that version.
    pub territory: String,
    /// The entry.
    pub entry: Entry,
}

/// A contractor's value in a territory, as scanned.
pub type Scanned = (Uuid, Held);

/// Says that every contractor is in the cache, and since which filling of it.
pub type Mark = String;

/// One multiplexed connection to Redis, built anew by itself when it breaks. Clones share it.
#[derive(Debug, Clone)]
pub struct Cache {
    connection: ConnectionManager,
    functions: std::sync::Arc<guard::Functions>,
}

impl Cache {
    /// A cache that connects when it is first used. Needs a tokio runtime.
    pub fn new(settings: &CacheSettings, trust: &TrustSettings) -> Result<Self, CacheError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_millis(
                settings.redis_connect_timeout_ms,
            )))
            .set_response_timeout(Some(Duration::from_millis(
                settings.redis_response_timeout_ms,
            )))
            // Whoever needs Redis waits with a back-off of its own.
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(1_024);
        // Two libraries are built in for cryptography, and this client takes the process's choice, or
        // panics where there is none.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let url = settings.redis_url.clone();
        let is_encrypted = matches!(url.addr(), ConnectionAddr::TcpTls { .. });
        let client = match trust.pem() {
            Some(pem) if is_encrypted => redis::Client::build_with_tls(
                url,
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.as_bytes().to_vec()),
                },
            )?,
            _ => redis::Client::open(url)?,
        };
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config)?,
            functions: std::sync::Arc::new(guard::Functions::new()),
        })
    }

    /// Whether Redis answers, and keeps what it is given; else in words what is wrong.
    pub async fn check(&self) -> Result<(), String> {
        let mut connection = self.connection.clone();
        let memory: String = redis::cmd("INFO")
            .arg("memory")
            .query_async(&mut connection)
            .await
            .map_err(|error| CacheError(error).to_string())?;
        let line = |name: &str| memory.lines().find_map(|line| line.strip_prefix(name));
        let policy = line("maxmemory_policy:").unwrap_or_default();
        // A territory that was evicted as a whole would be missing from searches, and nothing would
        // tell.
        if policy.starts_with("allkeys") && line("maxmemory:") != Some("0") {
            return Err(format!(
                "maxmemory-policy is {policy}: Redis may drop contractors; it must be noeviction"
            ));
        }
        Ok(())
    }

    /// The newest entry of a contractor; none if nothing readable is there.
    pub async fn find(&self, id: Uuid) -> Result<Option<Found>, CacheError> {
        let fields: Vec<String> = self
            .run(redis::pipe().hkeys(home_key(id)))
            .await
            .map(first)?;
        let territories: Vec<&str> = fields.iter().filter_map(|f| f.strip_prefix("t:")).collect();
        if territories.is_empty() {
            return Ok(None);
        }
        let mut pipe = redis::pipe();
        for territory in &territories {
            pipe.hget(windows_key(territory), id.to_string());
        }
        let values: Vec<Option<Vec<u8>>> = self.run(&pipe).await?;
        let newest = territories
            .into_iter()
            .zip(values)
            .filter_map(|(territory, value)| Some((territory, Held::read(&value?))))
            .max_by_key(|(_, held)| held.rank());
        let newest = newest.and_then(|(territory, held)| match held {
            Held::Live(entry) => Some(Found {
                territory: territory.to_owned(),
                entry: *entry,
            }),
            // It is on its way to a territory that was not known of yet, or cannot be read.
            Held::Tombstone { .. } | Held::Unreadable { .. } => None,
        });
        Ok(newest)
    }

    /// The schedules of some contractors of a territory, in their order.
    pub async fn schedules(
        &self,
        territory: &str,
        ids: &[Uuid],
    ) -> Result<Vec<Option<Schedule>>, CacheError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let mut pipe = redis::pipe();
        pipe.cmd("HMGET").arg(schedules_key(territory)).arg(ids);
        let values: Vec<Vec<Option<Vec<u8>>>> = self.run(&pipe).await?;
        let parse = |json: Option<Vec<u8>>| serde_json::from_slice(&json?).ok();
        Ok(values.into_iter().flatten().map(parse).collect())
    }

    /// All territories that were ever written, sorted, and the mark under which they are all.
    pub async fn marked_territories(&self) -> Result<(Option<Mark>, Vec<String>), CacheError> {
        let mut pipe = redis::pipe();
        // A mark that stands before the names are read covers them.
        pipe.get(COMPLETE).smembers(TERRITORIES);
        let (mark, mut found): (Option<Mark>, Vec<String>) = self.run(&pipe).await?;
        found.sort_unstable();
        Ok((mark, found))
    }

    /// All territories that were ever written, sorted.
    pub async fn territories(&self) -> Result<Vec<String>, CacheError> {
        self.marked_territories().await.map(|(_, found)| found)
    }

    /// The values of some contractors of a territory, in their order.
    pub async fn values(
        &self,
        territory: &str,
        ids: &[Uuid],
    ) -> Result<Vec<Option<Held>>, CacheError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let mut pipe = redis::pipe();
        pipe.cmd("HMGET").arg(windows_key(territory)).arg(ids);
        let values: Vec<Vec<Option<Vec<u8>>>> = self.run(&pipe).await?;
        let values = values.into_iter().flatten();
        Ok(values.map(|value| Some(Held::read(&value?))).collect())
    }

    /// What each territory holds of a contractor: the territories with something, tombstones too.
    pub async fn places(&self, id: Uuid) -> Result<Vec<(String, Held)>, CacheError> {
        let territories = self.territories().await?;
        if territories.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for territory in &territories {
            pipe.hget(windows_key(territory), id.to_string());
        }
        let values: Vec<Option<Vec<u8>>> = self.run(&pipe).await?;
        let places = territories.into_iter().zip(values);
        Ok(places
            .filter_map(|(territory, value)| Some((territory, Held::read(&value?))))
            .collect())
    }

    /// How many values the territories hold, tombstones included.
    pub async fn size(&self) -> Result<u64, CacheError> {
        let territories = self.territories().await?;
        if territories.is_empty() {
            return Ok(0);
        }
        let mut pipe = redis::pipe();
        for territory in &territories {
            pipe.hlen(windows_key(territory));
        }
        let sizes: Vec<u64> = self.run(&pipe).await?;
        Ok(sizes.into_iter().sum())
    }

    /// All values of a territory.
    pub async fn scan(&self, territory: &str) -> Result<Vec<Scanned>, CacheError> {
        let mut pipe = redis::pipe();
        pipe.hgetall(windows_key(territory));
        let values: Vec<Vec<(Vec<u8>, Vec<u8>)>> = self.run(&pipe).await?;
        let scanned = |(id, value): (Vec<u8>, Vec<u8>)| {
            // What is no id was not written here.
            Some((Uuid::try_parse_ascii(&id).ok()?, Held::read(&value)))
        };
        Ok(values.into_iter().flatten().filter_map(scanned).collect())
    }

    /// The mark, which is there if every contractor has been taken in since Redis began to hold
    /// anything.
    pub async fn mark(&self) -> Result<Option<Mark>, CacheError> {
        self.run(redis::pipe().get(COMPLETE)).await.map(first)
    }

    /// Notes that a rebuild begins.
    pub async fn begin_rebuild(&self, token: Uuid) -> Result<(), CacheError> {
        let mut pipe = redis::pipe();
        pipe.set_ex(rebuild_key(token), token.to_string(), REBUILD_SECONDS)
            .ignore();
        self.run(&pipe).await
    }

    /// Marks the cache as complete, unless it was emptied since the rebuild `token` began.
    pub async fn finish_rebuild(&self, token: Uuid) -> Result<bool, CacheError> {
        let mut pipe = redis::pipe();
        // RENAME fails on a key that is not there, so the mark is as old as the token.
        pipe.cmd("RENAME").arg(rebuild_key(token)).arg(COMPLETE);
        pipe.cmd("PERSIST").arg(COMPLETE).ignore();
        match self.run::<()>(&pipe).await {
            Ok(()) => Ok(true),
            Err(CacheError(error)) if error.to_string().contains("no such key") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Runs a pipeline; loads the functions first if Redis has lost them.
    async fn run<T: FromRedisValue>(&self, pipe: &Pipeline) -> Result<T, CacheError> {
        let mut connection = self.connection.clone();
        match pipe.query_async(&mut connection).await {
            Err(error) if guard::is_function_missing(&error) => {
                self.functions.load(&mut connection).await?;
                Ok(pipe.query_async(&mut connection).await?)
            }
            answer => Ok(answer?),
        }
    }
}

const TERRITORIES: &str = "rw:territories";
const COMPLETE: &str = "rw:{complete}";

/// How long a rebuild may take before its beginning is forgotten: one that takes longer begins anew.
const REBUILD_SECONDS: u64 = 3_600;

fn rebuild_key(token: Uuid) -> String {
    format!("{COMPLETE}:{token}")
}

fn home_key(id: Uuid) -> String {
    format!("rw:home:{{{id}}}")
}

fn windows_key(territory: &str) -> String {
    format!("rw:windows:{{{territory}}}")
}

fn changes_key(territory: &str) -> String {
    format!("rw:changes:{{{territory}}}")
}

fn schedules_key(territory: &str) -> String {
    format!("rw:schedules:{{{territory}}}")
}

fn parsed<T: FromRedisValue + Default>(value: Option<redis::Value>) -> Result<T, CacheError> {
    let parsed = value.map(redis::from_redis_value::<T>).transpose();
    Ok(parsed.map_err(redis::RedisError::from)?.unwrap_or_default())
}

fn first<T: Default>(answers: Vec<T>) -> T {
    answers.into_iter().next().unwrap_or_default()
}
