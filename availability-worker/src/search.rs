//! Who can take a job: contractors by their earliest start.

use std::collections::BTreeMap;
use std::sync::Arc;

mod judge;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::cache::copies::Read;
use crate::cache::{Cache, CacheError, Copies, Found, Packed, Peek, Territory, Unreadable, rank};
use crate::engine::{FreeTime, Minute, Query, SlotRequest, first_slot};
use judge::{Judge, Verdict};
use shared_events::Schedule;
use shared_events::zones::Zone;

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

/// How often someone is looked up who moves on from territory to territory meanwhile.
const ROUNDS: usize = 3;

impl Search {
    /// Brings the copy of the territory up to date in one round trip and scans it. What the horizon
    /// cannot answer is calculated as of `now` from the schedules in Redis, which takes more.
    pub async fn run(&self, copies: &Copies, now: DateTime<Utc>) -> Result<Page, SearchError> {
        let cache = copies.cache();
        let (begun, mut territories) = match &self.territory {
            Some(territory) => (None, vec![territory.clone()]),
            None => cache.marked_territories().await?,
        };
        if let Some(only) = &self.only {
            territories.retain(|territory| only.contains(territory));
        }
        let Read {
            mark,
            territories: read,
        } = copies.read(&territories).await?;
        if mark.is_none() || (self.territory.is_none() && mark != begun) {
            return Err(SearchError::Incomplete);
        }
        let Scanned {
            mut candidates,
            unknown,
            mut moved,
        } = self.scan(&territories, &read);
        drop(read);
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
    fn scan(&self, names: &[String], territories: &[Arc<Territory>]) -> Scanned {
        let mut judge = Judge::new(self);
        let mut first: BTreeMap<Place, Candidate> = BTreeMap::new();
        let mut unknown: Vec<(Place, usize)> = Vec::new();
        let mut moved = Vec::new();
        // One more than the page holds tells whether there is a next one.
        let wanted = self.limit.saturating_add(1);
        // The last place that is wanted, once there are enough.
        let mut last = None;
        let values = territories.iter().enumerate();
        let values = values.flat_map(|(at, territory)| territory.values().map(move |v| (at, v)));
        for (at, (id, value)) in values {
            let place = |start| Place { start, id };
            let verdict = match Peek::of(value) {
                Ok(Peek::Live(packed)) => judge
                    .judge(id, &packed, last)
                    .map(|verdict| (verdict, packed)),
                Ok(Peek::Tombstone { .. }) => {
                    // It has left the territory that was asked for. Where all were asked for, it
                    // went to one that had been read already.
                    if self.territory.is_none() && counts(territories, at, id, value) {
                        moved.push(id);
                    }
                    continue;
                }
                Err(Unreadable) => Err(Unreadable),
            };
            let start = match verdict {
                Ok((Verdict::Starts(start), packed)) => {
                    let is_new = self.after.is_none_or(|after| place(start) > after);
                    if !is_new || !counts(territories, at, id, value) {
                        continue;
                    }
                    match candidate(place(start), &names[at], &packed) {
                        Ok(candidate) => {
                            first.insert(place(start), candidate);
                            None
                        }
                        Err(Unreadable) => Some(Minute::MIN),
                    }
                }
                Ok((Verdict::Unknown(start), _)) => Some(start),
                Ok((Verdict::Never | Verdict::TooLate, _)) => None,
                Err(Unreadable) => Some(Minute::MIN),
            };
            if let Some(start) = start
                && counts(territories, at, id, value)
            {
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
        let zone = Zone::named(&schedule.time_zone).ok()?;
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

/// Whether the value of a contractor in the territory `at` is the one that counts: while a contractor
/// moves, two territories may hold one for a moment.
fn counts(territories: &[Arc<Territory>], at: usize, id: Uuid, value: &[u8]) -> bool {
    let mut others = territories.iter().enumerate();
    // Of values of the same rank the first one counts.
    !others.any(|(place, territory)| {
        let other = (place != at).then(|| territory.value(id)).flatten();
        other.is_some_and(|other| match rank(other).cmp(&rank(value)) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => place < at,
            std::cmp::Ordering::Less => false,
        })
    })
}
