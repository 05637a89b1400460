//! The `vector_stores` part.

use std::time::Duration;

use puna_api::SearchMode;
use puna_config::{RegisteredStorePlan, RewritingPlan, VectorStoresPlan};

use crate::support::{SKIP, config, load, load_with, report};

const PROVIDERS: &str = "providers:
  inference:
  - { provider_id: m, provider_type: 'remote::mountain', config: { base_url: 'http://h/v1' } }
  vector_io:
  - { provider_id: shelf, provider_type: 'inline::shelf' }
";

fn with(rest: &str) -> String {
    config(&format!("{PROVIDERS}{rest}"))
}

#[test]
fn nothing_said_is_left_to_the_stores() {
    let plan = load(&with("")).unwrap();
    assert_eq!(plan.vector_stores, VectorStoresPlan::default());
    assert_eq!(plan.storage.vector_stores, None);
}

#[test]
fn what_the_original_says_is_read() {
    let plan = load(&with(
        "storage:
  stores:
    vector_stores: { backend: sql_default, table_name: shelves }
vector_stores:
  default_provider_id: shelf
  default_embedding_model: { provider_id: m, model_id: a/b, embedding_dimensions: 768 }
  default_reranker_model: { provider_id: m, model_id: judge }
  rewrite_query_params: { model: { provider_id: m, model_id: writer }, prompt: 'say {query}', max_tokens: 50, temperature: 0.1 }
  file_ingestion_params: { default_chunk_size_tokens: 512, default_chunk_overlap_tokens: 128 }
  chunk_retrieval_params: { chunk_multiplier: 4, default_reranker_strategy: weighted, rrf_impact_factor: 50, weighted_search_alpha: 0.25, default_search_mode: hybrid }
  file_batch_params: { max_concurrent_files_per_batch: 5 }
  contextual_retrieval_params: { model: { provider_id: m, model_id: writer }, default_timeout_seconds: 60, default_max_concurrency: 2 }
",
    ))
    .unwrap();
    assert_eq!(plan.storage.vector_stores.as_deref(), Some("shelves"));
    assert_eq!(
        plan.vector_stores,
        VectorStoresPlan {
            default_provider_id: Some("shelf".to_owned()),
            default_embedding_model: Some("m/a/b".to_owned()),
            default_embedding_dimension: Some(768),
            default_reranker_model: Some("m/judge".to_owned()),
            rewriting: Some(RewritingPlan {
                model: "m/writer".to_owned(),
                prompt: Some("say {query}".to_owned()),
                max_tokens: Some(50),
                temperature: Some(0.1),
            }),
            chunk_size_tokens: Some(512),
            chunk_overlap_tokens: Some(128),
            search_mode: Some(SearchMode::Hybrid),
            is_weighted: true,
            rrf_impact_factor: Some(50.0),
            weighted_alpha: Some(0.25),
            chunk_multiplier: Some(4),
            files_at_once: Some(5),
            contextual_model: Some("m/writer".to_owned()),
            contextual_timeout: Some(Duration::from_secs(60)),
            contextual_concurrency: Some(2),
            registered: Vec::new(),
        }
    );
}

#[test]
fn stores_can_be_registered() {
    let plan = load(&with(
        "registered_resources:
  vector_stores:
  - { vector_store_id: vs_docs, vector_store_name: docs, provider_id: shelf, embedding_model: e, embedding_dimension: 8 }
  - { vector_store_id: vs_more }
",
    ))
    .unwrap();
    let ids: Vec<&str> = plan
        .vector_stores
        .registered
        .iter()
        .map(|store| store.id.as_str())
        .collect();
    assert_eq!(ids, ["vs_docs", "vs_more"]);
    assert_eq!(
        plan.vector_stores.registered[0],
        RegisteredStorePlan {
            id: "vs_docs".to_owned(),
            name: Some("docs".to_owned()),
            provider_id: Some("shelf".to_owned()),
            embedding_model: Some("e".to_owned()),
            embedding_dimension: Some(8),
        }
    );
}

#[test]
fn what_is_wrong_is_reported_together() {
    insta::assert_snapshot!(report(&with(
        "storage:
  stores:
    jobs: { backend: sql_default }
    vector_stores: { backend: kv_default }
vector_stores:
  default_provider_id: shelv
  default_embedding_model: { provider_id: m, model_id: '' }
  rewrite_query_params: { prompt: 'say it', max_tokens: 0, temperature: 3 }
  file_ingestion_params: { default_chunk_size_tokens: 99, default_chunk_overlap_tokens: 50 }
  chunk_retrieval_params: { chunk_multiplier: 0, default_reranker_strategy: best, rrf_impact_factor: 0, weighted_search_alpha: 2, default_search_mode: near, max_tokens_in_context: 1 }
  file_batch_params: { max_concurrent_files_per_batch: 0, cleanup_interval_seconds: 1 }
  contextual_retrieval_params: { default_timeout_seconds: 0, default_max_concurrency: 0 }
registered_resources:
  vector_stores:
  - { vector_store_id: 'a b' }
  - { vector_store_id: a, provider_id: shelf, provider_vector_store_id: b }
  - { vector_store_id: a }
",
    )));
}

#[test]
fn what_is_left_out_leaves_out_what_names_it() {
    let text = with("vector_stores: { default_provider_id: nothing, file_search_params: { header_template: a } }\n");
    let plan = load_with(&text, &[], &SKIP).unwrap();
    assert_eq!(plan.vector_stores, VectorStoresPlan::default());
    let left_out: Vec<&str> = plan.missing.iter().map(|part| part.path.as_str()).collect();
    assert_eq!(
        left_out,
        ["vector_stores.default_provider_id", "vector_stores.file_search_params"]
    );
}
