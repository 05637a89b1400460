//! What is SQLite's own.

use puna_api::ErrorKind;
use puna_storage::{Database, KvReference, Location, SqlReference, Storage};

use crate::{Act, acts};

pub(crate) fn acts() -> Vec<(&'static str, Act<()>)> {
    acts![
        a_database_in_memory_is_refused,
        what_is_acknowledged_is_on_the_disk,
        a_file_that_is_no_database_is_told,
        a_storage_opens_what_is_asked_for,
        a_database_that_was_full_works_as_ever,
    ]
}

async fn a_database_in_memory_is_refused((): ()) {
    let error = Database::open(&Location::Sqlite(":memory:".into())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("db_path"), "{error}");
}

async fn what_is_acknowledged_is_on_the_disk((): ()) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&Location::Sqlite(folder.path().join("a.db")))
        .await
        .unwrap();
    let mode = async |pragma: &'static str, column: &str| {
        let mut transaction = database.begin().await.unwrap();
        transaction
            .row(pragma, vec![])
            .await
            .unwrap()
            .unwrap()
            .get::<String>(column)
            .ok()
    };
    assert_eq!(
        mode("PRAGMA journal_mode", "journal_mode").await.as_deref(),
        Some("wal")
    );
    let mut transaction = database.begin().await.unwrap();
    let synchronous = transaction.row("PRAGMA synchronous", vec![]).await.unwrap().unwrap();
    assert_eq!(synchronous.get::<i64>("synchronous").unwrap(), 2);
    drop(transaction);
    // Reading connections cannot write, even by mistake.
    assert!(database.read("CREATE TABLE t (a TEXT)", vec![]).await.is_err());
}

async fn a_file_that_is_no_database_is_told((): ()) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    std::fs::write(
        &path,
        "this is no database, and longer than the head of one would be: a hundred bytes and some".repeat(3),
    )
    .unwrap();
    let error = Database::open(&Location::Sqlite(path)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("a.db"), "{error}");
    let error = Database::open(&Location::Sqlite("/dev/null/a.db".into()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

async fn a_storage_opens_what_is_asked_for((): ()) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::in_folder(&folder.path().join("state"));
    let sql = SqlReference {
        backend: None,
        table_name: Some("things".to_owned()),
    };
    let kv = KvReference {
        backend: None,
        namespace: None,
    };
    assert!(!storage.may_hold_sql(&sql).unwrap() && !storage.may_hold_kv(&kv).unwrap());
    assert!(!folder.path().join("state").exists());
    let (_, table) = storage.sql(&sql, "default").await.unwrap();
    assert_eq!(table.to_string(), "things");
    assert!(storage.may_hold_sql(&sql).unwrap() && !storage.may_hold_kv(&kv).unwrap());
    storage.kv(&kv, "registry").await.unwrap().put("a", "b").await.unwrap();
    let unknown = SqlReference {
        backend: Some("elsewhere".to_owned()),
        table_name: None,
    };
    let error = storage.sql(&unknown, "default").await.unwrap_err();
    assert!(
        error.message().contains("`elsewhere`") && error.message().contains("`sql_default`"),
        "{error}"
    );
    storage.close().await;
}

async fn a_database_that_was_full_works_as_ever((): ()) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&Location::Sqlite(folder.path().join("a.db")))
        .await
        .unwrap();
    database.write("CREATE TABLE t (a BLOB)", vec![]).await.unwrap();
    let megabyte = || vec![vec![0_u8; 1 << 20].into()];
    for _ in 0..2 {
        // It holds for this connection alone, which is not used again.
        let bound = database.write_returning("PRAGMA max_page_count = 20", vec![]).await;
        assert_eq!(bound.unwrap().len(), 1);
        let mut transaction = database.begin().await.unwrap();
        transaction
            .write("INSERT INTO t VALUES ($1)", vec![b"small".to_vec().into()])
            .await
            .unwrap();
        let refused = transaction.write("INSERT INTO t VALUES ($1)", megabyte()).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
        assert!(error.is_transient() && error.message().contains("full"), "{error}");
    }
    let mut transaction = database.begin().await.unwrap();
    transaction
        .write("INSERT INTO t VALUES ($1)", megabyte())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let rows = database.read("SELECT length(a) AS bytes FROM t", vec![]).await.unwrap();
    let bytes: Vec<i64> = rows.iter().map(|row| row.get("bytes").unwrap()).collect();
    assert_eq!(bytes, [1 << 20]);
}
