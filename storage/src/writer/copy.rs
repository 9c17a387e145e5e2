//! Rows into Postgres by COPY in its binary format, written here.
//!
//! Format: `PGCOPY\n\377\r\n\0`, flags and header length (both 0), then for each row the number of columns as i16 and for each column its
//! length as i32 (-1 is null) and its bytes, and -1 as i16 at the end (PostgreSQL manual, COPY, "Binary Format").

use bytes::{BufMut as _, BytesMut};
use protocol::Field;
use protocol::field::RR_BIT;
use tokio::time::timeout;

use super::insert::{Columns, numbers, rr_bytes};
use super::plan::Planned;
use crate::db::Conn;
use crate::error::StoreError;
use crate::model::RowWhat;

const DO: &str = "copy rows";
/// Bytes handed over at once: the server parses one chunk while the next is encoded.
const CHUNK_BYTES: usize = 64 * 1024;

/// Copies all rows or none.
pub(crate) async fn write(conn: &mut Conn<'_>, columns: &Columns, rows: &[Planned<'_>]) -> Result<(), StoreError> {
    let Some((conn, deadline)) = conn.postgres() else { return Err(StoreError::Stale { operation: DO }) };
    let statement = format!("copy {} from stdin (format binary)", columns.target());
    let copied = async {
        let mut copy = conn.copy_in_raw(&statement).await?;
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES + 4096);
        chunk.put_slice(b"PGCOPY\n\xff\r\n\0");
        chunk.put_i32(0);
        chunk.put_i32(0);
        for planned in rows {
            encode(columns, planned, &mut chunk);
            if chunk.len() >= CHUNK_BYTES {
                copy.send(&chunk[..]).await?;
                chunk.clear();
            }
        }
        chunk.put_i16(-1);
        copy.send(&chunk[..]).await?;
        copy.finish().await.map(drop)
    };
    match timeout(deadline, copied).await {
        Ok(copied) => copied.map_err(|error| StoreError::from_sqlx(DO, error)),
        Err(_elapsed) => Err(StoreError::Deadline { operation: DO, after: deadline }),
    }
}

fn encode(columns: &Columns, planned: &Planned<'_>, out: &mut BytesMut) {
    let Planned { row, source, at_ms, fingerprint } = *planned;
    out.put_i16(columns.count() as i16);
    let head = [source, row.boot.into(), row.seq.into(), at_ms, row.dev_ms, row.received_at_ms, row.corrected_at_ms, fingerprint];
    head.into_iter().for_each(|number| bigint(number, out));
    match &row.what {
        RowWhat::Reading(reading) => {
            for field in Field::ALL {
                if columns.mask & field.mask() != 0 {
                    match reading.get(field) {
                        Some(value) => {
                            out.put_i32(4);
                            out.put_i32(value);
                        }
                        None => out.put_i32(-1),
                    }
                }
            }
            if columns.mask & RR_BIT != 0 {
                bytes(rr_bytes(reading).as_deref(), out);
            }
        }
        RowWhat::Rep(_) | RowWhat::Stroke(_) => numbers(&row.what).into_iter().for_each(|number| bigint(number, out)),
        RowWhat::Set(set) => {
            numbers(&row.what).into_iter().for_each(|number| bigint(number, out));
            for text in [set.exercise.as_deref(), set.tempo.as_deref(), set.note.as_deref()] {
                bytes(text.map(str::as_bytes), out);
            }
        }
        RowWhat::Poison { .. } | RowWhat::Lost { .. } => {}
    }
}

fn bigint(number: i64, out: &mut BytesMut) {
    out.put_i32(8);
    out.put_i64(number);
}

fn bytes(bytes: Option<&[u8]>, out: &mut BytesMut) {
    match bytes {
        Some(bytes) => {
            out.put_i32(bytes.len() as i32);
            out.put_slice(bytes);
        }
        None => out.put_i32(-1),
    }
}
