//! The committed data that queries are checked against when the service is built.

use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection, SqlSafeStr};
use stack::TestBed;

/// The macros themselves make sure that every query is in `.sqlx/`. What they cannot see offline is
/// whether the schema is still the one that the data was made from.
#[tokio::test]
async fn the_committed_query_data_is_what_the_migrated_database_says() {
    let bed = TestBed::new().await;
    let mut connection = PgConnection::connect(bed.database_url()).await.unwrap();
    sqlx::migrate!().run(&mut connection).await.unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../.sqlx");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the committed query data") {
        let path = entry.unwrap().path();
        let committed: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let query = committed["query"].as_str().unwrap().to_owned();
        let described = connection
            .describe(sqlx::AssertSqlSafe(query).into_sql_str())
            .await
            .unwrap();
        let described = serde_json::to_value(&described).unwrap();
        assert_eq!(
            committed["describe"],
            described,
            "{} is out of date",
            path.display()
        );
        count += 1;
    }
    assert!(count > 10, "{count} queries");
}
