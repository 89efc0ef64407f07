//! Finds the clients that a batch of events is for, and no others.
//!
//! Clients are spread over shards. Each shard has one thread that walks those of its clients that are
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

/// Heartbeats come to the clients in so many groups, one after the other, so that they are not all written
/// at once.
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
    /// Everybody, in the groups of the heartbeats.
    by_phase: [Group; PHASES as usize],
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
            return self.by_phase.iter().for_each(add);
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

    fn add(&mut self, id: u64, mut slot: Slot) -> Arc<Slot> {
        let filter = Arc::clone(&slot.filter);
        let first_group = match (filter.contractors.first(), filter.territories.first()) {
            (Some(key), _) => self.by_contractor.get(key),
            (None, Some(key)) => self.by_territory.get(key),
            (None, None) => Some(&self.unfiltered),
        };
        // One in memory for all who ask alike: then a walk finds without a look that they do.
        if let Some((_, neighbour)) = first_group.and_then(Group::last_key_value)
            && neighbour.filter == filter
        {
            slot.filter = Arc::clone(&neighbour.filter);
        }
        let slot = Arc::new(slot);
        let member = || Arc::clone(&slot);
        if let Some(group) = self.by_phase.get_mut(phase_of(id)) {
            group.insert(id, member());
        }
        if let Some(at) = slot.caller.expires_at {
            self.expiring.insert((at, id), member());
        }
        if !filter.contractors.is_empty() {
            for key in &filter.contractors {
                let group = self.by_contractor.entry(*key).or_default();
                group.insert(id, member());
            }
        } else if !filter.territories.is_empty() {
            for key in &filter.territories {
                let group = self.by_territory.entry(key.clone()).or_default();
                group.insert(id, member());
            }
        } else {
            self.unfiltered.insert(id, member());
        }
        slot
    }

    fn remove(&mut self, id: u64, slot: &Slot) {
        if let Some(group) = self.by_phase.get_mut(phase_of(id)) {
            group.remove(&id);
        }
        self.unfiltered.remove(&id);
        if let Some(at) = slot.caller.expires_at {
            self.expiring.remove(&(at, id));
        }
        for key in &slot.filter.territories {
            leave(&mut self.by_territory, key, id);
        }
        for key in &slot.filter.contractors {
            leave(&mut self.by_contractor, key, id);
        }
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

    /// How many shards there are; each is to be walked by one thread.
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
            let of_the_phase = members.by_phase.get((phase % PHASES) as usize);
            group.extend(of_the_phase.into_iter().flat_map(Group::values).cloned());
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
            let members = shard.members.lock();
            all.extend(members.by_phase.iter().flat_map(Group::values).cloned());
        }
        all
    }

    /// Adds a client.
    #[must_use]
    pub fn join(self: &Arc<Self>, slot: Slot) -> Membership {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let slot = match self.shard(id) {
            Some(shard) => shard.members.lock().add(id, slot),
            None => Arc::new(slot),
        };
        Membership {
            wakers: Arc::clone(self),
            slot,
            id,
        }
    }

    fn shard(&self, id: u64) -> Option<&Shard> {
        let index = usize::try_from(id % self.shards.len() as u64);
        index.ok().and_then(|index| self.shards.get(index))
    }
}

/// So many who came one after the other are in the same group: they are neighbours in memory too.
const NEIGHBOURS: u64 = 16;

fn phase_of(id: u64) -> usize {
    let block = id / NEIGHBOURS;
    usize::try_from(block % u64::from(PHASES)).unwrap_or_default()
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
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(shard) = self.wakers.shard(self.id) {
            shard.members.lock().remove(self.id, &self.slot);
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
