//! JSON that remembers the order of its keys: the order in which serde writes fields, which is their order in MessagePack.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::example::{self, Case};
use crate::golden;
use crate::schema::{self, DIRECTIONS, definition, reference, without_null};

/// A JSON value, as far as order matters.
enum Ordered {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Other,
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderedVisitor;
        impl<'de> Visitor<'de> for OrderedVisitor {
            type Value = Ordered;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered::Object(entries))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ordered, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Ordered::Array(items))
            }
            fn visit_str<E>(self, _: &str) -> Result<Ordered, E> {
                Ok(Ordered::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Ordered, E> {
                Ok(Ordered::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Ordered, E> {
                Ok(Ordered::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Ordered, E> {
                Ok(Ordered::Other)
            }
            fn visit_unit<E>(self) -> Result<Ordered, E> {
                Ok(Ordered::Other)
            }
        }
        deserializer.deserialize_any(OrderedVisitor)
    }
}

/// Fields in MessagePack order by type: `client.hello`, `JoinRoom`, and `EventBody.availability` for the fields of a variant.
pub(crate) type Orders = BTreeMap<String, Vec<String>>;

/// The order of fields in every frame and type.
pub(crate) fn orders(document: &Value) -> Orders {
    let mut orders = Orders::new();
    for (direction, _, table) in DIRECTIONS {
        for entry in table {
            let key = format!("{direction}.{}", entry.name);
            let schema = definition(document, &key);
            for case in 0..example::cases(document, schema) {
                let json = golden::encode_example(document, direction, &key, Case::Full(case)).0;
                let ordered = serde_json::from_str(&json).expect("what was encoded is JSON");
                walk(document, schema, &key, &ordered, &mut orders);
            }
        }
    }
    orders
}

/// Notes the order of keys in `found` and below.
fn walk(document: &Value, schema: &Value, name: &str, found: &Ordered, orders: &mut Orders) {
    let (schema, _) = without_null(schema);
    if let Some(target) = reference(schema) {
        return walk(document, definition(document, target), target, found, orders);
    }
    match found {
        Ordered::Array(items) => {
            for item in items {
                walk(document, &schema["items"], name, item, orders);
            }
        }
        Ordered::Object(entries) => match variant(schema, entries) {
            Some((tag, inner)) => {
                walk(document, inner, &format!("{name}.{tag}"), &entries[0].1, orders);
            }
            None => {
                let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).filter(|key| key != "t").collect();
                for (key, value) in entries {
                    walk(document, &schema["properties"][key.as_str()], &format!("{name}.{key}"), value, orders);
                }
                orders.entry(name.to_owned()).or_insert(keys);
            }
        },
        Ordered::Other => (),
    }
}

/// The variant that an object of one key is, where the schema is a choice.
fn variant<'a>(schema: &'a Value, entries: &[(String, Ordered)]) -> Option<(String, &'a Value)> {
    let [(tag, _)] = entries else { return None };
    let inner = schema["oneOf"].as_array()?.iter().map(|variant| &variant["properties"][tag.as_str()]).find(|inner| inner.is_object())?;
    Some((tag.clone(), inner))
}

#[test]
fn every_type_with_fields_has_its_order() {
    let document = schema::document();
    let orders = orders(&document);
    for (name, definition) in document["$defs"].as_object().expect("types by name") {
        if let Some(properties) = definition["properties"].as_object().filter(|_| name != "Reading") {
            let fields = orders.get(name).map_or(0, Vec::len);
            assert_eq!(fields, properties.keys().filter(|key| *key != "t").count(), "{name}");
        }
    }
}
