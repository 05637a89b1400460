//! Which model id leads to which provider.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use puna_api::{Error, Model, ModelType, ProviderModel, Result, Services};
use puna_config::ModelPlan;

use crate::registration::ModelRegistration;
use crate::suggestions::hint;

/// The provider id in a registered model that stands for the first provider with a model of its type.
const ANY_PROVIDER: &str = "all";
/// The provider's model id that stands for the first listed model of its type.
const FIRST_MODEL: &str = "auto";
/// At most this many models are registered while servers run: each stays in memory, and in the table that every change makes anew.
const MAX_ADDED: usize = 1000;

/// A provider that was built.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) provider_id: String,
    /// Whether the models that it lists are all that it has; a remote service may have more.
    pub(crate) lists_all: bool,
    pub(crate) services: Services,
}

impl Target {
    /// Whether models lead to it; a provider of files or indexes alone has none.
    fn has_models(&self) -> bool {
        let services = &self.services;
        let has_others = services.files.is_some() || services.file_processors.is_some() || services.vector_io.is_some();
        !has_others || services.inference.is_some() || services.rerank.is_some() || services.models.is_some()
    }
}

/// A model and the provider that serves it.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) model: Arc<Model>,
    pub(crate) target: Arc<Target>,
    /// Whether the model's type is known for certain.
    certain: bool,
}

/// The models of a server. Reading takes no lock; whoever changes something replaces the whole table.
#[derive(Debug)]
pub(crate) struct Registry {
    table: ArcSwap<Table>,
    sources: Mutex<Sources>,
}

/// What the table is made from.
#[derive(Debug, Default)]
struct Sources {
    /// In the order of the configuration.
    targets: Vec<Arc<Target>>,
    registered: Vec<ModelPlan>,
    added: Vec<Added>,
    listed: HashMap<String, Vec<ProviderModel>>,
}

/// A model that was registered while a server ran, this one or another over the same storage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Added {
    /// What was asked for.
    pub(crate) registration: ModelRegistration,
    /// What was made of it, with what the provider then listed.
    pub(crate) plan: ModelPlan,
}

#[derive(Debug, Default)]
struct Table {
    targets: HashMap<String, Arc<Target>>,
    routes: HashMap<String, Route>,
    /// The models to show, by id.
    models: BTreeMap<String, Arc<Model>>,
}

impl Registry {
    pub(crate) fn new(registered: Vec<ModelPlan>) -> Self {
        let sources = Sources {
            registered,
            ..Sources::default()
        };
        Self {
            table: ArcSwap::from_pointee(sources.table()),
            sources: Mutex::new(sources),
        }
    }

    /// Adds a provider.
    pub(crate) fn add_target(&self, target: Target) {
        self.change(|sources| sources.targets.push(Arc::new(target)));
    }

    /// Replaces what a provider lists.
    pub(crate) fn set_listed(&self, provider_id: &str, models: Vec<ProviderModel>) {
        self.change(|sources| {
            sources.listed.insert(provider_id.to_owned(), models);
        });
    }

    /// What the provider of a registration finds beside the models that it lists; nothing where the same is registered already.
    pub(crate) async fn find(&self, registration: &ModelRegistration) -> Result<Option<ProviderModel>> {
        registration.check()?;
        let provider_model_id = registration.provider_model_id();
        let target = {
            let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let target = sources.target_of(registration.provider_id.as_deref())?;
            let is_known =
                !target.lists_all || sources.lists(&target, provider_model_id) || sources.has_added(registration);
            if is_known {
                return Ok(None);
            }
            target
        };
        match &target.services.models {
            Some(models) => models
                .find_model(provider_model_id)
                .await
                .map_err(|error| error.with_param("provider_model_id")),
            None => Ok(None),
        }
    }

    /// What a registration comes to, with what its provider [found](Self::find), which [`add`](Self::add) makes true; `None` stands for the
    /// same once more, whatever the provider lists by then. Another model of the same id is a conflict, as is one too many.
    pub(crate) fn check(
        &self,
        registration: ModelRegistration,
        found: Option<&ProviderModel>,
    ) -> Result<Option<Added>> {
        registration.check()?;
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.has_added(&registration) {
            return Ok(None);
        }
        let target = sources.target_of(registration.provider_id.as_deref())?;
        let listed = sources.listed.get(&target.provider_id).map(Vec::as_slice);
        let plan = registration.clone().plan(&target, listed, found)?;
        if sources.added.iter().any(|added| added.plan == plan) {
            return Ok(None);
        }
        if self.table.load().routes.contains_key(&plan.model_id) {
            return Err(taken(&plan.model_id));
        }
        if sources.added.len() >= MAX_ADDED {
            let message = format!(
                "{MAX_ADDED} models are registered, which is the most; unregister one, or put models into the configuration"
            );
            return Err(Error::conflict(message).with_code("too_many_models"));
        }
        Ok(Some(Added { registration, plan }))
    }

    /// Adds a model that was registered while a server ran.
    pub(crate) fn add(&self, added: Added) {
        self.change(|sources| {
            sources.added.retain(|other| other.plan.model_id != added.plan.model_id);
            sources.added.push(added);
        });
    }

    /// Replaces all models that were registered while a server ran. Those of the configuration stand above them.
    pub(crate) fn set_added(&self, mut added: Vec<Added>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        added.retain(|added| !sources.is_configured(&added.plan.model_id));
        if sources.added != added {
            let before = std::mem::replace(&mut sources.added, added);
            self.table.store(Arc::new(sources.table()));
            drop(sources);
            self.release(&before);
        }
    }

    /// Whether the configuration registers a model of this id.
    pub(crate) fn is_configured(&self, id: &str) -> bool {
        self.sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_configured(id)
    }

    /// Fails unless a model of this id was registered while a server ran.
    pub(crate) fn check_added(&self, id: &str) -> Result<()> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.added.iter().any(|added| added.plan.model_id == id) {
            return Ok(());
        }
        drop(sources);
        let model = self.route(id)?.model;
        let message = format!(
            "the model `{}` is in the configuration or listed by its provider, and stays as long as it is there",
            shortened(&model.id)
        );
        Err(Error::invalid_request(message).with_param("model"))
    }

    /// Takes a model back that was registered while a server ran.
    pub(crate) fn remove(&self, id: &str) {
        let mut removed = Vec::new();
        self.change(|sources| {
            removed.extend(sources.added.extract_if(.., |added| added.plan.model_id == id));
        });
        self.release(&removed);
    }

    /// Tells providers of those of their models that were registered and that no id leads to any more.
    fn release(&self, added: &[Added]) {
        let table = self.table.load();
        for Added { plan, .. } in added {
            let provider_model_id = plan.provider_model_id.as_deref().unwrap_or(&plan.model_id);
            if table
                .routes
                .contains_key(&full_id(&plan.provider_id, provider_model_id))
            {
                continue;
            }
            let target = table.targets.get(&plan.provider_id);
            if let Some(models) = target.and_then(|target| target.services.models.as_ref()) {
                models.release_model(provider_model_id);
            }
        }
    }

    /// Whether an id leads to a model that is registered or listed.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.table.load().routes.contains_key(id)
    }

    fn change(&self, change: impl FnOnce(&mut Sources)) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut sources);
        self.table.store(Arc::new(sources.table()));
    }

    /// Every provider, in the order of the configuration.
    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        self.sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .targets
            .clone()
    }

    /// The models to show, ordered by id.
    pub(crate) fn models(&self) -> Vec<Arc<Model>> {
        self.table.load().models.values().cloned().collect()
    }

    /// The route of a model id: a registered or listed one, or `provider_id/model` of a provider that may know more models than it listed.
    pub(crate) fn route(&self, id: &str) -> Result<Route> {
        let table = self.table.load();
        if let Some(route) = table.routes.get(id) {
            return Ok(route.clone());
        }
        if let Some((target, provider_model_id)) = table.unlisted(id) {
            let model = Model {
                id: id.to_owned(),
                provider_id: target.provider_id.clone(),
                provider_model_id: provider_model_id.to_owned(),
                model_type: ModelType::default(),
                metadata: serde_json::Map::new(),
            };
            return Ok(Route {
                model: Arc::new(model),
                target: Arc::clone(target),
                certain: false,
            });
        }
        let hint = hint(id, table.models.keys().map(String::as_str));
        Err(
            Error::not_found(format!("the model `{}` does not exist{hint}", shortened(id)))
                .with_code("model_not_found")
                .with_param("model"),
        )
    }

    /// The provider that a model id leads to, and whether the model is registered or listed; `None` where the id leads nowhere.
    pub(crate) fn place(&self, id: &str) -> Option<(Arc<Target>, bool)> {
        let table = self.table.load();
        if let Some(route) = table.routes.get(id) {
            return Some((Arc::clone(&route.target), true));
        }
        table.unlisted(id).map(|(target, _)| (Arc::clone(target), false))
    }

    /// The route of a model id that must be of this type.
    pub(crate) fn route_for(&self, id: &str, model_type: ModelType) -> Result<Route> {
        let route = self.route(id)?;
        if route.certain && route.model.model_type != model_type {
            return Err(Error::invalid_request(format!(
                "the model `{id}` is of type `{}`, and this operation needs one of type `{}`",
                route.model.model_type.name(),
                model_type.name()
            ))
            .with_param("model"));
        }
        Ok(route)
    }
}

/// The answer where another model has the id already.
pub(crate) fn taken(id: &str) -> Error {
    Error::conflict(format!("there is a model `{}` already", shortened(id))).with_param("model_id")
}

/// The id that every model of a provider has.
fn full_id(provider_id: &str, provider_model_id: &str) -> String {
    format!("{provider_id}/{provider_model_id}")
}

/// A name for a message, of a length that a reader can bear.
fn shortened(id: &str) -> std::borrow::Cow<'_, str> {
    const LONGEST: usize = 200;
    match id.char_indices().nth(LONGEST) {
        None => id.into(),
        Some((end, _)) => format!("{}…", &id[..end]).into(),
    }
}

impl Sources {
    fn table(&self) -> Table {
        let mut table = Table {
            targets: self
                .model_targets()
                .map(|target| (target.provider_id.clone(), Arc::clone(target)))
                .collect(),
            ..Table::default()
        };
        for target in self.model_targets() {
            for listed in self.listed.get(&target.provider_id).into_iter().flatten() {
                let id = full_id(&target.provider_id, &listed.provider_model_id);
                table.add(
                    Model {
                        id,
                        provider_id: target.provider_id.clone(),
                        provider_model_id: listed.provider_model_id.clone(),
                        model_type: listed.model_type,
                        metadata: listed.metadata.clone(),
                    },
                    target,
                    target.lists_all,
                );
            }
        }
        // What the operator registered stands above what a provider lists.
        let added = self.added.iter().map(|added| &added.plan);
        for registered in self.registered.iter().chain(added) {
            if let Some((model, target)) = self.resolve(registered) {
                table.add(model, target, true);
            }
        }
        table
    }

    /// Whether the same was registered while a server ran.
    fn has_added(&self, registration: &ModelRegistration) -> bool {
        self.added.iter().any(|added| added.registration == *registration)
    }

    fn is_configured(&self, id: &str) -> bool {
        self.registered.iter().any(|plan| plan.model_id == id)
    }

    /// The providers that models lead to.
    fn model_targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.iter().filter(|target| target.has_models())
    }

    /// The provider of a registration: the one that it names, or else the only one.
    fn target_of(&self, provider_id: Option<&str>) -> Result<Arc<Target>> {
        let targets: Vec<_> = self.model_targets().collect();
        let found = match (provider_id, targets.as_slice()) {
            (Some(id), targets) => targets.iter().find(|target| target.provider_id == id),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        found.copied().cloned().ok_or_else(|| {
            let there: Vec<_> = targets
                .iter()
                .map(|target| format!("`{}`", target.provider_id))
                .collect();
            let there = there.join(", ");
            let message = match provider_id {
                Some(id) => format!("there is no provider `{}`; there are: {there}", shortened(id)),
                None => format!("`provider_id` is missing, and there are several: {there}"),
            };
            Error::invalid_request(message).with_param("provider_id")
        })
    }

    fn lists(&self, target: &Target, provider_model_id: &str) -> bool {
        let listed = self.listed.get(&target.provider_id);
        listed.is_some_and(|listed| listed.iter().any(|model| model.provider_model_id == provider_model_id))
    }

    /// A registered model, once its provider is there and, for `auto` and where the model must be among them, has listed its models.
    fn resolve(&self, registered: &ModelPlan) -> Option<(Model, &Arc<Target>)> {
        let first = |target: &Target| {
            let listed = self.listed.get(&target.provider_id)?;
            listed.iter().find(|model| model.model_type == registered.model_type)
        };
        let target = self
            .model_targets()
            .find(|target| match registered.provider_id.as_str() {
                ANY_PROVIDER => first(target).is_some(),
                provider_id => target.provider_id == provider_id,
            })?;
        let (provider_model_id, mut metadata) = match registered.provider_model_id.as_deref() {
            Some(FIRST_MODEL) => {
                let model = first(target)?;
                (model.provider_model_id.clone(), model.metadata.clone())
            }
            Some(provider_model_id) => (provider_model_id.to_owned(), serde_json::Map::new()),
            None => (registered.model_id.clone(), serde_json::Map::new()),
        };
        if registered.model_validation == Some(true) && !self.lists(target, &provider_model_id) {
            return None;
        }
        metadata.extend(registered.metadata.clone());
        let model = Model {
            id: registered.model_id.clone(),
            provider_id: target.provider_id.clone(),
            provider_model_id,
            model_type: registered.model_type,
            metadata,
        };
        Some((model, target))
    }
}

impl Table {
    /// The provider of `provider_id/model`, where it may know more models than it listed, and what it knows the model by.
    fn unlisted<'a>(&self, id: &'a str) -> Option<(&Arc<Target>, &'a str)> {
        let (provider_id, provider_model_id) = id.split_once('/')?;
        let target = self.targets.get(provider_id)?;
        (!target.lists_all && !provider_model_id.is_empty()).then_some((target, provider_model_id))
    }

    fn add(&mut self, model: Model, target: &Arc<Target>, certain: bool) {
        let model = Arc::new(model);
        let route = Route {
            model: Arc::clone(&model),
            target: Arc::clone(target),
            certain,
        };
        // A registered model answers under its full name too, where no other model has that name.
        let full = full_id(&model.provider_id, &model.provider_model_id);
        if full != model.id {
            self.routes.entry(full).or_insert_with(|| route.clone());
        }
        self.models.insert(model.id.clone(), Arc::clone(&model));
        self.routes.insert(model.id.clone(), route);
    }
}

#[cfg(test)]
mod tests;
