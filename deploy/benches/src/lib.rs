//! Benchmarks of the whole system: real servers, release builds of the services, load from outside.
//!
//! Each binary in `src/bin` is one benchmark. All of them report what the same machine could do at
//! best (a floor) in the same minutes, because the figures of a machine vary from hour to hour and
//! a ratio does not.

pub mod amqp;
pub mod engine;
pub mod event_stream;
pub mod floors;
pub mod growth;
pub mod http_client;
pub mod latency;
pub mod machine;
pub mod output;
pub mod peers;
pub mod pipeline;
pub mod read_side;
pub mod rebuild;
pub mod search;
pub mod spread;
pub mod usage;
