//! Finds the clients that a batch of events is for, and no others.
//!
//! Clients are spread over shards. Each shard has one task that walks those of its clients that are
//! interested in what came, so the feed never does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::event::Kind;
use crate::filter::Facts;
use crate::slot::Slot;

/// Heartbeats and the end of a drain come to the clients in so many groups, one after the other,
/// so that they do not all write at once.
pub const PHASES: u32 = 32;

/// Over so many different interests a batch simply wakes everybody.
const MOST_INTERESTS: usize = 1024;

/// What a batch is about.
#[derive(Debug, Default)]
pub struct Interests {
    everything: bool,
    /// Nothing of it may wait for more.
    is_urgent: bool,
    territories: HashSet<Box<str>>,
    contractors: HashSet<Uuid>,
}

impl Interests {
    /// What everybody is interested in.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            everything: true,
            is_urgent: true,
            ..Self::default()
        }
    }

    /// Adds what an event is about.
    pub fn add(&mut self, facts: &Facts) {
        self.contractors.insert(facts.contractor);
        // What became of the change follows it closely, and one write can carry both.
        self.is_urgent |= facts.kind != Kind::Schedule;
        for territory in [Some(&facts.territory), facts.previous_territory.as_ref()]
            .into_iter()
            .flatten()
        {
            if !self.territories.contains(territory) {
                self.territories.insert(territory.clone());
            }
        }
    }

    /// True where nobody is interested.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.contractors.is_empty()
    }

    fn merge(&mut self, other: &Self) {
        self.is_urgent |= other.is_urgent;
        if self.everything {
            return;
        }
        self.everything = other.everything;
        self.contractors.extend(&other.contractors);
        self.territories.extend(other.territories.iter().cloned());
        if self.everything || self.contractors.len() + self.territories.len() > MOST_INTERESTS {
            *self = Self::everything();
        }
    }
}

/// In the order of their coming, which is about that of their places in memory.
type Group = BTreeMap<u64, Arc<Slot>>;

#[derive(Debug, Default)]
struct Members {
    all: Group,
    unfiltered: Group,
    by_territory: HashMap<Box<str>, Group>,
    by_contractor: HashMap<Uuid, Group>,
    /// Those that may stay for a time only, by its end.
    expiring: BTreeMap<(DateTime<Utc>, u64), Arc<Slot>>,
}

impl Members {
    fn collect(&self, interests: &Interests, into: &mut Vec<Arc<Slot>>) {
        let mut add = |group: &Group| into.extend(group.values().cloned());
        if interests.everything {
            return add(&self.all);
        }
        if !interests.is_empty() {
            add(&self.unfiltered);
        }
        interests
            .territories
            .iter()
            .filter_map(|key| self.by_territory.get(key))
            .for_each(&mut add);
        interests
            .contractors
            .iter()
            .filter_map(|key| self.by_contractor.get(key))
            .for_each(&mut add);
    }
}

#[derive(Debug, Default)]
struct Shard {
    members: Mutex<Members>,
    pending: Mutex<Interests>,
    work: Notify,
}

/// All clients, by what they are interested in.
#[derive(Debug)]
pub struct Wakers {
    shards: Box<[Shard]>,
    patience: Duration,
    next_id: AtomicU64,
}

impl Wakers {
    /// No clients yet, in so many shards. They are woken for `availability.updated` at once, and for
    /// `schedule.updated` alone after `patience`.
    #[must_use]
    pub fn new(shards: usize, patience: Duration) -> Self {
        Self {
            shards: (0..shards.max(1)).map(|_| Shard::default()).collect(),
            patience,
            next_id: AtomicU64::new(0),
        }
    }

    /// How many shards there are; each is to be walked by one task.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Waits until there is something for clients of one shard, and adds them to `clients`.
    pub async fn next(&self, shard: usize, clients: &mut Vec<Arc<Slot>>) {
        let Some(shard) = self.shards.get(shard) else {
            return;
        };
        shard.work.notified().await;
        let deadline = Instant::now() + self.patience;
        while !self.patience.is_zero() && !shard.pending.lock().is_urgent {
            let more = tokio::time::timeout_at(deadline, shard.work.notified());
            if more.await.is_err() {
                break;
            }
        }
        let interests = std::mem::take(&mut *shard.pending.lock());
        shard.members.lock().collect(&interests, clients);
    }

    /// Has everybody woken who is interested.
    pub fn announce(&self, interests: &Interests) {
        if interests.is_empty() {
            return;
        }
        for shard in &self.shards {
            shard.pending.lock().merge(interests);
            shard.work.notify_one();
        }
    }

    /// The clients of one of the [`PHASES`] groups.
    #[must_use]
    pub fn group(&self, phase: u32) -> Vec<Arc<Slot>> {
        let mut group = Vec::new();
        for shard in &self.shards {
            let members = shard.members.lock();
            let all = members.all.iter();
            let of_the_phase = all.filter(|(id, _)| phase_of(**id) == phase % PHASES);
            group.extend(of_the_phase.map(|(_, slot)| Arc::clone(slot)));
        }
        group
    }

    /// Ends the streams of those whose time is over at `now`.
    pub fn expire(&self, now: DateTime<Utc>) {
        for shard in &self.shards {
            let mut members = shard.members.lock();
            let later = members.expiring.split_off(&(now, u64::MAX));
            let over = std::mem::replace(&mut members.expiring, later);
            for slot in over.values() {
                slot.expire();
            }
        }
    }

    /// All clients.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Slot>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.members.lock().all.values().cloned());
        }
        all
    }

    /// Adds a client.
    #[must_use]
    pub fn join(self: &Arc<Self>, slot: Slot) -> Membership {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let membership = Membership {
            wakers: Arc::clone(self),
            slot: Arc::new(slot),
            id,
        };
        if let Some(shard) = membership.shard() {
            let mut members = shard.members.lock();
            let Members {
                all,
                unfiltered,
                by_territory,
                by_contractor,
                expiring,
            } = &mut *members;
            let slot = || Arc::clone(&membership.slot);
            all.insert(id, slot());
            if let Some(at) = membership.slot.caller.expires_at {
                expiring.insert((at, id), slot());
            }
            let filter = &membership.slot.filter;
            if !filter.contractors.is_empty() {
                for key in &filter.contractors {
                    by_contractor.entry(*key).or_default().insert(id, slot());
                }
            } else if !filter.territories.is_empty() {
                for key in &filter.territories {
                    by_territory
                        .entry(key.clone())
                        .or_default()
                        .insert(id, slot());
                }
            } else {
                unfiltered.insert(id, slot());
            }
        }
        membership
    }
}

/// Neighbours in time are in different groups, in different shards too.
fn phase_of(id: u64) -> u32 {
    let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> u32::BITS;
    u32::try_from(spread).unwrap_or_default() >> (u32::BITS - PHASES.trailing_zeros())
}

/// A client among the others; it leaves when this is dropped.
#[derive(Debug)]
pub struct Membership {
    wakers: Arc<Wakers>,
    slot: Arc<Slot>,
    id: u64,
}

impl Membership {
    /// The client's own.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    fn shard(&self) -> Option<&Shard> {
        let count = self.wakers.shards.len() as u64;
        usize::try_from(self.id % count)
            .ok()
            .and_then(|index| self.wakers.shards.get(index))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Some(shard) = self.shard() else { return };
        let mut members = shard.members.lock();
        members.all.remove(&self.id);
        members.unfiltered.remove(&self.id);
        if let Some(at) = self.slot.caller.expires_at {
            members.expiring.remove(&(at, self.id));
        }
        for key in &self.slot.filter.territories {
            leave(&mut members.by_territory, key, self.id);
        }
        for key in &self.slot.filter.contractors {
            leave(&mut members.by_contractor, key, self.id);
        }
    }
}

fn leave<K: std::hash::Hash + Eq>(groups: &mut HashMap<K, Group>, key: &K, id: u64) {
    if let Some(group) = groups.get_mut(key) {
        group.remove(&id);
        if group.is_empty() {
            groups.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "wakers_tests.rs"]
mod tests;
