//! Frames survive both encodings; a sample stays inside its byte budget; strange bytes never panic.

use protocol::frame::{Bind, ClaimBy, ClientFrame, Hello, JoinRoom, Sample};
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{Field, Reading, RoomName};

fn six_fields() -> Reading {
    let mut reading = Reading::new();
    for (field, value) in [
        (Field::Speed, 1_250),
        (Field::Distance, 12_345),
        (Field::Incline, 125),
        (Field::Energy, 1_480),
        (Field::HeartRate, 172),
        (Field::Elapsed, 5_400),
    ] {
        reading.set(field, value);
    }
    reading
}

#[test]
fn one_six_field_sample_takes_at_most_32_bytes() {
    let frame = ClientFrame::from(Sample { slot: 117, seq: 43_210, dev_ms: 86_400_000, reading: six_fields() });
    let bytes = frame.to_bytes(Encoding::MessagePack);
    assert!(bytes.len() <= 32, "{} bytes: {bytes:02x?}", bytes.len());
    assert_eq!(ClientFrame::decode(Encoding::MessagePack, &bytes), Ok(frame));
}

#[test]
fn frames_survive_both_encodings() {
    let id = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    let frames = [
        ClientFrame::from(Hello {
            token: Text::cut("t"),
            rooms: vec![JoinRoom {
                room: RoomName::Floor(id.into()),
                epoch: Some(protocol::Epoch(u64::MAX)),
                offset: 7,
                every_ms: 500,
                fields: 0,
            }],
            ticket: None,
            client: Some(Text::cut("test")),
            device: None,
            enrolled: None,
        }),
        Bind {
            slot: 1,
            machine: Some(id.into()),
            sensor: Text::cut("ftms"),
            boot: 3,
            nonce: 9,
            clock: 0,
            held: [(1, 5)].into_iter().collect(),
            quirk: None,
            claim_from_seq: None,
        }
        .into(),
        protocol::frame::Claim { req: 1, gym: id.into(), by: ClaimBy::Code(Text::cut("123456")), hand_over: None }.into(),
        Sample { slot: 1, seq: 2, dev_ms: -3, reading: six_fields() }.into(),
    ];
    for frame in frames {
        for encoding in Encoding::ALL {
            let bytes = frame.to_bytes(encoding);
            assert_eq!(ClientFrame::decode(encoding, &bytes), Ok(frame.clone()), "{encoding:?} {}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn fields_of_a_later_version_are_ignored_also_in_nested_records() {
    // [1, token, [[room, nil, 0, 0, 0, "later"]], nil, nil, nil, nil, "later"]
    let mut bytes = vec![0x98, 1, 0xa1, b't', 0x91, 0x96, 0xd9, 42];
    bytes.extend_from_slice(b"floor:01900000-0000-7000-8000-000000000001");
    bytes.extend_from_slice(&[
        0xc0, 0, 0, 0, 0xa5, b'l', b'a', b't', b'e', b'r', 0xc0, 0xc0, 0xc0, 0xc0, 0xa5, b'l', b'a', b't', b'e', b'r',
    ]);
    let Ok(ClientFrame::Hello(hello)) = ClientFrame::decode(Encoding::MessagePack, &bytes) else {
        panic!("{:?}", ClientFrame::decode(Encoding::MessagePack, &bytes))
    };
    assert_eq!(hello.rooms.len(), 1);
}

/// Found by `fuzz/targets/frame_msgpack.rs`.
#[test]
fn a_reading_with_no_interval_in_its_list_of_intervals_is_the_same_in_both_encodings() {
    // [13, 1, 2, 3, RR and power, 210]: the mask announces intervals, and none follows.
    let mask = 1_u32 << 31 | Field::Power.mask();
    let mut bytes = vec![0x96, 13, 1, 2, 3, 0xce];
    bytes.extend_from_slice(&mask.to_be_bytes());
    bytes.extend_from_slice(&[0xcc, 210]);
    let frame = ClientFrame::decode(Encoding::MessagePack, &bytes).expect("a sample");
    for encoding in Encoding::ALL {
        assert_eq!(ClientFrame::decode(encoding, &frame.to_bytes(encoding)).as_ref(), Ok(&frame), "{encoding:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused_and_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), kind in 0_u8..127) {
        let mut framed = vec![0x9c, kind];
        framed.extend_from_slice(&bytes);
        for bytes in [&bytes, &framed] {
            for encoding in Encoding::ALL {
                drop(ClientFrame::decode(encoding, bytes));
                drop(protocol::ServerFrame::decode(encoding, bytes));
            }
        }
    }
}
