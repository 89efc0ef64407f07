//! The whole system: real processes on real servers, seen from outside.
#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod bookings;


mod every_write;
mod exact_payloads;




mod week;
