//! Reads the one frame that comes a hundred thousand times a second, `sample`, without serde.
//!
//! In: a MessagePack message. Out: the sample, or none for anything that is not exactly one written as usual: the general path
//! then decides. Whatever this reads, that path reads as the same (a property test holds both together).

use smallvec::SmallVec;

use super::guard::array_header;
use crate::Reading;
use crate::frame::Sample;
use crate::limits::RR_MAX;

/// Kind of `sample`.
const KIND: u8 = 13;
/// Kind, slot, seq, device time and mask.
const HEAD_ITEMS: u32 = 5;
/// Values of a reading with every field and all RR intervals.
const VALUES_MAX: u32 = 31 + RR_MAX as u32;

pub(super) fn decode(bytes: &[u8]) -> Option<Sample> {
    let (items, header_bytes) = array_header(bytes)?;
    let (&KIND, mut rest) = bytes.get(header_bytes..)?.split_first()? else { return None };
    let values_len = items.checked_sub(HEAD_ITEMS).filter(|values| *values <= VALUES_MAX)?;
    let slot = u16::try_from(integer(&mut rest)?).ok()?;
    let seq = u32::try_from(integer(&mut rest)?).ok()?;
    let dev_ms = integer(&mut rest)?;
    let mask = u32::try_from(integer(&mut rest)?).ok()?;
    let mut values = SmallVec::new();
    for _ in 0..values_len {
        values.push(i32::try_from(integer(&mut rest)?).ok()?);
    }
    let reading = Reading::from_parts(mask, values).ok()?;
    rest.is_empty().then_some(Sample { slot, seq, dev_ms, reading })
}

/// The next integer of any width that an i64 holds.
fn integer(rest: &mut &[u8]) -> Option<i64> {
    let (&marker, tail) = rest.split_first()?;
    let width = match marker {
        0x00..=0x7f | 0xe0..=0xff => 0,
        0xcc | 0xd0 => 1,
        0xcd | 0xd1 => 2,
        0xce | 0xd2 => 4,
        0xcf | 0xd3 => 8,
        _ => return None,
    };
    let (digits, tail) = tail.split_at_checked(width)?;
    *rest = tail;
    let raw = digits.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    Some(match marker {
        0xd0 => i64::from(raw as u8 as i8),
        0xd1 => i64::from(raw as u16 as i16),
        0xd2 => i64::from(raw as u32 as i32),
        0xd3 => raw as i64,
        0xcc..=0xcf => i64::try_from(raw).ok()?,
        fixed => i64::from(fixed as i8),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ClientFrame;
    use crate::wire::msgpack;

    /// Messages that look like samples: a header, then integers of all widths and now and then something else.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let item = prop_oneof![
            4 => (0_u8..0x80).prop_map(|byte| vec![byte]),
            1 => (0xe0_u8..=0xff).prop_map(|byte| vec![byte]),
            2 => (0xcc_u8..=0xd3, any::<[u8; 8]>()).prop_map(|(marker, digits)| {
                let width = 1 << ((marker - 0xcc) % 4);
                [&[marker], &digits[..width]].concat()
            }),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        (0..3_u8, proptest::collection::vec(item, 0..15), any::<bool>()).prop_map(|(header, items, cut)| {
            let count = items.len() as u8 + 1;
            let mut bytes = match header {
                0 => vec![0x90 | count],
                1 => vec![0xdc, 0, count],
                _ => vec![0xdd, 0, 0, 0, count],
            };
            bytes.push(KIND);
            bytes.extend(items.concat());
            if cut {
                bytes.pop();
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn what_is_read_here_is_read_the_same_by_the_general_path(bytes in message()) {
            if let Some(sample) = decode(&bytes) {
                prop_assert_eq!(msgpack::decode::<ClientFrame>(&bytes), Ok(sample.into()));
            }
        }

        #[test]
        fn every_sample_that_is_written_is_read_here(
            slot in any::<u16>(), seq in any::<u32>(), dev_ms in any::<i64>(), mask in any::<u32>(), fill in any::<i32>(),
        ) {
            let values = SmallVec::from_elem(fill, mask.count_ones() as usize);
            let reading = Reading::from_parts(mask, values).expect("a value for each bit");
            let sample = Sample { slot, seq, dev_ms, reading };
            let bytes = ClientFrame::from(sample.clone()).to_bytes(crate::wire::Encoding::MessagePack);
            prop_assert_eq!(decode(&bytes), Some(sample));
        }
    }
}
