//! Llama Stack's own ways to vector stores: chunks of clients, and the RAG tool.

use http::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;
use crate::retrieval::client;

const INSERT: &str = "/v1/vector-io/insert";
const QUERY: &str = "/v1/vector-io/query";
const RAG_INSERT: &str = "/v1/tool-runtime/rag-tool/insert";
const RAG_QUERY: &str = "/v1/tool-runtime/rag-tool/query";

impl Client {
    async fn empty_store(&self) -> Value {
        self.done("/v1/vector_stores", json!({})).await["id"].clone()
    }

    /// A post that is answered with nothing but that it is done.
    async fn silently_done(&self, path: &str, body: Value) {
        let answer = self.post(path, body.to_string()).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, ""), "{body}");
    }

    async fn refused(&self, path: &str, body: Value, expected: u16, param: &str) {
        let (status, named, _, message) = self.post(path, body.to_string()).await.error();
        assert_eq!((status, named.as_deref()), (expected, Some(param)), "{body}: {message}");
    }
}

#[tokio::test]
async fn chunks_of_both_generations_are_inserted_and_found() {
    let client = client().await;
    let store = client.empty_store().await;
    let old = json!({ "vector_db_id": store, "chunks": [
        { "content": [{ "type": "text", "text": "llamas carry" }, { "type": "text", "text": "loads" }], "metadata": { "document_id": "animals", "year": 1843 } },
        { "content": "alpacas give wool", "metadata": {}, "stored_chunk_id": "wool" },
    ] });
    client.silently_done(INSERT, old).await;
    let mut vector = vec![0.0; 64];
    vector[0] = 1.0;
    let new = json!({ "vector_store_id": store, "chunks": [{
        "content": "rust has no garbage collector", "chunk_id": "rust", "metadata": { "year": 2015 },
        "chunk_metadata": { "chunk_id": "rust", "document_id": "languages", "source": "a book", "content_token_count": 5 },
        "embedding": vector, "embedding_model": "words/embedder", "embedding_dimension": 64,
    }] });
    client.silently_done(INSERT, new).await;

    let found = client
        .done(
            QUERY,
            json!({ "vector_db_id": store, "query": "what do llamas carry", "params": { "max_chunks": 1 } }),
        )
        .await;
    let chunk = &found["chunks"][0];
    assert_eq!(
        json!([
            chunk["content"],
            chunk["metadata"],
            chunk["chunk_metadata"]["document_id"],
            chunk["embedding_model"],
            chunk["embedding_dimension"]
        ]),
        json!(["llamas carry loads", { "document_id": "animals", "year": 1843 }, "animals", "words/embedder", 64])
    );
    assert_eq!(
        (found["scores"].as_array().unwrap().len(), &chunk["chunk_id"]),
        (1, &chunk["stored_chunk_id"])
    );

    let query = json!({ "vector_store_id": store, "query": { "type": "text", "text": "collector" }, "params": {
        "mode": "keyword", "max_chunks": 10, "filters": { "type": "gte", "key": "year", "value": 2000 },
    } });
    let found = client.done(QUERY, query).await;
    assert_eq!(found["chunks"].as_array().unwrap().len(), 1);
    let chunk = &found["chunks"][0];
    assert_eq!(
        json!([
            chunk["chunk_id"],
            chunk["embedding"][0],
            chunk["chunk_metadata"]["source"]
        ]),
        json!(["rust", 1.0, "a book"])
    );
    let hybrid = json!({ "vector_db_id": store, "query": "wool", "params": { "mode": "hybrid", "ranker": { "strategy": "weighted", "params": { "alpha": 0.1 } } } });
    assert_eq!(client.done(QUERY, hybrid).await["chunks"][0]["chunk_id"], "wool");
}

#[tokio::test]
async fn chunks_and_queries_that_are_wrong_are_named() {
    let client = client().await;
    let store = client.empty_store().await;
    let image = json!({ "type": "image", "image": { "data": "" } });
    for (chunks, param) in [
        (json!([]), "chunks"),
        (json!([{ "metadata": {} }]), "chunks[0]"),
        (json!([{ "content": 5 }]), "chunks[0].content"),
        (json!([{ "content": image }]), "chunks[0].content"),
        (json!([{ "content": "a" }, { "content": " " }]), "chunks[1].content"),
        (json!([{ "content": "a", "embedding": [1.0] }]), "chunks[0].embedding"),
        (
            json!([{ "content": "a", "embedding": [1.0], "embedding_dimension": 2 }]),
            "chunks[0].embedding_dimension",
        ),
        (
            json!([{ "content": "a", "embedding_model": "words/writer" }]),
            "chunks[0].embedding_model",
        ),
        (
            json!([{ "content": "a", "chunk_id": "b", "stored_chunk_id": "c" }]),
            "chunks[0].stored_chunk_id",
        ),
        (json!([{ "content": "a", "colour": "red" }]), "chunks[0].colour"),
    ] {
        client
            .refused(
                INSERT,
                json!({ "vector_store_id": store, "chunks": chunks }),
                400,
                param,
            )
            .await;
    }
    let chunks = json!([{ "content": "a" }]);
    client
        .refused(INSERT, json!({ "chunks": chunks }), 400, "vector_store_id")
        .await;
    client
        .refused(
            INSERT,
            json!({ "vector_store_id": store, "vector_db_id": "b", "chunks": chunks }),
            400,
            "vector_store_id",
        )
        .await;
    client
        .refused(
            INSERT,
            json!({ "vector_store_id": store, "chunks": chunks, "ttl_seconds": 60 }),
            400,
            "ttl_seconds",
        )
        .await;
    client
        .refused(
            INSERT,
            json!({ "vector_store_id": "vs_nowhere", "chunks": chunks }),
            404,
            "vector_store_id",
        )
        .await;
    client
        .refused(
            QUERY,
            json!({ "vector_store_id": "vs_nowhere", "query": "a" }),
            404,
            "vector_store_id",
        )
        .await;
    for (query, param) in [
        (json!({}), "query"),
        (json!({ "query": image }), "query"),
        (
            json!({ "query": "a", "params": { "max_chunks": 0 } }),
            "params.max_chunks",
        ),
        (json!({ "query": "a", "params": { "mode": "psychic" } }), "params.mode"),
        (json!({ "query": "a", "params": { "speed": 1 } }), "params.speed"),
        (
            json!({ "query": "a", "params": { "reranker_type": "neural" } }),
            "params.reranker_params.model",
        ),
    ] {
        let mut query = query;
        query["vector_store_id"] = store.clone();
        client.refused(QUERY, query, 400, param).await;
    }
}

#[tokio::test]
async fn documents_become_a_context() {
    let client = client().await;
    let (store, other) = (client.empty_store().await, client.empty_store().await);
    let documents = json!([
        { "document_id": "animals", "content": "llamas carry loads\n\nalpacas give wool", "mime_type": "text/plain", "metadata": { "year": 1843 } },
        { "document_id": "url", "content": { "uri": "data:text/plain;base64,bGxhbWFz" }, "metadata": {} },
    ]);
    let insert = json!({ "documents": documents, "vector_db_id": store, "chunk_size_in_tokens": 100 });
    client.silently_done(RAG_INSERT, insert).await;
    let rust = json!([{ "document_id": "languages", "content": { "type": "text", "text": "rust has no garbage collector" }, "metadata": {} }]);
    client
        .silently_done(
            RAG_INSERT,
            json!({ "documents": rust, "vector_db_id": other, "chunk_size_in_tokens": 100 }),
        )
        .await;

    let config = json!({ "max_chunks": 2, "chunk_template": "{index}: {chunk.content} {metadata}" });
    let query = json!({ "content": "who gives wool", "vector_db_ids": [store, other], "query_config": config });
    let found = client.done(RAG_QUERY, query).await;
    let parts = found["content"].as_array().unwrap();
    let first = parts[1]["text"].as_str().unwrap();
    assert!(first.starts_with("1: alpacas give wool {"), "{first}");
    assert!(
        first.contains(r#""year":1843"#) && first.contains(r#""document_id":"animals""#),
        "{first}"
    );
    assert!(
        parts.last().unwrap()["text"]
            .as_str()
            .unwrap()
            .contains("who gives wool")
    );
    assert_eq!(
        json!([
            found["metadata"]["document_ids"][0],
            found["metadata"]["vector_db_ids"][0]
        ]),
        json!(["animals", store])
    );
    assert_eq!(found["metadata"]["chunks"].as_array().unwrap().len(), 2);

    let llm = json!({ "type": "llm", "model": "words/writer", "template": "{% for message in messages %}{{ message }}{% endfor %}" });
    let query = json!({ "content": "garbage collector", "vector_db_ids": [other], "query_config": { "query_generator_config": llm, "mode": "keyword" } });
    let found = client.done(RAG_QUERY, query).await;
    assert_eq!(found["metadata"]["document_ids"], json!(["languages"]));
    let nothing = json!({ "content": "zebra", "vector_db_ids": [other], "query_config": { "mode": "keyword" } });
    assert_eq!(client.done(RAG_QUERY, nothing).await, json!({ "metadata": {} }));
}

#[tokio::test]
async fn what_is_wrong_with_documents_and_contexts_is_named() {
    let client = client().await;
    let store = client.empty_store().await;
    let document = |content: Value| json!([{ "document_id": "a", "content": content, "metadata": {} }]);
    for (change, param) in [
        (json!({ "documents": [] }), "documents"),
        (json!({ "documents": document(json!("%!PS")) }), "documents[0]"),
        (
            json!({ "documents": document(json!({ "uri": "https://example.com" })) }),
            "documents[0].content",
        ),
        (
            json!({ "documents": document(json!({ "type": "image", "image": {} })) }),
            "documents[0].content",
        ),
        (json!({ "chunk_size_in_tokens": 99 }), "chunk_size_in_tokens"),
        (json!({ "vector_db_id": "" }), "vector_db_id"),
    ] {
        let mut insert =
            json!({ "documents": document(json!("a")), "vector_db_id": store, "chunk_size_in_tokens": 100 });
        insert
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        client.refused(RAG_INSERT, insert, 400, param).await;
    }
    let nowhere =
        json!({ "documents": document(json!("a")), "vector_db_id": "vs_nowhere", "chunk_size_in_tokens": 100 });
    client.refused(RAG_INSERT, nowhere, 404, "vector_db_id").await;
    for (config, param) in [
        (json!({ "max_chunks": 0 }), "query_config.max_chunks"),
        (json!({ "chunk_template": "{x}" }), "query_config.chunk_template"),
        (
            json!({ "ranker": { "type": "weighted", "alpha": 2 } }),
            "query_config.ranker.alpha",
        ),
        (json!({ "speed": 1 }), "query_config.speed"),
        (
            json!({ "query_generator_config": { "type": "llm", "model": "nowhere", "template": "a" } }),
            "query_config.query_generator_config.model",
        ),
    ] {
        let query = json!({ "content": "a", "vector_db_ids": [store], "query_config": config });
        let expected = if param.ends_with("model") { 404 } else { 400 };
        client.refused(RAG_QUERY, query, expected, param).await;
    }
    client
        .refused(
            RAG_QUERY,
            json!({ "content": "a", "vector_db_ids": [] }),
            400,
            "vector_db_ids",
        )
        .await;
    let nowhere = json!({ "content": "a", "vector_db_ids": [store, "vs_nowhere"] });
    client.refused(RAG_QUERY, nowhere, 404, "vector_db_ids[1]").await;
}
