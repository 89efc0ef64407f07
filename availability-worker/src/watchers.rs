//! Requests that wait for a version to reach the cache.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

/// Wakes those who wait for a contractor when this process has written that contractor.
///
/// It holds one entry for each contractor that someone waits for now; a write by another process is
/// found by polling.
#[derive(Debug, Default)]
pub struct Watchers(Mutex<HashMap<Uuid, Arc<Notify>>>);

/// One who waits; dropped, it is forgotten.
#[derive(Debug)]
pub struct Watch<'a> {
    watchers: &'a Watchers,
    id: Uuid,
    notify: Arc<Notify>,
}

impl Watchers {
    /// Starts to wait for `id`. Writes from here on are seen.
    pub fn watch(&self, id: Uuid) -> Watch<'_> {
        let notify = Arc::clone(self.lock().entry(id).or_default());
        Watch {
            watchers: self,
            id,
            notify,
        }
    }

    /// Wakes all who wait for `id`.
    pub fn written(&self, id: Uuid) {
        if let Some(notify) = self.lock().get(&id) {
            notify.notify_waiters();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch<'_> {
    /// The next write after this call; create it before looking, await it after.
    pub fn next_write(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut watched = self.watchers.lock();
        // The map's own handle and this one: no one else waits.
        if Arc::strong_count(&self.notify) <= 2 {
            watched.remove(&self.id);
        }
    }
}
