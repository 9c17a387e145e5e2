//! The generated blocks of `docs/PROTOCOL.md`: frames, types, fields of readings, characteristics, quirks, limits.
//!
//! The prose around them is written by hand. A block stands between `<!-- generated: NAME -->` and `<!-- end -->`.

use protocol::Field;
use protocol::ftms::quirk::{QUIRKS, QUIRKS_VERSION};
use protocol::ftms::{Characteristic, target_names};
use serde_json::Value;

use crate::ordered::{Orders, orders};
use crate::schema::{DIRECTIONS, definition, document, is_required, reference, type_word, without_null};

/// Puts the blocks where their marks are.
pub(crate) fn replace_blocks(text: &str, blocks: &[(&str, String)]) -> String {
    let mut text = text.to_owned();
    for (name, block) in blocks {
        let mark = format!("<!-- generated: {name} -->\n");
        let from = text.find(&mark).unwrap_or_else(|| panic!("docs/PROTOCOL.md has no mark {mark}")) + mark.len();
        let to = from + text[from..].find("<!-- end -->").unwrap_or_else(|| panic!("the block {name} has no end"));
        text.replace_range(from..to, block);
    }
    text
}

/// All blocks by name.
pub(crate) fn blocks() -> Vec<(&'static str, String)> {
    let document = document();
    let orders = orders(&document);
    vec![
        ("client frames", frames(&document, &orders, 0)),
        ("server frames", frames(&document, &orders, 1)),
        ("types", types(&document, &orders)),
        ("reading", reading()),
        ("characteristics", characteristics()),
        ("quirks", quirks()),
        ("limits", crate::limits::write()),
    ]
}

fn frames(document: &Value, orders: &Orders, direction: usize) -> String {
    let (direction, _, table) = DIRECTIONS[direction];
    let mut text = "| kind | frame | class | what it is |\n|---:|---|---|---|\n".to_owned();
    for entry in table {
        let description = definition(document, &format!("{direction}.{}", entry.name))["description"].as_str().unwrap_or_default();
        let first = description.split_once(". ").map_or(description, |(first, _)| first).trim_end_matches('.');
        text +=
            &format!("| {} | [`{}`](#{}) | {} | {first} |\n", entry.kind, entry.name, anchor(entry.name, entry.kind), entry.class.name());
    }
    for entry in table {
        let key = format!("{direction}.{}", entry.name);
        let schema = definition(document, &key);
        text += &format!("\n### `{}` {}\n\n{}\n", entry.name, entry.kind, paragraph(schema));
        if let Some(order) = orders.get(&key).filter(|order| !order.is_empty()) {
            text += &format!("\n{}", fields(schema, order, 1));
        }
    }
    text
}

/// GitHub's anchor of the heading of a frame.
fn anchor(name: &str, kind: u8) -> String {
    format!("{}-{kind}", name.replace('.', ""))
}

fn paragraph(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn cell(schema: &Value) -> String {
    paragraph(schema).replace('|', "\\|")
}

/// A table of fields; `from` is the place of the first in the MessagePack array.
fn fields(schema: &Value, order: &[String], from: usize) -> String {
    let mut text = "| place | field | type | meaning |\n|---:|---|---|---|\n".to_owned();
    for (at, name) in order.iter().enumerate() {
        let property = &schema["properties"][name.as_str()];
        let optional = if is_required(schema, name) { "" } else { ", optional" };
        text += &format!("| {} | `{name}` | {}{optional} | {} |\n", from + at, type_of(property), cell(property));
    }
    text
}

fn types(document: &Value, orders: &Orders) -> String {
    let mut text = String::new();
    for (name, schema) in document["$defs"].as_object().expect("types by name") {
        let is_frame = name.contains('.') || name.ends_with("Frame");
        if is_frame || name == "Reading" {
            continue;
        }
        text += &format!("\n### {name}\n\n{}\n", paragraph(schema));
        if let Some(order) = orders.get(name) {
            text += &format!("\n{}", fields(schema, order, 0));
        } else if let Some(variants) = schema["oneOf"].as_array() {
            text += &format!("\n| variant | value | meaning |\n|---|---|---|\n{}", rows_of_variants(name, variants, orders));
        } else {
            text += &format!("\n{}.\n", capital(&type_of(schema)));
        }
    }
    text
}

fn rows_of_variants(name: &str, variants: &[Value], orders: &Orders) -> String {
    let mut text = String::new();
    for variant in variants {
        if let Some(words) = variant["const"].as_str() {
            text += &format!("| `{words}` | the text itself | {} |\n", cell(variant));
        }
        for words in variant["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            text += &format!("| `{words}` | the text itself | {} |\n", cell(variant));
        }
        for (tag, inner) in variant["properties"].as_object().into_iter().flatten() {
            let value = match orders.get(&format!("{name}.{tag}")) {
                Some(order) => order.iter().map(|field| variant_field(inner, field)).collect::<Vec<_>>().join("; "),
                None => type_of(inner),
            };
            text += &format!("| `{tag}` | {value} | {} |\n", cell(variant));
        }
    }
    text
}

fn variant_field(schema: &Value, name: &str) -> String {
    format!("`{name}` {}", type_of(&schema["properties"][name]))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The type of a field in words.
fn type_of(schema: &Value) -> String {
    let (inner, may_be_null) = without_null(schema);
    let null = if may_be_null { " or null" } else { "" };
    if let Some(name) = reference(inner) {
        return format!("[{name}](#{}){null}", name.to_lowercase());
    }
    let words = match type_word(inner) {
        "integer" => {
            inner["format"].as_str().map_or_else(|| "integer".to_owned(), |format| format.replace("uint", "u").replace("int", "i"))
        }
        "string" => text_type(inner),
        "array" => match inner["prefixItems"].as_array() {
            Some(items) => format!("list of {}", items.len()),
            None => {
                let most = inner["maxItems"].as_u64().map_or_else(String::new, |most| format!("at most {most} "));
                format!("list of {most}{}", type_of(&inner["items"]))
            }
        },
        other => other.to_owned(),
    };
    format!("{words}{null}")
}

fn text_type(schema: &Value) -> String {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    match (schema["format"].as_str(), schema["maxLength"].as_u64()) {
        (Some(format), _) => format.to_owned(),
        (None, Some(most)) if pattern.contains("{2}") => format!("hexadecimal, MessagePack bin, at most {} bytes", most / 2),
        (None, Some(most)) => format!("text of at most {most} bytes"),
        (None, None) if pattern.is_empty() => "text".to_owned(),
        (None, None) => format!("text `{}`", pattern.replace('|', "\\|")),
    }
}

fn reading() -> String {
    let mut text = "| bit | field | from | to | meaning |\n|---:|---|---:|---:|---|\n".to_owned();
    for field in Field::ALL {
        let (low, high) = field.bounds();
        text += &format!("| {} | `{}` | {low} | {high} | {} |\n", field as u8, field.name(), field.doc());
    }
    text + &format!(
        "| 31 | `{}` | 0 | 65535 | RR intervals in 1/1024 s, oldest first, at most {}: after the values of the other bits. |\n",
        protocol::field::RR_NAME,
        protocol::limits::RR_MAX
    )
}

fn characteristics() -> String {
    let mut text = "| UUID | name | fields |\n|---|---|---|\n".to_owned();
    for known in Characteristic::ALL {
        let fields: Vec<String> = known.field_names().iter().map(|name| format!("`{name}`")).collect();
        text += &format!("| `{:#06x}` | `{}` | {} |\n", known.uuid(), known.name(), fields.join(" "));
    }
    text += "\nNumbers of requests to the control point and of machine status, by their op codes:\n\n| request | status | numbers |\n|---:|---:|---|\n";
    for (request, status, names) in target_names() {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        text += &format!("| {request} | {status} | {} |\n", names.join(" "));
    }
    text
}

fn quirks() -> String {
    let mut text = format!("Version {QUIRKS_VERSION}.\n\n| quirk | vendor | models | characteristic | seen in |\n|---|---|---|---|---|\n");
    for quirk in QUIRKS {
        let models = if quirk.models.is_empty() { "all".to_owned() } else { quirk.models.join(", ") };
        text += &format!("| `{}` | {} | {models} | `{}` | {} |\n", quirk.id, quirk.vendor, quirk.characteristic.name(), quirk.source);
    }
    text
}
