//! Little-endian numbers in and out of a characteristic's value.

/// How many bytes a number takes, and whether it has a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    U8,
    U16,
    U24,
    U32,
    S16,
}

impl Width {
    /// Bytes on the wire.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::S16 => 2,
            Self::U24 => 3,
            Self::U32 => 4,
        }
    }

    /// Smallest and largest number.
    pub(super) const fn bounds(self) -> (i64, i64) {
        match self {
            Self::U8 => (0, 0xff),
            Self::U16 => (0, 0xffff),
            Self::U24 => (0, 0xff_ffff),
            Self::U32 => (0, 0xffff_ffff),
            Self::S16 => (-0x8000, 0x7fff),
        }
    }

    /// The value that means "not available" where a field shares its flag with others (FTMS 1.0, 4.4.1).
    pub(super) const fn unavailable(self) -> i64 {
        self.bounds().1
    }
}

/// Reads numbers from the front; a number that is cut off ends the reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a>(pub(super) &'a [u8]);

impl Bits<'_> {
    /// The next number, or none where fewer bytes are left than it takes; those stay.
    pub(super) fn take(&mut self, width: Width) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(width.bytes())?;
        self.0 = rest;
        let raw = number.iter().rev().fold(0_i64, |sum, &byte| sum << 8 | i64::from(byte));
        Some(if width == Width::S16 && raw > 0x7fff { raw - 0x1_0000 } else { raw })
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(Width::U8).map(|raw| raw as u8)
    }

    /// The next two bytes.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(Width::U16).map(|raw| raw as u16)
    }
}

/// Appends the low bytes of `raw`.
pub(super) fn put(out: &mut Vec<u8>, width: Width, raw: i64) {
    out.extend_from_slice(&raw.to_le_bytes()[..width.bytes()]);
}
