//! What the suite runs against.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use puna_api::{Capabilities, Host, HostBuilder, ModelType, ProviderSpec, Result, Services};
use serde_json::Value;

use crate::host::{TestHost, context};
use crate::live::live_setting;
use crate::stub::StubUpstream;

/// What the suite runs against: how to build the provider, what it can do, and its models.
pub struct Target {
    setup: Setup,
    provider: Option<ProviderSpec>,
    capabilities: Capabilities,
    models: NamedModels,
    serves: Serves,
    echoes: bool,
    patience: Duration,
    live: Option<Live>,
    extend_host: Arc<dyn Fn(HostBuilder) -> HostBuilder + Send + Sync>,
}

/// Where a remote provider's service is.
#[derive(Clone)]
pub struct Endpoint {
    /// The address of the OpenAI paths; of the stub it is such as `http://127.0.0.1:40123/v1`, of a live service what the environment says.
    pub base_url: String,
    /// The key to send.
    pub api_key: Option<String>,
}

/// The environment variables that lead to a real service.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    url: &'static str,
    api_key: Option<&'static str>,
    chat_model: Option<&'static str>,
    embedding_model: Option<&'static str>,
    rerank_model: Option<&'static str>,
    deviations: &'static [(&'static str, &'static str)],
}

type BuildRemote = Arc<dyn Fn(Endpoint, Host) -> BoxFuture<'static, Result<Services>> + Send + Sync>;
type BuildInline = Arc<dyn Fn(Host) -> BoxFuture<'static, Result<Services>> + Send + Sync>;

#[derive(Clone)]
enum Setup {
    Inline(BuildInline),
    Remote(BuildRemote),
}

#[derive(Debug, Clone, Default)]
struct NamedModels {
    chat: Option<String>,
    vision: Option<String>,
    embedding: Option<String>,
    rerank: Option<String>,
}

/// The services besides inference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Serves {
    pub(super) models: bool,
    pub(super) health: bool,
}

impl Target {
    /// A provider that works in this process. State its capabilities and models next.
    pub fn inline(provider: ProviderSpec, config: Value) -> Self {
        let mut target = Self::built_by(move |host| from_spec(provider, config.clone(), host));
        target.provider = Some(provider);
        target
    }

    /// Services that are built by code, for a provider that needs more than its configuration.
    pub fn built_by(build: impl Fn(Host) -> BoxFuture<'static, Result<Services>> + Send + Sync + 'static) -> Self {
        Self::new(Setup::Inline(Arc::new(build)), NamedModels::default(), false)
    }

    /// A provider that calls a service of the OpenAI dialect; `config` tells its configuration for an endpoint. The suite runs against a
    /// [`StubUpstream`] and its models.
    pub fn remote(provider: ProviderSpec, config: impl Fn(&Endpoint) -> Value + Send + Sync + 'static) -> Self {
        let mut target = Self::remote_built_by(move |endpoint, host| from_spec(provider, config(&endpoint), host));
        target.provider = Some(provider);
        target
    }

    /// Services that call an endpoint and are built by code.
    pub fn remote_built_by(
        build: impl Fn(Endpoint, Host) -> BoxFuture<'static, Result<Services>> + Send + Sync + 'static,
    ) -> Self {
        let models = NamedModels {
            chat: Some(StubUpstream::CHAT_MODEL.to_owned()),
            vision: None,
            embedding: Some(StubUpstream::EMBEDDING_MODEL.to_owned()),
            rerank: None,
        };
        Self::new(Setup::Remote(Arc::new(build)), models, true)
    }

    fn new(setup: Setup, models: NamedModels, echoes: bool) -> Self {
        Self {
            setup,
            provider: None,
            capabilities: Capabilities::default(),
            models,
            serves: Serves {
                models: true,
                health: true,
            },
            echoes,
            patience: Duration::from_secs(60),
            live: None,
            extend_host: Arc::new(|builder| builder),
        }
    }

    /// States what the provider can do. It must declare just that, and must refuse all else by name.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The provider's id of a model for chats and completions.
    #[must_use]
    pub fn chat_model(mut self, provider_model_id: &str) -> Self {
        self.models.chat = Some(provider_model_id.to_owned());
        self
    }

    /// The provider's id of a model for chats that looks at images, where the one of [`chat_model`](Self::chat_model) does not.
    #[must_use]
    pub fn vision_model(mut self, provider_model_id: &str) -> Self {
        self.models.vision = Some(provider_model_id.to_owned());
        self
    }

    /// The provider's id of a model for embeddings.
    #[must_use]
    pub fn embedding_model(mut self, provider_model_id: &str) -> Self {
        self.models.embedding = Some(provider_model_id.to_owned());
        self
    }

    /// The provider's id of a model that reranks, [`StubUpstream::RERANK_MODEL`] against the stub. Without it the provider must not rerank.
    #[must_use]
    pub fn rerank_model(mut self, provider_model_id: &str) -> Self {
        self.models.rerank = Some(provider_model_id.to_owned());
        self
    }

    /// States that the provider cannot list its models.
    #[must_use]
    pub fn without_models(mut self) -> Self {
        self.serves.models = false;
        self
    }

    /// States that the provider has no way to tell its health.
    #[must_use]
    pub fn without_health(mut self) -> Self {
        self.serves.health = false;
        self
    }

    /// States that a chat answers with the text of the last message and a completion with its prompt, that a last message of lines
    /// `call NAME {…}` calls those tools, and that the same words give the same direction of an embedding.
    #[must_use]
    pub fn echoes(mut self) -> Self {
        self.echoes = true;
        self
    }

    /// How long a trial may take before it counts as hanging; 60 s by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the trials against a real service too, where the environment gives its address.
    #[must_use]
    pub fn live(mut self, live: Live) -> Self {
        self.live = Some(live);
        self
    }

    /// Adds to the host of every trial, such as shared resources that the provider asks for.
    #[must_use]
    pub fn host(mut self, extend: impl Fn(HostBuilder) -> HostBuilder + Send + Sync + 'static) -> Self {
        self.extend_host = Arc::new(extend);
        self
    }

    /// Where the trials run: in this process, or against the stub and perhaps a live service.
    pub(super) fn places(self) -> Vec<Result<Place, Absent>> {
        let target = Arc::new(self);
        match &target.setup {
            Setup::Inline(_) => vec![Ok(Place {
                kind: Kind::Inline,
                models: target.models.clone(),
                target,
            })],
            Setup::Remote(_) => {
                let stub = Place {
                    kind: Kind::Stub,
                    models: target.models.clone(),
                    target: Arc::clone(&target),
                };
                let live = target.live.map(|live| live_place(&target, live));
                std::iter::once(Ok(stub)).chain(live).collect()
            }
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Target")
            .field("capabilities", &self.capabilities)
            .field("models", &self.models)
            .field("serves", &self.serves)
            .field("echoes", &self.echoes)
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// The variable that holds the address, such as `VLLM_URL`.
    pub const fn at(url: &'static str) -> Self {
        Self {
            url,
            api_key: None,
            chat_model: None,
            embedding_model: None,
            rerank_model: None,
            deviations: &[],
        }
    }

    /// Trials that a service of this kind is known to fail by its own doing, such as `completion::logprobs_tell_each_token`, each with what
    /// it does instead. They are listed as not run, with that reason.
    #[must_use]
    pub const fn deviations(mut self, deviations: &'static [(&'static str, &'static str)]) -> Self {
        self.deviations = deviations;
        self
    }

    /// The variable that holds the key.
    #[must_use]
    pub const fn api_key(mut self, variable: &'static str) -> Self {
        self.api_key = Some(variable);
        self
    }

    /// The variable that names the chat model. Without it, the first that the provider lists.
    #[must_use]
    pub const fn chat_model(mut self, variable: &'static str) -> Self {
        self.chat_model = Some(variable);
        self
    }

    /// The variable that names the embedding model. Without it, the first that the provider lists as one.
    #[must_use]
    pub const fn embedding_model(mut self, variable: &'static str) -> Self {
        self.embedding_model = Some(variable);
        self
    }

    /// The variable that names the rerank model. Without it, the first that the provider lists as one.
    #[must_use]
    pub const fn rerank_model(mut self, variable: &'static str) -> Self {
        self.rerank_model = Some(variable);
        self
    }

    fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint {
            base_url: live_setting(self.url)?,
            api_key: self.api_key.and_then(live_setting),
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// A target at one of its places.
pub(super) struct Place {
    target: Arc<Target>,
    kind: Kind,
    models: NamedModels,
}

/// A place that is not there, with the reason.
pub(super) struct Absent {
    pub(super) name: String,
    pub(super) reason: String,
}

enum Kind {
    Inline,
    Stub,
    Live(Endpoint, Live),
}

impl Place {
    /// The key that the stub's endpoint has, so that trials see where it goes.
    pub(super) const STUB_API_KEY: &'static str = "sk-stub-4f1d";

    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Inline => "inline",
            Kind::Stub => "stub",
            Kind::Live(..) => "live",
        }
    }

    pub(super) fn has_stub(&self) -> bool {
        matches!(self.kind, Kind::Stub)
    }

    pub(super) fn is_inline(&self) -> bool {
        matches!(self.kind, Kind::Inline)
    }

    /// The provider's record, where the target was made from one.
    pub(super) fn provider(&self) -> Option<&ProviderSpec> {
        self.target.provider.as_ref()
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.kind, Kind::Live(..))
    }

    pub(super) fn echoes(&self) -> bool {
        self.target.echoes && !self.is_live()
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.target.capabilities
    }

    pub(super) fn patience(&self) -> Duration {
        self.target.patience
    }

    pub(super) fn chat_model(&self) -> Option<&str> {
        self.models.chat.as_deref()
    }

    pub(super) fn vision_model(&self) -> Option<&str> {
        self.models.vision.as_deref().or(self.chat_model())
    }

    pub(super) fn embedding_model(&self) -> Option<&str> {
        self.models.embedding.as_deref()
    }

    pub(super) fn rerank_model(&self) -> Option<&str> {
        self.models.rerank.as_deref()
    }

    pub(super) fn serves_rerank(&self) -> bool {
        self.target.models.rerank.is_some()
    }

    pub(super) fn serves(&self) -> Serves {
        self.target.serves
    }

    pub(super) fn lists_models(&self) -> bool {
        self.target.serves.models
    }

    pub(super) fn tells_health(&self) -> bool {
        self.target.serves.health
    }

    /// The end of a sentence about a model that is not named.
    pub(super) fn how_to_name(&self, kind: &str) -> String {
        let Kind::Live(_, live) = &self.kind else {
            return format!(" by the target's `{kind}_model`");
        };
        let variable = match kind {
            "chat" => live.chat_model,
            "embedding" => live.embedding_model,
            _ => live.rerank_model,
        };
        variable.map_or_else(String::new, |variable| format!(", set {variable}"))
    }

    /// What the service at this place is known to do in place of what a trial asks.
    pub(super) fn deviations(&self) -> &'static [(&'static str, &'static str)] {
        match &self.kind {
            Kind::Live(_, live) => live.deviations,
            Kind::Inline | Kind::Stub => &[],
        }
    }

    pub(super) fn test_host(&self) -> Result<TestHost> {
        TestHost::with(|builder| (self.target.extend_host)(builder))
    }

    /// Builds the provider; a remote one calls `stub_url` unless the place is live.
    pub(super) async fn build(&self, stub_url: Option<&str>, host: Host) -> Result<Services> {
        match &self.target.setup {
            Setup::Inline(build) => build(host).await,
            Setup::Remote(build) => {
                let endpoint = match &self.kind {
                    Kind::Live(endpoint, _) => endpoint.clone(),
                    _ => Endpoint {
                        base_url: format!("{}/v1", stub_url.unwrap_or_default()),
                        api_key: Some(Self::STUB_API_KEY.to_owned()),
                    },
                };
                build(endpoint, host).await
            }
        }
    }
}

fn from_spec(provider: ProviderSpec, config: Value, host: Host) -> BoxFuture<'static, Result<Services>> {
    Box::pin(async move {
        let config = provider.check(config).map_err(|problem| {
            puna_api::Error::configuration(format!("the target's configuration: {}", problem.message))
                .with_param(problem.path)
        })?;
        provider.build(config, host).await
    })
}

/// The live place, with its models; absent when the environment gives no address.
fn live_place(target: &Arc<Target>, live: Live) -> Result<Place, Absent> {
    let Some(endpoint) = live.endpoint() else {
        return Err(Absent {
            name: "live".to_owned(),
            reason: format!("{} is not set", live.url),
        });
    };
    let named = |variable: Option<&'static str>| variable.and_then(live_setting);
    let models = NamedModels {
        chat: named(live.chat_model),
        vision: None,
        embedding: named(live.embedding_model),
        rerank: named(live.rerank_model),
    };
    let mut place = Place {
        target: Arc::clone(target),
        kind: Kind::Live(endpoint, live),
        models,
    };
    // When the service cannot be asked, the trials themselves say so better than the list could.
    for model in listed_models(&place).unwrap_or_default() {
        let slot = match model.model_type {
            ModelType::Llm => &mut place.models.chat,
            ModelType::Embedding => &mut place.models.embedding,
            ModelType::Rerank => &mut place.models.rerank,
        };
        slot.get_or_insert(model.provider_model_id);
    }
    Ok(place)
}

fn listed_models(place: &Place) -> Option<Vec<puna_api::ProviderModel>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    runtime.block_on(async {
        let host = place.test_host().ok()?;
        let ask = async {
            let services = place.build(None, host.host()).await.ok()?;
            services.models?.list_models(&context()).await.ok()
        };
        tokio::time::timeout(Duration::from_secs(10), ask).await.ok().flatten()
    })
}
