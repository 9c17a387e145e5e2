// The only state of a page. In: frames (through `reduce.js`) and what actions found out. Out: `state`, and one call to each
// subscriber per animation frame at most, however many frames came. Views read it and keep nothing of their own that matters.

/**
 * @typedef {object} State
 * @property {import('./wire.js').Link} link
 * @property {{subject: string, role: string, expires_at_ms: number}|null} me
 * @property {import('./reduce.js').Floor|null} floor
 * @property {any|null} machine    the machine that this page holds or inspects, as its room tells it
 * @property {any|null} member     claim and visit of the member
 * @property {any|null} workout    the running or last workout, with its `series`
 * @property {import('./reduce.js').Board|null} board   the board that this page shows
 * @property {any|null} awaiting   a claim that waits for its second sign
 * @property {Map<string, any>} stops      by machine
 * @property {Map<string, any>} commands   by machine and field
 * @property {{at_ms: number, text: string, tone: string}[]} feed
 * @property {any|null} alarm
 * @property {string|null} notice   the last refusal, in words
 */

/** What belongs to whoever is logged in. */
const nothing = () => ({
  me: null, floor: null, machine: null, member: null, workout: null, board: null, awaiting: null,
  stops: new Map(), commands: new Map(), feed: [], alarm: null, notice: null,
});

/** @type {State} */
export const state = { link: { stage: 'idle', text: 'Not connected' }, ...nothing() };

/** @type {Set<(state: State) => void>} */
const subscribers = new Set();
let scheduled = false;

/** Entries of the feed that are kept. */
const FEED_MAX = 30;

/** Calls back after changes, and once now. */
export function subscribe(draw) {
  subscribers.add(draw);
  draw(state);
}

/** Changes the state and lets the views know. */
export function change(how) {
  how(state);
  touch();
}

/** Forgets everything of whoever was logged in: somebody else takes the page. */
export function forget() {
  change(() => Object.assign(state, nothing()));
}

/** Draws soon. A hidden page draws when it is seen again. */
export function touch() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const draw of subscribers) draw(state);
  });
}

/** Adds an entry to the feed, newest first. */
export function tell(text, tone = 'plain', at_ms = Date.now()) {
  state.feed.unshift({ at_ms, text, tone });
  state.feed.length = Math.min(state.feed.length, FEED_MAX);
  touch();
}
