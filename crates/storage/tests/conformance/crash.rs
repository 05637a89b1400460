//! What was acknowledged is there after `kill -9`, and nothing else is.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use puna_storage::{BlobStore, Database, LocalBlobs, Location, Migration, TableName};

use crate::blob::key;
use crate::{Act, acts};

/// The argument that makes this program the writer.
const WRITER: &str = "--be-the-writer";
/// How often a writer is killed, each time after a few more acknowledgements.
const ROUNDS: usize = 20;
const ROWS: &[Migration] = &[Migration::portable(
    1,
    "CREATE TABLE {table} (id BIGINT PRIMARY KEY, half BIGINT NOT NULL)",
)];

pub(crate) fn acts() -> Vec<(&'static str, Act<()>)> {
    acts![what_was_acknowledged_survives_a_kill]
}

/// The folder to write to, if this process is a writer.
pub(crate) fn folder_of_writer() -> Option<PathBuf> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == WRITER).then(|| arguments.next().map(PathBuf::from))?
}

/// Writes until it is killed, and prints the number of each thing that was acknowledged.
pub(crate) fn write(folder: &Path) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (database, table, blobs) = open(folder).await;
        let start = largest(&database, &table).await + 1;
        let mut out = std::io::stdout();
        for number in start.. {
            // Two rows that are only ever there together, and a blob.
            let mut transaction = database.begin().await.unwrap();
            for half in [0, 1_i64] {
                let insert = table.sql("INSERT INTO {table} (id, half) VALUES ($1, $2)");
                transaction
                    .write(insert, vec![(number * 2 + half).into(), half.into()])
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
            let pieces = (0..50).map(move |_| Ok(Bytes::from(vec![number as u8; 4099])));
            blobs
                .put(&key(&format!("b/{number}")), stream::iter(pieces).boxed(), 1 << 20)
                .await
                .unwrap();
            writeln!(out, "{number}").unwrap();
            out.flush().unwrap();
        }
        ExitCode::SUCCESS
    })
}

async fn open(folder: &Path) -> (Database, TableName, LocalBlobs) {
    let database = Database::open(&Location::Sqlite(folder.join("a.db"))).await.unwrap();
    let table = TableName::new("rows").unwrap();
    database.migrate("rows", &table, ROWS).await.unwrap();
    (database, table, LocalBlobs::open(folder.join("blobs")).await.unwrap())
}

async fn largest(database: &Database, table: &TableName) -> i64 {
    let statement = table.sql("SELECT COALESCE(MAX(id) / 2, 0) AS n FROM {table}");
    database
        .read_one(statement, vec![])
        .await
        .unwrap()
        .unwrap()
        .get("n")
        .unwrap()
}

async fn what_was_acknowledged_survives_a_kill((): ()) {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .arg(WRITER)
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        for line in lines.take(1 + round % 7) {
            acknowledged.push(line.unwrap().parse::<i64>().unwrap());
        }
        writer.kill().unwrap();
        writer.wait().unwrap();

        let (database, table, blobs) = open(folder.path()).await;
        let rows = database
            .read(table.sql("SELECT id, half FROM {table} ORDER BY id"), vec![])
            .await
            .unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row.get("id").unwrap()).collect();
        assert!(
            acknowledged
                .iter()
                .all(|number| ids.contains(&(number * 2)) && ids.contains(&(number * 2 + 1)))
        );
        assert!(ids.len().is_multiple_of(2), "half a transaction: {ids:?}");
        for number in &acknowledged {
            let blob = blobs.get(&key(&format!("b/{number}")), None).await.unwrap();
            let pieces: Vec<Bytes> = blob.content.try_collect().await.unwrap();
            assert!(pieces.concat() == vec![*number as u8; 50 * 4099]);
        }
        // What was not acknowledged may be there, but then as a whole; and nothing was left aside.
        for entry in std::fs::read_dir(folder.path().join("blobs/b")).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().len(), 50 * 4099);
        }
        assert_eq!(
            std::fs::read_dir(folder.path().join("blobs/.incoming"))
                .unwrap()
                .count(),
            0
        );
        database.close().await;
    }
    assert!(acknowledged.len() >= ROUNDS);
}
