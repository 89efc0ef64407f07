//! Loads into the cache because someone asks: one flight a contractor, however many ask.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use shared_events::Schedule;
use uuid::Uuid;

use crate::recalculation::{Calculated, Origin, Recalculation, Stored};
use crate::source::ScheduleSource;

/// Why nothing could be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// schedule-service knows no such contractor.
    #[error("there is no contractor {0}")]
    Unknown(Uuid),
    /// It cannot be had for now.
    #[error("{0}")]
    Unavailable(String),
    /// Others were loaded meanwhile, this one perhaps among them.
    #[error("look at the cache again")]
    Landed,
}

/// What was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The schedule and what was calculated from it.
    pub calculated: Arc<Calculated>,
    /// Whether the cache holds it now.
    pub cached: bool,
}

type Flight = Shared<BoxFuture<'static, Result<Loaded, LoadError>>>;

/// The flights that are under way.
#[derive(Debug)]
pub struct Loads {
    source: Arc<ScheduleSource>,
    recalculation: Arc<Recalculation>,
    flights: Mutex<HashMap<Uuid, Flight>>,
    /// How many flights have landed. Changed under the lock of `flights`.
    landed: AtomicU64,
    most: usize,
}

impl Loads {
    /// At most `most` contractors are loaded at once.
    #[must_use]
    pub fn new(source: Arc<ScheduleSource>, recalculation: Arc<Recalculation>, most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self {
            source,
            recalculation,
            flights: Mutex::default(),
            landed: AtomicU64::new(0),
            most,
        }
    }

    /// How many flights have landed by now: to be read before the look at the cache that finds
    /// nothing.
    #[must_use]
    pub fn landed(&self) -> u64 {
        self.landed.load(Ordering::Acquire)
    }

    /// The contractor as schedule-service has it, put into the cache if that is possible. Joins the
    /// flight that is under way, if there is one.
    ///
    /// `store` says whether to try the cache: not when it has just failed to answer, since each
    /// further attempt may take as long again. `missed` is what [`landed`](Self::landed) said before
    /// the cache was looked at: where a flight has landed since, it may have brought what was missing,
    /// and [`LoadError::Landed`] says to look again instead of asking a second time.
    pub async fn load(
        self: &Arc<Self>,
        id: Uuid,
        store: bool,
        missed: Option<u64>,
    ) -> Result<Loaded, LoadError> {
        let flight = {
            let mut flights = self.lock();
            if let Some(flight) = flights.get(&id) {
                flight.clone()
            } else if missed.is_some_and(|missed| missed != self.landed()) {
                return Err(LoadError::Landed);
            } else if flights.len() >= self.most {
                return Err(LoadError::Unavailable(
                    "too many contractors are being loaded".to_owned(),
                ));
            } else {
                let loads = Arc::clone(self);
                // A task of its own: it goes on when the one who asked first goes away.
                let task = tokio::spawn(async move {
                    let landing = Landing { loads, id };
                    landing.loads.fly(id, store).await
                });
                let flight: Flight = async move {
                    task.await.unwrap_or_else(|_| {
                        Err(LoadError::Unavailable(
                            "loading the contractor was broken off".to_owned(),
                        ))
                    })
                }
                .boxed()
                .shared();
                flights.insert(id, flight.clone());
                flight
            }
        };
        flight.await
    }

    async fn fly(&self, id: Uuid, store: bool) -> Result<Loaded, LoadError> {
        metrics::counter!("availability_loads_total").increment(1);
        let schedule = match self.source.schedule(id).await {
            Ok(Some(schedule)) => Arc::new(schedule),
            Ok(None) => return Err(LoadError::Unknown(id)),
            Err(error) => return Err(LoadError::Unavailable(error.to_string())),
        };
        if !store {
            return self.only_calculated(schedule);
        }
        let stored = self
            .recalculation
            .store(vec![Arc::clone(&schedule)], Origin::SourceOfTruth)
            .await;
        match stored.map(|mut all| all.pop()) {
            Ok(Some(Stored::Held(calculated))) => Ok(Loaded {
                calculated: Arc::new(*calculated),
                cached: true,
            }),
            // The cache is ahead, or cannot be written: this schedule is true all the same.
            _ => self.only_calculated(schedule),
        }
    }

    fn only_calculated(&self, schedule: Arc<Schedule>) -> Result<Loaded, LoadError> {
        match self.recalculation.calculate(schedule) {
            Ok(calculated) => Ok(Loaded {
                calculated: Arc::new(calculated),
                cached: false,
            }),
            Err(error) => Err(LoadError::Unavailable(format!(
                "its schedule cannot be calculated: {error}"
            ))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the list when it has ended, however it ended.
struct Landing {
    loads: Arc<Loads>,
    id: Uuid,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.loads.lock();
        flights.remove(&self.id);
        self.loads.landed.fetch_add(1, Ordering::Release);
    }
}
