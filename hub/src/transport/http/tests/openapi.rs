//! The document: committed, complete, with bounds that a tester can use.

use super::*;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn the_committed_document_is_what_the_routes_say() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, document()).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == document(), "docs/openapi.json is not what the routes say: run UPDATE_DOCS=1 cargo test -p hub openapi");
}

#[test]
fn every_reference_leads_somewhere() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        let path = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out"));
        assert!(document.pointer(path).is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, into)),
        _ => (),
    }
}

#[test]
fn ids_have_a_format_lists_a_bound_and_every_operation_its_errors() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let error = &operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(error, "#/components/schemas/Error", "{method} {path}");
            assert!(operation["operationId"].is_string(), "{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "path") {
                assert_eq!(parameter["schema"]["format"], "uuid", "{method} {path}");
            }
        }
    }
    let items = &document["components"]["schemas"]["Many_Gym"]["properties"]["items"];
    assert_eq!((items["minItems"].as_u64(), items["maxItems"].as_u64()), (Some(1), Some(1000)), "{items}");
}

#[tokio::test]
async fn the_document_is_served() {
    let house = House::open().await;
    let request = Request::builder().uri("/v1/openapi.json").body(Body::empty()).unwrap();
    let told = house.call(request).await;
    assert_eq!(told.body, serde_json::from_str::<Value>(&document()).unwrap());
}
