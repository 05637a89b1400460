//! The OpenAPI 3.1 document, made from the table of routes. Nothing of it is made before somebody asks.

use std::collections::BTreeSet;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::routes::{self, Parameter, Place, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::ErrorResponse;

/// The OpenAPI 3.1 document of everything that [`app`](crate::app()) serves. The same for each build of the same version.
pub fn openapi() -> Value {
    // A request is described by what is read, an answer by what is written: a field may be optional in one and always there in the other.
    let mut requests = Half::new(SchemaSettings::for_deserialize);
    let mut answers = Half::new(SchemaSettings::for_serialize);
    let error = schema_of::<ErrorResponse<'static>>(&mut answers.generator).to_value();

    for route in routes::all() {
        let request = request(route, &mut requests.generator);
        requests.add(route, request);
        let answer = json!({ "responses": responses(route, &mut answers.generator) });
        answers.add(route, answer);
    }
    let mut schemas = requests.finish();
    let answers = answers.finish();
    rename_differing(&mut schemas, &answers.definitions);
    schemas.definitions.extend(answers.definitions);
    let mut definitions: Vec<_> = schemas.definitions.into_iter().collect();
    definitions.sort_by(|a, b| a.0.cmp(&b.0));

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Puna",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The Llama Stack in Rust",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "api_key": [] }],
        "tags": tags(),
        "paths": paths(schemas.operations, answers.operations),
        "components": {
            "schemas": definitions.into_iter().collect::<Map<_, _>>(),
            "responses": {
                "Error": {
                    "description": "The request failed.",
                    "headers": {
                        "x-request-id": { "description": "The request's id in the server's log.", "schema": { "type": "string" } },
                        "retry-after": {
                            "description": "The seconds after which the same request may succeed, where that is known.",
                            "schema": { "type": "integer" },
                        },
                    },
                    "content": { "application/json": { "schema": error } },
                },
            },
            "securitySchemes": {
                "api_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of the keys in the server's configuration. A server without keys asks for none.",
                },
            },
        },
    })
}

/// One side of the document: what is sent, or what is answered.
struct Half {
    generator: SchemaGenerator,
    operations: Vec<Operation>,
}

/// A side whose schemas are complete.
struct FinishedHalf {
    operations: Vec<Operation>,
    definitions: Map<String, Value>,
}

struct Operation {
    route: &'static Route,
    keys: Value,
}

impl Half {
    fn new(contract: fn(SchemaSettings) -> SchemaSettings) -> Self {
        let settings = contract(SchemaSettings::draft2020_12()).with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            generator: settings.into_generator(),
            operations: Vec::new(),
        }
    }

    fn add(&mut self, route: &'static Route, keys: Value) {
        self.operations.push(Operation { route, keys });
    }

    fn finish(mut self) -> FinishedHalf {
        FinishedHalf {
            operations: self.operations,
            definitions: self.generator.take_definitions(true),
        }
    }
}

fn tags() -> Vec<Value> {
    let mut names: Vec<_> = routes::all().map(|route| route.tag).collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// The keys of an operation that tell what is sent.
fn request(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut keys = json!({
        "operationId": route.operation_id,
        "tags": [route.tag],
        "summary": route.summary,
    });
    if !route.description.is_empty() {
        keys["description"] = route.description.into();
    }
    if route.public {
        keys["security"] = json!([]);
    }
    if !route.parameters.is_empty() {
        keys["parameters"] = route
            .parameters
            .iter()
            .map(|listed| parameter(listed, generator))
            .collect();
    }
    if let Some(RequestBody { content_type, schema }) = route.request {
        let schema = schema(generator).to_value();
        keys["requestBody"] = json!({ "required": true, "content": { content_type: { "schema": schema } } });
    }
    keys
}

fn parameter(parameter: &Parameter, generator: &mut SchemaGenerator) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query | Place::RequiredQuery => "query",
    };
    let schema = (parameter.schema)(generator).to_value();
    let is_object = schema["type"] == "object";
    let mut described = json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.place != Place::Query,
        "description": parameter.description,
        "schema": schema,
    });
    if is_object {
        // `name[key]=value`
        described["style"] = "deepObject".into();
        described["explode"] = true.into();
    }
    described
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let content: Map<_, _> = route
        .answers
        .iter()
        .map(|answer| {
            (
                answer.content_type.to_owned(),
                json!({ "schema": (answer.schema)(generator).to_value() }),
            )
        })
        .collect();
    let failed = json!({ "$ref": "#/components/responses/Error" });
    let done = match content.is_empty() {
        true => json!({ "description": "It is done; there is no body." }),
        false => json!({ "description": "The answer.", "content": content }),
    };
    let mut responses = json!({ "200": done });
    let mut statuses = Vec::new();
    if !route.public {
        statuses.push("401");
    }
    if route.request.is_some() {
        statuses.extend(["400", "404", "413", "415", "429"]);
    } else if !route.parameters.is_empty() {
        statuses.extend(["400", "404"]);
    }
    if route.api.is_some() {
        statuses.extend(["502", "503", "504"]);
    }
    statuses.push("default");
    statuses.sort_unstable();
    for status in statuses {
        responses[status] = failed.clone();
    }
    responses
}

fn paths(requests: Vec<Operation>, answers: Vec<Operation>) -> Value {
    let mut paths = Map::new();
    for (request, answer) in requests.into_iter().zip(answers) {
        let mut keys = request.keys;
        if let (Value::Object(keys), Value::Object(more)) = (&mut keys, answer.keys) {
            keys.extend(more);
        }
        let verb = match request.route.verb {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Delete => "delete",
        };
        let path = paths
            .entry(request.route.documented_path())
            .or_insert_with(|| json!({}));
        path[verb] = keys;
    }
    Value::Object(paths)
}

/// Gives the schemas of requests that differ from those of answers with the same name a name of their own: `…Input`.
fn rename_differing(requests: &mut FinishedHalf, answers: &Map<String, Value>) {
    let mut differing: BTreeSet<String> = requests
        .definitions
        .iter()
        .filter(|(name, schema)| answers.get(*name).is_some_and(|answer| answer != *schema))
        .map(|(name, _)| name.clone())
        .collect();
    // What refers to a schema that differs, differs.
    loop {
        let more: Vec<_> = requests
            .definitions
            .iter()
            .filter(|(name, schema)| {
                !differing.contains(*name) && answers.contains_key(*name) && refers_to_any(schema, &differing)
            })
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        differing.extend(more);
    }
    let definitions = std::mem::take(&mut requests.definitions);
    for (name, mut schema) in definitions {
        rename_references(&mut schema, &differing);
        let name = if differing.contains(&name) {
            format!("{name}Input")
        } else {
            name
        };
        requests.definitions.insert(name, schema);
    }
    for operation in &mut requests.operations {
        rename_references(&mut operation.keys, &differing);
    }
}

const SCHEMAS: &str = "#/components/schemas/";

fn refers_to_any(schema: &Value, names: &BTreeSet<String>) -> bool {
    match schema {
        Value::Object(map) => map.iter().any(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(target)) => target.strip_prefix(SCHEMAS).is_some_and(|name| names.contains(name)),
            _ => refers_to_any(value, names),
        }),
        Value::Array(items) => items.iter().any(|item| refers_to_any(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn rename_references(schema: &mut Value, names: &BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if target.strip_prefix(SCHEMAS).is_some_and(|name| names.contains(name)) {
                            target.push_str("Input");
                        }
                    }
                    _ => rename_references(value, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::String(target) if key == "$ref" => {
                            found.insert(target.clone());
                        }
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_resolves_and_every_schema_is_used() {
        let document = openapi();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for target in &found {
            assert!(document.pointer(&target[1..]).is_some(), "{target}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("{SCHEMAS}{name}")), "{name} is not used");
        }
    }

    #[test]
    fn the_document_is_the_same_each_time() {
        assert_eq!(openapi().to_string(), openapi().to_string());
    }

    #[test]
    fn every_route_is_in_the_document() {
        let document = openapi();
        for route in routes::all() {
            let verb = route.verb.method().as_str().to_lowercase();
            let operation = &document["paths"][route.documented_path()][verb];
            assert_eq!(operation["operationId"], route.operation_id);
            assert!(operation["responses"]["default"].is_object());
        }
        let chat = &document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"];
        assert!(
            chat["text/event-stream"]["schema"]["$ref"]
                .as_str()
                .unwrap()
                .ends_with("ChatCompletionChunk")
        );
    }

    #[test]
    fn a_schema_that_differs_between_the_sides_is_renamed_with_all_that_refer_to_it() {
        let definitions = |leaf: &str| {
            let schemas = json!({
                "Leaf": { "type": leaf },
                "Branch": { "items": { "$ref": "#/components/schemas/Leaf" } },
                "Same": { "type": "null" },
            });
            schemas.as_object().cloned().unwrap()
        };
        let route = routes::all().next().unwrap();
        let keys = json!([{ "$ref": "#/components/schemas/Branch" }, { "$ref": "#/components/schemas/Same" }]);
        let mut requests = FinishedHalf {
            operations: vec![Operation { route, keys }],
            definitions: definitions("string"),
        };
        rename_differing(&mut requests, &definitions("integer"));
        assert_eq!(
            Value::Object(requests.definitions),
            json!({
                "LeafInput": { "type": "string" },
                "BranchInput": { "items": { "$ref": "#/components/schemas/LeafInput" } },
                "Same": { "type": "null" },
            })
        );
        assert_eq!(
            requests.operations[0].keys,
            json!([{ "$ref": "#/components/schemas/BranchInput" }, { "$ref": "#/components/schemas/Same" }])
        );
    }

    /// The table of fields that the server checks and the types that providers read must not contradict each other.
    #[test]
    fn checked_fields_are_those_of_the_schemas() {
        use crate::head::Rule;

        let document = openapi();
        let schema = |name: &str| &document["components"]["schemas"][name];
        let tables = crate::surface::TABLES.iter().zip([
            "ChatCompletionRequest",
            "UpdateChatCompletionRequest",
            "CompletionRequest",
            "EmbeddingsRequest",
            "CreateVectorStoreRequest",
            "UpdateVectorStoreRequest",
            "CreateVectorStoreFileRequest",
            "UpdateVectorStoreFileAttributesRequest",
            "CreateVectorStoreFileBatchRequest",
            "VectorStoreSearchRequest",
            "RegisterModelRequest",
            "RerankRequest",
            "InsertChunksRequest",
            "QueryChunksRequest",
            "InsertRequest",
            "QueryRequest",
            "CreateDraftVectorStoreRequest",
            "UpdateDraftVectorStoreRequest",
            "VectorStoreInsertJobRequest",
            "VectorStoreDeleteJobRequest",
            "CancelVectorStoreJobRequest",
        ]);
        for (table, name) in tables {
            let schema = schema(name);
            let required: Vec<_> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for field in *table {
                let property = &schema["properties"][field.name];
                assert!(property.is_object(), "{name}.{}", field.name);
                assert!(
                    !required.contains(&field.name) || field.required,
                    "{name}.{}",
                    field.name
                );
                let text = property.to_string();
                match field.rule {
                    Rule::Flag => assert!(text.contains("boolean"), "{name}.{}: {text}", field.name),
                    Rule::Integer(..) => assert!(text.contains("integer"), "{name}.{}: {text}", field.name),
                    Rule::Number(..) => assert!(text.contains("number"), "{name}.{}: {text}", field.name),
                    _ => {}
                }
            }
        }
    }
}
