-- What the broker has refused OUTBOX_MAX_ATTEMPTS times. A table of its own, so that however many such
-- events there are, the relays never read past them.
CREATE TABLE outbox_set_aside (
    id            bigint      PRIMARY KEY, -- the one that the event had in the outbox, and gets again
    event_id      uuid        NOT NULL,
    event_type    text        NOT NULL,
    routing_key   text        NOT NULL,
    payload       bytea       NOT NULL,
    traceparent   text,
    tracestate    text,
    created_at    timestamptz NOT NULL,
    attempts      integer     NOT NULL,
    reason        text        NOT NULL, -- what the broker said last
    set_aside_at  timestamptz NOT NULL DEFAULT now()
);
