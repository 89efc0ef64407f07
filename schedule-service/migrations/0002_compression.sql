-- Documents of a few kilobytes are compressed when they are stored, while a caller waits. lz4 takes
-- a fraction of pglz's time for that; a server that was built without it keeps to pglz.
DO $$
BEGIN
    ALTER TABLE outbox ALTER COLUMN payload SET COMPRESSION lz4;
    ALTER TABLE schedule_changes ALTER COLUMN data SET COMPRESSION lz4;
    ALTER TABLE idempotency_keys ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE contractors ALTER COLUMN working_hours SET COMPRESSION lz4;
    ALTER TABLE contractors ALTER COLUMN date_overrides SET COMPRESSION lz4;
    ALTER TABLE contractors ALTER COLUMN time_off SET COMPRESSION lz4;
EXCEPTION
    WHEN feature_not_supported THEN
        RAISE NOTICE 'this PostgreSQL has no lz4: documents are compressed with pglz';
END
$$;
