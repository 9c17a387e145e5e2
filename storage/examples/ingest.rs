//! How many rows a second the Recorder takes into a database: `cargo run --release -p storage --example ingest -- URL [ROWS]`.
//!
//! Six-field readings of 200 sources, given as fast as the queue takes them; the clock stops when the last one is reported as stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::text::Text;
use protocol::{Field, MachineId, Reading, SeqRanges};
use storage::{Options, Report, Row, RowWhat, SourceKey};
use uuid::Uuid;

const SOURCES: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("ingest URL [ROWS]")?;
    let rows: u32 = args.next().map_or(Ok(500_000), |rows| rows.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(ingest(url, rows / SOURCES * SOURCES))
}

async fn ingest(url: String, rows: u32) -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::new(url);
    options.rows_per_s_max = u32::MAX;
    let mut storage = storage::open(options).await?;
    let recorder = storage.recorder.clone();
    let feeder = recorder.clone();
    let begin = async {
        let sources: Vec<Arc<SourceKey>> = (0..SOURCES).map(source).collect();
        let began = Instant::now();
        for seq in 1..=rows / SOURCES {
            for source in &sources {
                while feeder.try_keep(row(source, seq)).is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        began
    };
    let hear = async {
        let mut stored = 0;
        while stored < u64::from(rows) {
            match tokio::time::timeout(PATIENCE, storage.reports.recv()).await {
                Ok(Some(Report::Stored { seqs, .. })) => stored += SeqRanges::count(&seqs),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err("no reports for a minute"),
            }
        }
        Ok(Instant::now())
    };
    let both = async {
        let (began, ended) = tokio::join!(begin, hear);
        recorder.drain(PATIENCE).await;
        ended.map(|ended| ended - began)
    };
    let (taken, _left) = tokio::join!(both, storage.driver.run());
    let now = storage.counters.now();
    let seconds = taken?.as_secs_f64();
    #[expect(clippy::print_stdout, reason = "the answer of this tool")]
    {
        println!(
            "{rows} rows in {seconds:.2} s: {:.0} rows/s, {} batches, {} retries",
            f64::from(rows) / seconds,
            now.batches,
            now.retries
        );
    }
    Ok(())
}

fn source(number: u32) -> Arc<SourceKey> {
    let machine = MachineId(Uuid::now_v7());
    Arc::new(SourceKey::Machine(machine, Text::cut(&format!("ftms{number}"))))
}

fn row(source: &Arc<SourceKey>, seq: u32) -> Row {
    let mut reading = Reading::new();
    let value = i32::try_from(seq % 400).unwrap_or_default();
    for (field, base) in [
        (Field::Speed, 800),
        (Field::Cadence, 160),
        (Field::Power, 150),
        (Field::HeartRate, 120),
        (Field::Distance, 0),
        (Field::Elapsed, 0),
    ] {
        reading.set(field, base + value);
    }
    let dev_ms = i64::from(seq) * 250;
    let at_ms = 1_795_262_400_000 + dev_ms;
    Row {
        source: Arc::clone(source),
        boot: 1,
        nonce: 1,
        seq,
        absorbed: Vec::new(),
        dev_ms,
        received_at_ms: at_ms,
        corrected_at_ms: at_ms,
        anchor_at_ms: 1_795_262_400_000,
        what: RowWhat::Reading(reading),
        derived: 0,
    }
}
