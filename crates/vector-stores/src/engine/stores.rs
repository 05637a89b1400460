//! Stores: made, read, changed and deleted.

use std::time::Duration;

use puna_api::{Error, Metric, Model, ModelType, RequestContext, Result, VectorIndex};
use serde_json::Value;

use super::{VectorStores, expired, new_id, no_store, now, removal, shown};
use crate::embedding;
use crate::tables::{NewStore, StoreRow, StoreState};
use crate::{AttachFile, CreateStore, Page, PageQuery, StoreStatus, UpdateStore, VectorStore, VectorStoreObject};

/// How long making a store waits for the removal of another one that had its id.
const PATIENCE: Duration = Duration::from_secs(10);

impl VectorStores {
    /// Makes a store, and attaches files to it. A store of this id that is there already is a conflict that names `id`.
    pub async fn create(&self, context: &RequestContext, request: CreateStore) -> Result<VectorStore> {
        request.check()?;
        let (provider_id, provider) = self.choose_provider(&request)?;
        let (model, dimension) = self.choose_model(context, &request).await?;
        let place = new_id("");
        let id = request.id.clone().unwrap_or_else(|| format!("vs_{place}"));
        let index = VectorIndex {
            index_id: id.clone(),
            dimension,
            metric: Metric::Cosine,
        };
        index.check(provider.capabilities())?;
        let attached = request
            .file_ids
            .unwrap_or_default()
            .into_iter()
            .map(|file_id| AttachFile {
                file_id,
                attributes: None,
                chunking_strategy: request.chunking_strategy.clone(),
            });
        let files = self.new_files(context, attached.collect(), "file_ids").await?;

        let store = NewStore {
            id: &id,
            place: &place,
            name: request.name.as_deref().unwrap_or_default(),
            description: request.description.as_deref(),
            metadata: &request.metadata.unwrap_or_default(),
            provider_id: &provider_id,
            embedding_model: &model,
            embedding_dimension: dimension,
            expires_after: request.expires_after,
            now: now(),
        };
        self.begin_store(&store).await?;
        let made = async {
            provider.create_index(context, index).await?;
            let mut transaction = self.jobs().begin().await?;
            if !self.opened()?.finish_store(&mut transaction, &id).await? {
                return Err(Error::unavailable("making the vector store took too long; try again"));
            }
            self.add_files(&mut transaction, &id, None, files).await?;
            transaction.commit().await
        };
        if let Err(error) = made.await {
            // What cannot be taken back now is left to the sweep.
            if let Err(error) = self.remove_store(&id).await {
                tracing::warn!(
                    ?error,
                    store = id,
                    "failed to take back a vector store that could not be made"
                );
            }
            return Err(error);
        }
        self.wake_ingestion();
        self.get(context, &id).await
    }

    /// A store.
    pub async fn get(&self, _context: &RequestContext, store_id: &str) -> Result<VectorStore> {
        let store = match self.may_hold()? {
            true => self.tables().await?.shown_store(store_id).await?,
            false => None,
        };
        store.map(object).ok_or_else(|| no_store(store_id))
    }

    /// Some of the stores.
    pub async fn list(&self, _context: &RequestContext, query: &PageQuery) -> Result<Page<VectorStore>> {
        query.check()?;
        if !self.may_hold()? && query.after.is_none() && query.before.is_none() {
            return Ok(Page {
                data: Vec::new(),
                has_more: false,
            });
        }
        let page = self.tables().await?.list_stores(query).await?;
        Ok(page.map(object))
    }

    /// Changes what is noted about a store.
    pub async fn update(&self, context: &RequestContext, store_id: &str, update: UpdateStore) -> Result<VectorStore> {
        update.check()?;
        let store = self.store(store_id).await?;
        if update.expires_after.is_some() && store.is_expired(now()) {
            return Err(expired(store_id));
        }
        if !self.tables().await?.update_store(store_id, &update, now()).await? {
            return Err(no_store(store_id));
        }
        self.get(context, store_id).await
    }

    /// Takes a store away, with all that is in it. The files themselves stay.
    pub async fn delete(&self, _context: &RequestContext, store_id: &str) -> Result<()> {
        self.store(store_id).await?;
        if !self.remove_store(store_id).await? {
            return Err(no_store(store_id));
        }
        Ok(())
    }

    /// Has a store be gone for requests, and a job take away what is left of it. Says whether it was there.
    pub(super) async fn remove_store(&self, store_id: &str) -> Result<bool> {
        let tables = self.tables().await?;
        let mut transaction = self.jobs().begin().await?;
        let gone = tables.mark_store_going(&mut transaction, store_id).await?;
        let Some(place) = gone else { return Ok(false) };
        self.submit_all(&mut transaction, [removal::of_store(store_id, &place)?])
            .await?;
        transaction.commit().await?;
        self.jobs().wake(removal::KIND);
        Ok(true)
    }

    /// Notes a store that is about to be made, under an id that nothing has.
    async fn begin_store(&self, store: &NewStore<'_>) -> Result<()> {
        let tables = self.tables().await?;
        if tables.begin_store(store).await? {
            return Ok(());
        }
        // The one that had the id may be about to go.
        let there = tables.any_store(store.id).await?;
        if let Some(there) = there.filter(|there| there.state == StoreState::Going) {
            let removal = removal::id_of_store(&there.place);
            let _ = tokio::time::timeout(PATIENCE, self.jobs().wait(&removal)).await;
            if tables.begin_store(store).await? {
                return Ok(());
            }
        }
        let message = format!("there is a vector store `{}` already", shown(store.id));
        Err(Error::conflict(message).with_param("id"))
    }

    fn choose_provider(&self, request: &CreateStore) -> Result<(String, std::sync::Arc<dyn puna_api::VectorIo>)> {
        let providers = self.surroundings().vector_providers();
        let there = || {
            let ids: Vec<String> = providers.iter().map(|(id, _)| format!("`{id}`")).collect();
            ids.join(", ")
        };
        let noted = noted(request, "provider_id");
        let asked = request.provider_id.as_deref().or_else(|| noted.and_then(Value::as_str));
        let wanted = asked.or(self.settings().default_provider_id.as_deref());
        let message = match (wanted, providers.as_slice()) {
            (_, []) => {
                let message =
                    "this server keeps no vector stores; its configuration has no provider of the API `vector_io`";
                return Err(Error::unsupported(message));
            }
            (None, [only]) => return Ok(only.clone()),
            (Some(wanted), _) => match providers.iter().find(|(id, _)| id == wanted) {
                Some(found) => return Ok(found.clone()),
                None => format!(
                    "there is no provider `{}` of vector stores; there are: {}",
                    shown(wanted),
                    there()
                ),
            },
            (None, _) => format!("`provider_id` is missing, and there are several: {}", there()),
        };
        Err(Error::invalid_request(message).with_param("provider_id"))
    }

    /// The model of a new store, and how many numbers its vectors have.
    async fn choose_model(&self, context: &RequestContext, request: &CreateStore) -> Result<(String, u32)> {
        let noted_model = noted(request, "embedding_model").and_then(Value::as_str);
        let noted_dimension = noted(request, "embedding_dimension").and_then(Value::as_u64);
        let asked = request.embedding_model.as_deref().or(noted_model);
        let default = self.settings().default_embedding_model.as_ref();
        let model = match (asked, default) {
            (Some(asked), _) => {
                let model = self.surroundings().model(context, asked).await;
                model.map_err(|error| match error.kind() {
                    puna_api::ErrorKind::NotFound => {
                        Error::invalid_request(error.message()).with_param("embedding_model")
                    }
                    _ => error,
                })?
            }
            (None, Some(default)) => self.surroundings().model(context, &default.model).await?,
            (None, None) => self.only_model(context).await?,
        };
        let configured = default
            .filter(|default| default.model == model.id)
            .and_then(|default| default.dimension);
        let known = known_dimension(&model).or(configured);
        let asked = request
            .embedding_dimension
            .or_else(|| noted_dimension.and_then(|dimension| u32::try_from(dimension).ok()));
        let dimension = match (asked, known) {
            (Some(asked), Some(known)) if asked != known => {
                let message = format!(
                    "`embedding_dimension` is {asked}, and the model `{}` makes vectors of dimension {known}",
                    model.id
                );
                return Err(Error::invalid_request(message).with_param("embedding_dimension"));
            }
            (Some(dimension), _) | (None, Some(dimension)) => dimension,
            (None, None) => embedding::probe(self.surroundings(), context, &model.id).await?,
        };
        Ok((model.id.clone(), dimension))
    }

    async fn only_model(&self, context: &RequestContext) -> Result<std::sync::Arc<Model>> {
        let mut models = self.surroundings().models(context).await;
        models.retain(|model| model.model_type == ModelType::Embedding);
        let message = match models.len() {
            1 => return Ok(models.remove(0)),
            0 => "`embedding_model` is missing, and this server lists no embedding model".to_owned(),
            _ => {
                let ids: Vec<String> = models.iter().map(|model| format!("`{}`", model.id)).take(20).collect();
                format!(
                    "`embedding_model` is missing, and there are several: {}",
                    ids.join(", ")
                )
            }
        };
        Err(Error::invalid_request(message).with_param("embedding_model"))
    }
}

/// A choice that older clients send among the metadata.
fn noted<'a>(request: &'a CreateStore, key: &str) -> Option<&'a Value> {
    request.metadata.as_ref()?.get(key)
}

fn known_dimension(model: &Model) -> Option<u32> {
    let dimension = model.metadata.get("embedding_dimension")?.as_u64()?;
    u32::try_from(dimension).ok()
}

fn object(store: StoreRow) -> VectorStore {
    let status = if store.is_expired(now()) {
        StoreStatus::Expired
    } else if store.file_counts.in_progress > 0 {
        StoreStatus::InProgress
    } else {
        StoreStatus::Completed
    };
    VectorStore {
        object: VectorStoreObject::VectorStore,
        created_at: store.created_at,
        name: store.name,
        description: store.description,
        usage_bytes: store.usage_bytes,
        file_counts: store.file_counts,
        status,
        expires_after: store.expires_after,
        expires_at: store.expires_at,
        last_active_at: Some(store.last_active_at),
        metadata: store.metadata,
        embedding_model: store.embedding_model,
        embedding_dimension: store.embedding_dimension,
        provider_id: store.provider_id,
        id: store.id,
    }
}
