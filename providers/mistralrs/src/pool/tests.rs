use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::FutureExt;
use puna_testkit::TestHost;

use super::*;

/// A model that can be made to stop working.
struct Fake {
    id: String,
    alive: AtomicBool,
}

#[derive(Default)]
struct FakeLoader {
    models: BTreeMap<String, Option<Duration>>,
    loads: Arc<Mutex<Vec<String>>>,
    fails: Arc<AtomicBool>,
    loading_now: AtomicUsize,
}

#[async_trait]
impl Loader for FakeLoader {
    type Model = Fake;

    fn idle_timeout(&self, id: &str) -> Result<Option<Duration>> {
        let found = self.models.get(id).copied();
        found.ok_or_else(|| Error::not_found(format!("there is no `{id}`")))
    }

    fn size_bytes(&self, id: &str) -> u64 {
        id.len() as u64
    }

    async fn load(&self, id: &str) -> Result<Fake> {
        assert_eq!(
            self.loading_now.fetch_add(1, Ordering::Relaxed),
            0,
            "two are loaded at once"
        );
        tokio::task::yield_now().await;
        self.loading_now.fetch_sub(1, Ordering::Relaxed);
        lock(&self.loads).push(id.to_owned());
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::configuration(format!("`{id}` is broken")));
        }
        Ok(Fake {
            id: id.to_owned(),
            alive: AtomicBool::new(true),
        })
    }

    fn is_alive(model: &Fake) -> bool {
        model.alive.load(Ordering::Relaxed)
    }
}

struct Bench {
    pool: Pool<FakeLoader>,
    loads: Arc<Mutex<Vec<String>>>,
    fails: Arc<AtomicBool>,
    _host: TestHost,
}

impl Bench {
    fn new(models: &[(&str, Option<u64>)], limits: Limits) -> Self {
        let host = TestHost::new().unwrap();
        let models = models
            .iter()
            .map(|(id, idle)| ((*id).to_owned(), idle.map(Duration::from_millis)));
        let loader = FakeLoader {
            models: models.collect(),
            ..FakeLoader::default()
        };
        let (loads, fails) = (Arc::clone(&loader.loads), Arc::clone(&loader.fails));
        Self {
            pool: Pool::new(loader, limits, host.host()),
            loads,
            fails,
            _host: host,
        }
    }

    async fn get(&self, id: &str) -> Lease<FakeLoader> {
        self.pool.get(id).await.unwrap()
    }

    fn loads(&self) -> Vec<String> {
        lock(&self.loads).clone()
    }

    fn loaded(&self) -> Vec<&str> {
        let ids = self.pool.loader().models.keys().map(String::as_str);
        ids.filter(|id| self.pool.peek(id, |_| ()).is_some()).collect()
    }
}

#[tokio::test]
async fn those_who_ask_at_the_same_time_share_the_work() {
    let bench = Bench::new(&[("a", None), ("b", None)], Limits::default());
    let (first, second, other) = tokio::join!(bench.get("a"), bench.get("a"), bench.get("b"));
    assert_eq!([&first.id, &second.id, &other.id], ["a", "a", "b"]);
    assert_eq!(bench.get("a").await.id, "a");
    assert_eq!(bench.loads(), ["a", "b"]);
    assert_eq!(bench.pool.get("c").await.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn who_gives_up_does_not_stop_the_work() {
    let bench = Bench::new(&[("a", None)], Limits::default());
    assert!(bench.pool.get("a").now_or_never().is_none());
    until(|| bench.loaded() == ["a"]).await;
    bench.get("a").await;
    assert_eq!(bench.loads(), ["a"]);
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_tried_again_later() {
    for (retry_after, loads) in [(Duration::from_secs(3_600), 1), (Duration::ZERO, 2)] {
        let limits = Limits {
            retry_after,
            ..Limits::default()
        };
        let bench = Bench::new(&[("a", None)], limits);
        bench.fails.store(true, Ordering::Relaxed);
        let (first, second) = tokio::join!(bench.pool.get("a"), bench.pool.get("a"));
        for failed in [first, second, bench.pool.get("a").await] {
            let error = failed.err().unwrap();
            assert_eq!(
                (error.kind(), error.message()),
                (ErrorKind::Configuration, "`a` is broken")
            );
        }
        assert_eq!(bench.pool.check().unwrap_err().message(), "`a` is broken");
        assert_eq!(bench.loads().len(), loads);
        bench.fails.store(false, Ordering::Relaxed);
        assert_eq!(bench.pool.get("a").await.is_ok(), loads == 2);
        assert_eq!(bench.pool.check().is_ok(), loads == 2);
    }
}

#[tokio::test]
async fn the_model_that_was_not_used_for_the_longest_time_makes_room() {
    let limits = Limits {
        models: Some(2),
        ..Limits::default()
    };
    let bench = Bench::new(&[("a", None), ("b", None), ("c", None)], limits);
    bench.get("a").await;
    bench.get("b").await;
    bench.get("a").await;
    bench.get("c").await;
    assert_eq!(bench.loaded(), ["a", "c"]);
    // What is in use stays, however long ago it was begun.
    let in_use = bench.get("a").await;
    bench.get("c").await;
    bench.get("b").await;
    assert_eq!(bench.loaded(), ["a", "b"]);
    drop(in_use);
}

#[tokio::test]
async fn room_is_waited_for_while_all_are_in_use() {
    let limits = Limits {
        models: Some(1),
        ..Limits::default()
    };
    let bench = Bench::new(&[("a", None), ("b", None)], limits);
    let in_use = bench.get("a").await;
    let second = in_use.clone();
    drop(in_use);
    let mut waiting = Box::pin(bench.get("b"));
    assert!(waiting.as_mut().now_or_never().is_none());
    tokio::task::yield_now().await;
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(second);
    assert_eq!(waiting.await.id, "b");
}

#[tokio::test]
async fn waiting_for_room_comes_to_an_end() {
    let limits = Limits {
        models: Some(1),
        patience: Duration::ZERO,
        ..Limits::default()
    };
    let bench = Bench::new(&[("a", None), ("b", None)], limits);
    let _in_use = bench.get("b").await;
    let error = bench.pool.get("a").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("no room for the model `a`"),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn memory_is_counted() {
    let limits = Limits {
        bytes: Some(5),
        ..Limits::default()
    };
    let bench = Bench::new(&[("aaa", None), ("bb", None), ("cc", None), ("dddddd", None)], limits);
    bench.get("aaa").await;
    bench.get("bb").await;
    assert_eq!(bench.loaded(), ["aaa", "bb"]);
    bench.get("cc").await;
    assert_eq!(bench.loaded(), ["bb", "cc"]);
    let error = bench.pool.get("dddddd").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(bench.loaded(), ["bb", "cc"]);
}

#[tokio::test]
async fn an_idle_model_goes_and_comes_back() {
    let bench = Bench::new(&[("a", Some(20)), ("b", None)], Limits::default());
    let in_use = bench.get("a").await;
    bench.get("b").await;
    // However long it is used, it stays.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.loaded(), ["a", "b"]);
    drop(in_use);
    until(|| bench.loaded() == ["b"]).await;
    bench.get("a").await;
    assert_eq!(bench.loads(), ["a", "b", "a"]);
    until(|| bench.loaded() == ["b"]).await;
}

#[tokio::test]
async fn a_model_that_stopped_is_built_again() {
    let bench = Bench::new(&[("a", None)], Limits::default());
    let (first, second) = (bench.get("a").await, bench.get("a").await);
    first.alive.store(false, Ordering::Relaxed);
    assert!(bench.pool.check().unwrap_err().message().ends_with("`a` stopped"));
    drop(first);
    drop(second);
    // Nobody had to ask for it.
    assert!(
        bench
            .pool
            .check()
            .unwrap_err()
            .message()
            .ends_with("is being built again")
    );
    until(|| bench.pool.check().is_ok()).await;
    assert_eq!(bench.loads(), ["a", "a"]);
    // One that stops unused is found when somebody asks.
    bench
        .pool
        .peek("a", |model| model.alive.store(false, Ordering::Relaxed))
        .unwrap();
    assert_eq!(bench.get("a").await.id, "a");
    assert_eq!(bench.loads(), ["a", "a", "a"]);
}

#[tokio::test]
async fn a_model_that_is_released_goes_once_nobody_uses_it() {
    let bench = Bench::new(&[("a", None), ("b", None)], Limits::default());
    bench.pool.release("a");
    drop(bench.get("a").await);
    bench.pool.release("a");
    assert_eq!(bench.loaded(), Vec::<&str>::new());
    let in_use = bench.get("a").await;
    bench.get("b").await;
    bench.pool.release("a");
    assert_eq!(bench.loaded(), ["a", "b"]);
    // Who asks for it again keeps it.
    bench.get("a").await;
    drop(in_use);
    assert_eq!(bench.loaded(), ["a", "b"]);
    let in_use = bench.get("a").await;
    bench.pool.release("a");
    drop(in_use);
    assert_eq!(bench.loaded(), ["b"]);
    assert_eq!(bench.loads(), ["a", "a", "b"]);
}

#[tokio::test]
async fn a_model_that_is_released_while_it_is_loaded_still_answers() {
    let limits = Limits {
        models: Some(1),
        ..Limits::default()
    };
    let bench = Bench::new(&[("a", None), ("b", None)], limits);
    let mut waiting = Box::pin(bench.get("a"));
    assert!(waiting.as_mut().now_or_never().is_none());
    bench.pool.release("a");
    assert_eq!(waiting.await.id, "a");
    assert_eq!(bench.loaded(), Vec::<&str>::new());
    // And gives its room back.
    bench.get("b").await;
    assert_eq!(bench.loaded(), ["b"]);
}

#[tokio::test]
async fn the_failure_of_a_model_that_is_released_is_forgotten() {
    let bench = Bench::new(&[("a", None)], Limits::default());
    bench.fails.store(true, Ordering::Relaxed);
    assert!(bench.pool.get("a").await.is_err());
    assert!(bench.pool.check().is_err());
    bench.pool.release("a");
    bench.pool.check().unwrap();
}

/// Waits for something that has to happen soon.
async fn until(happened: impl Fn() -> bool) {
    let wait = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}
