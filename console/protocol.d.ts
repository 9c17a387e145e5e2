// Frames of subprotocol spotter.v1.json. Generated from the crate `protocol`
// (UPDATE_DOCS=1 cargo test -p protocol --test generated); do not edit.
// A field that is optional may be absent or null; ignore fields that are not named here.

/** May a member take the machine? */
export type Availability = "available" | "occupied" | "maintenance" | "unknown";

/** A name on a board. */
export interface BoardEntry {
  /** Index in the rows. */
  index: number;
  /** The handle that the member agreed to show. */
  name: string;
}

/** A board: a leaderboard or the board of a class. */
export type BoardId = string;

/** What a board counts. */
export type BoardMetric = "distance" | "energy" | "reps" | "strokes" | "duration";

/** One line of a board. MessagePack: `[index, score, zone]`. */
export interface BoardRow {
  /** Index that `board_entered` or the snapshot named. */
  index: number;
  /** What was done, in the unit of the metric. */
  score: number;
  /** Heart-rate zone, 1 to 5 by tenths of the member's own maximum from below 60 % to 90 % and above; 0 where it is not known, older than 5 s, or not theirs to show. */
  zone: number;
}

/** A board as it is. */
export interface BoardSnapshot {
  /** Hub time. */
  at_ms: number;
  /** The board. */
  board: BoardId;
  /** How many are on the board. */
  count: number;
  /** When it ends. */
  ends_at_ms: number;
  /** Names of the rows' indexes, and of those below the top. */
  entries: Array<BoardEntry>;
  /** Its gym. */
  gym: GymId;
  /** What it counts. */
  metric: BoardMetric;
  /** Its name. */
  name: string;
  /** The best, best first. */
  rows: Array<BoardRow>;
  /** Where it stands. */
  stage: BoardStage;
  /** When counting begins. */
  starts_at_ms: number;
}

/** Where a board stands. */
export type BoardStage = "waiting" | "running" | "over";

/** Why a machine changed. */
export type Cause = "unknown" | "user" | "remote" | "safety_key" | "fault" | "timeout";

/** How a member points at a machine. */
export type ClaimBy = {
  code: string;
} | {
  sticker: MachineId;
};

/** Stage of a claim. */
export type ClaimState = "awaiting_sign" | "granted";

/** Readings with the same fields as columns: first values, then differences to the row before. */
export interface Columns {
  /** First device time, then differences. */
  dev_ms: Array<number>;
  /** Mask of the fields, RR not among them. */
  mask: number;
  /** First seq, then steps; 1 to 256 of them. */
  seq: Array<number>;
  /** For each field in order of the bits: first value, then differences. */
  values: Array<Array<number>>;
}

/** One command to a machine, drawn by whoever asks; repeats carry the same. */
export type CommandId = string;

/** How far a command got at the machine. */
export type CommandStage = "received" | "answered" | "expired" | "control_lost";

/** What is known of a command. */
export type ControlOutcome = "received" | "acknowledged" | "applied" | "refused" | "expired" | "lost" | "unknown";

/** What a machine lets itself be told, in FTMS units; a pair is (least, most). */
export interface ControlRanges {
  /** 0.1 %. */
  incline_permille?: [number, number] | null;
  /** Watts. */
  power_w?: [number, number] | null;
  /** Tenths. */
  resistance_tenths?: [number, number] | null;
  /** 0.01 km/h. */
  speed_centikmh?: [number, number] | null;
}

/** An enrolled device: the hardware that speaks for a gateway or a machine, by a key of its own. */
export type DeviceId = string;

/** One entry of a room's log. */
export interface Event {
  /** When, by the hub. */
  at_ms: number;
  /** What. */
  body: EventBody;
  /** Short number of the room. */
  handle: number;
  /** Same cause, same id. */
  id: EventId;
  /** Its place in the log under the epoch told at `joined`; one more than the entry before. */
  offset: number;
}

/** What happened. In JSON an object with one key; unknown keys are ignored by clients. */
export type EventBody = {
  availability: {
    /** What it is now. */
    availability: Availability;
    /** Why. */
    cause: Cause;
    /** The machine. */
    machine: MachineId;
    /** Handle of the member on it, only with consent. */
    member?: string | null;
    /** What it says itself, if it is heard. */
    state?: MachineStatus | null;
  };
} | {
  machine_added: {
    /** Index in floor ticks. */
    index: number;
    /** The machine. */
    machine: MachineId;
    /** Name on its sticker. */
    name: string;
  };
} | {
  ticket: {
    /** The machine. */
    machine: MachineId;
    /** Open or closed. */
    open: boolean;
    /** How bad. */
    severity: Severity;
    /** The vendor's code and text. */
    text: string;
    /** The ticket. */
    ticket: TicketId;
  };
} | {
  stop_unconfirmed: {
    /** The machine. */
    machine: MachineId;
    /** The stop. */
    stop: StopId;
  };
} | {
  source_conflict: {
    /** The boot that came with two nonces. */
    boot: number;
    /** The machine. */
    machine?: MachineId | null;
  };
} | {
  device_cloned: {
    /** The device. */
    device: DeviceId;
    /** The gateway or machine that it speaks for. */
    subject: string;
  };
} | {
  sign_awaited: {
    /** The machine. */
    machine: MachineId;
    /** Until when. */
    until_at_ms: number;
  };
} | {
  claimed: {
    /** The claim. */
    claim: HeldClaim;
    /** The machine. */
    machine: MachineId;
    /** Whether the member may control, or only stop. */
    may_control: boolean;
    /** What showed that the member was there; none for a code. */
    sign?: Sign | null;
  };
} | {
  released: {
    /** Its fence. */
    fence: number;
    /** The machine. */
    machine: MachineId;
    /** Why. */
    reason: ReleaseReason;
  };
} | {
  visit: {
    /** The gym. */
    gym: GymId;
    /** Where it stands. */
    state: VisitState;
    /** The visit. */
    visit: VisitId;
  };
} | {
  workout: {
    /** The machine that it runs on now. */
    machine?: MachineId | null;
    /** Where it stands. */
    stage: WorkoutStage;
    /** The workout. */
    workout: WorkoutId;
  };
} | {
  source: RoomSource;
} | {
  rep: RepDetail;
} | {
  set: SetDetail;
} | {
  set_logged: SetDetail;
} | {
  points: {
    /** How many. */
    points: number;
    /** For what. */
    reason: string;
  };
} | {
  achievement: {
    /** Which. */
    name: string;
  };
} | {
  proposed: {
    /** The proposal. */
    proposal: ProposalId;
    /** What. */
    target: Target;
    /** Why. */
    text?: string | null;
  };
} | {
  control: {
    /** The command. */
    command: CommandId;
    /** The machine. */
    machine: MachineId;
    /** What is known. */
    outcome: ControlOutcome;
    /** What was to be set. */
    target: Target;
  };
} | {
  stop: {
    /** The machine. */
    machine: MachineId;
    /** Its result; none while pending. */
    outcome?: StopOutcome | null;
    /** The stop. */
    stop: StopId;
  };
} | {
  ceiling: {
    /** Beats a minute. */
    heart_rate_bpm?: number | null;
    /** The member. */
    member: MemberId;
  };
} | {
  board_entered: {
    /** Index in the board's rows. */
    index: number;
    /** The handle that the member agreed to show. */
    name: string;
  };
} | {
  board_stage: {
    /** Where it stands. */
    stage: BoardStage;
  };
} | {
  sealed: {
    /** 0 at sealing, plus one each amendment. */
    revision: number;
    /** What it adds up to. */
    totals: Totals;
    /** The workout. */
    workout: WorkoutId;
  };
};

/** One event of a room. Hub-made events derive it from their cause. */
export type EventId = string;

/** A machine on the floor. */
export interface FloorMachine {
  /** Age of the reading; 0 where blank. */
  age_ms: number;
  /** May a member take it? */
  availability: Availability;
  /** Last sign of life of its link. */
  heard_at_ms?: number | null;
  /** Index in floor ticks. */
  index: number;
  /** Kind. */
  kind: MachineKind;
  /** Where it stands. */
  location: string;
  /** The machine. */
  machine: MachineId;
  /** Handle of the member on it, only with consent. */
  member?: string | null;
  /** Name on its sticker. */
  name: string;
  /** Latest values; empty where blank. */
  reading: Reading;
  /** What it says itself, if it is heard. */
  state?: MachineStatus | null;
  /** Open faults (staff only). */
  tickets: Array<OpenTicket>;
}

/** One machine's news on the floor. */
export interface FloorRow {
  /** Age of the reading, milliseconds. */
  age_ms: number;
  /** Availability: 0 available, 1 occupied, 2 maintenance, 3 unknown. */
  availability: number;
  /** Index of the machine in the floor's snapshot. */
  index: number;
  /** Latest values; empty where blank. */
  reading: Reading;
}

/** All machines of a gym. */
export interface FloorSnapshot {
  /** Hub time. */
  at_ms: number;
  /** The gym. */
  gym: GymId;
  /** Machines by index. */
  machines: Array<FloorMachine>;
  /** Its name. */
  name: string;
}

/** One club of a tenant. */
export type GymId = string;

/** A claim that a machine keeps in its own memory through a break. */
export interface HeldClaim {
  /** The fence of the claim. */
  fence: number;
  /** Who holds it. */
  member: MemberId;
  /** The workout that runs under it. */
  workout: WorkoutId;
}

/** One installation: all nodes over one store. A device signs for one hub only. */
export type HubId = string;

/** A room to watch, from where, how fast and which fields. */
export interface JoinRoom {
  /** Epoch of the log as last heard; none asks for a snapshot. */
  epoch?: string | null;
  /** Live values at most this often, milliseconds; 0 is every value. Rounded up to what the room serves. */
  every_ms?: number | null;
  /** Live fields wanted, as a mask; 0 is all. */
  fields?: number | null;
  /** Last offset heard under that epoch. */
  offset?: number | null;
  /** The room. */
  room: RoomName;
}

/** A piece of equipment. */
export type MachineId = string;

/** Kind of machine. */
export type MachineKind = "treadmill" | "cross_trainer" | "step_climber" | "stair_climber" | "rower" | "bike" | "strength" | "functional" | "other";

/** What it is. */
export interface MachineModel {
  /** Firmware. */
  firmware?: string | null;
  /** Kind of machine. */
  kind: MachineKind;
  /** Model. */
  model: string;
  /** A motor moves it: a belt, a stair. Decides what may never be sent to it. */
  powered: boolean;
  /** Serial number. */
  serial?: string | null;
  /** Maker. */
  vendor: string;
}

/** One machine, for whoever holds it and for staff. */
export interface MachineSnapshot {
  /** The claim, for its holder and staff. */
  claim?: HeldClaim | null;
  /** The one-time code on its screen, for staff who help a member; good for at most a minute. */
  code?: string | null;
  /** As on the floor. */
  machine: FloorMachine;
  /** What the machine lets itself be told, as it said in `machine_hello`; none takes no remote target. */
  ranges?: ControlRanges | null;
  /** Sources heard. */
  sources: Array<RoomSource>;
}

/** What a machine does, as it says itself (CSAFE, FTMS and FE-C states mapped by the gateway). */
export type MachineStatus = "booting" | "idle" | "active" | "paused" | "finishing" | "manual" | "safety_stopped" | "faulted";

/** A claim from the member's side. */
export interface MemberClaim {
  /** The claim. */
  claim: HeldClaim;
  /** The gym. */
  gym: GymId;
  /** The machine. */
  machine: MachineId;
  /** Whether the member may control, or only stop. */
  may_control: boolean;
}

/** A person who trains. */
export type MemberId = string;

/** One member, for all their devices. */
export interface MemberSnapshot {
  /** The claim held, and where. */
  claim?: MemberClaim | null;
  /** The member. */
  member: MemberId;
  /** Sessions of the member that are connected. */
  sessions: number;
  /** The running or last visit. */
  visit?: MemberVisit | null;
}

/** A visit from the member's side. */
export interface MemberVisit {
  /** The gym. */
  gym: GymId;
  /** Since when. */
  started_at_ms: number;
  /** Where it stands. */
  state: VisitState;
  /** The visit. */
  visit: VisitId;
}

/** An open fault ticket. */
export interface OpenTicket {
  /** Since when. */
  opened_at_ms: number;
  /** How bad. */
  severity: Severity;
  /** Code and text. */
  text: string;
  /** The ticket. */
  ticket: TicketId;
}

/** One proposal of a coach to change a machine's target. */
export type ProposalId = string;

/** Fields of one reading. MessagePack: `[mask, values...]`, values in order of the bits. */
export interface Reading {
  /** Average cadence in 0.5 /min. */
  avg_cadence_half_rpm?: number | null;
  /** Average pace in seconds for 500 m. */
  avg_pace_s_per_500m?: number | null;
  /** Average power in watts. */
  avg_power_w?: number | null;
  /** Average speed in 0.01 km/h. */
  avg_speed_centikmh?: number | null;
  /** Average steps a minute. */
  avg_step_rate?: number | null;
  /** Average stroke rate in 0.5 /min. */
  avg_stroke_rate_half_spm?: number | null;
  /** Cadence in 0.5 /min. */
  cadence_half_rpm?: number | null;
  /** Skin contact of a heart rate sensor that can tell: 1 yes, 0 no. */
  contact?: number | null;
  /** Distance in metres since the machine's own training session began. */
  distance_m?: number | null;
  /** Elapsed time in seconds. */
  elapsed_s?: number | null;
  /** Positive elevation gain in 0.1 m. */
  elev_gain_dm?: number | null;
  /** Negative elevation gain in 0.1 m. */
  elev_loss_dm?: number | null;
  /** Energy in kilocalories since the machine's own training session began. */
  energy_kcal?: number | null;
  /** Energy rate in kilocalories an hour. */
  energy_per_hour_kcal?: number | null;
  /** Energy rate in kilocalories a minute. */
  energy_per_minute_kcal?: number | null;
  /** Floors climbed. */
  floor_count?: number | null;
  /** Force on the belt in newtons. */
  force_on_belt_n?: number | null;
  /** Heart rate in beats a minute; no reading is no field. */
  heart_rate_bpm?: number | null;
  /** Inclination in 0.1 %. */
  incline_permille?: number | null;
  /** Metabolic equivalent in 0.1. */
  met_tenths?: number | null;
  /** Pace in seconds for 500 m. */
  pace_s_per_500m?: number | null;
  /** Power in watts. */
  power_w?: number | null;
  /** Ramp angle in 0.1 degrees. */
  ramp_angle_decideg?: number | null;
  /** Remaining time in seconds. */
  remaining_s?: number | null;
  /** Resistance level in tenths, without unit. */
  resistance_tenths?: number | null;
  /** RR intervals in 1/1024 s, oldest first. */
  rr_1024?: Array<number> | null;
  /** Speed in 0.01 km/h. */
  speed_centikmh?: number | null;
  /** Steps since the machine's own training session began. */
  step_count?: number | null;
  /** Steps a minute. */
  step_per_min?: number | null;
  /** Strides in tenths (a stride is two steps). */
  stride_tenths?: number | null;
  /** Strokes since the machine's own training session began. */
  stroke_count?: number | null;
  /** Stroke rate in 0.5 /min. */
  stroke_rate_half_spm?: number | null;
}

/** Why a claim ended. */
export type ReleaseReason = "released" | "handed_over" | "walked_away" | "checked_out" | "staff" | "superseded" | "sign_missing";

/** Detail of a repetition; 0 where the machine does not know. */
export interface RepDetail {
  /** Time of the concentric phase. */
  concentric_ms?: number | null;
  /** Time of the eccentric phase. */
  eccentric_ms?: number | null;
  /** Load in 0.1 kg. */
  load_hg: number;
  /** Mean velocity, mm/s. */
  mean_mm_s?: number | null;
  /** Peak velocity, mm/s. */
  peak_mm_s?: number | null;
  /** Peak power, watts. */
  peak_power_w?: number | null;
  /** Range of motion, millimetres. */
  range_mm?: number | null;
  /** Repetition of the set, from 1. */
  rep: number;
  /** Set of the workout, from 1. */
  set: number;
}

/** A stretch of one source's past with the same fields. */
export interface RingColumns {
  /** The readings. */
  columns: Columns;
  /** Add this to the columns' device times to get UTC. */
  offset_ms: number;
  /** Index of the source. */
  source: number;
}

/** Who a token speaks for. */
export type Role = "member" | "coach" | "team_manager" | "operator" | "machine" | "gateway" | "display" | "service";

/** A room: `floor:GYM`, `machine:MACHINE`, `workout:WORKOUT`, `member:MEMBER`, `board:BOARD`. */
export type RoomName = string;

/** Index of a source in a room, as its snapshot lists it. */
export interface RoomSource {
  /** The boot that its seqs count. */
  boot: number;
  /** The machine, if it is one. */
  machine?: MachineId | null;
  /** Which sensor. */
  sensor: string;
  /** Index that `live` and `saved` carry. */
  source: number;
  /** The workout, where the room is a machine. */
  workout?: WorkoutId | null;
}

/** Set of seq as a flat list `[from, to, from, to, ..]`, inclusive. */
export type SeqRanges = Array<number>;

/** One connection's life. */
export type SessionId = string;

/** Detail of a set; 0 or none where unknown. */
export interface SetDetail {
  /** The exercise, as the plan or the machine names it. */
  exercise?: string | null;
  /** Load in 0.1 kg. */
  load_hg?: number | null;
  /** A note of the member. */
  note?: string | null;
  /** Repetitions done. */
  reps: number;
  /** Rest after it, seconds. */
  rest_s?: number | null;
  /** Duration of the work, seconds. */
  seconds?: number | null;
  /** Set of the workout, from 1. */
  set: number;
  /** Repetitions planned. */
  target_reps?: number | null;
  /** Tempo, such as `3-1-1-0`. */
  tempo?: string | null;
}

/** How bad a fault is. */
export type Severity = "notice" | "warning" | "error";

/** What shows that a member is at the machine. */
export type Sign = "movement" | "console" | "nfc" | "staff";

/** News of one slot. */
export interface SlotAck {
  /** Every reading of this connection up to here was taken for storing (not yet stored), or is stored. */
  accepted_through: number;
  /** The slot. */
  slot: number;
  /** Newly stored: committed, quarantined, or declared lost. Forget them. */
  stored: SeqRanges;
}

/** A room as it is. In JSON an object with one key, the kind of room. */
export type Snapshot = {
  floor: FloorSnapshot;
} | {
  machine: MachineSnapshot;
} | {
  workout: WorkoutSnapshot;
} | {
  member: MemberSnapshot;
} | {
  board: BoardSnapshot;
};

/** One request to stop a machine, drawn by whoever asks; repeats carry the same. */
export type StopId = string;

/** Result of a stop. */
export type StopOutcome = "stopped" | "refused" | "unconfirmed";

/** How far a stop got at the machine. */
export type StopStage = "received" | "confirmed" | "stopped" | "refused";

/** Detail of a stroke; 0 where unknown. */
export interface StrokeDetail {
  /** Time of the drive. */
  drive_ms: number;
  /** Length of the drive, centimetres. */
  length_cm?: number | null;
  /** Peak force, newtons. */
  peak_force_n?: number | null;
  /** Time of the recovery. */
  recovery_ms?: number | null;
  /** Stroke of the workout, from 1. */
  stroke: number;
  /** Work, joules. */
  work_j?: number | null;
}

/** What a command sets, in FTMS units. */
export type Target = {
  speed_centikmh: number;
} | {
  incline_permille: number;
} | {
  resistance_tenths: number;
} | {
  power_w: number;
} | "pause";

/** A gym chain. Comes from the token and is compared with the object's; never on the wire inside a name. */
export type TenantId = string;

/** One fault ticket of a machine. */
export type TicketId = string;

/** What a workout adds up to, from stored readings only; the same recomputed offline. */
export interface Totals {
  /** Distance over all machines, counters unwrapped. */
  distance_m: number;
  /** Time from the first to the last reading of each boot, added up. */
  duration_ms: number;
  /** Energy over all machines, counters unwrapped. */
  energy_kcal: number;
  /** How many readings had a heart rate. */
  heart_rate_count: number;
  /** Highest heart rate. */
  heart_rate_max_bpm: number;
  /** Sum of all heart rates. */
  heart_rate_sum_bpm: number;
  /** How many readings had a power. */
  power_count: number;
  /** Highest power. */
  power_max_w: number;
  /** Sum of all power values, for the average. */
  power_sum_w: number;
  /** Readings stored. */
  readings: number;
  /** Repetitions counted by machines. */
  reps: number;
  /** Sets done on machines. */
  sets: number;
  /** Strokes counted by machines. */
  strokes: number;
}

/** A member's stay in a gym. */
export type VisitId = string;

/** Where a visit stands. */
export type VisitState = "active" | "completed" | "expired";

/** One member's training. */
export type WorkoutId = string;

/** One workout with its last 15 minutes. */
export interface WorkoutSnapshot {
  /** Heart-rate ceiling. */
  ceiling_bpm?: number | null;
  /** Fence of the claim it runs under; 0 without. */
  fence: number;
  /** The machine it runs on. */
  machine?: MachineId | null;
  /** Whether the member may control the machine. */
  may_control: boolean;
  /** Whose. */
  member: MemberId;
  /** Points so far. */
  points: number;
  /** The last 15 minutes, oldest first. */
  ring: Array<RingColumns>;
  /** Sets so far, machine's and logged. */
  sets: Array<SetDetail>;
  /** Sources by index. */
  sources: Array<RoomSource>;
  /** Where it stands. */
  stage: WorkoutStage;
  /** Since when. */
  started_at_ms: number;
  /** Totals so far. */
  totals: Totals;
  /** The workout. */
  workout: WorkoutId;
}

/** Where a workout stands. */
export type WorkoutStage = "created" | "live" | "paused" | "interrupted" | "reconciling" | "ended" | "sealed";

/** Staff vouches for a member who scanned a sticker: the second sign. */
export interface ClientApprove {
  /** The machine. */
  machine: MachineId;
  /** Number of this request. */
  req: number;
  t: "approve";
}

/** Many readings of one slot with the same fields, as columns of differences. */
export interface ClientBatch {
  /** The readings. */
  columns: Columns;
  /** A bound slot. */
  slot: number;
  t: "batch";
}

/** Gives a slot on this connection to a source: (machine or the member's own device, sensor, boot). */
export interface ClientBind {
  /** The run of the source, raised at each of its starts. */
  boot: number;
  /** Under a claim that the machine keeps: the first number that the source gave in this boot after the machine took it. 1 in a boot that started since. None without a claim, or where the machine does not know. */
  claim_from_seq?: number | null;
  /** Which clock of this connection stamps `dev_ms`. */
  clock?: number | null;
  /** Readings in the source's buffer that it does not know to be stored. */
  held?: SeqRanges | null;
  /** The machine, announced before by `machine_hello`; none for a member's own device. */
  machine?: MachineId | null;
  /** Random bits drawn at that start. */
  nonce: number;
  /** Vendor, model and firmware as `vendor/model/firmware`, for the quirk table; read with `ftms.raw` only. */
  quirk?: string | null;
  /** Which sensor of it, such as `ftms`, `hr`, `strap:8C3D`; keeps its name over boots. */
  sensor: string;
  /** The slot, chosen by the peer. */
  slot: number;
  t: "bind";
}

/** Sets or clears a heart-rate ceiling. Alarms only; never acts on the machine. */
export interface ClientCeiling {
  /** Beats a minute, 60 to 250; none clears it. */
  heart_rate_bpm?: number | null;
  /** The member. */
  member: MemberId;
  /** Number of this request. */
  req: number;
  t: "ceiling";
}

/** Ends the member's visit. */
export interface ClientCheckOut {
  /** The gym. */
  gym: GymId;
  /** Number of this request. */
  req: number;
  t: "check_out";
}

/** Claims a machine. Answered by `claimed` or `error`. */
export interface ClientClaim {
  /** How the machine was pointed at. */
  by: ClaimBy;
  /** The gym that the member stands in. */
  gym: GymId;
  /** Fence of the claim that the member holds and leaves for this one. */
  hand_over?: number | null;
  /** Number of this request. */
  req: number;
  t: "claim";
}

/** The machine keeps the claim of this fence. */
export interface ClientClaimHeld {
  /** The fence. */
  fence: number;
  /** The machine. */
  machine: MachineId;
  t: "claim_held";
}

/** A device's answer to `clock_ask`: one clock pair (RFC 5905 section 8, t1..t3; the hub adds t4). */
export interface ClientClock {
  /** `asked_at_ms` of the question, unchanged. */
  asked_at_ms: number;
  /** Which clock of this connection, as in `bind`. */
  clock: number;
  /** Device time when the question came. */
  received_dev_ms: number;
  /** Device time when this answer left. */
  sent_dev_ms: number;
  t: "clock";
}

/** From the machine: what became of a command. */
export interface ClientCommandAnswer {
  /** The command. */
  id: CommandId;
  /** The machine. */
  machine: MachineId;
  /** FTMS result code, 1 is success (FTMS 1.0, 4.16.2.22). */
  result?: number | null;
  /** How far it got. */
  stage: CommandStage;
  t: "command_answer";
}

/** A target for a machine. Answered by `control_result`, more than once: received, then applied or refused or unknown. */
export interface ClientControl {
  /** Fence of the claim. */
  fence: number;
  /** Drawn by the peer; a repeat under the same id is the same command. */
  id: CommandId;
  /** The machine. */
  machine: MachineId;
  /** The proposal that the member accepts with this. */
  proposal?: ProposalId | null;
  /** Number of this request. */
  req: number;
  t: "control";
  /** What to set. */
  target: Target;
}

/** Ends a workout without giving the machine back to the floor first; releases what it holds. */
export interface ClientEndWorkout {
  /** Number of this request. */
  req: number;
  t: "end_workout";
  /** The workout. */
  workout: WorkoutId;
}

/** A characteristic's bytes as the machine sent them; the hub decodes. */
export interface ClientFtmsRaw {
  /** The value. */
  bytes: string;
  /** The device's monotonic clock, milliseconds. */
  dev_ms: number;
  /** Number of the notification. */
  seq: number;
  /** A bound slot. */
  slot: number;
  t: "ftms.raw";
  /** 16-bit UUID of the characteristic, such as 0x2AD2. */
  uuid: number;
}

/** The first frame of a session: who it is, and every room it wants back in the same round trip. */
export interface ClientHello {
  /** Name and version of the client, for logs. */
  client?: string | null;
  /** Which device of the subject this is (a phone's installation, a gateway's serial); caps count by it. */
  device?: string | null;
  /** The enrolled device that speaks, instead of a token (which is then empty): the hub answers with `challenge`. */
  enrolled?: DeviceId | null;
  /** Rooms to join, each from where the peer left it; at most 128. */
  rooms?: Array<JoinRoom> | null;
  t: "hello";
  /** The ticket of the session that this one goes on from. */
  ticket?: string | null;
  /** The access token. Never in the URL outside the `dev` profile. */
  token: string;
}

/** Watches a room. */
export interface ClientJoin {
  /** Which room and from where. */
  join: JoinRoom;
  /** Number of this request. */
  req: number;
  t: "join";
}

/** Watches a room no longer. A `join` of it that still waits is answered `not_joined`. */
export interface ClientLeave {
  /** Number of this request. */
  req: number;
  /** The room. */
  room: RoomName;
  t: "leave";
}

/** A set logged on a phone, perhaps offline; the id makes it once. */
export interface ClientLogSet {
  /** Drawn by the phone when the set was logged. */
  id: EventId;
  /** When, by the phone's clock. */
  logged_at_ms: number;
  /** Number of this request. */
  req: number;
  /** The set. */
  set: SetDetail;
  t: "log_set";
  /** The workout. */
  workout: WorkoutId;
}

/** The source no longer has these readings and never will: they count as done. */
export interface ClientLost {
  /** First seq lost. */
  from: number;
  /** A bound slot. */
  slot: number;
  t: "lost";
  /** Last seq lost. */
  to: number;
}

/** Something in the machine is broken; opens a fault ticket. */
export interface ClientMachineFault {
  /** The vendor's code. */
  code: string;
  /** The machine. */
  machine: MachineId;
  /** How bad it is. */
  severity: Severity;
  /** Which part. */
  subsystem?: string | null;
  t: "machine_fault";
  /** In words. */
  text?: string | null;
}

/** A machine is on this connection, and this is what it knows. Sent for each machine after every connect and every boot. */
export interface ClientMachineHello {
  /** The claim it keeps from before the break, if any. */
  claim?: HeldClaim | null;
  /** What its clock showed when it took the claim that it keeps. None without a claim, or where the clock was started again since. */
  claim_since_dev_ms?: number | null;
  /** Which clock of this connection stamps its times. */
  clock?: number | null;
  /** The machine; provisioned before and bound to this gateway in the store. */
  machine: MachineId;
  /** Vendor, model, firmware and serial. */
  model: MachineModel;
  /** What it lets itself be told, from its own ranges; none takes no remote target. */
  ranges?: ControlRanges | null;
  /** Has a screen that can show a one-time code. */
  screen?: boolean | null;
  /** What it does now. */
  state: MachineStatus;
  t: "machine_hello";
  /** Whether somebody stands or sits on it, if it can tell. */
  user_present?: boolean | null;
}

/** The machine changed. */
export interface ClientMachineState {
  /** Who or what caused it. */
  cause?: Cause | null;
  /** The machine. */
  machine: MachineId;
  /** What it does now. */
  state: MachineStatus;
  t: "machine_state";
  /** Whether somebody is on it, if it can tell. */
  user_present?: boolean | null;
}

/** Asks for a `pong`: a sign of life for clients that cannot send WebSocket pings. */
export interface ClientPing {
  /** Comes back unchanged. */
  n: number;
  t: "ping";
}

/** A coach proposes a target; only the member can take it, at a machine that already moves. */
export interface ClientPropose {
  /** Drawn by the coach. */
  id: ProposalId;
  /** Number of this request. */
  req: number;
  t: "propose";
  /** What is proposed. */
  target: Target;
  /** Why, in words. */
  text?: string | null;
  /** The workout. */
  workout: WorkoutId;
}

/** Answers `challenge`: the second frame of a device that said hello without a token. */
export interface ClientProve {
  /** Ed25519 over the bytes that docs/GATEWAY.md names: context, hub, tenant, device, nonce, time. */
  signature: string;
  t: "prove";
}

/** A new token for the same subject, in place. */
export interface ClientRefresh {
  /** Number of this request, drawn by the peer; the answer carries it. */
  req: number;
  t: "refresh";
  /** The new access token. */
  token: string;
}

/** Gives a machine back. The workout ends with it unless the member hands over. */
export interface ClientRelease {
  /** Fence of the claim. */
  fence: number;
  /** The machine. */
  machine: MachineId;
  /** Number of this request. */
  req: number;
  t: "release";
}

/** One repetition on a strength machine. */
export interface ClientRep {
  /** The device's monotonic clock, milliseconds. */
  dev_ms: number;
  /** What was lifted. */
  rep: RepDetail;
  /** Number of the reading. */
  seq: number;
  /** A bound slot. */
  slot: number;
  t: "rep";
}

/** A device's next key. The one that it used so far goes on for the overlap that the answer names, then it is refused. */
export interface ClientRotateKey {
  /** The new public key. */
  key: string;
  /** The new key over the same bytes: the device really has it. */
  proof: string;
  /** Number of this request. */
  req: number;
  /** The key of this session says so. */
  signature: string;
  t: "rotate_key";
}

/** One reading. MessagePack: `[13, slot, seq, dev_ms, mask, values...]`. */
export interface ClientSample {
  /** The device's monotonic clock, milliseconds. */
  dev_ms: number;
  /** What was read. */
  reading: Reading;
  /** Number of the reading, from 1, plus one each. */
  seq: number;
  /** A bound slot. */
  slot: number;
  t: "sample";
}

/** A second sign after a sticker was scanned: somebody really is at the machine. */
export interface ClientSecondSign {
  /** The machine. */
  machine: MachineId;
  /** Which sign. */
  sign: Sign;
  t: "second_sign";
}

/** One set, finished, as the machine counted it. */
export interface ClientSet {
  /** The device's monotonic clock, milliseconds. */
  dev_ms: number;
  /** Number of the reading. */
  seq: number;
  /** The set. */
  set: SetDetail;
  /** A bound slot. */
  slot: number;
  t: "set";
}

/** Stop this machine. Repeated by the issuer each 250 ms under one id until `stop_result` comes. */
export interface ClientStop {
  /** Drawn by the issuer. */
  id: StopId;
  /** The machine. */
  machine: MachineId;
  /** Why, for the log. */
  reason?: string | null;
  t: "stop";
}

/** From the machine: what became of the stop. */
export interface ClientStopAnswer {
  /** What the gateway knows now; the last word counts. */
  answer: StopStage;
  /** The stop. */
  id: StopId;
  /** The machine. */
  machine: MachineId;
  /** FTMS result code where the machine refused. */
  result?: number | null;
  t: "stop_answer";
}

/** One stroke of a rower. */
export interface ClientStroke {
  /** The device's monotonic clock, milliseconds. */
  dev_ms: number;
  /** Number of the reading. */
  seq: number;
  /** A bound slot. */
  slot: number;
  /** The stroke. */
  stroke: StrokeDetail;
  t: "stroke";
}

/** Frees a slot. */
export interface ClientUnbind {
  /** The slot. */
  slot: number;
  t: "unbind";
}

/** What was taken and what is stored, for many slots at once; each second or 64 readings. */
export interface ServerAck {
  /** One entry a slot that has news. */
  acks: Array<SlotAck>;
  t: "ack";
}

/** To the member and the coach who watches: the heart rate was above the ceiling for 10 s. */
export interface ServerAlarm {
  /** When it was raised. */
  at_ms: number;
  /** The ceiling. */
  ceiling_bpm: number;
  /** The last reading. */
  heart_rate_bpm: number;
  t: "alarm";
  /** The workout. */
  workout: WorkoutId;
}

/** The top of a board, at most [`BOARD_ROWS_MAX`](crate::limits::BOARD_ROWS_MAX) rows, best first. It replaces the tick before. */
export interface ServerBoard {
  /** Hub time. */
  at_ms: number;
  /** How many are on the board, those below the last row too. */
  count: number;
  /** Short number of the board's room. */
  handle: number;
  /** The best, best first; equal scores by who came first. */
  rows: Array<BoardRow>;
  t: "board";
}

/** The slot stands; what the hub knows to be stored of its boot. */
export interface ServerBound {
  /** The slot. */
  slot: number;
  t: "bound";
}

/** Asks a device to sign, before it is anybody. Good for this connection and once. */
export interface ServerChallenge {
  /** Hub time; signed as it is, whatever the device's own clock says. */
  at_ms: number;
  /** Which installation asks. A device signs for the one that enrolled it and for no other. */
  hub: HubId;
  /** 32 random bytes of this connection. */
  nonce: string;
  t: "challenge";
  /** The device's tenant. */
  tenant: TenantId;
}

/** Forget the claim and everything about its member. */
export interface ServerClaimClear {
  /** The fence up to which claims are over. */
  fence: number;
  /** The machine. */
  machine: MachineId;
  t: "claim_clear";
}

/** Keep this claim, through breaks too, and answer `claim_held`. */
export interface ServerClaimSet {
  /** The claim. */
  claim: HeldClaim;
  /** The machine. */
  machine: MachineId;
  t: "claim_set";
}

/** Where a claim stands. */
export interface ServerClaimed {
  /** Fence of the claim; 0 while awaiting. */
  fence: number;
  /** The machine. */
  machine: MachineId;
  /** Whether the member may control the machine, or only stop it. */
  may_control: boolean;
  /** Number of the request, on the session that asked. */
  req?: number | null;
  /** `awaiting_sign` until the second sign, then `granted`. */
  state: ClaimState;
  t: "claimed";
  /** When an awaiting claim runs out. */
  until_at_ms?: number | null;
  /** The workout under it, once granted. */
  workout?: WorkoutId | null;
}

/** Asks a device for a clock pair. */
export interface ServerClockAsk {
  /** Hub time; comes back unchanged. */
  asked_at_ms: number;
  /** Which clock of this connection, as in `bind`. */
  clock: number;
  t: "clock_ask";
}

/** To the machine: set this, unless it is over by your clock. */
export interface ServerCommand {
  /** Powerless from here on, by the machine's own clock. */
  expires_dev_ms: number;
  /** A machine that keeps a newer fence refuses. */
  fence: number;
  /** The command; the same id twice is carried out once. */
  id: CommandId;
  /** The machine. */
  machine: MachineId;
  t: "command";
  /** What to set. */
  target: Target;
}

/** To whoever asked: what is known of a command. */
export interface ServerControlResult {
  /** FTMS result code, if the machine gave one. */
  code?: number | null;
  /** The command. */
  id: CommandId;
  /** The machine. */
  machine: MachineId;
  /** What is known. */
  result: ControlOutcome;
  t: "control_result";
}

/** A request or frame that did nothing, and why. */
export interface ServerError {
  /** Number in the catalogue, `docs/ERRORS.md`. */
  code: number;
  /** The place or the numbers. */
  detail?: string | null;
  /** Word in the catalogue. */
  name: string;
  /** Number of the request, if it had one. */
  req?: number | null;
  /** Not before this many milliseconds. */
  retry_after_ms?: number | null;
  t: "error";
  /** What is wrong and what to do. */
  text: string;
}

/** One entry of a room's log. */
export interface ServerEvent {
  /** When, by the hub. */
  at_ms: number;
  /** What. */
  body: EventBody;
  /** Short number of the room. */
  handle: number;
  /** Same cause, same id. */
  id: EventId;
  /** Its place in the log under the epoch told at `joined`; one more than the entry before. */
  offset: number;
  t: "event";
}

/** What changed on the floor since the last tick. */
export interface ServerFloor {
  /** Hub time of the tick. */
  at_ms: number;
  /** Short number of the room. */
  handle: number;
  /** Machines with something new. MessagePack: groups of rows with the same fields, `[[mask, availability], index, age_ms, values..., index, age_ms, values..., ...]`. */
  rows: Array<FloorRow>;
  t: "floor";
}

/** The hub cannot take readings for storing now: keep the buffer, go on sending live. */
export interface ServerHold {
  /** The slot. */
  slot: number;
  t: "hold";
}

/** The room is watched. Either `recovered` with the events missed, or a snapshot that contains everything up to `offset`. */
export interface ServerJoined {
  /** Epoch of the room's log. */
  epoch: string;
  /** The events missed, in order. */
  events?: Array<Event> | null;
  /** Short number of the room on this node: `event`, `live`, `floor` and `saved` carry it instead of the name. */
  handle: number;
  /** Offset up to which the peer now knows everything. */
  offset: number;
  /** Whether nothing was missed but `events`. */
  recovered: boolean;
  /** Number of the request; none for rooms of `hello`. */
  req?: number | null;
  /** The room. */
  room: RoomName;
  /** The room as it is, when not recovered. */
  snapshot?: Snapshot | null;
  t: "joined";
}

/** The next key is good. */
export interface ServerKeyRotated {
  /** Until when the key of this session is good too. */
  old_until_at_ms: number;
  /** Number of the request. */
  req: number;
  t: "key_rotated";
}

/** The room is watched no longer, or a room of `hello` is not: then `code` says why, and `joined` comes for every other. */
export interface ServerLeft {
  /** Error number of why, when the hub decided. */
  code?: number | null;
  /** Number of the request; none when the hub decided (right lost, room over) and for rooms of `hello`. */
  req?: number | null;
  /** The room. */
  room: RoomName;
  t: "left";
}

/** One reading for viewers of a workout or machine. MessagePack: `[69, handle, source, seq, age_ms, mask, values...]`. */
export interface ServerLive {
  /** How old the value was when this frame left, milliseconds. */
  age_ms: number;
  /** Short number of the room. */
  handle: number;
  /** The fields of the viewer's class. */
  reading: Reading;
  /** Its number. */
  seq: number;
  /** Index of the source in the room's snapshot. */
  source: number;
  t: "live";
}

/** The hub knows the machine now, and this is what holds. */
export interface ServerMachineReady {
  /** The claim that stands; a machine that kept another forgets it. */
  claim?: HeldClaim | null;
  /** The machine. */
  machine: MachineId;
  t: "machine_ready";
}

/** The node is going down: connect again after the given time. The session stands until then. */
export interface ServerMove {
  /** Connect elsewhere after this many milliseconds. */
  after_ms: number;
  t: "move";
}

/** A request was carried out and there is nothing more to say. */
export interface ServerOk {
  /** Number of the request. */
  req: number;
  t: "ok";
}

/** Answer to `ping`. */
export interface ServerPong {
  /** As asked. */
  n: number;
  /** Hub time. */
  server_at_ms: number;
  t: "pong";
}

/** The token was exchanged. */
export interface ServerRefreshed {
  /** When the new token runs out. */
  expires_at_ms: number;
  /** Number of the request. */
  req: number;
  t: "refreshed";
}

/** A reading was quarantined: it counts as done, and somebody should look. */
export interface ServerRejected {
  /** Number in the error catalogue. */
  code: number;
  /** The place or the numbers. */
  detail: string;
  /** The reading. */
  seq: number;
  /** The slot. */
  slot: number;
  t: "rejected";
}

/** Send these readings again, in batches, at most so many a second. */
export interface ServerResend {
  /** First seq. */
  from: number;
  /** Readings a second at most. */
  rate: number;
  /** The slot. */
  slot: number;
  t: "resend";
  /** Last seq. */
  to: number;
}

/** The room's log was lost or ran past the peer: forget, and take this. */
export interface ServerReset {
  /** New epoch. */
  epoch: string;
  /** Short number of the room. */
  handle: number;
  /** Offset that the snapshot contains. */
  offset: number;
  /** The room as it is. */
  snapshot: Snapshot;
  t: "reset";
}

/** How far a workout's readings are stored, for the *saved* mark of a page. */
export interface ServerSaved {
  /** Short number of the workout's room. */
  handle: number;
  /** Index of the source in the room's snapshot. */
  source: number;
  /** Stored seqs of the source's boot as far as this node knows. */
  stored: SeqRanges;
  t: "saved";
}

/** Show this one-time code until it runs out. */
export interface ServerShowCode {
  /** Six digits. */
  code: string;
  /** Good for this long from now. */
  life_ms: number;
  /** The machine. */
  machine: MachineId;
  t: "show_code";
}

/** To the machine: stop now. Repeated each 250 ms until `stop_answer` comes. */
export interface ServerStopMachine {
  /** Fence of the claim under which it was asked for; 0 where nobody holds the machine. */
  fence: number;
  /** The stop. */
  id: StopId;
  /** The machine. */
  machine: MachineId;
  t: "stop_machine";
}

/** To the issuer: the end of a stop. Silence never confirms. */
export interface ServerStopResult {
  /** FTMS result code where the machine refused. */
  code?: number | null;
  /** The stop. */
  id: StopId;
  /** The machine. */
  machine: MachineId;
  /** What is known. */
  result: StopOutcome;
  t: "stop_result";
}

/** The session stands. */
export interface ServerWelcome {
  /** When the token runs out; refresh before. */
  expires_at_ms: number;
  /** The hub pings this often, milliseconds; a client that hears nothing for this and 10 s more should connect again. */
  heartbeat_ms: number;
  /** Whether the ticket was known: rooms that were watched are watched again. */
  resumed: boolean;
  /** Role of the token. */
  role: Role;
  /** Hub time. */
  server_at_ms: number;
  /** This session. */
  session: SessionId;
  /** Who the token names: the UUID of the member, staff, gateway, machine, display or service. */
  subject: string;
  t: "welcome";
  /** Give this in the next `hello`. */
  ticket: string;
}

export type ClientFrame =
  | ClientHello
  | ClientRefresh
  | ClientPing
  | ClientJoin
  | ClientLeave
  | ClientClock
  | ClientProve
  | ClientRotateKey
  | ClientMachineHello
  | ClientBind
  | ClientUnbind
  | ClientSample
  | ClientBatch
  | ClientFtmsRaw
  | ClientLost
  | ClientRep
  | ClientSet
  | ClientStroke
  | ClientMachineState
  | ClientMachineFault
  | ClientClaimHeld
  | ClientSecondSign
  | ClientCommandAnswer
  | ClientStopAnswer
  | ClientClaim
  | ClientRelease
  | ClientCheckOut
  | ClientApprove
  | ClientControl
  | ClientStop
  | ClientPropose
  | ClientCeiling
  | ClientLogSet
  | ClientEndWorkout;

export type ServerFrame =
  | ServerWelcome
  | ServerRefreshed
  | ServerPong
  | ServerError
  | ServerOk
  | ServerJoined
  | ServerLeft
  | ServerEvent
  | ServerReset
  | ServerLive
  | ServerFloor
  | ServerSaved
  | ServerMove
  | ServerChallenge
  | ServerKeyRotated
  | ServerBoard
  | ServerClockAsk
  | ServerMachineReady
  | ServerBound
  | ServerAck
  | ServerHold
  | ServerResend
  | ServerShowCode
  | ServerClaimSet
  | ServerClaimClear
  | ServerCommand
  | ServerStopMachine
  | ServerStopResult
  | ServerControlResult
  | ServerAlarm
  | ServerClaimed
  | ServerRejected;
