//! Walks a MessagePack message before anything is built from it.
//!
//! In: bytes of a peer. Out: whether they are exactly one value whose nesting, item counts and lengths are within
//! bounds and within the message itself. Allocates nothing, reads each byte once, never recurses.

use crate::limits::{DEPTH_MAX, ITEMS_MAX};

/// Why a message is refused before decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The message ends inside a value.
    #[error("the message ends in the middle of a value at byte {0}")]
    Cut(usize),
    /// Bytes follow the value.
    #[error("bytes follow the frame at byte {0}: one frame a message")]
    Trailing(usize),
    /// Deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} at byte {0}")]
    Deep(usize),
    /// An array or map longer than [`ITEMS_MAX`].
    #[error("{items} items in one array or map at byte {at}, at most {ITEMS_MAX}")]
    Items {
        /// Items announced.
        items: u64,
        /// Where.
        at: usize,
    },
    /// Text that is not UTF-8.
    #[error("text that is not UTF-8 at byte {0}")]
    Utf8(usize),
    /// The marker that MessagePack never uses.
    #[error("0xc1 is no MessagePack at byte {0}")]
    Reserved(usize),
}

/// Items and header length of the array that `bytes` begin with.
pub(super) fn array_header(bytes: &[u8]) -> Option<(u32, usize)> {
    match *bytes {
        [marker @ 0x90..=0x9f, ..] => Some((u32::from(marker & 0x0f), 1)),
        [0xdc, a, b, ..] => Some((u32::from(u16::from_be_bytes([a, b])), 3)),
        [0xdd, a, b, c, d, ..] => Some((u32::from_be_bytes([a, b, c, d]), 5)),
        _ => None,
    }
}

/// Checks that `bytes` are one bounded MessagePack value.
///
/// # Errors
/// [`GuardError`] with the byte where it went wrong; the session closes.
pub fn check(bytes: &[u8]) -> Result<(), GuardError> {
    // How many values are still due at each level; one at the top.
    let mut due = [0_u64; DEPTH_MAX + 1];
    due[0] = 1;
    let (mut depth, mut at) = (0, 0);
    loop {
        while due[depth] == 0 {
            if depth == 0 {
                return if at == bytes.len() { Ok(()) } else { Err(GuardError::Trailing(at)) };
            }
            depth -= 1;
        }
        due[depth] -= 1;
        let start = at;
        let marker = *bytes.get(at).ok_or(GuardError::Cut(start))?;
        at += 1;
        let number = |from: usize, width: usize| -> Result<u64, GuardError> {
            let digits = bytes.get(from..from + width).ok_or(GuardError::Cut(start))?;
            Ok(digits.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
        };
        // Bytes to pass over, whether they are text, and items that follow.
        let (mut skip, mut text, mut items) = (0_u64, false, 0_u64);
        match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (),
            0x80..=0x8f => items = u64::from(marker & 0x0f) * 2,
            0x90..=0x9f => items = u64::from(marker & 0x0f),
            0xa0..=0xbf => (skip, text) = (u64::from(marker & 0x1f), true),
            0xc1 => return Err(GuardError::Reserved(start)),
            0xc4..=0xc6 | 0xc7..=0xc9 | 0xd9..=0xdb => {
                let width = match marker {
                    0xc4 | 0xc7 | 0xd9 => 1,
                    0xc5 | 0xc8 | 0xda => 2,
                    _ => 4,
                };
                skip = number(at, width)?;
                at += width;
                text = marker >= 0xd9;
                // An extension carries its type before its bytes.
                skip += u64::from((0xc7..=0xc9).contains(&marker));
            }
            0xcc | 0xd0 => skip = 1,
            0xcd | 0xd1 => skip = 2,
            0xca | 0xce | 0xd2 => skip = 4,
            0xcb | 0xcf | 0xd3 => skip = 8,
            0xd4..=0xd8 => skip = 1 + (1 << (marker - 0xd4)),
            0xdc..=0xdf => {
                let width = if marker & 1 == 0 { 2 } else { 4 };
                items = number(at, width)? * if marker >= 0xde { 2 } else { 1 };
                at += width;
            }
        }
        if skip > 0 {
            let end = usize::try_from(skip).ok().and_then(|skip| at.checked_add(skip)).ok_or(GuardError::Cut(start))?;
            let passed = bytes.get(at..end).ok_or(GuardError::Cut(start))?;
            if text && std::str::from_utf8(passed).is_err() {
                return Err(GuardError::Utf8(start));
            }
            at = end;
        }
        if items > 0 {
            if items > ITEMS_MAX as u64 {
                return Err(GuardError::Items { items, at: start });
            }
            // Each item takes a byte at least.
            if items > (bytes.len() - at) as u64 {
                return Err(GuardError::Cut(start));
            }
            if depth == DEPTH_MAX {
                return Err(GuardError::Deep(start));
            }
            depth += 1;
            due[depth] = items;
        }
    }
}
