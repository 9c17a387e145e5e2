//! Bits into bytes and back, most significant first.
//!
//! The reader never reads beyond its bytes: what is missing is [`Damaged`].

use super::Damaged;

/// Appends bits to bytes.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, the oldest highest; fewer than eight between two calls.
    rest: u64,
    rest_bits: u32,
}

impl BitWriter {
    /// Appends the lowest `count` bits of `value`, at most 64.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        if count > 32 {
            self.put(value >> 32, count - 32);
            return self.put(value & 0xffff_ffff, 32);
        }
        let low = if count == 0 { 0 } else { value & (u64::MAX >> (64 - count)) };
        self.rest = (self.rest << count) | low;
        self.rest_bits += count;
        while self.rest_bits >= 8 {
            self.rest_bits -= 8;
            self.bytes.push((self.rest >> self.rest_bits) as u8);
        }
    }

    /// Appends a number in groups of seven bits, each with a bit that says whether more follow; small numbers are short.
    pub(super) fn put_number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(0x80 | (value & 0x7f), 8);
            value >>= 7;
        }
        self.put(value, 8);
    }

    /// The bytes, the last one filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.rest_bits > 0 {
            self.bytes.push((self.rest << (8 - self.rest_bits)) as u8);
        }
        self.bytes
    }
}

/// Takes bits from bytes.
pub(super) struct BitReader<'b> {
    bytes: &'b [u8],
    at_bit: usize,
}

impl<'b> BitReader<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at_bit: 0 }
    }

    /// Up to 57 bits that come next, highest first; zeros after the end.
    fn peek(&self) -> u64 {
        let at = self.at_bit / 8;
        let mut window = [0; 8];
        let tail = self.bytes.get(at..).unwrap_or_default();
        let have = tail.len().min(8);
        window[..have].copy_from_slice(&tail[..have]);
        u64::from_be_bytes(window) << (self.at_bit % 8)
    }

    fn skip(&mut self, count: u32) -> Result<(), Damaged> {
        self.at_bit += count as usize;
        if self.at_bit > self.bytes.len() * 8 { Err(Damaged::Short) } else { Ok(()) }
    }

    /// The next `count` bits, at most 64.
    pub(super) fn take(&mut self, count: u32) -> Result<u64, Damaged> {
        if count > 32 {
            let high = self.take(count - 32)?;
            return Ok((high << 32) | self.take(32)?);
        }
        let value = if count == 0 { 0 } else { self.peek() >> (64 - count) };
        self.skip(count)?;
        Ok(value)
    }

    /// How many ones come next, up to `most`; a zero that ends them is taken too.
    pub(super) fn take_ones(&mut self, most: u32) -> Result<u32, Damaged> {
        let ones = self.peek().leading_ones().min(most);
        self.skip(if ones < most { ones + 1 } else { ones })?;
        Ok(ones)
    }

    /// A number written by [`BitWriter::put_number`].
    pub(super) fn take_number(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for group in 0..10 {
            let bits = self.take(8)?;
            value |= (bits & 0x7f) << (group * 7);
            if bits & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damaged::Number)
    }

    /// Whether everything was taken, but for the zeros that fill the last byte.
    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.len() * 8 - self.at_bit < 8 && self.peek() == 0
    }
}
