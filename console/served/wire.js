// Speaks frames: one WebSocket in subprotocol `spotter.v1.json`, connected again for as long as that makes sense.
// In: frames to send. Out: every frame of the hub to `onFrame`, every change of the link to `onLink`.
// Owns the socket, requests under way, back-off, signs of life and the token's refresh. Knows no room's meaning and draws nothing.

import { afterClose, backoffMs, closeText } from './closes.js';
import { heardHub, hubNow } from './clock.js';
import * as session from './session.js';

/** @typedef {{stage: 'idle'|'connecting'|'live'|'waiting'|'log_in'|'stopped', text: string, retryInMs?: number}} Link */

const CLIENT = 'spotter-console/1';
/** A request without an answer after this time failed; what became of it is not known. */
const REQUEST_LIFE_MS = 10_000;
/** The hub answers hello within its own deadline of 10 s, or never. */
const WELCOME_LIFE_MS = 10_000;
/** Silence beyond the heartbeat that ends a connection, as `welcome` says. */
const GRACE_MS = 10_000;
/** A token is refreshed this long before it runs out, at the latest at half of its life. */
const REFRESH_BEFORE_MS = 60_000;
/** A room that was refused is asked for again after this time. */
const ASK_AGAIN_MS = 2000;
/** Requests under way at once; more is a mistake of this page. */
const REQUESTS_MAX = 64;

/** A request that the hub refused, or that got no answer (`name` is then `link_lost`). */
export class RequestError extends Error {
  constructor({ code = 0, name, text, detail = null, retry_after_ms = null }) {
    super(text);
    Object.assign(this, { code, name, detail, retry_after_ms });
  }
}

export class Wire {
  /** @type {WebSocket|null} */ #socket = null;
  /** @type {Map<number, {resolve: Function, reject: Function, timer: number}>} */ #requests = new Map();
  #req = 0;
  #failures = 0;
  #wanted = false;
  #live = false;
  #heartbeatMs = 25_000;
  #heardAt = 0;
  #renewed = false;
  #timers = { retry: 0, welcome: 0, life: 0, refresh: 0, move: 0 };
  /** @type {Map<string, number>} */ #askedAt = new Map();
  /** Rooms that the hello of this connection asked for. @type {Set<string>} */ #greeted = new Set();
  #rooms; #onFrame; #onLink;

  /**
   * @param {import('./rooms.js').Rooms} rooms
   * @param {(frame: any) => void} onFrame
   * @param {(link: Link) => void} onLink
   */
  constructor(rooms, onFrame, onLink) {
    this.#rooms = rooms;
    this.#onFrame = onFrame;
    this.#onLink = onLink;
    addEventListener('online', () => this.#atOnce());
    addEventListener('offline', () => this.#lose(4007));
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#atOnce(); });
    // A page that goes into the back-forward cache would keep a dead socket.
    addEventListener('pagehide', () => this.#drop());
    addEventListener('pageshow', (event) => { if (event.persisted && this.#wanted) this.#connect(); });
  }

  /** Whether frames can be sent now. */
  get live() { return this.#live; }

  /** Connects, and stays connected until `close`. */
  open() {
    this.#wanted = true;
    this.#failures = 0;
    this.#connect();
  }

  /** Says goodbye. */
  close() {
    this.#wanted = false;
    this.#drop();
    this.#onLink({ stage: 'idle', text: 'Not connected' });
  }

  /**
   * Sends a frame now.
   * @param {import('../protocol.d.ts').ClientFrame} frame
   * @returns {boolean} false without a live session; nothing is queued
   */
  send(frame) {
    if (!this.#live || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /**
   * Sends a frame with a request number and waits for its answer.
   * @typedef {import('../protocol.d.ts').ClientFrame} ClientFrame
   * @typedef {ClientFrame extends infer F ? F extends {req: number} ? Omit<F, 'req'> : never : never} Request
   * @param {Request} frame
   * @returns {Promise<any>} the frame that answers; rejects with {@link RequestError}
   */
  request(frame) {
    return new Promise((resolve, reject) => {
      const req = this.#req = (this.#req % 0x7fff_ffff) + 1;
      const lost = () => { this.#requests.delete(req); reject(new RequestError({ name: 'link_lost', text: 'No answer came: try again when connected.' })); };
      if (this.#requests.size >= REQUESTS_MAX || !this.send(/** @type {ClientFrame} */ ({ ...frame, req }))) { lost(); return; }
      this.#requests.set(req, { resolve, reject, timer: setTimeout(lost, REQUEST_LIFE_MS) });
    });
  }

  /** Watches a room, now or as soon as there is a session. */
  watch(room, options) {
    if (this.#rooms.want(room, options) && this.#live) this.#join(room);
  }

  /** As `watch`, for callers that ask often: a room that was refused or lost is asked for again, at a pace. */
  keepWatching(room, options) {
    if (this.#rooms.has(room)) return;
    const now = performance.now();
    if (now - (this.#askedAt.get(room) ?? -Infinity) < ASK_AGAIN_MS) return;
    this.#askedAt.set(room, now);
    this.watch(room, options);
  }

  /** Watches a room no longer. */
  unwatch(room) {
    this.#askedAt.delete(room);
    if (this.#rooms.drop(room)) this.request({ t: 'leave', room }).catch(() => { /* a lost link forgot it as well */ });
  }

  /** Asks for a room's snapshot again: something was missed. */
  again(room) { if (this.#rooms.has(room)) this.#join(room, true); }

  #join(room, fresh = false) {
    this.request({ t: 'join', join: this.#rooms.join(room, fresh) }).catch((error) => this.#onFrame({ t: 'join_failed', room, error }));
  }

  #connect() {
    this.#drop();
    if (!session.token()) { this.#onLink({ stage: 'log_in', text: 'Log in to connect.' }); return; }
    this.#onLink({ stage: 'connecting', text: 'Connecting' });
    const socket = this.#socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`, ['spotter.v1.json']);
    socket.onopen = () => this.#hello();
    socket.onmessage = (event) => { if (socket === this.#socket) this.#take(event.data); };
    socket.onclose = (event) => { if (socket === this.#socket) this.#ended(event.code); };
    this.#timers.welcome = setTimeout(() => this.#lose(4007), WELCOME_LIFE_MS);
  }

  #hello() {
    const ticket = session.ticket();
    this.#greeted = new Set(this.#rooms.names());
    this.#socket.send(JSON.stringify({
      t: 'hello', token: session.token(), rooms: this.#rooms.hello(), client: CLIENT, device: session.device(), ...(ticket ? { ticket } : {}),
    }));
  }

  #take(text) {
    this.#heardAt = performance.now();
    let frame;
    try { frame = JSON.parse(text); } catch { this.#lose(4007); return; }
    if (frame.t === 'welcome') this.#welcome(frame);
    if (frame.t === 'pong') heardHub(frame.server_at_ms);
    if (frame.t === 'move') this.#move(frame.after_ms);
    this.#onFrame(frame);
    this.#answer(frame);
  }

  #answer(frame) {
    const waiting = frame.req == null ? undefined : this.#requests.get(frame.req);
    if (!waiting) return;
    this.#requests.delete(frame.req);
    clearTimeout(waiting.timer);
    if (frame.t === 'error') waiting.reject(new RequestError(frame));
    else waiting.resolve(frame);
  }

  #welcome(frame) {
    clearTimeout(this.#timers.welcome);
    this.#live = true;
    this.#failures = 0;
    this.#renewed = false;
    this.#heartbeatMs = frame.heartbeat_ms;
    session.keepTicket(frame.ticket);
    heardHub(frame.server_at_ms, true);
    this.#refreshBefore(frame.expires_at_ms - frame.server_at_ms);
    this.#timers.life = setInterval(() => this.#life(), 1000);
    // Wanted since the hello.
    for (const room of this.#rooms.names()) if (!this.#greeted.has(room)) this.#join(room);
    this.#onLink({ stage: 'live', text: 'Live' });
  }

  /** A browser cannot send WebSocket pings, nor see the hub's: it asks for a `pong`. */
  #life() {
    const silentMs = performance.now() - this.#heardAt;
    if (silentMs > this.#heartbeatMs + GRACE_MS) this.#lose(4002);
    else if (silentMs > this.#heartbeatMs - 1000) this.send({ t: 'ping', n: this.#req });
  }

  #refreshBefore(lifeMs) {
    clearTimeout(this.#timers.refresh);
    const wait = Math.max(1000, Math.max(lifeMs - REFRESH_BEFORE_MS, lifeMs / 2));
    this.#timers.refresh = setTimeout(async () => {
      if (!await session.renew()) return;
      const answer = await this.request({ t: 'refresh', token: session.token() }).catch(() => null);
      if (answer) this.#refreshBefore(answer.expires_at_ms - hubNow());
    }, Math.min(wait, 0x7fff_ffff));
  }

  /** The node goes down: connect elsewhere at the told time. */
  #move(afterMs) {
    clearTimeout(this.#timers.move);
    this.#timers.move = setTimeout(() => this.#lose(4000), afterMs);
  }

  #atOnce() {
    if (this.#wanted && !this.#live && this.#timers.retry) this.#connect();
  }

  /** Ends a connection from this side and treats it like any lost one. */
  #lose(code) {
    if (this.#socket && this.#wanted) this.#ended(code);
  }

  #ended(code) {
    this.#drop();
    if (!this.#wanted) return;
    const after = afterClose(code);
    if (after === 'resume') this.#later(backoffMs(code, this.#failures++));
    else if (after === 'log_in') this.#logIn(code);
    else this.#onLink({ stage: 'stopped', text: closeText(code) });
  }

  #later(ms) {
    this.#onLink({ stage: 'waiting', text: 'Connection lost. Coming back', retryInMs: ms });
    this.#timers.retry = setTimeout(() => this.#connect(), ms);
  }

  async #logIn(code) {
    this.#onLink({ stage: 'connecting', text: 'Logging in again' });
    const again = !this.#renewed && await session.renew();
    this.#renewed = true;
    if (again) this.#later(backoffMs(code, 0));
    else this.#onLink({ stage: 'log_in', text: closeText(code) });
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#live = false;
    for (const key of Object.keys(this.#timers)) { clearTimeout(this.#timers[key]); this.#timers[key] = 0; }
    for (const [req, waiting] of this.#requests) {
      clearTimeout(waiting.timer);
      this.#requests.delete(req);
      waiting.reject(new RequestError({ name: 'link_lost', text: 'The connection was lost before an answer came.' }));
    }
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000);
  }
}
