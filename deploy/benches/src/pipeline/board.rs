//! What was sent and has not arrived everywhere yet, and how long what has arrived took.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::event_stream::Kind;
use crate::latency::Latencies;

/// When a writer may send its next change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// As soon as its change was answered: for a rate that does not care how fast the system is.
    AfterAnswer,
    /// When its change was answered and every client has its frame: for finding out how many
    /// changes a second arrive, with what is under way bounded by the number of writers.
    AfterFrames,
}

/// Shared by those who send and those who listen.
#[derive(Debug, Clone)]
pub struct Board(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    places: HashMap<Uuid, usize>,
    clients: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: Next,
    /// Writers that may send.
    idle: Sender<usize>,
    /// By contractor, in the order of the versions.
    open: Vec<VecDeque<Open>>,
    open_count: usize,
    completed: u64,
    figures: Figures,
    failure: Option<String>,
}

/// A change that is under way.
#[derive(Debug)]
struct Open {
    version: i64,
    writer: usize,
    planned: Instant,
    is_measured: bool,
    is_answered: bool,
    schedule_frames: u32,
    availability_frames: u32,
}

/// How long things took, all from the moment at which the change was to be sent.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Until it was really sent: how late the load itself was.
    pub sending: Latencies,
    /// Until the PATCH was answered.
    pub answer: Latencies,
    /// Until `schedule.updated` was there.
    pub schedule: Arrivals,
    /// Until `availability.updated` was there.
    pub availability: Arrivals,
}

/// When the frame of one change reached the clients.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    /// Every client, each frame counted.
    pub every: Latencies,
    /// The first client that had it.
    pub first: Latencies,
    /// The client in the middle.
    pub middle: Latencies,
    /// The last client.
    pub last: Latencies,
}

impl Arrivals {
    fn record(&mut self, rank: u32, clients: u32, took: std::time::Duration) {
        self.every.record(took);
        if rank == 1 {
            self.first.record(took);
        }
        if rank == clients.div_ceil(2) {
            self.middle.record(took);
        }
        if rank == clients {
            self.last.record(took);
        }
    }
}

impl Board {
    /// A board for these contractors, watched by so many clients. `idle` is told which writer may
    /// send again.
    #[must_use]
    pub fn new(contractors: &[Uuid], clients: u32, idle: Sender<usize>) -> Self {
        let places = contractors.iter().copied().enumerate();
        Self(Arc::new(Shared {
            places: places.map(|(place, id)| (id, place)).collect(),
            clients,
            state: Mutex::new(State {
                next: Next::AfterAnswer,
                idle,
                open: contractors.iter().map(|_| VecDeque::new()).collect(),
                open_count: 0,
                completed: 0,
                figures: Figures::default(),
                failure: None,
            }),
        }))
    }

    /// The number of a contractor.
    #[must_use]
    pub fn place(&self, contractor: Uuid) -> Option<usize> {
        self.0.places.get(&contractor).copied()
    }

    /// How many contractors there are.
    #[must_use]
    pub fn contractors(&self) -> usize {
        self.0.places.len()
    }

    /// Begins with empty figures.
    pub fn begin(&self, next: Next) {
        let mut state = self.0.state.lock();
        state.next = next;
        state.completed = 0;
        state.figures = Figures::default();
    }

    /// A change is about to be sent.
    pub fn sending(
        &self,
        place: usize,
        version: i64,
        writer: usize,
        planned: Instant,
        is_measured: bool,
    ) {
        let mut state = self.0.state.lock();
        if is_measured {
            state.figures.sending.record(planned.elapsed());
        }
        state.open_count += 1;
        state.open[place].push_back(Open {
            version,
            writer,
            planned,
            is_measured,
            is_answered: false,
            schedule_frames: 0,
            availability_frames: 0,
        });
    }

    /// A change was answered with its new version.
    pub fn answered(&self, place: usize, version: i64) {
        let now = Instant::now();
        let mut state = self.0.state.lock();
        let state = &mut *state;
        let found = state.open[place]
            .iter_mut()
            .find(|open| open.version == version);
        let Some(open) = found else {
            let word = format!("version {version} was answered, and no such change was sent");
            state.failure.get_or_insert(word);
            return;
        };
        open.is_answered = true;
        if open.is_measured {
            let took = now.duration_since(open.planned);
            state.figures.answer.record(took);
        }
        if state.next == Next::AfterAnswer {
            let _ = state.idle.send(open.writer);
        }
        state.close(place, self.0.clients);
    }

    /// A client that had version `before` of a contractor has got `version`. A frame that skips
    /// versions stands for all of them.
    pub fn arrived(&self, kind: Kind, place: usize, before: i64, version: i64, now: Instant) {
        let clients = self.0.clients;
        let mut state = self.0.state.lock();
        let state = &mut *state;
        for open in &mut state.open[place] {
            if open.version <= before || open.version > version {
                continue;
            }
            let (arrivals, rank) = match kind {
                Kind::Schedule => (&mut state.figures.schedule, &mut open.schedule_frames),
                Kind::Availability => (
                    &mut state.figures.availability,
                    &mut open.availability_frames,
                ),
            };
            *rank += 1;
            if open.is_measured {
                arrivals.record(*rank, clients, now.saturating_duration_since(open.planned));
            }
        }
        state.close(place, clients);
    }

    /// Something went wrong that makes the figures worthless.
    pub fn failed(&self, why: String) {
        self.0.state.lock().failure.get_or_insert(why);
    }

    /// What went wrong first.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.0.state.lock().failure.clone()
    }

    /// How many changes were answered and have arrived at every client since the begin.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.0.state.lock().completed
    }

    /// How many changes have not arrived at every client yet.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.state.lock().open_count
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.0.state.lock().figures.clone()
    }
}

impl State {
    /// Lets go of the changes of a contractor that have arrived everywhere.
    fn close(&mut self, place: usize, clients: u32) {
        let Self {
            open,
            open_count,
            completed,
            next,
            idle,
            ..
        } = self;
        open[place].retain(|open| {
            let is_done = open.is_answered
                && open.schedule_frames >= clients
                && open.availability_frames >= clients;
            if is_done {
                *open_count -= 1;
                *completed += 1;
                if *next == Next::AfterFrames {
                    let _ = idle.send(open.writer);
                }
            }
            !is_done
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Board, Next};
    use crate::event_stream::Kind;
    use std::sync::mpsc::channel;
    use std::time::Instant;
    use uuid::Uuid;

    #[test]
    fn a_change_is_complete_when_it_is_answered_and_every_client_has_both_frames() {
        let (sender, idle) = channel();
        let board = Board::new(&[Uuid::from_u128(1)], 2, sender);
        board.begin(Next::AfterFrames);
        board.sending(0, 2, 9, Instant::now(), true);
        for kind in [Kind::Availability, Kind::Schedule] {
            board.arrived(kind, 0, 1, 2, Instant::now());
            board.arrived(kind, 0, 1, 2, Instant::now());
        }
        assert!(idle.try_recv().is_err());
        board.answered(0, 2);
        assert_eq!(idle.try_recv(), Ok(9));
        assert_eq!((board.open(), board.completed()), (0, 1));
        let figures = board.figures();
        assert_eq!(figures.availability.every.quantiles().count, 2);
        assert_eq!(figures.availability.last.quantiles().count, 1);
    }

    #[test]
    fn a_frame_that_skips_versions_stands_for_all_of_them() {
        let (sender, _idle) = channel();
        let board = Board::new(&[Uuid::from_u128(1)], 1, sender);
        board.begin(Next::AfterAnswer);
        for version in [2, 3] {
            board.sending(0, version, 0, Instant::now(), true);
            board.answered(0, version);
            board.arrived(Kind::Schedule, 0, version - 1, version, Instant::now());
        }
        board.arrived(Kind::Availability, 0, 1, 3, Instant::now());
        assert_eq!((board.open(), board.completed()), (0, 2));
    }

    #[test]
    fn an_answer_that_nobody_asked_for_is_a_failure() {
        let (sender, _idle) = channel();
        let board = Board::new(&[Uuid::from_u128(1)], 1, sender);
        board.answered(0, 5);
        assert!(board.failure().is_some());
    }
}
