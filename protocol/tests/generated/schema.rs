//! The JSON Schema of all frames, and small questions to it.

use protocol::frame::FrameEntry;
use protocol::{ClientFrame, ServerFrame};
use serde_json::{Map, Value, json};

/// Both tables with the names of their unions.
pub(crate) const DIRECTIONS: [(&str, &str, &[FrameEntry]); 2] =
    [("client", "ClientFrame", ClientFrame::TABLE), ("server", "ServerFrame", ServerFrame::TABLE)];

/// The whole document: `$defs` of every type, every frame under `client.NAME` or `server.NAME`, and both unions.
pub(crate) fn document() -> Value {
    let mut generator = schemars::SchemaGenerator::default();
    let mut frames = Map::new();
    for (direction, union, table) in DIRECTIONS {
        let mut names = Vec::new();
        for entry in table {
            let mut schema = (entry.schema)(&mut generator).to_value();
            schema["properties"]["t"] = json!({ "const": entry.name });
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            schema["required"] = std::iter::once(json!("t")).chain(required).collect();
            schema["x-kind"] = json!(entry.kind);
            schema["x-class"] = json!(entry.class.name());
            let key = format!("{direction}.{}", entry.name);
            names.push(json!({ "$ref": format!("#/$defs/{key}") }));
            frames.insert(key, schema);
        }
        frames.insert(union.to_owned(), json!({ "oneOf": names }));
    }
    let mut defs = generator.take_definitions(true);
    defs.extend(frames);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Spotter protocol, version 1",
        "description": "Frames of subprotocol spotter.v1.json. Generated from the crate `protocol`; fields that are not known are ignored.",
        "anyOf": [{ "$ref": "#/$defs/ClientFrame" }, { "$ref": "#/$defs/ServerFrame" }],
        "$defs": defs,
    })
}

/// The schema of a type.
pub(crate) fn definition<'a>(document: &'a Value, name: &str) -> &'a Value {
    let found = &document["$defs"][name];
    assert!(found.is_object(), "no type {name}");
    found
}

/// The name that a schema refers to.
pub(crate) fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// What a schema is when it is not null, and whether it may be.
pub(crate) fn without_null(schema: &Value) -> (&Value, bool) {
    if let Some(options) = schema["anyOf"].as_array() {
        let mut others = options.iter().filter(|option| option["type"] != "null");
        if let (Some(only), None) = (others.next(), others.next()) {
            return (only, true);
        }
    }
    let may_be_null = schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
    (schema, may_be_null)
}

/// The type word, null left out.
pub(crate) fn type_word(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|word| *word != "null").unwrap_or_default(),
        other => other.as_str().unwrap_or_default(),
    }
}

/// Whether an object must have a property.
pub(crate) fn is_required(schema: &Value, property: &str) -> bool {
    schema["required"].as_array().is_some_and(|required| required.contains(&json!(property)))
}
