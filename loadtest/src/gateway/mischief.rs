//! What a bad network does to readings: says them twice, and in another order. Drawn from a seed, so that a run can be repeated.

use protocol::ClientFrame;

/// A small random generator (SplitMix64, Steele and others 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// True this many times in a thousand.
    pub const fn happens(&mut self, per_mille: u16) -> bool {
        self.roll() % 1_000 < per_mille as u64
    }

    /// A number below `end`, 0 where `end` is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.roll() % end }
    }
}

/// How bad the network is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mischief {
    /// Readings sent twice, in a thousand.
    pub duplicate_per_mille: u16,
    /// Readings that change places with the one after, in a thousand.
    pub reorder_per_mille: u16,
}

impl Mischief {
    /// Applies it to frames about to be sent; only readings are touched.
    #[must_use]
    pub fn apply(self, frames: Vec<ClientFrame>, dice: &mut Dice) -> Vec<ClientFrame> {
        if self == Self::default() {
            return frames;
        }
        let mut out: Vec<ClientFrame> = Vec::with_capacity(frames.len());
        for frame in frames {
            if !is_reading(&frame) {
                out.push(frame);
                continue;
            }
            if dice.happens(self.duplicate_per_mille) {
                out.push(frame.clone());
            }
            let swap = dice.happens(self.reorder_per_mille) && out.last().is_some_and(is_reading);
            let at = out.len() - usize::from(swap);
            out.insert(at, frame);
        }
        out
    }
}

const fn is_reading(frame: &ClientFrame) -> bool {
    matches!(
        frame,
        ClientFrame::Sample(_)
            | ClientFrame::FtmsRaw(_)
            | ClientFrame::Batch(_)
            | ClientFrame::Rep(_)
            | ClientFrame::Set(_)
            | ClientFrame::Stroke(_)
    )
}
