//! The OpenAPI document: from the routes, with the protocol's shapes, the errors and the log-in put in.
//!
//! `GET /v1/openapi.json` serves it and `docs/openapi.json` is kept equal by a test.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::{routes, schema};

#[derive(OpenApi)]
#[openapi(
    info(title = "Spotter HTTP API", description = "Provisioning, history and administration of a hub. Live things go over `GET /v1/ws` (see docs/PROTOCOL.md).", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(super::answer::ErrorBody)),
    tags(
        (name = "gyms", description = "Gyms and their machines"),
        (name = "devices", description = "Enrolment, keys and revocation of gateways and machines"),
        (name = "people", description = "Members, staff and teams"),
        (name = "training", description = "Visits, workouts, samples"),
        (name = "operation", description = "Events, revocations, health"),
        (name = "dev", description = "Only in the dev profile"),
    )
)]
struct Head;

/// The document as served and as committed.
#[must_use]
pub fn document() -> String {
    let mut api = Head::openapi();
    let (_, routed) = routes::all().split_for_parts();
    api.merge(routed);
    let mut document = serde_json::to_value(&api).expect("the document is JSON");
    put_in_shapes(&mut document);
    put_in_errors(&mut document);
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let mut text = serde_json::to_string_pretty(&document).expect("the document is JSON");
    text.push('\n');
    text
}

fn put_in_shapes(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for (name, shape) in schema::all() {
        schemas[name] = shape;
    }
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } });
}

/// Every route may answer any error of the catalogue; those with a right need a token.
fn put_in_errors(document: &mut Value) {
    let error = json!({
        "description": "An error of the catalogue (docs/ERRORS.md).",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } }
    });
    for (_, path) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in path.as_object_mut().into_iter().flatten() {
            let Some(operation) = operation.as_object_mut() else { continue };
            put_in_operation(method, operation, &error);
        }
    }
}

fn put_in_operation(method: &str, operation: &mut Map<String, Value>, error: &Value) {
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        responses.insert("default".to_owned(), error.clone());
    }
    if !operation.contains_key("x-right") {
        return;
    }
    operation.insert("security".to_owned(), json!([{ "token": [] }]));
    if matches!(method, "put" | "post" | "delete") {
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.push(json!({
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "The same key within 24 hours answers the same, without doing it again.",
                "schema": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$" }
            }));
        }
    }
}
