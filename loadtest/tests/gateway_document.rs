//! Every byte example in `docs/GATEWAY.md` is what the protocol makes of the JSON above it, and every rule stands there.

use loadtest::examine::Rule;
use protocol::text::hex;
use protocol::wire::Encoding;
use protocol::{ClientFrame, ServerFrame};

const DOCUMENT: &str = include_str!("../../docs/GATEWAY.md");

fn packed(direction: &str, json: &str) -> String {
    let bytes = match direction {
        "client" => ClientFrame::decode(Encoding::Json, json.as_bytes()).map(|frame| frame.to_bytes(Encoding::MessagePack)),
        _ => ServerFrame::decode(Encoding::Json, json.as_bytes()).map(|frame| frame.to_bytes(Encoding::MessagePack)),
    };
    hex(&bytes.unwrap_or_else(|error| panic!("{json}: {error}")))
}

#[test]
fn examples_are_the_bytes_that_the_protocol_writes() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for block in DOCUMENT.split("```example ").skip(1) {
        let (direction, rest) = block.split_once('\n').unwrap();
        let mut lines = rest.lines().take_while(|line| !line.starts_with("```"));
        let json = lines.next().unwrap();
        let written: String = lines.collect::<String>().split_whitespace().collect();
        let right = packed(direction, json);
        if written != right {
            wrong.push(format!("{json}\n{right}"));
        }
        count += 1;
    }
    assert!(count >= 12, "{count} examples");
    assert!(wrong.is_empty(), "write instead:\n{}", wrong.join("\n"));
}

#[test]
fn every_rule_stands_in_the_document() {
    for rule in Rule::ALL {
        assert!(DOCUMENT.contains(&format!("**{}**", rule.number())), "{} {}", rule.number(), rule.text());
    }
}

#[test]
fn the_table_of_control_point_writes_is_what_the_codec_writes() {
    use protocol::frame::Target;
    let rows = [
        ("`speed_centikmh` 1100", Target::SpeedCentikmh(1_100)),
        ("`incline_permille` 15", Target::InclinePermille(15)),
        ("`resistance_tenths` 120", Target::ResistanceTenths(120)),
        ("`power_w` 180", Target::PowerW(180)),
        ("`pause`", Target::Pause),
    ];
    for (name, target) in rows {
        let bytes = protocol::ftms::Request::of_target(target).unwrap().encode();
        let spaced: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(DOCUMENT.contains(&format!("| {name} | `{}` |", spaced.join(" "))), "{name}: {spaced:?}");
    }
}
