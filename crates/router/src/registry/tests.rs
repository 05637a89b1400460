use async_trait::async_trait;
use puna_api::{ErrorKind, Models, RequestContext};

use super::*;

fn target(provider_id: &str, lists_all: bool) -> Target {
    Target {
        provider_id: provider_id.to_owned(),
        lists_all,
        services: Services::default(),
    }
}

fn listed(id: &str, model_type: ModelType) -> ProviderModel {
    ProviderModel {
        provider_model_id: id.to_owned(),
        model_type,
        ..ProviderModel::default()
    }
}

fn registered(model_id: &str, provider_id: &str, provider_model_id: Option<&str>) -> ModelPlan {
    ModelPlan {
        model_id: model_id.to_owned(),
        provider_id: provider_id.to_owned(),
        provider_model_id: provider_model_id.map(ToOwned::to_owned),
        model_type: ModelType::Llm,
        metadata: serde_json::Map::new(),
        model_validation: None,
    }
}

fn registry() -> Registry {
    let checked = ModelPlan {
        model_validation: Some(true),
        ..registered("checked", "vllm", Some("gone"))
    };
    let registry = Registry::new(vec![
        checked,
        registered("fast", "vllm", Some("meta/llama-3")),
        registered("any", "all", Some("auto")),
        registered("early", "later", None),
    ]);
    registry.add_target(target("vllm", false));
    registry.add_target(target("local", true));
    registry.set_listed(
        "vllm",
        vec![listed("meta/llama-3", ModelType::Llm), listed("guess", ModelType::Llm)],
    );
    registry.set_listed("local", vec![listed("bert", ModelType::Embedding)]);
    registry
}

#[test]
fn ids_and_aliases_lead_to_the_provider() {
    let registry = registry();
    for (id, provider_id, provider_model_id) in [
        ("fast", "vllm", "meta/llama-3"),
        ("any", "vllm", "meta/llama-3"),
        ("vllm/meta/llama-3", "vllm", "meta/llama-3"),
        ("vllm/not/listed", "vllm", "not/listed"),
        ("local/bert", "local", "bert"),
    ] {
        let route = registry.route(id).unwrap();
        assert_eq!(route.target.provider_id, provider_id, "{id}");
        assert_eq!(route.model.provider_model_id, provider_model_id, "{id}");
        assert_eq!(route.model.id, id);
    }
    let shown: Vec<String> = registry.models().iter().map(|model| model.id.clone()).collect();
    assert_eq!(shown, ["any", "fast", "local/bert", "vllm/guess", "vllm/meta/llama-3"]);
}

#[test]
fn an_unknown_model_is_answered_with_near_names() {
    let registry = registry();
    for id in [
        "nothing",
        "local/nothing",
        "vllm/",
        "elsewhere/bert",
        "early",
        "checked",
        "",
    ] {
        let error = registry.route(id).unwrap_err();
        assert_eq!(error.kind(), puna_api::ErrorKind::NotFound, "{id}");
        assert_eq!((error.code(), error.param()), (Some("model_not_found"), Some("model")));
        assert!(registry.place(id).is_none(), "{id}");
    }
    assert!(
        registry
            .route("fst")
            .unwrap_err()
            .message()
            .contains("did you mean `fast`?")
    );
    assert!(registry.route(&"é".repeat(5000)).unwrap_err().message().len() < 2000);
}

#[test]
fn only_a_type_that_is_known_for_certain_is_held_against_a_model() {
    let registry = registry();
    assert!(registry.route_for("vllm/guess", ModelType::Embedding).is_ok());
    let error = registry.route_for("fast", ModelType::Embedding).unwrap_err();
    assert!(
        error
            .message()
            .contains("of type `llm`, and this operation needs one of type `embedding`"),
        "{error}"
    );
    assert!(registry.route_for("local/bert", ModelType::Llm).is_err());
}

#[test]
fn what_a_provider_lists_anew_replaces_what_it_listed() {
    let registry = registry();
    registry.set_listed("local", vec![listed("bge", ModelType::Embedding)]);
    assert!(registry.route("local/bert").is_err());
    assert!(registry.route("local/bge").is_ok());
}

fn registration(model_id: &str, provider_id: Option<&str>, provider_model_id: Option<&str>) -> ModelRegistration {
    ModelRegistration {
        model_id: model_id.to_owned(),
        provider_id: provider_id.map(ToOwned::to_owned),
        provider_model_id: provider_model_id.map(ToOwned::to_owned),
        ..ModelRegistration::default()
    }
}

/// Registers a model with this server alone.
fn register(registry: &Registry, asked: ModelRegistration) -> Result<Arc<Model>> {
    let id = asked.model_id.clone();
    if let Some(added) = registry.check(asked, None)? {
        registry.add(added);
    }
    registry.route(&id).map(|route| route.model)
}

#[test]
fn a_model_can_be_registered_and_taken_back() {
    let registry = registry();
    let dimension = serde_json::Map::from_iter([("embedding_dimension".to_owned(), 8.into())]);
    registry.set_listed(
        "local",
        vec![ProviderModel {
            metadata: dimension.clone(),
            ..listed("vectors", ModelType::Embedding)
        }],
    );
    let asked = registration("mine", Some("local"), Some("vectors"));
    let model = register(&registry, asked.clone()).unwrap();
    assert_eq!(
        (model.provider_model_id.as_str(), model.model_type, &model.metadata),
        ("vectors", ModelType::Embedding, &dimension)
    );
    assert_eq!(register(&registry, asked).unwrap(), model);
    assert_eq!(registry.route_for("mine", ModelType::Embedding).unwrap().model, model);
    // A provider that may have more models than it lists is taken at the caller's word.
    register(&registry, registration("other", Some("vllm"), None)).unwrap();
    registry.check_added("mine").unwrap();
    registry.remove("mine");
    assert_eq!(registry.route("mine").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(registry.check_added("mine").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(registry.route("other").is_ok());
}

/// A provider that has a model which it does not list.
#[derive(Debug, Default)]
struct Shelf {
    released: Mutex<Vec<String>>,
}

#[async_trait]
impl Models for Shelf {
    async fn list_models(&self, _context: &RequestContext) -> Result<Vec<ProviderModel>> {
        Ok(Vec::new())
    }

    fn changes(&self) -> bool {
        false
    }

    async fn find_model(&self, provider_model_id: &str) -> Result<Option<ProviderModel>> {
        match provider_model_id {
            "unlisted" => Ok(Some(listed("unlisted", ModelType::Rerank))),
            "damaged" => Err(Error::invalid_request("it is damaged")),
            _ => Ok(None),
        }
    }

    fn release_model(&self, provider_model_id: &str) {
        self.released.lock().unwrap().push(provider_model_id.to_owned());
    }
}

#[tokio::test]
async fn a_provider_may_have_more_than_it_lists_and_hears_when_nobody_needs_it() {
    let registry = registry();
    let shelf = Arc::new(Shelf::default());
    registry.add_target(Target {
        services: Services::default().with_models(Arc::clone(&shelf) as _),
        ..target("shelf", true)
    });
    let asked = |id: &str, of: &str| registration(id, Some("shelf"), Some(of));
    for (of, message) in [("damaged", "it is damaged"), ("other", "has no model `other`")] {
        let asked = asked("mine", of);
        let error = match registry.find(&asked).await {
            Ok(found) => registry.check(asked, found.as_ref()).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.message().contains(message), "{error}");
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("provider_model_id"))
        );
    }
    for id in ["mine", "yours", "ours"] {
        let asked = asked(id, "unlisted");
        let found = registry.find(&asked).await.unwrap();
        registry.add(registry.check(asked, found.as_ref()).unwrap().unwrap());
        assert_eq!(registry.route(id).unwrap().model.model_type, ModelType::Rerank);
    }
    // The same once more needs no finding.
    assert_eq!(registry.find(&asked("mine", "unlisted")).await.unwrap(), None);
    registry.remove("mine");
    let left = registry.sources.lock().unwrap().added.clone();
    registry.set_added(left[..1].to_vec());
    assert_eq!(*shelf.released.lock().unwrap(), [""; 0]);
    // Another server took the last one back.
    registry.set_added(Vec::new());
    assert_eq!(*shelf.released.lock().unwrap(), ["unlisted"]);
}

#[test]
fn the_same_registration_is_the_same_whatever_the_provider_lists_by_then() {
    let registry = registry();
    let asked = registration("mine", Some("vllm"), Some("meta/llama-3"));
    register(&registry, asked.clone()).unwrap();
    let mut known = listed("meta/llama-3", ModelType::Llm);
    known.metadata.insert("context_length".to_owned(), 4096.into());
    registry.set_listed("vllm", vec![known]);
    register(&registry, asked).unwrap();
    let other = registration("mine", Some("vllm"), Some("guess"));
    assert_eq!(register(&registry, other).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn registrations_are_bounded() {
    let registry = registry();
    let numbered = |number: usize| registration(&format!("m{number}"), Some("vllm"), None);
    for number in 0..MAX_ADDED {
        register(&registry, numbered(number)).unwrap();
    }
    let error = register(&registry, numbered(MAX_ADDED)).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Conflict, Some("too_many_models"))
    );
    register(&registry, numbered(0)).unwrap();
    registry.remove("m0");
    register(&registry, numbered(MAX_ADDED)).unwrap();
}

#[test]
fn what_is_wrong_with_a_registration_is_named() {
    let registry = registry();
    registry.set_listed("local", vec![listed("here", ModelType::Llm)]);
    let with_type = ModelRegistration {
        model_type: Some(ModelType::Embedding),
        ..registration("a", Some("local"), Some("here"))
    };
    let no_dimension = ModelRegistration {
        model_type: Some(ModelType::Embedding),
        ..registration("a", Some("vllm"), None)
    };
    for (asked, kind, param) in [
        (
            registration("", Some("vllm"), None),
            ErrorKind::InvalidRequest,
            "model_id",
        ),
        (
            registration("a\n", Some("vllm"), None),
            ErrorKind::InvalidRequest,
            "model_id",
        ),
        (registration("a", None, None), ErrorKind::InvalidRequest, "provider_id"),
        (
            registration("a", Some("gone"), None),
            ErrorKind::InvalidRequest,
            "provider_id",
        ),
        (
            registration("a", Some("local"), None),
            ErrorKind::InvalidRequest,
            "provider_model_id",
        ),
        (with_type, ErrorKind::InvalidRequest, "model_type"),
        (no_dimension, ErrorKind::InvalidRequest, "metadata"),
        (
            registration("fast", Some("vllm"), Some("x")),
            ErrorKind::Conflict,
            "model_id",
        ),
        (
            registration("local/here", Some("vllm"), Some("x")),
            ErrorKind::Conflict,
            "model_id",
        ),
    ] {
        let error = registry.check(asked.clone(), None).unwrap_err();
        assert_eq!((error.kind(), error.param()), (kind, Some(param)), "{asked:?}");
    }
    let error = registry.check_added("fast").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}
