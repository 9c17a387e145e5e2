//! `SeqRanges` as the bytes of the columns `boots.stored` and `boots.lost`.
//!
//! Pairs `(from, to)`, each a big-endian u32, sorted, inclusive, disjoint; nothing for the empty set.

use protocol::SeqRanges;

/// The column does not hold whole pairs.
#[derive(Debug, thiserror::Error)]
#[error("{0} bytes are not whole pairs of u32")]
pub(crate) struct NotRanges(usize);

pub(crate) fn to_bytes(ranges: &SeqRanges) -> Vec<u8> {
    let pairs = ranges.iter();
    let mut bytes = Vec::with_capacity(pairs.len() * 8);
    for pair in pairs {
        bytes.extend_from_slice(&pair.start().to_be_bytes());
        bytes.extend_from_slice(&pair.end().to_be_bytes());
    }
    bytes
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Result<SeqRanges, NotRanges> {
    let (pairs, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(NotRanges(bytes.len()));
    }
    Ok(pairs.iter().map(|&[a, b, c, d, e, f, g, h]| (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_back_from_their_bytes() {
        let ranges = SeqRanges::from_iter([(1, 7), (9, 9), (u32::MAX - 1, u32::MAX)]);
        assert_eq!(from_bytes(&to_bytes(&ranges)).unwrap(), ranges);
        assert!(from_bytes(&[0; 9]).is_err());
    }
}
