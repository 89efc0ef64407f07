//! The service against real servers.

mod outbox_relay;
