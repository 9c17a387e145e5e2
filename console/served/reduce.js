// What frames mean for the state: one function a kind of frame, one a kind of event.
// In: frames that `app.js` has put in order. Out: changes of `state`. Sends nothing and draws nothing.

import { hubNow, monoNow } from './clock.js';
import { Series } from './series.js';
import { change, state, tell } from './store.js';
import { prefs } from './prefs.js';
import { targetText } from './units.js';

/**
 * @typedef {object} FloorMachine   the snapshot's, plus:
 * @property {number} readAt   when its reading was read, by this page's clock
 * @typedef {{gym: string, name: string, machines: Map<string, any>, byIndex: Map<number, any>, unconfirmed: Map<string, number>, awaiting: Map<string, number>}} Floor
 * @typedef {{board: string, name: string, metric: string, starts_at_ms: number, ends_at_ms: number, stage: string, names: Map<number, string>, count: number, rows: {index: number, score: number, zone: number}[]}} Board
 */

const AVAILABILITY = ['available', 'occupied', 'maintenance', 'unknown'];
/** Ids of events applied: one cause may be told in two rooms under one id. */
const seen = new Set();
const SEEN_MAX = 1024;
/** What adds up is taken from the workout's room alone: the member's tells it as well, under an id of its own. */
const OF_WORKOUT = new Set(['rep', 'set', 'set_logged', 'points', 'achievement', 'proposed']);

/** Takes the snapshot of a room. */
export function takeSnapshot(snapshot) {
  change(() => {
    if (snapshot.floor) takeFloor(snapshot.floor);
    if (snapshot.machine) state.machine = withAge(snapshot.machine);
    if (snapshot.member) takeMember(snapshot.member);
    if (snapshot.workout) takeWorkout(snapshot.workout);
    if (snapshot.board) state.board = { ...snapshot.board, names: new Map(snapshot.board.entries.map(({ index, name }) => [index, name])) };
  });
}

function takeFloor(floor) {
  const old = state.floor?.gym === floor.gym ? state.floor : null;
  const machines = floor.machines.map((machine) => ({ ...machine, readAt: monoNow() - machine.age_ms }));
  state.floor = {
    gym: floor.gym, name: floor.name,
    machines: new Map(machines.map((machine) => [machine.machine, machine])),
    byIndex: new Map(machines.map((machine) => [machine.index, machine])),
    unconfirmed: old?.unconfirmed ?? new Map(), awaiting: old?.awaiting ?? new Map(),
  };
}

const withAge = (snapshot) => ({ ...snapshot, machine: { ...snapshot.machine, readAt: monoNow() - snapshot.machine.age_ms } });

function takeMember(member) {
  state.member = member;
  if (member.claim) state.awaiting = null;
}

function takeWorkout(snapshot) {
  const old = state.workout?.workout === snapshot.workout ? state.workout : null;
  const series = old?.series ?? new Series();
  if (!old) state.feed.length = 0;
  series.takeSources(snapshot.sources);
  series.takeRing(snapshot.ring);
  state.workout = { ...snapshot, ring: null, series, proposals: old?.proposals ?? new Map(), sealed: old?.sealed ?? null };
}

/** Takes one tick of the floor. */
export function takeTick(tick) {
  if (!state.floor) return;
  change(() => {
    for (const row of tick.rows) {
      const machine = state.floor.byIndex.get(row.index);
      if (!machine) continue;
      machine.availability = AVAILABILITY[row.availability] ?? 'unknown';
      if (machine.availability !== 'occupied') machine.member = null;
      machine.reading = row.reading;
      machine.readAt = monoNow() - row.age_ms;
      if (machine.availability !== 'unknown') machine.heard_at_ms = Math.max(machine.heard_at_ms ?? 0, tick.at_ms);
    }
  });
}

/** Takes the top of a board. */
export function takeBoardTick({ count, rows }, room) {
  if (room.endsWith(state.board?.board)) change(() => Object.assign(state.board, { count, rows }));
}

/** Takes a live reading of the workout's or the machine's room. */
export function takeLive(frame, room) {
  change(() => {
    if (room.startsWith('workout:') && room.endsWith(state.workout?.workout)) {
      state.workout.series.takeLive(frame.source, frame.seq, hubNow() - frame.age_ms, frame.reading);
    }
    if (room.startsWith('machine:') && room.endsWith(state.machine?.machine.machine)) {
      Object.assign(state.machine.machine, { reading: frame.reading, readAt: monoNow() - frame.age_ms });
    }
  });
}

/** Takes how far the workout is stored. */
export function takeSaved(frame, room) {
  if (!room.endsWith(state.workout?.workout)) return;
  change(() => state.workout.series.takeSaved(frame.source, frame.stored));
}

/** Takes an event that is the next of its room. */
export function takeEvent(event, room) {
  if (seen.has(event.id)) return;
  seen.add(event.id);
  if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value);
  const [kind, body] = typeof event.body === 'string' ? [event.body, {}] : Object.entries(event.body)[0];
  if (OF_WORKOUT.has(kind) && !room.startsWith('workout:')) return;
  change(() => EVENTS[kind]?.(body, event, room));
}

const sameWorkout = (id) => state.workout?.workout === id;
const onFloor = (id) => state.floor?.machines.get(id);
const inHand = (id) => (state.machine?.machine.machine === id ? state.machine.machine : null);

/**
 * What each kind of event changes; a kind of a later hub is ignored.
 * @typedef {import('../protocol.d.ts').EventBody} EventBody
 * @typedef {EventBody extends infer Body ? Body extends unknown ? keyof Body : never : never} EventKind
 * @type {{[K in EventKind]?: (body: Extract<EventBody, Record<K, unknown>>[K], event: import('../protocol.d.ts').Event, room: string) => void}}
 */
const EVENTS = {
  availability({ machine, availability, state: status, member }, { at_ms }) {
    for (const target of [onFloor(machine), inHand(machine)]) {
      if (!target) continue;
      if (availability === 'unknown' && target.availability !== 'unknown') target.heard_at_ms = at_ms;
      Object.assign(target, { availability, state: status, member: availability === 'occupied' ? member ?? null : null });
    }
  },
  machine_added({ machine, index, name }) {
    if (!state.floor || onFloor(machine)) return;
    const added = { machine, index, name, kind: 'other', location: '', availability: 'unknown', state: null, member: null, tickets: [], heard_at_ms: null, reading: {}, readAt: -Infinity };
    state.floor.machines.set(machine, added);
    state.floor.byIndex.set(index, added);
  },
  ticket({ machine, ticket, severity, open, text }, { at_ms }) {
    for (const target of [onFloor(machine), inHand(machine)]) {
      if (!target) continue;
      target.tickets = target.tickets.filter((known) => known.ticket !== ticket);
      if (open) target.tickets.push({ ticket, severity, text, opened_at_ms: at_ms });
    }
  },
  stop_unconfirmed({ machine }, { at_ms }) { state.floor?.unconfirmed.set(machine, at_ms); },
  stop({ machine, outcome }) { if (outcome === 'stopped') state.floor?.unconfirmed.delete(machine); },
  source_conflict({ boot }, { at_ms }) { tell(`Two devices share one identity (boot ${boot}): their readings are kept apart.`, 'bad', at_ms); },
  sign_awaited({ machine, until_at_ms }) {
    state.floor?.awaiting.set(machine, until_at_ms);
    if (state.me?.role === 'member') state.awaiting = { machine, until_at_ms };
  },
  claimed({ machine, claim, may_control }) {
    state.floor?.awaiting.delete(machine);
    if (state.machine?.machine.machine === machine) state.machine.claim = claim;
    if (!state.member || claim.member !== state.member.member) return;
    state.awaiting = null;
    state.member.claim = { gym: state.member.visit?.gym ?? null, machine, claim, may_control };
  },
  released({ machine, fence, reason }, { at_ms }) {
    if (state.machine?.machine.machine === machine) state.machine.claim = null;
    if (reason === 'sign_missing' && state.awaiting?.machine === machine) { state.awaiting = null; state.notice = 'No second sign came within 60 s. Scan the sticker again.'; }
    if (state.member?.claim?.claim.fence !== fence) return;
    state.member.claim = null;
    tell(RELEASED[reason] ?? 'The machine was released.', reason === 'released' || reason === 'handed_over' ? 'plain' : 'warn', at_ms);
  },
  visit({ visit, gym, state: stage }, { at_ms }) {
    if (state.member) state.member.visit = { visit, gym, state: stage, started_at_ms: state.member.visit?.visit === visit ? state.member.visit.started_at_ms : at_ms };
  },
  workout({ workout, stage, machine }) { if (sameWorkout(workout)) Object.assign(state.workout, { stage, machine: machine ?? state.workout.machine }); },
  source(source, _event, room) { if (room.endsWith(state.workout?.workout)) state.workout.series.takeSource(source); },
  rep({ set, rep }) { if (state.workout) state.workout.rep = { set, rep }; },
  set(set, { at_ms }) { addSet({ ...set, by: 'machine' }, at_ms); },
  set_logged(set, { at_ms }) { addSet({ ...set, by: 'member' }, at_ms); },
  points({ points, reason }, { at_ms }) {
    if (state.workout) state.workout.points += points;
    tell(`+${points} points: ${reason}`, 'good', at_ms);
  },
  achievement({ name }, { at_ms }) { tell(`Achievement: ${name}`, 'great', at_ms); },
  proposed({ proposal, target, text }, { at_ms }) { state.workout?.proposals.set(proposal, { proposal, target, text, at_ms }); },
  control({ target, outcome }, { at_ms }, room) {
    if (outcome === 'applied' && room.startsWith('machine:')) tell(`${targetText(target, prefs.units)}: applied`, 'plain', at_ms);
  },
  ceiling({ heart_rate_bpm }) { if (state.workout) { state.workout.ceiling_bpm = heart_rate_bpm; state.alarm = null; } },
  board_entered({ index, name }, _event, room) { if (room.endsWith(state.board?.board)) state.board.names.set(index, name); },
  board_stage({ stage }, { at_ms }, room) {
    if (!room.endsWith(state.board?.board)) return;
    state.board.stage = stage;
    tell(stage === 'over' ? `${state.board.name} is over.` : `${state.board.name} has begun.`, 'plain', at_ms);
  },
  sealed({ workout, revision, totals }, { at_ms }) {
    if (!sameWorkout(workout)) return;
    Object.assign(state.workout, { stage: 'sealed', totals, sealed: { revision, at_ms } });
  },
};

const RELEASED = {
  released: 'You gave the machine back.', handed_over: 'You went to another machine.', walked_away: 'No sign of life for 10 minutes: the machine is free again.',
  checked_out: 'You checked out.', staff: 'Staff took the machine back.', superseded: 'A newer claim stands on this machine.', sign_missing: 'No second sign came.',
};

function addSet(set, at_ms) {
  if (!state.workout) return;
  state.workout.sets.push(set);
  tell(`Set ${set.set}: ${set.reps} × ${set.exercise ?? 'reps'}`, 'good', at_ms);
}
