//! Test beds: isolated from each other, and gone when they are dropped.

use sqlx::{Connection, PgConnection, Row};
use stack::TestBed;

#[tokio::test]
async fn two_test_beds_do_not_see_each_other() {
    let (one, other) = (TestBed::new().await, TestBed::new().await);

    let mut connection = PgConnection::connect(one.database_url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE mine (id int)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut connection = PgConnection::connect(other.database_url()).await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let row = sqlx::query(tables)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);

    assert_ne!(
        one.rabbitmq_management().vhost(),
        other.rabbitmq_management().vhost()
    );
    assert_ne!(one.amqp_url(), other.amqp_url());
    assert!(one.rabbitmq_management().queues().await.unwrap().is_empty());
    assert_ne!(one.redis_url(), other.redis_url());
}

#[tokio::test]
async fn a_dropped_test_bed_leaves_nothing_behind() {
    let bed = TestBed::new().await;
    let lasting = TestBed::new().await;
    let (database, vhost) = (
        bed.database_url().to_owned(),
        bed.rabbitmq_management().clone(),
    );
    let (redis, folder) = (bed.redis_process().pid(), bed.folder().to_owned());
    // An open connection does not keep the database.
    let _connection = PgConnection::connect(&database).await.unwrap();
    drop(bed);

    let name = database.rsplit_once('/').unwrap().1;
    let mut connection = PgConnection::connect(lasting.database_url()).await.unwrap();
    let row = sqlx::query("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
    assert!(vhost.queues().await.is_err(), "the virtual host is gone");
    assert!(stack::procfs::entry(redis).is_none());
    assert!(!folder.exists());
}
