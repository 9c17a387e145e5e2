//! Every valid encoding of `msgpack-test-suite` (npm, 1.0.0, MIT, Yusuke Kawasaki) passes the guard and decodes to its stated value.
//!
//! `vectors/msgpack.json` has its cases, one a line: a value and all the encodings that mean it.

use std::fmt;

use protocol::text::{hex, unhex};
use protocol::wire::guard;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

/// Cases of the suite, and encodings of them all: that none is lost on the way.
const CASES: usize = 85;
const ENCODINGS: usize = 233;

/// Any MessagePack value in the words of the suite.
struct Any(Value);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;
        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Any;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<Any, E> {
                Ok(Any(Value::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
                Ok(Any(json!(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
                Ok(Any(json!(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
                Ok(Any(json!(value)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
                Ok(Any(json!(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Any, E> {
                Ok(Any(json!(value)))
            }
            fn visit_bytes<E>(self, value: &[u8]) -> Result<Any, E> {
                Ok(Any(json!({ "binary": hex(value) })))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
                let mut items = Vec::new();
                while let Some(Any(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Any(Value::Array(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
                let mut object = serde_json::Map::new();
                while let Some((key, Any(value))) = map.next_entry::<String, _>()? {
                    object.insert(key, value);
                }
                Ok(Any(Value::Object(object)))
            }
            /// An extension: its type, then its bytes.
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
                let Any(parts) = Any::deserialize(deserializer)?;
                Ok(Any(json!({ "ext": [parts[0], parts[1]["binary"]] })))
            }
        }
        deserializer.deserialize_any(AnyVisitor)
    }
}

/// Seconds and nanoseconds of the timestamp extension, type -1.
fn timestamp(found: &Value) -> Option<Value> {
    let bytes = unhex(found["ext"][1].as_str()?)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let (seconds, nanoseconds) = match bytes.len() {
        4 => (number(&bytes) as i64, 0),
        8 => ((number(&bytes) & 0x3_ffff_ffff) as i64, number(&bytes) >> 34),
        _ => (number(&bytes[4..]) as i64, number(&bytes[..4])),
    };
    (found["ext"][0] == -1).then(|| json!([seconds, nanoseconds]))
}

fn is_stated(case: &Value, found: &Value) -> bool {
    let object = case.as_object().expect("a case is an object");
    let (kind, stated) = object.iter().find(|(key, _)| *key != "msgpack").expect("a case states a value");
    match kind.as_str() {
        "nil" | "bool" | "string" | "array" | "map" => found == stated,
        "number" => found.as_f64() == stated.as_f64(),
        // Beyond the 53 bits of a double the integer itself, in digits.
        "bignum" if found.is_f64() => found.as_f64() == case["number"].as_f64(),
        "bignum" => stated.as_str() == Some(found.to_string().as_str()),
        "binary" => found["binary"] == *stated,
        "ext" => found["ext"] == *stated,
        "timestamp" => timestamp(found).as_ref() == Some(stated),
        other => panic!("no such kind of case: {other}"),
    }
}

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors/msgpack.json")).expect("the vectors are a list")
}

fn encodings() -> Vec<(Value, Vec<u8>)> {
    let of_case = |case: Value| {
        let texts: Vec<Vec<u8>> = case["msgpack"].as_array().expect("encodings").iter().filter_map(|text| unhex(text.as_str()?)).collect();
        texts.into_iter().map(move |bytes| (case.clone(), bytes))
    };
    cases().into_iter().flat_map(of_case).collect()
}

#[test]
fn every_valid_encoding_passes_the_guard_and_decodes_to_its_value() {
    let encodings = encodings();
    assert_eq!((cases().len(), encodings.len()), (CASES, ENCODINGS));
    for (case, bytes) in encodings {
        assert_eq!(guard::check(&bytes), Ok(()), "{}", hex(&bytes));
        let Any(found) = rmp_serde::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {}", hex(&bytes)));
        assert!(is_stated(&case, &found), "{} is {found}, stated {case}", hex(&bytes));
    }
}

#[test]
fn every_cut_and_every_byte_too_many_is_refused() {
    for (_, mut bytes) in encodings() {
        for end in 0..bytes.len() {
            assert!(guard::check(&bytes[..end]).is_err(), "{} cut at {end}", hex(&bytes));
        }
        bytes.push(0xc0);
        assert!(guard::check(&bytes).is_err(), "{}", hex(&bytes));
    }
}

#[test]
fn integers_of_frames_may_be_written_in_any_width() {
    // [3, n]: ping.
    for (case, bytes) in encodings().into_iter().filter(|(_, bytes)| !matches!(bytes[0], 0xca | 0xcb)) {
        let Some(number) = case["number"].as_u64().and_then(|number| u32::try_from(number).ok()) else { continue };
        let framed = [&[0x92, 3], &bytes[..]].concat();
        let ping = protocol::ClientFrame::from(protocol::frame::Ping { n: number });
        assert_eq!(protocol::ClientFrame::decode(protocol::wire::Encoding::MessagePack, &framed), Ok(ping));
    }
}
