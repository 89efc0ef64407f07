//! The version-guarded writes: thin calls of the functions in `functions.lua`.

use redis::aio::ConnectionManager;
use redis::{RedisError, RedisResult};
use shared_events::service::failpoint;
use uuid::Uuid;

use super::{Cache, CacheError, TERRITORIES, changes_key, home_key, schedules_key, windows_key};

/// What is to be stored of one contractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The contractor.
    pub id: Uuid,
    /// The version, 1 to [`MAX_VERSION`](super::MAX_VERSION).
    pub version: i64,
    /// The territory at that version.
    pub territory: String,
    /// When Redis registered it, seconds since the epoch, as it answered.
    pub registered_at: i64,
    /// First day of the horizon.
    pub horizon_day: u32,
    /// The packed entry.
    pub entry: Vec<u8>,
    /// The schedule as JSON.
    pub schedule: Vec<u8>,
    /// Territories that the contractor may still be stored in.
    pub others: Vec<String>,
    /// Whether to write over an entry of the same version, which may be damaged.
    pub replace: bool,
}

/// An entry that is to be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// The contractor.
    pub id: Uuid,
    /// The first day of its horizon, days since 1970-01-01; none if it is of an earlier format.
    pub horizon_day: Option<i64>,
}

/// What became of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// Nothing is known of the contractor: the source of truth must be asked first.
    Missing,
    /// A higher version is known.
    Stale {
        /// That version.
        version: i64,
        /// The territory at that version.
        territory: String,
    },
    /// It may be written now.
    Registered {
        /// When, seconds since the epoch by Redis's clock.
        at: i64,
        /// Territories that the contractor may still be stored in.
        others: Vec<String>,
    },
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Written,
    /// That version was there already.
    Same,
    /// A higher version is there.
    Stale,
    /// Too long after its registration; it must be registered again.
    Late,
}

/// What the home said after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The write stands.
    Settled,
    /// The home was lost meanwhile: register again.
    Missing,
    /// A higher version was registered meanwhile.
    Superseded {
        /// That version.
        version: i64,
        /// The territory at that version.
        territory: String,
    },
}

/// The names of this build's functions: they carry a hash of their source, so that workers of
/// different builds each use their own.
#[derive(Debug)]
pub(super) struct Functions {
    library: String,
    source: String,
}

impl Functions {
    const SOURCE: &'static str = include_str!("functions.lua");

    pub(super) fn new() -> Self {
        let mut source = Self::SOURCE.to_owned();
        if failpoint::mutant("version-guard-off") {
            source = source
                .replace("if version < known then", "if false then")
                .replace("if known > version then", "if false then");
        }
        // FNV-1a: it only needs to tell sources apart.
        let hash = source
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self {
            library: format!("rosterwire_{hash:016x}"),
            source,
        }
    }

    pub(super) async fn load(&self, connection: &mut ConnectionManager) -> RedisResult<()> {
        let source = self.source.replace("LIBRARY", &self.library);
        let loaded = redis::cmd("FUNCTION")
            .arg("LOAD")
            .arg(source)
            .query_async::<String>(connection)
            .await;
        match loaded {
            Err(error) if error.to_string().contains("already exists") => Ok(()),
            loaded => loaded.map(|_| ()),
        }
    }

    fn call(&self, function: &str, keys: &[String]) -> redis::Cmd {
        let mut call = redis::cmd("FCALL");
        call.arg(format!("{}_{function}", self.library))
            .arg(keys.len())
            .arg(keys);
        call
    }
}

pub(super) fn is_function_missing(error: &RedisError) -> bool {
    error.to_string().contains("Function not found")
}

/// A registration as asked for: contractor, version, territory.
pub type Claim<'a> = (Uuid, i64, &'a str);

impl Cache {
    /// Registers versions with their contractors' homes, in one round trip.
    pub async fn register(&self, claims: &[Claim<'_>]) -> Result<Vec<Registration>, CacheError> {
        let mut pipe = redis::pipe();
        for &(id, version, territory) in claims {
            let mut call = self.functions.call("register", &[home_key(id)]);
            call.arg(version).arg(territory).arg("0");
            pipe.add_command(call);
        }
        let answers: Vec<Vec<String>> = self.run(&pipe).await?;
        Ok(answers.into_iter().map(registration).collect())
    }

    /// Registers a version whether or not the contractor has a home, and tells the new home every
    /// territory in which something of the contractor is stored.
    pub async fn register_anew(
        &self,
        (id, version, territory): Claim<'_>,
    ) -> Result<Registration, CacheError> {
        let known = self.territories().await?;
        let mut pipe = redis::pipe();
        for territory in &known {
            pipe.hexists(windows_key(territory), id.to_string());
        }
        let holds: Vec<bool> = if known.is_empty() {
            Vec::new()
        } else {
            self.run(&pipe).await?
        };
        let mut call = self.functions.call("register", &[home_key(id)]);
        call.arg(version).arg(territory).arg("1");
        for (territory, _) in known.iter().zip(holds).filter(|(_, holds)| *holds) {
            call.arg(territory);
        }
        let answers: Vec<Vec<String>> = self.run(redis::pipe().add_command(call)).await?;
        Ok(registration(super::first(answers)))
    }

    /// Stores what was registered, removes it from the other territories and asks the homes whether
    /// it still stands: in one round trip where no one has moved, else in two.
    pub async fn put(&self, writes: &[Write]) -> Result<Vec<(Put, Settlement)>, CacheError> {
        let mut pipe = redis::pipe();
        let territories: std::collections::BTreeSet<&str> =
            writes.iter().map(|w| w.territory.as_str()).collect();
        pipe.cmd("SADD")
            .arg(TERRITORIES)
            .arg(territories.into_iter().collect::<Vec<_>>())
            .ignore();
        for write in writes {
            pipe.add_command(self.put_call(write));
        }
        // Redis runs a pipeline in order, so a home that answers here answers after the write.
        for write in writes {
            for other in &write.others {
                pipe.add_command(self.remove_call(write.id, write.version, other))
                    .ignore();
            }
        }
        for write in writes {
            pipe.add_command(self.settle_call(write, &[]));
        }
        let mut answers: Vec<Vec<String>> = self.run(&pipe).await?;
        let settlements = answers.split_off(writes.len().min(answers.len()));
        let pairs: Vec<(Put, Settlement)> = answers
            .iter()
            .map(|a| put_of(a))
            .zip(settlements.into_iter().map(settlement))
            .collect();

        // Only when the removals are known to have happened may a home forget where they were.
        let mut forget = redis::pipe();
        let moved = writes
            .iter()
            .zip(&pairs)
            .filter(|(write, (_, settlement))| {
                !write.others.is_empty() && *settlement == Settlement::Settled
            });
        let mut any = false;
        for (write, _) in moved {
            forget
                .add_command(self.settle_call(write, &write.others))
                .ignore();
            any = true;
        }
        if any {
            self.run::<()>(&forget).await?;
        }
        Ok(pairs)
    }

    /// Leaves a tombstone where a contractor was, unless a higher version is there.
    pub async fn remove(&self, id: Uuid, version: i64, territory: &str) -> Result<(), CacheError> {
        self.run(
            redis::pipe()
                .add_command(self.remove_call(id, version, territory))
                .ignore(),
        )
        .await
    }

    /// Looks at about `count` values of a territory from `cursor` on, 0 at first: those that begin
    /// before `day` or are of an earlier format than this build's, and the cursor of the rest, 0 at
    /// the end. Drops the tombstones that were set before `seconds` since the epoch.
    pub async fn behind(
        &self,
        territory: &str,
        cursor: u64,
        count: u32,
        day: i64,
        seconds: i64,
    ) -> Result<(u64, Vec<Behind>), CacheError> {
        let mut call = self.scan_call("behind", territory);
        call.arg(cursor)
            .arg(count)
            .arg(day)
            .arg(super::entry::FORMAT)
            .arg(seconds);
        let answers: Vec<Vec<String>> = self.run(redis::pipe().add_command(call)).await?;
        let mut words = super::first(answers).into_iter();
        let next = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut behind = Vec::new();
        while let (Some(id), Some(day)) = (words.next(), words.next()) {
            // What is no id was not written here.
            if let Ok(id) = Uuid::try_parse(&id) {
                let horizon_day = day.parse().ok().filter(|day| *day >= 0);
                behind.push(Behind { id, horizon_day });
            }
        }
        Ok((next, behind))
    }

    fn put_call(&self, write: &Write) -> redis::Cmd {
        let mut call = self.functions.call("put", &keys_of(&write.territory));
        call.arg(write.id.to_string())
            .arg(write.version)
            .arg(write.registered_at)
            .arg(write.horizon_day)
            .arg(&write.entry)
            .arg(&write.schedule)
            .arg(u8::from(write.replace));
        call
    }

    fn remove_call(&self, id: Uuid, version: i64, territory: &str) -> redis::Cmd {
        let mut call = self.functions.call("remove", &keys_of(territory));
        call.arg(id.to_string()).arg(version);
        call
    }

    /// Asks for the values of a territory that have changed after the change with a number, and which
    /// the last one is; for nothing where they are more than `most`.
    pub(super) fn since_call(&self, territory: &str, number: u64, most: usize) -> redis::Cmd {
        let mut call = self.scan_call("since", territory);
        call.arg(number).arg(most);
        call
    }

    fn scan_call(&self, function: &str, territory: &str) -> redis::Cmd {
        let keys = [windows_key(territory), changes_key(territory)];
        self.functions.call(function, &keys)
    }

    fn settle_call(&self, write: &Write, cleared: &[String]) -> redis::Cmd {
        let mut call = self.functions.call("settle", &[home_key(write.id)]);
        call.arg(write.version).arg(&write.territory).arg(cleared);
        call
    }
}

/// What a write of a contractor in a territory touches.
fn keys_of(territory: &str) -> [String; 3] {
    [
        windows_key(territory),
        schedules_key(territory),
        changes_key(territory),
    ]
}

fn registration(answer: Vec<String>) -> Registration {
    let mut words = answer.into_iter();
    let (word, number) = (words.next().unwrap_or_default(), words.next());
    let number = number.and_then(|n| n.parse().ok()).unwrap_or(0);
    match word.as_str() {
        "registered" => Registration::Registered {
            at: number,
            others: words.collect(),
        },
        "stale" => Registration::Stale {
            version: number,
            territory: words.next().unwrap_or_default(),
        },
        _ => Registration::Missing,
    }
}

fn put_of(answer: &[String]) -> Put {
    match answer.first().map(String::as_str) {
        Some("written") => Put::Written,
        Some("same") => Put::Same,
        Some("late") => Put::Late,
        _ => Put::Stale,
    }
}

fn settlement(answer: Vec<String>) -> Settlement {
    let mut words = answer.into_iter();
    match words.next().as_deref() {
        Some("settled") => Settlement::Settled,
        Some("superseded") => Settlement::Superseded {
            version: words.next().and_then(|n| n.parse().ok()).unwrap_or(0),
            territory: words.next().unwrap_or_default(),
        },
        _ => Settlement::Missing,
    }
}
