//! What is generated from the types of `protocol`, and kept equal to them: golden frames, JSON Schema, TypeScript types, documents.
//!
//! A difference fails the test and names the file. `UPDATE_GOLDEN=1` writes the golden frames anew, `UPDATE_DOCS=1` the schema, types and
//! documents: `UPDATE_GOLDEN=1 UPDATE_DOCS=1 cargo test -p protocol --test generated`, then read the diff: it is the contract that changes.

mod catalogue;
mod example;
mod golden;
mod limits;
mod markdown;
mod ordered;
mod schema;
mod typescript;

use std::path::{Path, PathBuf};

/// A path of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Whether a variable asks for files to be written.
#[expect(clippy::disallowed_methods, reason = "a switch of this test, not configuration of the hub")]
fn asked(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value != "0")
}

/// Compares a file with what it must be; writes it where `variable` asks for that.
fn keep_equal(path: &Path, text: &str, variable: &str) {
    if asked(variable) {
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("could not make the folder");
        std::fs::write(path, text).expect("could not write the file");
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let first = text.lines().zip(found.lines()).position(|(must, is)| must != is).map_or(0, |at| at + 1);
    assert!(
        found == text,
        "{} is not what the types say, first at line {first}: run `{variable}=1 cargo test -p protocol --test generated` and read the diff",
        path.display()
    );
}

#[test]
fn the_json_schema_is_that_of_the_types() {
    let text = serde_json::to_string_pretty(&schema::document()).expect("a schema is JSON") + "\n";
    keep_equal(&repository("docs/protocol.schema.json"), &text, "UPDATE_DOCS");
}

#[test]
fn the_typescript_types_are_those_of_the_schema() {
    keep_equal(&repository("console/protocol.d.ts"), &typescript::write(&schema::document()), "UPDATE_DOCS");
}

#[test]
fn the_protocol_document_has_every_frame_type_and_limit() {
    let path = repository("docs/PROTOCOL.md");
    let found = std::fs::read_to_string(&path).expect("docs/PROTOCOL.md is there: its prose is written by hand");
    let text = markdown::replace_blocks(&found, &markdown::blocks());
    keep_equal(&path, &text, "UPDATE_DOCS");
}

#[test]
fn the_error_document_is_the_catalogue() {
    keep_equal(&repository("docs/ERRORS.md"), &catalogue::write(), "UPDATE_DOCS");
}
