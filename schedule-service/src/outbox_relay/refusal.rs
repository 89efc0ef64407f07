//! What becomes of an event that the broker does not take.

use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use shared_events::amqp::PublishError;

/// The first wait of an event that the broker refused.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How long an event that was refused `refusals` times waits before it is tried again. Without
/// jitter: refused events are few, and are meant to be tried together.
pub(super) fn wait_after(refusals: i32, longest: Duration) -> Duration {
    let doublings = u32::try_from(refusals.saturating_sub(1)).unwrap_or(0);
    // 2^20 seconds are longer than any longest wait that the settings admit.
    FIRST_WAIT
        .saturating_mul(1 << doublings.min(20))
        .min(longest)
}

/// Whether the broker closed the channel over what a message is (one that is larger than it admits
/// is answered so, on 3.10 as on 4.x) and not because it is going away or out of reach.
pub(super) fn is_about_a_message(error: &PublishError) -> bool {
    let PublishError::Broker(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        ErrorKind::ProtocolError(protocol)
            if *protocol.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_event_waits_a_second_first_and_never_longer_than_the_longest() {
        let longest = Duration::from_mins(5);
        let waits = [1, 2, 3, 9, 10, i32::MAX].map(|n| wait_after(n, longest).as_secs());
        assert_eq!(waits, [1, 2, 4, 256, 300, 300]);
    }
}
