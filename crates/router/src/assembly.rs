//! Builds the providers of a plan, those first that others need.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use puna_api::{Api, Error, Files, Host, Result, Services, Tasks};
use puna_config::ProviderPlan;

use crate::listing::Listing;
use crate::registry::{Registry, Target};
use crate::resources::Resources;
use crate::routed::RoutedInference;

/// What every provider is built with.
pub(crate) struct Assembly {
    pub(crate) registry: Arc<Registry>,
    pub(crate) tasks: Arc<dyn Tasks>,
    pub(crate) resources: Resources,
    /// The provider of files, once it is built.
    pub(crate) files: Arc<OnceLock<Arc<dyn Files>>>,
    /// Each provider gets a folder of its own in it.
    pub(crate) state_dir: PathBuf,
    pub(crate) refresh_interval: Duration,
}

impl Assembly {
    /// Builds all of them; a failure names every provider that failed in the same wave.
    pub(crate) async fn build(&self, providers: Vec<ProviderPlan>) -> Result<()> {
        for wave in waves(providers)? {
            let built = join_all(wave.into_iter().map(|provider| self.build_one(provider))).await;
            let failures: Vec<Error> = built.into_iter().filter_map(Result::err).collect();
            if !failures.is_empty() {
                return Err(together(failures));
            }
        }
        Ok(())
    }

    async fn build_one(&self, provider: ProviderPlan) -> Result<()> {
        let ProviderPlan {
            id, apis, spec, config, ..
        } = provider;
        let mut host = Host::builder(
            id.clone(),
            self.state_dir.join("providers").join(&id),
            Arc::clone(&self.tasks),
        );
        let mut needs = Services::default();
        if spec.needs.contains(&Api::Inference) {
            needs = needs.with_inference(Arc::new(RoutedInference(Arc::clone(&self.registry))));
        }
        if let Some(files) = self.files.get().filter(|_| spec.needs.contains(&Api::Files)) {
            needs = needs.with_files(Arc::clone(files));
        }
        host = host.apis(apis).needs(needs);
        let services = spec
            .build(config, self.resources.add_to(host).build())
            .await
            .map_err(|error| {
                let message = format!("failed to start the provider `{id}` ({}): {error}", spec.provider_type);
                Error::new(error.kind(), message).with_source(error)
            })?;
        if let Some(files) = services.files.clone()
            && self.files.set(files).is_err()
        {
            return Err(Error::configuration(format!(
                "the provider `{id}` serves files, and another one does already"
            )));
        }
        let models = services.models.clone();
        let inline = spec.provider_type.starts_with("inline::");
        let lists_all = inline && models.is_some();
        self.registry.add_target(Target {
            provider_id: id.clone(),
            lists_all,
            services,
        });
        if let Some(models) = models {
            let listing = Listing {
                provider_id: id,
                models,
                registry: Arc::clone(&self.registry),
                interval: self.refresh_interval,
            };
            // What is in this process is there at once; a remote service may be slow or down, and must not delay the start.
            if inline {
                listing.refresh().await?;
                if !listing.models.changes() {
                    return Ok(());
                }
            }
            listing.keep_fresh(&self.tasks);
        }
        Ok(())
    }
}

/// Groups providers so that each comes after all providers of the APIs that it needs.
fn waves(mut waiting: Vec<ProviderPlan>) -> Result<Vec<Vec<ProviderPlan>>> {
    let mut waves = Vec::new();
    while !waiting.is_empty() {
        let unbuilt: BTreeSet<(String, Api)> = waiting
            .iter()
            .flat_map(|provider| provider.apis.iter().map(|api| (provider.id.clone(), *api)))
            .collect();
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|provider| {
            !provider
                .spec
                .needs
                .iter()
                .any(|need| unbuilt.iter().any(|(id, api)| api == need && *id != provider.id))
        });
        if ready.is_empty() {
            let ids: Vec<String> = rest.iter().map(|provider| format!("`{}`", provider.id)).collect();
            return Err(Error::configuration(format!(
                "the providers {} need each other",
                ids.join(", ")
            )));
        }
        waves.push(ready);
        waiting = rest;
    }
    Ok(waves)
}

/// One error that tells all of them.
fn together(mut failures: Vec<Error>) -> Error {
    if failures.len() == 1 {
        return failures.remove(0);
    }
    let messages: Vec<&str> = failures.iter().map(Error::message).collect();
    Error::new(failures[0].kind(), messages.join("\n"))
}
