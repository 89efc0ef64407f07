//! What dispatchers do all day.

mod board;
mod jobs;
mod kind;
mod people;
mod proposal;
mod round;
mod tally;

#[cfg(test)]
mod steady_state;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use shared_events::service::Clock;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use crate::client::{CallError, Client};
use board::Board;
use round::Round;

pub use kind::Kind;
pub use tally::Tally;

/// How the roster is kept changing.
#[derive(Debug, Clone, Copy)]
pub struct RunSettings {
    /// From what the changes follow, as far as the answers allow.
    pub seed: u64,
    /// Changes a second.
    pub rate: f64,
    /// The most changes that are under way at once.
    pub concurrency: usize,
    /// After how many committed changes to stop; never where none is given.
    pub until_changes: Option<u64>,
    /// How often a summary is told.
    pub summary_every: Duration,
    /// How many changes in a row may fail (nobody answers, or the service refuses what it should not).
    pub max_failures: u32,
}

/// Why changing the roster ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The roster could not be read.
    #[error("the roster cannot be read")]
    Unread(#[source] CallError),
    /// There is nobody in the demo's territories, or no longer.
    #[error("there is no contractor of the demo; seed first")]
    Empty,
    /// The token is missing, over, or not good for this.
    #[error("access is refused")]
    Forbidden(#[source] CallError),
    /// Too many changes failed one after the other.
    #[error("{count} changes failed one after the other; what came of the last")]
    Failing {
        /// How many.
        count: u32,
        /// What came of the last one.
        #[source]
        last: CallError,
    },
    /// A change panicked.
    #[error("a change ended in a panic: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Changes the roster until as many changes are committed as the settings say, else for ever.
/// Dropping the future ends it at once; a change that is under way then may or may not be made.
///
/// # Errors
/// See [`RunError`].
pub async fn run(
    client: &Client,
    settings: &RunSettings,
    clock: &Clock,
) -> Result<Tally, RunError> {
    let schedules = client.schedules().await.map_err(RunError::Unread)?;
    let board = Arc::new(Mutex::new(Board::new(schedules, clock.now())));
    let mut changes = interval(Duration::from_secs_f64(1.0 / settings.rate));
    changes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut summaries = interval_at(
        Instant::now() + settings.summary_every,
        settings.summary_every,
    );
    let (mut tally, mut told) = (Tally::default(), 0);
    let (mut begun, mut failed) = (0, 0);
    let mut under_way: JoinSet<Round> = JoinSet::new();
    loop {
        // Nothing is begun that would make more changes than asked for.
        let committed = tally.total();
        let wanted = settings
            .until_changes
            .is_none_or(|until| committed + (under_way.len() as u64) < until);
        if settings
            .until_changes
            .is_some_and(|until| committed >= until)
            && under_way.is_empty()
        {
            summarise(&board, &tally, told, clock);
            return Ok(tally);
        }
        if board.lock().len() == 0 {
            return Err(RunError::Empty);
        }
        tokio::select! {
            Some(round) = under_way.join_next(), if !under_way.is_empty() => {
                let round = round?;
                tally.add(&round);
                failed = check(round, failed, settings.max_failures)?;
            }
            _ = changes.tick(), if wanted && under_way.len() < settings.concurrency => {
                let mut rng = StdRng::seed_from_u64(settings.seed.rotate_left(32) ^ begun);
                begun += 1;
                let (client, board, clock) = (client.clone(), Arc::clone(&board), clock.clone());
                under_way.spawn(async move { round::play(&client, &board, &mut rng, &clock).await });
            }
            _ = summaries.tick() => {
                summarise(&board, &tally, told, clock);
                told = tally.total();
            }
        }
    }
}

/// How many changes have failed in a row after this one.
fn check(round: Round, failed: u32, most: u32) -> Result<u32, RunError> {
    match round.failure {
        None => Ok(0),
        Some(error) if matches!(error.status(), Some(401 | 403)) => Err(RunError::Forbidden(error)),
        Some(last) if failed + 1 >= most => Err(RunError::Failing {
            count: failed + 1,
            last,
        }),
        Some(_) => Ok(failed + 1),
    }
}

fn summarise(board: &Mutex<Board>, tally: &Tally, told: u64, clock: &Clock) {
    let now = clock.now();
    let board = board.lock();
    let count = board.len();
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    tracing::info!(
        changes.total = tally.total(),
        changes.new = tally.total() - told,
        conflicts = tally.conflicts,
        stale = tally.stale,
        refused = tally.refused,
        unanswered = tally.unanswered,
        contractors = count,
        fill = percent(board.mean_fill()),
        sick = percent(board.share_of(|seen| seen.is_sick(now))),
        "{}",
        tally.in_words(),
    );
}
