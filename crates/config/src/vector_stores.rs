//! The `vector_stores` part.

use std::time::Duration;

use puna_api::{Api, SearchMode, StaticChunking};

use crate::document::{
    ChunkRetrieval, ContextualRetrieval, DefaultModel, FileBatch, FileIngestion, RegisteredStore, RewriteQuery,
    VectorStores,
};
use crate::missing::Missing;
use crate::nearest::{list, nearest};
use crate::path::{Path, Step};
use crate::providers::Providers;
use crate::report::Site;
use crate::{DisabledProvider, Problem, RegisteredStorePlan, RewritingPlan, VectorStoresPlan};

/// The ways in which two lists become one.
const STRATEGIES: &[&str] = &["rrf", "weighted"];
/// What stands for the query in a prompt.
const QUERY: &str = "{query}";

/// Checks the part against the providers.
pub(crate) fn read(
    site: &Site<'_>,
    document: Option<VectorStores>,
    registered: Vec<RegisteredStore>,
    providers: &Providers,
    missing: &mut Missing<'_>,
    skip_missing: bool,
    problems: &mut Vec<Problem>,
) -> VectorStoresPlan {
    let mut reader = Reader {
        site,
        providers,
        missing,
        skip_missing,
        problems,
        plan: VectorStoresPlan::default(),
    };
    if let Some(document) = document {
        reader.read(document);
    }
    for (index, store) in registered.into_iter().enumerate() {
        let below = Path::default().key("registered_resources").key("vector_stores");
        reader.registered(store, &below.index(index));
    }
    reader.plan
}

struct Reader<'a, 'b> {
    site: &'a Site<'a>,
    providers: &'a Providers,
    missing: &'a mut Missing<'b>,
    skip_missing: bool,
    problems: &'a mut Vec<Problem>,
    plan: VectorStoresPlan,
}

impl Reader<'_, '_> {
    fn read(&mut self, document: VectorStores) {
        let VectorStores {
            default_provider_id,
            default_embedding_model,
            default_reranker_model,
            rewrite_query_params,
            file_search_params,
            context_prompt_params,
            annotation_prompt_params,
            file_ingestion_params,
            chunk_retrieval_params,
            file_batch_params,
            contextual_retrieval_params,
        } = document;
        for (key, is_there) in [
            ("file_search_params", file_search_params.is_some()),
            ("context_prompt_params", context_prompt_params.is_some()),
            ("annotation_prompt_params", annotation_prompt_params.is_some()),
        ] {
            if is_there {
                let reason = "it is about the tool `file_search`, which this version does not have";
                self.left_out(&place(&[key]), reason);
            }
        }
        let id = default_provider_id.filter(|id| !id.is_empty());
        let path = place(&["default_provider_id"]);
        self.plan.default_provider_id = id.filter(|id| self.is_there(Api::VectorIo, id, &path));
        let key = "default_embedding_model";
        self.plan.default_embedding_dimension = default_embedding_model
            .as_ref()
            .and_then(|model| model.embedding_dimensions);
        self.plan.default_embedding_model = default_embedding_model.and_then(|model| self.model(model, &place(&[key])));
        let key = "default_reranker_model";
        self.plan.default_reranker_model = default_reranker_model.and_then(|model| self.model(model, &place(&[key])));
        if let Some(params) = rewrite_query_params {
            self.rewriting(params);
        }
        if let Some(params) = file_ingestion_params {
            self.ingestion(&params);
        }
        if let Some(params) = chunk_retrieval_params {
            self.retrieval(params);
        }
        if let Some(params) = file_batch_params {
            self.batches(&params);
        }
        if let Some(params) = contextual_retrieval_params {
            self.contextual(params);
        }
    }

    fn rewriting(&mut self, params: RewriteQuery) {
        let key = "rewrite_query_params";
        let RewriteQuery {
            model,
            prompt,
            max_tokens,
            temperature,
        } = params;
        if prompt.as_ref().is_some_and(|prompt| !prompt.contains(QUERY)) {
            let message = format!("has no `{QUERY}` where the query goes");
            self.problem(&place(&[key, "prompt"]), message, None);
        }
        if max_tokens == Some(0) {
            self.problem(&place(&[key, "max_tokens"]), "must be 1 or more, not 0", None);
        }
        if let Some(temperature) = temperature.filter(|temperature| !(0.0..=2.0).contains(temperature)) {
            let message = format!("must be from 0 to 2, not {temperature}");
            self.problem(&place(&[key, "temperature"]), message, None);
        }
        // Without a model there is nobody to rewrite, which a request that asks for it is told.
        let model = model.and_then(|model| self.model(model, &place(&[key, "model"])));
        self.plan.rewriting = model.map(|model| RewritingPlan {
            model,
            prompt,
            max_tokens,
            temperature,
        });
    }

    fn ingestion(&mut self, params: &FileIngestion) {
        let key = "file_ingestion_params";
        let FileIngestion {
            default_chunk_size_tokens: size,
            default_chunk_overlap_tokens: overlap,
        } = *params;
        let usual = StaticChunking::default();
        let (least, most) = (StaticChunking::LEAST_TOKENS, StaticChunking::MOST_TOKENS);
        if let Some(size) = size.filter(|size| !(least..=most).contains(size)) {
            let message = format!("must be from {least} to {most}, not {size}");
            self.problem(&place(&[key, "default_chunk_size_tokens"]), message, None);
        }
        let most = size.unwrap_or(usual.max_chunk_size_tokens) / 2;
        if let Some(overlap) = overlap.filter(|overlap| *overlap > most) {
            let message = format!("must be at most half of a chunk, which is {most}, not {overlap}");
            self.problem(&place(&[key, "default_chunk_overlap_tokens"]), message, None);
        }
        self.plan.chunk_size_tokens = size;
        // Half of a small chunk is less than the usual overlap.
        self.plan.chunk_overlap_tokens =
            overlap.or_else(|| size.map(|size| (size / 2).min(usual.chunk_overlap_tokens)));
    }

    fn retrieval(&mut self, params: ChunkRetrieval) {
        let key = "chunk_retrieval_params";
        let ChunkRetrieval {
            chunk_multiplier,
            max_tokens_in_context,
            default_reranker_strategy,
            rrf_impact_factor,
            weighted_search_alpha,
            default_search_mode,
        } = params;
        if max_tokens_in_context.is_some() {
            let reason = "it is about the tool `file_search`, which this version does not have";
            self.left_out(&place(&[key, "max_tokens_in_context"]), reason);
        }
        if let Some(multiplier) = chunk_multiplier.filter(|multiplier| !(1..=100).contains(multiplier)) {
            let message = format!("must be from 1 to 100, not {multiplier}");
            self.problem(&place(&[key, "chunk_multiplier"]), message, None);
        }
        if let Some(factor) = rrf_impact_factor.filter(|factor| !(factor.is_finite() && *factor > 0.0)) {
            self.problem(
                &place(&[key, "rrf_impact_factor"]),
                format!("must be above 0, not {factor}"),
                None,
            );
        }
        if let Some(alpha) = weighted_search_alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            self.problem(
                &place(&[key, "weighted_search_alpha"]),
                format!("must be from 0 to 1, not {alpha}"),
                None,
            );
        }
        match default_reranker_strategy.as_deref() {
            None | Some("rrf") => {}
            Some("weighted") => self.plan.is_weighted = true,
            Some(other) => {
                let hint = format!("one of {}", list(STRATEGIES.iter().copied()));
                let message = format!("there is no strategy `{other}`");
                self.problem(&place(&[key, "default_reranker_strategy"]), message, Some(hint));
            }
        }
        self.plan.search_mode = default_search_mode.and_then(|name| {
            let mode = SearchMode::ALL.iter().find(|mode| mode.name() == name).copied();
            if mode.is_none() {
                let hint = format!("one of {}", list(SearchMode::ALL.iter().map(|mode| mode.name())));
                let message = format!("there is no mode `{name}`");
                self.problem(&place(&[key, "default_search_mode"]), message, Some(hint));
            }
            mode
        });
        self.plan.chunk_multiplier = chunk_multiplier;
        self.plan.rrf_impact_factor = rrf_impact_factor.map(|factor| factor as f32);
        self.plan.weighted_alpha = weighted_search_alpha.map(|alpha| alpha as f32);
    }

    fn batches(&mut self, params: &FileBatch) {
        let key = "file_batch_params";
        let FileBatch {
            max_concurrent_files_per_batch: files,
            file_batch_chunk_size,
            cleanup_interval_seconds,
        } = *params;
        if let Some(files) = files.filter(|files| !(1..=64).contains(files)) {
            let message = format!("must be from 1 to 64, not {files}");
            self.problem(&place(&[key, "max_concurrent_files_per_batch"]), message, None);
        }
        for (name, is_there, reason) in [
            (
                "file_batch_chunk_size",
                file_batch_chunk_size.is_some(),
                "each file of a batch is a job of its own here",
            ),
            (
                "cleanup_interval_seconds",
                cleanup_interval_seconds.is_some(),
                "batches stay as long as their stores here",
            ),
        ] {
            if is_there {
                self.left_out(&place(&[key, name]), reason);
            }
        }
        self.plan.files_at_once = files;
    }

    fn contextual(&mut self, params: ContextualRetrieval) {
        let key = "contextual_retrieval_params";
        let ContextualRetrieval {
            model,
            default_timeout_seconds: seconds,
            default_max_concurrency: concurrency,
            max_document_tokens,
        } = params;
        if max_document_tokens.is_some() {
            let reason = "what reads documents has a bound of its own, under `providers.file_processors`";
            self.left_out(&place(&[key, "max_document_tokens"]), reason);
        }
        if seconds == Some(0) {
            self.problem(
                &place(&[key, "default_timeout_seconds"]),
                "must be 1 or more, not 0",
                None,
            );
        }
        if concurrency == Some(0) {
            self.problem(
                &place(&[key, "default_max_concurrency"]),
                "must be 1 or more, not 0",
                None,
            );
        }
        self.plan.contextual_model = model.and_then(|model| self.model(model, &place(&[key, "model"])));
        self.plan.contextual_timeout = seconds.map(Duration::from_secs);
        self.plan.contextual_concurrency = concurrency;
    }

    fn registered(&mut self, store: RegisteredStore, path: &Path) {
        let RegisteredStore {
            vector_store_id: id,
            vector_store_name: name,
            provider_id,
            provider_vector_store_id,
            embedding_model,
            embedding_dimension,
        } = store;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !(1..=128).contains(&id.len()) || !id.chars().all(is_allowed) {
            let hint = "1 to 128 letters, digits, `-`, `_` and `.`".to_owned();
            let message = format!("`{id}` cannot be the id of a vector store");
            self.problem(&path.clone().key("vector_store_id"), message, Some(hint));
            return;
        }
        if self.plan.registered.iter().any(|there| there.id == id) {
            let message = format!("the vector store `{id}` is registered a second time");
            self.problem(&path.clone().key("vector_store_id"), message, None);
            return;
        }
        if provider_vector_store_id.is_some_and(|other| other != id) {
            let reason = "providers know stores by the id that clients use";
            self.left_out(&path.clone().key("provider_vector_store_id"), reason);
        }
        if let Some(provider_id) = &provider_id
            && !self.is_there(Api::VectorIo, provider_id, &path.clone().key("provider_id"))
        {
            return;
        }
        self.plan.registered.push(RegisteredStorePlan {
            id,
            name,
            provider_id,
            embedding_model,
            embedding_dimension,
        });
    }

    /// A model as requests name it; none when its provider is left out.
    fn model(&mut self, model: DefaultModel, path: &Path) -> Option<String> {
        let DefaultModel {
            provider_id, model_id, ..
        } = model;
        if model_id.is_empty() || model_id.chars().any(char::is_control) {
            self.problem(&path.clone().key("model_id"), "must be a name", None);
            return None;
        }
        let is_there = self.is_there(Api::Inference, &provider_id, &path.clone().key("provider_id"));
        is_there.then(|| format!("{provider_id}/{model_id}"))
    }

    /// Whether a provider of an API is there. One that is left out leaves out what names it.
    fn is_there(&mut self, api: Api, id: &str, path: &Path) -> bool {
        let providers = self.providers;
        let of_api = providers.plans.iter().filter(|plan| plan.apis.contains(&api));
        let ids: Vec<&str> = of_api.map(|plan| plan.id.as_str()).collect();
        if ids.contains(&id) {
            return true;
        }
        let is_disabled = |disabled: &DisabledProvider| disabled.id.as_deref() == Some(id);
        if providers.missing.iter().any(|missing| missing == id) {
            // When nothing may be left out, the line about the provider is enough.
            if self.skip_missing {
                self.left_out(path, &format!("the provider `{id}` is not available"));
            }
        } else if !providers.broken.iter().any(|broken| broken == id) && !providers.disabled.iter().any(is_disabled) {
            let there = match nearest(id, ids.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if ids.is_empty() => "there is none".to_owned(),
                None => format!("there are {}", list(ids)),
            };
            self.left_out(path, &format!("no provider of `{api}` is called `{id}`; {there}"));
        }
        false
    }

    fn left_out(&mut self, path: &Path, reason: &str) {
        let what = match path.steps().last() {
            Some(Step::Key(key)) => format!("`{key}`"),
            _ => format!("`{path}`"),
        };
        self.missing.add(path, what, reason);
    }

    fn problem(&mut self, path: &Path, message: impl Into<String>, hint: Option<String>) {
        self.problems.push(self.site.problem(path, message, hint));
    }
}

fn place(keys: &[&str]) -> Path {
    let start = Path::default().key("vector_stores");
    keys.iter().fold(start, |path, key| path.key(key))
}
