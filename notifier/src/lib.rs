//! The notifier: reads the stream of updates and fans it out to browsers as server-sent events.
//!
//! One [`feed`] reads the stream and encodes each event once ([`frame`]) into one [`ring`]. A client
//! is a cursor into that ring ([`subscription`]). [`wakers`] knows whom a batch is for, and a [`walk`]
//! brings it to them: by writing to the socket that a client has for itself ([`mod@line`]), or by waking the
//! client's task. Who resumes from before the ring is served from the stream itself ([`replay`]) until
//! the ring can follow.

pub mod admission;
pub mod app;
pub mod caller;
pub mod config;
pub mod event;
pub mod fanout;
pub mod feed;
pub mod filter;
pub mod frame;
pub mod http;
pub mod line;
pub mod metrics;
pub mod news;
pub mod position;
pub mod progress;
pub mod replay;
pub mod ring;
pub mod slot;
pub mod stream;
pub mod subscription;
pub mod subscriptions;
pub mod versions;
pub mod wakers;
pub mod walk;

#[cfg(test)]
#[path = "../tests/it/event_stream_reader.rs"]
mod event_stream_reader;
