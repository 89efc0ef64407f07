//! The figures of other implementations of the same pipeline, as they were measured before on such
//! a machine (two cores for everything, 500 contractors with 20 jobs each, 50 SSE clients).
//!
//! The peers were plain: no access control, idempotency, retries, dead letters, metrics, resume or
//! replay.

use serde::Serialize;

/// Another implementation of the whole pipeline.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Peer {
    /// What it was made of.
    pub name: &'static str,
    /// Changes a second from PATCH to frame, the lowest and the highest of several runs.
    pub sustained: (f64, f64),
    /// From PATCH sent to frame received: changes a second, p50 and p99 in milliseconds.
    pub latencies: &'static [(u32, f64, f64)],
    /// CPU seconds per 1,000 changes of all processes at saturation.
    pub cpu_at_saturation: f64,
}

/// Fastify, pg, amqplib and ioredis.
pub const NODE: Peer = Peer {
    name: "a plain Node version: Fastify, pg, amqplib, ioredis",
    sustained: (1_200.0, 1_380.0),
    latencies: &[(100, 2.7, 7.1), (200, 2.7, 6.7), (800, 14.5, 39.0)],
    cpu_at_saturation: 1.3,
};

/// FastAPI, asyncpg, FastStream and sse-starlette.
pub const PYTHON: Peer = Peer {
    name: "a plain Python version: FastAPI, asyncpg, FastStream, sse-starlette",
    sustained: (365.0, 365.0),
    latencies: &[(100, 6.3, 10.9), (200, 8.5, 56.0)],
    cpu_at_saturation: 4.6,
};

/// What the pipeline has to keep: no slower than [`NODE`].
pub mod floor {
    /// p50 from PATCH sent to frame received at 100 and 200 changes a second, in milliseconds.
    pub const P50_MS: f64 = 2.7;
    /// p99 of the same.
    pub const P99_MS: f64 = 7.0;
    /// Changes a second, PATCH to frame.
    pub const SUSTAINED: f64 = 1_300.0;
}
