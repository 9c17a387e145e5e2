//! `SeqRanges` as the bytes of the columns `boots.stored` and `boots.lost`.
//!
//! Pairs `(from, to)`, each a big-endian u32, sorted, inclusive, disjoint; nothing for the empty set.

use protocol::SeqRanges;

/// The column does not hold whole pairs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRanges {
    #[error("{0} bytes are not whole pairs of u32")]
    Halves(usize),
    #[error("not hexadecimal")]
    NotHex,
}

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
        return Err(NotRanges::Halves(bytes.len()));
    }
    Ok(pairs.iter().map(|&[a, b, c, d, e, f, g, h]| (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))).collect())
}

/// The same bytes as SQLite's `hex()` writes them.
pub(crate) fn from_hex(text: &str) -> Result<SeqRanges, NotRanges> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    from_bytes(&bytes.filter(|_| rest.is_empty()).ok_or(NotRanges::NotHex)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_back_from_their_bytes() {
        let ranges = SeqRanges::from_iter([(1, 7), (9, 9), (u32::MAX - 1, u32::MAX)]);
        assert_eq!(from_bytes(&to_bytes(&ranges)).unwrap(), ranges);
        assert!(from_bytes(&[0; 9]).is_err());
        assert_eq!(from_hex("0000000100000007FFFFFFFEFFFFFFFF").unwrap(), SeqRanges::from_iter([(1, 7), (u32::MAX - 1, u32::MAX)]));
        assert!(from_hex("").unwrap().iter().next().is_none());
        for wrong in ["0", "00000001", "000000010000000g", "0000000100000007F"] {
            assert!(from_hex(wrong).is_err(), "{wrong}");
        }
    }
}
