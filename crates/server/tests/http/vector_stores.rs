//! `/v1/vector_stores`.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::llama_stack::check;
use crate::retrieval::client;

const STORES: &str = "/v1/vector_stores";
const LLAMAS: &[u8] = b"# Animals\n\nllamas carry loads\n\nalpacas give wool";
const RUST: &[u8] = b"# Languages\n\nrust has no garbage collector";

impl Client {
    /// What a post is answered with, which must be a success.
    pub(crate) async fn done(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// Uploads files, and makes a store of them that is completed.
    async fn store_of(&self, contents: &[&[u8]]) -> (String, Vec<String>) {
        let mut ids = Vec::new();
        for (number, content) in (1..).zip(contents) {
            let file = self.keep(&format!("{number}.md"), "assistants", content).await;
            ids.push(file["id"].as_str().unwrap().to_owned());
        }
        let store = self.done(STORES, json!({ "name": "docs", "file_ids": ids })).await;
        let id = store["id"].as_str().unwrap().to_owned();
        self.settled(&format!("{STORES}/{id}")).await;
        (id, ids)
    }

    /// A store, a file or a batch, once it is not in progress any more.
    async fn settled(&self, path: &str) -> Value {
        for _ in 0..6000 {
            let answer = self.get(path).await.json();
            if answer["status"] != "in_progress" {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} does not come to an end");
    }

    async fn search(&self, store: &str, search: Value) -> Value {
        self.done(&format!("{STORES}/{store}/search"), search).await
    }
}

/// The ids of a page, and whether there are more.
fn ids(page: &Answer) -> Value {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let page = page.json();
    let ids: Vec<&Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["id"])
        .collect();
    let ends = |id: Option<&&Value>| id.and_then(|id| id.as_str()).unwrap_or_default().to_owned();
    assert_eq!(
        (&page["first_id"], &page["last_id"]),
        (&json!(ends(ids.first())), &json!(ends(ids.last())))
    );
    json!([ids, page["has_more"]])
}

/// The first lines of what a search found.
fn texts(found: &Value) -> Vec<&str> {
    let hits = found["data"].as_array().unwrap();
    hits.iter()
        .map(|hit| hit["content"][0]["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_store_is_made_described_changed_and_deleted() {
    let client = client().await;
    assert_eq!(ids(&client.get(STORES).await), json!([[], false]));
    let made = client
        .done(
            STORES,
            json!({
                "name": "docs", "metadata": { "team": "a" }, "expires_after": { "anchor": "last_active_at", "days": 7 },
                "chunking_strategy": { "type": "auto" }, "file_ids": null,
            }),
        )
        .await;
    let path = format!("{STORES}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        json!([
            made["object"],
            made["name"],
            made["status"],
            made["usage_bytes"],
            made["metadata"],
            made["embedding_model"],
            made["embedding_dimension"],
            made["provider_id"]
        ]),
        json!(["vector_store", "docs", "completed", 0, { "team": "a" }, "words/embedder", 64, "rows"])
    );
    assert_eq!(
        made["file_counts"],
        json!({ "in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0 })
    );
    assert_eq!(
        made["expires_at"].as_u64().unwrap(),
        made["last_active_at"].as_u64().unwrap() + 7 * 86_400
    );
    assert_eq!(client.get(&path).await.json(), made);
    assert_eq!(ids(&client.get(STORES).await), json!([[made["id"]], false]));

    let changed = client
        .done(&path, json!({ "name": "papers", "expires_after": null }))
        .await;
    assert_eq!(
        json!([changed["name"], changed["expires_at"], changed["metadata"]]),
        json!(["papers", null, { "team": "a" }])
    );
    let deleted = client.delete(&path).await.json();
    assert_eq!(
        deleted,
        json!({ "id": made["id"], "object": "vector_store.deleted", "deleted": true })
    );
    for answer in [
        client.get(&path).await,
        client.delete(&path).await,
        client.post(&path, "{}").await,
    ] {
        let (status, param, ..) = answer.error();
        assert_eq!((status, param.as_deref()), (404, Some("vector_store_id")));
    }
}

#[tokio::test]
async fn files_are_searched_in_three_modes_and_by_filters() {
    let client = client().await;
    let (store, files) = client.store_of(&[LLAMAS, RUST]).await;
    for (file, year) in files.iter().zip([1843, 2015]) {
        let attributes = json!({ "attributes": { "year": year, "printed": true } });
        let changed = client.done(&format!("{STORES}/{store}/files/{file}"), attributes).await;
        assert_eq!(
            changed["attributes"],
            json!({ "year": f64::from(year), "printed": true })
        );
    }
    for mode in ["vector", "keyword", "hybrid"] {
        let search = json!({ "query": "what do llamas carry?", "search_mode": mode, "max_num_results": 1 });
        let found = client.search(&store, search).await;
        assert_eq!(found["object"], "vector_store.search_results.page");
        assert_eq!(
            json!([found["search_query"], found["has_more"], found["next_page"]]),
            json!([["what do llamas carry?"], false, null])
        );
        assert_eq!(texts(&found), ["llamas carry loads"], "{mode}");
        let hit = &found["data"][0];
        assert_eq!(
            json!([hit["file_id"], hit["filename"], hit["attributes"]["year"]]),
            json!([files[0], "1.md", 1843.0])
        );
        let score = hit["score"].as_f64().unwrap();
        assert!(score > 0.0 && score <= 1.0, "{score}");
    }
    let filters = json!({ "type": "and", "filters": [
        { "type": "gt", "key": "year", "value": 2000 }, { "type": "eq", "key": "printed", "value": true },
    ] });
    let found = client
        .search(&store, json!({ "query": "llamas carry loads", "filters": filters }))
        .await;
    assert_eq!(texts(&found), ["rust has no garbage collector"]);
    let rewritten = client
        .search(&store, json!({ "query": "moggy", "rewrite_query": true }))
        .await;
    assert_eq!(rewritten["search_query"], json!(["cat"]));
    let neural =
        json!({ "query": ["llamas", "rust"], "ranking_options": { "ranker": "neural", "model": "words/ranker" } });
    assert_eq!(texts(&client.search(&store, neural).await)[0], "alpacas give wool");
}

#[tokio::test]
async fn files_are_attached_listed_read_and_taken_out() {
    let client = client().await;
    let (store, files) = client.store_of(&[LLAMAS]).await;
    let path = format!("{STORES}/{store}/files");
    let broken = client.keep("broken.ps", "assistants", b"%!PS").await;
    let attach = json!({
        "file_id": broken["id"], "attributes": { "kind": "ps" },
        "chunking_strategy": { "type": "static", "static": { "max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50 } },
    });
    let attached = client.done(&path, attach).await;
    assert_eq!(
        json!([
            attached["id"],
            attached["object"],
            attached["vector_store_id"],
            attached["attributes"],
            attached["chunking_strategy"]["static"]["max_chunk_size_tokens"]
        ]),
        json!([broken["id"], "vector_store.file", store, { "kind": "ps" }, 100])
    );
    let failed = client
        .settled(&format!("{path}/{}", broken["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        json!([failed["status"], failed["last_error"]["code"]]),
        json!(["failed", "unsupported_file"])
    );
    assert!(failed["last_error"]["message"].as_str().unwrap().contains("`%!`"));
    let counts = client.get(&format!("{STORES}/{store}")).await.json()["file_counts"].clone();
    assert_eq!(
        json!([counts["completed"], counts["failed"], counts["total"]]),
        json!([1, 1, 2])
    );

    let list = async |query: &str| ids(&client.get(&format!("{path}{query}")).await);
    assert_eq!(list("?order=asc").await, json!([[files[0], broken["id"]], false]));
    assert_eq!(list("?filter=failed").await, json!([[broken["id"]], false]));
    assert_eq!(list("?limit=1").await, json!([[broken["id"]], true]));
    assert_eq!(
        list(&format!("?limit=1&after={}", broken["id"].as_str().unwrap())).await,
        json!([[files[0]], false])
    );
    assert_eq!(
        list(&format!("?before={}", files[0])).await,
        json!([[broken["id"]], false])
    );

    let read = format!("{path}/{}/content", files[0]);
    let content = client.get(&read).await.json();
    assert_eq!(
        content,
        json!({
            "object": "vector_store.file_content.page",
            "data": [{ "type": "text", "text": "llamas carry loads" }, { "type": "text", "text": "alpacas give wool" }],
            "has_more": false, "next_page": null, "file_id": files[0], "filename": "1.md", "attributes": {},
            "content": [{ "type": "text", "text": "llamas carry loads" }, { "type": "text", "text": "alpacas give wool" }],
        })
    );
    let first = client
        .get(&format!("{read}?limit=1&include_embeddings=true&include_metadata=true"))
        .await
        .json();
    assert_eq!(first["data"][0]["embedding"].as_array().unwrap().len(), 64);
    assert_eq!(
        json!([first["data"][0]["metadata"]["headings"], first["has_more"]]),
        json!([["Animals"], true])
    );
    assert!(first["data"][0]["chunk_metadata"]["content_token_count"].is_number());
    let next = client
        .get(&format!("{read}?page={}", first["next_page"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(
        json!([next["data"][0]["text"], next["has_more"]]),
        json!(["alpacas give wool", false])
    );

    let deleted = client.delete(&format!("{path}/{}", files[0])).await.json();
    assert_eq!(
        deleted,
        json!({ "id": files[0], "object": "vector_store.file.deleted", "deleted": true })
    );
    assert_eq!(
        client.get(&format!("/v1/files/{}", files[0])).await.status,
        StatusCode::OK
    );
    assert_eq!(
        texts(&client.search(&store, json!({ "query": "llamas" })).await),
        [""; 0]
    );

    // A file that is deleted itself is in no store any more.
    assert_eq!(
        client
            .delete(&format!("/v1/files/{}", broken["id"].as_str().unwrap()))
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(list("").await, json!([[], false]));
}

#[tokio::test]
async fn batches_are_attached_listed_and_cancelled() {
    let client = client().await;
    let (store, files) = client.store_of(&[LLAMAS]).await;
    let path = format!("{STORES}/{store}/file_batches");
    let waiting = client.keep("waiting.md", "assistants", b"wait for me").await;
    let batch = client
        .done(&path, json!({ "file_ids": [waiting["id"]], "attributes": { "a": 1 } }))
        .await;
    assert_eq!(
        json!([
            batch["object"],
            batch["status"],
            batch["vector_store_id"],
            batch["file_counts"]["in_progress"]
        ]),
        json!(["vector_store.files_batch", "in_progress", store, 1])
    );
    let here = format!("{path}/{}", batch["id"].as_str().unwrap());
    let cancelled = client.done(&format!("{here}/cancel"), json!({})).await;
    assert_eq!(
        json!([cancelled["status"], cancelled["file_counts"]["cancelled"]]),
        json!(["cancelled", 1])
    );
    assert_eq!(
        ids(&client.get(&format!("{here}/files?filter=cancelled")).await),
        json!([[waiting["id"]], false])
    );
    assert_eq!(
        ids(&client.get(&format!("{here}/files?filter=completed")).await),
        json!([[], false])
    );

    let batch = json!({ "files": [{ "file_id": files[0], "attributes": { "b": true } }] });
    let batch = client.done(&path, batch).await;
    let here = format!("{path}/{}", batch["id"].as_str().unwrap());
    let settled = client.settled(&here).await;
    assert_eq!(
        json!([settled["status"], settled["file_counts"]["completed"]]),
        json!(["completed", 1])
    );
    let file = client.get(&format!("{STORES}/{store}/files/{}", files[0])).await.json();
    assert_eq!(file["attributes"], json!({ "b": true }));
    let (status, param, ..) = client.get(&format!("{path}/vsfb_nowhere")).await.error();
    assert_eq!((status, param.as_deref()), (404, Some("batch_id")));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let client = client().await;
    let (store, files) = client.store_of(&[LLAMAS]).await;
    let (at, file) = (format!("{STORES}/{store}"), &files[0]);
    let long = "x".repeat(600);
    let bounds = |size: u32, overlap: u32| json!({ "type": "static", "static": { "max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap } });
    for (path, body, param) in [
        ("", json!({ "name": 1 }), "name"),
        ("", json!({ "name": long }), "name"),
        ("", json!({ "colour": "red" }), "colour"),
        ("", json!({ "file_ids": "a" }), "file_ids"),
        ("", json!({ "file_ids": [1] }), "file_ids[0]"),
        ("", json!({ "metadata": [] }), "metadata"),
        (
            "",
            json!({ "expires_after": { "anchor": "last_active_at", "days": 366 } }),
            "expires_after.days",
        ),
        (
            "",
            json!({ "expires_after": { "anchor": "now", "days": 1 } }),
            "expires_after.anchor",
        ),
        (
            "",
            json!({ "chunking_strategy": { "type": "dynamic" } }),
            "chunking_strategy.type",
        ),
        (
            "",
            json!({ "chunking_strategy": bounds(99, 0) }),
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
        (
            "",
            json!({ "chunking_strategy": bounds(100, 51) }),
            "chunking_strategy.static.chunk_overlap_tokens",
        ),
        ("", json!({ "embedding_dimension": 0 }), "embedding_dimension"),
        ("", json!({ "embedding_model": "words/writer" }), "embedding_model"),
        ("", json!({ "provider_id": "other" }), "provider_id"),
        ("/files", json!({}), "file_id"),
        ("/files", json!({ "file_id": "" }), "file_id"),
        (
            "/files",
            json!({ "file_id": file, "attributes": { "a": [1] } }),
            "attributes.a",
        ),
        (
            "/files",
            json!({ "file_id": file, "attributes": { "a": long } }),
            "attributes.a",
        ),
        ("/files/{file}", json!({}), "attributes"),
        ("/files/{file}", json!({ "attributes": 5 }), "attributes"),
        ("/file_batches", json!({}), "file_ids"),
        ("/file_batches", json!({ "file_ids": [] }), "file_ids"),
        ("/file_batches", json!({ "file_ids": [file], "files": [] }), "files"),
        (
            "/file_batches",
            json!({ "files": [{ "file_id": file, "chunking_strategy": bounds(1, 0) }] }),
            "files[0].chunking_strategy.static.max_chunk_size_tokens",
        ),
        ("/search", json!({}), "query"),
        ("/search", json!({ "query": [] }), "query"),
        ("/search", json!({ "query": [1] }), "query"),
        (
            "/search",
            json!({ "query": "a", "max_num_results": 51 }),
            "max_num_results",
        ),
        (
            "/search",
            json!({ "query": "a", "max_num_results": 0 }),
            "max_num_results",
        ),
        (
            "/search",
            json!({ "query": "a", "rewrite_query": "yes" }),
            "rewrite_query",
        ),
        (
            "/search",
            json!({ "query": "a", "search_mode": "psychic" }),
            "search_mode",
        ),
        (
            "/search",
            json!({ "query": "a", "filters": { "type": "like", "key": "a", "value": 1 } }),
            "filters.type",
        ),
        (
            "/search",
            json!({ "query": "a", "filters": { "type": "eq", "key": "", "value": 1 } }),
            "filters.key",
        ),
        (
            "/search",
            json!({ "query": "a", "ranking_options": { "score_threshold": 2 } }),
            "ranking_options.score_threshold",
        ),
        (
            "/search",
            json!({ "query": "a", "ranking_options": { "ranker": "best" } }),
            "ranking_options.ranker",
        ),
        (
            "/search",
            json!({ "query": "a", "ranking_options": { "ranker": "neural" } }),
            "ranking_options.model",
        ),
    ] {
        let path = match path {
            "" => STORES.to_owned(),
            path => format!("{at}{}", path.replace("{file}", file)),
        };
        let (status, named, _, message) = client.post(&path, body.to_string()).await.error();
        assert_eq!(
            (status, named.as_deref()),
            (400, Some(param)),
            "{path} {body}: {message}"
        );
    }
    for (path, param) in [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?order=up", "order"),
        ("?after=nowhere", "after"),
        ("/{store}/files?limit=x", "limit"),
        ("/{store}/files?filter=done", "filter"),
        ("/{store}/files?before=nowhere", "before"),
        ("/{store}/files/{file}/content?limit=1001", "limit"),
        ("/{store}/files/{file}/content?page=x", "page"),
        (
            "/{store}/files/{file}/content?include_metadata=maybe",
            "include_metadata",
        ),
    ] {
        let path = format!("{STORES}{}", path.replace("{store}", &store).replace("{file}", file));
        let (status, named, _, message) = client.get(&path).await.error();
        assert_eq!((status, named.as_deref()), (400, Some(param)), "{path}: {message}");
    }
    for (path, body, param) in [
        ("/files", json!({ "file_id": "file-nowhere" }), "file_id"),
        (
            "/file_batches",
            json!({ "file_ids": [file, "file-nowhere"] }),
            "file_ids[1]",
        ),
        ("/files/file-nowhere", json!({ "attributes": {} }), "file_id"),
        (
            "/search",
            json!({ "query": "llamas", "ranking_options": { "ranker": "neural", "model": "nowhere" } }),
            "ranking_options.model",
        ),
    ] {
        let (status, named, _, message) = client.post(&format!("{at}{path}"), body.to_string()).await.error();
        assert_eq!(
            (status, named.as_deref()),
            (404, Some(param)),
            "{path} {body}: {message}"
        );
    }
}

#[tokio::test]
async fn pages_are_stable_while_stores_come() {
    let client = client().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(client.done(STORES, json!({ "name": number.to_string() })).await["id"].clone());
    }
    let page = client.get(&format!("{STORES}?limit=2")).await;
    assert_eq!(ids(&page), json!([[made[4], made[3]], true]));
    client.done(STORES, json!({})).await;
    let after = page.json()["last_id"].as_str().unwrap().to_owned();
    let next = client.get(&format!("{STORES}?limit=2&after={after}")).await;
    assert_eq!(ids(&next), json!([[made[2], made[1]], true]));
    let before = next.json()["first_id"].as_str().unwrap().to_owned();
    assert_eq!(
        ids(&client.get(&format!("{STORES}?limit=2&before={before}")).await),
        ids(&page)
    );
    let rest = client.get(&format!("{STORES}?limit=1&order=asc")).await;
    assert_eq!(ids(&rest), json!([[made[0]], true]));
}

#[tokio::test]
async fn answers_have_the_keys_of_their_schemas() {
    let client = client().await;
    let (store, files) = client.store_of(&[LLAMAS]).await;
    let document = puna_server::openapi();
    for path in [
        "",
        "/{vector_store_id}",
        "/{vector_store_id}/files",
        "/{vector_store_id}/files/{file_id}",
        "/{vector_store_id}/files/{file_id}/content",
    ] {
        let path = format!("{STORES}{path}");
        let asked = path
            .replace("{vector_store_id}", &store)
            .replace("{file_id}", &files[0]);
        let schema = &document["paths"][&path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&client.get(&asked).await.json(), schema, &document, &path);
    }
    let path = format!("{STORES}/{{vector_store_id}}/search");
    let schema = &document["paths"][&path]["post"]["responses"]["200"]["content"]["application/json"]["schema"];
    check(
        &client.search(&store, json!({ "query": "llamas" })).await,
        schema,
        &document,
        &path,
    );
}

#[tokio::test]
async fn a_server_without_a_provider_of_vectors_tells_so() {
    let client = Client::new().await;
    for answer in [client.get(STORES).await, client.post(STORES, "{}").await] {
        let (status, _, _, message) = answer.error();
        assert!(status == 400 && message.contains("`vector_io`"), "{message}");
    }
}
