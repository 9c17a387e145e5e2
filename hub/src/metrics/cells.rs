//! Counters that threads do not fight over.
//!
//! One line of cells for each of a few stripes; a thread always adds to its own stripe, a reader sums them. Relaxed: a scrape needs no
//! consistent cut.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Stripes. More threads than this share; two cores need two.
const STRIPES: usize = 8;

/// Eight cells on a cache line of their own, so that stripes never share one.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; 8]);

/// All counters of the process.
pub(super) struct Cells {
    stripes: [Box<[Line]>; STRIPES],
}

impl Cells {
    pub(super) fn new(series: usize) -> Self {
        Self { stripes: std::array::from_fn(|_| (0..series.div_ceil(8)).map(|_| Line::default()).collect()) }
    }

    pub(super) fn add(&self, place: usize, n: u64) {
        self.stripes[stripe()][place / 8].0[place % 8].fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn sum(&self, place: usize) -> u64 {
        self.stripes.iter().map(|stripe| stripe[place / 8].0[place % 8].load(Ordering::Relaxed)).sum()
    }
}

/// The stripe of this thread.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
    }
    MINE.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads_and_cells_do_not_touch() {
        let cells = Cells::new(17);
        std::thread::scope(|scope| {
            for _ in 0..STRIPES * 2 {
                scope.spawn(|| (0..1000).for_each(|n| cells.add(n % 17, 1)));
            }
        });
        let total: u64 = (0..17).map(|place| cells.sum(place)).sum();
        assert_eq!((total, cells.sum(0), cells.sum(16)), (16_000, 59 * 16, 58 * 16));
    }
}
