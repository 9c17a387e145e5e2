//! Which of the two layouts in the wild a record is written in: its length decides.
//!
//! The 2017 XML and the GATT Specification Supplement of 2024 disagree on resistance and on the pace of a treadmill. Real machines
//! write the former; nothing in a record says so but its length.

use super::table::{Row, Table};

/// Definition after which a record is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// The GATT XML of 2017: resistance s16, treadmill pace u8 in 0.1 km/min. What real machines send.
    #[default]
    Xml2017,
    /// GATT Specification Supplement, 2024-11-06: resistance u8, treadmill pace u16 in s/500 m.
    Gss2024,
}

/// The largest notification under the smallest ATT_MTU, 23: where many machines cut their records.
pub const NOTIFICATION_BYTES_MIN: usize = 20;

/// Rows of a table that a record with these flags carries.
pub(super) fn present(table: &'static Table, flags: u32) -> impl Iterator<Item = (u8, &'static Row)> {
    table.rows.iter().enumerate().filter(move |(_, row)| row.when.holds(flags)).map(|(at, row)| (at as u8, row))
}

/// Bytes that a record with these flags takes.
pub(super) fn need(table: &'static Table, flags: u32, layout: Layout) -> usize {
    table.flag_bytes + present(table, flags).map(|(_, row)| row.forms[layout as usize].width.bytes()).sum::<usize>()
}

/// The layout of a record of `len` bytes.
///
/// The one whose length it has; 2017 where neither fits (longer: trailing bytes; shorter: cut). Exactly 20 bytes where 2017 needs
/// more are a cut 2017 record, even if they happen to fit the newer layout.
pub(super) fn choose(table: &'static Table, flags: u32, len: usize) -> Layout {
    let (old, new) = (need(table, flags, Layout::Xml2017), need(table, flags, Layout::Gss2024));
    let cut = len == NOTIFICATION_BYTES_MIN && old > len;
    if len == new && len != old && !cut { Layout::Gss2024 } else { Layout::Xml2017 }
}
