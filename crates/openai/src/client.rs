//! The core: inference, models, health and reranking over an upstream that speaks the OpenAI dialect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, header};
use puna_api::{
    BoxStream, Capabilities, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion, CompletionRequest,
    EmbeddingsRequest, EmbeddingsResponse, Error, Health, Inference, InferenceRequest, Json, Models, ProviderModel,
    RequestContext, Rerank, RerankResponse, RerankTask, Result, Services,
};
use puna_http::{Body, Client, ClientSettings};
use serde::Serialize;

use crate::answer::with_model;
use crate::edit::json_string;
use crate::error::{Credential, from_error_object, missing_key, unexpected_answer};
use crate::image::inline_images;
use crate::models::read_list;
use crate::request::{Rules, Task};
use crate::settings::{HealthProbe, Quirk, Settings};
use crate::stream::ChunkStream;
use crate::upstream::{Call, MAX_ERROR, Upstream};
use crate::{rerank, versioned};
use puna_api::scan::members;

/// The longest answer that is read whole: embeddings of a large batch.
const MAX_ANSWER: usize = 256 << 20;
/// The longest list of models.
const MAX_LIST: usize = 16 << 20;
/// How long a list of models may take.
const LIST_TIME: Duration = Duration::from_secs(30);
/// How long a health check may take.
const HEALTH_TIME: Duration = Duration::from_secs(5);
/// How many upstreams that callers chose are remembered.
const MAX_CHOSEN: usize = 64;
/// Stands where a URL must, for settings that have none: callers bring their own. The name is reserved to mean nothing (RFC 6761).
const NO_URL: &str = "http://upstream.invalid";

/// A client of an upstream that speaks the OpenAI dialect.
///
/// Requests and answers pass through as bytes. Looked at are the members that must be: `model`, which is exchanged both ways, and those that a
/// [`Quirk`] or a missing capability is about.
pub struct OpenAiCompatible {
    provider: Arc<str>,
    settings: Settings,
    api_key: Option<Arc<str>>,
    rules: Rules,
    inlines_images: bool,
    /// Whose network settings the upstreams of callers share.
    client: Client,
    /// The configured one.
    upstream: Option<Arc<Upstream>>,
    chosen: Mutex<HashMap<String, Arc<Upstream>>>,
}

impl OpenAiCompatible {
    /// Makes a client, without connecting. Fails as a configuration error that names `base_url`, `api_key` or a path below `network`.
    pub fn new(settings: Settings) -> Result<Self> {
        let client = Client::new(ClientSettings {
            name: settings.provider_id.clone(),
            base_url: settings
                .base_url
                .as_deref()
                .map_or_else(|| NO_URL.to_owned(), |url| base_url(url, &settings)),
            network: settings.network.clone(),
        })?;
        // An empty variable in a configuration is no key.
        let api_key = settings
            .api_key
            .as_ref()
            .map(|key| key.expose().as_str())
            .filter(|key| !key.is_empty());
        let upstream = match settings.base_url {
            None => None,
            Some(_) => Some(Arc::new(Upstream::new(client.clone(), api_key, &settings)?)),
        };
        Ok(Self {
            provider: settings.provider_id.as_str().into(),
            api_key: api_key.map(Arc::from),
            rules: Rules::new(settings.capabilities, &settings.quirks),
            inlines_images: settings.quirks.iter().any(|quirk| matches!(quirk, Quirk::ImagesAsData)),
            client,
            upstream,
            chosen: Mutex::default(),
            settings,
        })
    }

    /// What a provider serves with it.
    pub fn into_services(self) -> Services {
        let has_health = self.upstream.is_some()
            && self.settings.health != HealthProbe::None
            && (self.api_key.is_some() || !self.settings.needs_key);
        let has_rerank = self.settings.rerank_path().is_some();
        let this = Arc::new(self);
        let mut services = Services::default()
            .with_inference(Arc::clone(&this) as Arc<dyn Inference>)
            .with_models(Arc::clone(&this) as Arc<dyn Models>);
        if has_rerank {
            services = services.with_rerank(Arc::clone(&this) as Arc<dyn Rerank>);
        }
        if has_health {
            services = services.with_health(this);
        }
        services
    }

    /// The upstream for a request, and the key to show it.
    fn call(&self, context: &RequestContext) -> Result<Call> {
        let keys = &self.settings.provider_data;
        let data = context.provider_data();
        let sent = |key: Option<&str>| match key {
            None => Ok(None),
            Some(key) => data.text(key).map(|value| value.filter(|value| !value.is_empty())),
        };
        let caller_key = sent(keys.api_key)?;
        let upstream = match &self.upstream {
            Some(upstream) => Arc::clone(upstream),
            None => self.chosen_upstream(keys.url, sent(keys.url)?)?,
        };
        // A server that a caller chose never sees the operator's key.
        let configured = self.api_key.as_ref().filter(|_| self.upstream.is_some());
        let credential = match (configured, caller_key) {
            (Some(key), None) => Credential::Configured(Arc::clone(key)),
            (Some(key), Some(_)) if keys.config_first => Credential::Configured(Arc::clone(key)),
            (_, Some(key)) => Credential::Caller(key.into()),
            (None, None) => Credential::None {
                provider_data_key: keys.api_key,
            },
        };
        if self.settings.needs_key && matches!(credential, Credential::None { .. }) {
            return Err(missing_key(&self.provider, &credential));
        }
        let mut headers = upstream.headers().clone();
        for (key, name) in &keys.headers {
            if *name == header::AUTHORIZATION && !matches!(credential, Credential::None { .. }) {
                continue;
            }
            if let Some(value) = sent(Some(key))? {
                let mut value = HeaderValue::from_str(value).map_err(|_| bad_value(key))?;
                value.set_sensitive(true);
                headers.set(name.clone(), value);
            }
        }
        if let (Credential::Caller(key), Some(name)) = (&credential, keys.api_key) {
            headers.set_bearer(key).ok_or_else(|| bad_value(name))?;
        }
        Ok(Call {
            upstream,
            headers,
            credential,
        })
    }

    /// The upstream at a URL that a caller sent.
    fn chosen_upstream(&self, key: Option<&str>, url: Option<&str>) -> Result<Arc<Upstream>> {
        let Some(url) = url else {
            return Err(Error::invalid_request(match key {
                Some(key) => format!(
                    "provider `{}` has no `base_url`; send `{key}` in the header X-OGX-Provider-Data",
                    self.provider
                ),
                None => format!("provider `{}` has no `base_url`", self.provider),
            })
            .with_code("missing_provider_data"));
        };
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(upstream) = chosen.get(url) {
            return Ok(Arc::clone(upstream));
        }
        let client = self
            .client
            .for_untrusted_url(&base_url(url, &self.settings), Arc::clone(&self.settings.egress))
            .map_err(|error| {
                let key = key.unwrap_or_default();
                Error::invalid_request(format!("`{key}` in the provider data header: {}", error.message()))
                    .with_code("invalid_provider_data")
            })?;
        let upstream = Arc::new(Upstream::new(client, None, &self.settings)?);
        if chosen.len() >= MAX_CHOSEN {
            chosen.clear();
        }
        chosen.insert(url.to_owned(), Arc::clone(&upstream));
        Ok(upstream)
    }

    /// Refuses a model that the operator does not allow.
    fn check_allowed(&self, provider_model_id: &str) -> Result<()> {
        if self.allows(provider_model_id) {
            return Ok(());
        }
        Err(Error::not_found(format!(
            "model `{provider_model_id}` is not among the `allowed_models` of provider `{}`",
            self.provider
        ))
        .with_code("model_not_found")
        .with_param("model"))
    }

    fn allows(&self, provider_model_id: &str) -> bool {
        self.settings
            .allowed_models
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|id| id == provider_model_id))
    }

    /// Sends a request; the answer is a success.
    async fn ask<T: Serialize>(
        &self,
        context: &RequestContext,
        task: Task,
        request: &InferenceRequest<T>,
        stream: bool,
    ) -> Result<Asked> {
        let model = &request.model.provider_model_id;
        self.check_allowed(model)?;
        let document = request.body.bytes()?;
        let call = self.call(context)?;
        let prepared = if task == Task::Chat && self.inlines_images {
            let client = call.upstream.client();
            let inlined = inline_images(client, &self.settings.egress, document, context.deadline()).await?;
            self.rules
                .prepare(task, inlined.as_ref().unwrap_or(document), model, stream)?
        } else {
            self.rules.prepare(task, document, model, stream)?
        };
        let endpoint = call.upstream.endpoint(task).clone();
        let (response, credential) = call
            .post(endpoint, Body::from(prepared.body), context.deadline())
            .await?;
        Ok(Asked {
            response,
            credential,
            include_usage: prepared.include_usage,
        })
    }

    async fn whole<T: Serialize, R>(
        &self,
        context: &RequestContext,
        task: Task,
        request: InferenceRequest<T>,
    ) -> Result<Json<R>> {
        let Asked {
            response, credential, ..
        } = self.ask(context, task, &request, false).await?;
        let answer = response.body.bytes(MAX_ANSWER).await?;
        let model = json_string(&request.requested_model);
        with_model(task, &self.provider, &response.headers, &answer, model, &credential).map(Json::from_bytes)
    }

    async fn stream<T: Serialize, R: 'static>(
        &self,
        context: &RequestContext,
        task: Task,
        request: InferenceRequest<T>,
    ) -> Result<BoxStream<Result<Json<R>>>> {
        let Asked {
            response,
            credential,
            include_usage,
        } = self.ask(context, task, &request, true).await?;
        if !is_event_stream(&response.headers) {
            let answer = response.body.bytes_up_to(MAX_ERROR).await?;
            let mut is_error = false;
            let scanned = members(&answer, |member| is_error |= &*member.name == b"error");
            return Err(if scanned.is_ok() && is_error {
                from_error_object(&self.provider, &answer, &credential)
            } else {
                unexpected_answer(&self.provider, &response.headers, &answer, "a stream of events")
            });
        }
        let model = json_string(&request.requested_model);
        let provider = Arc::clone(&self.provider);
        Ok(ChunkStream::new(provider, credential, response.body, model, include_usage).boxed())
    }

    async fn list(&self, call: Call, deadline: Instant) -> Result<Vec<ProviderModel>> {
        let endpoint = call.upstream.models.clone();
        let (response, _) = call.get(endpoint, Some(deadline)).await?;
        let body = response.body.bytes(MAX_LIST).await?;
        read_list(&self.provider, &body, self.settings.known_models)
    }
}

/// A success of an upstream.
struct Asked {
    response: puna_http::Response,
    credential: Credential,
    include_usage: bool,
}

/// The URL to use for the one that was given.
fn base_url(url: &str, settings: &Settings) -> String {
    if settings.appends_v1 {
        versioned(url)
    } else {
        url.to_owned()
    }
}

fn bad_value(key: &str) -> Error {
    Error::invalid_request(format!(
        "`{key}` in the provider data header has characters that a header must not contain"
    ))
    .with_code("invalid_provider_data")
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    // Some servers leave the type out.
    headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"))
}

#[async_trait]
impl Inference for OpenAiCompatible {
    fn capabilities(&self) -> Capabilities {
        self.settings.capabilities
    }

    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        self.whole(context, Task::Chat, request).await
    }

    async fn chat_completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        self.stream(context, Task::Chat, request).await
    }

    async fn completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        self.whole(context, Task::Completion, request).await
    }

    async fn completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        self.stream(context, Task::Completion, request).await
    }

    async fn embeddings(
        &self,
        context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        self.whole(context, Task::Embeddings, request).await
    }
}

#[async_trait]
impl Rerank for OpenAiCompatible {
    async fn rerank(&self, context: &RequestContext, task: RerankTask) -> Result<RerankResponse> {
        let request = task.body.get()?;
        let model = &task.model.provider_model_id;
        self.check_allowed(model)?;
        let body = rerank::encode(model, request)?;
        let call = self.call(context)?;
        let endpoint = call.upstream.rerank.clone();
        let endpoint = endpoint.ok_or_else(|| Error::internal("a provider that does not rerank was asked to"))?;
        let (response, _) = call
            .post(endpoint, Body::from(bytes::Bytes::from(body)), context.deadline())
            .await?;
        let answer = response.body.bytes(MAX_ANSWER).await?;
        rerank::decode(&self.provider, request, &answer)
    }
}

#[async_trait]
impl Models for OpenAiCompatible {
    async fn list_models(&self, context: &RequestContext) -> Result<Vec<ProviderModel>> {
        let keys = &self.settings.provider_data;
        if self.upstream.is_none() && keys.url.is_none_or(|url| context.provider_data().get(url).is_none()) {
            // Which models there are depends on where the caller leads.
            return Ok(Vec::new());
        }
        let call = match self.call(context) {
            // Without a key the upstream has no models for anybody.
            Err(error) if error.code() == Some("missing_api_key") => return Ok(Vec::new()),
            call => call?,
        };
        let latest = Instant::now() + LIST_TIME;
        let deadline = context.deadline().map_or(latest, |deadline| deadline.min(latest));
        let mut models = self.list(call, deadline).await?;
        models.retain(|model| self.allows(&model.provider_model_id));
        Ok(models)
    }

    fn changes(&self) -> bool {
        self.settings.refresh_models
    }
}

#[async_trait]
impl Health for OpenAiCompatible {
    async fn check(&self) -> Result<()> {
        let context = RequestContext::new("health");
        let deadline = Instant::now() + HEALTH_TIME;
        let call = self.call(&context)?;
        if let Some(endpoint) = call.upstream.health.clone() {
            match call.get(endpoint, Some(deadline)).await {
                // Servers that merely speak the same dialect may lack the path.
                Err(error) if matches!(error.upstream_status(), Some(404 | 405)) => {}
                result => return result.map(drop),
            }
        }
        self.list(self.call(&context)?, deadline).await.map(drop)
    }
}

impl std::fmt::Debug for OpenAiCompatible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAiCompatible")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
