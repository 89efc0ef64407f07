//! What the tests of the whole system see it with: clients of its HTTP routes, of its exchange and
//! of its event stream, written from the public contract alone, and a writer that keeps changing
//! schedules while a test breaks things.
#![expect(
    clippy::missing_panics_doc,
    reason = "whatever is not as it should be fails the test, everywhere here"
)]

pub mod availability_api;
pub mod deployment;
pub mod event_stream;
pub mod eventually;
pub mod faults;
pub mod http;
pub mod outbox;
pub mod rising;
pub mod schedule_api;
pub mod stream_client;
pub mod subscriber;
pub mod writer;

pub use availability_api::AvailabilityApi;
pub use deployment::Deployment;
pub use event_stream::Frame;
pub use eventually::{DEADLINE, eventually};
pub use schedule_api::ScheduleApi;
pub use stream_client::StreamClient;
pub use subscriber::{Received, Subscriber};
pub use writer::{Writer, Written};
