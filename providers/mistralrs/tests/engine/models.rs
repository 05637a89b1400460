//! Models and their files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use puna_api::{ErrorKind, ModelType};
use puna_provider_mistralrs::DEMO_MODEL;
use puna_testkit::context;
use serde_json::{Map, Value, json};

use crate::local::{CONTEXT, Local, body, prompt, said};

#[tokio::test]
async fn a_folder_without_its_files_is_told_before_the_engine_starts() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let start = |model: &Path| Local::start(json!({"models": [{"path": model}]}));
    let error = start(&model).await.err().unwrap();
    assert!(
        error.message().starts_with("cannot read the model at "),
        "{}",
        error.message()
    );
    for missing in ["tokenizer.json", "config.json", "model.safetensors"] {
        puna_tiny_model::write(&model).unwrap();
        fs::remove_file(model.join(missing)).unwrap();
        let error = start(&model).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let named = missing.strip_prefix("model.").unwrap_or(missing);
        assert!(
            error.message().contains(named) && error.message().contains("has no "),
            "{}",
            error.message()
        );
    }
}

/// A cache of models of the hub with `hf:team/tiny` in it.
fn cache() -> tempfile::TempDir {
    let cache = tempfile::tempdir().unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let model = cache.path().join("models--team--tiny");
    puna_tiny_model::write(&model.join("snapshots").join(commit)).unwrap();
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), commit).unwrap();
    cache
}

#[tokio::test]
async fn a_model_of_the_hub_is_what_was_pulled() {
    let cache = cache();
    let config = |path: &str| json!({"models": [{"path": path}]});

    let local = Local::with_cache(config("hf:team/tiny"), cache.path()).await.unwrap();
    let models = local.services.models.as_ref().unwrap();
    let listed = models.list_models(&context()).await.unwrap();
    assert_eq!(listed[0].provider_model_id, "team/tiny");
    let other = Local::with_cache(config("hf:team/other"), cache.path()).await;
    let error = other.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("team/other"), "{error}");
    let error = Local::start(config("hf:team/tiny")).await.err().unwrap();
    assert!(
        error.message().contains("this server has no cache of models"),
        "{error}"
    );
}

#[tokio::test]
async fn a_model_outside_the_configuration_can_be_registered() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["later", "damaged"] {
        puna_tiny_model::write(path(name).as_ref()).unwrap();
    }
    fs::write(path("damaged/model.safetensors"), "no weights").unwrap();
    let cache = cache();
    let config = json!({"registrable": {"folders": [folder.path()]}});
    let mut local = Local::with_cache(config, cache.path()).await.unwrap();
    let models = Arc::clone(local.services.models.as_ref().unwrap());
    let body = body("Hello!", json!({}));
    let demo = local.chat(&body).await.unwrap();
    for id in [path("later"), "hf:team/tiny".to_owned()] {
        let found = models.find_model(&id).await.unwrap().unwrap();
        assert_eq!((&found.provider_model_id, found.model_type), (&id, ModelType::Llm));
        assert_eq!(found.metadata["context_length"], CONTEXT);
        local.model = id.leak();
        assert_eq!(said(&local.chat(&body).await.unwrap()), said(&demo));
        models.release_model(local.model);
    }
    // Whoever registers it lists it.
    assert_eq!(models.list_models(&context()).await.unwrap().len(), 1);
    for (id, message) in [
        (
            "other".to_owned(),
            "the model `other` is not configured; there are: puna/tiny",
        ),
        (path("missing"), "cannot read the model at "),
        (path("damaged"), "model.safetensors is damaged"),
        (path("../later"), "in none of the folders"),
        ("/etc/later".to_owned(), "in none of the folders"),
        ("hf:team/other".to_owned(), "team/other"),
        ("hf:a/b/c".to_owned(), "names no model of the hub"),
    ] {
        let error = models.find_model(&id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_model_of_the_configuration_has_one_engine() {
    let cache = cache();
    let config = json!({"models": [{"path": "hf:team/tiny", "load": "first_use"}]});
    let local = Local::with_cache(config, cache.path()).await.unwrap();
    let models = local.services.models.as_ref().unwrap();
    let error = models.find_model("hf:team/tiny").await.unwrap_err();
    assert!(error.message().contains("it goes by `team/tiny` there"), "{error}");
}

#[tokio::test]
async fn a_model_that_nobody_may_register_is_served_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write(folder.path()).unwrap();
    let mut local = Local::demo().await;
    // A registration outlives the configuration that allowed it.
    local.model = folder.path().to_str().unwrap().to_owned().leak();
    let error = local.chat(&body("Hello!", json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("`registrable.folders`"), "{error}");
}

#[tokio::test]
async fn a_damaged_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write(folder.path()).unwrap();
    let weights = folder.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let config = json!({"models": [{"path": folder.path(), "id": "damaged"}]});
    let error = Local::start(config).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error
            .message()
            .contains("model.safetensors is damaged: its tensors have "),
        "{}",
        error.message()
    );
    assert!(!error.message().contains('\n'), "{}", error.message());
}

#[tokio::test]
async fn a_gguf_file_answers_as_its_checkpoint_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = puna_tiny_model::write_gguf(folder.path()).unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL}, {"path": file, "id": "gguf"}]});
    let mut local = Local::start(config).await.unwrap();
    let listed = local
        .services
        .models
        .as_ref()
        .unwrap()
        .list_models(&context())
        .await
        .unwrap();
    let ids: Vec<&str> = listed.iter().map(|model| model.provider_model_id.as_str()).collect();
    assert_eq!(ids, ["gguf", DEMO_MODEL]);
    assert_eq!(listed[0].metadata["context_length"], CONTEXT);
    for text in ["What is a llama?", "Hello!", "one two 33"] {
        local.model = DEMO_MODEL;
        let from_checkpoint = local.chat(&body(text, json!({}))).await.unwrap();
        local.model = "gguf";
        let from_gguf = local.chat(&body(text, json!({}))).await.unwrap();
        assert_eq!(said(&from_gguf), said(&from_checkpoint));
        assert_eq!(from_gguf.usage, from_checkpoint.usage);
    }
}

#[tokio::test]
async fn another_template_can_take_the_models_place() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("plain.jinja");
    fs::write(
        &template,
        "{% for message in messages %}{{ message.content }}{% endfor %}",
    )
    .unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL, "chat_template": template}]});
    let local = Local::start(config).await.unwrap();
    let chat = local.chat(&body("The llama", json!({}))).await.unwrap();
    let completion = local.complete(&prompt("The llama", json!({}))).await.unwrap();
    assert_eq!(said(&chat), completion.choices[0].text);
    fs::write(&template, "{% for %}").unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL, "chat_template": template}]});
    let error = Local::start(config).await.err().unwrap();
    assert!(
        error.message().contains("chat template is not valid"),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn a_device_that_is_not_there_is_told() {
    let error = Local::start(json!({"models": [{"path": DEMO_MODEL, "device": "cuda:0"}]}))
        .await
        .err();
    if cfg!(not(feature = "cuda")) {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(
            error.message().contains("the device `cuda:0` cannot be used"),
            "{}",
            error.message()
        );
    }
}

/// The context that the demo model says it has, as its provider lists it.
async fn listed(local: &Local, id: &str) -> Option<u64> {
    let models = local.services.models.as_ref().unwrap();
    let listed = models.list_models(&context()).await.unwrap();
    let model = listed.iter().find(|model| model.provider_model_id == id).unwrap();
    model.metadata.get("context_length").and_then(Value::as_u64)
}

#[tokio::test]
async fn a_model_is_loaded_on_first_use_and_shared_by_those_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("later");
    let config = json!({"models": [{"path": model, "load": "first_use"}], "max_loaded_models": 1});
    let mut local = Local::start(config).await.unwrap();
    local.model = "later";
    assert_eq!(listed(&local, "later").await, None);
    // What is not there yet is told to everybody, and is no fault of theirs.
    let body = body("Hello!", json!({}));
    let (first, second) = tokio::join!(local.chat(&body), local.chat(&body));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.message().starts_with("cannot read the model at "),
            "{}",
            error.message()
        );
    }
    puna_tiny_model::write(&model).unwrap();
    assert_eq!(listed(&local, "later").await, Some(CONTEXT));
    let answered = async {
        loop {
            match local.chat(&body).await {
                Ok(answer) => return answer,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(60), answered)
        .await
        .unwrap();
    let (second, third) = tokio::join!(local.chat(&body), local.chat(&body));
    assert_eq!([said(&second.unwrap()), said(&third.unwrap())], [said(&answer); 2]);
}

#[tokio::test]
async fn models_take_turns_where_there_is_room_for_one() {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write(folder.path()).unwrap();
    let config = json!({
        "models": [{"path": DEMO_MODEL, "load": "first_use"}, {"path": folder.path(), "id": "other", "load": "first_use"}],
        "max_loaded_models": 1,
    });
    let mut local = Local::start(config).await.unwrap();
    let body = body("Hello!", json!({}));
    let mut said_by = Vec::new();
    for model in [DEMO_MODEL, "other", DEMO_MODEL, "other"] {
        local.model = model;
        said_by.push(said(&local.chat(&body).await.unwrap()).to_owned());
    }
    assert!(said_by.iter().all(|text| *text == said_by[0]), "{said_by:?}");
}

#[tokio::test]
async fn weights_can_be_quantised_while_they_are_loaded() {
    let mut local = Local::start(json!({"models": [{"path": DEMO_MODEL, "isq": "q8_0", "id": "small"}]}))
        .await
        .unwrap();
    local.model = "small";
    let answer = local.chat(&body("Hello!", json!({}))).await.unwrap();
    assert!(answer.usage.unwrap().completion_tokens > 0);
    let error = Local::start(json!({"models": [{"path": DEMO_MODEL, "isq": "q99"}]}))
        .await
        .err()
        .unwrap();
    assert!(error.message().contains("q99"), "{}", error.message());
    let folder = tempfile::tempdir().unwrap();
    let file = puna_tiny_model::write_gguf(folder.path()).unwrap();
    let error = Local::start(json!({"models": [{"path": file, "isq": "q8_0"}]}))
        .await
        .err()
        .unwrap();
    assert!(error.message().contains("leave `isq` out"), "{}", error.message());
}

/// The demo model's weights in two files with an index.
fn sharded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write(folder.path()).unwrap();
    let file = folder.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let tensors: Vec<_> = header.iter().filter(|(name, _)| *name != "__metadata__").collect();
    let mut weight_map = Map::new();
    for (number, part) in tensors.chunks(tensors.len().div_ceil(2)).enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", number + 1);
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (tensor, entry) in part {
            let place = |index: usize| 8 + length + entry["data_offsets"][index].as_u64().unwrap() as usize;
            let begin = data.len();
            data.extend_from_slice(&bytes[place(0)..place(1)]);
            let mut entry = (*entry).clone();
            entry["data_offsets"] = json!([begin, data.len()]);
            header.insert((*tensor).clone(), entry);
            weight_map.insert((*tensor).clone(), json!(name));
        }
        let header = Value::Object(header).to_string();
        let whole = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
        fs::write(folder.path().join(name), whole).unwrap();
    }
    fs::remove_file(file).unwrap();
    let index = json!({"metadata": {}, "weight_map": weight_map});
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    folder
}

#[tokio::test]
async fn weights_may_be_in_several_files() {
    let folder = sharded();
    let config = json!({"models": [{"path": DEMO_MODEL}, {"path": folder.path(), "id": "sharded"}]});
    let mut local = Local::start(config).await.unwrap();
    let body = body("What is a llama?", json!({}));
    let whole = local.chat(&body).await.unwrap();
    local.model = "sharded";
    assert_eq!(said(&local.chat(&body).await.unwrap()), said(&whole));
    fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let error = Local::start(json!({"models": [{"path": folder.path()}]}))
        .await
        .err()
        .unwrap();
    assert!(
        error.message().contains("has no model-00002-of-00002.safetensors"),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn weights_in_the_format_uqff_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    puna_tiny_model::write(&model).unwrap();
    let uqff = folder.path().join("uqff");
    fs::create_dir(&uqff).unwrap();
    // Written by the engine, as who makes such a file would.
    let written = mistralrs::TextModelBuilder::new(model.to_str().unwrap())
        .with_force_cpu()
        .with_dtype(mistralrs::ModelDType::F32)
        .with_isq(mistralrs::IsqType::Q8_0)
        .write_uqff(uqff.join("q8_0.uqff"))
        .build()
        .await;
    drop(written.unwrap());
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ] {
        if model.join(name).is_file() {
            fs::copy(model.join(name), uqff.join(name)).unwrap();
        }
    }
    let names: Vec<_> = fs::read_dir(&uqff)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let file = names
        .iter()
        .find(|name| name.to_str().unwrap().ends_with(".uqff"))
        .unwrap();
    let config = json!({"models": [{"path": uqff, "uqff": file.to_str(), "id": DEMO_MODEL}]});
    let local = Local::start(config).await.unwrap();
    let answer = local.chat(&body("What is a llama?", json!({}))).await.unwrap();
    assert!(answer.usage.unwrap().completion_tokens > 0);
}
