//! `puna run`: start the server, and end it cleanly.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use puna_api::{Error, RequestContext, Result};
use puna_config::{CorsConfig, Overrides, Plan, ServerConfig};
use puna_hub::Cache;
use puna_router::{Resources, Stack};
use puna_server::{ApiKey, CorsRules, CorsSettings, Limits, Listeners, Metrics, ServerSettings};
use puna_worker::Program;
use tokio::signal::unix::{SignalKind, signal};

use crate::Invocation;
use crate::args::RunArgs;
use crate::validate::{left_out, switches};
use crate::{config_file, logging, output};

/// The variables without which a program that is linked with libraries in unusual places does not start.
const LOADER_VARIABLES: &[&str] = &["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

pub(crate) fn run(invocation: &Invocation, mut program: Program, args: RunArgs) -> Result<()> {
    let started = Instant::now();
    let overrides = Overrides {
        port: args.port,
        host: args.host,
        workers: args.workers,
        ..Overrides::default()
    };
    let (_, plan) = config_file::plan(invocation, &args.config, overrides)?;
    logging::start(&plan.server.log)?;
    // Before anything is loaded: a port in use is a mistake to hear of at once.
    let workers = plan
        .server
        .workers
        .unwrap_or_else(|| available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let listeners = Listeners::bind(&plan.server.host, plan.server.port, workers)?;
    let settings = settings(&plan.server)?;
    // Before providers are built: handles made earlier would lead nowhere.
    if let Some(metrics) = &settings.metrics {
        metrics.install()?;
    }
    let notes = format!("{}{}", left_out(&plan), switches(&plan));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("failed to start the async runtime").with_source(error))?;
    for name in LOADER_VARIABLES {
        if let Some(value) = invocation.environment.get(name) {
            program = program.with_variable(name, value);
        }
    }
    // What providers share: the guard of outbound requests, worker processes, and the models that were pulled.
    let mut resources = Resources::default()
        .with(Arc::new(config_file::egress_policy(&plan)?))
        .with(Arc::new(program));
    if let Ok(models) = Cache::from_variables(|name| invocation.environment.get(name).map(str::to_owned)) {
        resources = resources.with(Arc::new(models));
    }
    runtime.block_on(serve(plan, resources, listeners, &settings, &notes, started))
}

async fn serve(
    plan: Plan,
    resources: Resources,
    listeners: Listeners,
    settings: &ServerSettings,
    notes: &str,
    started: Instant,
) -> Result<()> {
    let grace = settings.limits.shutdown_grace;
    let stack = Stack::build(plan, resources).await?;
    output::say(&(greeting(&stack, &listeners).await + notes))?;
    tracing::info!(address = %listeners.address(), ready_after = ?started.elapsed(), "listening");
    let ending = async {
        asked_to_end(1).await;
        tracing::info!("ending; waiting for the requests in progress");
    };
    tokio::select! {
        served = puna_server::serve(stack.clone(), listeners, settings, ending) => served?,
        () = asked_to_end(2) => return Err(Error::cancelled("asked to end a second time; requests in progress were cut off")),
    }
    stack.shutdown(grace).await;
    tracing::info!("ended");
    Ok(())
}

/// Where the server listens, and what it serves so far.
async fn greeting(stack: &Stack, listeners: &Listeners) -> String {
    let mut text = format!(
        "puna: `{}` is listening on http://{}\n",
        stack.name(),
        listeners.address()
    );
    let models = stack.models(&RequestContext::new("start")).await;
    for model in &models {
        let _ = writeln!(text, "  {:<40} {}", model.id, model.model_type.name());
    }
    if models.is_empty() {
        text.push_str("  no model is listed yet; those of remote providers appear as soon as they answer\n");
    }
    text
}

/// Resolves when the process was asked to end this often.
async fn asked_to_end(times: usize) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals keep their default effect, which ends the process.
        return std::future::pending().await;
    };
    for _ in 0..times {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

fn settings(config: &ServerConfig) -> Result<ServerSettings> {
    let limits = &config.limits;
    Ok(ServerSettings {
        limits: Limits {
            max_body_bytes: limits.max_body_bytes,
            max_file_bytes: limits.max_file_bytes,
            max_decompressed_bytes: limits.max_decompressed_bytes,
            max_json_depth: limits.max_json_depth,
            max_header_bytes: limits.max_header_bytes,
            request_timeout: limits.request_timeout,
            shutdown_grace: limits.shutdown_grace,
            ..Limits::default()
        },
        api_keys: config
            .api_keys
            .iter()
            .map(|key| ApiKey {
                name: key.name.clone(),
                key: key.key.clone(),
            })
            .collect(),
        cors: config.cors.as_ref().map(cors).transpose()?,
        metrics: config.metrics_enabled.then(Metrics::new),
    })
}

fn cors(config: &CorsConfig) -> Result<CorsSettings> {
    CorsSettings::new(&CorsRules {
        allow_origins: config.allow_origins.clone(),
        allow_origin_regex: config.allow_origin_regex.clone(),
        allow_methods: config.allow_methods.clone(),
        allow_headers: config.allow_headers.clone(),
        expose_headers: config.expose_headers.clone(),
        allow_credentials: config.allow_credentials,
        max_age: config.max_age,
    })
}
