//! Which workout each seq of a source belongs to.
//!
//! In: stretches as they begin and end, the newest told last, also older ones after a reconnect. Out: the workout of a seq and the
//! source's index in its room. Where stretches lie over each other, the one told last holds. A handful a boot: looked through from the end.

use protocol::WorkoutId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    from_seq: u32,
    to_seq: u32,
    workout: WorkoutId,
    index: u16,
}

impl Stretch {
    fn has(&self, seq: u32) -> bool {
        (self.from_seq..=self.to_seq).contains(&seq)
    }
}

/// The stretches of one source in one boot.
#[derive(Debug, Clone, Default)]
pub(super) struct Belongings(Vec<Stretch>);

impl Belongings {
    pub(super) fn begin(&mut self, from_seq: u32, workout: WorkoutId, index: u16) {
        for stretch in self.0.iter_mut().filter(|stretch| stretch.from_seq < from_seq) {
            stretch.to_seq = stretch.to_seq.min(from_seq - 1);
        }
        self.0.push(Stretch { from_seq, to_seq: u32::MAX, workout, index });
    }

    pub(super) fn end(&mut self, workout: WorkoutId, to_seq: u32) {
        if let Some(last) = self.0.iter_mut().rev().find(|stretch| stretch.workout == workout) {
            last.to_seq = last.to_seq.min(to_seq);
        }
        self.0.retain(|stretch| stretch.from_seq <= stretch.to_seq);
    }

    pub(super) fn cut(&mut self, seq: u32) {
        if let Some(stretch) = self.0.iter_mut().rev().find(|stretch| stretch.has(seq)) {
            stretch.to_seq = seq.saturating_sub(1);
        }
        self.0.retain(|stretch| stretch.from_seq <= stretch.to_seq);
    }

    pub(super) fn of(&self, seq: u32) -> Option<(WorkoutId, u16)> {
        self.0.iter().rev().find(|stretch| stretch.has(seq)).map(|stretch| (stretch.workout, stretch.index))
    }
}
