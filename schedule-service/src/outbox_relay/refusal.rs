//! What becomes of an event that the broker does not take.

use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use shared_events::amqp::PublishError;

/// The first wait of an event that the broker refused.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How often and how long an event is tried that the broker refuses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// After so many refusals it is set aside.
    pub(super) attempts: i32,
    /// No wait between two attempts is longer.
    pub(super) longest_wait: Duration,
}

/// What becomes of a refused event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is tried again after this time.
    Again(Duration),
    /// It is set aside, until an operator has it tried again. Later events of its contractor pass it
    /// by, and sent in the end it takes nobody back: a consumer that has seen a higher version drops it,
    /// and since each event carries the whole schedule, it misses nothing by that.
    SetAside,
}

impl Patience {
    /// The fate of an event that was refused `refusals` times. Waits are without jitter: refused
    /// events are few, and are meant to be tried together.
    pub(super) fn after(self, refusals: i32) -> Fate {
        if refusals >= self.attempts {
            return Fate::SetAside;
        }
        let doublings = u32::try_from(refusals.saturating_sub(1)).unwrap_or(0);
        // 2^20 seconds are longer than any longest wait that the settings admit.
        let wait = FIRST_WAIT.saturating_mul(1 << doublings.min(20));
        Fate::Again(wait.min(self.longest_wait))
    }
}

/// Whether the broker closed the channel over what a message is (one that is larger than it admits
/// is answered so, on 3.10 as on 4.x) and not because it is going away or out of reach. A broker that
/// denies this process the exchange (403) says nothing of a message either: that is waited out.
pub(super) fn is_about_a_message(error: &PublishError) -> bool {
    let PublishError::Broker(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        ErrorKind::ProtocolError(protocol) if matches!(
            protocol.kind(),
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::CONTENTTOOLARGE)
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_event_waits_a_second_first_never_too_long_and_not_for_ever() {
        let patience = Patience {
            attempts: 12,
            longest_wait: Duration::from_mins(5),
        };
        let fates = [1, 2, 3, 9, 10, 11, 12, i32::MAX].map(|n| patience.after(n));
        let again = |seconds| Fate::Again(Duration::from_secs(seconds));
        assert_eq!(
            fates,
            [
                again(1),
                again(2),
                again(4),
                again(256),
                again(300),
                again(300),
                Fate::SetAside,
                Fate::SetAside
            ]
        );
    }
}
