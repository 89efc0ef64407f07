//! Copies of whole territories in this process. A search brings those that it needs up to date in
//! one round trip that carries only what has changed, and scans them.
//!
//! Redis numbers the changes of each territory (`functions.lua`). A copy knows the number of the last
//! change that it has, asks for what came after, and counts whether it then has as many values as
//! Redis. It is read anew where it does not, where Redis has been filled anew meanwhile (its mark
//! tells), where too much has changed, and after a time in any case.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{COMPLETE, Cache, CacheError, Mark, changes_key, parsed, windows_key};

/// Over so many changes a territory is read anew: one function answers them all while Redis does
/// nothing else.
const MOST_CHANGES: usize = 1_000;

/// What a value takes beside its own bytes: its id twice, its place and the headers.
const OVERHEAD: usize = 128;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CopySettings {
    /// Bytes of the copies of territories that searches keep in memory (a contractor takes about 500);
    /// those used longest ago are dropped first. 0: every search reads its territories whole
    #[arg(long, env = "SEARCH_COPY_BYTES", default_value_t = 268_435_456, value_parser = clap::value_parser!(u64).range(0..=1 << 40))]
    pub search_copy_bytes: u64,

    /// Seconds after which a search reads a territory whole though it has a copy, which bounds how long
    /// a change made by hand in Redis goes unseen
    #[arg(long, env = "SEARCH_COPY_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub search_copy_seconds: u64,
}

/// All values of a territory as they were in Redis at one moment.
#[derive(Debug, Clone)]
pub struct Territory {
    mark: Mark,
    /// The number of the last change that is in it.
    newest: u64,
    values: Vec<(Uuid, Bytes)>,
    places: HashMap<Uuid, usize>,
    bytes: usize,
}

impl Territory {
    fn new(mark: Mark, newest: u64, values: impl Iterator<Item = (Uuid, Bytes)>) -> Self {
        let mut territory = Self {
            mark,
            newest,
            values: Vec::with_capacity(values.size_hint().0),
            places: HashMap::new(),
            bytes: 0,
        };
        territory.set(values);
        territory
    }

    fn set(&mut self, values: impl Iterator<Item = (Uuid, Bytes)>) {
        for (id, value) in values {
            self.bytes += value.len();
            if let Some((_, held)) = self.places.get(&id).and_then(|at| self.values.get_mut(*at)) {
                self.bytes -= held.len();
                *held = value;
            } else {
                self.bytes += OVERHEAD;
                self.places.insert(id, self.values.len());
                self.values.push((id, value));
            }
        }
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = (Uuid, &[u8])> {
        self.values.iter().map(|(id, value)| (*id, value.as_ref()))
    }

    /// The value of one contractor.
    #[must_use]
    pub fn value(&self, id: Uuid) -> Option<&[u8]> {
        let (_, value) = self.values.get(*self.places.get(&id)?)?;
        Some(value)
    }
}

/// Some territories as they were at one moment each.
#[derive(Debug)]
pub struct Read {
    /// The mark, if it was there before and after; without it some contractors may be missing, and
    /// nothing was read.
    pub mark: Option<Mark>,
    /// The territories, in the order in which they were asked for.
    pub territories: Vec<Arc<Territory>>,
}

/// What is known of some territories, brought up to date whenever it is read.
#[derive(Debug)]
pub struct Copies {
    cache: Cache,
    settings: CopySettings,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_name: HashMap<String, Copy>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Copy {
    territory: Arc<Territory>,
    /// When it was last read whole.
    read_at: Instant,
    /// When it was last used, counted in uses.
    used: u64,
}

/// What Redis said of one territory.
enum Answer {
    /// All values, and the number of a change that is in them with all before it.
    Whole(u64, Value),
    /// What has changed after `since` up to `newest`, and how many values there are.
    Changes {
        since: u64,
        newest: u64,
        count: usize,
        values: Vec<(Uuid, Bytes)>,
    },
    /// More than that.
    Many,
}

impl Copies {
    /// No copies yet.
    #[must_use]
    pub fn new(cache: Cache, settings: CopySettings) -> Self {
        Self {
            cache,
            settings,
            kept: Mutex::default(),
        }
    }

    /// The cache that they are copies of.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Some territories as they are now: in one round trip, or in two where a copy cannot be brought
    /// up to date.
    pub async fn read(&self, names: &[String]) -> Result<Read, CacheError> {
        let nothing = Read {
            mark: None,
            territories: Vec::new(),
        };
        let asked: Vec<_> = names.iter().map(|name| (name, self.known(name))).collect();
        let (mark, answers) = self.ask(&asked).await?;
        let Some(mark) = mark else { return Ok(nothing) };
        let answers = names.iter().zip(answers);
        let mut found: Vec<_> = answers
            .map(|(name, answer)| self.take(name, answer, &mark))
            .collect();
        let again: Vec<_> = names
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(name, _)| (name, None))
            .collect();
        if !again.is_empty() {
            let (mark_then, answers) = self.ask(&again).await?;
            if mark_then.as_ref() != Some(&mark) {
                return Ok(nothing);
            }
            let missing = found.iter_mut().filter(|found| found.is_none());
            for ((missing, (name, _)), answer) in missing.zip(again).zip(answers) {
                *missing = self.take(name, answer, &mark);
            }
        }
        Ok(Read {
            mark: Some(mark),
            territories: found.into_iter().flatten().collect(),
        })
    }

    /// The number of the last change of the copy, if there is one that may be used.
    fn known(&self, name: &str) -> Option<u64> {
        let kept = self.kept.lock();
        let copy = kept.by_name.get(name)?;
        let most = Duration::from_secs(self.settings.search_copy_seconds);
        (copy.read_at.elapsed() < most).then_some(copy.territory.newest)
    }

    /// Asks for each territory what has changed since its number, or for all where it has none.
    async fn ask(
        &self,
        names: &[(&String, Option<u64>)],
    ) -> Result<(Option<Mark>, Vec<Answer>), CacheError> {
        let mut pipe = redis::pipe();
        // Redis may be emptied, and even filled again, while it answers: only the same mark on both
        // sides says that nothing was missing in between.
        pipe.get(COMPLETE);
        for (name, known) in names {
            if let Some(since) = known {
                pipe.add_command(self.cache.since_call(name, *since, MOST_CHANGES));
            } else {
                // The number first: what changes in between comes again with the next changes.
                pipe.cmd("ZREVRANGE")
                    .arg(changes_key(name))
                    .arg(0)
                    .arg(0)
                    .arg("WITHSCORES");
                pipe.hgetall(windows_key(name));
            }
        }
        pipe.get(COMPLETE);
        let mut answers = self.cache.run::<Vec<Value>>(&pipe).await?.into_iter();
        let before = parsed::<Option<Mark>>(answers.next())?;
        let mut told = Vec::with_capacity(names.len());
        for (_, known) in names {
            told.push(if let Some(since) = *known {
                changes(since, answers.next())?
            } else {
                let last: Vec<(String, u64)> = parsed(answers.next())?;
                let newest = last.first().map_or(0, |(_, number)| *number);
                Answer::Whole(newest, answers.next().unwrap_or(Value::Nil))
            });
        }
        let after = parsed::<Option<Mark>>(answers.next())?;
        let mark = before.filter(|before| after.as_ref() == Some(before));
        Ok((mark, told))
    }

    /// The territory as of `answer` or later; none where it has to be read whole.
    fn take(&self, name: &str, answer: Answer, mark: &Mark) -> Option<Arc<Territory>> {
        match answer {
            Answer::Many => None,
            Answer::Whole(newest, values) => {
                let values = pairs(values);
                let territory = Arc::new(Territory::new(mark.clone(), newest, values.into_iter()));
                self.kept.lock().keep(name, &territory, self.most());
                Some(territory)
            }
            Answer::Changes {
                since,
                newest,
                count,
                values,
            } => {
                let mut kept = self.kept.lock();
                kept.uses += 1;
                let used = kept.uses;
                let copy = kept.by_name.get_mut(name)?;
                // Others read and keep what they have read at the same time. Theirs may be newer,
                // which is as good, or so old that changes between it and these are missing.
                if copy.territory.mark != *mark || copy.territory.newest < since {
                    return None;
                }
                copy.used = used;
                if copy.territory.newest > newest {
                    return Some(Arc::clone(&copy.territory));
                }
                let before = copy.territory.bytes;
                if !values.is_empty() {
                    let territory = Arc::make_mut(&mut copy.territory);
                    territory.set(values.into_iter());
                    territory.newest = newest;
                }
                let (territory, bytes) = (Arc::clone(&copy.territory), copy.territory.bytes);
                kept.bytes = kept.bytes.saturating_sub(before).saturating_add(bytes);
                kept.trim(self.most());
                (territory.values.len() == count).then_some(territory)
            }
        }
    }

    fn most(&self) -> usize {
        usize::try_from(self.settings.search_copy_bytes).unwrap_or(usize::MAX)
    }
}

impl Kept {
    fn keep(&mut self, name: &str, territory: &Arc<Territory>, most: usize) {
        // Anybody may ask for a territory that nobody is in.
        if territory.values.is_empty() || territory.bytes > most {
            return self.forget(name);
        }
        let held = self.by_name.get(name).map(|copy| &copy.territory);
        if held.is_some_and(|held| held.mark == territory.mark && held.newest > territory.newest) {
            return;
        }
        self.forget(name);
        self.uses += 1;
        self.bytes += territory.bytes;
        let copy = Copy {
            territory: Arc::clone(territory),
            read_at: Instant::now(),
            used: self.uses,
        };
        self.by_name.insert(name.to_owned(), copy);
        self.trim(most);
    }

    fn forget(&mut self, name: &str) {
        if let Some(copy) = self.by_name.remove(name) {
            self.bytes = self.bytes.saturating_sub(copy.territory.bytes);
        }
    }

    fn trim(&mut self, most: usize) {
        while self.bytes > most {
            let oldest = self.by_name.iter().min_by_key(|(_, copy)| copy.used);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.forget(&name);
        }
    }
}

/// Reads the answer of `since` in `functions.lua`.
fn changes(since: u64, answer: Option<Value>) -> Result<Answer, CacheError> {
    let Some(Value::Array(words)) = answer else {
        return Ok(Answer::Many);
    };
    let mut words = words.into_iter();
    let count: Option<usize> = parsed(words.next())?;
    let newest: Option<u64> = parsed(words.next())?;
    let (Some(count), Some(newest)) = (count, newest) else {
        return Ok(Answer::Many);
    };
    let mut values = Vec::with_capacity(words.len() / 2);
    while let (Some(id), Some(value)) = (words.next(), words.next()) {
        values.extend(pair(id, value));
    }
    Ok(Answer::Changes {
        since,
        // The last change is forgotten with the tombstone that it set.
        newest: newest.max(since),
        count,
        values,
    })
}

fn pairs(values: Value) -> Vec<(Uuid, Bytes)> {
    let pairs = values.into_map_iter().into_iter().flatten();
    pairs.filter_map(|(id, value)| pair(id, value)).collect()
}

/// None where it is no id: then it was not written here.
fn pair(id: Value, value: Value) -> Option<(Uuid, Bytes)> {
    match (id, value) {
        (Value::BulkString(id), Value::BulkString(value)) => {
            Some((Uuid::try_parse_ascii(&id).ok()?, value.into()))
        }
        _ => None,
    }
}
