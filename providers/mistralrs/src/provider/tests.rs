use std::time::Duration;

use puna_testkit::{TestHost, context};
use serde_json::{Value, json};

use super::*;

fn chat(text: &str) -> InferenceRequest<ChatCompletionRequest> {
    let model = puna_api::Model {
        id: "m".to_owned(),
        provider_id: "p".to_owned(),
        provider_model_id: crate::DEMO_MODEL.to_owned(),
        model_type: ModelType::Llm,
        metadata: serde_json::Map::new(),
    };
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 3000,
        "logit_bias": {"65": 100},
    });
    InferenceRequest {
        model: Arc::new(model),
        requested_model: "m".into(),
        body: Json::from_bytes(body.to_string()),
    }
}

async fn provider(host: &TestHost) -> Mistralrs {
    let config: MistralrsConfig = serde_json::from_value(json!({})).unwrap();
    Mistralrs {
        pool: Pool::new(EngineLoader::new(config, host.host()), Limits::default(), host.host()),
        images: Images::new(puna_http::NetworkConfig::default(), &host.host()),
        learns: false,
    }
}

#[tokio::test]
async fn an_engine_that_ends_is_built_anew_and_serves_again() {
    let host = TestHost::new().unwrap();
    let provider = provider(&host).await;
    let mut stream = provider
        .chat_completion_stream(&context(), chat("Hello!"))
        .await
        .unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    provider.check().await.unwrap();
    {
        let lease = provider.pool.get(crate::DEMO_MODEL).await.unwrap();
        EngineLease::of(&lease).unwrap().kill().await;
        assert_eq!(provider.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    let mut last = None;
    while let Some(item) = stream.next().await {
        last = Some(item);
    }
    assert_eq!(last.unwrap().err().unwrap().kind(), ErrorKind::Unavailable);
    drop(stream);
    let well = async {
        while provider.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), well).await.unwrap();
    let mut request = chat("Hello!");
    let mut body: Value = serde_json::from_slice(request.body.bytes().unwrap()).unwrap();
    body["max_tokens"] = json!(3);
    request.body = Json::from_bytes(body.to_string());
    let answer = provider.chat_completion(&context(), request).await.unwrap();
    assert_eq!(answer.get().unwrap().choices[0].message.content.as_deref(), Some("AAA"));
}

/// What a request took is given back, however many there were.
#[cfg(target_os = "linux")]
#[test]
fn requests_leave_nothing_behind() {
    crate::memory::run_alone("provider::tests::memory_is_flat_over_requests");
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "`requests_leave_nothing_behind` runs it in a process of its own"]
async fn memory_is_flat_over_requests() {
    const ROUNDS: usize = 6;
    const REQUESTS: usize = 400;
    let host = TestHost::new().unwrap();
    let provider = provider(&host).await;
    let mut resident = Vec::new();
    for round in 0..ROUNDS {
        for number in 0..REQUESTS {
            // Each asks for something else, so that what is kept for those that come again shows too.
            let mut request = chat(&format!("Say {round} and {number}."));
            let mut body: Value = serde_json::from_slice(request.body.bytes().unwrap()).unwrap();
            body["max_tokens"] = json!(2);
            request.body = Json::from_bytes(body.to_string());
            if number % 4 == 0 {
                let mut stream = provider.chat_completion_stream(&context(), request).await.unwrap();
                while let Some(chunk) = stream.next().await {
                    chunk.unwrap();
                }
            } else {
                provider.chat_completion(&context(), request).await.unwrap();
            }
        }
        resident.push(crate::memory::resident_bytes());
    }
    // After the first rounds the allocator has what it needs.
    let growth = resident[ROUNDS - 1].saturating_sub(resident[1]);
    let requests = (ROUNDS - 2) * REQUESTS;
    assert!(
        growth < requests as u64 * 512,
        "{growth} bytes over {requests} requests: {resident:?}"
    );
}
