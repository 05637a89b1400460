//! Which models are loaded: at start or on first use, until nobody has used them for a while or another one needs the room.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use puna_api::{Error, ErrorKind, Host, Result};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

/// Loads models.
#[async_trait]
pub(crate) trait Loader: Send + Sync + 'static {
    /// A loaded model.
    type Model: Send + Sync + 'static;

    /// How long a model of this id stays loaded that nobody uses, for ever where that is `None`. Fails where there is no such model.
    fn idle_timeout(&self, id: &str) -> Result<Option<Duration>>;

    /// The memory that a model is going to take, as far as that is known.
    fn size_bytes(&self, id: &str) -> u64;

    /// Loads a model.
    async fn load(&self, id: &str) -> Result<Self::Model>;

    /// Whether a loaded model still works.
    fn is_alive(model: &Self::Model) -> bool;
}

/// How much may be loaded at the same time, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most models.
    pub(crate) models: Option<usize>,
    /// The most memory.
    pub(crate) bytes: Option<u64>,
    /// How long a model waits for room that others take up.
    pub(crate) patience: Duration,
    /// How long a model that could not be loaded is not tried again.
    pub(crate) retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            models: None,
            bytes: None,
            patience: Duration::from_secs(60),
            retry_after: Duration::from_secs(5),
        }
    }
}

/// Models by id. Cheap to clone.
pub(crate) struct Pool<L: Loader>(Arc<Inner<L>>);

struct Inner<L: Loader> {
    loader: L,
    /// Of the models that somebody asked for.
    slots: RwLock<BTreeMap<String, Arc<Slot<L::Model>>>>,
    limits: Limits,
    /// One model is loaded at a time: it takes all of the machine.
    loading: tokio::sync::Mutex<()>,
    /// Told when a model is no longer in use.
    freed: Notify,
    host: Host,
}

struct Slot<M> {
    idle_timeout: Option<Duration>,
    /// Whether it goes for good when nobody uses it.
    is_released: AtomicBool,
    state: Mutex<State<M>>,
}

enum State<M> {
    Absent,
    Loading(Loading),
    Loaded(Arc<Loaded<M>>),
    Failed(Failure),
}

/// A model on its way.
#[derive(Clone)]
struct Loading {
    /// Whether it stands in for one that stopped working.
    again: bool,
    /// Holds whether it was loaded, once that is known.
    outcome: watch::Receiver<Option<Result<(), Failure>>>,
}

/// A failure that is told to all who wait.
#[derive(Debug, Clone)]
struct Failure {
    kind: ErrorKind,
    message: String,
    since: Instant,
}

struct Loaded<M> {
    model: M,
    size_bytes: u64,
    usage: Mutex<Usage>,
}

struct Usage {
    users: usize,
    last: Instant,
}

/// A loaded model, which stays as long as somebody has this. Cheap to clone.
pub(crate) struct Lease<L: Loader>(Arc<Held<L>>);

struct Held<L: Loader> {
    loaded: Arc<Loaded<L::Model>>,
    id: String,
    pool: Arc<Inner<L>>,
}

impl<L: Loader> Pool<L> {
    /// A pool of the models that the loader knows, none of them loaded.
    pub(crate) fn new(loader: L, limits: Limits, host: Host) -> Self {
        Self(Arc::new(Inner {
            loader,
            slots: RwLock::default(),
            limits,
            loading: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
            host,
        }))
    }

    /// The loader.
    pub(crate) fn loader(&self) -> &L {
        &self.0.loader
    }

    /// A model, loaded if need be. Whoever asks for a model that is being loaded waits for the same work, which goes on when they
    /// give up.
    pub(crate) async fn get(&self, id: &str) -> Result<Lease<L>> {
        let slot = self.0.slot(id)?;
        loop {
            let mut outcome = match self.0.look(&slot, id) {
                Look::Loaded(lease) => return Ok(lease),
                Look::Failed(failure) => return Err(failure.error()),
                Look::Loading(loading) => loading.outcome,
            };
            let outcome = match outcome.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
                Err(_) => return Err(Error::unavailable("the server is shutting down")),
            };
            outcome.map_err(|failure| failure.error())?;
        }
    }

    /// Lets go of a model for good, and of what is known of it: at once, or when it is no longer in use.
    pub(crate) fn release(&self, id: &str) {
        if let Some(slot) = self.0.known(id) {
            slot.is_released.store(true, Ordering::Relaxed);
            self.0.settle(id);
        }
    }

    /// A model, if it is loaded. Using it this way does not count as use.
    pub(crate) fn peek<T>(&self, id: &str, look: impl FnOnce(&L::Model) -> T) -> Option<T> {
        match &*lock(&self.0.known(id)?.state) {
            State::Loaded(loaded) => Some(look(&loaded.model)),
            State::Absent | State::Loading(_) | State::Failed(_) => None,
        }
    }

    /// Fails as unavailable while a model that was in use does not work.
    pub(crate) fn check(&self) -> Result<()> {
        for (id, slot) in self.0.all() {
            match &*lock(&slot.state) {
                State::Loaded(loaded) if !L::is_alive(&loaded.model) => {
                    return Err(Error::unavailable(format!("the engine of the model `{id}` stopped")));
                }
                State::Loading(Loading { again: true, .. }) => {
                    let message = format!("the engine of the model `{id}` stopped and is being built again");
                    return Err(Error::unavailable(message));
                }
                State::Failed(failure) => return Err(Error::unavailable(failure.message.as_str())),
                State::Absent | State::Loading(_) | State::Loaded(_) => {}
            }
        }
        Ok(())
    }
}

/// What is found of a model.
enum Look<L: Loader> {
    Loaded(Lease<L>),
    Loading(Loading),
    Failed(Failure),
}

impl<L: Loader> Inner<L> {
    /// The slot of a model that somebody asks for.
    fn slot(&self, id: &str) -> Result<Arc<Slot<L::Model>>> {
        {
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = slots.get(id) {
                slot.is_released.store(false, Ordering::Relaxed);
                return Ok(Arc::clone(slot));
            }
        }
        let idle_timeout = self.loader.idle_timeout(id)?;
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(id.to_owned()).or_insert_with(|| {
            Arc::new(Slot {
                idle_timeout,
                is_released: AtomicBool::new(false),
                state: Mutex::new(State::Absent),
            })
        });
        Ok(Arc::clone(slot))
    }

    /// The slot of a model that somebody has asked for.
    fn known(&self, id: &str) -> Option<Arc<Slot<L::Model>>> {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// All slots, each with its model's id.
    fn all(&self) -> Vec<(String, Arc<Slot<L::Model>>)> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect()
    }

    /// Removes the slot of a model that was released, and with it the model, unless it is in use or being loaded.
    fn settle(&self, id: &str) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let is_due = slots.get(id).is_some_and(|slot| {
            slot.is_released.load(Ordering::Relaxed)
                && match &*lock(&slot.state) {
                    State::Loading(_) => false,
                    State::Loaded(loaded) => lock(&loaded.usage).users == 0,
                    State::Absent | State::Failed(_) => true,
                }
        });
        let removed = is_due.then(|| slots.remove(id));
        drop(slots);
        // An engine takes its time to go.
        drop(removed);
        if is_due {
            self.freed.notify_waiters();
        }
    }

    fn look(self: &Arc<Self>, slot: &Arc<Slot<L::Model>>, id: &str) -> Look<L> {
        let mut state = lock(&slot.state);
        let again = match &*state {
            State::Loaded(loaded) if L::is_alive(&loaded.model) => return Look::Loaded(self.lease(loaded, id)),
            State::Loaded(_) => true,
            State::Loading(loading) => return Look::Loading(loading.clone()),
            State::Failed(failure) if failure.since.elapsed() < self.limits.retry_after => {
                return Look::Failed(failure.clone());
            }
            State::Absent | State::Failed(_) => false,
        };
        Look::Loading(self.begin(slot, &mut state, id, again))
    }

    fn lease(self: &Arc<Self>, loaded: &Arc<Loaded<L::Model>>, id: &str) -> Lease<L> {
        lock(&loaded.usage).users += 1;
        Lease(Arc::new(Held {
            loaded: Arc::clone(loaded),
            id: id.to_owned(),
            pool: Arc::clone(self),
        }))
    }

    /// Begins to load a model in the place of whatever is there.
    fn begin(
        self: &Arc<Self>,
        slot: &Arc<Slot<L::Model>>,
        state: &mut State<L::Model>,
        id: &str,
        again: bool,
    ) -> Loading {
        let (sender, outcome) = watch::channel(None);
        let loading = Loading { again, outcome };
        *state = State::Loading(loading.clone());
        let (pool, slot, id) = (Arc::clone(self), Arc::clone(slot), id.to_owned());
        self.host.spawn(async move {
            let shutdown = pool.host.shutdown();
            let loaded = tokio::select! {
                loaded = pool.load(&id) => loaded,
                // Whoever waits hears of it when the sender is dropped.
                () = shutdown => return,
            };
            let outcome = match loaded {
                Ok(loaded) => {
                    let loaded = Arc::new(loaded);
                    pool.watch_idleness(&slot, &id, &loaded);
                    *lock(&slot.state) = State::Loaded(loaded);
                    Ok(())
                }
                Err(error) => {
                    let failure = Failure {
                        kind: error.kind(),
                        message: error.message().to_owned(),
                        since: Instant::now(),
                    };
                    *lock(&slot.state) = State::Failed(failure.clone());
                    Err(failure)
                }
            };
            let _ = sender.send(Some(outcome));
            pool.settle(&id);
        });
        loading
    }

    async fn load(&self, id: &str) -> Result<Loaded<L::Model>> {
        let _turn = self.loading.lock().await;
        let size_bytes = self.loader.size_bytes(id);
        self.make_room(id, size_bytes).await?;
        Ok(Loaded {
            model: self.loader.load(id).await?,
            size_bytes,
            usage: Mutex::new(Usage {
                users: 0,
                last: Instant::now(),
            }),
        })
    }

    /// Lets go of models, those first that were not used for the longest time, until there is room for another one.
    async fn make_room(&self, id: &str, size_bytes: u64) -> Result<()> {
        if let Some(most) = self.limits.bytes.filter(|most| size_bytes > *most) {
            return Err(Error::configuration(format!(
                "the model `{id}` takes {size_bytes} bytes, more than all models may take together: {most} bytes"
            )));
        }
        let deadline = Instant::now() + self.limits.patience;
        loop {
            // Asked before looking, so that nothing that happens in between is missed.
            let freed = self.freed.notified();
            let (mut models, mut bytes) = (0, size_bytes);
            let mut oldest: Option<(Instant, Arc<Slot<L::Model>>)> = None;
            for (_, slot) in self.all() {
                let State::Loaded(loaded) = &*lock(&slot.state) else {
                    continue;
                };
                models += 1;
                bytes += loaded.size_bytes;
                let usage = lock(&loaded.usage);
                if usage.users == 0 && oldest.as_ref().is_none_or(|(last, _)| usage.last < *last) {
                    oldest = Some((usage.last, Arc::clone(&slot)));
                }
            }
            let fits = self.limits.models.is_none_or(|most| models < most)
                && self.limits.bytes.is_none_or(|most| bytes <= most);
            if fits {
                return Ok(());
            }
            match oldest {
                Some((_, slot)) => drop(self.unload_if(&slot, |_| true)),
                None => timeout_at(deadline, freed).await.map_err(|_| {
                    Error::unavailable(format!(
                        "there is no room for the model `{id}`: the {models} that are loaded are in use"
                    ))
                    .with_retry_after(self.limits.retry_after)
                })?,
            }
        }
    }

    /// Unloads a model that nobody uses, if its last use was as it should be.
    fn unload_if(&self, slot: &Slot<L::Model>, is_due: impl FnOnce(&Usage) -> bool) -> bool {
        let mut state = lock(&slot.state);
        let State::Loaded(loaded) = &*state else { return false };
        let is_due = {
            let usage = lock(&loaded.usage);
            usage.users == 0 && is_due(&usage)
        };
        if is_due {
            *state = State::Absent;
        }
        is_due
    }

    /// Unloads a model once nobody used it for its time.
    fn watch_idleness(self: &Arc<Self>, slot: &Arc<Slot<L::Model>>, id: &str, loaded: &Arc<Loaded<L::Model>>) {
        let Some(idle_timeout) = slot.idle_timeout else {
            return;
        };
        // Neither keeps the model, nor the pool, nor the server.
        let (pool, slot, loaded) = (Arc::downgrade(self), Arc::downgrade(slot), Arc::downgrade(loaded));
        let id = id.to_owned();
        let mut shutdown = self.host.shutdown();
        self.host.spawn(async move {
            let mut wake = Instant::now() + idle_timeout;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(wake) => {}
                    () = &mut shutdown => return,
                }
                let (Some(pool), Some(slot), Some(loaded)) = (pool.upgrade(), slot.upgrade(), loaded.upgrade()) else {
                    return;
                };
                {
                    let usage = lock(&loaded.usage);
                    let last = if usage.users > 0 { Instant::now() } else { usage.last };
                    wake = last + idle_timeout;
                }
                drop(loaded);
                if wake <= Instant::now() && pool.unload_if(&slot, |usage| usage.last.elapsed() >= idle_timeout) {
                    tracing::info!(model = id, "unloaded the model: nobody used it");
                    return;
                }
            }
        });
    }

    /// Takes a lease back.
    fn give_back(self: &Arc<Self>, id: &str, loaded: &Arc<Loaded<L::Model>>) {
        {
            let mut usage = lock(&loaded.usage);
            usage.users -= 1;
            usage.last = Instant::now();
            if usage.users > 0 {
                return;
            }
        }
        self.freed.notify_waiters();
        let Some(slot) = self.known(id) else { return };
        if slot.is_released.load(Ordering::Relaxed) {
            self.settle(id);
        } else if !L::is_alive(&loaded.model) {
            // Those who come next need not wait as long.
            let mut state = lock(&slot.state);
            if matches!(&*state, State::Loaded(current) if Arc::ptr_eq(current, loaded)) {
                self.begin(&slot, &mut state, id, true);
            }
        }
    }
}

impl Failure {
    fn error(&self) -> Error {
        Error::new(self.kind, self.message.as_str())
    }
}

impl<L: Loader> Clone for Lease<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L: Loader> Deref for Lease<L> {
    type Target = L::Model;

    fn deref(&self) -> &L::Model {
        &self.0.loaded.model
    }
}

impl<L: Loader> Drop for Held<L> {
    fn drop(&mut self) {
        self.pool.give_back(&self.id, &self.loaded);
    }
}

impl<L: Loader> std::fmt::Debug for Pool<L> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.0.all().into_iter().map(|(id, _)| id);
        formatter.debug_list().entries(ids).finish()
    }
}

/// What a panic left behind is as good as it was before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
