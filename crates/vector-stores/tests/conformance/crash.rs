//! What was acknowledged is there after `kill -9`, and nothing half-done is found.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::time::Duration;

use puna_jobs::Timing;
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{
    AttachFile, CreateFileBatch, CreateStore, FilesQuery, PageQuery, SearchStore, StoreFileStatus, VectorStoreSettings,
};

use crate::server::{Server, counts};

/// The argument that makes this program the one that is killed.
const VICTIM: &str = "--be-the-victim";
/// How often it is killed, each time after a few more acknowledgements.
const ROUNDS: usize = 20;
/// How many stores a victim makes before it waits for its end.
const STORES: usize = 5;
/// How many chunks a file has.
const CHUNKS: usize = 70;
/// Whoever is killed gives no sign of life; what it held is taken up soon.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(1),
    look: Duration::from_millis(50),
    first_retry: Duration::from_millis(10),
    longest_retry: Duration::from_millis(40),
    cancel_grace: Duration::from_secs(5),
    keep: Duration::from_secs(3600),
};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![what_was_acknowledged_survives_a_kill]
}

/// The place to work at, if this process is to be killed.
pub(crate) fn place_of_victim() -> Option<Place> {
    Place::of_process(VICTIM)
}

fn text(number: usize) -> String {
    let paragraphs = (0..CHUNKS).map(|chunk| format!("the cat {number} of {chunk}"));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// Makes stores, fills, empties and deletes them, and tells what was acknowledged.
pub(crate) fn be_the_victim(place: &Place) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::with(place, TIMING, VectorStoreSettings::default()).await;
        for number in 0..STORES {
            let store = server.stores.create(&context(), CreateStore::default()).await.unwrap();
            tell("made", &store.id, "");
            let mut file_ids = Vec::new();
            for file in 0..3 {
                let file_id = server.upload("a.txt", &text(file)).await;
                let attached = server
                    .stores
                    .attach(&context(), &store.id, AttachFile::new(&file_id))
                    .await;
                tell("attached", &store.id, &attached.unwrap().id);
                file_ids.push(file_id);
            }
            let more = vec![
                server.upload("b.txt", &text(7)).await,
                server.upload("c.txt", &text(8)).await,
            ];
            let batch = CreateFileBatch {
                file_ids: Some(more.clone()),
                ..CreateFileBatch::default()
            };
            server.stores.create_batch(&context(), &store.id, batch).await.unwrap();
            for file_id in &more {
                tell("attached", &store.id, file_id);
            }
            if number % 2 == 1 {
                tell("detaching", &store.id, &file_ids[0]);
                server.stores.detach(&context(), &store.id, &file_ids[0]).await.unwrap();
                tell("detached", &store.id, &file_ids[0]);
            }
            if number % 3 == 1 {
                tell("deleting", &store.id, "");
                server.stores.delete(&context(), &store.id).await.unwrap();
                tell("deleted", &store.id, "");
            }
        }
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

fn tell(what: &str, store_id: &str, file_id: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{what} {store_id} {file_id}").unwrap();
    out.flush().unwrap();
}

/// What was acknowledged.
#[derive(Default)]
struct Told {
    /// The files of each store that is there.
    stores: BTreeMap<String, Vec<String>>,
    /// Stores and files that are gone.
    gone: BTreeSet<String>,
    /// Stores and files that were about to go. Whether they did was told if it was `gone` too, and is open otherwise.
    going: BTreeSet<String>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (what, store_id, file_id) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        match what {
            "made" => _ = self.stores.insert(store_id.to_owned(), Vec::new()),
            "attached" => self.stores.get_mut(store_id).unwrap().push(file_id.to_owned()),
            "detaching" => _ = self.going.insert(file_id.to_owned()),
            "detached" => {
                self.stores.get_mut(store_id).unwrap().retain(|file| file != file_id);
                self.gone.insert(file_id.to_owned());
            }
            "deleting" => _ = self.going.insert(store_id.to_owned()),
            "deleted" => {
                self.stores.remove(store_id);
                self.gone.insert(store_id.to_owned());
            }
            other => panic!("{other}"),
        }
    }

    /// Checks that what is there is what was made, but for what was about to go.
    fn check(&self, made: &[String], there: &[String]) {
        for id in made.iter().filter(|id| !self.going.contains(*id)) {
            assert!(there.contains(id), "{id} is gone");
        }
        for id in there {
            assert!(!self.gone.contains(id), "{id} is there again");
        }
    }
}

/// `PUNA_TEST_KILLS` asks for more kills, as at night.
async fn what_was_acknowledged_survives_a_kill(place: Place) {
    let kills = puna_testkit::live_setting("PUNA_TEST_KILLS").map_or(ROUNDS, |kills| kills.parse().unwrap());
    survive(place.clone()).await;
    for _ in 1..kills.div_ceil(ROUNDS) {
        survive(place.like()).await;
    }
}

async fn survive(place: Place) {
    let mut told = Told::default();
    for round in 0..ROUNDS {
        let mut victim = place.process(VICTIM).spawn().unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        for line in lines.by_ref().take(1 + round * 5 % 13) {
            told.hear(&line.unwrap());
        }
        // At some place of whatever is going on then.
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..60)));
        victim.kill().unwrap();
        victim.wait().unwrap();
        // What it told before it was killed counts too, as far as it was told in full.
        for line in lines.map_while(Result::ok).filter(|line| line.split(' ').count() == 3) {
            told.hear(&line);
        }
    }
    let server = Server::with(&place, TIMING, VectorStoreSettings::default()).await;
    let query = PageQuery {
        limit: 100,
        ..PageQuery::default()
    };
    let page = server.stores.list(&context(), &query).await.unwrap();
    assert!(told.stores.len() >= 3 && !page.has_more);
    let there: Vec<String> = page.data.into_iter().map(|store| store.id).collect();
    told.check(&told.stores.keys().cloned().collect::<Vec<_>>(), &there);
    for id in &there {
        let store = server.settled(id).await;
        let files = FilesQuery {
            page: query.clone(),
            status: None,
        };
        let files = server.stores.files(&context(), id, &files).await.unwrap().data;
        assert!(
            files.iter().all(|file| file.status == StoreFileStatus::Completed),
            "{files:?}"
        );
        assert_eq!(store.file_counts, counts(0, files.len() as u64, 0, 0));
        let file_ids: Vec<String> = files.iter().map(|file| file.id.clone()).collect();
        told.check(told.stores.get(id).map_or(&[], Vec::as_slice), &file_ids);
        // No chunk twice and none missing, once what was taken out is gone from the index too.
        let is_whole = async || (server.around.index.chunks(id).await.len() == files.len() * CHUNKS).then_some(());
        server.until(is_whole).await;
        let found = server.found(id, SearchStore::new("cat")).await;
        assert_eq!(found.len(), if files.is_empty() { 0 } else { 10 });
    }
    // A store that was being made counts as given up after a while.
    let database = server.jobs.database().await.unwrap();
    let table = place.table_name("stores");
    let age = table.sql("UPDATE {table} SET created_at = 0 WHERE state = 'making'");
    database.write(age, vec![]).await.unwrap();
    server.stores.sweep().await.unwrap();
    let mut expected = there.clone();
    expected.sort();
    // Nothing is left of stores that were deleted, or that were never made.
    let is_clean = async || (server.around.index.ids().await == expected).then_some(());
    server.until(is_clean).await;
    server.stop().await;
}
