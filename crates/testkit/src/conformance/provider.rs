//! What the provider declares, lists and reports.

use std::collections::BTreeSet;

use puna_api::{Api, Capability, ErrorKind, ModelType};
use serde_json::json;

use super::outcome::{Failure, Verdict, ensure, ensure_eq, expect_error};
use super::record;
use super::subject::{HELLO, Subject, chat_body, embeddings_body, model, request};
use super::trial::{Need, Trial, trial};
use crate::host::context;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!("provider", declares_what_the_target_states,),
        trial!("provider", serves_what_the_target_states,),
        trial!("provider", ends_its_tasks_at_shutdown,),
        trial!("provider", its_type_says_where_it_works, Need::Spec),
        trial!("provider", its_sample_configuration_is_valid, Need::Spec),
        trial!("provider", an_unknown_configuration_key_is_refused, Need::Spec),
        trial!("provider", every_configuration_key_is_documented, Need::Spec),
        trial!("models", lists_each_model_once, Need::Models),
        trial!("models", tells_what_each_model_is_for, Need::Models, Need::Ours),
        trial!("models", an_unknown_model_is_not_found, Need::Can(Capability::Chat)),
        trial!(
            "models",
            an_unknown_model_is_not_found_before_a_stream,
            Need::Can(Capability::Chat)
        ),
        trial!(
            "models",
            an_unknown_embedding_model_is_not_found,
            Need::Can(Capability::Embeddings)
        ),
        trial!("health", is_well, Need::Health),
    ]
}

async fn declares_what_the_target_states(subject: Subject) -> Verdict {
    ensure_eq!(
        subject.inference().capabilities(),
        subject.stated_capabilities(),
        "the provider's capabilities"
    );
    Ok(())
}

async fn serves_what_the_target_states(subject: Subject) -> Verdict {
    let services = &subject.services;
    ensure_eq!(
        services.models.is_some(),
        subject.serves.models,
        "whether the provider lists models"
    );
    ensure_eq!(
        services.health.is_some(),
        subject.serves.health,
        "whether the provider tells its health"
    );
    ensure_eq!(
        services.rerank.is_some(),
        subject.serves_rerank,
        "whether the provider reranks"
    );
    Ok(())
}

async fn ends_its_tasks_at_shutdown(subject: Subject) -> Verdict {
    let Subject {
        services,
        host,
        patience,
        ..
    } = subject;
    drop(services);
    // Half of the trial's time, so that the failure is told by its cause.
    host.shutdown(patience / 2).await?;
    Ok(())
}

async fn its_type_says_where_it_works(subject: Subject) -> Verdict {
    record::its_type_says_where_it_works(subject.provider()?, Api::Inference)
}

async fn its_sample_configuration_is_valid(subject: Subject) -> Verdict {
    record::its_sample_configuration_is_valid(subject.provider()?)
}

async fn an_unknown_configuration_key_is_refused(subject: Subject) -> Verdict {
    record::an_unknown_configuration_key_is_refused(subject.provider()?)
}

async fn every_configuration_key_is_documented(subject: Subject) -> Verdict {
    record::every_configuration_key_is_documented(subject.provider()?)
}

async fn lists_each_model_once(subject: Subject) -> Verdict {
    let listed = list(&subject).await?;
    let ids: Vec<&str> = listed.iter().map(|model| model.provider_model_id.as_str()).collect();
    ensure!(
        ids.iter().all(|id| !id.is_empty()),
        "a listed model has no id: {listed:?}"
    );
    ensure_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "the number of different models in {ids:?}"
    );
    for named in subject.named_models() {
        ensure!(
            ids.contains(&named),
            "the target names the model `{named}`, which is not in the list {ids:?}"
        );
    }
    Ok(())
}

async fn tells_what_each_model_is_for(subject: Subject) -> Verdict {
    // An OpenAI list of models does not tell, so a remote provider is asked about its language model alone.
    let mut expected = vec![(subject.chat_model(), ModelType::Llm)];
    if !subject.has_stub() {
        expected.push((subject.embedding_model(), ModelType::Embedding));
    }
    let listed = list(&subject).await?;
    for (model, model_type) in expected {
        if let Some(found) = listed
            .iter()
            .find(|found| found.provider_model_id == model.provider_model_id)
        {
            ensure_eq!(
                found.model_type,
                model_type,
                "what `{}` is for",
                found.provider_model_id
            );
        }
    }
    Ok(())
}

async fn list(subject: &Subject) -> Result<Vec<puna_api::ProviderModel>, Failure> {
    let models = subject
        .services
        .models
        .as_ref()
        .ok_or("the provider does not list models")?;
    Ok(models.list_models(&context()).await?)
}

const UNKNOWN: &str = "no-such-model-5b0d";

async fn an_unknown_model_is_not_found(subject: Subject) -> Verdict {
    let request = request(model(UNKNOWN, ModelType::Llm), chat_body(HELLO, json!({})).to_string());
    let outcome = subject.inference().chat_completion(&context(), request).await;
    expect_error(
        outcome.map(drop),
        &[ErrorKind::NotFound],
        "a chat with an unknown model",
    )?;
    Ok(())
}

async fn an_unknown_model_is_not_found_before_a_stream(subject: Subject) -> Verdict {
    let request = request(
        model(UNKNOWN, ModelType::Llm),
        chat_body(HELLO, json!({ "stream": true })).to_string(),
    );
    let outcome = subject.inference().chat_completion_stream(&context(), request).await;
    expect_error(
        outcome.map(drop),
        &[ErrorKind::NotFound],
        "a streamed chat with an unknown model",
    )?;
    Ok(())
}

async fn an_unknown_embedding_model_is_not_found(subject: Subject) -> Verdict {
    let request = request(
        model(UNKNOWN, ModelType::Embedding),
        embeddings_body(json!(HELLO), json!({})).to_string(),
    );
    let outcome = subject.inference().embeddings(&context(), request).await;
    expect_error(
        outcome.map(drop),
        &[ErrorKind::NotFound],
        "embeddings of an unknown model",
    )?;
    Ok(())
}

async fn is_well(subject: Subject) -> Verdict {
    let health = subject
        .services
        .health
        .as_ref()
        .ok_or("the provider does not tell its health")?;
    health.check().await?;
    Ok(())
}
