//! Tables, over every database.

use futures::future::join_all;
use puna_api::ErrorKind;
use puna_storage::{Database, Migration, Value};

use crate::place::Place;
use crate::{Act, acts};

pub(crate) fn acts() -> Vec<(&'static str, Act<Place>)> {
    acts![
        every_type_comes_back_as_it_went,
        a_transaction_is_all_or_nothing,
        readers_wait_for_no_writer,
        writers_wait_for_each_other,
        a_second_row_of_a_key_is_a_conflict,
        tables_are_made_once_by_whoever_starts_first,
        tables_of_a_newer_version_are_left_alone,
        a_migration_that_fails_leaves_nothing,
    ]
}

const THINGS: &[Migration] = &[Migration::by_dialect(
    1,
    "CREATE TABLE {table} (id TEXT PRIMARY KEY, i BIGINT, r DOUBLE PRECISION, f BOOLEAN, b BLOB)",
    "CREATE TABLE {table} (id TEXT PRIMARY KEY, i BIGINT, r DOUBLE PRECISION, f BOOLEAN, b BYTEA)",
)];

async fn things(place: &Place) -> Database {
    let database = place.open().await;
    database.migrate("things", &place.table, THINGS).await.unwrap();
    database
}

async fn count(database: &Database, place: &Place) -> i64 {
    let statement = place.table.sql("SELECT COUNT(*) AS n FROM {table}");
    database
        .read_one(statement, vec![])
        .await
        .unwrap()
        .unwrap()
        .get("n")
        .unwrap()
}

fn insert(place: &Place) -> puna_storage::Statement {
    place.table.sql("INSERT INTO {table} (id) VALUES ($1)")
}

async fn every_type_comes_back_as_it_went(place: Place) {
    let database = things(&place).await;
    let insert = place
        .table
        .sql("INSERT INTO {table} (id, i, r, f, b) VALUES ($1, $2, $3, $4, $5) RETURNING id, i");
    let full: Vec<Value> = vec![
        "ä '\";--".into(),
        i64::MIN.into(),
        0.1.into(),
        true.into(),
        vec![0_u8, 255].into(),
    ];
    let returned = database.write_returning(insert.clone(), full).await.unwrap();
    assert_eq!(returned[0].get::<i64>("i").unwrap(), i64::MIN);
    let nothing = vec![
        "empty".into(),
        None::<i64>.into(),
        None::<f64>.into(),
        None::<bool>.into(),
        None::<Vec<u8>>.into(),
    ];
    database.write(insert, nothing).await.unwrap();
    let rows = database
        .read(place.table.sql("SELECT * FROM {table} ORDER BY r IS NULL"), vec![])
        .await
        .unwrap();
    let [full, empty] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(full.get::<String>("id").unwrap(), "ä '\";--");
    assert_eq!(full.get::<Option<f64>>("r").unwrap(), Some(0.1));
    assert!(full.get::<bool>("f").unwrap());
    assert_eq!(full.get::<Vec<u8>>("b").unwrap(), [0, 255]);
    assert_eq!(empty.get::<Option<i64>>("i").unwrap(), None);
    assert_eq!(empty.get::<Option<bool>>("f").unwrap(), None);
    assert_eq!(empty.get::<i64>("i").unwrap_err().kind(), ErrorKind::Internal);
    let changed = place.table.sql("UPDATE {table} SET i = 1 WHERE id = $1");
    assert_eq!(database.write(changed, vec!["empty".into()]).await.unwrap(), 1);
}

async fn a_transaction_is_all_or_nothing(place: Place) {
    let database = things(&place).await;
    {
        let mut dropped = database.begin().await.unwrap();
        dropped.write(insert(&place), vec!["a".into()]).await.unwrap();
    }
    assert_eq!(count(&database, &place).await, 0);
    let mut kept = database.begin().await.unwrap();
    kept.write(insert(&place), vec!["a".into()]).await.unwrap();
    kept.write(insert(&place), vec!["b".into()]).await.unwrap();
    assert_eq!(count(&database, &place).await, 0);
    kept.commit().await.unwrap();
    assert_eq!(count(&database, &place).await, 2);
}

async fn readers_wait_for_no_writer(place: Place) {
    let database = things(&place).await;
    let mut writing = database.begin().await.unwrap();
    writing.write(insert(&place), vec!["a".into()]).await.unwrap();
    for number in join_all((0..20).map(|_| count(&database, &place))).await {
        assert_eq!(number, 0);
    }
    drop(writing);
}

async fn writers_wait_for_each_other(place: Place) {
    let databases = [things(&place).await, things(&place).await];
    let write = |(number, database): (usize, &Database)| {
        let (database, insert) = (database.clone(), insert(&place));
        async move {
            let mut transaction = database.begin().await.unwrap();
            transaction
                .write(insert, vec![number.to_string().into()])
                .await
                .unwrap();
            tokio::task::yield_now().await;
            transaction.commit().await.unwrap();
        }
    };
    join_all(databases.iter().cycle().take(50).enumerate().map(write)).await;
    assert_eq!(count(&databases[0], &place).await, 50);
}

async fn a_second_row_of_a_key_is_a_conflict(place: Place) {
    let database = things(&place).await;
    database.write(insert(&place), vec!["a".into()]).await.unwrap();
    let error = database.write(insert(&place), vec!["a".into()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // A fault of the program is told to nobody but the log.
    let error = database.read("SELECT nonsense FROM nowhere", vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(!error.message().contains("nowhere"));
}

async fn tables_are_made_once_by_whoever_starts_first(place: Place) {
    let start = || async {
        let database = place.open().await;
        database.migrate("things", &place.table, THINGS).await.unwrap();
        database
    };
    let databases = join_all((0..8).map(|_| start())).await;
    databases[3].write(insert(&place), vec!["a".into()]).await.unwrap();
    const MORE: &[Migration] = &[
        THINGS[0],
        Migration::portable(
            2,
            "ALTER TABLE {table} ADD COLUMN more BIGINT; UPDATE {table} SET more = 7",
        ),
    ];
    let migrated = join_all(
        databases
            .iter()
            .map(|database| database.migrate("things", &place.table, MORE)),
    )
    .await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    let row = databases[0]
        .read_one(place.table.sql("SELECT more FROM {table}"), vec![])
        .await
        .unwrap();
    assert_eq!(row.unwrap().get::<i64>("more").unwrap(), 7);
}

async fn tables_of_a_newer_version_are_left_alone(place: Place) {
    const NEWER: &[Migration] = &[
        THINGS[0],
        Migration::portable(2, "ALTER TABLE {table} ADD COLUMN more BIGINT"),
    ];
    let database = place.open().await;
    database.migrate("things", &place.table, NEWER).await.unwrap();
    let error = database.migrate("things", &place.table, THINGS).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("newer version"), "{error}");
}

async fn a_migration_that_fails_leaves_nothing(place: Place) {
    const BROKEN: &[Migration] = &[
        THINGS[0],
        Migration::portable(2, "CREATE TABLE {table}_two (id TEXT); NONSENSE"),
    ];
    let database = place.open().await;
    assert!(database.migrate("things", &place.table, BROKEN).await.is_err());
    assert!(
        database
            .read(place.table.sql("SELECT * FROM {table}"), vec![])
            .await
            .is_err()
    );
    things(&place).await;
    const UNORDERED: &[Migration] = &[Migration::portable(2, "SELECT 1")];
    assert!(database.migrate("others", &place.table, UNORDERED).await.is_err());
}
