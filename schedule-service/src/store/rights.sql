-- What the serving process, import and outbox do with the database, and no more. `schedule-service
-- migrate` grants it to the role "$ROLE"; a new table needs a line.
BEGIN;
-- Grants at once of the same table would fail.
SELECT pg_advisory_xact_lock(hashtext('rosterwire rights'));
REVOKE ALL ON _sqlx_migrations, contractors, jobs, schedule_changes, idempotency_keys, outbox, outbox_set_aside
    FROM "$ROLE";
GRANT USAGE ON SCHEMA public TO "$ROLE";
GRANT SELECT ON _sqlx_migrations TO "$ROLE";
GRANT SELECT, INSERT, UPDATE ON contractors TO "$ROLE";
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO "$ROLE";
-- UPDATE lets it lock rows that it deletes (FOR UPDATE SKIP LOCKED).
GRANT SELECT, INSERT, UPDATE, DELETE ON schedule_changes, idempotency_keys, outbox, outbox_set_aside TO "$ROLE";
COMMIT;
