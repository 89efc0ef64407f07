//! The notifier against a real broker. Run under `stack exec`.

mod admission;
mod client;
mod event_stream_reader;
mod faults;
mod http;
mod live;
mod publishing;
mod resume;
mod rolling_restart;
mod running;
mod shutdown;
mod slow_clients;
mod tls;
