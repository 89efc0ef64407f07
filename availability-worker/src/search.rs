//! Who can take a job: contractors by their earliest start.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry as Slot, HashMap};

mod judge;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::cache::{Cache, CacheError, Found, Hashes, Packed, Peek, Unreadable, rank};
use crate::engine::{FreeTime, Minute, Query, SlotRequest, first_slot, zone};
use judge::{Judge, Verdict};
use shared_events::Schedule;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The range, now, and the duration of the job.
    pub query: Query,
    /// The territory; all without one.
    pub territory: Option<String>,
    /// Where no territory is named, only these.
    pub only: Option<Vec<String>>,
    /// Skills, all of which are needed.
    pub skills: Vec<String>,
    /// How many are wanted.
    pub limit: usize,
    /// Only what comes after this place.
    pub after: Option<Place>,
}

/// A place in the order of the answers: earliest start, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The earliest start.
    pub start: Minute,
    /// The contractor.
    pub id: Uuid,
}

/// A contractor who can take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The earliest start, and who.
    pub place: Place,
    /// The contractor's territory.
    pub territory: String,
    /// The contractor's time zone.
    pub time_zone: String,
    /// The contractor's skills.
    pub skills: Vec<String>,
    /// The version that this was calculated from.
    pub version: i64,
    /// When it was calculated.
    pub calculated_at: DateTime<Utc>,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SearchError {
    /// Redis did not answer.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// An answer now could leave people out, and nobody could tell.
    #[error("the cache is being rebuilt")]
    Incomplete,
}

/// One page of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The candidates, earliest first, ties by id.
    pub candidates: Vec<Candidate>,
    /// Where the next page begins, if there is one.
    pub next: Option<Place>,
}

/// What a scan of the horizons alone has found.
#[derive(Debug, Default)]
struct Scanned {
    candidates: Vec<Candidate>,
    /// Those of whom the schedule has to be asked, by the number of their territory.
    unknown: BTreeMap<usize, Vec<Uuid>>,
    /// Those who moved to another territory while the territories were read.
    moved: Vec<Uuid>,
}

/// A value that counts: whose, the number of the territory, and the value.
type Value<'a> = (Uuid, usize, &'a [u8]);

/// How often someone is looked up who moves on from territory to territory meanwhile.
const ROUNDS: usize = 3;

impl Search {
    /// Reads the territory in one round trip and scans it. What the horizon cannot answer is
    /// calculated as of `now` from the schedules kept beside it, which takes more.
    pub async fn run(&self, cache: &Cache, now: DateTime<Utc>) -> Result<Page, SearchError> {
        let (begun, mut territories) = match &self.territory {
            Some(territory) => (None, vec![territory.clone()]),
            None => cache.marked_territories().await?,
        };
        if let Some(only) = &self.only {
            territories.retain(|territory| only.contains(territory));
        }
        let hashes = cache.hashes(&territories).await?;
        let mark = hashes.mark.clone();
        if mark.is_none() || (self.territory.is_none() && mark != begun) {
            return Err(SearchError::Incomplete);
        }
        let Scanned {
            mut candidates,
            unknown,
            mut moved,
        } = self.scan(&territories, &hashes);
        drop(hashes);
        if unknown.is_empty() && moved.is_empty() {
            return Ok(self.page(candidates));
        }
        for (at, ids) in unknown {
            let schedules = cache.schedules(&territories[at], &ids).await?;
            for (id, schedule) in ids.into_iter().zip(schedules) {
                match schedule {
                    Some(schedule) => candidates.extend(self.beyond(&schedule, now)),
                    None => moved.push(id),
                }
            }
        }
        for id in moved {
            candidates.extend(self.follow(cache, id, now).await?);
        }
        // What was read after the scan was read from the same filling of the cache.
        if cache.mark().await? != mark {
            return Err(SearchError::Incomplete);
        }
        Ok(self.page(candidates))
    }

    /// Looks at every value, and keeps those with the first places.
    fn scan(&self, territories: &[String], hashes: &Hashes) -> Scanned {
        let mut judge = Judge::new(self);
        let mut first: BTreeMap<Place, Candidate> = BTreeMap::new();
        let mut unknown: Vec<(Place, usize)> = Vec::new();
        let mut moved = Vec::new();
        // One more than the page holds tells whether there is a next one.
        let wanted = self.limit.saturating_add(1);
        // The last place that is wanted, once there are enough.
        let mut last = None;
        for (id, at, value) in newest(hashes, territories.len()) {
            let place = |start| Place { start, id };
            let found = match Peek::of(value) {
                Ok(Peek::Live(packed)) => judge.judge(id, &packed, last).and_then(|v| match v {
                    Verdict::Starts(start) if self.after.is_none_or(|a| place(start) > a) => {
                        let candidate = candidate(place(start), &territories[at], &packed)?;
                        first.insert(place(start), candidate);
                        Ok(None)
                    }
                    Verdict::Unknown(start) => Ok(Some(start)),
                    Verdict::Starts(_) | Verdict::Never | Verdict::TooLate => Ok(None),
                }),
                Ok(Peek::Tombstone { .. }) => {
                    // It has left the territory that was asked for. Where all were asked for, it
                    // went to one that had been read already.
                    if self.territory.is_none() {
                        moved.push(id);
                    }
                    Ok(None)
                }
                Err(Unreadable) => Err(Unreadable),
            };
            if let Some(start) = found.unwrap_or(Some(Minute::MIN)) {
                unknown.push((place(start), at));
            }
            if first.len() > wanted {
                first.pop_last();
            }
            if first.len() == wanted {
                last = first.last_key_value().map(|(place, _)| *place);
            }
        }
        let mut scanned = Scanned {
            candidates: first.into_values().collect(),
            moved,
            unknown: BTreeMap::new(),
        };
        for (place, at) in unknown {
            // Who cannot start before the last of enough others need not be looked at again.
            if last.is_none_or(|last| place < last) {
                scanned.unknown.entry(at).or_default().push(place.id);
            }
        }
        scanned
    }

    /// Looks up someone who moved while the territories were read.
    async fn follow(
        &self,
        cache: &Cache,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Option<Candidate>, SearchError> {
        for _ in 0..ROUNDS {
            let Some(Found { territory, .. }) = cache.find(id).await? else {
                return Ok(None);
            };
            let elsewhere = self.territory.as_ref().is_some_and(|t| *t != territory);
            let hidden = self.only.as_ref().is_some_and(|o| !o.contains(&territory));
            if elsewhere || hidden {
                return Ok(None);
            }
            // Who moves is rare enough to be calculated from the schedule, whatever the range.
            let mut kept = cache.schedules(&territory, &[id]).await?;
            if let Some(schedule) = kept.pop().flatten() {
                return Ok(self.beyond(&schedule, now));
            }
        }
        Err(SearchError::Incomplete)
    }

    fn beyond(&self, schedule: &Schedule, now: DateTime<Utc>) -> Option<Candidate> {
        if !self.has_skills(&schedule.skills) {
            return None;
        }
        let zone = zone(&schedule.time_zone).ok()?;
        let rules = schedule.booking_rules;
        let open = self.query.open_range(rules.min_notice_minutes);
        let free = FreeTime::new(schedule, zone).in_range(open);
        let start = first_slot(zone, &free, open, self.request(rules.slot_interval_minutes))?;
        Some(Candidate {
            place: Place {
                start,
                id: schedule.contractor_id,
            },
            territory: schedule.territory.clone(),
            time_zone: schedule.time_zone.clone(),
            skills: schedule.skills.clone(),
            version: schedule.version,
            calculated_at: now,
        })
    }

    fn request(&self, slot_interval: u32) -> SlotRequest {
        SlotRequest {
            duration: self.duration(),
            interval: i64::from(slot_interval),
        }
    }

    fn duration(&self) -> i64 {
        self.query.duration.unwrap_or(1)
    }

    fn has_skills(&self, skills: &[String]) -> bool {
        self.skills.iter().all(|needed| skills.contains(needed))
    }

    fn page(&self, mut candidates: Vec<Candidate>) -> Page {
        if let Some(after) = self.after {
            candidates.retain(|c| c.place > after);
        }
        let more = candidates.len() > self.limit;
        if more {
            candidates.select_nth_unstable_by_key(self.limit, |c| c.place);
            candidates.truncate(self.limit);
        }
        candidates.sort_unstable_by_key(|c| c.place);
        let next = if more {
            candidates.last().map(|c| c.place)
        } else {
            None
        };
        Page { candidates, next }
    }
}

fn candidate(place: Place, territory: &str, packed: &Packed<'_>) -> Result<Candidate, Unreadable> {
    let rest = packed.rest()?;
    Ok(Candidate {
        place,
        territory: territory.to_owned(),
        time_zone: rest.time_zone,
        skills: rest.skills,
        version: packed.version,
        calculated_at: rest.calculated_at,
    })
}

/// The value that counts of each contractor. In one territory each has one; while a contractor
/// moves, two may hold a value for a moment.
fn newest(hashes: &Hashes, territories: usize) -> Vec<Value<'_>> {
    let mut values: Vec<Value<'_>> = Vec::new();
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    for at in 0..territories {
        for (id, value) in hashes.values(at) {
            if territories > 1 {
                match places.entry(id) {
                    Slot::Vacant(vacant) => {
                        vacant.insert(values.len());
                    }
                    Slot::Occupied(place) => {
                        let known = &mut values[*place.get()];
                        if rank(value) > rank(known.2) {
                            *known = (id, at, value);
                        }
                        continue;
                    }
                }
            }
            values.push((id, at, value));
        }
    }
    values
}
