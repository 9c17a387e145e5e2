//! Count and checksum of a table: a sum over its rows' SHA-256, so that databases that order text differently agree.

use sha2::{Digest as _, Sha256};

use super::cell;
use super::columns::{self, Column};
use super::error::CopyError;
use super::page;
use super::side::Side;
use super::tables::Table;

/// What a table adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) rows: u64,
    lanes: [u64; 4],
}

impl Sum {
    fn add(&mut self, row: &[u8]) {
        self.rows += 1;
        for (lane, bytes) in self.lanes.iter_mut().zip(Sha256::digest(row).as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_be_bytes(*bytes));
        }
    }

    pub(super) fn hex(&self) -> String {
        self.lanes.iter().map(|lane| format!("{lane:016x}")).collect()
    }
}

/// Reads a whole table, page by page.
pub(super) async fn sum(side: &mut Side, table: &'static Table, columns: &[Column], page_rows: u32) -> Result<Sum, CopyError> {
    let (mut sum, mut after, mut bytes) = (Sum::default(), None, Vec::new());
    loop {
        let rows = page::read(side, table, columns, after.as_deref(), page_rows).await?;
        for row in &rows {
            bytes.clear();
            row.iter().for_each(|value| cell::canonical(value, &mut bytes));
            sum.add(&bytes);
        }
        match rows.last() {
            Some(last) if rows.len() == page_rows as usize => after = Some(columns::key_of(columns, table, last)),
            Some(_) | None => return Ok(sum),
        }
    }
}
