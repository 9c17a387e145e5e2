//! Bounds of what is on the wire, with their relations. Each says what happens at it.

/// Largest WebSocket message in bytes; a longer one closes the session with `CloseReason::TooBig`.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Largest message before `hello` was accepted: a token and a list of rooms.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
/// Largest token in bytes (RS256 with a dozen claims is about 1.2 KiB).
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Deepest nesting of arrays and maps in a message; deeper is malformed.
pub const DEPTH_MAX: usize = 16;
/// Items in any one array or map of a message.
pub const ITEMS_MAX: usize = 4096;
/// Ranges in one `SeqRanges` on the wire.
pub const SEQ_RANGES_MAX: usize = 64;
/// Readings in one `batch`.
pub const BATCH_READINGS_MAX: usize = 256;
/// Bytes of one raw notification: the largest ATT value (Bluetooth Core 5.4, vol. 3 part F, 3.2.9).
pub const RAW_BYTES_MAX: usize = 512;
/// RR intervals in one reading; a strap at 240 bpm sends four a second.
pub const RR_MAX: usize = 16;
/// Rooms one session may watch.
pub const ROOMS_PER_SESSION_MAX: usize = 128;
/// Slots one connection may bind: 200 machines with two sensors each, and room to grow.
pub const SLOTS_PER_SESSION_MAX: usize = 1024;
/// Sources of a member's own, straps and watches, that one connection may bind.
pub const OWN_SOURCES_MAX: usize = 32;
/// Machines one gateway connection may announce.
pub const MACHINES_PER_SESSION_MAX: usize = 256;
/// Distinct watcher classes in one room (rate and fields).
pub const CLASSES_PER_ROOM_MAX: usize = 8;
/// A session acknowledges at the latest after this many readings of a connection.
pub const ACK_READINGS: u32 = 64;
/// A session acknowledges at the latest after this time.
pub const ACK_INTERVAL_MS: i64 = 1_000;
/// The issuer repeats a stop to the hub, and the hub to the machine, this often until a result is known.
pub const STOP_REPEAT_MS: i64 = 250;
/// A stop without a result after this time is `unconfirmed`.
pub const STOP_CONFIRM_MS: i64 = 1_000;
/// A pending stop outlives a lost link for this long, under the same fence only.
pub const STOP_OUTLIVES_LINK_MS: i64 = 10_000;
/// A value older than this is shown as stale.
pub const STALE_MS: i64 = 3_000;
/// A heart rate older than this is shown as stale.
pub const STALE_HEART_RATE_MS: i64 = 5_000;
/// A value older than this is not shown.
pub const BLANK_MS: i64 = 15_000;
/// A command to a machine is powerless this long after it was asked for.
pub const COMMAND_LIFE_MS: i64 = 2_000;
/// Without a clock pair younger than this no command that raises effort is sent.
pub const CLOCK_PAIR_LIFE_MS: i64 = 60_000;
/// A one-time code on a machine's screen, and the ticket of a sticker, live this long.
pub const CODE_LIFE_MS: i64 = 60_000;
/// A reservation of a member for a claim ends after this time.
pub const RESERVATION_LIFE_MS: i64 = 2_000;
/// The hub asks a peer for a sign of life this often.
pub const HEARTBEAT_MS: u64 = 25_000;
/// A peer that stays silent this long after a heartbeat is gone.
pub const HEARTBEAT_GRACE_MS: u64 = 10_000;
/// The floor and other walls are told what changed once per tick.
pub const FLOOR_TICK_MS: i64 = 500;
/// A workout room answers `join` with this much of its past.
pub const RING_MS: i64 = 15 * 60 * 1000;
/// Bytes of that past, packed.
pub const RING_BYTES_MAX: usize = 16 * 1024;
/// Events a room's log keeps.
pub const LOG_EVENTS_MAX: usize = 256;
/// Bytes a room's log keeps.
pub const LOG_BYTES_MAX: usize = 64 * 1024;
/// A room's log is kept this long after its last watcher left.
pub const LOG_LIFE_MS: i64 = 120_000;
/// A workout whose sources did not come back is sealed after this time.
pub const SEAL_AFTER_MS: i64 = 24 * 60 * 60 * 1000;
/// A workout or visit without a sign of life ends after this time (not while a link is lost).
pub const ABANDONED_AFTER_MS: i64 = 10 * 60 * 1000;

/// Rows of a board's tick; whoever is below is counted, and counts on.
pub const BOARD_ROWS_MAX: usize = 50;
/// Members on one board; whoever comes later is not on it.
pub const BOARD_ENTRIES_MAX: usize = 2_000;
/// Boards of one gym that are not over for a day; more are refused.
pub const BOARDS_PER_GYM_MAX: usize = 64;

const _: () = assert!(HELLO_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(TOKEN_BYTES_MAX < HELLO_BYTES_MAX);
const _: () = assert!(BATCH_READINGS_MAX * 2 <= ITEMS_MAX);
const _: () = assert!(SEQ_RANGES_MAX * 2 <= ITEMS_MAX);
const _: () = assert!(RAW_BYTES_MAX * 2 < HELLO_BYTES_MAX);
const _: () = assert!(STOP_REPEAT_MS * 4 <= STOP_CONFIRM_MS);
const _: () = assert!(STOP_CONFIRM_MS < STOP_OUTLIVES_LINK_MS);
const _: () = assert!(STALE_MS <= STALE_HEART_RATE_MS && STALE_HEART_RATE_MS < BLANK_MS);
const _: () = assert!(COMMAND_LIFE_MS < CLOCK_PAIR_LIFE_MS);
const _: () = assert!(HEARTBEAT_GRACE_MS < HEARTBEAT_MS);
const _: () = assert!(RING_BYTES_MAX < LOG_BYTES_MAX);
const _: () = assert!(ABANDONED_AFTER_MS < SEAL_AFTER_MS);
