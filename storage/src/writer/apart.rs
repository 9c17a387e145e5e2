//! A batch of which the database refuses something outside the inserts of its rows, such as the name of a source: found like a poison row, in
//! at most three tries (the batch, chunks of it, rows), and put to quarantine under no source.
//!
//! Without this such a row would be tried for ever, and nothing behind it would ever be stored.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use protocol::{ErrorCode, SeqRanges};

use super::{GaveUp, RETRY_FIRST, Writer};
use crate::canonical;
use crate::db::values;
use crate::error::StoreError;
use crate::model::{Rejection, Report, Row};

/// Rows of the second try, as in the inserts.
const CHUNK_ROWS: usize = 128;

impl Writer {
    /// Writes what the database takes of a refused batch, and puts the rest aside.
    pub(super) async fn write_apart(&mut self, rows: &[Row]) -> Result<(), GaveUp> {
        for chunk in rows.chunks(CHUNK_ROWS) {
            if self.until_answered(chunk).await?.is_ok() {
                continue;
            }
            for row in chunk {
                if let Err(why) = self.until_answered(std::slice::from_ref(row)).await? {
                    self.set_aside(row, why).await?;
                }
            }
        }
        Ok(())
    }

    /// To quarantine; its source hears that it is rejected. What even the quarantine refuses is named in the log, and never told as stored.
    async fn set_aside(&mut self, row: &Row, why: String) -> Result<(), GaveUp> {
        // The reason may quote what was refused.
        let detail = why.replace('\0', "");
        let mut pause = RETRY_FIRST;
        loop {
            match self.try_set_aside(row, &detail).await {
                Ok(()) => break,
                Err(StoreError::Refused { source, .. }) => {
                    tracing::error!(row.boot, row.seq, error = %source, "a row is refused by its table and by the quarantine");
                    return Ok(());
                }
                Err(error) => self.failed("a refused row", &error, &mut pause).await?,
            }
        }
        self.came_back().await;
        self.counters.quarantined.fetch_add(1, Relaxed);
        let mut seqs = SeqRanges::new();
        seqs.insert(row.seq, row.seq);
        let rejected = vec![Rejection { seq: row.seq, code: ErrorCode::ReadingPoison.code(), detail }];
        self.report(Report::Stored { source: Arc::clone(&row.source), boot: row.boot, nonce: row.nonce, seqs, rejected }).await;
        Ok(())
    }

    async fn try_set_aside(&mut self, row: &Row, detail: &str) -> Result<(), StoreError> {
        let mut wire = self.take_wire().await?;
        let mut content = Vec::new();
        canonical::row(row.boot, row.seq, row.dev_ms, &row.what, &mut content);
        let sql = "insert into quarantine (source, boot, seq, code, detail, content, fingerprint, received_at_ms)
             values (null, $1, $2, $3, $4, $5, $6, $7)";
        let params = values![
            row.boot,
            row.seq,
            ErrorCode::ReadingPoison.code(),
            detail,
            content,
            canonical::fingerprint_of(row),
            row.received_at_ms
        ];
        wire.conn().execute("put a refused row to quarantine", sql, &params).await?;
        self.wire = Some(wire);
        Ok(())
    }
}
