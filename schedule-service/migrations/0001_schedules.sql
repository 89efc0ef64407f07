-- A GiST index over uuid equality together with a range needs btree_gist (trusted since PostgreSQL 13,
-- so the owner of the database may create it).
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- One row is one schedule with its version. What is small, bounded and only ever read whole stands in
-- the row as jsonb, so that a version-guarded UPDATE of one row settles every race. Jobs stand apart
-- because the database itself must forbid that two of them overlap.
CREATE TABLE contractors (
    id             uuid        PRIMARY KEY,
    name           text        NOT NULL,
    territory      text        NOT NULL,
    status         text        NOT NULL CHECK (status IN ('active', 'inactive', 'onLeave')),
    time_zone      text        NOT NULL,
    skills         text[]      NOT NULL,
    working_hours  jsonb       NOT NULL,
    date_overrides jsonb       NOT NULL,
    time_off       jsonb       NOT NULL,
    booking_rules  jsonb       NOT NULL,
    version        bigint      NOT NULL CHECK (version > 0),
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
) WITH (fillfactor = 70); -- room for the next version on the same page (HOT): no index column changes

CREATE INDEX contractors_by_territory ON contractors (territory, id);

CREATE TABLE jobs (
    id                    uuid        PRIMARY KEY,
    contractor_id         uuid        NOT NULL REFERENCES contractors (id),
    title                 text        NOT NULL,
    starts_at             timestamptz NOT NULL,
    ends_at               timestamptz NOT NULL CHECK (ends_at > starts_at),
    buffer_before_minutes integer     NOT NULL CHECK (buffer_before_minutes >= 0),
    buffer_after_minutes  integer     NOT NULL CHECK (buffer_after_minutes >= 0),
    -- No double booking: half-open intervals of one contractor never overlap. Violations are
    -- SQLSTATE 23P01, which the service answers as 409.
    CONSTRAINT jobs_no_overlap EXCLUDE USING gist (contractor_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
);

CREATE INDEX jobs_by_end ON jobs (contractor_id, ends_at);

-- The history behind /changes: `data` is the ScheduleUpdated event without its `schedule`.
CREATE TABLE schedule_changes (
    contractor_id uuid        NOT NULL,
    version       bigint      NOT NULL,
    occurred_at   timestamptz NOT NULL,
    data          json        NOT NULL,
    PRIMARY KEY (contractor_id, version)
);

-- Rows come nearly in order of time, so a BRIN index finds the old ones at next to no cost a write.
CREATE INDEX schedule_changes_by_time ON schedule_changes USING brin (occurred_at);

-- The transactional outbox: written in the transaction of the change, deleted once the broker has
-- confirmed the event. `payload` is the whole CloudEvents envelope, ready to send.
CREATE TABLE outbox (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        uuid        NOT NULL,
    event_type      text        NOT NULL,
    routing_key     text        NOT NULL,
    payload         bytea       NOT NULL,
    traceparent     text,
    tracestate      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    last_error      text
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);

-- The first answer to each POST that named an Idempotency-Key.
CREATE TABLE idempotency_keys (
    actor        text        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    status       integer     NOT NULL,
    headers      jsonb       NOT NULL,
    body         bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (actor, key)
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
