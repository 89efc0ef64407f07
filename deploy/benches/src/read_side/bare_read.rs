//! The floor of a search: the same keys read from Redis with the same client library, and nothing
//! done with the answer.

use anyhow::{Result, ensure};
use availability_worker::cache::CacheSettings;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Pipeline, Value};
use std::time::Duration;

use super::roster::Roster;

/// Reads all windows of some territories.
#[derive(Debug, Clone)]
pub struct BareRead {
    connection: ConnectionManager,
    pipeline: Pipeline,
    contractors: usize,
}

impl BareRead {
    /// A reader with a connection like the worker's own.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn new(settings: &CacheSettings, roster: &Roster) -> Result<Self> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(Duration::from_secs(30)))
            .set_pipeline_buffer_size(1_024);
        let client = redis::Client::open(settings.redis_url.clone())?;
        let mut pipeline = redis::pipe();
        for territory in roster.territories() {
            pipeline.hgetall(format!("rw:windows:{{{territory}}}"));
        }
        Ok(Self {
            connection: ConnectionManager::new_with_config(client, config).await?,
            pipeline,
            contractors: roster.contractors,
        })
    }

    /// Reads them once; answers how many contractors there are.
    ///
    /// # Errors
    /// When Redis does not answer, or with fewer contractors than there are.
    pub async fn read(&self) -> Result<usize> {
        let mut connection = self.connection.clone();
        let answers: Vec<Value> = self.pipeline.query_async(&mut connection).await?;
        let mut values = 0;
        for answer in &answers {
            if let Value::Array(items) = answer {
                values += items.len() / 2;
            }
        }
        ensure!(
            values == self.contractors,
            "Redis holds {values} contractors"
        );
        Ok(values)
    }

    /// The bytes of all values.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn bytes(&self) -> Result<usize> {
        let mut connection = self.connection.clone();
        let answers: Vec<Vec<Vec<u8>>> = self.pipeline.query_async(&mut connection).await?;
        let values = answers
            .iter()
            .flat_map(|hash| hash.iter().skip(1).step_by(2));
        Ok(values.map(Vec::len).sum())
    }
}
