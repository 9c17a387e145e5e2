//! What the process knows of itself: memory, processor time, descriptors, age (Linux; nothing elsewhere).

use std::sync::LazyLock;
use std::time::Instant;

use super::families::Gauge;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One gauge of the process; none for those that others answer.
pub(super) fn read(gauge: Gauge) -> Option<f64> {
    match gauge {
        Gauge::Uptime => Some(STARTED.elapsed().as_secs_f64()),
        Gauge::Memory => resident_bytes(),
        Gauge::Cpu => cpu_seconds(),
        Gauge::Descriptors => std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64),
        Gauge::DescriptorsMost => descriptors_most(),
        _ => None,
    }
}

/// The soft limit, which the kernel holds us to; none where there is none.
fn descriptors_most() -> Option<f64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// Fields 14 and 15 of `/proc/self/stat`, in hundredths of a second (`USER_HZ` is 100 on every Linux ABI).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).map(|field| field.parse::<f64>().unwrap_or(0.0)).sum();
    Some(ticks / 100.0)
}
