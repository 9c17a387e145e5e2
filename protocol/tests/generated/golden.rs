//! Golden frames: `tests/golden/DIRECTION/KIND-NAME.json`, readable form and MessagePack side by side, the contract with phones and firmware.

use std::path::{Path, PathBuf};

use protocol::frame::FrameEntry;
use protocol::text::{hex, unhex};
use protocol::wire::Encoding;
use protocol::{ClientFrame, ServerFrame};
use serde_json::Value;

use crate::example::{self, Case};
use crate::schema::{self, DIRECTIONS, definition};
use crate::{asked, keep_equal};

fn path(direction: &str, entry: &FrameEntry) -> PathBuf {
    folder(direction).join(format!("{:03}-{}.json", entry.kind, entry.name))
}

fn folder(direction: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(direction)
}

/// JSON text and MessagePack bytes of one frame, after checking that each decodes to what the other does.
fn both(direction: &str, json: &str) -> (String, Vec<u8>) {
    macro_rules! both {
        ($frame:ident) => {{
            let frame = $frame::decode(Encoding::Json, json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"));
            let text = String::from_utf8(frame.to_bytes(Encoding::Json)).expect("JSON is text");
            let bytes = frame.to_bytes(Encoding::MessagePack);
            assert_eq!($frame::decode(Encoding::MessagePack, &bytes).as_ref(), Ok(&frame), "{text}");
            assert_eq!($frame::decode(Encoding::Json, text.as_bytes()), Ok(frame), "{text}");
            (text, bytes)
        }};
    }
    if direction == "client" { both!(ClientFrame) } else { both!(ServerFrame) }
}

/// One example of a frame in both encodings.
pub(crate) fn encode_example(document: &Value, direction: &str, key: &str, case: Case) -> (String, Vec<u8>) {
    both(direction, &example::value(document, definition(document, key), key, case).to_string())
}

fn write(document: &Value, direction: &str, entry: &FrameEntry) -> String {
    let key = format!("{direction}.{}", entry.name);
    let full = (0..example::cases(document, definition(document, &key))).map(Case::Full);
    let mut cases: Vec<String> = Vec::new();
    for case in full.chain([Case::Least]) {
        let (json, bytes) = encode_example(document, direction, &key, case);
        let text = format!("    {{\n      \"json\": {json},\n      \"msgpack\": \"{}\"\n    }}", hex(&bytes));
        if !cases.contains(&text) {
            cases.push(text);
        }
    }
    format!(
        "{{\n  \"direction\": \"{direction}\", \"kind\": {}, \"t\": \"{}\", \"class\": \"{}\",\n  \"cases\": [\n{}\n  ]\n}}\n",
        entry.kind,
        entry.name,
        entry.class.name(),
        cases.join(",\n")
    )
}

#[test]
fn every_frame_is_written_as_its_golden_file_has_it() {
    let document = schema::document();
    for (direction, _, table) in DIRECTIONS {
        for entry in table {
            keep_equal(&path(direction, entry), &write(&document, direction, entry), "UPDATE_GOLDEN");
        }
        let files = std::fs::read_dir(folder(direction)).expect("golden files are there").filter_map(Result::ok).map(|file| file.path());
        for file in files.filter(|file| table.iter().all(|entry| path(direction, entry) != *file)) {
            assert!(asked("UPDATE_GOLDEN"), "{} is of no frame", file.display());
            std::fs::remove_file(file).expect("could not remove the file");
        }
    }
}

#[test]
fn every_golden_file_reads_the_same_in_both_encodings() {
    let mut read = 0;
    for (direction, _, table) in DIRECTIONS {
        for entry in table {
            let text = std::fs::read_to_string(path(direction, entry)).expect("a golden file for each frame");
            let file: Value = serde_json::from_str(&text).expect("golden files are JSON");
            for case in file["cases"].as_array().expect("cases") {
                let bytes = unhex(case["msgpack"].as_str().expect("digits")).expect("hexadecimal");
                assert_eq!(bytes[usize::from(bytes[0] == 0xdc) * 2 + 1], entry.kind);
                macro_rules! same {
                    ($frame:ident) => {
                        assert_eq!(
                            $frame::decode(Encoding::MessagePack, &bytes),
                            $frame::decode(Encoding::Json, case["json"].to_string().as_bytes())
                        )
                    };
                }
                if direction == "client" {
                    same!(ClientFrame)
                } else {
                    same!(ServerFrame)
                }
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read}");
}

#[test]
fn every_cut_of_a_golden_frame_is_refused_without_a_panic() {
    let document = schema::document();
    for (direction, _, table) in DIRECTIONS {
        for entry in table {
            let (json, bytes) = encode_example(&document, direction, &format!("{direction}.{}", entry.name), Case::Full(0));
            for end in 0..bytes.len() {
                assert!(ClientFrame::decode(Encoding::MessagePack, &bytes[..end]).is_err());
                assert!(ServerFrame::decode(Encoding::MessagePack, &bytes[..end]).is_err());
            }
            for end in 0..json.len() {
                assert!(ClientFrame::decode(Encoding::Json, &json.as_bytes()[..end]).is_err());
                assert!(ServerFrame::decode(Encoding::Json, &json.as_bytes()[..end]).is_err());
            }
        }
    }
}
