//! The notifier against a real broker. Run under `stack exec`.

mod access;
mod admission;
mod balancer;
mod board;
mod client;
mod event_stream_reader;
mod faults;
mod http;
mod live;
mod publishing;
mod real_clients;
mod resume;
mod rolling_restart;
mod running;
mod session;
mod shutdown;
mod slow_clients;
mod stream;
mod tls;
