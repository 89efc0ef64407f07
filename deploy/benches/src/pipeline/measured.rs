//! What is told of the runs: the JSON that `--json` writes.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::floors::Floors;
use crate::latency::Quantiles;
use crate::machine::Machine;
use crate::peers::{self, Peer};
use crate::pipeline::Settings;
use crate::pipeline::board::Arrivals;
use crate::pipeline::load::{Outcome, float};
use crate::usage::Usage;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began.
    pub measured_at: DateTime<Utc>,
    /// On what.
    pub machine: Machine,
    /// With what load.
    pub settings: Setting,
    /// Each run.
    pub runs: Vec<Run>,
}

impl Report {
    /// The implementations it is compared with, measured before and elsewhere.
    pub const PEERS: [Peer; 2] = [peers::NODE, peers::PYTHON];
}

/// The load.
#[derive(Debug, Serialize)]
pub struct Setting {
    /// Contractors on the roster.
    pub contractors: u16,
    /// Jobs of each.
    pub jobs: u16,
    /// Clients of the notifier, each following everything.
    pub clients: u16,
    /// Connections on which changes are sent.
    pub writers: u16,
    /// Seconds of each stage.
    pub seconds: u64,
}

impl From<&Settings> for Setting {
    fn from(settings: &Settings) -> Self {
        Self {
            contractors: settings.contractors,
            jobs: settings.jobs,
            clients: settings.clients,
            writers: settings.writers.min(settings.contractors),
            seconds: settings.seconds,
        }
    }
}

/// One run: the floors and all stages, in the same minutes.
#[derive(Debug, Serialize)]
pub struct Run {
    /// What the servers alone take.
    pub floors: Floors,
    /// The stages with a rate.
    pub stages: Vec<Stage>,
    /// The stage without one.
    pub saturation: Stage,
    /// The Node version on the same servers, where it was asked for.
    pub node: Option<Stages>,
}

/// All stages of one subject.
#[derive(Debug, Serialize)]
pub struct Stages {
    /// Those with a rate.
    pub stages: Vec<Stage>,
    /// The one without.
    pub saturation: Stage,
}

/// One stage. Times are in milliseconds from the moment at which a change was to be sent.
#[derive(Debug, Serialize)]
pub struct Stage {
    /// Changes a second that were sent; none where the system's speed decided.
    pub rate: Option<u32>,
    /// Changes that were sent while it was measured. None was lost.
    pub sent: u64,
    /// Changes a second that reached every client.
    pub completed_per_second: f64,
    /// How late the load itself was.
    pub sending: Quantiles,
    /// Until the PATCH was answered.
    pub answer: Quantiles,
    /// Until `schedule.updated` reached the clients.
    pub schedule: ArrivalQuantiles,
    /// Until `availability.updated` reached the clients: the figure that the pipeline is judged by.
    pub availability: ArrivalQuantiles,
    /// From the last change sent until the last frame received.
    pub drained_ms: f64,
    /// Per 1,000 changes, program by program.
    pub usage: Vec<Usage>,
}

/// When frames reached the clients.
#[derive(Debug, Serialize)]
pub struct ArrivalQuantiles {
    /// Every client, each frame counted.
    pub every: Quantiles,
    /// The first client that had it.
    pub first: Quantiles,
    /// The client in the middle.
    pub middle: Quantiles,
    /// The last client.
    pub last: Quantiles,
}

impl From<&Arrivals> for ArrivalQuantiles {
    fn from(arrivals: &Arrivals) -> Self {
        Self {
            every: arrivals.every.quantiles(),
            first: arrivals.first.quantiles(),
            middle: arrivals.middle.quantiles(),
            last: arrivals.last.quantiles(),
        }
    }
}

impl Stage {
    pub(super) fn of(rate: Option<u32>, outcome: &Outcome) -> Self {
        let thousands = float(outcome.usage_changes.max(1)) / 1e3;
        let per_thousand = |usage: &Usage| Usage {
            cpu_seconds: usage.cpu_seconds / thousands,
            ..usage.clone()
        };
        Self {
            rate,
            sent: outcome.sent,
            completed_per_second: outcome.completed_per_second,
            sending: outcome.figures.sending.quantiles(),
            answer: outcome.figures.answer.quantiles(),
            schedule: (&outcome.figures.schedule).into(),
            availability: (&outcome.figures.availability).into(),
            drained_ms: outcome.drained_in.as_secs_f64() * 1e3,
            usage: outcome.usage.iter().map(per_thousand).collect(),
        }
    }
}
