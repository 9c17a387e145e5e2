//! `console/protocol.d.ts`: TypeScript types of the JSON form, written from the JSON Schema.

use serde_json::Value;

use crate::schema::{DIRECTIONS, is_required, reference, type_word, without_null};

const HEAD: &str = "// Frames of subprotocol spotter.v1.json. Generated from the crate `protocol`
// (UPDATE_DOCS=1 cargo test -p protocol --test generated); do not edit.
// A field that is optional may be absent or null; ignore fields that are not named here.
";

/// The whole file.
pub(crate) fn write(document: &Value) -> String {
    let mut text = HEAD.to_owned();
    let definitions = document["$defs"].as_object().expect("types by name");
    for (name, schema) in definitions.iter().filter(|(name, _)| !name.ends_with("Frame")) {
        text += &format!("\n{}", doc(schema, ""));
        if schema["properties"].is_object() {
            text += &format!("export interface {} {}\n", type_name(name), object(schema, ""));
        } else {
            text += &format!("export type {} = {};\n", type_name(name), type_of(schema, ""));
        }
    }
    for (direction, union, table) in DIRECTIONS {
        let names: Vec<String> = table.iter().map(|entry| type_name(&format!("{direction}.{}", entry.name))).collect();
        text += &format!("\nexport type {union} =\n  | {};\n", names.join("\n  | "));
    }
    text
}

/// `client.machine_hello` is `ClientMachineHello`; types keep their names.
fn type_name(name: &str) -> String {
    if !name.contains('.') {
        return name.to_owned();
    }
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split(['.', '_']).map(capital).collect()
}

fn doc(schema: &Value, indent: &str) -> String {
    match schema["description"].as_str() {
        Some(words) => format!("{indent}/** {} */\n", words.replace('\n', " ").replace("*/", "")),
        None => String::new(),
    }
}

fn object(schema: &Value, indent: &str) -> String {
    let inner = format!("{indent}  ");
    let mut text = "{\n".to_owned();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let (optional, null) = if is_required(schema, name) { ("", "") } else { ("?", " | null") };
        let words = type_of(property, &inner);
        let null = if words.ends_with(" | null") { "" } else { null };
        text += &format!("{}{inner}{name}{optional}: {words}{null};\n", doc(property, &inner));
    }
    text + indent + "}"
}

fn type_of(schema: &Value, indent: &str) -> String {
    let (inner, may_be_null) = without_null(schema);
    let words = if let Some(name) = reference(inner) {
        type_name(name)
    } else if let Some(variants) = inner["oneOf"].as_array() {
        variants.iter().map(|variant| type_of(variant, indent)).collect::<Vec<_>>().join(" | ")
    } else if !inner["const"].is_null() {
        inner["const"].to_string()
    } else if let Some(values) = inner["enum"].as_array() {
        values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ")
    } else {
        plain(inner, indent)
    };
    if may_be_null { words + " | null" } else { words }
}

fn plain(schema: &Value, indent: &str) -> String {
    match type_word(schema) {
        "object" => object(schema, indent),
        "array" => match schema["prefixItems"].as_array() {
            Some(items) => format!("[{}]", items.iter().map(|item| type_of(item, indent)).collect::<Vec<_>>().join(", ")),
            None => format!("Array<{}>", type_of(&schema["items"], indent)),
        },
        "string" => "string".to_owned(),
        "integer" | "number" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        other => panic!("no type for a `{other}`: {schema}"),
    }
}
