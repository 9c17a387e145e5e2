//! A whole store from one database into another: SQLite to Postgres, back, or like to like.
//!
//! In: two addresses. Out: every row of every table, exactly once, compared by count and checksum at the end. Goes page by page, each page one
//! transaction together with the note how far it is, so that an interrupted copy goes on where it stood and memory holds one page.
//! Nobody may use either database meanwhile: an SQLite source is locked, a Postgres source is looked at for connections of a hub, and both for a
//! start counted in between. Does not merge: the target is empty, or an unfinished copy of the same source.

mod cell;
mod columns;
mod error;
mod page;
mod progress;
mod side;
mod tables;
mod verify;

use std::time::Duration;

pub use self::error::CopyError;
use self::progress::Note;
use self::side::Side;
use self::tables::{TABLES, Table};

/// Where from, where to, how much at once.
#[derive(Clone)]
pub struct CopyOptions {
    /// Address of the source. May hold a secret: not printed.
    pub from: String,
    /// Address of the target. May hold a secret: not printed.
    pub to: String,
    /// Rows in memory and in one transaction.
    pub page_rows: u32,
    /// No statement runs longer.
    pub deadline: Duration,
}

impl CopyOptions {
    /// Pages of 2,000 rows, two minutes a statement.
    #[must_use]
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), page_rows: 2_000, deadline: Duration::from_secs(120) }
    }
}

/// What a copy is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyStep {
    /// Which table.
    pub table: &'static str,
    /// Its rows that are done.
    pub rows: u64,
    /// Its rows in the source.
    pub of: u64,
    /// Whether they are compared by now; before that they are written.
    pub verifying: bool,
}

/// A table that is the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Which.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// Sum of the SHA-256 of its rows, in hex; the order of rows does not matter.
    pub checksum: String,
}

/// Copies a store, or goes on with an interrupted copy. `told` hears of each page.
///
/// # Errors
/// [`CopyError`]; what was copied until then stays, and the same call goes on from there. Safe to drop at await for the same reason.
pub async fn copy(options: CopyOptions, told: &mut (dyn FnMut(CopyStep) + Send)) -> Result<Vec<CopiedTable>, CopyError> {
    let mut copy = Copy::begin(options).await?;
    for table in TABLES {
        copy.table(table, told).await?;
    }
    let done = copy.verify(told).await?;
    copy.finish().await?;
    Ok(done)
}

struct Copy {
    options: CopyOptions,
    from: Side,
    to: Side,
    /// Starts counted on the source when the copy began.
    starts: i64,
}

impl Copy {
    async fn begin(options: CopyOptions) -> Result<Self, CopyError> {
        if options.from == options.to {
            return Err(CopyError::SameDatabase);
        }
        let mut from = Side::source(&options.from, options.deadline).await?;
        let mut to = Side::target(&options.to, options.deadline).await?;
        from.refuse_company().await?;
        to.refuse_company().await?;
        for side in [&mut from, &mut to] {
            side.refuse_strange_tables().await?;
        }
        let starts = from.starts().await?;
        let source = progress::name_of(&options.from);
        match progress::found(&mut to).await? {
            Some(before) if before.source != source => return Err(CopyError::OtherCopy),
            Some(before) if before.starts != starts => return Err(CopyError::SourceChanged),
            Some(_) => {}
            None => {
                to.refuse_rows().await?;
                progress::begin(&mut to, &source, starts).await?;
            }
        }
        Ok(Self { options, from, to, starts })
    }

    /// Copies what is missing of a table.
    async fn table(&mut self, table: &'static Table, told: &mut (dyn FnMut(CopyStep) + Send)) -> Result<(), CopyError> {
        let mut note = progress::of(&mut self.to, table).await?;
        if note.done {
            return Ok(());
        }
        let columns = columns::of(&mut self.from, &mut self.to, table).await?;
        let of = self.from.count(table.name).await?;
        while !note.done {
            let rows = page::read(&mut self.from, table, &columns, note.after.as_deref(), self.options.page_rows).await?;
            let done = rows.len() < self.options.page_rows as usize;
            let after = rows.last().map(|row| columns::key_of(&columns, table, row)).or(note.after.take());
            note = Note { rows: note.rows + rows.len() as u64, after, done };
            page::write(&mut self.to, table, &columns, &rows, &note).await?;
            told(CopyStep { table: table.name, rows: note.rows, of, verifying: false });
        }
        if let Some(serial) = table.serial {
            let number = self.from.serial(table.name, serial).await?;
            self.to.set_serial(table.name, serial, number).await?;
        }
        Ok(())
    }

    async fn verify(&mut self, told: &mut (dyn FnMut(CopyStep) + Send)) -> Result<Vec<CopiedTable>, CopyError> {
        let mut done = Vec::with_capacity(TABLES.len());
        for table in TABLES {
            let columns = columns::of(&mut self.from, &mut self.to, table).await?;
            let page_rows = self.options.page_rows;
            let there = verify::sum(&mut self.from, table, &columns, page_rows).await?;
            let here = verify::sum(&mut self.to, table, &columns, page_rows).await?;
            if there != here {
                return Err(CopyError::Differs { table: table.name, source_rows: there.rows, target_rows: here.rows });
            }
            told(CopyStep { table: table.name, rows: here.rows, of: there.rows, verifying: true });
            done.push(CopiedTable { table: table.name, rows: here.rows, checksum: here.hex() });
        }
        Ok(done)
    }

    /// Only now a hub may start on the target.
    async fn finish(mut self) -> Result<(), CopyError> {
        self.from.refuse_company().await?;
        if self.from.starts().await? != self.starts {
            return Err(CopyError::SourceChanged);
        }
        // What older binaries must know of the rows that were copied.
        let agrees = self.from.agrees().await?;
        self.to.raise_agrees(agrees).await?;
        progress::end(&mut self.to).await?;
        self.from.close().await;
        self.to.close().await;
        Ok(())
    }
}

/// Whether a copy into this database was begun and not finished.
pub(crate) async fn is_unfinished(wire: &mut crate::db::Wire) -> Result<bool, crate::error::StoreError> {
    crate::migrate::has_table(&mut wire.conn(), progress::TABLE).await
}
