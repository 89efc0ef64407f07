//! The path of a change as a model, checked over all interleavings.
//!
//! Every step that something can crash after, or that something else can come between, is an action
//! here; ARCHITECTURE.md says where each stands in the code. Crashes, repeated publishing and
//! restarts of the notifier are actions too, so many of each as the budget allows; the queue has no
//! order. Since every action moves something forward or spends budget, every run ends, and what must
//! hold in the end is checked wherever nothing moves any more.

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Checker, HasDiscoveries, Model, Property};

/// A contractor.
type Who = u8;
/// A version; a contractor's territory changes with every one.
type Version = u8;

fn territory(version: Version) -> usize {
    usize::from(version % 2)
}

/// A mistake that the model must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    VersionGuardOff,
    AckBeforePublish,
    OutboxAfterCommit,
}

#[derive(Debug, Clone)]
struct Path {
    /// The last version of each contractor.
    contractors: Vec<Version>,
    workers: usize,
    crashes: u8,
    repeats: u8,
    restarts: u8,
    /// Whether the notifier and the client may lag behind the stream. Where they may not, what they
    /// know is all that is kept of it, which makes larger systems possible.
    lag: bool,
    mistake: Mistake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Schedule,
    Availability,
}

/// Where a worker stands with the event that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Stage {
    Taken,
    Registered,
    Put,
    /// Removed from the other territory, and asked whether it still stands.
    Settled,
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Work {
    who: Who,
    version: Version,
    stage: Stage,
}

/// What a territory holds of a contractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Held {
    Nothing,
    Live(Version),
    Tombstone(Version),
}

impl Held {
    fn version(self) -> Version {
        match self {
            Self::Nothing => 0,
            Self::Live(version) | Self::Tombstone(version) => version,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    database: Vec<Version>,
    /// Events that are committed nowhere: only with a mistake.
    memory: BTreeSet<(Who, Version)>,
    outbox: BTreeSet<(Who, Version)>,
    published: BTreeSet<(Who, Version)>,
    queue: BTreeMap<(Who, Version), u8>,
    stream: Vec<(Kind, Who, Version)>,
    workers: Vec<Option<Work>>,
    home: Vec<Version>,
    cache: [Vec<Held>; 2],
    /// How far the notifier has read.
    read: usize,
    /// How far the client has come, and what it knows.
    position: usize,
    /// The highest version of each kind before that position: what the notifier measures news by.
    news: BTreeMap<(Kind, Who), Version>,
    known: BTreeMap<(Kind, Who), Version>,
    went_back: bool,
    crashes: u8,
    repeats: u8,
    restarts: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Commit(Who),
    StoreEvent(Who, Version),
    Publish(Who, Version),
    Mark(Who, Version),
    Take(usize, Who, Version),
    Step(usize),
    Read,
    Deliver,
    CrashService,
    CrashWorker(usize),
    RestartNotifier,
}

impl State {
    fn queue_up(&mut self, event: (Who, Version)) {
        *self.queue.entry(event).or_default() += 1;
    }

    fn is_quiet(&self) -> bool {
        self.memory.is_empty()
            && self.outbox.is_empty()
            && self.queue.is_empty()
            && self.workers.iter().all(Option::is_none)
            && self.position == self.stream.len()
    }

    fn is_covered(&self) -> bool {
        self.database.iter().zip(0..).all(|(version, who)| {
            let (here, there) = (territory(*version), territory(version + 1));
            let knows = |kind| self.known.get(&(kind, who)) == Some(version);
            self.cache[here][usize::from(who)] == Held::Live(*version)
                && !matches!(self.cache[there][usize::from(who)], Held::Live(_))
                && knows(Kind::Schedule)
                && knows(Kind::Availability)
        })
    }

    /// One step of a worker; none once it has acknowledged.
    fn work(&mut self, work: Work, mistake: Mistake) -> Option<Work> {
        let Work {
            who,
            version,
            stage,
        } = work;
        let guarded = mistake != Mistake::VersionGuardOff;
        let (me, here) = (usize::from(who), territory(version));
        let there = 1 - here;
        let next = |stage| Some(Work { stage, ..work });
        match stage {
            Stage::Taken if guarded && version < self.home[me] => {
                self.clear_ghost(me, here);
                None
            }
            Stage::Taken => {
                self.home[me] = version;
                next(Stage::Registered)
            }
            Stage::Registered => {
                if !guarded || version > self.cache[here][me].version() {
                    self.cache[here][me] = Held::Live(version);
                }
                next(Stage::Put)
            }
            Stage::Put => {
                if version > self.cache[there][me].version() {
                    self.cache[there][me] = Held::Tombstone(version);
                }
                if guarded && self.home[me] > version {
                    self.clear_ghost(me, here);
                    return None;
                }
                next(Stage::Settled)
            }
            Stage::Settled => {
                self.stream.push((Kind::Availability, who, version));
                next(Stage::Told)
            }
            Stage::Told => None,
        }
    }

    /// A higher version is known: if it is of another territory, nothing may stay in this one.
    fn clear_ghost(&mut self, me: usize, here: usize) {
        let version = self.home[me];
        if territory(version) != here && self.cache[here][me].version() < version {
            self.cache[here][me] = Held::Tombstone(version);
        }
    }

    /// The next entry of the stream for the client, if the notifier shows it: the notifier leaves out
    /// what is no newer than something before it.
    fn deliver(&mut self) {
        let (kind, who, version) = self.stream[self.position];
        let before = self.news.get(&(kind, who)).copied();
        if before.is_none_or(|before| version > before) {
            self.news.insert((kind, who), version);
            let known = self.known.insert((kind, who), version);
            self.went_back |= known.is_some_and(|known| known >= version);
        }
        self.position += 1;
    }
}

impl Model for Path {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let count = self.contractors.len();
        vec![State {
            database: vec![0; count],
            memory: BTreeSet::new(),
            outbox: BTreeSet::new(),
            published: BTreeSet::new(),
            queue: BTreeMap::new(),
            stream: Vec::new(),
            workers: vec![None; self.workers],
            home: vec![0; count],
            cache: [vec![Held::Nothing; count], vec![Held::Nothing; count]],
            read: 0,
            position: 0,
            news: BTreeMap::new(),
            known: BTreeMap::new(),
            went_back: false,
            crashes: self.crashes,
            repeats: self.repeats,
            restarts: self.restarts,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, last) in (0..).zip(&self.contractors) {
            if state.database[usize::from(who)] < *last {
                actions.push(Action::Commit(who));
            }
        }
        for (who, version) in &state.memory {
            actions.push(Action::StoreEvent(*who, *version));
        }
        for event in &state.outbox {
            if state.published.contains(event) {
                actions.push(Action::Mark(event.0, event.1));
            }
            if !state.published.contains(event) || state.repeats > 0 {
                actions.push(Action::Publish(event.0, event.1));
            }
        }
        for (number, worker) in state.workers.iter().enumerate() {
            if worker.is_some() {
                actions.push(Action::Step(number));
                if state.crashes > 0 {
                    actions.push(Action::CrashWorker(number));
                }
            }
        }
        // One idle worker is like any other.
        if let Some(idle) = state.workers.iter().position(Option::is_none) {
            for (who, version) in state.queue.keys() {
                actions.push(Action::Take(idle, *who, *version));
            }
        }
        if state.read < state.stream.len() {
            actions.push(Action::Read);
        }
        if state.position < state.read {
            actions.push(Action::Deliver);
        }
        if state.crashes > 0 && !state.memory.is_empty() {
            actions.push(Action::CrashService);
        }
        if state.restarts > 0 && state.read > 0 {
            actions.push(Action::RestartNotifier);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Commit(who) => {
                let version = &mut state.database[usize::from(who)];
                *version += 1;
                let event = (who, *version);
                if self.mistake == Mistake::OutboxAfterCommit {
                    state.memory.insert(event);
                } else {
                    state.outbox.insert(event);
                }
            }
            Action::StoreEvent(who, version) => {
                state.memory.remove(&(who, version));
                state.outbox.insert((who, version));
            }
            Action::Publish(who, version) => {
                if !state.published.insert((who, version)) {
                    state.repeats -= 1;
                }
                state.queue_up((who, version));
                state.stream.push((Kind::Schedule, who, version));
            }
            Action::Mark(who, version) => {
                state.published.remove(&(who, version));
                state.outbox.remove(&(who, version));
            }
            Action::Take(worker, who, version) => {
                let count = state.queue.get_mut(&(who, version))?;
                *count -= 1;
                if *count == 0 {
                    state.queue.remove(&(who, version));
                }
                state.workers[worker] = Some(Work {
                    who,
                    version,
                    stage: Stage::Taken,
                });
            }
            Action::Step(worker) => {
                let work = state.workers[worker].take()?;
                state.workers[worker] = state.work(work, self.mistake);
            }
            Action::CrashWorker(worker) => {
                let work = state.workers[worker].take()?;
                if self.mistake != Mistake::AckBeforePublish {
                    state.queue_up((work.who, work.version));
                }
                state.crashes -= 1;
            }
            Action::CrashService => {
                state.memory.clear();
                state.crashes -= 1;
            }
            Action::Read => state.read += 1,
            Action::Deliver => state.deliver(),
            Action::RestartNotifier => {
                // It reads the stream again; the client comes back with the id that it holds.
                state.read = 0;
                state.restarts -= 1;
            }
        }
        if !self.lag {
            while state.position < state.stream.len() {
                state.deliver();
            }
            state.stream.clear();
            state.position = 0;
        }
        // Workers are alike.
        state.workers.sort_unstable();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a client never goes back", |_, state: &State| {
                !state.went_back
            }),
            Property::always(
                "what was answered is in the cache and at the client in the end, and in no old \
                 territory",
                |model: &Self, state: &State| {
                    let has_ended = state.database == model.contractors && state.is_quiet();
                    !has_ended || state.is_covered()
                },
            ),
            Property::always("nothing gets stuck", |model: &Self, state: &State| {
                let mut actions = Vec::new();
                model.actions(state, &mut actions);
                actions.retain(|action| *action != Action::RestartNotifier);
                !actions.is_empty() || state.is_quiet()
            }),
            Property::sometimes("it ends", |model: &Self, state: &State| {
                state.database == model.contractors && state.is_quiet()
            }),
        ]
    }
}

/// Checks every state; says how many there are.
fn check(path: Path) -> usize {
    let checker = path.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

fn path(contractors: &[Version], mistake: Mistake) -> Path {
    Path {
        contractors: contractors.to_vec(),
        workers: 2,
        crashes: 1,
        repeats: 1,
        restarts: 0,
        lag: false,
        mistake,
    }
}

#[test]
fn no_order_of_steps_and_crashes_loses_a_change_or_leaves_a_ghost() {
    let moving = path(&[3], Mistake::None);
    let two = Path {
        repeats: 0,
        ..path(&[2, 1], Mistake::None)
    };
    // The whole way to a client that lags, behind a notifier that begins anew.
    let lagging = Path {
        lag: true,
        workers: 1,
        restarts: 1,
        ..path(&[2], Mistake::None)
    };
    for path in [moving, two, lagging] {
        let states = check(path.clone());
        eprintln!("{states} states: {path:?}");
        assert!(states > 1_000, "{states} states are too few: {path:?}");
    }
}

#[test]
fn the_model_finds_the_mistakes_that_the_fault_suite_finds() {
    for mistake in [
        Mistake::VersionGuardOff,
        Mistake::AckBeforePublish,
        Mistake::OutboxAfterCommit,
    ] {
        let checker = path(&[2], mistake)
            .checker()
            .threads(2)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let found = checker.discoveries();
        let lost = found
            .keys()
            .any(|name| name.starts_with("what was answered"));
        assert!(lost, "{mistake:?}: {:?}", found.keys());
    }
}
