//! What is compared: the workloads, how large they are, and what the hub may cost in each.

use std::time::Duration;

/// One kind of work that all servers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// Sessions that watch one room while nothing happens.
    Idle,
    /// One room watched by many.
    Fanout,
    /// Many rooms watched by two.
    Pairs,
    /// Many machines on one wall.
    Wall,
}

impl Workload {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Fanout, Self::Pairs, Self::Wall];

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Fanout => "fanout",
            Self::Pairs => "pairs",
            Self::Wall => "wall",
        }
    }

    /// What the hub may cost.
    pub(super) const fn budget(self) -> Budget {
        const NONE: Budget = Budget { limit: None, socketio: None, bytes: None, rss_kib: None, p99: None };
        match self {
            Self::Idle => Budget { rss_kib: Some(6.0), ..NONE },
            Self::Fanout | Self::Pairs => Budget { limit: Some(1.2), socketio: Some(0.55), ..NONE },
            Self::Wall => Budget { socketio: Some(0.1), bytes: Some(0.125), p99: Some(super::super::fanout::AGE_P99_MAX), ..NONE },
        }
    }
}

/// Most that the hub may cost: CPU as a share of the other server's, bytes as a share of Socket.IO's, memory, age on arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Budget {
    /// CPU a delivery, of the limit's.
    pub(super) limit: Option<f64>,
    /// CPU a delivery, of Socket.IO's.
    pub(super) socketio: Option<f64>,
    /// Bytes a delivery, of Socket.IO's.
    pub(super) bytes: Option<f64>,
    /// Resident KiB a session.
    pub(super) rss_kib: Option<f64>,
    /// Age at the viewer; holds for Socket.IO too.
    pub(super) p99: Option<Duration>,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Rooms; on the wall, machines.
    pub(super) rooms: usize,
    /// Events of each a second.
    pub(super) hz: f64,
    /// Watchers of each room; on the wall, of the floor.
    pub(super) watchers: usize,
}

impl Size {
    /// The size of a workload with deliveries.
    pub(super) const fn of(workload: Workload, quick: bool) -> Self {
        match (workload, quick) {
            (Workload::Pairs, false) => Self { rooms: 1_000, hz: 4.0, watchers: 2 },
            (Workload::Pairs, true) => Self { rooms: 100, hz: 4.0, watchers: 2 },
            (Workload::Wall, false) => Self { rooms: 100, hz: 1.0, watchers: 500 },
            (Workload::Wall, true) => Self { rooms: 40, hz: 1.0, watchers: 50 },
            (_, false) => Self { rooms: 1, hz: 60.0, watchers: 500 },
            (_, true) => Self { rooms: 1, hz: 30.0, watchers: 50 },
        }
    }
}
