//! A clock that all processes of the machine share.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    let (seconds, nanos) = now.map_or((0, 0), |now| (now.tv_sec(), now.tv_nsec()));
    u64::try_from(seconds * 1_000_000_000 + nanos).unwrap_or_default()
}
