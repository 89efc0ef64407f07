//! What a comparison with the source of truth asks the cache.

use uuid::Uuid;

use super::{Cache, CacheError, Held, first, windows_key};

const COMPARED: &str = "rw:{compared}";

impl Cache {
    /// The versions at which contractors are held in these territories; none where they are not.
    pub async fn versions(&self, places: &[(Uuid, &str)]) -> Result<Vec<Option<i64>>, CacheError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for (id, territory) in places {
            pipe.hget(windows_key(territory), id.to_string());
        }
        let values: Vec<Option<Vec<u8>>> = self.run(&pipe).await?;
        Ok(values
            .into_iter()
            .map(|value| match Held::decode(&value?) {
                Ok(Held::Live(entry)) => Some(entry.version),
                _ => None,
            })
            .collect())
    }

    /// Claims the next `seconds` for a comparison with the source of truth; false where another
    /// worker has. Nothing depends on its being held: two comparisons at once only cost more.
    pub async fn claim_comparison(&self, seconds: u64) -> Result<bool, CacheError> {
        let mut pipe = redis::pipe();
        pipe.cmd("SET")
            .arg(COMPARED)
            .arg(1)
            .arg("NX")
            .arg("EX")
            .arg(seconds);
        let answer: Vec<Option<String>> = self.run(&pipe).await?;
        Ok(first(answer).is_some())
    }
}
