//! What the role of the service may do in the database: `src/store/rights.sql`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use schedule_service::store;
use shared_events::trust::TrustSettings;
use sqlx::{Connection, PgConnection};
use stack::TestBed;
use stack::rights::{OWNER, as_user};

use crate::database::{ROLE, migrated, settings};

/// What PostgreSQL says of a statement; empty where it does it.
async fn code(connection: &mut PgConnection, statement: &'static str) -> String {
    match sqlx::raw_sql(statement).execute(connection).await {
        Ok(_) => String::new(),
        Err(error) => error.as_database_error().unwrap().code().unwrap().into(),
    }
}

#[tokio::test]
async fn the_role_of_the_service_may_change_rows_and_nothing_else() {
    let bed = TestBed::new().await;
    let url = migrated(bed.database_url()).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in [
        "CREATE TABLE x (id int)",
        "CREATE SCHEMA x",
        "CREATE EXTENSION pg_trgm",
        "CREATE ROLE x",
        "ALTER TABLE jobs DROP CONSTRAINT jobs_no_overlap",
        "DROP TABLE outbox",
        "DROP INDEX jobs_by_end",
        "TRUNCATE outbox",
        "DELETE FROM contractors",
        "DELETE FROM _sqlx_migrations",
        "UPDATE _sqlx_migrations SET success = true",
        "SET ROLE rosterwire",
        "COPY jobs TO '/tmp/x'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    ] {
        assert_eq!(
            code(&mut connection, statement).await,
            "42501",
            "{statement}"
        );
    }
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, string_agg(privilege_type, ' ' ORDER BY privilege_type)
         FROM information_schema.role_table_grants
         WHERE grantee = $1 GROUP BY table_name ORDER BY table_name",
    )
    .bind(ROLE)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let told: Vec<_> = tables.iter().map(|(t, p)| format!("{t}: {p}")).collect();
    let rows = "DELETE INSERT SELECT UPDATE";
    assert_eq!(
        told,
        [
            "_sqlx_migrations: SELECT".to_owned(),
            "contractors: INSERT SELECT UPDATE".to_owned(),
            format!("idempotency_keys: {rows}"),
            format!("jobs: {rows}"),
            format!("outbox: {rows}"),
            format!("outbox_set_aside: {rows}"),
            format!("schedule_changes: {rows}"),
        ]
    );
}

#[tokio::test]
async fn a_role_that_may_not_migrate_says_so_where_that_is_needed_and_only_there() {
    let bed = TestBed::new().await;
    let url = as_user(bed.database_url(), ROLE).unwrap();
    let nobody = TrustSettings::default();
    let refused = store::migrate(&settings(&url), &nobody).await.unwrap_err();
    let told = format!("{refused:#}");
    assert!(told.contains("`schedule-service migrate`"), "{told}");
    assert!(told.contains("permission denied"), "{told}");

    migrated(bed.database_url()).await;
    store::migrate(&settings(&url), &nobody).await.unwrap();
}

#[tokio::test]
async fn services_that_are_migrated_at_once_take_turns() {
    let bed = TestBed::new().await;
    let owner = as_user(bed.database_url(), OWNER).unwrap();
    let settings = settings(&owner);
    let nobody = TrustSettings::default();
    let at_once = (0..6).map(|_| store::migrate_for(&settings, &nobody, ROLE));
    futures::future::try_join_all(at_once).await.unwrap();
}
