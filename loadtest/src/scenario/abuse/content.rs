//! What stands in a message: nesting, text that is none, and a lying length in every frame of the protocol.

use protocol::wire::Encoding;

use super::case::{Case, End, KIB_PER_SENDER, Kib, at_once};
use super::frames::{each, each_in};
use super::rude::{TEXT, frame, message};
use super::stage::Stage;

const FAMILY: &str = "content";
const MALFORMED: &[&str] = &["4200 malformed"];
/// Kinds of client frames (`protocol/src/frame/mod.rs`).
const KINDS: std::ops::RangeInclusive<u8> = 1..=39;
/// Levels of a nested message: as many as fit.
const DEEP: usize = 60_000;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, attack| Case { family: FAMILY, name, ends: MALFORMED, within: at_once, kib: Kib::OneByOne(KIB_PER_SENDER), attack };
    vec![
        case("60,000 arrays in each other, MessagePack", |stage| Box::pin(each(stage, nested_msgpack()))),
        case("60,000 arrays or objects in each other, JSON", |stage| Box::pin(each_in(stage, Encoding::Json, nested_json()))),
        case("text that is not UTF-8, whole or cut", |stage| Box::pin(broken_text(stage))),
        case("a lying length in every frame", |stage| Box::pin(lying_lengths(stage))),
        case("a kind, a name or a number of another type", |stage| Box::pin(other_types(stage))),
        case("JSON that goes on after its end, or repeats a key", |stage| Box::pin(each_in(stage, Encoding::Json, odd_json()))),
    ]
}

fn text(json: &str) -> Vec<u8> {
    frame(TEXT, json.len() as u64, json.as_bytes())
}

fn nested_msgpack() -> Vec<Vec<u8>> {
    // In place of the frame, as its field, and in a field that is not known; arrays and maps.
    [(vec![], 0x91), (vec![0x92, 1], 0x91), (vec![0x96, 3, 1, 0xc0, 0xc0, 0xc0], 0x91), (vec![0x92, 3], 0x81)]
        .into_iter()
        .map(|(mut bytes, level): (Vec<u8>, u8)| {
            bytes.resize(bytes.len() + DEEP, level);
            message(&bytes)
        })
        .collect()
}

fn nested_json() -> Vec<Vec<u8>> {
    let arrays = "[".repeat(DEEP);
    let objects = "{\"a\":".repeat(DEEP / 5);
    [arrays.clone(), objects.clone(), format!("{{\"t\":\"ping\",\"n\":{arrays}"), format!("{{\"t\":\"ping\",\"later\":{objects}")]
        .iter()
        .map(|json| text(json))
        .collect()
}

async fn broken_text(stage: &Stage) -> anyhow::Result<Vec<End>> {
    // Overlong, a surrogate, past U+10FFFF, a lone continuation, cut in the middle.
    let broken: [&[u8]; 5] = [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82"];
    let json = broken.map(|bytes| {
        let whole = [b"{\"t\":\"", bytes, b"\"}"].concat();
        frame(TEXT, whole.len() as u64, &whole)
    });
    // In a token of hello, where text belongs.
    let binary = broken.map(|bytes| message(&[&[0x92, 1, 0xa0 | bytes.len() as u8], bytes].concat()));
    let mut ends = each_in(stage, Encoding::Json, json.to_vec()).await?;
    ends.extend(each(stage, binary.to_vec()).await?);
    Ok(ends)
}

/// Arrays, maps, texts, binaries and extensions that claim more than there is.
async fn lying_lengths(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let lies: [&[u8]; 8] = [
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, 1],
        &[0xdc, 0xff, 0xff],
        &[0xda, 0xff, 0xff],
        &[0x9f],
    ];
    // Every kind with one of them; the kinds between them meet all.
    let all = KINDS.map(|kind| message(&[&[0x92, kind], lies[usize::from(kind) % lies.len()]].concat()));
    let whole = lies.map(message);
    each(stage, all.chain(whole).collect()).await
}

/// What other parsers took for a function or an index (CVE-2022-2421, CVE-2023-32695 of socket.io-parser).
async fn other_types(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let binary = [&[0x91, 0xc0][..], &[0x91, 0x80], &[0x92, 0xa4, b'p', b'i', b'n', b'g', 1], &[0x92, 3, 0xd3, 0xff, 0, 0, 0, 0, 0, 0, 0]];
    let json = [
        r#"{"t":{"toString":"x"}}"#,
        r#"{"t":["ping"],"n":1}"#,
        r#"{"t":1,"n":1}"#,
        r#"{"t":"ping","n":"1"}"#,
        r#"{"t":"ping","n":-1}"#,
        r#"{"t":"ping","n":1e400}"#,
        r#"["ping",{"_placeholder":true,"num":-1}]"#,
    ];
    let mut ends = each(stage, binary.map(message).to_vec()).await?;
    ends.extend(each_in(stage, Encoding::Json, json.map(text).to_vec()).await?);
    Ok(ends)
}

fn odd_json() -> Vec<Vec<u8>> {
    [
        r#"{"t":"ping","n":1}{"t":"ping","n":2}"#,
        r#"{"t":"ping","n":1,"n":2}"#,
        r#"{"t":"ping","n":1"#,
        "\u{feff}{\"t\":\"ping\",\"n\":1}",
        "null",
        "",
    ]
    .iter()
    .filter(|json| !json.is_empty())
    .map(|json| text(json))
    .collect()
}
