//! What the metrics mean.

/// Says what each metric means, in its `HELP` line.
pub fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    for (name, help) in GAUGES {
        describe_gauge!(*name, *help);
    }
    for (name, help) in COUNTERS {
        describe_counter!(*name, *help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(*name, *help);
    }
}

const GAUGES: &[(&str, &str)] = &[
    ("notifier_streams_open", "Event streams that are open"),
    ("notifier_ring_events", "Entries of the stream in memory"),
    ("notifier_ring_bytes", "Bytes that they take"),
    (
        "notifier_ring_oldest_age_seconds",
        "How long ago the oldest of them was read",
    ),
    (
        "notifier_feed_offset",
        "The offset in the stream that was read last",
    ),
];

const COUNTERS: &[(&str, &str)] = &[
    (
        "notifier_streams_opened_total",
        "Event streams that were opened",
    ),
    (
        "notifier_streams_refused_total",
        "Event streams that were refused: full (as many as may be), addressFull (from one address), \
         tooFast (new ones from one address)",
    ),
    (
        "notifier_frames_sent_total",
        "Deliveries: frames handed to clients, heartbeats included, each client counted",
    ),
    ("notifier_bytes_sent_total", "Their bytes"),
    (
        "notifier_slow_clients_closed_total",
        "Streams ended because the client was too slow: behind (the ring has moved on), stalled \
         (it takes nothing)",
    ),
    (
        "notifier_resets_total",
        "Clients that were told to read everything again: tooOld, unknownId, streamReplaced",
    ),
    (
        "notifier_replays_total",
        "Clients that resumed from before what is in memory: begun, reset (the id is not in the \
         stream), busy (no turn came in time), failed",
    ),
    (
        "notifier_feed_events_total",
        "Events read from the stream and shown",
    ),
    (
        "notifier_feed_reconnects_total",
        "How often reading the stream broke or could not be begun",
    ),
    (
        "notifier_stale_events_total",
        "Events that nobody was shown: duplicates, and versions older than one seen before",
    ),
    (
        "notifier_undecodable_messages_total",
        "Messages of the stream that are no events of a known type",
    ),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    (
        "notifier_feed_lag_seconds",
        "From the time that an event says it happened until it was read here",
    ),
    (
        "notifier_client_lag_events",
        "Events in memory that a client had yet to look at, sampled for each client at its heartbeats",
    ),
    (
        "notifier_replay_events",
        "Events sent to a client from the stream itself before the ring could follow",
    ),
];
