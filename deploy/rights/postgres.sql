-- Run by a superuser in the database of schedule-service; again does no harm. What the service may do
-- with each table stands beside the migrations (schedule-service/src/store/rights.sql).
DO $$
BEGIN
    -- Owns the database and whatever the migrations make in it.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rosterwire') THEN
        CREATE ROLE rosterwire LOGIN;
    END IF;
    -- What the service runs as.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'schedule_service') THEN
        CREATE ROLE schedule_service LOGIN;
    END IF;
    EXECUTE format('ALTER DATABASE %I OWNER TO rosterwire', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO schedule_service', current_database());
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
