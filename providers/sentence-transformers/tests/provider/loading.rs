//! Folders that cannot be served, and why.

use std::fs;
use std::path::Path;

use futures::future::join_all;
use puna_api::{ErrorKind, ModelType};
use serde_json::{Value, json};

use crate::local::{Local, fixture};

/// A copy of a model, to be damaged.
fn copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(&fixture("models").join(name), copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_into(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut value);
    fs::write(file, value.to_string()).unwrap();
}

async fn refusal(folder: &Path) -> String {
    let config = json!({"models": [{"path": folder, "id": "m"}]});
    let error = Local::start(config).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let message = error.message().to_owned();
    assert!(message.starts_with("failed to load the model `m`: "), "{message}");
    message
}

#[tokio::test]
async fn what_is_wrong_in_a_folder_is_told_at_start() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, &str); 12] = [
        (
            "bert-mean",
            |model| fs::remove_file(model.join("config.json")).unwrap(),
            "has no config.json",
        ),
        (
            "bert-mean",
            |model| fs::remove_file(model.join("tokenizer.json")).unwrap(),
            "has no tokenizer.json",
        ),
        (
            "bert-mean",
            |model| fs::rename(model.join("model.safetensors"), model.join("pytorch_model.bin")).unwrap(),
            "pickle are not read",
        ),
        (
            "bert-mean",
            |model| fs::write(model.join("tokenizer.json"), "{}").unwrap(),
            "tokenizer.json is not what it should be",
        ),
        (
            "bert-mean",
            |model| fs::write(model.join("model.safetensors"), [255; 64]).unwrap(),
            "not in the format of safetensors",
        ),
        (
            "bert-mean",
            |model| change(&model.join("config.json"), |config| config["hidden_size"] = json!(32)),
            "has the shape",
        ),
        (
            "bert-mean",
            |model| {
                change(&model.join("config.json"), |config| {
                    config["num_hidden_layers"] = json!(4_000_000_000_u32);
                });
            },
            "the weights have no `encoder.layer.2.attention.self.query.weight`",
        ),
        (
            "bert-mean",
            |model| {
                change(&model.join("config.json"), |config| {
                    config["model_type"] = json!("modernbert");
                });
            },
            "`modernbert`; known are",
        ),
        (
            "bert-mean",
            |model| {
                change(&model.join("modules.json"), |modules| {
                    modules[2]["type"] = json!("sentence_transformers.models.CNN");
                });
            },
            "`sentence_transformers.models.CNN`; known are",
        ),
        (
            "roberta-dense",
            |model| {
                change(&model.join("2_Dense/config.json"), |dense| {
                    dense["in_features"] = json!(16);
                });
            },
            "16 `in_features`, and what it gets has 96",
        ),
        (
            "bert-rerank",
            |model| {
                change(&model.join("config.json"), |config| {
                    config["id2label"] = json!({"0": "no", "1": "yes"});
                });
            },
            "tells 2 labels apart",
        ),
        (
            "bert-rerank",
            |model| {
                change(&model.join("config.json"), |config| {
                    config["sentence_transformers"]["activation_fn"] = json!("os.system");
                });
            },
            "`os.system` is not known",
        ),
    ];
    for (name, damage, message) in cases {
        let model = copy(name);
        damage(model.path());
        let refusal = refusal(model.path()).await;
        assert!(refusal.contains(message), "{refusal}");
    }
    assert!(
        refusal(Path::new("/nowhere/at/all"))
            .await
            .contains("cannot read /nowhere/at/all")
    );
}

#[tokio::test]
async fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let model = copy("bert-mean");
    let file = model.path().join("model.safetensors");
    let whole = fs::read(&file).unwrap();
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let refusal = refusal(model.path()).await;
        assert!(
            refusal.contains("not in the format of safetensors"),
            "{length}: {refusal}"
        );
    }
}

#[tokio::test]
async fn weights_in_several_files_are_one_model() {
    let model = copy("bert-mean");
    let index = json!({"weight_map": {"embeddings.word_embeddings.weight": "model-00001-of-00001.safetensors"}});
    fs::rename(
        model.path().join("model.safetensors"),
        model.path().join("model-00001-of-00001.safetensors"),
    )
    .unwrap();
    fs::write(model.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let config = json!({"models": [{"path": model.path(), "id": "sharded"}]});
    let local = Local::start(config).await.unwrap();
    assert_eq!(
        local.vectors("sharded", &json!({"input": "a"})).await.unwrap()[0].len(),
        16
    );
}

#[tokio::test]
async fn models_are_listed_with_what_they_are_for() {
    let models: Vec<Value> = ["bert-mean", "roberta-dense", "xlm-roberta-rerank"]
        .map(|name| json!({"path": fixture("models").join(name)}))
        .into();
    let local = Local::start(json!({"models": models})).await.unwrap();
    let listed: Vec<_> = local
        .models()
        .await
        .into_iter()
        .map(|model| (model.provider_model_id, model.model_type, json!(model.metadata)))
        .collect();
    let expected = [
        (
            "bert-mean",
            ModelType::Embedding,
            json!({"embedding_dimension": 16, "context_length": 32}),
        ),
        (
            "roberta-dense",
            ModelType::Embedding,
            json!({"embedding_dimension": 12, "context_length": 148}),
        ),
        ("xlm-roberta-rerank", ModelType::Rerank, json!({"context_length": 148})),
    ];
    assert_eq!(
        listed,
        expected.map(|(id, kind, metadata)| (id.to_owned(), kind, metadata))
    );
}

#[tokio::test]
async fn a_number_format_that_a_processor_cannot_compute_with_is_refused() {
    let config = json!({"models": [{"path": fixture("models").join("bert-mean"), "dtype": "bf16", "device": "cpu"}]});
    let error = Local::start(config).await.err().unwrap();
    assert!(
        error.message().contains("bf16 cannot be computed with on a processor"),
        "{error}"
    );
}

/// A cache with one model of the hub, `team/bert`.
fn cache() -> tempfile::TempDir {
    let cache = tempfile::tempdir().unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let model = cache.path().join("models--team--bert");
    copy_into(&fixture("models/bert-mean"), &model.join("snapshots").join(commit));
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), commit).unwrap();
    cache
}

#[tokio::test]
async fn a_model_of_the_hub_is_what_was_pulled() {
    let cache = cache();
    let config = |path: &str| json!({"models": [{"path": path}]});

    let local = Local::with_cache(config("hf:team/bert"), cache.path()).await.unwrap();
    assert_eq!(local.models().await[0].provider_model_id, "team/bert");
    let error = Local::with_cache(config("hf:team/other"), cache.path())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("team/other"), "{error}");
    let error = Local::start(config("hf:team/bert")).await.err().unwrap();
    assert!(
        error.message().contains("this server has no cache of models"),
        "{error}"
    );
}

#[tokio::test]
async fn a_model_outside_the_configuration_can_be_registered() {
    let (cache, folder) = (cache(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["bert-mean", "bert-rerank"] {
        copy_into(&fixture("models").join(name), path(name).as_ref());
    }
    let configured = json!({"models": [{"path": fixture("models/bert-mean"), "id": "m"}]});
    let configured = Local::start(configured).await.unwrap();
    let text = json!({"input": "The puna is high."});
    let vectors = configured.vectors("m", &text).await.unwrap();
    let config = json!({"registrable": {"folders": [folder.path()]}});
    let local = Local::with_cache(config, cache.path()).await.unwrap();

    for id in [path("bert-mean"), "hf:team/bert".to_owned()] {
        let found = local.find(&id).await.unwrap().unwrap();
        assert_eq!(
            (&found.provider_model_id, found.model_type),
            (&id, ModelType::Embedding)
        );
        assert_eq!(found.metadata["embedding_dimension"], vectors[0].len());
        let asked = (0..4).map(|_| local.vectors(&id, &text));
        for answer in join_all(asked).await {
            assert_eq!(answer.unwrap(), vectors);
        }
    }
    let found = local.find(&path("bert-rerank")).await.unwrap().unwrap();
    assert_eq!(found.model_type, ModelType::Rerank);
    let query = json!({"query": "llama", "items": ["a llama", "a lake"]});
    local.rerank(&path("bert-rerank"), &query).await.unwrap();
    // Whoever registers it lists it.
    assert_eq!(local.models().await.len(), 2);

    // What is loaded needs its files no more; what was released is loaded anew.
    fs::remove_file(path("bert-mean/config.json")).unwrap();
    assert_eq!(local.vectors(&path("bert-mean"), &text).await.unwrap(), vectors);
    local.release(&path("bert-mean"));
    let error = local.vectors(&path("bert-mean"), &text).await.unwrap_err();
    assert!(error.message().contains("has no config.json"), "{error}");
    copy_into(&fixture("models/bert-mean"), path("bert-mean").as_ref());
    assert_eq!(local.vectors(&path("bert-mean"), &text).await.unwrap(), vectors);
}

#[tokio::test]
async fn what_cannot_be_registered_is_told_why() {
    let folder = copy("bert-mean");
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let config = json!({"registrable": {"folders": [folder.path()]}});
    let local = Local::with_cache(config, cache().path()).await.unwrap();
    for (id, message) in [
        ("other", "there are: puna/tiny-embed, puna/tiny-rerank; others go by"),
        (folder.path().to_str().unwrap(), "has no model.safetensors"),
        ("/etc", "in none of the folders"),
        ("hf:team/other", "team/other"),
        ("hf:a/b/c", "names no model of the hub"),
    ] {
        let error = local.find(id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.message().contains(message), "{error}");
        local.vectors(id, &json!({"input": "x"})).await.unwrap_err();
    }
}

#[tokio::test]
async fn tokens_that_the_model_was_not_made_for_are_named() {
    let model = copy("bert-rerank");
    change(&model.path().join("tokenizer.json"), |tokenizer| {
        let mut token = tokenizer["added_tokens"][0].clone();
        token["id"] = json!(1_000_000);
        token["content"] = json!("<later>");
        tokenizer["added_tokens"].as_array_mut().unwrap().push(token);
    });
    let local = Local::start(json!({"models": [{"path": model.path(), "id": "m"}]}))
        .await
        .unwrap();
    for (query, items, param) in [
        ("llama", json!(["llama", "a <later> token"]), "items[1]"),
        ("<later>", json!(["llama"]), "query"),
    ] {
        let error = local
            .rerank("m", &json!({"query": query, "items": items}))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(param)),
            "{error}"
        );
    }
}
