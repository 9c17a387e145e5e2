// Joins wire, rooms and store: the way of a frame through the page, in one place.
// In: frames. Out: reduced state, in order and once each; a gap in a room's events asks for the room again.
// Pages call `start`, then `wire.watch` for what they show.

import { hubNow } from './clock.js';
import { Rooms } from './rooms.js';
import { takeBoardTick, takeEvent, takeLive, takeSaved, takeSnapshot, takeTick } from './reduce.js';
import { change, forget, state, tell } from './store.js';
import { Wire } from './wire.js';

/** Why a room of `hello` may not be had yet: the store does not answer, the hub has too much to do. */
const PASSING = new Set([900, 901]);
/** Then it is asked for again after this time. */
const ASK_AGAIN_MS = 2000;

const rooms = new Rooms();
/** Rooms asked for again after a resume, for what live frames did not bring meanwhile. */
const asked = new Set();
/** Rooms that were refused once; it is told once. */
const refused = new Set();
/** @type {Map<string, Set<(frame: any) => void>>} */
const listeners = new Map();

export const wire = new Wire(rooms, takeFrame, (link) => change(() => { state.link = link; }));

/** Calls back on each frame of a kind, after the state took it. */
export function on(kind, listener) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(listener);
}

function takeFrame(frame) {
  FRAMES[frame.t]?.(frame);
  for (const listener of listeners.get(frame.t) ?? []) listener(frame);
}

/**
 * One function a kind of frame; kinds of a later hub are ignored. `join_failed` is made by the wire.
 * @typedef {import('../protocol.d.ts').ServerFrame} ServerFrame
 * @type {{[K in ServerFrame['t']]?: (frame: Extract<ServerFrame, {t: K}>) => void} & {join_failed: (frame: {room: string, error: import('./wire.js').RequestError}) => void}}
 */
const FRAMES = {
  welcome(frame) {
    asked.clear();
    if (state.me && state.me.subject !== frame.subject) forget();
    change(() => { state.me = { subject: frame.subject, role: frame.role, expires_at_ms: frame.expires_at_ms }; });
  },
  joined(frame) {
    const watched = rooms.joined(frame);
    if (!watched) return;
    refused.delete(watched.room);
    if (frame.snapshot) takeSnapshot(frame.snapshot);
    for (const event of frame.events ?? []) takeEvent(event, watched.room);
    // Events were recovered, but readings are live frames: what was missed of them is in the ring of a new snapshot.
    if (frame.recovered && watched.history && !asked.has(watched.room)) {
      asked.add(watched.room);
      wire.again(watched.room);
    }
  },
  reset(frame) {
    if (rooms.reset(frame)) takeSnapshot(frame.snapshot);
  },
  event(frame) {
    const watched = rooms.byHandle(frame.handle);
    const place = rooms.place(frame);
    if (place === 'next') takeEvent(frame, watched.room);
    if (place === 'gap') wire.again(watched.room);
  },
  live(frame) {
    const watched = rooms.byHandle(frame.handle);
    if (watched) takeLive(frame, watched.room);
  },
  saved(frame) {
    const watched = rooms.byHandle(frame.handle);
    if (watched) takeSaved(frame, watched.room);
  },
  floor(frame) {
    if (rooms.byHandle(frame.handle)) takeTick(frame);
  },
  board(frame) {
    const watched = rooms.byHandle(frame.handle);
    if (watched) takeBoardTick(frame, watched.room);
  },
  left(frame) {
    if (frame.req != null) return;
    if (PASSING.has(frame.code)) setTimeout(() => wire.again(frame.room), ASK_AGAIN_MS);
    else rooms.drop(frame.room);
  },
  join_failed({ room, error }) {
    // `not_joined`: this page left the room before the hub had joined it, and may have asked for it anew.
    if (error.name === 'link_lost' || error.name === 'not_joined') return;
    rooms.drop(room);
    if (refused.has(room)) return;
    refused.add(room);
    tell(`Cannot watch the ${room.split(':')[0]}: ${error.message}`, 'bad', hubNow());
  },
  error(frame) {
    if (frame.req == null) change(() => { state.notice = frame.text; });
  },
  alarm(frame) {
    change(() => { state.alarm = frame; });
  },
};

export { rooms };
