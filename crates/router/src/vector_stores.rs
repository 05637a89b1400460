//! From the plan's vector stores to their settings.

use std::sync::Arc;
use std::time::Duration;

use puna_api::{ErrorKind, Fusion, RequestContext, Result, StaticChunking, Tasks};
use puna_config::{RegisteredStorePlan, StoragePlan, VectorStoresPlan};
use puna_storage::SqlReference;
use puna_vector_stores::{
    ContextualDefaults, CreateStore, DefaultEmbeddingModel, RetrievalDefaults, Rewriting, VectorStoreSettings,
    VectorStores,
};

/// What a model that rewrites queries is told by default.
const PROMPT: &str = "Rewrite this question as a short query for a search engine over documents. Keep names, numbers and the language. \
                      Answer with the query alone.\n\n{query}";
/// How much it writes by default, as in the original.
const MAX_TOKENS: u32 = 100;
/// How freely it writes by default, as in the original.
const TEMPERATURE: f64 = 0.3;

/// The first pause after a store could not be made; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Makes the stores that the configuration registers and that are not there, in the background: a model or a provider may be away.
pub(crate) fn register(stores: VectorStores, registered: Vec<RegisteredStorePlan>, tasks: &Arc<dyn Tasks>) {
    if registered.is_empty() {
        return;
    }
    let shutdown = tasks.shutdown();
    tasks.spawn(Box::pin(async move {
        let registering = async {
            for store in registered {
                keep_trying(&stores, &store).await;
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = registering => {}
        }
    }));
}

async fn keep_trying(stores: &VectorStores, store: &RegisteredStorePlan) {
    let mut pause = FIRST_PAUSE;
    loop {
        match make(stores, store).await {
            Ok(()) => return,
            // A model that a remote provider has not listed yet is not there, too.
            Err(error) => {
                tracing::warn!(
                    ?error,
                    vector_store = store.id,
                    "failed to make a registered vector store; trying again"
                );
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn make(stores: &VectorStores, store: &RegisteredStorePlan) -> Result<()> {
    let context = RequestContext::new(format!("register-{}", store.id));
    match stores.get(&context, &store.id).await {
        Ok(there) => {
            let is_other = |asked: &Option<String>, is: &str| asked.as_ref().is_some_and(|asked| asked != is);
            if is_other(&store.embedding_model, &there.embedding_model)
                || is_other(&store.provider_id, &there.provider_id)
            {
                tracing::warn!(
                    vector_store = store.id,
                    model = there.embedding_model,
                    provider = there.provider_id,
                    "a registered vector store is there with another model or provider, and stays as it is"
                );
            }
            return Ok(());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let request = CreateStore {
        id: Some(store.id.clone()),
        name: store.name.clone(),
        provider_id: store.provider_id.clone(),
        embedding_model: store.embedding_model.clone(),
        embedding_dimension: store.embedding_dimension,
        ..CreateStore::default()
    };
    // Where another replica is first, this one finds out when it tries again.
    stores.create(&context, request).await.map(drop)
}

/// The settings of a plan's vector stores.
pub(crate) fn settings(plan: VectorStoresPlan, storage: &StoragePlan) -> VectorStoreSettings {
    let defaults = VectorStoreSettings::default();
    let (alpha, impact_factor) = (
        plan.weighted_alpha.unwrap_or(defaults.retrieval.alpha),
        plan.rrf_impact_factor.unwrap_or(defaults.retrieval.impact_factor),
    );
    VectorStoreSettings {
        table: SqlReference {
            backend: storage.jobs.backend.clone(),
            table_name: storage.vector_stores.clone(),
        },
        default_provider_id: plan.default_provider_id,
        default_embedding_model: plan.default_embedding_model.map(|model| DefaultEmbeddingModel {
            model,
            dimension: plan.default_embedding_dimension,
        }),
        default_rerank_model: plan.default_reranker_model,
        rewriting: plan.rewriting.map(|rewriting| Rewriting {
            model: rewriting.model,
            prompt: rewriting.prompt.unwrap_or_else(|| PROMPT.to_owned()),
            max_tokens: rewriting.max_tokens.unwrap_or(MAX_TOKENS),
            temperature: rewriting.temperature.unwrap_or(TEMPERATURE),
        }),
        chunking: StaticChunking {
            max_chunk_size_tokens: plan
                .chunk_size_tokens
                .unwrap_or(defaults.chunking.max_chunk_size_tokens),
            chunk_overlap_tokens: plan
                .chunk_overlap_tokens
                .unwrap_or(defaults.chunking.chunk_overlap_tokens),
        },
        contextual: ContextualDefaults {
            model: plan.contextual_model,
            timeout: plan.contextual_timeout,
            max_concurrency: plan.contextual_concurrency,
        },
        retrieval: RetrievalDefaults {
            mode: plan.search_mode.unwrap_or(defaults.retrieval.mode),
            fusion: match plan.is_weighted {
                true => Fusion::Weighted { alpha },
                false => Fusion::Rrf { impact_factor },
            },
            alpha,
            impact_factor,
            multiplier: plan.chunk_multiplier.unwrap_or(defaults.retrieval.multiplier),
        },
        files_at_once: plan
            .files_at_once
            .map_or(defaults.files_at_once, |files| files as usize),
    }
}
