//! Registered models.

use puna_api::Api;

use crate::document::{Document, Model};
use crate::missing::Missing;
use crate::nearest::{list, nearest};
use crate::path::Path;
use crate::providers::Providers;
use crate::report::Site;
use crate::{ModelPlan, Problem};

/// The provider id that stands for any provider.
const ANY_PROVIDER: &str = "all";

/// Checks the models of a file against its providers. A model of a provider that is left out is left out with it.
pub(crate) fn read(
    site: &Site<'_>,
    document: Document,
    providers: &Providers,
    missing: &mut Missing<'_>,
    skip_missing: bool,
    problems: &mut Vec<Problem>,
) -> Vec<ModelPlan> {
    let registered = document
        .registered_resources
        .and_then(|resources| resources.models)
        .unwrap_or_default();
    let below = Path::default().key("registered_resources").key("models");
    let top = Path::default().key("models");
    let models = registered
        .into_iter()
        .enumerate()
        .map(|(index, model)| (below.clone().index(index), model));
    let older = document.models.unwrap_or_default().into_iter().enumerate();
    let models = models.chain(older.map(|(index, model)| (top.clone().index(index), model)));

    let mut plans: Vec<(Path, ModelPlan)> = Vec::new();
    for (path, model) in models {
        if model.model_id.is_empty() || model.model_id.chars().any(char::is_control) {
            problems.push(site.problem(&path.key("model_id"), "must be a name", None));
            continue;
        }
        if let Some((first, _)) = plans.iter().find(|(_, plan)| plan.model_id == model.model_id) {
            let hint = format!("the first one is `{}`", site.locate(first, false).path);
            let message = format!("the model `{}` is registered a second time", model.model_id);
            problems.push(site.problem(&path.key("model_id"), message, Some(hint)));
            continue;
        }
        let provider_id = match provider_of(&model, providers) {
            Provider::Found(id) => id,
            Provider::LeftOut => continue,
            Provider::Missing(id) => {
                // When nothing may be left out, the line about the provider is enough.
                if skip_missing {
                    let reason = format!("its provider `{id}` is not available");
                    missing.add(&path, format!("the model `{}`", model.model_id), reason);
                }
                continue;
            }
            Provider::Wrong { message, hint } => {
                problems.push(site.problem(&path.key("provider_id"), message, Some(hint)));
                continue;
            }
        };
        let plan = ModelPlan {
            model_id: model.model_id,
            provider_id,
            provider_model_id: model.provider_model_id.filter(|id| !id.is_empty()),
            model_type: model.model_type.unwrap_or_default(),
            metadata: model.metadata.unwrap_or_default(),
            model_validation: model.model_validation,
        };
        plans.push((path, plan));
    }
    plans.into_iter().map(|(_, plan)| plan).collect()
}

/// What a model's `provider_id` leads to.
enum Provider {
    Found(String),
    /// Switched off, or wrong itself, which is reported.
    LeftOut,
    Missing(String),
    Wrong {
        message: String,
        hint: String,
    },
}

fn provider_of(model: &Model, providers: &Providers) -> Provider {
    let with_models: Vec<_> = providers
        .plans
        .iter()
        .filter(|plan| plan.apis.contains(&Api::Inference))
        .collect();
    let ids = || with_models.iter().map(|plan| plan.id.as_str());
    let Some(id) = &model.provider_id else {
        return match (with_models.as_slice(), providers.broken.as_slice()) {
            ([only], []) => Provider::Found(only.id.clone()),
            (_, [_, ..]) => Provider::LeftOut,
            ([], []) => Provider::Wrong {
                message: format!("the model `{}` names no provider, and there is none", model.model_id),
                hint: "add one under `providers.inference`".to_owned(),
            },
            _ => Provider::Wrong {
                message: format!(
                    "the model `{}` names no provider, and there are several",
                    model.model_id
                ),
                hint: format!("name one of {}, or `{ANY_PROVIDER}`", list(ids())),
            },
        };
    };
    let is_disabled = providers
        .disabled
        .iter()
        .any(|disabled| disabled.id.as_ref() == Some(id));
    if id == ANY_PROVIDER || ids().any(|known| known == id) {
        Provider::Found(id.clone())
    } else if providers.broken.contains(id) || (is_disabled && !providers.missing.contains(id)) {
        Provider::LeftOut
    } else if providers.missing.contains(id) {
        Provider::Missing(id.clone())
    } else {
        Provider::Wrong {
            message: format!("there is no provider `{id}`"),
            hint: match nearest(id, ids().chain(providers.broken.iter().map(String::as_str))) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}, and `{ANY_PROVIDER}`", list(ids())),
            },
        }
    }
}
