//! What a provider crate is, and how a binary knows the ones that it holds.

use std::any::Any;
use std::fmt;
use std::io::Read;

use futures::FutureExt;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Host, Result, Services};

/// A capability that the configuration lists under `apis` and `providers`, named as Llama Stack names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Api {
    /// Documents read and cut into chunks.
    FileProcessors,
    /// Files that are uploaded once and used by other APIs.
    Files,
    /// Chat completions, completions, embeddings and reranking.
    Inference,
    /// Vector indexes.
    VectorIo,
}

impl Api {
    /// Every API, in the order of the documentation.
    pub const ALL: &'static [Self] = &[Self::FileProcessors, Self::Files, Self::Inference, Self::VectorIo];

    /// The name in a configuration, such as `inference`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FileProcessors => "file_processors",
            Self::Files => "files",
            Self::Inference => "inference",
            Self::VectorIo => "vector_io",
        }
    }

    /// Whether a server can have several providers of it, told apart by what a request names.
    pub const fn takes_several(self) -> bool {
        match self {
            Self::FileProcessors | Self::Files => false,
            Self::Inference | Self::VectorIo => true,
        }
    }

    /// The API of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| api.name() == name)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An implementation of one or more APIs, configured by YAML. See the crate's documentation for an example.
pub trait Provider: 'static {
    /// The type in a configuration's `provider_type`: `remote::…` calls another service, `inline::…` works in this process.
    const TYPE: &'static str;

    /// Older or foreign type names that this provider stands in for.
    const ALIASES: &'static [&'static str] = &[];

    /// One line for lists: what it is.
    const SUMMARY: &'static str;

    /// The APIs that it serves.
    const APIS: &'static [Api];

    /// The APIs of other providers that it calls through [`Host`]. They are built before it.
    const NEEDS: &'static [Api] = &[];

    /// Work that is done in a process of its own, for what must not be able to harm the server, such as reading a file of unknown origin.
    const WORKER: Option<Worker> = None;

    /// The `config` of a provider entry. Refuse unknown keys, document every field, give every optional field its default.
    type Config: Serialize + DeserializeOwned + JsonSchema + Send + 'static;

    /// A configuration that a reader can start from.
    fn sample() -> Self::Config;

    /// Checks what types alone cannot say. Pure: no I/O, no environment.
    fn validate(_config: &Self::Config) -> Result<()> {
        Ok(())
    }

    /// Builds what it serves. May connect and load; long work reports its progress through `tracing`.
    fn build(config: Self::Config, host: Host) -> impl Future<Output = Result<Services>> + Send;
}

/// What a worker process does: it is told its task, reads its input to the end or not, and answers. It is the same program as the server,
/// started again with bounds on what it may use, and ends when it has answered.
pub type Worker = fn(task: &str, input: &mut dyn Read) -> Result<Vec<u8>>;

/// A [`Provider`] as the framework sees it: a record of functions, the same for all.
#[derive(Clone, Copy)]
pub struct ProviderSpec {
    /// [`Provider::TYPE`].
    pub provider_type: &'static str,
    /// [`Provider::ALIASES`].
    pub aliases: &'static [&'static str],
    /// [`Provider::SUMMARY`].
    pub summary: &'static str,
    /// [`Provider::APIS`].
    pub apis: &'static [Api],
    /// [`Provider::NEEDS`].
    pub needs: &'static [Api],
    /// [`Provider::WORKER`].
    pub worker: Option<Worker>,
    /// The crate that holds it, as `name`.
    pub crate_name: &'static str,
    /// The version of that crate.
    pub crate_version: &'static str,
    schema: fn() -> Value,
    sample: fn() -> Result<Value>,
    check: fn(Value) -> Result<CheckedConfig, ConfigProblem>,
    build: fn(CheckedConfig, Host) -> BoxFuture<'static, Result<Services>>,
}

/// A configuration that its provider has accepted; [`ProviderSpec::build`] takes it.
pub struct CheckedConfig(Box<dyn Any + Send>);

/// What is wrong in a provider's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The place below `config`, such as `network.tls.verify`; empty for the whole.
    pub path: String,
    /// What is wrong there, and what would be right.
    pub message: String,
}

impl ProviderSpec {
    /// The record of one provider. [`register_provider!`](crate::register_provider) calls this.
    pub const fn of<P: Provider>() -> Self {
        Self {
            provider_type: P::TYPE,
            aliases: P::ALIASES,
            summary: P::SUMMARY,
            apis: P::APIS,
            needs: P::NEEDS,
            worker: P::WORKER,
            crate_name: "",
            crate_version: "",
            schema: schema::<P>,
            sample: sample::<P>,
            check: check::<P>,
            build: build::<P>,
        }
    }

    /// The same record, with the crate that it comes from.
    #[must_use]
    pub const fn from_crate(mut self, name: &'static str, version: &'static str) -> Self {
        self.crate_name = name;
        self.crate_version = version;
        self
    }

    /// Whether the provider answers to this type name.
    pub fn answers_to(&self, provider_type: &str) -> bool {
        self.provider_type == provider_type || self.aliases.contains(&provider_type)
    }

    /// The JSON Schema (draft 2020-12) of its configuration.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// Its sample configuration.
    pub fn sample(&self) -> Result<Value> {
        (self.sample)()
    }

    /// Reads and validates a configuration. Pure.
    pub fn check(&self, config: Value) -> Result<CheckedConfig, ConfigProblem> {
        (self.check)(config)
    }

    /// Builds the provider. `config` must come from [`check`](Self::check) of the same record.
    pub fn build(&self, config: CheckedConfig, host: Host) -> BoxFuture<'static, Result<Services>> {
        (self.build)(config, host)
    }
}

impl fmt::Debug for ProviderSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSpec")
            .field("provider_type", &self.provider_type)
            .field("crate", &format_args!("{} {}", self.crate_name, self.crate_version))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CheckedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckedConfig(…)")
    }
}

fn schema<P: Provider>() -> Value {
    schemars::schema_for!(P::Config).to_value()
}

fn sample<P: Provider>() -> Result<Value> {
    serde_json::to_value(P::sample()).map_err(|error| {
        Error::internal(format!("the sample configuration of {} has no JSON form", P::TYPE)).with_source(error)
    })
}

fn check<P: Provider>(config: Value) -> Result<CheckedConfig, ConfigProblem> {
    // A provider without settings may leave `config` out altogether.
    let config = if config.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        config
    };
    let config: P::Config = serde_path_to_error::deserialize(config).map_err(|error| ConfigProblem {
        path: match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        },
        message: error.inner().to_string(),
    })?;
    P::validate(&config).map_err(|error| ConfigProblem {
        path: error.param().unwrap_or_default().to_owned(),
        message: error.message().to_owned(),
    })?;
    Ok(CheckedConfig(Box::new(config)))
}

fn build<P: Provider>(config: CheckedConfig, host: Host) -> BoxFuture<'static, Result<Services>> {
    async move {
        let config = config
            .0
            .downcast::<P::Config>()
            .map_err(|_| Error::internal(format!("{} was handed the configuration of another provider", P::TYPE)))?;
        P::build(*config, host).await
    }
    .boxed()
}

inventory::collect!(ProviderSpec);

/// The providers whose crates registered themselves in this binary. A generated main names the same ones in its table; the two must agree.
pub fn linked_by_inventory() -> impl Iterator<Item = &'static ProviderSpec> {
    inventory::iter::<ProviderSpec>()
}

/// Makes a [`Provider`] known: exports its record as `PROVIDER` and submits it to the binary's inventory. Call it once, in the crate's root.
#[macro_export]
macro_rules! register_provider {
    ($provider:ty) => {
        /// This crate's provider, for the table in a distribution's main.
        pub const PROVIDER: $crate::ProviderSpec =
            $crate::ProviderSpec::of::<$provider>().from_crate(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

        $crate::private::inventory::submit! { PROVIDER }
    };
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct DoorConfig {
        /// How wide, in metres.
        width: f64,
    }

    struct Door;

    impl Provider for Door {
        const TYPE: &'static str = "inline::door";
        const ALIASES: &'static [&'static str] = &["inline::gate"];
        const SUMMARY: &'static str = "A door.";
        const APIS: &'static [Api] = &[Api::Inference];
        type Config = DoorConfig;

        fn sample() -> DoorConfig {
            DoorConfig { width: 0.9 }
        }

        fn validate(config: &DoorConfig) -> Result<()> {
            if config.width > 0.0 {
                return Ok(());
            }
            Err(Error::configuration("must be above 0").with_param("width"))
        }

        async fn build(_: DoorConfig, _: Host) -> Result<Services> {
            Ok(Services::default())
        }
    }

    #[test]
    fn a_spec_reads_and_validates_without_building() {
        let spec = ProviderSpec::of::<Door>();
        assert!(spec.answers_to("inline::gate"));
        assert!(spec.check(spec.sample().unwrap()).is_ok());
        assert_eq!(
            spec.schema()["properties"]["width"]["description"],
            "How wide, in metres."
        );
        for (config, path, message) in [
            (json!({ "width": 0.0 }), "width", "must be above 0"),
            (
                json!({ "width": "x" }),
                "width",
                "invalid type: string \"x\", expected f64",
            ),
            (json!(null), "", "missing field `width`"),
        ] {
            let problem = spec.check(config).unwrap_err();
            assert_eq!((problem.path.as_str(), problem.message.as_str()), (path, message));
        }
    }
}
