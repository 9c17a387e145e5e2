//! Values for every type, made from its schema: they fill every field and, over the cases, take every variant.

use serde_json::{Map, Value, json};

use crate::schema::{definition, is_required, reference, type_word, without_null};

/// Which value is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    /// Every field; of the variants of a type the one with this number, modulo how many there are.
    Full(usize),
    /// Required fields alone.
    Least,
}

/// How many cases take every variant of every type in a schema.
pub(crate) fn cases(document: &Value, schema: &Value) -> usize {
    let schema = reference(schema).map_or(schema, |name| definition(document, name));
    let inside = match schema {
        Value::Object(keywords) => keywords.values().map(|keyword| cases_inside(document, keyword)).max().unwrap_or(1),
        _ => 1,
    };
    let choices = |keyword: &str| schema[keyword].as_array().map_or(1, Vec::len);
    choices("oneOf").max(choices("enum")).max(inside)
}

fn cases_inside(document: &Value, keyword: &Value) -> usize {
    match keyword {
        Value::Object(_) => cases(document, keyword),
        Value::Array(items) => items.iter().map(|item| cases_inside(document, item)).max().unwrap_or(1),
        _ => 1,
    }
}

/// A value of a schema; `name` is what its field is called.
pub(crate) fn value(document: &Value, schema: &Value, name: &str, case: Case) -> Value {
    if let Some(known) = reference(schema).and_then(fixed) {
        return known;
    }
    if let Some(target) = reference(schema) {
        return value(document, definition(document, target), name, case);
    }
    let (schema, may_be_null) = without_null(schema);
    if may_be_null && reference(schema).is_some() {
        return value(document, schema, name, case);
    }
    let which = if let Case::Full(number) = case { number } else { 0 };
    if let Some(words) = schema["enum"].as_array() {
        return words[which % words.len()].clone();
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        return value(document, &variants[which % variants.len()], name, case);
    }
    if !schema["const"].is_null() {
        return schema["const"].clone();
    }
    match type_word(schema) {
        "object" => object(document, schema, case),
        "array" => array(document, schema, name, case),
        "string" => text(schema, name),
        "integer" => integer(schema, name),
        "boolean" => json!(true),
        other => panic!("no example for a `{other}`: {schema}"),
    }
}

fn object(document: &Value, schema: &Value, case: Case) -> Value {
    let mut object = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if matches!(case, Case::Full(_)) || is_required(schema, name) {
            object.insert(name.clone(), value(document, property, name, case));
        }
    }
    Value::Object(object)
}

fn array(document: &Value, schema: &Value, name: &str, case: Case) -> Value {
    match schema["prefixItems"].as_array() {
        Some(items) => items.iter().enumerate().map(|(at, _)| json!(at * 100)).collect(),
        None => json!([value(document, &schema["items"], name, case)]),
    }
}

/// Types whose values must fit together in ways that a schema does not say.
fn fixed(name: &str) -> Option<Value> {
    Some(match name {
        "Columns" => json!({ "mask": 13, "seq": [41, 1, 1], "dev_ms": [86_400_000, 1_000, 998],
            "values": [[1_250, 10, 0], [210, 4, -2], [140, 1, 0]] }),
        "SeqRanges" => json!([1, 64, 70, 70]),
        "Reading" => json!({ "speed_centikmh": 1_250, "power_w": 210, "heart_rate_bpm": 142, "rr_1024": [432, 430] }),
        "RoomName" => json!("workout:01990000-0000-7000-8000-00000000000a"),
        _ => return None,
    })
}

fn text(schema: &Value, name: &str) -> Value {
    if schema["format"] == "uuid" {
        // Distinct by name, so that swapped fields would show.
        let digits = name.bytes().fold(0_u16, |sum, byte| sum.rotate_left(3) ^ u16::from(byte));
        return json!(format!("01990000-0000-7000-8000-00000000{digits:04x}"));
    }
    let text = match (schema["pattern"].as_str(), name) {
        (Some(pattern), _) if pattern.contains("{2}") => "4402f208b000400000",
        (Some(_), _) => "00c0ffee00c0ffee",
        (None, "token") => "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
        (None, "sensor") => "ftms",
        (None, "quirk") => "Life Fitness/IC5/1.2",
        (None, "tempo") => "3-1-1-0",
        (None, "code") => "492713",
        (None, "name") => "Rower 4",
        (None, name) => name,
    };
    let most = schema["maxLength"].as_u64().map_or(usize::MAX, |most| most as usize);
    json!(text.chars().take(most).collect::<String>())
}

fn integer(schema: &Value, name: &str) -> Value {
    let wanted: i64 = match name {
        name if name.ends_with("_at_ms") || name == "at_ms" => 1_790_000_000_000,
        name if name.ends_with("dev_ms") => 86_400_000,
        "fence" => (3 << 24) + 17,
        "uuid" => 0x2ad2,
        "seq" => 43_210,
        "boot" => 12,
        "nonce" => 0xdead_beef,
        name => 10 + name.len() as i64,
    };
    json!(wanted.clamp(schema["minimum"].as_i64().unwrap_or(i64::MIN), schema["maximum"].as_i64().unwrap_or(i64::MAX)))
}
